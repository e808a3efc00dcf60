//! What the engine tells its caller: past tense, each with the key of what it happened to.

use std::net::SocketAddr;

use crate::dtmf::{Method, SentDigit};
use crate::key::{LegKey, PlaybackKey, SessionKey, StreamKey};
use crate::playout::ChunkId;
use crate::quality::Quality;
use crate::stream::dialect::Action;
use crate::vad::Evidence;

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The first valid RTP packet since the address was (re)set; its source is now the only one listened to.
    LegFirstPacket {
        /// The leg.
        leg: LegKey,
        /// Where the packet came from.
        from: SocketAddr,
    },
    /// Somebody who is not the far end sends to the leg; what it sends is dropped. Told once.
    LegIntruder {
        /// The leg.
        leg: LegKey,
        /// Where it sends from.
        from: SocketAddr,
    },
    /// A key press ended, told by a telephone-event (RFC 4733) or by its tones; once however often it was sent.
    DigitReceived {
        /// The leg.
        leg: LegKey,
        /// `0`..`9`, `*`, `#`, `A`..`D`.
        digit: char,
        /// How long the key was held.
        duration_ms: u32,
        /// What told it.
        method: Method,
    },
    /// A digit of ours has been sent.
    DigitSent {
        /// The leg.
        leg: LegKey,
        /// Which, and how.
        sent: SentDigit,
    },
    /// The far end began to speak.
    SpeechStarted {
        /// The leg.
        leg: LegKey,
        /// Since the session was opened.
        at_ms: u64,
        /// What told it.
        evidence: Evidence,
    },
    /// The far end has stopped speaking.
    SpeechStopped {
        /// The leg.
        leg: LegKey,
        /// Since the session was opened.
        at_ms: u64,
        /// From the first voiced frame to the last.
        duration_ms: u32,
    },
    /// How a leg has sounded since this was last told.
    LegQuality {
        /// The leg.
        leg: LegKey,
        /// What was measured.
        quality: Box<Quality>,
    },
    /// The first chunk of caller audio was made for the application.
    StreamFirstAudioSent {
        /// The stream.
        stream: StreamKey,
    },
    /// The first `audio` message with samples in it came from the application.
    StreamFirstAudioReceived {
        /// The stream.
        stream: StreamKey,
    },
    /// The application has agreed to a connection: audio goes both ways. Of streams that are resumed only.
    StreamReady {
        /// The stream.
        stream: StreamKey,
        /// Which connection of it, from 1.
        epoch: u32,
        /// It goes on with what it had before.
        resumed: bool,
    },
    /// The application has asked for its connection to be closed, or has to be refused it.
    StreamClosing {
        /// The stream.
        stream: StreamKey,
        /// Why.
        why: Closing,
    },
    /// The first sample of a talkspurt left as RTP.
    PlayoutStarted {
        /// The stream.
        stream: StreamKey,
    },
    /// Everything queued was played.
    PlayoutDrained {
        /// The stream.
        stream: StreamKey,
    },
    /// The application cleared its queue.
    PlayoutCleared {
        /// The stream.
        stream: StreamKey,
        /// How much of the talkspurt was heard.
        played_ms: u64,
        /// How much of it never will be.
        dropped_ms: u64,
    },
    /// The application interrupted one chunk.
    PlayoutInterrupted {
        /// The stream.
        stream: StreamKey,
        /// The chunk, as the application named it.
        chunk_id: ChunkId,
        /// How much of it was dropped.
        dropped_ms: u64,
    },
    /// The queue is full; told once until there is room again.
    PlayoutOverflow {
        /// The stream.
        stream: StreamKey,
        /// How much of the message that did not fit was dropped.
        dropped_ms: u64,
    },
    /// A message from the application was refused or ignored; told once per stream and reason, counted always.
    StreamMessageRefused {
        /// The stream.
        stream: StreamKey,
        /// Why.
        reason: RefusedMessage,
    },
    /// The application asks control for something.
    StreamRequest {
        /// The stream.
        stream: StreamKey,
        /// What the application calls it, as raw JSON; `None`: it wants no answer.
        request_id: Option<String>,
        /// What is to be done.
        action: Action,
        /// The particulars: a JSON object.
        fields: String,
        /// The leg that it is about; `None`: it does not say.
        leg: Option<LegKey>,
    },
    /// Of several legs another speaks now, by its energy.
    SpeakerChanged {
        /// The session.
        session: SessionKey,
        /// The leg; `None` when nobody does.
        leg: Option<LegKey>,
    },
    /// A fault of ours ended this session, and this one only: its key and all of its parts are gone.
    SessionFailed {
        /// The session.
        session: SessionKey,
        /// What the fault says of itself.
        reason: String,
    },
    /// A playback ended.
    PlaybackFinished {
        /// The playback.
        playback: PlaybackKey,
        /// How.
        reason: PlaybackEnd,
    },
}

/// Why a playback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaybackEnd {
    /// All of it was played, as often as asked.
    Completed,
    /// It was stopped by command or with its session.
    Stopped,
}

impl PlaybackEnd {
    /// The word the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            PlaybackEnd::Completed => "completed",
            PlaybackEnd::Stopped => "stopped",
        }
    }
}

/// Why a message from the application had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedMessage {
    /// Not a JSON object, or nested too deep.
    MalformedJson,
    /// The audio is not base64.
    MalformedBase64,
    /// A known type without a field it needs, or with one of the wrong JSON type.
    MissingField,
    /// A type this dialect does not have; harmless.
    UnknownType,
    /// A binary message in a dialect of text.
    Binary,
    /// A binary message whose header is short, of another version, or for a track that there is not.
    BadHeader,
    /// A mark with too long a name, or one too many.
    LimitReached,
    /// The stream is one that only listens.
    NotAllowed,
    /// A track that nobody has.
    UnknownTrack,
    /// A packet that is none of its encoding.
    MalformedAudio,
    /// It names another stream.
    OtherStream,
    /// Audio in a format that nobody can play.
    WrongFormat,
    /// Longer than the dialect has them.
    TooLong,
}

impl RefusedMessage {
    /// The word the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            RefusedMessage::MalformedJson => "malformed_json",
            RefusedMessage::MalformedBase64 => "malformed_base64",
            RefusedMessage::MissingField => "missing_field",
            RefusedMessage::UnknownType => "unknown_type",
            RefusedMessage::Binary => "binary",
            RefusedMessage::BadHeader => "bad_header",
            RefusedMessage::LimitReached => "limit_reached",
            RefusedMessage::NotAllowed => "not_allowed",
            RefusedMessage::UnknownTrack => "unknown_track",
            RefusedMessage::MalformedAudio => "malformed_audio",
            RefusedMessage::OtherStream => "other_stream",
            RefusedMessage::WrongFormat => "wrong_format",
            RefusedMessage::TooLong => "too_long",
        }
    }
}

/// Why a connection is closed from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The application has said `stop`.
    Stopped,
    /// Its `hello` cannot be met; in words.
    BadHello(&'static str),
    /// The token of its `hello` is wrong, or was used.
    WrongToken,
    /// It has not said `hello` in time.
    NoHello,
    /// A message was longer than its dialect allows.
    TooLong,
}
