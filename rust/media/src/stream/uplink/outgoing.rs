//! What the present connection is due, in order: events first, then of each track what it missed and what is new.

use super::super::ears::Chunk;
use super::super::ring::Due;
use super::{State, Uplink};

/// Messages of one track that go out in one frame.
pub const CATCH_UP_MESSAGES: u32 = 25;

/// One message for the present connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing<'a> {
    /// An event, as it was written.
    Event([&'a [u8]; 2]),
    /// Messages of a track that will never be sent, the first and the last.
    Gap {
        /// Of which.
        track: u8,
        /// The first.
        from: u32,
        /// The last.
        to: u32,
    },
    /// Audio of a track.
    Audio(Chunk<'a>),
}

impl Uplink {
    /// The connection takes nothing more for now, or takes it again.
    pub fn block(&mut self, is_blocked: bool) {
        if std::mem::replace(&mut self.is_blocked, is_blocked) && !is_blocked {
            self.tracks.iter_mut().for_each(|track| track.line.fall_behind());
        }
    }

    /// A new frame begins: as much again may be caught up.
    pub fn begin_frame(&mut self) {
        self.tracks.iter_mut().for_each(|track| track.sent = 0);
    }

    /// What the connection is due next; `None`: nothing now.
    pub fn poll(&mut self) -> Option<Outgoing<'_>> {
        if self.state != State::Ready || self.is_blocked {
            return None;
        }
        // Of events that are kept no longer, the numbers that are left out tell.
        if self.events.is_behind() {
            self.events.skip_gap();
        }
        if self.events.waiting() > 0 {
            return match self.events.take() {
                Some(Due::Message { held, .. }) => Some(Outgoing::Event(held.bytes)),
                _ => None,
            };
        }
        let track = self
            .tracks
            .iter_mut()
            .find(|track| track.sent < CATCH_UP_MESSAGES && track.line.waiting() > 0)?;
        track.sent += 1;
        let number = track.number;
        Some(match track.line.take()? {
            Due::Gap(from, to) => Outgoing::Gap {
                track: number,
                from: from as u32,
                to: to as u32,
            },
            Due::Message {
                number: sequence,
                is_replay,
                is_after_gap,
                held,
            } => Outgoing::Audio(Chunk {
                track: number,
                sequence: sequence as u32,
                timestamp: held.timestamp,
                encoded: whole(held.bytes, &mut self.joined),
                is_replay,
                is_after_gap,
            }),
        })
    }

    /// Messages that wait, of all tracks.
    pub fn waiting(&self) -> u64 {
        self.tracks.iter().map(|track| track.line.waiting()).sum()
    }
}

/// Both parts in one.
fn whole<'a>([front, back]: [&'a [u8]; 2], joined: &'a mut Vec<u8>) -> &'a [u8] {
    if back.is_empty() {
        return front;
    }
    joined.clear();
    joined.extend_from_slice(front);
    joined.extend_from_slice(back);
    joined
}
