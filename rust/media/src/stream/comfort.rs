//! What the parties hear of a stream that has lost its connection, once all that was queued has been played: nothing, soft
//! noise, or a short tone now and then that says "still here".

use std::f32::consts::TAU;

use crate::time::frame_samples;

/// Which of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comfort {
    /// Nothing.
    #[default]
    Silence,
    /// Noise of about −52 dB of full scale, as a quiet room has.
    Noise,
    /// 425 Hz for 200 ms every 3 s, at −26 dB of full scale.
    Tone,
}

impl Comfort {
    /// All there are.
    pub const ALL: [Comfort; 3] = [Comfort::Silence, Comfort::Noise, Comfort::Tone];

    /// The word that the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Comfort::Silence => "silence",
            Comfort::Noise => "noise",
            Comfort::Tone => "tone",
        }
    }

    /// The one of this word.
    pub fn named(name: &str) -> Option<Comfort> {
        Comfort::ALL.into_iter().find(|comfort| comfort.as_str() == name)
    }
}

/// Peak of the noise, before it is smoothed.
const NOISE_PEAK: i32 = 220;
const TONE_HZ: f32 = 425.0;
const TONE_PEAK: f32 = 1_640.0;
/// When the tone begins in its period, how long it is and how long it takes to begin and to end, in milliseconds.
const TONE_AT_MS: u32 = 500;
const TONE_MS: u32 = 200;
const RAMP_MS: u32 = 10;
const PERIOD_MS: u32 = 3_000;

/// The sound of one outage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ComfortSound {
    /// Milliseconds so far.
    elapsed_ms: u32,
    random: u32,
    last: i32,
}

impl ComfortSound {
    /// Fills one frame of 20 ms. False: it is silent.
    pub fn fill(&mut self, kind: Comfort, rate_hz: u32, samples: &mut [i16]) -> bool {
        debug_assert_eq!(samples.len(), frame_samples(rate_hz));
        let from_ms = self.elapsed_ms;
        self.elapsed_ms = self.elapsed_ms.wrapping_add(20);
        match kind {
            Comfort::Silence => false,
            Comfort::Noise => {
                for sample in samples {
                    // Numerical Recipes' generator: what matters of noise is that it has no pattern one hears.
                    self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let white = (self.random >> 16) as i32 % (2 * NOISE_PEAK + 1) - NOISE_PEAK;
                    self.last = (self.last + white) / 2;
                    *sample = self.last as i16;
                }
                true
            }
            Comfort::Tone => {
                let in_period = from_ms % PERIOD_MS;
                if !(TONE_AT_MS..TONE_AT_MS + TONE_MS).contains(&in_period) {
                    return false;
                }
                let per_ms = rate_hz as f32 / 1_000.0;
                let first = (in_period - TONE_AT_MS) as f32 * per_ms;
                let (length, ramp) = (TONE_MS as f32 * per_ms, RAMP_MS as f32 * per_ms);
                for (number, sample) in samples.iter_mut().enumerate() {
                    let at = first + number as f32;
                    let gain = (at / ramp).min((length - at) / ramp).min(1.0);
                    *sample = (TONE_PEAK * gain * (TAU * TONE_HZ * at / rate_hz as f32).sin()) as i16;
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_db(samples: &[i16]) -> f64 {
        let power: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        10.0 * (power / samples.len() as f64).max(1e-9).log10() - 90.3
    }

    fn seconds(kind: Comfort, rate_hz: u32, seconds: usize) -> Vec<i16> {
        let mut sound = ComfortSound::default();
        let mut all = Vec::new();
        for _ in 0..50 * seconds {
            let mut frame = vec![0; frame_samples(rate_hz)];
            let is_audible = sound.fill(kind, rate_hz, &mut frame);
            assert!(is_audible || frame.iter().all(|&sample| sample == 0));
            all.extend(frame);
        }
        all
    }

    #[test]
    fn each_has_its_level_at_every_rate() {
        for rate_hz in [8_000, 16_000, 24_000, 48_000] {
            assert!(
                seconds(Comfort::Silence, rate_hz, 1)
                    .iter()
                    .all(|&sample| sample == 0)
            );
            let noise = level_db(&seconds(Comfort::Noise, rate_hz, 1));
            assert!((-58.0..-48.0).contains(&noise), "{noise}");
            let tone = seconds(Comfort::Tone, rate_hz, 3);
            let per_ms = rate_hz as usize / 1_000;
            let heard = level_db(&tone[510 * per_ms..690 * per_ms]);
            assert!((-31.0..-27.0).contains(&heard), "{heard}");
            assert!(
                tone[..500 * per_ms]
                    .iter()
                    .chain(&tone[700 * per_ms..])
                    .all(|&sample| sample == 0)
            );
        }
    }

    #[test]
    fn a_tone_begins_and_ends_without_a_click() {
        let tone = seconds(Comfort::Tone, 8_000, 3);
        let step = tone.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
        // As steep as the tone itself is in its middle.
        assert!(step.unwrap() < 560, "{step:?}");
    }
}
