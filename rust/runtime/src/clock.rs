//! The clock: the only place of the media server that reads time or sleeps.
//!
//! Engine time is CLOCK_MONOTONIC in microseconds, the same for every process of the host.

use media::Time;
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The length of a tick in microseconds; a worker wakes at most once in it.
pub const TICK_US: u64 = 1000;
/// Seconds from 1900 (NTP, RFC 5905) to 1970 (Unix).
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// Now, in engine time.
pub fn now() -> Time {
    let now = clock_gettime(ClockId::Monotonic);
    Time(now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000)
}

/// Now, in Unix seconds.
pub fn unix_seconds() -> f64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// The NTP time (32.32 fixed point) of engine time zero, for RTCP sender reports.
pub fn ntp_at_zero() -> u64 {
    let monotonic = now().0;
    let wall = clock_gettime(ClockId::Realtime);
    let wall_us = wall.tv_sec as u64 * 1_000_000 + wall.tv_nsec as u64 / 1000;
    let zero_us = u128::from(wall_us.saturating_sub(monotonic) + NTP_OFFSET_S * 1_000_000);
    ((zero_us << 32) / 1_000_000) as u64
}

/// Sleep to the given time; at once when it is past.
pub fn sleep_until(time: Time) {
    let wanted = Timespec {
        tv_sec: (time.0 / 1_000_000) as i64,
        tv_nsec: (time.0 % 1_000_000 * 1000) as i64,
    };
    while clock_nanosleep_absolute(ClockId::Monotonic, &wanted) == Err(rustix::io::Errno::INTR) {}
}

/// The first tick boundary after `time`.
pub fn next_tick(time: Time) -> Time {
    Time((time.0 / TICK_US + 1) * TICK_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_begins_at_a_whole_millisecond() {
        assert_eq!(next_tick(Time(0)).0, 1000);
        assert_eq!(next_tick(Time(999)).0, 1000);
        assert_eq!(next_tick(Time(1000)).0, 2000);
    }

    #[test]
    fn engine_time_zero_and_now_make_the_wall_clock() {
        let ntp_seconds = (ntp_at_zero() >> 32) + now().0 / 1_000_000;
        let unix = unix_seconds() as u64 + NTP_OFFSET_S;
        assert!(ntp_seconds.abs_diff(unix) <= 1);
    }
}
