//! What goes to an application over all of its connections: for each track, and for the events, a [`Line`]; and which
//! connection may have it (longline.v1 §6).
//!
//! The stream pushes what it has, connected or not; [`Uplink::poll`] gives what the present connection is due, in order,
//! what it missed first. Left out: how any of it is written, which is the dialect's business, and the sockets.
//!
//! ```text
//! open ── connect ──▶ start ── hello ──▶ ready ── disconnect ──▶ waits ── connect ──▶ start …
//! ```
//!
//! **Bounds.** A line holds `ring_ms` of its track and not more than [`MAX_RING_BYTES`] altogether; [`MAX_EVENTS`] events of
//! [`MAX_EVENT_BYTES`] together. Rule when full: the oldest goes, and a gap tells so. A connection that has missed much catches
//! up by [`CATCH_UP_MESSAGES`] of a track each frame, and one that does not take what is sent gets nothing until it does.

mod outgoing;
mod resume;
#[cfg(test)]
mod what_was_missed_is_told_once;

pub use outgoing::{CATCH_UP_MESSAGES, Outgoing};
pub use resume::{NotResumed, ResumeParams, ResumeRequest};

use super::ears::Chunk;
use super::ring::{Line, Ring};

/// Memory for the rings of one stream; a track whose ring does not fit has a shorter one.
pub const MAX_RING_BYTES: usize = 8 << 20;
/// Events that are kept.
pub const MAX_EVENTS: usize = 256;
/// Events that are kept, in bytes.
pub const MAX_EVENT_BYTES: usize = 64 << 10;
/// Longest ring, in milliseconds.
pub const MAX_RING_MS: u32 = 60_000;

struct Track {
    number: u8,
    line: Line,
    /// Messages sent in this frame.
    sent: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection.
    Waiting,
    /// `start` is sent.
    Greeting,
    /// `hello` is answered.
    Ready,
}

/// The uplink of one stream.
pub struct Uplink {
    params: ResumeParams,
    state: State,
    epoch: u32,
    /// Tokens of epochs before this have been used.
    good_from: u32,
    /// A `hello` has been answered: what is made counts.
    was_ready: bool,
    /// The connection takes nothing at the moment.
    is_blocked: bool,
    /// Sound and bytes of one message.
    frame_ms: u32,
    frame_bytes: usize,
    tracks: Vec<Track>,
    /// For a message that lies around the end of its ring.
    joined: Vec<u8>,
    events: Line,
    /// The first event that was made without a connection, of this outage.
    first_missed_event: u64,
}

impl Uplink {
    /// Of a stream that waits for its first connection.
    pub fn new(params: ResumeParams) -> Uplink {
        Uplink {
            params,
            state: State::Waiting,
            epoch: 0,
            good_from: 1,
            was_ready: false,
            is_blocked: false,
            frame_ms: 20,
            frame_bytes: 0,
            tracks: Vec::new(),
            joined: Vec::new(),
            events: Line::new(Ring::new(MAX_EVENTS, MAX_EVENT_BYTES)),
            first_missed_event: 0,
        }
    }

    /// How it resumes.
    pub fn params(&self) -> &ResumeParams {
        &self.params
    }

    /// Whether `hello` has been answered on the present connection.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Whether a `hello` was answered on any connection: from then on all that happens is kept.
    pub fn was_ready(&self) -> bool {
        self.was_ready
    }

    /// Which connection this is, or was.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A connection is there: its epoch, one for the first. One before it, if any, is forgotten.
    pub fn connect(&mut self) -> u32 {
        self.disconnect();
        self.epoch += 1;
        self.state = State::Greeting;
        self.epoch
    }

    /// The connection is gone.
    pub fn disconnect(&mut self) {
        if self.state == State::Ready {
            self.first_missed_event = self.events.next();
        }
        self.state = State::Waiting;
        self.is_blocked = false;
    }

    /// One chunk of a track; kept whether there is a connection or not. The first of a track makes its ring.
    pub fn push_audio(&mut self, chunk: &Chunk<'_>) {
        let at = self.tracks.iter().position(|track| track.number == chunk.track);
        let at = at.unwrap_or_else(|| self.hear(chunk.track, chunk.sequence));
        self.tracks[at].line.push(chunk.timestamp, chunk.encoded);
    }

    fn hear(&mut self, number: u8, sequence: u32) -> usize {
        let messages = (self.params.ring_ms.min(MAX_RING_MS) / self.frame_ms) as usize;
        let room = MAX_RING_BYTES.saturating_sub(self.ring_bytes());
        let ring = Ring::new(messages, (messages * self.frame_bytes).min(room));
        self.tracks.push(Track {
            number,
            line: Line::starting_at(u64::from(sequence), ring),
            sent: 0,
        });
        self.tracks.len() - 1
    }

    /// A track that is not heard any more: its ring is given back.
    pub fn forget(&mut self, number: u8) {
        self.tracks.retain(|track| track.number != number);
    }

    /// The number of the next event.
    pub fn next_event(&self) -> u64 {
        self.events.next()
    }

    /// One event, written.
    pub fn push_event(&mut self, message: &[u8]) {
        self.events.push(0, message);
    }

    fn ring_bytes(&self) -> usize {
        self.tracks.iter().map(|track| track.line.capacity()).sum()
    }
}
