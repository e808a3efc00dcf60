//! The ring of one track: the last messages that were made for the application, so that what a dropped socket has lost
//! can be sent again (longline.v1 §6).
//!
//! Messages have numbers from zero, one more for each; on the wire a number is its low 32 bits. The memory is made once:
//! so many bytes and so many places. **Rule when full:** the oldest make room; whoever comes for them is told of a gap.
//!
//! A [`Line`] is a ring with a cursor: the first message that the present connection has not been sent. While it is at
//! the end, what is made is sent at once; behind it, the line catches up, and all it sends until then is a replay.

use std::collections::VecDeque;

/// One message that is held. Its bytes may lie around the end of the circle: both parts, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// The position of its first sample in the track.
    pub timestamp: u64,
    /// What was made.
    pub bytes: [&'a [u8]; 2],
}

#[derive(Clone, Copy)]
struct Place {
    at: usize,
    length: usize,
    timestamp: u64,
}

/// The last messages of one track.
pub struct Ring {
    circle: Box<[u8]>,
    places: VecDeque<Place>,
    max_places: usize,
    /// Where the next message begins in the circle.
    end: usize,
    /// Bytes of the circle that are held.
    used: usize,
    /// The number of the next message.
    next: u64,
}

impl Ring {
    /// A ring for so many messages of so many bytes together.
    pub fn new(max_messages: usize, max_bytes: usize) -> Ring {
        Ring {
            circle: vec![0; max_bytes].into(),
            places: VecDeque::with_capacity(max_messages),
            max_places: max_messages,
            end: 0,
            used: 0,
            next: 0,
        }
    }

    /// The number that the next message will have.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest message that is held; that of the next, when none is.
    pub fn oldest(&self) -> u64 {
        self.next - self.places.len() as u64
    }

    /// Keeps a message. One that is longer than the whole ring is counted, and held by nobody.
    pub fn push(&mut self, timestamp: u64, message: &[u8]) -> u64 {
        let number = self.next;
        self.next += 1;
        if message.len() > self.circle.len() || self.max_places == 0 {
            self.forget();
            return number;
        }
        while self.places.len() == self.max_places || self.used + message.len() > self.circle.len() {
            self.drop_oldest();
        }
        let at = self.end;
        let (front, back) = message.split_at(message.len().min(self.circle.len() - at));
        self.circle[at..at + front.len()].copy_from_slice(front);
        self.circle[..back.len()].copy_from_slice(back);
        self.end = if back.is_empty() {
            at + front.len()
        } else {
            back.len()
        };
        if self.end == self.circle.len() {
            self.end = 0;
        }
        self.used += message.len();
        self.places.push_back(Place {
            at,
            length: message.len(),
            timestamp,
        });
        number
    }

    /// A message that is still held.
    pub fn get(&self, number: u64) -> Option<Held<'_>> {
        let index = number.checked_sub(self.oldest())?;
        let place = self.places.get(usize::try_from(index).ok()?)?;
        let before_end = place.length.min(self.circle.len() - place.at);
        Some(Held {
            timestamp: place.timestamp,
            bytes: [
                &self.circle[place.at..place.at + before_end],
                &self.circle[..place.length - before_end],
            ],
        })
    }

    /// Holds nothing any more; the count goes on.
    pub fn forget(&mut self) {
        self.places.clear();
        (self.end, self.used) = (0, 0);
    }

    /// The number that has these low 32 bits and lies nearest before the next, or is it.
    pub fn number_of(&self, wire: u32) -> Option<u64> {
        self.next
            .checked_sub(u64::from((self.next as u32).wrapping_sub(wire)))
    }

    fn drop_oldest(&mut self) {
        if let Some(place) = self.places.pop_front() {
            self.used -= place.length;
        }
    }
}

/// What a line has for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due<'a> {
    /// Messages that will never be sent: the first and the last.
    Gap(u64, u64),
    /// A message.
    Message {
        /// Its number.
        number: u64,
        /// It waited for a connection, or for room on one.
        is_replay: bool,
        /// The message before it was never sent.
        is_after_gap: bool,
        /// What it says.
        held: Held<'a>,
    },
}

