//! The transmit arena: everything to be sent, back to back in one buffer that is reused.
//!
//! A message is written in place ([`Outbox::writer`], then [`Outbox::commit`]), so that making one allocates nothing
//! once the arena has grown to the size of the busiest tick. When the last message is taken the arena is empty again.

use crate::{Destination, Transmit};

/// Most bytes that may wait to be taken. Rule when full: the message is dropped and counted.
pub const MAX_OUTBOX_BYTES: usize = 64 << 20;

/// Memory kept for the next tick when the arena is empty.
const KEPT_BYTES: usize = 4 << 20;

#[derive(Clone, Copy)]
struct Entry {
    to: Destination,
    end: usize,
}

/// Messages to be sent, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Entries already taken, and where the next one starts.
    taken: usize,
    start: usize,
    /// Messages dropped at the bound.
    pub dropped: u64,
}

impl Outbox {
    /// The arena to append one message to; finish with [`Outbox::commit`].
    pub fn writer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Turns what was appended since the last commit into a message. Returns its length, or zero when it was dropped.
    pub fn commit(&mut self, to: Destination) -> usize {
        let start = self.entries.last().map_or(0, |entry| entry.end);
        let length = self.bytes.len() - start;
        if self.bytes.len() > MAX_OUTBOX_BYTES {
            self.bytes.truncate(start);
            self.dropped += 1;
            return 0;
        }
        self.entries.push(Entry {
            to,
            end: self.bytes.len(),
        });
        length
    }

    /// Forgets what was appended since the last commit.
    pub fn abandon(&mut self) {
        self.bytes
            .truncate(self.entries.last().map_or(0, |entry| entry.end));
    }

    /// The next message, or `None`, which also empties the arena.
    pub fn take(&mut self) -> Option<Transmit<'_>> {
        let Some(entry) = self.entries.get(self.taken).copied() else {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.entries.clear();
            self.taken = 0;
            self.start = 0;
            return None;
        };
        let payload = &self.bytes[self.start..entry.end];
        self.taken += 1;
        self.start = entry.end;
        Some(Transmit {
            to: entry.to,
            payload,
        })
    }
}
