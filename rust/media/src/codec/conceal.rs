//! Packet loss concealment, in the class of G.711 Appendix I, at any rate from 8 to 48 kHz.
//!
//! A gap is filled by what the vocal tract would have gone on to say: the last sound is split into a filter (linear
//! prediction) and its excitation, the last pitch period of the excitation is repeated through the filter, and the result
//! fades along [`FADE`]. Since the filter goes on from the last samples that were played, the filling begins without a seam
//! and needs no delay, where the appendix waits 3.75 ms to smooth it. The first sound after the gap is cross-faded in.
//!
//! The choices were made by measuring (docs/reference/quality.md): the window of the prediction falls off only in its last
//! 2 ms, because what was said last counts most; the fade is steep for 20 ms, which helps single losses, then slow,
//! which helps bursts. Left out: a growing number of periods and noise for unvoiced sound, which gained nothing.

/// The gain of the filling: milliseconds into the gap, and the share of the level there; straight lines between.
pub const FADE: [(f32, f32); 3] = [(0.0, 1.0), (20.0, 0.67), (FADE_MS as f32, 0.0)];
/// Longest gap that is filled.
pub const FADE_MS: usize = 120;
/// Highest rate.
const MAX_FACTOR: usize = 6;
/// Pitch periods looked for, in samples at 8 kHz: 200 Hz down to 66 Hz. Higher voices are found at a multiple.
const PERIODS: std::ops::RangeInclusive<usize> = 40..=120;
/// Samples compared to find the period, at 8 kHz.
const WINDOW: usize = 120;
/// Samples the filter is learnt from, at 8 kHz.
const LEARNT: usize = 160;
/// The last of them, over which the window falls.
const LEARNT_FALL: usize = 16;
/// Output kept, at 8 kHz: 40 ms.
const HISTORY: usize = 320;
/// Cross-fade from the filling into the sound after it, at 8 kHz.
const JOIN: usize = 16;
/// Cross-fade from sound into a pause, at 8 kHz.
const PAUSE_FADE: usize = 80;
/// Most coefficients of the filter.
const MAX_ORDER: usize = 32;

/// Fills gaps in one stream of samples.
#[derive(Clone)]
pub struct Concealer {
    /// The rate, as a multiple of 8 kHz.
    factor: usize,
    order: usize,
    /// The last output, newest last.
    history: Box<[i16]>,
    /// One period of excitation, repeated in this gap.
    excitation: Box<[f32]>,
    period: usize,
    /// The filter: weights of the samples before, newest last.
    weights: [f32; MAX_ORDER],
    /// What the filter has made last, newest last, before the fade.
    memory: [f32; MAX_ORDER],
    /// Samples of this gap so far; zero means no gap.
    gap: usize,
}

impl Default for Concealer {
    fn default() -> Concealer {
        Concealer::new(8_000)
    }
}

impl Concealer {
    /// For samples at this rate, 8 to 48 kHz. It allocates now, and never again.
    pub fn new(rate_hz: u32) -> Concealer {
        let factor = (rate_hz as usize / 8_000).clamp(1, MAX_FACTOR);
        Concealer {
            factor,
            // 16 at 8 kHz, and a few more for what is above 4 kHz.
            order: (14 + 2 * factor + factor / 2).min(MAX_ORDER),
            history: vec![0; HISTORY * factor].into(),
            excitation: vec![0.0; (*PERIODS.end() + 1) * factor].into(),
            period: *PERIODS.start() * factor,
            weights: [0.0; MAX_ORDER],
            memory: [0.0; MAX_ORDER],
            gap: 0,
        }
    }

    /// Takes sound that is there, smoothing its start when it ends a gap.
    pub fn good(&mut self, samples: &mut [i16]) {
        if self.gap > 0 {
            let join = (JOIN * self.factor).min(samples.len());
            for (n, sample) in samples[..join].iter_mut().enumerate() {
                let new = n as f32 / join as f32;
                *sample = (f32::from(*sample) * new + self.next() * (1.0 - new)) as i16;
                self.gap += 1;
            }
            self.gap = 0;
        }
        self.remember(samples);
    }