/// A ring, and how far the present connection is.
pub struct Line {
    ring: Ring,
    cursor: u64,
    /// Messages before this are replayed, not live.
    live_from: u64,
    is_after_gap: bool,
}

impl Line {
    /// A line that has sent nothing.
    pub fn new(ring: Ring) -> Line {
        Line {
            ring,
            cursor: 0,
            live_from: 0,
            is_after_gap: false,
        }
    }

    /// A line whose next message has this number.
    pub fn starting_at(next: u64, ring: Ring) -> Line {
        let mut line = Line::new(ring);
        (line.ring.next, line.cursor, line.live_from) = (next, next, next);
        line
    }

    /// The memory of its ring.
    pub fn capacity(&self) -> usize {
        self.ring.circle.len()
    }

    /// Keeps a message for whoever is, or will be, connected.
    pub fn push(&mut self, timestamp: u64, message: &[u8]) -> u64 {
        self.ring.push(timestamp, message)
    }

    /// The number that the next message will have.
    pub fn next(&self) -> u64 {
        self.ring.next()
    }

    /// Messages that wait.
    pub fn waiting(&self) -> u64 {
        self.ring.next() - self.cursor
    }

    /// The connection could not be written for a while, or there was none: what waits is a replay.
    pub fn fall_behind(&mut self) {
        self.live_from = self.ring.next();
    }

    /// Whether a message of these low 32 bits has been made; `None` is nothing, and true.
    pub fn has_sent(&self, received: Option<u32>) -> bool {
        self.after(received).is_some()
    }

    /// What follows what was received.
    fn after(&self, received: Option<u32>) -> Option<u64> {
        match received {
            None => Some(0),
            Some(wire) => self
                .ring
                .number_of(wire.wrapping_add(1))
                .filter(|after| *after > 0),
        }
    }

    /// A connection that has everything up to `received`, by its low 32 bits; `None`: it has nothing. False, and nothing
    /// changes, when that was never sent.
    pub fn resume(&mut self, received: Option<u32>) -> bool {
        let after = self.after(received);
        if let Some(after) = after {
            self.resume_at(after);
        }
        after.is_some()
    }

    /// A connection that is to have everything from this number on.
    pub fn resume_at(&mut self, next: u64) {
        self.cursor = next.min(self.ring.next());
        self.is_after_gap = false;
        self.fall_behind();
    }

    /// Whether the next message is held no more.
    pub fn is_behind(&self) -> bool {
        self.cursor < self.ring.oldest()
    }

    /// Goes on with the oldest that is held, and tells no gap.
    pub fn skip_gap(&mut self) {
        self.cursor = self.cursor.max(self.ring.oldest());
    }

    /// A connection that knows nothing of what was: it is told that it missed it, and begins with what is made from now
    /// on.
    pub fn begin_anew(&mut self) {
        self.ring.forget();
        self.fall_behind();
    }

