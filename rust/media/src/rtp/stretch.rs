//! Time-scaling by overlap-add at the pitch lag: sound made shorter or longer by whole periods, without a change of
//! pitch. Any rate of 8 to 48 kHz.
//!
//! A seam with the lag L crossfades over L samples between the sound and itself shifted by
//! L, which for a lag of one period is the same sound. Uncorrelated sound (silence, noise) takes any lag, so that it can be
//! cut to length; speech takes the lag at which it is most like itself, and only if it is like itself at all.

/// Pitch periods looked for: 400 Hz down to 66 Hz.
const MIN_LAG_US: u32 = 2_500;
const MAX_LAG_US: u32 = 15_000;
/// Sound compared to find the period.
const WINDOW_US: u32 = 8_000;
/// Rate at which the first search is made; the lag is then refined at the full one.
const SEARCH_HZ: u32 = 8_000;

/// The longest lag looked for at a rate, in samples.
pub const fn max_lag(rate_hz: u32) -> usize {
    samples(rate_hz, MAX_LAG_US)
}

const fn samples(rate_hz: u32, micros: u32) -> usize {
    (rate_hz as u64 * micros as u64 / 1_000_000) as usize
}

/// A lag and how much the sound is like itself at it: 1 is a perfect period, 0 noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period {
    /// In samples.
    pub lag: usize,
    /// Normalised correlation, -1..=1.
    pub likeness: f32,
}

/// Which way the sound is compared with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// With what comes a lag later: to make it shorter.
    Later,
    /// With what came a lag earlier: to make it longer.
    Earlier,
}

/// The period of `sound` at the sample `at`, or `None` when there is too little of it: 8 ms from `at` on, and [`max_lag`]
/// more that way.
pub fn find_period(sound: &[i16], at: usize, towards: Towards, rate_hz: u32) -> Option<Period> {
    let step = (rate_hz / SEARCH_HZ).max(1) as usize;
    let window = samples(rate_hz, WINDOW_US);
    let longest = max_lag(rate_hz);
    let enough = match towards {
        Towards::Later => at + longest + window <= sound.len(),
        Towards::Earlier => longest <= at && at + window <= sound.len(),
    };
    let here = sound.get(at..at + window).filter(|_| enough)?;
    let there = |lag: usize| match towards {
        Towards::Later => &sound[at + lag..][..window],
        Towards::Earlier => &sound[at - lag..][..window],
    };
    let coarse = (samples(rate_hz, MIN_LAG_US)..=longest).step_by(step);
    let best = most_alike(here, there, coarse, step);
    if step == 1 {
        return Some(best);
    }
    let near = (best.lag + 1).saturating_sub(step)..(best.lag + step).min(longest + 1);
    Some(most_alike(here, there, near, 2))
}

fn most_alike<'a>(
    here: &[i16],
    there: impl Fn(usize) -> &'a [i16],
    lags: impl Iterator<Item = usize>,
    step: usize,
) -> Period {
    let mut best = Period {
        lag: 1,
        likeness: f32::MIN,
    };
    for lag in lags {
        let likeness = likeness(here, there(lag), step);
        if likeness > best.likeness {
            best = Period { lag, likeness };
        }
    }
    best
}

/// Normalised cross-correlation of every `step`-th sample.
fn likeness(a: &[i16], b: &[i16], step: usize) -> f32 {
    let (mut product, mut energy_a, mut energy_b) = (0.0f32, 1.0f32, 1.0f32);
    for (&a, &b) in a.iter().zip(b).step_by(step) {
        let (a, b) = (f32::from(a), f32::from(b));
        product += a * b;
        energy_a += a * a;
        energy_b += b * b;
    }
    product / (energy_a * energy_b).sqrt()
}

/// Removes `lag` samples from the start of `sound`: its first `overlap` samples fade into those `lag` later.
///
/// # Panics
///
/// When `sound` is shorter than `lag + overlap`.
pub fn accelerate(sound: &mut Vec<i16>, lag: usize, overlap: usize) {
    for n in 0..overlap {
        sound[n] = fade(sound[n], sound[n + lag], n, overlap);
    }
    sound.drain(overlap..overlap + lag);
}

