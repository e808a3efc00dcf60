//! The target delay, from when packets arrived.
//!
//! Each packet has a *transit*: its arrival minus its place on the sender's timeline. Only differences mean anything:
//! the smallest transit of the last [`WINDOW_US`] is the *base*, and what a packet's transit is above it is its *relative
//! delay*. A histogram of relative delays that forgets says how long the fastest packet must wait for some share of all
//! sound to come in time.
//!
//! Idea: the delay manager of NetEQ (a histogram with a forgetting factor and a quantile) and ezk's queue. What differs:
//!
//! - The target rests while the share that comes late at it is between [`LOWER`] and [`RAISE`]. A delay that moves costs
//!   more than one that is some milliseconds too long, or than a packet in a thousand.
//! - The base follows the network both ways. When it falls, all that is slower than the new base counts as delay, as in
//!   NetEQ. When it rises by more than [`ROUTE_CHANGE_US`], the histogram is moved with it: a longer route is not jitter,
//!   and a target grown by it would stand for as long as the histogram remembers.
//! - What came in the queue behind another packet (a stall that ends, a clump of a sleeping radio) counts
//!   [`QUEUED_WEIGHT`] of what that one did: one stall is one event, however many packets it held up.
//! - What has not been seen for [`PEAK_WINDOW_US`] is not waited for, however much of it there was before.
//! - Weights are sound, not packets: 60 ms in one packet is three times 20 ms.
//!
//! Late packets count like all others, so what came after it was concealed raises the target.

use crate::time::Time;

/// The target is raised when a larger share of the sound would come late.
pub const RAISE: f32 = 0.010;
/// The target is lowered when, at a lower one, still no more than this would come late.
pub const LOWER: f32 = 0.005;
/// Half a frame: the wait of the fastest packet is a frame wide, with the target in its middle.
pub const GUARD_US: i64 = 10_000;
/// Added to what the histogram says: this and a quarter of it, at most [`MAX_SAFETY_US`].
pub const SAFETY_US: i64 = 1_000;
/// Upper bound of what is added.
pub const MAX_SAFETY_US: i64 = 8_000;
/// The base is the smallest transit of so long.
pub const WINDOW_US: u64 = BUCKETS as u64 * BUCKET_US;
/// A base that rises by more is another route.
pub const ROUTE_CHANGE_US: i64 = 20_000;
/// Sound that the histogram remembers: what is older weighs less than 1/e.
pub const MEMORY_MS: f32 = 20_000.0;
/// Weight of what came in the queue behind another packet, against that one's.
pub const QUEUED_WEIGHT: f32 = 2.0 / 3.0;
/// Longer ago than this, at most, no delay is waited for; at least two thirds of it are looked back on.
pub const PEAK_WINDOW_US: u64 = PEAKS as u64 * PEAK_US;
/// Default lower bound of the target.
pub const DEFAULT_MIN_MS: u32 = 10;
/// Default upper bound of the target.
pub const DEFAULT_MAX_MS: u32 = 200;
/// Upper bound of the upper bound.
pub const LIMIT_MS: u32 = 500;

const BUCKETS: usize = 5;
const BUCKET_US: u64 = 400_000;
const PEAKS: usize = 3;
const PEAK_US: u64 = 5_000_000;
/// Width of a bin.
const BIN_US: i64 = 1_000;
/// The last bin holds all that is longer.
const BINS: usize = 520;
/// Sound after which the target is looked at even if nothing called for it.
const REVIEW_MS: u32 = 200;
/// Weights are scaled back when the newest has become so large.
const MAX_WEIGHT: f32 = 1e6;

/// The bounds of the target delay of one call, in milliseconds: `min_ms <= max_ms <=` [`LIMIT_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The target is never lower. A clean network is heard up to 10 ms more or less late
    /// than this and [`SAFETY_US`].
    pub min_ms: u32,
    /// The target is never higher.
    pub max_ms: u32,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            min_ms: DEFAULT_MIN_MS,
            max_ms: DEFAULT_MAX_MS,
        }
    }
}

