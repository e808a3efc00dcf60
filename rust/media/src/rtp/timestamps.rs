//! From RTP timestamps to media time: one timeline for the life of a call, whatever the sender's timestamps do.
//!
//! An *anchor* ties a timestamp to a media time; each packet is placed by its distance from the last. Where the distance
//! makes no sense (a jump, another clock, another source), the packet is placed as if it came without jitter, but never
//! on top of what is there: the anchor moves, and nothing is heard of it.

use super::jitter::{Arrival, UNITS_PER_MS};
use crate::time::MAX_RATE_HZ;

/// A timestamp this far ahead of the newest is a jump, not a pause.
pub const MAX_AHEAD_MS: u32 = 1_000;
/// Packets that follow each other may be so far apart or overlap, by timestamp: some senders' timestamps are a clock's.
pub const SNAP_MS: u32 = 5;

#[derive(Clone, Copy, Debug)]
struct Anchor {
    timestamp: u32,
    clock_hz: u32,
    /// Media time of the timestamp.
    start: i64,
    /// End of the newest packet, and its number.
    newest_end: i64,
    newest_sequence: u64,
}

/// The timestamps of one call's sender.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timestamps {
    anchor: Option<Anchor>,
    jump: bool,
}

impl Timestamps {
    /// The next packet comes from elsewhere: its timestamps start anew.
    pub fn expect_jump(&mut self) {
        self.jump = true;
    }

    /// The media time of a packet, and whether the timeline was moved for it; `None` for what is far behind or ahead and
    /// not new. `idle`: nothing is held or played, so that every distance is a pause. `expected`: the media time of now.
    pub fn place(&mut self, packet: &Arrival<'_>, idle: bool, expected: Option<i64>) -> Option<(i64, bool)> {
        let scale = i64::from(MAX_RATE_HZ / packet.clock_hz);
        let duration = i64::from(packet.duration) * scale;
        let jump = std::mem::take(&mut self.jump);
        let Some(anchor) = self.anchor else {
            self.set(packet, 0, duration);
            return Some((0, false));
        };
        let ticks = i64::from(packet.timestamp.wrapping_sub(anchor.timestamp) as i32);
        let start = anchor.start + ticks * scale;
        let known = anchor.clock_hz == packet.clock_hz && !jump;
        let after = start - anchor.newest_end;
        let far = i64::from(MAX_AHEAD_MS * UNITS_PER_MS);
        if !packet.newest {
            self.jump = jump;
            return (known && after.abs() <= far).then_some((start, false));
        }
        let follows = packet.sequence == anchor.newest_sequence + 1;
        if known && !idle && follows && after.unsigned_abs() <= u64::from(SNAP_MS * UNITS_PER_MS) {
            // The anchor is what the timestamp said, so that small errors do not gather unseen.
            self.set(packet, start, anchor.newest_end + duration - start);
            return Some((anchor.newest_end, false));
        }
        if known && (idle || (0..=far).contains(&after)) {
            self.set(packet, start, duration);
            return Some((start, false));
        }
        let start = anchor.newest_end.max(expected.unwrap_or(anchor.newest_end));
        self.set(packet, start, duration);
        Some((start, true))
    }

    fn set(&mut self, packet: &Arrival<'_>, start: i64, length: i64) {
        self.anchor = Some(Anchor {
            timestamp: packet.timestamp,
            clock_hz: packet.clock_hz,
            start,
            newest_end: start + length,
            newest_sequence: packet.sequence,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::rtp::jitter::Kind;

    fn arrival(sequence: u64, timestamp: u32, codec: Codec) -> Arrival<'static> {
        Arrival {
            sequence,
            newest: true,
            timestamp,
            clock_hz: codec.clock_hz(),
            kind: Kind::Sound(codec),
            duration: codec.clock_hz() / 50,
            payload: &[0],
        }
    }

    #[test]
    fn three_days_of_one_clock_are_one_timeline() {
        let mut timestamps = Timestamps::default();
        for n in 0..3 * 4_320_000u64 {
            let packet = arrival(n, (n as u32).wrapping_mul(960), Codec::Opus);
            assert_eq!(
                timestamps.place(&packet, false, None),
                Some((n as i64 * 960, false))
            );
        }
    }

    #[test]
    fn a_jump_goes_where_now_is_but_not_on_top_of_what_is_there() {
        for (jump, expected) in [(100_000, 5_000), (u32::MAX - 5_000, 100), (0x8000_0000, 5_000)] {
            let mut timestamps = Timestamps::default();
            timestamps.place(&arrival(1, 0, Codec::Pcmu), false, None);
            let place = timestamps.place(&arrival(2, jump, Codec::Pcmu), false, Some(expected));
            assert_eq!(place, Some((expected.max(960), true)), "{jump}");
            let next = timestamps.place(&arrival(3, jump.wrapping_add(160), Codec::Pcmu), false, None);
            assert_eq!(next, Some((expected.max(960) + 960, false)));
        }
    }

    #[test]
    fn another_clock_goes_on_where_the_last_one_ended() {
        let mut timestamps = Timestamps::default();
        timestamps.place(&arrival(1, 77, Codec::Pcmu), false, None);
        let place = timestamps.place(&arrival(2, 237, Codec::Opus), false, Some(0));
        assert_eq!(place, Some((960, true)));
    }

    #[test]
    fn timestamps_of_a_clock_that_wavers_are_contiguous() {
        let mut timestamps = Timestamps::default();
        for n in 0..1_000u64 {
            let wavering = (n as u32 * 160).wrapping_add((n % 3) as u32 * 8);
            let place = timestamps.place(&arrival(n, wavering, Codec::Pcmu), false, None);
            assert_eq!(place, Some((n as i64 * 960, false)));
        }
    }
}