    /// Fills `samples` and returns how many of them are sound rather than what is beyond the fade.
    pub fn conceal(&mut self, samples: &mut [i16]) -> usize {
        let before = self.gap;
        if before == 0 {
            self.start_gap();
        }
        for sample in &mut *samples {
            *sample = self.next() as i16;
            self.gap += 1;
        }
        self.remember(samples);
        (FADE_MS * 8 * self.factor)
            .saturating_sub(before)
            .min(samples.len())
    }

    /// Fills `samples` of a pause: what was said fades out in 10 ms, then there is silence.
    pub fn pause(&mut self, samples: &mut [i16]) {
        if self.gap == 0 {
            self.start_gap();
        }
        let fade = PAUSE_FADE * self.factor;
        for sample in &mut *samples {
            let gain = fade.saturating_sub(self.gap) as f32 / fade as f32;
            *sample = if gain > 0.0 {
                (self.next() * gain) as i16
            } else {
                0
            };
            self.gap += 1;
        }
        self.remember(samples);
        if self.gap >= fade {
            // What comes next has silence to go on from.
            self.gap = FADE_MS * 8 * self.factor;
        }
    }

    /// The newest `samples` of output (at most 40 ms) have a mean magnitude below `level`.
    pub fn is_quiet(&self, samples: usize, level: u32) -> bool {
        let newest = &self.history[self.history.len() - samples.min(self.history.len())..];
        newest
            .iter()
            .map(|sample| u64::from(sample.unsigned_abs()))
            .sum::<u64>()
            < u64::from(level) * newest.len() as u64
    }

    /// The next sample of the filling. The caller counts the gap.
    fn next(&mut self) -> f32 {
        let gain = gain(self.gap as f32 / (8 * self.factor) as f32);
        if gain <= 0.0 {
            return 0.0;
        }
        let order = self.order;
        let memory = &mut self.memory[..order];
        let predicted: f32 = memory
            .iter()
            .zip(&self.weights[..order])
            .map(|(sample, weight)| sample * weight)
            .sum();
        let sample = predicted + self.excitation[self.gap % self.period];
        // A filter learnt from a window does not run away; should rounding make it, it stays within the scale.
        let sample = sample.clamp(-32_768.0, 32_767.0);
        memory.copy_within(1.., 0);
        memory[order - 1] = sample;
        sample * gain
    }

    fn start_gap(&mut self) {
        self.period = self.find_period();
        self.learn_filter();
        let (order, from) = (self.order, self.history.len() - self.period);
        for n in 0..self.period {
            let at = from + n;
            let before = &self.history[at - order..at];
            let predicted: f32 = before
                .iter()
                .zip(&self.weights[..order])
                .map(|(&sample, weight)| f32::from(sample) * weight)
                .sum();
            self.excitation[n] = f32::from(self.history[at]) - predicted;
        }
        let newest = &self.history[self.history.len() - order..];
        for (memory, &sample) in self.memory.iter_mut().zip(newest) {
            *memory = f32::from(sample);
        }
    }

    /// Linear prediction by autocorrelation and the recursion of Levinson and Durbin.
    fn learn_filter(&mut self) {
        let order = self.order;
        let (length, fall) = (LEARNT * self.factor, LEARNT_FALL * self.factor);
        let rise = length - fall;
        let newest = &self.history[self.history.len() - length..];
        let mut windowed = [0.0f32; LEARNT * MAX_FACTOR];
        let quarter = std::f32::consts::FRAC_PI_2;
        for (n, (out, &sample)) in windowed.iter_mut().zip(newest).enumerate() {
            let weight = if n < rise {
                (quarter * (n as f32 + 0.5) / rise as f32).sin().powi(2)
            } else {
                (quarter * ((n - rise) as f32 + 0.5) / fall as f32).cos()
            };
            *out = f32::from(sample) * weight;
        }
        let windowed = &windowed[..length];
        let mut likeness = [0.0f32; MAX_ORDER + 1];
        for (lag, sum) in likeness[..=order].iter_mut().enumerate() {
            *sum = dot(&windowed[lag..], &windowed[..length - lag]);
        }
        // A little white noise (-40 dB) keeps the recursion stable.
        likeness[0] = likeness[0] * 1.000_1 + 1.0;
        let mut filter = [0.0f32; MAX_ORDER + 1];
        filter[0] = 1.0;
        let mut error = likeness[0];
        for m in 1..=order {
            let sum: f32 = (0..m).map(|n| filter[n] * likeness[m - n]).sum();
            let reflection = -sum / error;
            let before = filter;
            for n in 1..=m {
                filter[n] = before[n] + reflection * before[m - n];
            }
            error *= 1.0 - reflection * reflection;
            if error <= 0.0 {
                break;
            }
        }
        for (weight, tap) in self.weights[..order].iter_mut().rev().zip(&filter[1..]) {
            *weight = -tap;
        }
    }

