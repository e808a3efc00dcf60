//! What a node can be told, and how it answers. Names are the caller's; keys never leave the worker.

use std::net::SocketAddr;
use std::path::PathBuf;

use media::dtmf::SendDigits;
use media::stream::comfort::Comfort;
use media::{LegRemote, LegStats, SessionStats, StreamParams, StreamStats};

pub use media::{Label, Layout, Mute};

pub use crate::recorder::seal::{DataKey, MAX_WRAPPED_BYTES};
use crate::websocket::upgrade::Upgrade;
use crate::websocket::url::WebSocketUrl;

/// A command for one session.
#[derive(Debug)]
pub struct Command {
    /// The session's name.
    pub session: String,
    /// What to do with it.
    pub action: Action,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// What to do with a session.
#[derive(Debug)]
pub enum Action {
    /// Open a leg, and the session when it is new.
    OpenLeg {
        /// Its name.
        leg: String,
        /// The family of its address; if it does not matter, that of the node's first.
        family: Option<Family>,
        /// What applications are told of it.
        label: Label,
    },
    /// Tell a leg its far end.
    ConnectLeg {
        /// Its name.
        leg: String,
        /// The far end.
        remote: LegRemote,
        /// How often to tell of its quality; 0 is never.
        quality_interval_ms: u64,
    },
    /// Send digits by a leg.
    SendDigits {
        /// Its name.
        leg: String,
        /// Which.
        digits: SendDigits,
    },
    /// Listen for something on a leg.
    Detect {
        /// Its name.
        leg: String,
        /// Digits as tones.
        inband_dtmf: bool,
        /// Voices.
        vad: Vad,
    },
    /// Silence a leg, or let it be heard again.
    MuteLeg {
        /// Its name.
        leg: String,
        /// Which way.
        mute: Mute,
    },
    /// Close a leg; the session stays.
    CloseLeg {
        /// Its name.
        leg: String,
    },
    /// Close the session and all that is in it.
    CloseSession,
    /// What the session has seen.
    SessionStats,
    /// For tests of faults: the next frame of the session panics.
    BreakSession,
    /// Dial the application.
    OpenStream {
        /// Its name.
        stream: String,
        /// Where, and how.
        dial: Dial,
        /// What to speak.
        params: StreamParams,
    },
    /// Dial a stream elsewhere, should it lose its connection.
    SetWays {
        /// Its name.
        stream: String,
        /// Where from now on.
        ways: Vec<Way>,
    },
    /// Answer what the application of a stream asked control for.
    AnswerStream {
        /// Its name.
        stream: String,
        /// What the application calls its request: JSON; `None`: it has not named it.
        request_id: Option<String>,
        /// Code and words, when it was not done.
        error: Option<(String, String)>,
        /// What else there is to say: a JSON object.
        fields: String,
    },
    /// Close a stream.
    CloseStream {
        /// Its name.
        stream: String,
    },
    /// Play a file.
    StartPlayback {
        /// Its name.
        playback: String,
        /// The file.
        path: PathBuf,
        /// How often.
        repeat: u32,
        /// The leg that alone hears it; `None`: all.
        leg: Option<String>,
    },
    /// Stop playing.
    StopPlayback {
        /// Its name.
        playback: String,
    },
    /// Record to a file.
    StartRecording {
        /// Its name.
        recording: String,
        /// The file, and what it is made of.
        file: RecordingFile,
    },
    /// Stop recording.
    StopRecording {
        /// Its name.
        recording: String,
    },
}

/// How an application is dialled.
#[derive(Debug)]
pub struct Dial {
    /// Where: at least one. The first that answers has the stream; when it is lost, all are tried in turn.
    pub ways: Vec<Way>,
    /// What the request says beside that.
    pub upgrade: Upgrade,
    /// How it goes on when the connection is lost. `None`: not at all.
    pub resume: Option<ResumeWish>,
}

/// How a stream is resumed.
#[derive(Clone, Debug)]
pub struct ResumeWish {
    /// How long it may be without a connection, in milliseconds; 0: not at all.
    pub window_ms: u32,
    /// How much of what is heard is kept, in milliseconds.
    pub ring_ms: u32,
    /// Where the application may dial in.
    pub url: Option<String>,
    /// What the parties hear meanwhile.
    pub comfort: Comfort,
}

/// Where an application is.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its URL.
    pub url: WebSocketUrl,
    /// The addresses that are dialled, in this order; `None` to look the URL's host up.
    pub addresses: Option<Vec<SocketAddr>>,
}

