//! The target delay, from when packets arrived.
//!
//! Each packet has a *transit*: its arrival minus its place on the sender's timeline. Only differences mean anything:
//! the smallest transit of the last [`WINDOW_US`] is the *base*, and what a packet's transit is above it is its *relative
//! delay*. A histogram of relative delays that forgets says how long the fastest packet must wait so that
//! [`QUANTILE`] of all packets come in time; that and [`GUARD_US`] is the target.
//!
//! Idea: the delay manager of NetEQ (a histogram with a forgetting factor and a quantile) and ezk's queue. What differs:
//!
//! - The base follows the network both ways. When it falls, all that is slower than the new base counts as delay, as in
//!   NetEQ. When it rises by more than [`ROUTE_CHANGE_US`], the histogram is moved with it: a longer route is not jitter,
//!   and a target grown by it would stand for as long as the histogram remembers.
//! - A packet that came in the queue behind another (a stall that ends, a clump of a sleeping radio) counts
//!   [`QUEUED_WEIGHT`]: one stall is one event, however many packets it held up.
//! - Weights are sound, not packets: 60 ms in one packet is three times 20 ms.
//!
//! Late packets count like all others, so what came after it was concealed raises the target.

use crate::time::Time;

/// The part of all sound that is to come in time.
pub const QUANTILE: f32 = 0.995;
/// Added to the quantile: the wait of the slowest packet that still counts.
pub const GUARD_US: i64 = 10_000;
/// The base is the smallest transit of so long.
pub const WINDOW_US: u64 = BUCKETS as u64 * BUCKET_US;
/// A base that rises by more is another route.
pub const ROUTE_CHANGE_US: i64 = 20_000;
/// Sound that the histogram remembers: what is older weighs less than 1/e.
pub const MEMORY_MS: f32 = 8_000.0;
/// Weight of what came in the queue behind another packet.
pub const QUEUED_WEIGHT: f32 = 0.25;
/// Default lower bound of the target.
pub const DEFAULT_MIN_MS: u32 = 20;
/// Default upper bound of the target.
pub const DEFAULT_MAX_MS: u32 = 200;
/// Upper bound of the upper bound.
pub const LIMIT_MS: u32 = 500;

const BUCKETS: usize = 5;
const BUCKET_US: u64 = 400_000;
/// Width of a bin.
const BIN_US: i64 = 5_000;
/// The last bin holds all that is longer.
const BINS: usize = 104;
/// Sound after which the target is looked at even if nothing called for it.
const REVIEW_MS: u32 = 200;
/// Weights are scaled back when the newest has become so large.
const MAX_WEIGHT: f32 = 1e6;

/// The bounds of the target delay of one call, in milliseconds: `min_ms <= max_ms <=` [`LIMIT_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The target is never lower. A clean network is heard this much late, or up to 10 ms less.
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
            unreviewed_ms: 0,
            target_us: i64::from(bounds.min_ms) * 1_000,
        }
    }

    /// The delay aimed for: how long the fastest packets are to wait, and [`GUARD_US`].
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
        self.count(relative, duration_ms, if queued { QUEUED_WEIGHT } else { 1.0 });
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

    /// All delays in the histogram are shorter by so many bins, against the new base.
    fn shift(&mut self, bins: usize) {
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
        self.target_us = (self.quantile_us() + GUARD_US).clamp(least, most);
    }

    /// The relative delay that all but a share of `1 - QUANTILE` stay below.
    fn quantile_us(&self) -> i64 {
        let allowed = self.total * (1.0 - QUANTILE);
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
        assert_eq!(estimator.target_us(), 20_000);
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
        assert_eq!(estimator.target_us(), 20_000);
        assert_eq!(estimator.base_us(), Some(1_120_000));
    }

    #[test]
    fn a_shorter_route_is_believed_at_once() {
        let mut estimator = DelayEstimator::new(Bounds::default());
        let sent = observe(&mut estimator, 0, std::iter::repeat_n(120, 500));
        observe(&mut estimator, sent, [0]);
        assert_eq!(estimator.base_us(), Some(1_000_000));
        assert_eq!(estimator.target_us(), 20_000);
    }

    #[test]
    fn one_stall_is_one_event() {
        let mut estimator = DelayEstimator::new(Bounds::default());
        let sent = observe(&mut estimator, 0, std::iter::repeat_n(0, 1_000));
        let sent = observe(&mut estimator, sent, (0..15).map(|n| 300 - n * 20));
        assert!(
            (60_000..=200_000).contains(&estimator.target_us()),
            "{}",
            estimator.target_us()
        );
        observe(&mut estimator, sent, std::iter::repeat_n(0, 500));
        assert_eq!(estimator.target_us(), 20_000, "forgotten in ten seconds");
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
