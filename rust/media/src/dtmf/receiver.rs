//! Telephone-events (RFC 4733), receiving: each key press told once, however often it was sent.
//!
//! A press is known by its RTP timestamp. It is over with the first packet that has the end bit; when all of those are
//! lost, with the next press, or [`LOST_END_MS`] after its last packet (§2.5.2.3). Events 0..=15 are digits, all others
//! are ignored; of several events in one packet only the first is read.

use super::digit_of;
use crate::record::layout::{LegState, leg_state_flags};
use crate::time::Time;

/// A press whose end was lost is over so long after its last packet: three packets of 50 ms, and a little.
pub const LOST_END_MS: u64 = 160;
/// A packet with a timestamp at most this far before the current press is a straggler of an earlier one.
const STRAGGLER_MS: u32 = 2_000;
/// Events that are digits: 0..=15.
const DIGITS: u8 = 16;
/// The clock of telephone-events unless another is negotiated.
const DEFAULT_CLOCK_HZ: u32 = 8_000;
/// §2.5.1.3: a segment of a longer press ends at the longest duration there is.
const LONGEST_SEGMENT: u16 = u16::MAX;

/// A key press that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// `0`..`9`, `*`, `#`, `A`..`D`.
    pub digit: char,
    /// How long it was held.
    pub duration_ms: u32,
}

#[derive(Clone, Copy)]
struct Press {
    timestamp: u32,
    event: u8,
    /// Of the segments before this one, and of this one.
    before: u32,
    duration: u16,
    last_seen: Time,
    told: bool,
}

impl Press {
    /// The press, the first time it is asked for.
    fn tell(&mut self, clock_hz: u32) -> Option<Digit> {
        let samples = self.before.saturating_add(u32::from(self.duration));
        (!std::mem::replace(&mut self.told, true)).then(|| Digit {
            digit: digit_of(self.event),
            duration_ms: (u64::from(samples) * 1_000 / u64::from(clock_hz)) as u32,
        })
    }

    /// The packet that filled the segment may be lost; that nothing else begins just there is as good.
    fn continued_by(&self, timestamp: u32, event: u8) -> bool {
        !self.told
            && event == self.event
            && timestamp == self.timestamp.wrapping_add(u32::from(LONGEST_SEGMENT))
    }
}

/// Follows the telephone-events of one source.
#[derive(Clone)]
pub struct DigitReceiver {
    clock_hz: u32,
    press: Option<Press>,
}

impl Default for DigitReceiver {
    fn default() -> DigitReceiver {
        DigitReceiver::new(DEFAULT_CLOCK_HZ)
    }
}

impl DigitReceiver {
    /// One for events whose timestamps and durations count `clock_hz`, which is at least a thousand.
    pub fn new(clock_hz: u32) -> DigitReceiver {
        DigitReceiver {
            clock_hz: clock_hz.max(1_000),
            press: None,
        }
    }

    /// The clock of the events.
    pub fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    /// Takes one packet's timestamp and payload. A packet can end the press before it, and its own.
    pub fn receive(&mut self, now: Time, timestamp: u32, payload: &[u8]) -> [Option<Digit>; 2] {
        let Some(&[event, flags, high, low]) = payload.first_chunk::<4>() else {
            return [None, None];
        };
        if event >= DIGITS {
            return [None, None];
        }
        let clock_hz = self.clock_hz;
        let straggler = clock_hz / 1_000 * STRAGGLER_MS;
        let duration = u16::from_be_bytes([high, low]);
        let ended = match &mut self.press {
            Some(press) if press.timestamp == timestamp => {
                press.duration = press.duration.max(duration);
                press.last_seen = now;
                None
            }
            Some(press) if press.continued_by(timestamp, event) => {
                press.before = press.before.saturating_add(u32::from(LONGEST_SEGMENT));
                (press.timestamp, press.duration, press.last_seen) = (timestamp, duration, now);
                None
            }
            Some(press) if (1..=straggler).contains(&press.timestamp.wrapping_sub(timestamp)) => {
                return [None, None];
            }
            other => {
                let ended = other.as_mut().and_then(|press| press.tell(clock_hz));
                *other = Some(Press {
                    timestamp,
                    event,
                    before: 0,
                    duration,
                    last_seen: now,
                    told: false,
                });
                ended
            }
        };
        let end_bit = flags & 0x80 != 0;
        [
            ended,
            self.press
                .as_mut()
                .filter(|_| end_bit)
                .and_then(|press| press.tell(clock_hz)),
        ]
    }

    /// A press whose end was lost, if one is over by now.
    pub fn handle_timeout(&mut self, now: Time) -> Option<Digit> {
        self.press
            .as_mut()
            .filter(|press| now.millis_since(press.last_seen) >= LOST_END_MS)?
            .tell(self.clock_hz)
    }
}

