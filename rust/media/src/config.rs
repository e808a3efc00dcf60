//! What an engine, a leg and a stream are told when they are made.

use std::net::{IpAddr, SocketAddr};

pub use crate::codec::Codec;
pub use crate::codec::opus::Settings as OpusSettings;
pub use crate::rtp::delay::Bounds;
use crate::srtp::SrtpParams;
use crate::stream::dialect;
pub use crate::stream::ears::Together;
pub use crate::stream::encoding::Encoding;
pub use crate::stream::uplink::ResumeParams;
use crate::time::RATE_HZ;
use crate::tracks::ALL;

/// Default of [`Limits::sessions`].
pub const DEFAULT_MAX_SESSIONS: usize = 4_096;
/// Default of [`Limits::playout_ms`].
pub const DEFAULT_PLAYOUT_MS: u32 = 120_000;
/// Longest chunk a stream may ask for; bounds the memory of the uplink.
pub const MAX_CHUNK_MS: u32 = 2_000;
/// Longest identifier a stream may carry.
pub const MAX_ID_BYTES: usize = 256;
/// Who calls and who is called, as `start` tells it: SIP lets strangers call themselves what they like, in a header of so much.
pub const MAX_NUMBER_BYTES: usize = 8 * 1024;
/// What an application may have `start` say of its own. Rule: more is refused.
pub const MAX_METADATA_BYTES: usize = 8 * 1024;
/// Identifiers and parameters of one stream, each at most [`MAX_ID_BYTES`] twice. Rule: more are refused.
pub const MAX_START_FIELDS: usize = 128;

/// What an engine is made of. Same configuration, same inputs, same outputs.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Seeds every random choice (SSRC, first sequence number, first timestamp, RTCP intervals). Take it from the
    /// operating system's entropy: RFC 3550 §5.1 wants these unpredictable.
    pub seed: u64,
    /// The wall clock at [`Time`](crate::Time)`(0)`, as NTP 32.32 fixed point, for sender reports.
    pub ntp_at_zero: u64,
    /// The bounds.
    pub limits: Limits,
    /// Where the numbering of new legs starts instead of at random: for tests at the wrap.
    pub numbering: Option<Numbering>,
}

impl EngineConfig {
    /// A configuration with the default limits.
    pub fn new(seed: u64, ntp_at_zero: u64) -> EngineConfig {
        EngineConfig {
            seed,
            ntp_at_zero,
            limits: Limits::default(),
            numbering: None,
        }
    }
}

/// The bounds an operator may choose; those that nobody needs to choose are constants beside their rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions open at once; more are refused.
    pub sessions: usize,
    /// Audio one stream may have queued; the newest samples beyond it are dropped and counted.
    pub playout_ms: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            sessions: DEFAULT_MAX_SESSIONS,
            playout_ms: DEFAULT_PLAYOUT_MS,
        }
    }
}

/// The RTP numbering a leg starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number of frame 0.
    pub sequence: u16,
    /// Timestamp of frame 0.
    pub timestamp: u32,
}

/// Payload types of audio on one leg. Rule for more: they are not negotiated.
pub const MAX_PAYLOAD_TYPES: usize = 8;

/// What the payload types of a leg mean: at least one, each at most 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadTypes {
    entries: [(u8, Codec); MAX_PAYLOAD_TYPES],
    used: usize,
}

impl PayloadTypes {
    /// Of a list whose first entry is what we send; `None` when it is empty, too long, or names a type above 127.
    pub fn new(entries: &[(u8, Codec)]) -> Option<PayloadTypes> {
        let first = *entries.first()?;
        let valid = entries.len() <= MAX_PAYLOAD_TYPES && entries.iter().all(|(number, _)| *number <= 127);
        let mut types = PayloadTypes {
            entries: [first; MAX_PAYLOAD_TYPES],
            used: entries.len(),
        };
        valid.then(|| {
            types.entries[..entries.len()].copy_from_slice(entries);
            types
        })
    }

    /// All of them.
    pub fn entries(&self) -> &[(u8, Codec)] {
        &self.entries[..self.used]
    }

