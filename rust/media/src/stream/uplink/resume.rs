//! How a stream is resumed: what was agreed of it, the `hello` that begins a connection, and which tokens are good.

use super::super::comfort::Comfort;
use super::super::token::TokenKey;
use super::{State, Uplink};

/// How a stream that loses its connection is resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeParams {
    /// For how long it waits. 0: it is not resumed; the ring then serves a connection that is slow.
    pub window_ms: u32,
    /// How much of each track is kept.
    pub ring_ms: u32,
    /// What its tokens are made of.
    pub key: TokenKey,
    /// Where the application may dial in.
    pub url: Option<String>,
    /// What the parties hear meanwhile, when nothing is queued.
    pub comfort: Comfort,
}

impl Default for ResumeParams {
    /// Of a stream that is not resumed: a short ring, for a connection that is slow, and tokens that nobody is told.
    fn default() -> ResumeParams {
        ResumeParams {
            window_ms: 0,
            ring_ms: 1_000,
            key: TokenKey::new(0, [0; 32]),
            url: None,
            comfort: Comfort::Silence,
        }
    }
}

/// What an application says of the connection it had before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResumeRequest<'a> {
    /// The token of the last `start` before this one.
    pub token: &'a str,
    /// The last sequence of each track; a track that is not named, or negative: none.
    pub received: &'a [(u8, i64)],
    /// The last event; `None`: it does not count them.
    pub event: Option<i64>,
}

/// Why a `hello` does not resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotResumed {
    /// The token is none of this stream's, or was used: close code 4401.
    WrongToken,
    /// It claims to have what was never sent: close code 4400.
    Impossible,
}

impl Uplink {
    /// Whether this token may begin a connection from outside: it is of the last connection, or was never answered.
    pub fn admits(&self, token: &str) -> bool {
        let epoch = self.params.key.epoch_of(token);
        epoch.is_some_and(|epoch| (self.good_from..=self.epoch).contains(&epoch))
    }

    /// The first `hello`: messages of this size, of this much sound.
    pub fn agree(&mut self, frame_ms: u32, frame_bytes: usize) {
        (self.frame_ms, self.frame_bytes) = (frame_ms.max(1), frame_bytes);
    }

    /// A `hello` that resumes. Nothing changes when it is refused.
    pub fn resume(&mut self, request: &ResumeRequest<'_>) -> Result<(), NotResumed> {
        // A token of this very connection proves nothing of one before it.
        let known = self.params.key.epoch_of(request.token);
        if !known.is_some_and(|epoch| (self.good_from..self.epoch).contains(&epoch)) {
            return Err(NotResumed::WrongToken);
        }
        let received = |number: u8| {
            let named = request.received.iter().find(|(track, _)| *track == number);
            named.and_then(|(_, sequence)| u32::try_from(*sequence).ok())
        };
        if !self
            .tracks
            .iter()
            .all(|track| track.line.has_sent(received(track.number)))
        {
            return Err(NotResumed::Impossible);
        }
        let event = request.event.map(|event| u32::try_from(event).ok());
        if !event.is_none_or(|event| self.events.has_sent(event)) {
            return Err(NotResumed::Impossible);
        }
        for track in &mut self.tracks {
            track.line.resume(received(track.number));
        }
        match event {
            Some(event) => {
                self.events.resume(event);
            }
            None => self.events.resume_at(self.first_missed_event),
        }
        self.begin();
        Ok(())
    }

    /// A `hello` that knows of nothing before it.
    pub fn begin_anew(&mut self) {
        for track in &mut self.tracks {
            track.line.begin_anew();
        }
        self.events.resume_at(self.events.next());
        self.begin();
    }

    fn begin(&mut self) {
        self.state = State::Ready;
        self.was_ready = true;
        self.good_from = self.epoch;
    }
}