impl DigitReceiver {
    /// What of it outlives the process: the press, so that it is told once.
    pub(crate) fn keep(&self, state: &mut LegState) {
        let Some(press) = self.press else { return };
        state.press_timestamp = press.timestamp;
        state.press_before = press.before;
        state.press_duration = press.duration;
        state.press_event = press.event;
        state.press_last_seen = press.last_seen.0;
        state.flags |= leg_state_flags::PRESS;
        if press.told {
            state.flags |= leg_state_flags::PRESS_TOLD;
        }
    }

    /// Goes on with the press that was kept.
    pub(crate) fn resume(&mut self, state: &LegState) {
        let known = state.flags & leg_state_flags::PRESS != 0 && state.press_event < DIGITS;
        self.press = known.then_some(Press {
            timestamp: state.press_timestamp,
            event: state.press_event,
            before: state.press_before,
            duration: state.press_duration,
            last_seen: Time(state.press_last_seen),
            told: state.flags & leg_state_flags::PRESS_TOLD != 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
        let [high, low] = duration.to_be_bytes();
        [event, u8::from(end) << 7 | 10, high, low]
    }

    fn told(receiver: &mut DigitReceiver, at: u64, timestamp: u32, payload: &[u8]) -> Vec<(char, u32)> {
        let digits = receiver.receive(Time::from_millis(at), timestamp, payload);
        digits
            .into_iter()
            .flatten()
            .map(|digit| (digit.digit, digit.duration_ms))
            .collect()
    }

    #[test]
    fn a_press_sent_many_times_is_one_digit() {
        let mut receiver = DigitReceiver::default();
        let mut digits = Vec::new();
        for n in 1..=5u16 {
            digits.extend(told(
                &mut receiver,
                u64::from(n) * 20,
                1_000,
                &payload(5, false, n * 160),
            ));
        }
        for _ in 0..3 {
            digits.extend(told(&mut receiver, 120, 1_000, &payload(5, true, 800)));
        }
        assert_eq!(digits, [('5', 100)]);
        assert_eq!(receiver.handle_timeout(Time::from_millis(1_000)), None);
    }

    #[test]
    fn the_same_key_twice_is_two_digits() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(
            told(&mut receiver, 0, 1_000, &payload(11, true, 400)),
            [('#', 50)]
        );
        assert_eq!(
            told(&mut receiver, 100, 2_000, &payload(11, true, 400)),
            [('#', 50)]
        );
        assert_eq!(
            told(&mut receiver, 101, 1_000, &payload(11, true, 400)),
            [],
            "a straggler of the first"
        );
    }

    #[test]
    fn a_press_whose_end_is_lost_ends_with_the_next_or_after_a_while() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(told(&mut receiver, 0, 1_000, &payload(1, false, 320)), []);
        assert_eq!(
            told(&mut receiver, 100, 2_000, &payload(2, true, 160)),
            [('1', 40), ('2', 20)]
        );
        assert_eq!(told(&mut receiver, 200, 3_000, &payload(3, false, 240)), []);
        assert_eq!(receiver.handle_timeout(Time::from_millis(359)), None);
        assert_eq!(
            receiver.handle_timeout(Time::from_millis(360)),
            Some(Digit {
                digit: '3',
                duration_ms: 30
            })
        );
        assert_eq!(receiver.handle_timeout(Time::from_millis(900)), None);
    }

    #[test]
    fn a_press_longer_than_a_segment_is_one_digit() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(told(&mut receiver, 0, 500, &payload(0, false, 0xffff)), []);
        assert_eq!(
            told(&mut receiver, 0, 500 + 0xffff, &payload(0, true, 8_000)),
            [('0', 9_191)]
        );
    }

    #[test]
    fn the_last_packet_of_a_segment_may_be_lost() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(told(&mut receiver, 0, 500, &payload(0, false, 65_440)), []);
        assert_eq!(
            told(&mut receiver, 40, 500 + 0xffff, &payload(0, true, 8_000)),
            [('0', 9_191)]
        );
    }

    #[test]
    fn durations_are_of_the_negotiated_clock() {
        let mut receiver = DigitReceiver::new(48_000);
        assert_eq!(
            told(&mut receiver, 0, 1_000, &payload(5, true, 4_800)),
            [('5', 100)]
        );
        assert_eq!(
            told(
                &mut receiver,
                1,
                1_000u32.wrapping_sub(90_000),
                &payload(5, true, 4_800)
            ),
            [],
            "a straggler"
        );
    }

    #[test]
    fn what_is_no_digit_is_nothing() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(told(&mut receiver, 0, 1, &payload(16, true, 160)), []);
        assert_eq!(told(&mut receiver, 0, 1, &[5, 0x80, 1]), []);
        assert_eq!(told(&mut receiver, 0, 1, &[]), []);
    }
}
