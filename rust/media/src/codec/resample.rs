//! Rate conversion by a rational factor L/M: a polyphase FIR filter, a sinc under a Kaiser window.
//!
//! Going up, the filter is a Nyquist filter: every input sample is an output sample, and only those between are
//! computed (for 8 to 16 kHz it is a half-band filter). Going down, the pass band ends a little before the new Nyquist
//! frequency, so that what folds back is below 60 dB. Between 8, 16, 24 and 48 kHz the pass band is flat within 0.1 dB up to
//! 0.8 of the lower Nyquist frequency (3200 Hz at 8 kHz) and 1 dB down at 0.85; the delay is [`ZERO_CROSSINGS`] samples of the
//! lower rate: 3 ms at 8 kHz. Twice the length would be flat to 3600 Hz, but a call may be converted both ways.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side.
pub const ZERO_CROSSINGS: usize = 24;
/// Lowest and highest rate that is converted.
pub const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// Shape of the Kaiser window: about 70 dB.
const KAISER_BETA: f64 = 6.76;
/// Where the pass band ends going down, relative to the new Nyquist frequency.
const ROLL_OFF: f64 = 0.91;
/// Sums kept side by side so that the compiler can use vector instructions.
const LANES: usize = 8;

/// Why a converter cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedRate(
    /// The rate in question.
    pub u32,
);

/// By how much sound comes later for being brought from one rate to another, in milliseconds.
pub fn delay_ms(from_hz: u32, to_hz: u32) -> u64 {
    if from_hz == to_hz {
        return 0;
    }
    (ZERO_CROSSINGS as u64 * 1_000).div_ceil(u64::from(from_hz.min(to_hz)))
}

/// A streaming converter.
#[derive(Clone, Debug)]
pub struct Resampler {
    up: usize,
    down: usize,
    taps: usize,
    /// One row of `taps` coefficients per phase, newest input last.
    rows: Vec<f32>,
    /// For each phase: the only coefficient that is not zero, if there is only one.
    copies: Vec<Option<usize>>,
    /// Input not yet behind the window.
    pending: Vec<f32>,
    /// Start of the window of the next output in `pending`, and its phase.
    start: usize,
    phase: usize,
}

impl Resampler {
    /// A converter between two rates within [`RATES_HZ`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Resampler, UnsupportedRate> {
        for rate in [from_hz, to_hz] {
            if !RATES_HZ.contains(&rate) {
                return Err(UnsupportedRate(rate));
            }
        }
        let divisor = gcd(from_hz, to_hz);
        let (up, down) = ((to_hz / divisor) as usize, (from_hz / divisor) as usize);
        // The window is as long as ZERO_CROSSINGS samples of the lower rate, each way, rounded up to whole lanes.
        let half = (ZERO_CROSSINGS * down.max(up))
            .div_ceil(up)
            .next_multiple_of(LANES / 2);
        let rows = coefficients(up, down, half);
        let taps = 2 * half;
        let copies = rows.chunks_exact(taps).map(only_tap).collect();
        let mut pending = Vec::with_capacity(taps + from_hz as usize / 10);
        pending.resize(taps - 1, 0.0);
        Ok(Resampler {
            up,
            down,
            taps,
            rows,
            copies,
            pending,
            start: 0,
            phase: 0,
        })
    }

    /// The delay in input samples.
    pub fn delay(&self) -> usize {
        self.taps / 2
    }

    /// Converts `input`, appending to `out` every sample that is ready.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        self.pending.extend(input.iter().map(|&sample| f32::from(sample)));
        let (whole, part) = (self.down / self.up, self.down % self.up);
        while self.start + self.taps <= self.pending.len() {
            let window = &self.pending[self.start..self.start + self.taps];
            let value = match self.copies[self.phase] {
                Some(tap) => window[tap],
                None => dot(window, &self.rows[self.phase * self.taps..][..self.taps]),
            };
            // Rounded half away from zero; the cast saturates.
            out.push((value + 0.5f32.copysign(value)) as i16);
            self.start += whole;
            self.phase += part;
            if self.phase >= self.up {
                self.phase -= self.up;
                self.start += 1;
            }
        }
        let used = self.start.min(self.pending.len());
        self.pending.drain(..used);
        self.start -= used;
    }
}

/// Converts a whole signal; the output begins where the input does.
pub fn resample(input: &[i16], from_hz: u32, to_hz: u32) -> Result<Vec<i16>, UnsupportedRate> {
    if from_hz == to_hz {
        return Ok(input.to_vec());
    }
    let mut resampler = Resampler::new(from_hz, to_hz)?;
    let length = (input.len() as u64 * u64::from(to_hz)).div_ceil(u64::from(from_hz)) as usize;
    // The window begins half before the first input, so that the first output stands on it: no delay.
    resampler.pending.truncate(resampler.delay() - 1);
    let mut out = Vec::with_capacity(length + resampler.taps);
    resampler.process(input, &mut out);
    resampler.process(&vec![0; resampler.taps], &mut out);
    out.truncate(length);
    Ok(out)
}

