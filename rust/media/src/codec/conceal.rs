//! Packet loss concealment in the class of G.711 Appendix I.
//!
//! A gap is filled by repeating the last pitch period, whole for [`HOLD_SAMPLES`], then fading to nothing at
//! [`FADE_SAMPLES`] (60 ms); the first sound after it is cross-faded in. Left out against the appendix: its delay of
//! 3.75 ms (which smooths the first seam) and the growing number of periods. State is the last 60 ms of output.

/// Longest gap that is filled.
pub const FADE_SAMPLES: usize = 480;
/// Part of a gap filled at full level.
pub const HOLD_SAMPLES: usize = 80;
/// Pitch periods looked for: 200 Hz down to 66 Hz.
const PERIODS: std::ops::RangeInclusive<usize> = 40..=120;
/// Samples compared to find the period.
const WINDOW: usize = 160;
const HISTORY: usize = 480;
/// Cross-fade from the filling into the sound after it.
const JOIN_SAMPLES: usize = 32;

/// Fills gaps in one stream of samples.
#[derive(Clone)]
pub struct Concealer {
    /// The last output, newest last.
    history: [i16; HISTORY],
    /// The period repeated in this gap.
    period: [i16; *PERIODS.end()],
    period_length: usize,
    /// Samples of this gap so far; zero means no gap.
    gap: usize,
}

impl Default for Concealer {
    fn default() -> Concealer {
        Concealer {
            history: [0; HISTORY],
            period: [0; *PERIODS.end()],
            period_length: *PERIODS.start(),
            gap: 0,
        }
    }
}

impl Concealer {
    /// Takes sound that is there, smoothing its start when it ends a gap.
    pub fn good(&mut self, samples: &mut [i16]) {
        if self.gap > 0 {
            let join = JOIN_SAMPLES.min(samples.len());
            for (n, sample) in samples[..join].iter_mut().enumerate() {
                let old = i32::from(self.filling(n));
                *sample = ((i32::from(*sample) * n as i32 + old * (join - n) as i32) / join as i32) as i16;
            }
            self.gap = 0;
        }
        self.remember(samples);
    }

    /// Fills `samples` and returns how many of them are sound rather than what is beyond the fade.
    pub fn conceal(&mut self, samples: &mut [i16]) -> usize {
        if self.gap == 0 {
            self.start_gap();
        }
        for (n, sample) in samples.iter_mut().enumerate() {
            *sample = self.filling(n);
        }
        let sounding = FADE_SAMPLES.saturating_sub(self.gap).min(samples.len());
        self.gap += samples.len();
        self.remember(samples);
        sounding
    }

    /// The newest `samples` of output (at most 60 ms) have a mean magnitude below `level`.
    pub fn is_quiet(&self, samples: usize, level: u32) -> bool {
        let newest = &self.history[HISTORY - samples.min(HISTORY)..];
        newest
            .iter()
            .map(|sample| u64::from(sample.unsigned_abs()))
            .sum::<u64>()
            < u64::from(level) * samples as u64
    }

    /// The filling `ahead` samples from here.
    fn filling(&self, ahead: usize) -> i16 {
        let at = self.gap + ahead;
        if at >= FADE_SAMPLES {
            return 0;
        }
        let sample = i32::from(self.period[at % self.period_length]);
        let left = (FADE_SAMPLES - at).min(FADE_SAMPLES - HOLD_SAMPLES) as i32;
        (sample * left / (FADE_SAMPLES - HOLD_SAMPLES) as i32) as i16
    }

    fn start_gap(&mut self) {
        let length = self.find_period();
        let history = &self.history;
        let period = &mut self.period[..length];
        period.copy_from_slice(&history[HISTORY - length..]);
        // The end of the period fades into what came before its start, so that repeating it makes no step.
        let quarter = length / 4;
        for n in 0..quarter {
            let before = i32::from(history[HISTORY - length - quarter + n]);
            let end = &mut period[length - quarter + n];
            *end = ((i32::from(*end) * (quarter - n) as i32 + before * n as i32) / quarter as i32) as i16;
        }
        self.period_length = length;
    }

