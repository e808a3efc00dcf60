//! Telephone-events (RFC 4733), receiving: each key press told once, however often it was sent.
//!
//! A press is known by its RTP timestamp. It is over with the first packet that has the end bit; when all of those are
//! lost, with the next press, or [`LOST_END_MS`] after its last packet (§2.5.2.3). Events 0..=15 are digits, all others
//! are ignored; of several events in one packet only the first is read. The clock is 8 kHz.

use crate::time::{SAMPLES_PER_MS, Time};

/// A press whose end was lost is over so long after its last packet: three packets of 50 ms, and a little.
pub const LOST_END_MS: u64 = 160;
/// A packet with a timestamp at most this far before the current press is a straggler of an earlier one.
const STRAGGLER_SAMPLES: u32 = 16_000;
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
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
    fn digit(&self) -> Digit {
        let samples = self.before + u32::from(self.duration);
        Digit {
            digit: char::from(DIGITS[usize::from(self.event)]),
            duration_ms: samples / SAMPLES_PER_MS as u32,
        }
    }

    /// The press, the first time it is asked for.
    fn tell(&mut self) -> Option<Digit> {
        (!std::mem::replace(&mut self.told, true)).then(|| self.digit())
    }

    fn continued_by(&self, timestamp: u32, event: u8) -> bool {
        self.duration == LONGEST_SEGMENT
            && event == self.event
            && timestamp == self.timestamp.wrapping_add(u32::from(LONGEST_SEGMENT))
    }
}

/// Follows the telephone-events of one source.
#[derive(Clone, Default)]
pub struct DigitReceiver {
    press: Option<Press>,
}

impl DigitReceiver {
    /// Takes one packet's timestamp and payload. A packet can end the press before it, and its own.
    pub fn receive(&mut self, now: Time, timestamp: u32, payload: &[u8]) -> [Option<Digit>; 2] {
        let Some(&[event, flags, high, low]) = payload.first_chunk::<4>() else {
            return [None, None];
        };
        if usize::from(event) >= DIGITS.len() {
            return [None, None];
        }
        let duration = u16::from_be_bytes([high, low]);
        let ended = match &mut self.press {
            Some(press) if press.timestamp == timestamp => {
                press.duration = press.duration.max(duration);
                press.last_seen = now;
                None
            }
            Some(press) if press.continued_by(timestamp, event) => {
                press.before += u32::from(LONGEST_SEGMENT);
                (press.timestamp, press.duration, press.last_seen) = (timestamp, duration, now);
                None
            }
            Some(press) if (1..=STRAGGLER_SAMPLES).contains(&press.timestamp.wrapping_sub(timestamp)) => {
                return [None, None];
            }
            other => {
                let ended = other.as_mut().and_then(Press::tell);
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
            self.press.as_mut().filter(|_| end_bit).and_then(Press::tell),
        ]
    }

    /// A press whose end was lost, if one is over by now.
    pub fn handle_timeout(&mut self, now: Time) -> Option<Digit> {
        self.press
            .as_mut()
            .filter(|press| now.millis_since(press.last_seen) >= LOST_END_MS)?
            .tell()
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
    fn what_is_no_digit_is_nothing() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(told(&mut receiver, 0, 1, &payload(16, true, 160)), []);
        assert_eq!(told(&mut receiver, 0, 1, &[5, 0x80, 1]), []);
        assert_eq!(told(&mut receiver, 0, 1, &[]), []);
    }
}
