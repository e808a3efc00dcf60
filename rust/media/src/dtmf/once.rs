//! One press is told once, though it came as a telephone-event and as tones in the audio as well.
//!
//! Gateways that send both let the tones leak, or play them on purpose. The same digit by the other road within
//! [`SAME_PRESS_MS`] is the same press; each press told by one road excuses one of the other, so that a key pressed
//! twice quickly stays two digits.

use super::Method;
use super::sender::keep::{method, number};
use crate::record::layout::ToldRecord;
use crate::time::Time;

/// Two tellings of one press are at most so far apart: the jitter buffer's longest delay, a lost end, and a little.
pub const SAME_PRESS_MS: u64 = 600;
/// Presses remembered. Rule when full: the oldest is forgotten.
pub const REMEMBERED: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Told {
    at: Time,
    digit: char,
    method: Method,
}

/// What was told lately, and not yet by both roads.
#[derive(Clone, Debug, Default)]
pub struct Once {
    told: [Option<Told>; REMEMBERED],
    next: usize,
}

impl Once {
    /// The digit is to be told: it is not the other telling of one that was.
    pub fn is_new(&mut self, now: Time, digit: char, method: Method) -> bool {
        let twin = self.told.iter_mut().find(|told| {
            told.is_some_and(|told| {
                told.digit == digit && told.method != method && now.millis_since(told.at) <= SAME_PRESS_MS
            })
        });
        if let Some(twin) = twin {
            *twin = None;
            return false;
        }
        self.told[self.next] = Some(Told {
            at: now,
            digit,
            method,
        });
        self.next = (self.next + 1) % REMEMBERED;
        true
    }

    /// All of it outlives the process.
    pub(crate) fn keep(&self, records: &mut [ToldRecord; REMEMBERED]) {
        for (record, told) in records.iter_mut().zip(&self.told) {
            *record = told.map_or_else(ToldRecord::default, |told| ToldRecord {
                at: told.at.0,
                digit: told.digit as u8,
                method: number(told.method),
                reserved: [0; 6],
            });
        }
    }

    /// Goes on; the oldest gives way first.
    pub(crate) fn resume(&mut self, records: &[ToldRecord; REMEMBERED]) {
        for (told, record) in self.told.iter_mut().zip(records) {
            *told = method(record.method).map(|method| Told {
                at: Time(record.at),
                digit: char::from(record.digit),
                method,
            });
        }
        let ages = records.iter().enumerate();
        self.next = ages.min_by_key(|(_, record)| record.at).map_or(0, |(at, _)| at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_by_both_roads_is_one_digit_in_either_order() {
        let mut once = Once::default();
        let at = Time::from_millis;
        assert!(once.is_new(at(0), '1', Method::Event));
        assert!(!once.is_new(at(60), '1', Method::InBand));
        assert!(once.is_new(at(200), '2', Method::InBand));
        assert!(!once.is_new(at(500), '2', Method::Event));
    }

    #[test]
    fn two_presses_by_both_roads_are_two_digits() {
        let mut once = Once::default();
        let at = Time::from_millis;
        let events = once.is_new(at(0), '1', Method::Event) && once.is_new(at(150), '1', Method::Event);
        let tones = once.is_new(at(200), '1', Method::InBand) || once.is_new(at(350), '1', Method::InBand);
        assert!(events && !tones);
        assert!(
            once.is_new(at(400), '1', Method::InBand),
            "a third press, heard only as tones"
        );
    }

    #[test]
    fn another_digit_and_a_later_one_are_new() {
        let mut once = Once::default();
        assert!(once.is_new(Time::from_millis(0), '1', Method::Event));
        assert!(once.is_new(Time::from_millis(10), '2', Method::InBand));
        assert!(once.is_new(Time::from_millis(601), '1', Method::InBand));
    }
}