    /// The lag at which the newest 20 ms look most like what came before.
    fn find_period(&self) -> usize {
        let mut best = (*PERIODS.start(), f32::MIN);
        for lag in PERIODS {
            let likeness = self.likeness(lag);
            if likeness > best.1 {
                best = (lag, likeness);
            }
        }
        best.0
    }

    /// Normalised cross-correlation of every second sample, keeping its sign.
    fn likeness(&self, lag: usize) -> f32 {
        let newest = &self.history[HISTORY - WINDOW..];
        let earlier = &self.history[HISTORY - WINDOW - lag..HISTORY - lag];
        let (mut product, mut energy) = (0.0f32, 1.0f32);
        for (&a, &b) in newest.iter().zip(earlier).step_by(2) {
            product += f32::from(a) * f32::from(b);
            energy += f32::from(b) * f32::from(b);
        }
        product / energy.sqrt()
    }

    fn remember(&mut self, samples: &[i16]) {
        let samples = &samples[samples.len().saturating_sub(HISTORY)..];
        self.history.copy_within(samples.len().., 0);
        self.history[HISTORY - samples.len()..].copy_from_slice(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voiced(n: usize) -> i16 {
        // 125 Hz with harmonics: a period of 64 samples.
        let phase = (n % 64) as f64 / 64.0 * std::f64::consts::TAU;
        (6_000.0 * (phase.sin() + 0.5 * (2.0 * phase).sin() + 0.3 * (5.0 * phase).cos())) as i16
    }

    fn speaking() -> Concealer {
        let mut concealer = Concealer::default();
        let mut sound: Vec<i16> = (0..HISTORY).map(voiced).collect();
        concealer.good(&mut sound);
        concealer
    }

    fn energy(samples: &[i16]) -> f64 {
        samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn a_lost_frame_of_a_vowel_goes_on_as_the_vowel() {
        let mut concealer = speaking();
        let mut frame = [0; 80];
        assert_eq!(concealer.conceal(&mut frame), 80);
        let ideal: Vec<i16> = (HISTORY..HISTORY + 80).map(voiced).collect();
        let error: Vec<i16> = frame
            .iter()
            .zip(&ideal)
            .map(|(a, b)| a.wrapping_sub(*b))
            .collect();
        assert!(
            energy(&error) < 0.01 * energy(&ideal),
            "{} of {}",
            energy(&error),
            energy(&ideal)
        );
    }

    #[test]
    fn a_long_gap_fades_to_silence_at_60_ms() {
        let mut concealer = speaking();
        let mut levels = Vec::new();
        let mut sounding = 0;
        for _ in 0..5 {
            let mut frame = [0; 160];
            sounding += concealer.conceal(&mut frame);
            levels.push(energy(&frame));
        }
        assert!(
            levels[0] > levels[1] && levels[1] > levels[2] && levels[2] > 0.0,
            "{levels:?}"
        );
        assert_eq!(&levels[3..], &[0.0, 0.0]);
        assert_eq!(sounding, FADE_SAMPLES);
    }

    #[test]
    fn sound_after_a_gap_comes_in_without_a_step() {
        let mut concealer = speaking();
        let mut gap = [0; 160];
        concealer.conceal(&mut gap);
        let ideal = vec![15_000; 160];
        let mut after = ideal.clone();
        concealer.good(&mut after);
        let whole_step = 15_000 - i32::from(gap[159]);
        let steps = after
            .windows(2)
            .map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs());
        let worst = steps
            .chain([(i32::from(after[0]) - i32::from(gap[159])).abs()])
            .max()
            .unwrap();
        assert!(worst < whole_step / 5, "{worst} of {whole_step}");
        assert_eq!(&after[JOIN_SAMPLES..], &ideal[JOIN_SAMPLES..]);
    }

    #[test]
    fn silence_is_concealed_by_silence() {
        let mut frame = [99; 160];
        Concealer::default().conceal(&mut frame);
        assert!(frame.iter().all(|&sample| sample == 0));
    }
}