impl Bounds {
    /// Bounds that are in order.
    pub fn new(min_ms: u32, max_ms: u32) -> Option<Bounds> {
        (min_ms <= max_ms && max_ms <= LIMIT_MS).then_some(Bounds { min_ms, max_ms })
    }
}

/// What is known of the delays of one source. All times in microseconds.
pub struct DelayEstimator {
    bounds: Bounds,
    /// Smallest transit of each part of the window, newest first.
    buckets: [Option<i64>; BUCKETS],
    bucket_start: Time,
    base: Option<i64>,
    histogram: [f32; BINS],
    total: f32,
    /// Weight of a millisecond now. It grows instead of all others shrinking.
    weight: f32,
    growth: f32,
    last: Option<(Time, i64)>,
    /// Weight of the newest packet.
    share: f32,
    /// Longest relative delay of each part of the window, newest first.
    peaks: [i64; PEAKS],
    peak_start: Time,
    unreviewed_ms: u32,
    target_us: i64,
}

impl DelayEstimator {
    /// One that knows nothing: its target is the lower bound.
    pub fn new(bounds: Bounds) -> DelayEstimator {
        DelayEstimator {
            bounds,
            buckets: [None; BUCKETS],
            bucket_start: Time(0),
            base: None,
            histogram: [0.0; BINS],
            total: 0.0,
            weight: 1.0,
            growth: (10.0 / MEMORY_MS).exp(),
            last: None,
            share: 1.0,
            peaks: [0; PEAKS],
            peak_start: Time(0),
            unreviewed_ms: 0,
            target_us: i64::from(bounds.min_ms) * 1_000,
        }
    }

    /// The delay aimed for: how long the fastest packets are to wait, within [`GUARD_US`].
    pub fn target_us(&self) -> i64 {
        self.target_us
    }

    /// The smallest transit of late; `None` before the first packet.
    pub fn base_us(&self) -> Option<i64> {
        self.base
    }

