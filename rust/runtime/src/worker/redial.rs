//! When a stream that has lost its connection is dialled again, and where (longline.v1 §6). Pure: time and chance are given.
//!
//! At once, then after 100, 250, 500 ms, 1, 2 and 4 s, and every 4 s from then on, each with up to a fifth of jitter, so that
//! the streams of an application that has restarted do not all come at one moment. Each try is the next of the URLs.

use media::Time;

/// What is waited before each try, in milliseconds; the last one for all that follow.
pub const DELAYS_MS: [u64; 7] = [0, 100, 250, 500, 1_000, 2_000, 4_000];
/// A delay is longer by at most this part of itself.
const JITTER: u64 = 5;
/// A connection that was good for so long has ended the outage: the next one begins the schedule anew. A shorter one
/// goes on with it, so that an application that falls over at once is not dialled in a circle.
pub const HEALTHY_MS: u64 = 1_000;

/// How an outage goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redial {
    /// When the connection was lost.
    pub since: Time,
    /// When it is over.
    until: Time,
    /// Tries so far.
    pub tries: u32,
    /// Which of the URLs is next.
    way: usize,
}

impl Redial {
    /// An outage that begins now and may last `window_ms`; the URL that was lost is tried first.
    pub fn begin(now: Time, window_ms: u64, way: usize) -> Redial {
        Redial {
            since: now,
            until: now.plus_millis(window_ms),
            tries: 0,
            way,
        }
    }

    /// Whether the window has passed.
    pub fn is_over(&self, now: Time) -> bool {
        now >= self.until
    }

    /// The next try: when, and at which of so many URLs. `chance` is any number.
    pub fn next(&mut self, now: Time, ways: usize, chance: u32) -> (Time, usize) {
        let delay = DELAYS_MS[(self.tries as usize).min(DELAYS_MS.len() - 1)];
        let jitter_us = delay * 1_000 / JITTER * u64::from(chance) / u64::from(u32::MAX);
        self.tries = self.tries.saturating_add(1);
        let way = self.way % ways.max(1);
        self.way = way + 1;
        (now.plus_micros(delay * 1_000 + jitter_us), way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_at_once_and_the_rest_after_longer_and_longer_waits() {
        let mut redial = Redial::begin(Time::from_millis(10), 60_000, 0);
        for delay in [0, 100, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000] {
            let now = Time::from_millis(1_000);
            assert_eq!(redial.next(now, 1, 0), (now.plus_millis(delay), 0));
        }
        assert_eq!(redial.tries, 9);
    }

    #[test]
    fn jitter_is_at_most_a_fifth() {
        let now = Time::from_millis(0);
        for chance in [0, 1, u32::MAX / 3, u32::MAX] {
            let mut redial = Redial::begin(now, 60_000, 0);
            for delay in DELAYS_MS {
                let (at, _) = redial.next(now, 1, chance);
                let waited = at.micros_since(now);
                assert!(
                    (delay * 1_000..=delay * 1_200).contains(&waited),
                    "{delay}: {waited}"
                );
            }
        }
    }

    #[test]
    fn urls_are_tried_in_turn_from_the_one_that_was_lost() {
        let mut redial = Redial::begin(Time(0), 60_000, 1);
        let ways: Vec<usize> = (0..5).map(|_| redial.next(Time(0), 3, 0).1).collect();
        assert_eq!(ways, [1, 2, 0, 1, 2]);
        // A URL may be taken off the list meanwhile.
        assert_eq!(redial.next(Time(0), 1, 0).1, 0);
    }

    #[test]
    fn an_outage_has_an_end() {
        let redial = Redial::begin(Time::from_millis(5), 100, 0);
        assert!(!redial.is_over(Time::from_millis(104)));
        assert!(redial.is_over(Time::from_millis(105)));
    }
}
