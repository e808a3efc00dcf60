//! What an application asks of its stream.

use std::borrow::Cow;

use super::hello::Hello;
use crate::config::Format;
use crate::playout::ChunkId;
use crate::tracks::TrackSet;

/// What control is asked to do with the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End it.
    Hangup,
    /// Connect it with somebody else.
    Transfer,
    /// Record it.
    StartRecording,
    /// Do not record it any more.
    StopRecording,
    /// Press keys.
    SendDigits,
    /// Keep what the application tells of a turn of its conversation.
    NoteTurn,
}

impl Action {
    /// The word that the native dialect and the control protocol use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Hangup => "hangup",
            Action::Transfer => "transfer",
            Action::StartRecording => "record.start",
            Action::StopRecording => "record.stop",
            Action::SendDigits => "send_dtmf",
            Action::NoteTurn => "turn",
        }
    }
}

/// What stands around a message, in a dialect that has such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its number.
    pub number: Option<u32>,
    /// The generation of audio, modulo 256.
    pub generation: Option<u8>,
    /// Whom it concerns: 0 all parties, else one; `None`: it does not say.
    pub to: Option<u8>,
}

/// What an application asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Queue audio as a chunk of this name.
    Audio(Audio<'a>, Option<ChunkId>),
    /// Queue audio that one party alone is to hear; 0: all.
    AudioTo(u8, Audio<'a>),
    /// Hear these tracks too.
    Subscribe(TrackSet),
    /// Do not hear these any more.
    Unsubscribe(TrackSet),
    /// Drop one chunk, queued or playing. `None`: its name is longer than any that is kept.
    Interrupt(Option<ChunkId>),
    /// Drop everything.
    Clear,
    /// Say when all that is queued now has been played. The name is raw JSON, given back as it came.
    Mark(&'a str),
    /// Queue a sound that has a format of its own.
    Play(Play<'a>),
    /// Answer every mark that waits as if what is before it had been cleared, and clear nothing.
    ClearMarks,
    /// Play nothing until [`Message::Resume`], and lose nothing.
    Pause,
    /// Go on.
    Resume,
    /// Tell [`Tell::Status`](super::Tell::Status).
    AskStatus,
    /// Tell [`Tell::Empty`](super::Tell::Empty) once, at the next frame for which there is nothing.
    AskEmpty,
    /// Understood, and there is nothing to do.
    Nothing,
    /// What it wants, or why that cannot be read.
    Hello(Result<Box<Hello>, &'static str>),
    /// What follows is this utterance.
    Speak(ChunkId),
    /// The utterance is complete.
    SpeakEnd,
    /// Drop this utterance, queued or playing.
    InterruptUtterance(ChunkId),
    /// Control is asked for something.
    Request {
        /// What the application calls it, as raw JSON.
        id: Option<&'a str>,
        /// What is to be done.
        action: Action,
        /// A JSON object that has the particulars.
        fields: &'a str,
    },
    /// The stream is over.
    Stop,
    /// A ping, to be answered.
    Ping {
        /// Raw JSON.
        id: &'a str,
        /// Raw JSON.
        at: Option<&'a str>,
    },
    /// The answer to the ping of this number.
    Pong(u32),
}

impl Message<'_> {
    /// It changes what is heard or kept, and is done once though it is said twice.
    pub fn is_numbered(&self) -> bool {
        match self {
            Message::Request { action, .. } => matches!(action, Action::SendDigits | Action::NoteTurn),
            Message::Hello(_)
            | Message::Subscribe(_)
            | Message::Unsubscribe(_)
            | Message::Stop
            | Message::Ping { .. }
            | Message::Pong(_) => false,
            _ => true,
        }
    }

    /// A stream that only listens may say it too.
    pub fn is_for_listeners(&self) -> bool {
        !self.is_numbered() && !matches!(self, Message::Request { .. })
    }
}

/// A sound in a format of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play<'a> {
    /// The sound.
    pub audio: Audio<'a>,
    /// What it is; `None`: a WAV file, which says so itself.
    pub format: Option<Format>,
    /// Drop everything before it.
    pub replace: bool,
    /// A mark behind it: raw JSON, given back as it came.
    pub done: Option<&'a str>,
}

/// Samples in the encoding of what comes from the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audio<'a> {
    /// Still in base64.
    Base64(Cow<'a, str>),
    /// As they are.
    Raw(&'a [u8]),
    /// As they are, with the rest of the message before.
    Joined(Vec<u8>),
}
