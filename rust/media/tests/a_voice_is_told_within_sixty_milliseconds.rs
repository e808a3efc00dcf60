//! The energy detector tells a voice soon, tells when it is over, and is not fooled by comfort noise.

#[path = "common/voice.rs"]
mod voice;

use media::codec::comfort_noise::ComfortNoise;
use media::vad::energy::{Energy, LOWEST_FLOOR_DB, level_db};
use media::vad::{Evidence, Kind, Speech, Vad};
use voice::{Noise, speech};

const RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

/// Comfort noise of `dbov`: white, or with most of its power below 1 kHz as a line has it.
fn noise(seed: u64, dbov: f64, coloured: bool, samples: usize) -> Vec<i16> {
    let mut noise = Noise(seed);
    let mut low = 0.0;
    let mut values: Vec<f64> = Vec::with_capacity(samples);
    for _ in 0..samples {
        let white = noise.sample();
        low += 0.3 * (white - low);
        values.push(if coloured { low } else { white });
    }
    let power = values.iter().map(|value| value * value).sum::<f64>() / samples as f64;
    let scale = 32_768.0 * 10f64.powf(dbov / 20.0) / power.sqrt();
    values
        .iter()
        .map(|value| (value * scale).round() as i16)
        .collect()
}

/// When each beginning and end was told, in milliseconds from the start of the audio to the end of the frame.
fn told(audio: &[i16], rate_hz: u32) -> Vec<(usize, Speech)> {
    let mut vad = Vad::new(&Kind::Energy, rate_hz).unwrap();
    let frames = audio.chunks(rate_hz as usize / 50).enumerate();
    frames
        .filter_map(|(n, frame)| Some((n * 20 + 20, vad.push(frame, rate_hz)?)))
        .collect()
}

/// The same of who has to know at once, with the place where each voice is said to have begun.
fn told_quickly(audio: &[i16], rate_hz: u32) -> Vec<(usize, usize, Speech)> {
    let mut energy = Energy::new();
    let frames = audio.chunks(rate_hz as usize / 50).enumerate();
    frames
        .filter_map(|(n, frame)| {
            let speech = energy.push_quick(frame)?;
            let end = n * 20 + 20;
            Some((end, end - energy.onset_ms() as usize, speech))
        })
        .collect()
}

fn add(audio: &mut [i16], sound: &[i16]) {
    for (sample, sound) in audio.iter_mut().zip(sound) {
        *sample = sample.saturating_add(*sound);
    }
}

/// Comfort noise as a far end describes it (RFC 3389) and our generator makes it: a payload of `-dbov` and a spectrum.
fn described(dbov: f64, samples: usize) -> Vec<i16> {
    let mut generator = ComfortNoise::new(8_000);
    assert!(generator.describe(&[-dbov as u8, 200, 100, 140]));
    let mut audio = vec![0; samples];
    audio.chunks_mut(160).for_each(|frame| generator.pause(frame));
    let level = f64::from(level_db(&audio));
    assert!((level - dbov).abs() < 2.0, "{level} is not {dbov} dBov");
    audio
}

/// Each level and kind is a call of its own; all together last ten minutes.
#[test]
fn ten_minutes_of_comfort_noise_from_70_to_35_db_below_full_scale_begin_no_voice() {
    let forty_seconds = 40 * 8_000;
    let mut heard = 0;
    for (seed, dbov) in [(1, -70.0), (2, -55.0), (3, -47.0), (4, -40.0), (5, -35.0)] {
        for (kind, audio) in [
            ("white", noise(seed, dbov, false, forty_seconds)),
            ("coloured", noise(seed, dbov, true, forty_seconds)),
            ("described", described(dbov, forty_seconds)),
        ] {
            assert_eq!(told(&audio, 8_000), [], "{kind} noise of {dbov} dBov");
            assert_eq!(told_quickly(&audio, 8_000), [], "{kind} noise of {dbov} dBov");
            heard += audio.len();
        }
    }
    assert_eq!(heard, 10 * 60 * 8_000);
}

#[test]
fn comfort_noise_after_digital_silence_is_no_voice() {
    let mut audio = vec![0; 5 * 8_000];
    audio.extend(noise(1, f64::from(LOWEST_FLOOR_DB) + 5.0, true, 30 * 8_000));
    audio.extend(vec![0; 5 * 8_000]);
    audio.extend(noise(2, f64::from(LOWEST_FLOOR_DB) + 5.0, false, 30 * 8_000));
    assert_eq!(told(&audio, 8_000), []);
    assert_eq!(told_quickly(&audio, 8_000), []);
}

