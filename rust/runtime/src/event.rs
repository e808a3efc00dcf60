//! What a node tells unasked.

use std::net::SocketAddr;

use media::dtmf::{Method, SentDigit};
use media::quality::Quality;
use media::stream::dialect::Action;
use media::vad::Evidence;
use media::{ChunkId, PlaybackEnd};

use crate::command::{RecordingReport, StreamReport};

/// Something happened to a session, at a time.
#[derive(Debug)]
pub struct Notice {
    /// The session's name.
    pub session: String,
    /// Unix seconds.
    pub at: f64,
    /// What happened.
    pub event: Event,
}

/// What happened. Names are those the commands gave.
#[derive(Debug)]
pub enum Event {
    /// The first packet of the far end was accepted.
    LegMediaStarted {
        /// The leg.
        leg: String,
        /// Its address.
        from: SocketAddr,
    },
    /// Somebody else than the far end sends to the leg; told once.
    LegIntruder {
        /// The leg.
        leg: String,
        /// Where from.
        from: SocketAddr,
    },
    /// A key was pressed.
    LegDigit {
        /// The leg.
        leg: String,
        /// The key.
        digit: char,
        /// For how long.
        duration_ms: u32,
        /// What told it.
        method: Method,
    },
    /// A digit of ours has been sent.
    LegDigitSent {
        /// The leg.
        leg: String,
        /// Which, and how.
        sent: SentDigit,
    },
    /// The far end began to speak.
    LegSpeechStarted {
        /// The leg.
        leg: String,
        /// Since the session was opened.
        at_ms: u64,
        /// What told it.
        evidence: Evidence,
    },
    /// The far end has stopped speaking.
    LegSpeechStopped {
        /// The leg.
        leg: String,
        /// Since the session was opened.
        at_ms: u64,
        /// For how long it spoke.
        duration_ms: u32,
    },
    /// How a leg has sounded since this was last told.
    LegQuality {
        /// The leg.
        leg: String,
        /// What was measured.
        quality: Box<Quality>,
    },
    /// A fault of ours ended the session; it is gone with all of its parts.
    SessionFailed {
        /// What the fault says of itself.
        reason: String,
    },
    /// Something happened to a stream.
    Stream {
        /// The stream.
        stream: String,
        /// What.
        event: StreamEvent,
    },
    /// Of several legs another speaks now.
    SpeakerChanged {
        /// The leg; `None` when nobody does.
        leg: Option<String>,
    },
    /// A playback ended.
    PlaybackFinished {
        /// The playback.
        playback: String,
        /// How.
        reason: PlaybackEnd,
    },
    /// A recording is complete.
    RecordingFinished {
        /// The recording.
        recording: String,
        /// What became of it.
        report: RecordingReport,
    },
}

/// What happened to a stream.
#[derive(Debug)]
pub enum StreamEvent {
    /// The upgrade succeeded.
    Connected {
        /// Since stream.open.
        connect_ms: f64,
        /// What the application has chosen of what it was offered.
        subprotocol: Option<String>,
    },
    /// The connection is lost, and is tried to be made again.
    Disconnected {
        /// Why.
        cause: CloseCause,
        /// For how long that is tried.
        window_ms: u64,
    },
    /// There is a connection again, and the application has agreed to it.
    Resumed {
        /// Which it is, from 1.
        epoch: u32,
        /// The application goes on with what it had.
        resumed: bool,
        /// For how long there was none.
        outage_ms: u64,
        /// How often it was dialled.
        tries: u32,
        /// The application has dialled.
        dialled_in: bool,
    },
    /// The application asks control for something.
    Request {
        /// What it calls its request: JSON; `None`: it wants no answer.
        request_id: Option<String>,
        /// What is to be done.
        action: Action,
        /// The particulars: a JSON object.
        fields: String,
        /// The leg that it is about.
        leg: Option<String>,
    },
    /// The first chunk went to the application.
    FirstAudioSent,
    /// The first audio came from the application.
    FirstAudioReceived,
    /// The first sample of a talkspurt left as RTP.
    PlayoutStarted,
    /// All that was queued has been played.
    PlayoutDrained,
    /// The application cleared its queue.
    PlayoutCleared {
        /// What was heard.
        played_ms: u64,
        /// What never will be.
        dropped_ms: u64,
    },
    /// The application interrupted a chunk.
    PlayoutInterrupted {
        /// Its name for it.
        chunk_id: ChunkId,
        /// What never will be heard.
        dropped_ms: u64,
    },
    /// The playout queue is full.
    PlayoutOverflow {
        /// What did not fit.
        dropped_ms: u64,
    },
    /// A message had no effect; told once for each reason.
    RefusedMessage {
        /// Why.
        reason: &'static str,
    },
    /// The stream is over. Exactly once for each stream.
    Closed {
        /// Why.
        cause: CloseCause,
        /// What it has seen.
        report: StreamReport,
    },
}

/// Why a stream is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseCause {
    /// Which of the reasons.
    pub reason: CloseReason,
    /// The WebSocket close code, when there was one.
    pub code: Option<u16>,
    /// More, in words.
    pub detail: Option<String>,
}

impl CloseCause {
    /// A cause with its words.
    pub fn new(reason: CloseReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            code: None,
            detail: Some(detail.into()),
        }
    }

    /// The same with a close code.
    pub fn with_code(self, code: Option<u16>) -> Self {
        Self { code, ..self }
    }
}

/// The reasons of `stream.closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The application closed in order.
    ClosedByApp,
    /// A command, the end of the session, or a shutdown.
    ClosedByControl,
    /// No address took the connection.
    ConnectRefused,
    /// The name has no address.
    DnsFailed,
    /// TLS failed, or the certificate is not trusted.
    TlsFailed,
    /// The answer to the upgrade was another status than 101.
    HttpStatus,
    /// The answer to the upgrade breaks a rule.
    BadUpgrade,
    /// Not connected in time.
    ConnectTimeout,
    /// The connection ended without a close frame.
    ConnectionLost,
    /// The application broke RFC 6455.
    ProtocolError,
    /// A message was over the limit.
    MessageTooBig,
    /// The application took nothing for too long.
    AppStalled,
    /// The application answered no ping.
    PingTimeout,
    /// The application's hello was wrong, or did not come.
    BadHello,
    /// The connection was lost and could not be made again in time.
    WindowPassed,
    /// The application has come by a newer connection.
    Fenced,
    /// A fault of ours ended the session.
    SessionFailed,
}

impl CloseReason {
    /// The word the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClosedByApp => "closed_by_app",
            Self::ClosedByControl => "closed_by_control",
            Self::ConnectRefused => "connect_refused",
            Self::DnsFailed => "dns_failed",
            Self::TlsFailed => "tls_failed",
            Self::HttpStatus => "http_status",
            Self::BadUpgrade => "bad_upgrade",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectionLost => "connection_lost",
            Self::ProtocolError => "protocol_error",
            Self::MessageTooBig => "message_too_big",
            Self::AppStalled => "app_stalled",
            Self::PingTimeout => "ping_timeout",
            Self::BadHello => "bad_hello",
            Self::WindowPassed => "window_passed",
            Self::Fenced => "fenced",
            Self::SessionFailed => "session_failed",
        }
    }
}

/// Whom a node tells. Called on worker threads: it must return at once, whatever becomes of the news.
pub trait Observer: Send + Sync {
    /// Something happened to a session.
    fn notice(&self, notice: Notice);
    /// A worker died and was replaced; `sessions` were on it and are gone.
    fn worker_died(&self, worker: usize, sessions: Vec<String>, reason: String);
}