    /// What we send with.
    pub fn send(&self) -> (u8, Codec) {
        self.entries[0]
    }

    /// The codec of a payload type.
    pub fn codec(&self, payload_type: u8) -> Option<Codec> {
        let found = self.entries().iter().find(|(number, _)| *number == payload_type);
        found.map(|(_, codec)| *codec)
    }
}

/// Telephone-events as they were negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The payload type, at most 127.
    pub payload_type: u8,
    /// The clock of their durations.
    pub clock_hz: u32,
}

/// What offer and answer settled about the far end of a leg. `send` and `receive` are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegRemote {
    /// Where RTP goes until the first valid packet shows the real address.
    pub rtp: SocketAddr,
    /// Where RTCP goes; `None` sends no RTCP unless it is multiplexed.
    pub rtcp: Option<SocketAddr>,
    /// The payload types of audio: the first is what we send, all are received.
    pub audio: PayloadTypes,
    /// Telephone-events (RFC 4733), if negotiated.
    pub telephone_event: Option<TelephoneEvent>,
    /// The sound the far end would have in one packet of ours: 10..=60 ms, of which the codec takes what it can.
    pub ptime_ms: u32,
    /// How we encode Opus, if we do.
    pub opus: OpusSettings,
    /// Between what bounds the delay of the jitter buffer adapts itself.
    pub jitter: Bounds,
    /// We may send.
    pub send: bool,
    /// We want to receive.
    pub receive: bool,
    /// RTP and RTCP share one port (RFC 5761).
    pub rtcp_mux: bool,
    /// Beside the address of `rtp`, media may come from here before the first packet has fixed its source: the far end's
    /// signalling came from this address, which behind a NAT, or on a host with several, is not the one it announces.
    pub also_from: Option<IpAddr>,
    /// The keys of SRTP; `None` sends and takes plain RTP.
    pub srtp: Option<SrtpParams>,
}

/// Which way a leg is silenced, whatever its far end and signalling say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mute {
    /// What it says is silence to all: other legs, streams and recordings. Its digits still count.
    pub input: bool,
    /// It is sent silence.
    pub output: bool,
}

/// Who is in which channel or file of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Two channels: left what the first leg said, right what it was sent.
    #[default]
    Stereo,
    /// One channel: what everyone said.
    Mono,
    /// One channel for each party, in a track of its own: what it said. Streams and playbacks are one party.
    Parties,
}

impl Layout {
    /// The word the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Layout::Stereo => "stereo",
            Layout::Mono => "mono",
            Layout::Parties => "parties",
        }
    }

    /// Channels of each track.
    pub const fn channels(self) -> usize {
        match self {
            Layout::Stereo => 2,
            Layout::Mono | Layout::Parties => 1,
        }
    }
}

/// How a recording is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingParams {
    /// Who is in it, and where.
    pub layout: Layout,
    /// Its rate, one of [`RECORDING_RATES_HZ`](crate::session::RECORDING_RATES_HZ), whatever becomes of the session's.
    pub rate_hz: u32,
}

impl RecordingParams {
    /// At the telephone rate.
    pub const fn new(layout: Layout) -> RecordingParams {
        RecordingParams {
            layout,
            rate_hz: crate::time::RATE_HZ,
        }
    }
}

/// The dialects an application may speak on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Teler's media WebSocket: JSON text, PCM16 in base64.
    Teler,
    /// Twilio Media Streams: JSON text, µ-law in base64.
    Twilio,
    /// Ours, `longline.v1`: audio in binary messages behind a header of 16 bytes or in JSON, control in JSON.
    Longline,
    /// Telnyx Media Streaming: JSON text, a codec each way in base64.
    Telnyx,
    /// Plivo Audio Streaming: JSON text, µ-law or linear samples in base64.
    Plivo,
    /// Vonage's WebSocket endpoint: linear samples in binary messages, JSON text.
    Vonage,
    /// Exotel AgentStream: JSON text, linear samples in base64.
    Exotel,
    /// Asterisk's chan_websocket: media in binary messages, text that may be JSON.
    Asterisk,
    /// jambonz' listen: linear samples in binary messages, JSON text.
    Jambonz,
}