/// A vowel from a moment on, in noise.
fn vowel_in_noise(rate_hz: u32, onset_ms: usize, floor_dbov: f64) -> Vec<i16> {
    let per_ms = rate_hz as usize / 1_000;
    let mut audio = noise(9, floor_dbov, true, 4_000 * per_ms);
    let vowel: Vec<i16> = (0..1_500 * per_ms)
        .map(|n| {
            let time = std::f64::consts::TAU * n as f64 / f64::from(rate_hz);
            (1_500.0 * (140.0 * time).sin() + 1_200.0 * (700.0 * time).sin()) as i16
        })
        .collect();
    add(&mut audio[onset_ms * per_ms..], &vowel);
    audio
}

#[test]
fn who_has_to_know_at_once_is_told_of_a_vowel_within_thirty_five_milliseconds() {
    for rate_hz in RATES_HZ {
        for (offset_ms, floor_dbov) in (0..20).zip([-60.0, -45.0].into_iter().cycle()) {
            let onset_ms = 2_000 + offset_ms;
            let told = told_quickly(&vowel_in_noise(rate_hz, onset_ms, floor_dbov), rate_hz);
            let [
                (started, from, Speech::Started { .. }),
                (_, _, Speech::Stopped { .. }),
            ] = told[..]
            else {
                panic!("{rate_hz} Hz, {offset_ms}: {told:?}")
            };
            let late = started - onset_ms;
            assert!(late <= 35, "{rate_hz} Hz, {offset_ms}: {late} ms after the onset");
            assert!(
                from.abs_diff(onset_ms) <= 6,
                "{rate_hz} Hz: {from} for {onset_ms}"
            );
        }
    }
}

#[test]
fn a_click_is_no_voice_wherever_in_a_frame_it_is() {
    for offset_ms in 0..20 {
        let mut audio = noise(3, -50.0, true, 4 * 8_000);
        let at = 2 * 8_000 + 8 * offset_ms;
        audio[at..at + 40].fill(20_000);
        assert_eq!(told_quickly(&audio, 8_000), [], "{offset_ms}");
    }
}

#[test]
fn the_onset_of_a_vowel_is_told_within_sixty_milliseconds() {
    for rate_hz in RATES_HZ {
        for (offset_ms, floor_dbov) in (0..20).zip([-60.0, -45.0].into_iter().cycle()) {
            let onset_ms = 2_000 + offset_ms;
            let told = told(&vowel_in_noise(rate_hz, onset_ms, floor_dbov), rate_hz);
            let [
                (
                    started,
                    Speech::Started {
                        evidence: Evidence::Level(level),
                    },
                ),
                (_, Speech::Stopped { duration_ms }),
            ] = told[..]
            else {
                panic!("{rate_hz} Hz, {offset_ms}: {told:?}")
            };
            assert!(
                started <= onset_ms + 60,
                "{rate_hz} Hz: {} ms after the onset",
                started - onset_ms
            );
            assert!((-40.0..-20.0).contains(&level), "{level}");
            assert!((1_480..=1_560).contains(&duration_ms), "{duration_ms}");
        }
    }
}

#[test]
fn a_voice_in_noise_is_told_and_its_end_too() {
    for (seed, rate_hz) in (0..8).zip(RATES_HZ.into_iter().cycle()) {
        let per_second = rate_hz as usize;
        let mut audio = noise(seed, -45.0, true, 9 * per_second);
        add(
            &mut audio[2 * per_second..6 * per_second],
            &speech(seed, rate_hz, 4),
        );
        let told = told(&audio, rate_hz);
        let starts = told
            .iter()
            .filter(|(_, speech)| matches!(speech, Speech::Started { .. }))
            .count();
        assert!((1..=3).contains(&starts), "{told:?}");
        let Some((last, Speech::Stopped { .. })) = told.last() else {
            panic!("voice {seed} at {rate_hz} Hz has no end: {told:?}")
        };
        assert!(
            (5_500..6_600).contains(last),
            "voice {seed} at {rate_hz} Hz: {told:?}"
        );
    }
}

#[test]
fn a_click_is_no_voice_and_a_noise_that_stays_is_one_no_longer() {
    let mut audio = noise(3, -50.0, true, 40 * 8_000);
    audio[8_000..8_040].fill(20_000);
    add(&mut audio[20 * 8_000..], &noise(4, -30.0, true, 20 * 8_000));
    let told = told(&audio, 8_000);
    assert_eq!(
        told.len(),
        2,
        "the noise begins, and is the floor at last: {told:?}"
    );
    assert!(told[0].0 >= 20_000 && told[1].0 < 32_000, "{told:?}");
}

#[test]
fn levels_are_those_of_full_scale() {
    assert_eq!(level_db(&[0; 160]), -100.0);
    assert!(level_db(&[i16::MIN; 160]).abs() < 0.01);
    assert!((level_db(&[3_277; 960]) + 20.0).abs() < 0.01);
}
