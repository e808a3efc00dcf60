//! Time of the machine's monotonic clock in nanoseconds, as the media server counts its ticks, and sleeping to it.

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// A tick of the media server and of the floor.
pub const TICK_NS: u64 = 1_000_000;
/// 20 ms.
pub const FRAME_NS: u64 = 20 * TICK_NS;

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Now.
pub fn now() -> u64 {
    read(ClockId::Monotonic).cast_unsigned()
}

/// What is to be added to the kernel's wall-clock stamps: read several times, and the reading that took least is taken.
pub fn wall_to_monotonic() -> i64 {
    let reading = || {
        let before = read(ClockId::Monotonic);
        let wall = read(ClockId::Realtime);
        let after = read(ClockId::Monotonic);
        (after - before, before + (after - before) / 2 - wall)
    };
    let best = (0..32).map(|_| reading()).min_by_key(|(took, _)| *took);
    best.map_or(0, |(_, offset)| offset)
}

/// Sleeps to the given time; at once when it is past.
pub fn sleep_until(time: u64) {
    let wanted = Timespec {
        tv_sec: (time / 1_000_000_000).cast_signed(),
        tv_nsec: (time % 1_000_000_000).cast_signed(),
    };
    while clock_nanosleep_absolute(ClockId::Monotonic, &wanted) == Err(rustix::io::Errno::INTR) {}
}
