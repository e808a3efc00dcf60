//! What a stream tells its application.

use crate::config::{Format, StreamParams};
use crate::event::RefusedMessage;
use crate::playout::{ChunkId, MarkOutcome};
use crate::stream::barge_in::By;
use crate::stream::ears::Chunk;
use crate::tracks::{Party, TrackSet};

/// What a stream tells its application.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Tell<'a> {
    /// The socket is there.
    Connected,
    /// Which connection of the stream this is, from 1; told before its `Start`.
    Epoch(u32),
    /// What the stream is, and who is there.
    Start(&'a StreamParams, &'a [Party]),
    /// One chunk of what was heard.
    Audio(Chunk<'a>),
    /// Chunks of a track that will never be sent.
    Gap {
        /// Of which.
        track: u8,
        /// The sequence of the first.
        from: u32,
        /// The sequence of the last.
        to: u32,
    },
    /// One more party has a track.
    TrackAdded(&'a Party),
    /// A party has left.
    TrackRemoved(&'a Party),
    /// These are heard now, each in messages of its own.
    Tracks(TrackSet),
    /// What was agreed on.
    Ready(Ready),
    /// What the application asked for was not done.
    Refused(RefusedMessage),
    /// What the application wants cannot be, in words.
    NotAgreed(&'a str),
    /// A party pressed a key.
    Digit {
        /// `0`..`9`, `*`, `#`, `A`..`D`.
        digit: char,
        /// How long.
        duration_ms: u32,
        /// Which party.
        track: u8,
        /// When, as a position of the tracks.
        at: u64,
    },
    /// A key was pressed for the application.
    DigitSent {
        /// Which.
        digit: char,
        /// How many are still to come.
        left: usize,
    },
    /// A mark was reached.
    Mark {
        /// Raw JSON, as it came.
        name: &'a str,
        /// How.
        outcome: MarkOutcome,
    },
    /// The queue was cleared, and its marks have been answered.
    Cleared {
        /// How much of the talkspurt was heard.
        played_ms: u64,
        /// How much never will be.
        dropped_ms: u64,
        /// Whose will it was.
        by: By,
        /// Clears so far.
        generation: u32,
        /// The marks that were cleared, as raw JSON.
        marks: &'a [Box<str>],
        /// The utterances that were not over.
        utterances: &'a [Utterance],
    },
    /// What becomes of an utterance.
    Playback {
        /// Its name.
        id: Option<ChunkId>,
        /// Who hears it.
        track: u8,
        /// What.
        playback: Playback,
    },
    /// The last number of the application's messages that has come.
    Received(u32),
    /// Speech is held.
    Paused {
        /// How much of the utterance was heard.
        played_ms: u64,
        /// How much waits.
        queued_ms: u64,
        /// Whose will it was.
        by: By,
    },
    /// Speech goes on.
    Resumed {
        /// Whose will it was.
        by: By,
    },
    /// A party begins to talk, or has stopped.
    Speech {
        /// Which.
        track: u8,
        /// When, as a position of the tracks.
        at: u64,
        /// What.
        speech: Speech,
    },
    /// How full the queue is has changed.
    Queue {
        /// How.
        level: Level,
        /// What waits.
        queued_ms: u64,
        /// What did not fit.
        dropped_ms: Option<u64>,
    },
    /// A moment by the wall clock and in the tracks.
    Clock {
        /// Unix milliseconds.
        unix_ms: u64,
        /// The position of the tracks.
        at: u64,
        /// How long the last ping took.
        rtt_ms: Option<u64>,
    },
    /// A ping of ours.
    Ping {
        /// Its number.
        id: u32,
        /// Unix milliseconds.
        unix_ms: u64,
    },
    /// The answer to a ping of the application.
    Pong {
        /// Raw JSON, as it came.
        id: &'a str,
        /// Raw JSON, as it came.
        at: Option<&'a str>,
        /// Unix milliseconds.
        unix_ms: u64,
    },
    /// What came of a request.
    Answer(Answer<'a>),
    /// All that was queued was played.
    Drained,
    /// The answer to [`Message::AskEmpty`](super::Message::AskEmpty).
    Empty,
    /// The answer to [`Message::AskStatus`](super::Message::AskStatus).
    Status {
        /// How much waits.
        queued_ms: u64,
        /// It is high.
        is_high: bool,
        /// Nothing is played.
        is_paused: bool,
    },
    /// The stream is over.
    Stop,
}

/// How audio travels both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// Encoding and rate.
    pub format: Format,
    /// Sound of a message to the application.
    pub frame_ms: u32,
    /// As text.
    pub is_text: bool,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// How audio travels.
    pub audio: AudioFormat,
    /// What is heard.
    pub tracks: TrackSet,
    /// The last number of the application's messages that has come.
    pub received: Option<u32>,
    /// Clears so far.
    pub generation: u32,
    /// The application goes on where it was.
    pub resumed: bool,
}

/// What becomes of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playback {
    /// Its first sample left, at this position of the tracks.
    Started {
        /// Samples.
        at: u64,
        /// How long what the parties say waits in their jitter buffers, from its arrival to its frame; of several the
        /// longest.
        waited_ms: u64,
    },
    /// It is being played.
    Progress {
        /// Heard of it.
        played_ms: u64,
        /// All that waits.
        queued_ms: u64,
    },
    /// It is over.
    Finished {
        /// Heard of it.
        played_ms: u64,
        /// How.
        outcome: MarkOutcome,
    },
}

/// What was heard of an utterance that was cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// Its name.
    pub id: Option<ChunkId>,
    /// Heard.
    pub played_ms: u64,
    /// Never to be heard.
    pub dropped_ms: u64,
}

/// A voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// It begins.
    Started {
        /// How loud, in dB of full scale.
        level_db: i32,
        /// Speech was paused for it.
        paused: bool,
    },
    /// It has ended.
    Stopped {
        /// How long it was.
        duration_ms: u32,
    },
}

/// How full a queue is, when that is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Full: something was dropped.
    Overflow,
    /// Empty in the middle of speech.
    Underrun,
    /// At nine tenths.
    High,
    /// Back at eight tenths.
    Low,
}

impl Level {
    /// The word that the native dialect uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Overflow => "overflow",
            Level::Underrun => "underrun",
            Level::High => "high",
            Level::Low => "low",
        }
    }
}

/// What came of a request to control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Raw JSON, as the application gave it. `None`: it has given none, and is told of an error alone.
    pub request_id: Option<&'a str>,
    /// Code and words, when it was not done.
    pub error: Option<(&'a str, &'a str)>,
    /// What else there is to say: a JSON object, or nothing.
    pub fields: &'a str,
}

impl Tell<'_> {
    /// It must not be lost with a socket.
    pub fn is_event(&self) -> bool {
        match self {
            Tell::Playback { playback, .. } => !matches!(playback, Playback::Progress { .. }),
            Tell::TrackAdded(_)
            | Tell::TrackRemoved(_)
            | Tell::Digit { .. }
            | Tell::DigitSent { .. }
            | Tell::Mark { .. }
            | Tell::Cleared { .. }
            | Tell::Paused { .. }
            | Tell::Resumed { .. }
            | Tell::Speech { .. }
            | Tell::Answer(Answer {
                request_id: Some(_), ..
            }) => true,
            _ => false,
        }
    }
}