/// How to listen for voices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vad {
    /// Not at all.
    Off,
    /// By their level.
    Energy,
    /// By Silero's network, for which the node needs its weights.
    Silero,
}

/// What a command gave.
#[derive(Debug)]
pub enum Answer {
    /// It is done.
    Done,
    /// The leg's addresses.
    LegOpened {
        /// Where RTP is received.
        rtp: SocketAddr,
        /// Where RTCP is received.
        rtcp: SocketAddr,
        /// Its synchronisation source.
        ssrc: u32,
    },
    /// What the session has seen.
    Session(Box<SessionReport>),
    /// What the leg has seen.
    Leg(Box<LegStats>),
    /// What the stream has seen.
    Stream(StreamReport),
    /// It plays.
    PlaybackStarted {
        /// The length of the file, once.
        duration_ms: u64,
    },
    /// The file is complete.
    RecordingStopped(RecordingReport),
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of the control protocol's error codes.
    pub code: &'static str,
    /// What is wrong, in words.
    pub message: String,
}

impl Refusal {
    /// A refusal with its words.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<media::CommandError> for Refusal {
    fn from(error: media::CommandError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// The outcome of a command.
pub type Outcome = Result<Answer, Refusal>;

/// Where the outcome of one command goes. A reply that is lost answers `internal`, so that nobody waits in vain.
pub struct Reply(Option<Box<dyn FnOnce(Outcome) + Send>>);

impl Reply {
    /// A reply that calls `then`, once.
    pub fn new(then: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// Answer.
    pub fn send(mut self, outcome: Outcome) {
        if let Some(then) = self.0.take() {
            then(outcome);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(Refusal::new(
                "internal",
                "the worker ended before it could answer",
            )));
        }
    }
}

/// An answer that waits for other things to be told first: it is sent when its last holder lets go of it.
pub struct Deferred(Option<(Reply, Outcome)>);

impl Deferred {
    /// Send `outcome` when this is dropped.
    pub fn new(reply: Reply, outcome: Outcome) -> Self {
        Self(Some((reply, outcome)))
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if let Some((reply, outcome)) = self.0.take() {
            reply.send(outcome);
        }
    }
}

/// What a session has seen, by name.
#[derive(Debug, Default)]
pub struct SessionReport {
    /// The engine's own account; its keyed lists are empty here.
    pub stats: SessionStats,
    /// Legs by name.
    pub legs: Vec<(String, LegStats)>,
    /// Streams by name.
    pub streams: Vec<(String, StreamReport)>,
}

/// What a stream has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamReport {
    /// The engine's account.
    pub stats: StreamStats,
    /// Messages dropped because the application did not read.
    pub send_dropped: u64,
}

/// How a recording is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// RIFF/WAVE, PCM of 16 bits.
    #[default]
    Wav,
    /// Opus in Ogg (RFC 7845).
    Ogg,
}

impl Format {
    /// The word the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Ogg => "ogg",
        }
    }
}

/// What is to be recorded, and to which file.
#[derive(Clone, Debug)]
pub struct RecordingFile {
    /// The file; of several, what their names are made of.
    pub path: PathBuf,
    /// How it is encoded.
    pub format: Format,
    /// Who is in which channel or file.
    pub layout: Layout,
    /// Samples per second; `None` for the session's.
    pub rate_hz: Option<u32>,
    /// Seal it with this.
    pub data_key: Option<DataKey>,
}

/// A finished recording.
#[derive(Clone, Debug)]
pub struct RecordingReport {
    /// The file; of several, the first.
    pub path: PathBuf,
    /// How it is encoded.
    pub format: Format,
    /// Who is in which channel or file.
    pub layout: Layout,
    /// Channels of each file.
    pub channels: u8,
    /// Samples per second.
    pub rate_hz: u32,
    /// It is sealed.
    pub encrypted: bool,
    /// Its length; of several files, that of the longest.
    pub duration_ms: u64,
    /// The size of all files.
    pub bytes: u64,
    /// Each file.
    pub tracks: Vec<TrackReport>,
    /// What is missing in it, or why it ended early.
    pub error: Option<String>,
}

/// One file of a finished recording.
#[derive(Clone, Debug)]
pub struct TrackReport {
    /// Whose: a leg's name, `streams`, or the layout where there is but one file.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub duration_ms: u64,
    /// Its size.
    pub bytes: u64,
}