impl Dialect {
    /// The dialect that the control protocol calls so.
    pub fn named(name: &str) -> Option<Dialect> {
        let entry = dialect::TABLE.iter().find(|entry| entry.name == name);
        entry.map(|entry| entry.dialect)
    }
}

/// How samples stand in messages one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How each is written.
    pub encoding: Encoding,
    /// How many there are in a second.
    pub rate_hz: u32,
}

/// Whether the application of a stream may be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// It hears and speaks.
    #[default]
    Both,
    /// It hears. What it says is refused.
    Listen,
}

/// How a stream is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamParams {
    /// The dialect spoken.
    pub dialect: Dialect,
    /// Audio per message to the application: 20..=[`MAX_CHUNK_MS`], a multiple of 20; of longline one of
    /// [`FRAMES_MS`](crate::stream::longline::FRAMES_MS), until the application wants another.
    pub chunk_ms: u32,
    /// How samples stand in a message to the application: what the dialect can carry.
    pub encoding: Encoding,
    /// Rate of the audio to the application: what the dialect can carry.
    pub rate_hz: u32,
    /// Audio from the application. `None`: as to it, where the dialect can carry that, or else the one format that it can.
    pub input: Option<Format>,
    /// Whether the application may speak.
    pub direction: Direction,
    /// What it hears ([`tracks`](crate::tracks)): what the dialect can carry, in this way.
    pub tracks: Vec<u8>,
    /// How those come together.
    pub together: Together,
    /// Who hears what the application says to nobody in particular: 0 all parties, else one alone.
    pub speak_to: u8,
    /// How much of what the application says may wait, if that is less than the engine's own limit.
    pub queue_limit_ms: u32,
    /// Goes into `start` as it is.
    pub account_id: String,
    /// Goes into `start` as it is.
    pub call_app_id: String,
    /// Goes into `start` as it is.
    pub call_id: String,
    /// Goes into every message as it is.
    pub stream_id: String,
    /// What else `start` tells, of what the dialect has a place for.
    pub start: StreamStart,
    /// How it goes on after a lost connection. `None`: its connection is its life.
    pub resume: Option<ResumeParams>,
    /// Goes into `start`: a JSON object of at most [`MAX_METADATA_BYTES`], or nothing at all.
    pub metadata: String,
}

impl StreamParams {
    /// What audio from the application is, when the dialect can carry it; else as to the application.
    pub fn input_format(&self) -> Format {
        let output = Format {
            encoding: self.encoding,
            rate_hz: self.rate_hz,
        };
        dialect::entry(self.dialect).input_of(self).unwrap_or(output)
    }
}

impl Default for StreamParams {
    fn default() -> StreamParams {
        StreamParams {
            dialect: Dialect::Teler,
            chunk_ms: 20,
            encoding: Encoding::PcmS16le,
            rate_hz: RATE_HZ,
            input: None,
            direction: Direction::Both,
            tracks: vec![ALL],
            together: Together::Apart,
            speak_to: ALL,
            queue_limit_ms: DEFAULT_PLAYOUT_MS,
            account_id: String::new(),
            call_app_id: String::new(),
            call_id: String::new(),
            stream_id: String::new(),
            start: StreamStart::default(),
            resume: None,
            metadata: String::new(),
        }
    }
}

/// What `start` tells of the call beyond the identifiers that every dialect has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamStart {
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// The call came in, as we see it; else we have placed it.
    pub is_inbound: bool,
    /// Names and values that whoever opened the stream wants told.
    pub parameters: Vec<(String, String)>,
    /// What the dialect's `start` wants beyond our own identifiers, by its own names.
    pub ids: Vec<(String, String)>,
}

impl StreamStart {
    /// The identifier of this name, or nothing.
    pub fn id(&self, name: &str) -> &str {
        let found = self.ids.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value)
    }
}