    /// The next message for the connection; with none, the line is up to date.
    pub fn take(&mut self) -> Option<Due<'_>> {
        let oldest = self.ring.oldest();
        if self.cursor < oldest {
            let gap = Due::Gap(self.cursor, oldest - 1);
            self.cursor = oldest;
            self.is_after_gap = true;
            return Some(gap);
        }
        let number = self.cursor;
        let held = self.ring.get(number)?;
        self.cursor += 1;
        Some(Due::Message {
            number,
            is_replay: number < self.live_from,
            is_after_gap: std::mem::take(&mut self.is_after_gap),
            held,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(held: Held<'_>) -> Vec<u8> {
        held.bytes.concat()
    }

    /// What a line sends until it is up to date: `-from..to` for a gap, `r` for a replay, `!` after a gap.
    fn drain(line: &mut Line) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(due) = line.take() {
            told.push(match due {
                Due::Gap(from, to) => format!("-{from}..{to}"),
                Due::Message {
                    number,
                    is_replay,
                    is_after_gap,
                    ..
                } => {
                    format!(
                        "{number}{}{}",
                        if is_replay { "r" } else { "" },
                        if is_after_gap { "!" } else { "" }
                    )
                }
            });
        }
        told
    }

    fn push(line: &mut Line, count: u64) {
        for _ in 0..count {
            let number = line.next();
            line.push(number * 160, &number.to_le_bytes());
        }
    }

    #[test]
    fn a_connection_that_keeps_up_is_sent_each_message_once() {
        let mut line = Line::new(Ring::new(4, 32));
        for number in 0..20 {
            push(&mut line, 1);
            assert_eq!(drain(&mut line), [number.to_string()]);
        }
    }

    #[test]
    fn what_a_dropped_connection_had_not_is_replayed_and_then_it_is_live() {
        let mut line = Line::new(Ring::new(10, 80));
        push(&mut line, 5);
        drain(&mut line);
        push(&mut line, 2);
        assert!(line.resume(Some(2)));
        assert_eq!(drain(&mut line), ["3r", "4r", "5r", "6r"]);
        push(&mut line, 1);
        assert_eq!(drain(&mut line), ["7"]);
    }

    #[test]
    fn what_the_ring_has_lost_is_a_gap_and_the_next_message_says_so() {
        let mut line = Line::new(Ring::new(3, 80));
        push(&mut line, 2);
        drain(&mut line);
        push(&mut line, 6);
        assert!(line.resume(Some(1)));
        assert_eq!(drain(&mut line), ["-2..4", "5r!", "6r", "7r"]);
    }

    #[test]
    fn an_application_that_forgot_everything_is_told_what_it_missed() {
        let mut line = Line::new(Ring::new(10, 80));
        push(&mut line, 3);
        drain(&mut line);
        push(&mut line, 4);
        line.begin_anew();
        assert_eq!(drain(&mut line), ["-3..6"]);
        push(&mut line, 1);
        assert_eq!(drain(&mut line), ["7!"]);
    }

    #[test]
    fn a_connection_that_does_not_take_what_is_sent_finds_a_gap() {
        let mut line = Line::new(Ring::new(3, 80));
        push(&mut line, 5);
        line.fall_behind();
        assert_eq!(drain(&mut line), ["-0..1", "2r!", "3r", "4r"]);
    }

    #[test]
    fn nobody_has_received_what_was_never_sent() {
        let mut line = Line::new(Ring::new(3, 80));
        assert!(!line.resume(Some(0)));
        push(&mut line, 2);
        assert!(!line.resume(Some(2)));
        assert!(!line.resume(Some(u32::MAX - 7)));
        assert!(line.resume(Some(1)));
        assert!(line.resume(None));
        assert_eq!(drain(&mut line), ["0r", "1r"]);
    }

    #[test]
    fn numbers_go_on_past_32_bits() {
        let mut line = Line::new(Ring::new(4, 64));
        line.ring.next = u64::from(u32::MAX) - 1;
        line.cursor = line.ring.next;
        push(&mut line, 4);
        drain(&mut line);
        assert!(line.resume(Some(u32::MAX)));
        let first = u64::from(u32::MAX) + 1;
        assert_eq!(drain(&mut line), [format!("{first}r"), format!("{}r", first + 1)]);
        assert!(line.resume(Some(u32::MAX - 1)));
        assert_eq!(drain(&mut line).len(), 3);
    }

    #[test]
    fn a_message_longer_than_the_ring_is_a_gap() {
        let mut line = Line::new(Ring::new(4, 8));
        push(&mut line, 1);
        line.push(0, &[0; 9]);
        push(&mut line, 1);
        assert_eq!(drain(&mut line), ["-0..1", "2!"]);
    }

    proptest! {
        #[test]
        fn what_is_held_is_what_was_pushed(
            places in 0_usize..8, bytes in 0_usize..50, lengths in prop::collection::vec(0_usize..20, 0..100)
        ) {
            let mut ring = Ring::new(places, bytes);
            let mut all = Vec::new();
            for (number, length) in lengths.into_iter().enumerate() {
                let message: Vec<u8> = (0..length).map(|at| (number * 31 + at) as u8).collect();
                prop_assert_eq!(ring.push(number as u64, &message), number as u64);
                all.push(message);
                let oldest = ring.oldest() as usize;
                let held: usize = all[oldest..].iter().map(Vec::len).sum();
                prop_assert!(all.len() - oldest <= places && held <= bytes);
                for (number, message) in all.iter().enumerate() {
                    let found = ring.get(number as u64).map(|held| (held.timestamp, text(held)));
                    let expected = (number >= oldest).then(|| (number as u64, message.clone()));
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