    /// The lag at which the newest 15 ms look most like what came before: found at 8 kHz, then refined.
    fn find_period(&self) -> usize {
        let factor = self.factor;
        let mut coarse = [0.0f32; HISTORY];
        for (out, samples) in coarse.iter_mut().zip(self.history.chunks_exact(factor)) {
            *out = samples.iter().map(|&sample| f32::from(sample)).sum();
        }
        let found = most_alike(&coarse, WINDOW, PERIODS);
        if factor == 1 {
            return found;
        }
        let mut fine = [0.0f32; HISTORY * MAX_FACTOR];
        for (out, &sample) in fine.iter_mut().zip(&*self.history) {
            *out = f32::from(sample);
        }
        let around = (found - 1) * factor + 1..=(found + 1) * factor - 1;
        most_alike(&fine[..self.history.len()], WINDOW * factor, around)
    }

    fn remember(&mut self, samples: &[i16]) {
        let length = self.history.len();
        let samples = &samples[samples.len().saturating_sub(length)..];
        self.history.copy_within(samples.len().., 0);
        self.history[length - samples.len()..].copy_from_slice(samples);
    }
}

/// The share of the level at so many milliseconds into a gap.
fn gain(millis: f32) -> f32 {
    FADE.windows(2)
        .find(|part| millis < part[1].0)
        .map_or(0.0, |part| {
            let ((from, high), (to, low)) = (part[0], part[1]);
            high + (low - high) * (millis - from) / (to - from)
        })
}