/// The filter, cut into one row per phase. Row p, tap k weighs the input sample k of the window.
fn coefficients(up: usize, down: usize, half: usize) -> Vec<f32> {
    let cutoff = if up >= down {
        1.0
    } else {
        ROLL_OFF * up as f64 / down as f64
    };
    let taps = 2 * half;
    let window = |x: f64| bessel_i0(KAISER_BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel_i0(KAISER_BETA);
    let mut rows = Vec::with_capacity(up * taps);
    for phase in 0..up {
        let row = rows.len();
        for tap in 0..taps {
            // Distance, in input samples, between this input and the output at half a window plus phase/up.
            let distance = tap as f64 - (half as f64 - 1.0) - phase as f64 / up as f64;
            rows.push((cutoff * sinc(cutoff * distance) * window(distance / half as f64)) as f32);
        }
        let sum: f32 = rows[row..].iter().sum();
        rows[row..].iter_mut().for_each(|tap| *tap /= sum);
    }
    rows
}

fn only_tap(row: &[f32]) -> Option<usize> {
    let mut large = row.iter().enumerate().filter(|(_, tap)| tap.abs() > 1e-6);
    match (large.next(), large.next()) {
        (Some((tap, _)), None) => Some(tap),
        _ => None,
    }
}

fn dot(window: &[f32], row: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (inputs, taps) in window
        .as_chunks::<LANES>()
        .0
        .iter()
        .zip(row.as_chunks::<LANES>().0)
    {
        for lane in 0..LANES {
            sums[lane] += inputs[lane] * taps[lane];
        }
    }
    // Halves first, in the order the lanes lie in a vector register: it stays one through the loop.
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// Modified Bessel function of the first kind, order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-12 * sum {
        term *= (x / (2.0 * k)) * (x / (2.0 * k));
        sum += term;
        k += 1.0;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate_hz: u32, tone_hz: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| (10_000.0 * (2.0 * PI * tone_hz * n as f64 / f64::from(rate_hz)).sin()) as i16)
            .collect()
    }

    /// Power of the difference to the ideal, relative to the ideal, in dB; the edges do not count.
    fn error_db(got: &[i16], ideal: &[i16]) -> f64 {
        let inner = 400..got.len().min(ideal.len()) - 400;
        let power = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let error = power(&mut inner.clone().map(|n| f64::from(got[n]) - f64::from(ideal[n])));
        10.0 * (error / power(&mut inner.map(|n| f64::from(ideal[n])))).log10()
    }

    #[test]
    fn a_tone_keeps_its_pitch_its_level_and_its_place() {
        for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000] {
            let got = resample(&tone(rate, 440.0, rate as usize), rate, 8_000).unwrap();
            assert_eq!(got.len(), 8_000, "{rate}");
            let error = error_db(&got, &tone(8_000, 440.0, 8_000));
            assert!(error < -55.0, "{rate} Hz: {error:.1} dB");
        }
        for tone_hz in [300.0, 1_000.0, 3_000.0, 3_400.0] {
            let got = resample(&tone(8_000, tone_hz, 8_000), 8_000, 16_000).unwrap();
            let error = error_db(&got, &tone(16_000, tone_hz, 16_000));
            assert!(error < -50.0, "{tone_hz} Hz, 8 to 16 kHz: {error:.1} dB");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_carry_is_gone() {
        for rate in [16_000u32, 44_100, 48_000] {
            let got = resample(&tone(rate, 5_000.0, rate as usize), rate, 8_000).unwrap();
            let peak = got[400..7_600].iter().map(|s| s.unsigned_abs()).max().unwrap();
            assert!(peak < 20, "{rate} Hz: peak {peak} of 10000");
        }
    }

    #[test]
    fn going_up_by_two_keeps_every_input_sample() {
        let input = tone(8_000, 700.0, 800);
        let output = resample(&input, 8_000, 16_000).unwrap();
        assert!(
            output
                .iter()
                .step_by(2)
                .zip(&input)
                .all(|(out, sample)| out == sample)
        );
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let input = tone(16_000, 300.0, 3_200);
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        Resampler::new(16_000, 8_000).unwrap().process(&input, &mut whole);
        let mut resampler = Resampler::new(16_000, 8_000).unwrap();
        for (n, chunk) in input.chunks(77).enumerate() {
            resampler.process(&chunk[..chunk.len() / 2], &mut pieces);
            resampler.process(&chunk[chunk.len() / 2..], &mut pieces);
            assert!(resampler.pending.len() <= resampler.taps + 77, "grows at {n}");
        }
        assert_eq!(whole, pieces);
    }

    const PAIRS: [(u32, u32); 12] = [
        (8_000, 16_000),
        (8_000, 24_000),
        (8_000, 48_000),
        (16_000, 8_000),
        (16_000, 24_000),
        (16_000, 48_000),
        (24_000, 8_000),
        (24_000, 16_000),
        (24_000, 48_000),
        (48_000, 8_000),
        (48_000, 16_000),
        (48_000, 24_000),
    ];

    /// Level of everything in the output of 0.15 s of a tone, relative to the tone, in dB.
    fn gain_db(from_hz: u32, to_hz: u32, tone_hz: f64) -> f64 {
        let got = resample(&tone(from_hz, tone_hz, from_hz as usize * 3 / 20), from_hz, to_hz).unwrap();
        let inner = &got[got.len() / 5..got.len() * 4 / 5];
        let power = inner.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / inner.len() as f64;
        10.0 * (power / (10_000.0f64.powi(2) / 2.0)).log10()
    }

    #[test]
    fn the_pass_band_is_flat() {
        for (from, to) in PAIRS {
            let nyquist = f64::from(from.min(to)) / 2.0;
            for share in [0.05, 0.2, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8] {
                let gain = gain_db(from, to, nyquist * share);
                assert!(gain.abs() < 0.1, "{from} to {to} Hz at {share}: {gain:.2} dB");
            }
            let edge = gain_db(from, to, nyquist * 0.85);
            assert!(edge > -1.2, "{from} to {to} Hz at the edge: {edge:.2} dB");
        }
    }

    #[test]
    fn nothing_folds_back_and_no_image_stands_above() {
        for (from, to) in PAIRS {
            let nyquist = f64::from(from.min(to)) / 2.0;
            if to < from {
                for share in [1.02, 1.1, 1.3, 1.6, 1.9] {
                    let tone_hz = nyquist * share;
                    let level = gain_db(from, to, tone_hz);
                    assert!(level < -60.0, "{tone_hz} Hz, {from} to {to}: {level:.1} dB");
                }
                continue;
            }
            for share in [0.2, 0.5, 0.8] {
                let tone_hz = nyquist * share;
                let got = resample(&tone(from, tone_hz, from as usize / 4), from, to).unwrap();
                let error = error_db(&got, &tone(to, tone_hz, to as usize / 4));
                assert!(error < -55.0, "{tone_hz} Hz, {from} to {to}: {error:.1} dB");
            }
        }
    }

    #[test]
    fn an_impulse_comes_within_5_ms() {
        for (from, to) in PAIRS {
            let mut resampler = Resampler::new(from, to).unwrap();
            let mut input = vec![0; from as usize / 10];
            input[0] = 20_000;
            let mut out = Vec::new();
            resampler.process(&input, &mut out);
            let peak = (0..out.len()).max_by_key(|&n| out[n].unsigned_abs()).unwrap();
            let (came_ms, told_ms) = (
                peak as f64 * 1_000.0 / f64::from(to),
                resampler.delay() as f64 * 1_000.0 / f64::from(from),
            );
            let step_ms = 1_000.0 / f64::from(from.min(to));
            assert!(
                (came_ms - told_ms).abs() <= step_ms,
                "{from} to {to}: {came_ms}, {told_ms}"
            );
            assert!(told_ms <= 5.0, "{from} to {to}: {told_ms} ms");
        }
    }

    #[test]
    fn frames_give_what_the_whole_gives_at_every_pair_of_rates() {
        for (from, to) in PAIRS {
            let input = tone(from, 441.0, from as usize / 10);
            let mut whole = Vec::new();
            Resampler::new(from, to).unwrap().process(&input, &mut whole);
            for piece in [from as usize / 50, 37] {
                let (mut resampler, mut pieces) = (Resampler::new(from, to).unwrap(), Vec::new());
                for samples in input.chunks(piece) {
                    resampler.process(samples, &mut pieces);
                }
                assert!(whole == pieces, "{from} to {to} in pieces of {piece}");
            }
            let expected = input.len() * to as usize / from as usize;
            assert!(whole.len() <= expected && whole.len() + to as usize / 200 >= expected);
        }
    }

    #[test]
    fn odd_rates_work_and_impossible_ones_are_refused() {
        assert_eq!(resample(&[100; 8_001], 8_001, 8_000).unwrap().len(), 8_000);
        assert_eq!(resample(&[0; 10], 0, 8_000), Err(UnsupportedRate(0)));
        assert_eq!(resample(&[0; 10], 400_000, 8_000), Err(UnsupportedRate(400_000)));
        assert!(resample(&[], 44_100, 8_000).unwrap().is_empty());
    }
}