/// Inserts `lag` samples before `sound`, of which `played` went before: a repetition of the last `lag` samples played,
/// into which the sound that would have come fades. The caller's `sound` must have room, and `lag` samples at least.
///
/// # Panics
///
/// When `sound` or `played` is shorter than `lag`.
pub fn expand(played: &[i16], sound: &mut Vec<i16>, lag: usize) {
    let before = &played[played.len() - lag..];
    let length = sound.len();
    sound.resize(length + lag, 0);
    sound.copy_within(..length, lag);
    for n in 0..lag {
        // `sound[n + lag]` is what would have come here.
        sound[n] = fade(sound[n + lag], before[n], n, lag);
    }
}

/// From `a` to `b`, `n` of `count` on the way.
fn fade(a: i16, b: i16, n: usize, count: usize) -> i16 {
    let (n, count) = (n as i32, count as i32);
    ((i32::from(a) * (count - n) + i32::from(b) * n) / count) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vowel of 125 Hz with harmonics.
    fn vowel(start: usize, count: usize, rate_hz: u32) -> Vec<i16> {
        (start..start + count)
            .map(|n| {
                let phase = n as f64 * 125.0 / f64::from(rate_hz) * std::f64::consts::TAU;
                (6_000.0 * (phase.sin() + 0.5 * (2.0 * phase).sin() + 0.3 * (5.0 * phase).cos())) as i16
            })
            .collect()
    }

    fn worst(a: &[i16], b: &[i16]) -> i32 {
        let differences = a
            .iter()
            .zip(b)
            .map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs());
        differences.max().unwrap()
    }

    #[test]
    fn the_period_of_a_vowel_is_found_at_every_rate() {
        for rate_hz in [8_000, 16_000, 24_000, 48_000] {
            let sound = vowel(17, frame(rate_hz) * 2, rate_hz);
            let period = find_period(&sound, 0, Towards::Later, rate_hz).unwrap();
            assert_eq!(period.lag, rate_hz as usize / 125, "{rate_hz}");
            assert!(period.likeness > 0.99);
            let at = frame(rate_hz);
            let earlier = find_period(&sound, at, Towards::Earlier, rate_hz).unwrap();
            assert_eq!(earlier.lag, period.lag);
        }
    }

    fn frame(rate_hz: u32) -> usize {
        rate_hz as usize / 50
    }

    #[test]
    fn a_vowel_made_shorter_or_longer_by_a_period_is_the_vowel() {
        for rate_hz in [8_000, 16_000, 48_000] {
            let period = rate_hz as usize / 125;
            let whole = vowel(0, frame(rate_hz) * 4, rate_hz);
            let mut sound = whole[..frame(rate_hz) * 2].to_vec();
            accelerate(&mut sound, period, period);
            assert_eq!(sound.len(), frame(rate_hz) * 2 - period);
            assert!(worst(&sound, &whole) <= 2, "{}", worst(&sound, &whole));

            let (played, rest) = whole[..frame(rate_hz) * 2].split_at(frame(rate_hz));
            let mut sound = rest.to_vec();
            expand(played, &mut sound, period);
            assert_eq!(sound.len(), frame(rate_hz) + period);
            assert!(worst(&sound, &whole[frame(rate_hz)..]) <= 2);
        }
    }

    #[test]
    fn the_end_of_the_sound_is_left_as_it_was() {
        let whole = vowel(0, 320, 8_000);
        let mut sound = whole.clone();
        accelerate(&mut sound, 100, 60);
        assert_eq!(sound[60..], whole[160..]);
        let mut sound = whole[160..].to_vec();
        expand(&whole[..160], &mut sound, 100);
        assert_eq!(sound[100..], whole[160..]);
        assert_eq!(sound[0], whole[160], "no step at the seam");
    }

    #[test]
    fn noise_is_like_nothing() {
        let mut state = 1u32;
        let noise: Vec<i16> = (0..400)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16 - 8_192
            })
            .collect();
        assert!(find_period(&noise, 0, Towards::Later, 8_000).unwrap().likeness < 0.6);
        assert!(find_period(&noise, 100, Towards::Earlier, 8_000).is_none());
    }
}