/// The lag with the greatest normalised cross-correlation, keeping its sign.
fn most_alike(sound: &[f32], window: usize, lags: std::ops::RangeInclusive<usize>) -> usize {
    let start = sound.len() - window;
    let newest = &sound[start..];
    let mut best = (*lags.start(), f32::MIN);
    for lag in lags {
        let earlier = &sound[start - lag..sound.len() - lag];
        let likeness = dot(newest, earlier) / (dot(earlier, earlier) + 1.0).sqrt();
        if likeness > best.1 {
            best = (lag, likeness);
        }
    }
    best.0
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.0.iter().zip(b.0) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

    /// 125 Hz with harmonics.
    fn voiced(n: usize, rate_hz: u32) -> i16 {
        let phase = n as f64 * 125.0 / f64::from(rate_hz) * std::f64::consts::TAU;
        (6_000.0 * (phase.sin() + 0.5 * (2.0 * phase).sin() + 0.3 * (5.0 * phase).cos())) as i16
    }

    /// A concealer that has heard 60 ms of it.
    fn speaking(rate_hz: u32) -> Concealer {
        let mut concealer = Concealer::new(rate_hz);
        let mut sound: Vec<i16> = (0..heard(rate_hz)).map(|n| voiced(n, rate_hz)).collect();
        concealer.good(&mut sound);
        concealer
    }

    fn heard(rate_hz: u32) -> usize {
        rate_hz as usize * 60 / 1_000
    }

    fn frame(rate_hz: u32) -> Vec<i16> {
        vec![0; rate_hz as usize / 50]
    }

    fn energy(samples: &[i16]) -> f64 {
        samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn a_lost_frame_of_a_vowel_goes_on_as_the_vowel() {
        for rate_hz in RATES {
            let mut frame = frame(rate_hz);
            assert_eq!(speaking(rate_hz).conceal(&mut frame), frame.len());
            let error: Vec<i16> = frame
                .iter()
                .enumerate()
                .map(|(n, sample)| {
                    let faded = f32::from(voiced(heard(rate_hz) + n, rate_hz))
                        * gain(n as f32 * 1_000.0 / rate_hz as f32);
                    sample.wrapping_sub(faded as i16)
                })
                .collect();
            let share = energy(&error) / energy(&frame);
            assert!(share < 0.02, "{rate_hz} Hz: {share}");
        }
    }

    #[test]
    fn a_gap_begins_and_ends_without_a_step() {
        for rate_hz in RATES {
            let mut concealer = speaking(rate_hz);
            let steepest = (1..200)
                .map(|n| (i32::from(voiced(n, rate_hz)) - i32::from(voiced(n - 1, rate_hz))).abs())
                .max()
                .unwrap();
            let mut gap = frame(rate_hz);
            concealer.conceal(&mut gap);
            let start = i32::from(gap[0]) - i32::from(voiced(heard(rate_hz) - 1, rate_hz));
            assert!(start.abs() <= 2 * steepest, "{rate_hz} Hz: {start} of {steepest}");
            let mut after = vec![15_000; gap.len()];
            concealer.good(&mut after);
            let join = JOIN * concealer.factor;
            let whole_step = 15_000 + i32::from(gap[gap.len() - 1].unsigned_abs());
            let worst = [gap[gap.len() - 1]]
                .iter()
                .chain(&after)
                .collect::<Vec<_>>()
                .windows(2)
                .map(|pair| (i32::from(*pair[0]) - i32::from(*pair[1])).abs())
                .max()
                .unwrap();
            assert!(worst < whole_step / 4, "{rate_hz} Hz: {worst} of {whole_step}");
            assert!(after[join..].iter().all(|&sample| sample == 15_000));
        }
    }

    #[test]
    fn a_long_gap_fades_to_silence_and_counts_what_it_filled() {
        for rate_hz in RATES {
            let mut concealer = speaking(rate_hz);
            let (mut levels, mut sounding) = (Vec::new(), 0);
            for _ in 0..8 {
                let mut frame = frame(rate_hz);
                sounding += concealer.conceal(&mut frame);
                levels.push(energy(&frame));
            }
            assert!(levels[..6].is_sorted_by(|a, b| a > b), "{levels:?}");
            assert!(levels[5] > 0.0);
            assert_eq!(levels[6..], [0.0, 0.0]);
            assert_eq!(sounding, FADE_MS * rate_hz as usize / 1_000);
        }
    }

    #[test]
    fn a_pause_falls_silent_within_10_ms_and_sound_comes_back_whole() {
        for rate_hz in RATES {
            let mut concealer = speaking(rate_hz);
            let mut silence = vec![99; rate_hz as usize / 50];
            concealer.pause(&mut silence);
            let half = silence.len() / 2;
            assert!(energy(&silence[..half]) > 0.0 && energy(&silence[half..]) == 0.0);
            let mut after = vec![8_000; half];
            concealer.good(&mut after);
            assert!(after[0].abs() < 800 && after[half - 1] == 8_000);
        }
    }

    #[test]
    fn silence_is_concealed_by_silence() {
        for rate_hz in RATES {
            let mut frame = vec![99; rate_hz as usize / 50];
            Concealer::new(rate_hz).conceal(&mut frame);
            assert!(frame.iter().all(|&sample| sample == 0));
        }
    }

    #[test]
    fn no_sound_makes_the_filling_louder_than_it_was() {
        let mut state = 1u32;
        for rate_hz in RATES {
            for kind in 0..40usize {
                let mut concealer = Concealer::new(rate_hz);
                let mut sound: Vec<i16> = (0..heard(rate_hz))
                    .map(|n| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let noise = (state >> 17) as i16 as f64 - 16_384.0;
                        let tone = (n as f64 * (kind * kind) as f64 * 0.002).sin() * 32_000.0;
                        match kind % 4 {
                            0 => tone,
                            1 => noise * 2.0,
                            2 => tone.signum() * 32_767.0,
                            _ => {
                                if n % (kind + 20) == 0 {
                                    32_767.0
                                } else {
                                    noise * 0.01
                                }
                            }
                        }
                        .clamp(-32_768.0, 32_767.0) as i16
                    })
                    .collect();
                concealer.good(&mut sound);
                let loud = energy(&sound[sound.len() / 2..]);
                for _ in 0..6 {
                    let mut frame = frame(rate_hz);
                    concealer.conceal(&mut frame);
                    assert!(energy(&frame) < 2.5 * loud + 100.0, "{rate_hz} Hz, sound {kind}");
                }
            }
        }
    }
}
