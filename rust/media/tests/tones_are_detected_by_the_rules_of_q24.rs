//! In-band digits are heard as ITU-T Q.24 asks, at every rate, and nothing else is heard as a digit.

#[path = "common/voice.rs"]
mod voice;

use media::dtmf::tones::{amplitude, frequencies};
use media::dtmf::{DIGITS, Detector};
use voice::{Noise, speech};

const RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

/// A pair of tones, as a line may hand them over.
#[derive(Clone, Copy)]
struct Tone {
    event: u8,
    ms: f64,
    low_dbm0: f64,
    high_dbm0: f64,
    /// Off the frequency, in parts of it: low and high.
    off: (f64, f64),
}

fn tone(event: u8) -> Tone {
    Tone {
        event,
        ms: 40.0,
        low_dbm0: -10.0,
        high_dbm0: -8.0,
        off: (0.0, 0.0),
    }
}

/// `lead_ms` of silence, the tone, and 60 ms of silence, with noise of `noise_dbm0` over all.
fn line(tone: Tone, rate_hz: u32, lead_ms: f64, noise_dbm0: f64) -> Vec<i16> {
    let rate = f64::from(rate_hz);
    let (low_hz, high_hz) = frequencies(tone.event).unwrap();
    let mut noise = Noise(u64::from(tone.event));
    // White noise of the same power as a sine of the level has sqrt(3/2) of its peak.
    let noise_peak = amplitude(noise_dbm0) * 1.5f64.sqrt();
    let samples = |ms: f64| (ms * rate / 1_000.0).round() as usize;
    let (from, to) = (samples(lead_ms), samples(lead_ms + tone.ms));
    (0..to + samples(60.0))
        .map(|n| {
            let time = std::f64::consts::TAU * n as f64 / rate;
            let sound = if (from..to).contains(&n) {
                amplitude(tone.low_dbm0) * (low_hz * (1.0 + tone.off.0) * time).sin()
                    + amplitude(tone.high_dbm0) * (high_hz * (1.0 + tone.off.1) * time).sin()
            } else {
                0.0
            };
            (sound + noise_peak * noise.sample()).clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

fn heard(rate_hz: u32, audio: &[i16]) -> String {
    let mut detector = Detector::new(rate_hz);
    let frames = audio.chunks(rate_hz as usize / 50);
    frames
        .filter_map(|frame| detector.push(frame))
        .map(|digit| digit.digit)
        .collect()
}

fn name(event: u8) -> String {
    char::from(DIGITS[usize::from(event)]).to_string()
}

/// The tone is heard wherever in a frame it begins, of every key and at every rate.
fn assert_heard(what: &str, change: impl Fn(Tone) -> Tone, noise_dbm0: f64) {
    for rate_hz in RATES_HZ {
        for event in 0..16 {
            for lead in (0..8).step_by(if event == 5 { 1 } else { 4 }) {
                let audio = line(
                    change(tone(event)),
                    rate_hz,
                    20.0 + f64::from(lead) * 2.6,
                    noise_dbm0,
                );
                assert_eq!(
                    heard(rate_hz, &audio),
                    name(event),
                    "{what}, {rate_hz} Hz, {lead}"
                );
            }
        }
    }
}

fn assert_silent(what: &str, change: impl Fn(Tone) -> Tone) {
    for rate_hz in RATES_HZ {
        for event in 0..16 {
            let audio = line(change(tone(event)), rate_hz, 20.0 + f64::from(event), -70.0);
            assert_eq!(heard(rate_hz, &audio), "", "{what}, {rate_hz} Hz, event {event}");
        }
    }
}

#[test]
fn forty_milliseconds_are_a_digit() {
    assert_heard("as sent", |tone| tone, -70.0);
}

#[test]
fn weak_twisted_and_detuned_tones_are_digits() {
    assert_heard(
        "at -25 dBm0",
        |tone| Tone {
            low_dbm0: -25.0,
            high_dbm0: -25.0,
            ..tone
        },
        -70.0,
    );
    assert_heard(
        "high 6 dB above",
        |tone| Tone {
            low_dbm0: -14.0,
            high_dbm0: -8.0,
            ..tone
        },
        -70.0,
    );
    assert_heard(
        "low 8 dB above",
        |tone| Tone {
            low_dbm0: -8.0,
            high_dbm0: -16.0,
            ..tone
        },
        -70.0,
    );
    assert_heard(
        "1.5 % up",
        |tone| Tone {
            off: (0.015, 0.015),
            ..tone
        },
        -70.0,
    );
    assert_heard(
        "1.5 % down",
        |tone| Tone {
            off: (-0.015, -0.015),
            ..tone
        },
        -70.0,
    );
    assert_heard(
        "1.5 % apart",
        |tone| Tone {
            off: (-0.015, 0.015),
            ..tone
        },
        -70.0,
    );
    assert_heard("in noise, 15 dB below", |tone| tone, -20.9);
}

#[test]
fn short_lone_and_far_off_tones_are_not() {
    assert_silent("23 ms", |tone| Tone { ms: 23.0, ..tone });
    assert_silent("the low tone alone", |tone| Tone {
        ms: 200.0,
        high_dbm0: -90.0,
        ..tone
    });
    assert_silent("the high tone alone", |tone| Tone {
        ms: 200.0,
        low_dbm0: -90.0,
        ..tone
    });
    assert_silent("high 14 dB above", |tone| Tone {
        ms: 200.0,
        low_dbm0: -22.0,
        ..tone
    });
    assert_silent("low 14 dB above", |tone| Tone {
        ms: 200.0,
        high_dbm0: -24.0,
        ..tone
    });
    assert_silent("3.5 % up", |tone| Tone {
        ms: 200.0,
        off: (0.035, 0.035),
        ..tone
    });
    assert_silent("3.5 % down", |tone| Tone {
        ms: 200.0,
        off: (-0.035, -0.035),
        ..tone
    });
    assert_silent("at -40 dBm0", |tone| Tone {
        ms: 200.0,
        low_dbm0: -40.0,
        high_dbm0: -40.0,
        ..tone
    });
}

#[test]
fn a_gap_of_forty_milliseconds_makes_two_presses_and_a_dropout_does_not() {
    for rate_hz in RATES_HZ {
        for gap_ms in [5usize, 40] {
            let press = line(Tone { ms: 60.0, ..tone(5) }, rate_hz, 0.0, -90.0);
            let tone_length = 60 * rate_hz as usize / 1_000;
            let mut audio = press[..tone_length].to_vec();
            audio.resize(audio.len() + gap_ms * rate_hz as usize / 1_000, 0);
            audio.extend_from_slice(&press);
            let expected = if gap_ms == 5 { "5" } else { "55" };
            assert_eq!(heard(rate_hz, &audio), expected, "{gap_ms} ms at {rate_hz} Hz");
        }
    }
}

#[test]
fn a_voice_is_no_digit() {
    for (seed, rate_hz) in (0..8).zip(RATES_HZ.into_iter().cycle()) {
        assert_eq!(heard(rate_hz, &speech(seed, rate_hz, 8)), "", "voice {seed}");
    }
}