    /// The bounds.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Other bounds from now on.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.review();
    }

    /// Transits from now on cannot be compared to those before: after a pause, or when the timeline has moved. What is
    /// known of the jitter stays, since it is the network's.
    pub fn restart_base(&mut self) {
        self.buckets = [None; BUCKETS];
        self.base = None;
        self.last = None;
    }

    /// Takes the transit of a packet that holds `duration_ms` of sound.
    pub fn observe(&mut self, now: Time, transit_us: i64, duration_ms: u32) {
        self.follow_base(now, transit_us);
        let relative = transit_us - self.base.unwrap_or(transit_us);
        let queued = self.last.is_some_and(|(before, transit)| {
            // Less than half the time between the two at the sender has passed between them here.
            let apart_here = now.micros_since(before) as i64;
            let apart_there = apart_here - (transit_us - transit);
            apart_there > 0 && 2 * apart_here < apart_there
        });
        self.last = Some((now, transit_us));
        self.share = if queued { self.share * QUEUED_WEIGHT } else { 1.0 };
        self.count(relative, duration_ms, self.share);
        self.note_peak(now, relative);
        self.unreviewed_ms += duration_ms;
        if self.unreviewed_ms >= REVIEW_MS || relative + GUARD_US > self.target_us {
            self.review();
        }
    }

    fn follow_base(&mut self, now: Time, transit_us: i64) {
        let elapsed = now.micros_since(self.bucket_start) / BUCKET_US;
        if elapsed > 0 {
            let moved = (elapsed as usize).min(BUCKETS);
            self.buckets.rotate_right(moved);
            self.buckets[..moved].fill(None);
            self.bucket_start = Time(self.bucket_start.0 + elapsed * BUCKET_US);
        }
        let newest = &mut self.buckets[0];
        *newest = Some(newest.map_or(transit_us, |least| least.min(transit_us)));
        let Some(base) = self.buckets.iter().flatten().copied().min() else {
            return;
        };
        if let Some(before) = self.base.replace(base)
            && base - before > ROUTE_CHANGE_US
        {
            self.shift(((base - before) / BIN_US) as usize);
        }
    }

    fn note_peak(&mut self, now: Time, relative_us: i64) {
        let elapsed = now.micros_since(self.peak_start) / PEAK_US;
        if elapsed > 0 {
            let moved = (elapsed as usize).min(PEAKS);
            self.peaks.rotate_right(moved);
            self.peaks[..moved].fill(0);
            self.peak_start = Time(self.peak_start.0 + elapsed * PEAK_US);
        }
        self.peaks[0] = self.peaks[0].max(relative_us);
    }

    /// All delays in the histogram are shorter by so many bins, against the new base.
    fn shift(&mut self, bins: usize) {
        for peak in &mut self.peaks {
            *peak = (*peak - bins as i64 * BIN_US).max(0);
        }
        let bins = bins.min(BINS - 1);
        let below: f32 = self.histogram[..=bins].iter().sum();
        self.histogram.copy_within(bins.., 0);
        self.histogram[BINS - bins..].fill(0.0);
        self.histogram[0] = below;
    }

    fn count(&mut self, relative_us: i64, duration_ms: u32, share: f32) {
        let bin = ((relative_us.max(0) / BIN_US) as usize).min(BINS - 1);
        let added = self.weight * share * duration_ms as f32;
        self.histogram[bin] += added;
        self.total += added;
        (0..duration_ms.div_ceil(10)).for_each(|_| self.weight *= self.growth);
        if self.weight > MAX_WEIGHT {
            let scale = 1.0 / self.weight;
            self.histogram.iter_mut().for_each(|bin| *bin *= scale);
            // Summed anew, so that rounding does not gather.
            self.total = self.histogram.iter().sum();
            self.weight = 1.0;
        }
    }

    fn review(&mut self) {
        self.unreviewed_ms = 0;
        let least = i64::from(self.bounds.min_ms) * 1_000;
        let most = i64::from(self.bounds.max_ms) * 1_000;
        let peak = self.peaks.iter().copied().max().unwrap_or(0);
        let target_us = |late| {
            let wait = self.wait_us(late).min(peak);
            wait + (SAFETY_US + wait / 4).min(MAX_SAFETY_US) + GUARD_US
        };
        self.target_us = self
            .target_us
            .clamp(target_us(RAISE), target_us(LOWER))
            .clamp(least, most);
    }

    /// The relative delay that all sound but this share stays below.
    fn wait_us(&self, late: f32) -> i64 {
        let allowed = self.total * late;
        let mut above = 0.0;
        for (bin, &mass) in self.histogram.iter().enumerate().rev() {
            if above + mass > allowed {
                // Evenly spread within the bin.
                let share = (allowed - above) / mass;
                return (bin as i64 + 1) * BIN_US - (share * BIN_US as f32) as i64;
            }
            above += mass;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms whose relative delays are as told; the time of the last is returned.
    fn observe(estimator: &mut DelayEstimator, start: u64, delays_ms: impl IntoIterator<Item = u64>) -> u64 {
        let mut sent = start;
        for delay_ms in delays_ms {
            let arrival = Time::from_millis(1_000 + sent + delay_ms);
            estimator.observe(arrival, (delay_ms as i64 + 1_000) * 1_000, 20);
            sent += 20;
        }
        sent
    }

    fn exponential(mean_ms: f64) -> impl FnMut() -> u64 {
        let mut state = 0x2545_f491_4f6c_dd1du64;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let uniform = ((state >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
            (-mean_ms * uniform.ln()) as u64
        }
    }

    #[test]
    fn a_steady_network_has_the_least_target() {
        let mut estimator = DelayEstimator::new(Bounds::default());
        observe(&mut estimator, 0, std::iter::repeat_n(0, 500));
        assert!(estimator.target_us() < 12_500, "{}", estimator.target_us());
        assert_eq!(estimator.base_us(), Some(1_000_000));
    }

    #[test]
    fn stationary_jitter_has_the_target_of_its_quantile() {
        for (mean_ms, target_ms) in [(10.0, 63.0), (25.0, 142.0)] {
            let mut estimator = DelayEstimator::new(Bounds::default());
            let mut random = exponential(mean_ms);
            let mut sent = observe(&mut estimator, 0, (0..2_000).map(|_| random()));
            let mut mean = 0.0;
            for _ in 0..100 {
                sent = observe(&mut estimator, sent, (0..50).map(|_| random()));
                mean += estimator.target_us() as f64 / 100_000.0;
            }
            assert!(
                (mean - target_ms).abs() < target_ms * 0.15,
                "{mean_ms}: {mean:.1} ms"
            );
        }
    }

    #[test]
    fn a_longer_route_is_not_jitter() {
        let mut estimator = DelayEstimator::new(Bounds::default());
        let sent = observe(&mut estimator, 0, std::iter::repeat_n(0, 500));
        let sent = observe(&mut estimator, sent, std::iter::repeat_n(120, 50));
        assert!(estimator.target_us() > 100_000, "for now");
        observe(&mut estimator, sent, std::iter::repeat_n(120, 70));
        assert!(estimator.target_us() < 12_500, "{}", estimator.target_us());
        assert_eq!(estimator.base_us(), Some(1_120_000));
    }

    #[test]
    fn a_shorter_route_is_believed_at_once() {
        let mut estimator = DelayEstimator::new(Bounds::default());
        let sent = observe(&mut estimator, 0, std::iter::repeat_n(120, 500));
        observe(&mut estimator, sent, [0]);
        assert_eq!(estimator.base_us(), Some(1_000_000));
        assert!(estimator.target_us() < 12_500, "{}", estimator.target_us());
    }

    #[test]
    fn one_stall_is_one_event() {
        let mut estimator = DelayEstimator::new(Bounds::default());
        let mut sent = observe(&mut estimator, 0, std::iter::repeat_n(0, 1_000));
        let stall = || (0..15).map(|n| 300 - n * 20);
        sent = observe(&mut estimator, sent, stall());
        assert!(estimator.target_us() < 20_000, "{}", estimator.target_us());
        for _ in 0..6 {
            sent = observe(&mut estimator, sent, std::iter::repeat_n(0, 50));
            sent = observe(&mut estimator, sent, stall());
        }
        assert!(estimator.target_us() > 150_000, "{}", estimator.target_us());
        observe(&mut estimator, sent, std::iter::repeat_n(0, 751));
        assert!(
            estimator.target_us() < 12_500,
            "forgotten in 15 s: {}",
            estimator.target_us()
        );
    }

    #[test]
    fn the_target_rests_while_what_is_late_is_neither_too_much_nor_too_little() {
        let mut estimator = DelayEstimator::new(Bounds::default());
        let mut random = exponential(20.0);
        let mut sent = observe(&mut estimator, 0, (0..2_000).map(|_| random()));
        let mut moves = 0;
        for _ in 0..100 {
            let before = estimator.target_us();
            sent = observe(&mut estimator, sent, (0..50).map(|_| random()));
            moves += u32::from((estimator.target_us() - before).abs() >= 1_000);
        }
        assert!(moves <= 50, "{moves} of 100 s");
    }

    #[test]
    fn bounds_hold() {
        let bounds = Bounds::new(40, 80).unwrap();
        let mut estimator = DelayEstimator::new(bounds);
        let sent = observe(&mut estimator, 0, std::iter::repeat_n(0, 100));
        assert_eq!(estimator.target_us(), 40_000);
        observe(&mut estimator, sent, (0..100).map(|n| n % 2 * 150));
        assert_eq!(estimator.target_us(), 80_000);
        assert!(Bounds::new(50, 40).is_none() && Bounds::new(0, 501).is_none());
    }
}
