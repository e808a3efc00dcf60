//! The numbers of the packets that are sent: a function of the frame, and so of the tick (invariant 4).
//!
//! A frame is 20 ms, a packet `ptime_ms`. With `ms = 20 * (frame - frame0)` the packet that is due is
//! `ms / ptime_ms`, its sequence number `sequence0 + packet`, its timestamp `timestamp0 + packet * ptime_ms` on the
//! clock. A packet that is not sent leaves a gap in the numbers and nothing else. When the packet time or the clock
//! changes in mid-call, a new origin goes on where the old one was: neither number ever goes back. A change of clock
//! takes a new SSRC too (RFC 7160 §4.1), since receivers measure a source by one clock.

use crate::config::Numbering;
use crate::time::FRAME_TICKS;

/// Where the numbers of one SSRC start and how fast they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The frame that the numbers below belong to.
    pub frame0: u64,
    /// SSRC, and the numbers at `frame0`.
    pub numbering: Numbering,
    /// The RTP clock.
    pub clock_hz: u32,
    /// Sound in a packet: a multiple of 10 ms.
    pub ptime_ms: u32,
}

impl Timeline {
    /// Starts at frame 0.
    pub fn new(numbering: Numbering, clock_hz: u32, ptime_ms: u32) -> Timeline {
        Timeline {
            frame0: 0,
            numbering,
            clock_hz,
            ptime_ms,
        }
    }

    /// Milliseconds from the origin to the start of `frame`.
    pub fn millis(&self, frame: u64) -> u64 {
        (frame - self.frame0) * FRAME_TICKS
    }

    /// The sequence number of a packet, counted from the origin.
    pub fn sequence(&self, packet: u64) -> u16 {
        self.numbering.sequence.wrapping_add(packet as u16)
    }

    /// The timestamp of a packet, counted from the origin.
    pub fn timestamp(&self, packet: u64) -> u32 {
        self.timestamp_at(packet * u64::from(self.ptime_ms) * 1_000)
    }

    /// The timestamp so many microseconds after the origin.
    pub fn timestamp_at(&self, micros: u64) -> u32 {
        let clocks = micros * u64::from(self.clock_hz / 100) / 10_000;
        self.numbering.timestamp.wrapping_add(clocks as u32)
    }

    /// From `frame` on: another packet time on the same clock, or another clock under `fresh`'s SSRC and numbers.
    pub fn change(&self, frame: u64, clock_hz: u32, ptime_ms: u32, fresh: Numbering) -> Timeline {
        let millis = self.millis(frame);
        let going_on = Numbering {
            ssrc: self.numbering.ssrc,
            // What of a packet has been gathered is dropped, its number is not.
            sequence: self.sequence(millis / u64::from(self.ptime_ms)),
            timestamp: self.timestamp_at(millis * 1_000),
        };
        let is_same_clock = clock_hz == self.clock_hz;
        Timeline {
            frame0: frame,
            numbering: if is_same_clock { going_on } else { fresh },
            clock_hz,
            ptime_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Numbering = Numbering {
        ssrc: 1,
        sequence: 65_530,
        timestamp: u32::MAX - 1_000,
    };

    #[test]
    fn every_packet_time_advances_both_numbers_in_step_over_the_wraps() {
        for ptime_ms in [10u32, 20, 30, 40, 50, 60] {
            for clock_hz in [8_000, 16_000, 48_000] {
                let timeline = Timeline::new(START, clock_hz, ptime_ms);
                for packet in 0..20 {
                    assert_eq!(
                        timeline.sequence(packet + 1),
                        timeline.sequence(packet).wrapping_add(1)
                    );
                    let step = timeline
                        .timestamp(packet + 1)
                        .wrapping_sub(timeline.timestamp(packet));
                    assert_eq!(step, ptime_ms * clock_hz / 1_000);
                }
            }
        }
    }

    #[test]
    fn a_day_of_the_fastest_clock_is_counted_right() {
        let timeline = Timeline::new(START, 48_000, 20);
        let packets = 24 * 3_600 * 50u64;
        let clocks = (packets * 960) as u32;
        assert_eq!(timeline.timestamp(packets), START.timestamp.wrapping_add(clocks));
    }

    #[test]
    fn another_packet_time_goes_on_where_the_old_one_was() {
        let before = Timeline::new(START, 8_000, 20);
        let after = before.change(7, 8_000, 60, Numbering { ssrc: 2, ..START });
        assert_eq!(after.numbering.ssrc, 1);
        assert_eq!(after.sequence(0), before.sequence(7));
        assert_eq!(after.timestamp(0), before.timestamp(7));
        // In the middle of a packet of 60 ms: the number of the one that was begun is still free.
        let again = after.change(8, 8_000, 20, START);
        assert_eq!(again.sequence(0), after.sequence(0));
        assert_eq!(again.timestamp(0), after.timestamp(0).wrapping_add(160));
    }

    #[test]
    fn another_clock_is_another_source() {
        let fresh = Numbering {
            ssrc: 9,
            sequence: 5,
            timestamp: 77,
        };
        let after = Timeline::new(START, 8_000, 20).change(100, 48_000, 20, fresh);
        assert_eq!((after.numbering, after.frame0), (fresh, 100));
    }
}
