//! What an application that greets says first: what it wants, and what it has already.

use crate::config::Encoding;

/// What an application wants, before anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// How audio is to travel.
    pub audio: Wish,
    /// What to hear; `None`: as the stream was opened.
    pub tracks: Option<Vec<u8>>,
    /// How often to tell what has been played; 0: never.
    pub progress_ms: u32,
    /// Tell voices.
    pub speech: bool,
    /// Pause speech when a party begins to talk, and wait so long for a word.
    pub decide_ms: Option<u32>,
    /// At most so much may wait.
    pub queue_limit_ms: Option<u32>,
    /// The application is a live sender, with so much backlog at most.
    pub live_ms: Option<u32>,
    /// Its audio carries generations.
    pub generations: bool,
    /// It knows the stream.
    pub resume: Option<Resume>,
}

/// What is wanted of a format; the rest stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How each sample is written.
    pub encoding: Option<Encoding>,
    /// Samples in a second.
    pub rate_hz: Option<u32>,
    /// Sound of a message.
    pub frame_ms: Option<u32>,
    /// As text.
    pub is_text: Option<bool>,
}

/// What an application has of a stream that it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Of the last `start`.
    pub token: String,
    /// The last sequence of each track; a negative one: none.
    pub received: Vec<(u8, i64)>,
    /// The last event; a negative one: none.
    pub event: Option<i64>,
}
