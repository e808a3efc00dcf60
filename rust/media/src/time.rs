//! Time as the engine knows it: a number that the caller hands in.
//!
//! [`Time`] counts microseconds of one monotonic clock that all processes of a host share (CLOCK_MONOTONIC), so a
//! number written by one process means the same to another. A *tick* is one millisecond of it, a *frame* is 20 ticks
//! or 160 samples at 8 kHz. Nothing here reads a clock.

/// Ticks in one frame.
pub const FRAME_TICKS: u64 = 20;
/// Length of one frame in milliseconds.
pub const FRAME_MS: u32 = 20;
/// Samples in one frame at the telephone rate.
pub const FRAME_SAMPLES: usize = 160;
/// The telephone rate.
pub const RATE_HZ: u32 = 8_000;
/// Samples in a millisecond at the telephone rate.
pub const SAMPLES_PER_MS: usize = 8;

/// The highest rate of samples inside a session.
pub const MAX_RATE_HZ: u32 = 48_000;
/// Samples in one frame at the highest rate.
pub const MAX_FRAME_SAMPLES: usize = frame_samples(MAX_RATE_HZ);

/// Samples in one frame at a rate.
pub const fn frame_samples(rate_hz: u32) -> usize {
    (rate_hz / 1_000 * FRAME_MS) as usize
}

/// A point in time: microseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The time of the start of `tick`.
    pub const fn from_tick(tick: u64) -> Time {
        Time(tick * 1_000)
    }

    /// A time given in milliseconds.
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis * 1_000)
    }

    /// The tick (millisecond) this time falls in.
    pub const fn tick(self) -> u64 {
        self.0 / 1_000
    }

    /// This time, `millis` later.
    pub const fn plus_millis(self, millis: u64) -> Time {
        Time(self.0 + millis * 1_000)
    }

    /// This time, `micros` later.
    pub const fn plus_micros(self, micros: u64) -> Time {
        Time(self.0 + micros)
    }

    /// Microseconds since `earlier`, zero when `earlier` is in the future.
    pub const fn micros_since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole milliseconds since `earlier`, zero when `earlier` is in the future.
    pub const fn millis_since(self, earlier: Time) -> u64 {
        self.micros_since(earlier) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_a_millisecond_of_the_shared_clock() {
        assert_eq!(Time(1_999).tick(), 1);
        assert_eq!(Time::from_tick(7), Time::from_millis(7));
        assert_eq!(
            Time::from_millis(5)
                .plus_micros(1)
                .millis_since(Time::from_millis(2)),
            3
        );
        assert_eq!(Time::from_millis(2).micros_since(Time::from_millis(5)), 0);
    }
}
