//! The media engine without I/O.
//!
//! # Name
//!
//! `media` — RTP one way, an application's stream the other, and everything between: jitter buffer, G.711, concealment,
//! playout, mixing, recording, telephone-events, RTCP.
//!
//! # Synopsis
//!
//! ```
//! use media::{Engine, EngineConfig, Time};
//!
//! let mut engine = Engine::new(EngineConfig::new(42, 0));
//! let mut now = Time::from_millis(1_000);
//! let session = engine.open_session(now)?;
//! let leg = engine.open_leg(now, session)?;
//! // The shell around it is four verbs: read, drain, write, arm the timer.
//! while let Some(due) = engine.next_timeout().filter(|due| *due < Time::from_millis(2_000)) {
//!     now = due;
//!     engine.handle_timeout(now);
//!     while let Some(_transmit) = engine.poll_transmit() { /* write it to where it says */ }
//!     while let Some(_event) = engine.poll_event() { /* tell control */ }
//! }
//! assert_eq!(engine.stats(session)?.duration_ms, 980);
//! # let _ = leg;
//! # Ok::<(), media::CommandError>(())
//! ```
//!
//! # Description
//!
//! An [`Engine`] holds the sessions of one worker. It has no socket, no thread, no lock and no clock: packets and the
//! time are its inputs, and with the same seed the same inputs give the same outputs, so that an hour of call is a test
//! of a second.
//!
//! **Verbs.** [`Engine::receive`] takes what arrived, [`Engine::handle_timeout`] runs the frames that are due,
//! [`Engine::poll_transmit`] and [`Engine::poll_event`] give what came of it, [`Engine::next_timeout`] says when to come
//! again. Drain both polls after every verb *and every command*. Within one wake-up, receive before you handle the
//! timeout: a frame that is late then finds the packets that were waiting for it.
//!
//! **Keys.** Commands answer with keys. A key whose thing is gone is a [`CommandError`], or a counter for
//! [`Engine::receive`]; it never names something newer.
//!
//! **Time.** Frames of a session are due every 20 ms from the tick of its opening. A frame less than 60 ms late is run at
//! once, an older one is skipped: its RTP numbers are not used, its sound is not sent, recordings hold silence instead.
//!
//! **Transmits** borrow from an arena that is reused. What was made for a leg, stream or recording before it was closed
//! is still in there after the closing command (an RTCP BYE is made by it): drain, then close the socket or file.
//!
//! **Order of one frame.** Legs → jitter buffers → decoders or concealment → streams and recordings; streams' playout queues
//! and playbacks, and for each leg what the others say → mixer → encoders → legs. While no leg sends (not connected, or on
//! hold), queues and playbacks wait.
//!
//! **Records.** [`Engine::keep_records`] keeps what must outlive the process in memory of the caller's ([`record`]),
//! [`Engine::restore`] goes on from there. They are written before anything can be drained: a key is safe to tell after it.
//!
//! # Errors
//!
//! Commands refuse with a [`CommandError`] and change nothing. A bad packet or message is a counter, and an
//! [`Event::StreamMessageRefused`] the first time a stream sees its kind.
//!
//! # Bounds
//!
//! | bound | value | when reached |
//! |---|---|---|
//! | [`Limits::sessions`] | 4096 | `open_session` refuses |
//! | [`session::MAX_LEGS`], [`session::MAX_STREAMS`], [`session::MAX_PLAYBACKS`], [`session::MAX_RECORDINGS`] | 16, 8, 8, 4 | the command refuses |
//! | [`Limits::playout_ms`], [`playout::MAX_CHUNKS`] | 120 s, 16384 | newest audio dropped, `overflow_ms`, one event an episode |
//! | packets in the jitter buffer: the bytes and slots of [`Bounds::max_ms`] and [`rtp::jitter::EXCESS_MS`] | 360 ms | oldest packet dropped, `overflow` |
//! | [`codec::MAX_PTIME_MS`] | 60 ms | packet dropped, `malformed` |
//! | [`stream::json::MAX_DEPTH`] | 16 | message refused, `malformed_json` |
//! | [`playout::MAX_CHUNK_ID_BYTES`] | 72 | chunk plays without a name |
//! | [`playout::MAX_MARKS`], [`playout::MAX_MARK_BYTES`] | 1024, 512 | mark refused, `refused_marks` |
//! | [`playout::MAX_UTTERANCES`] | 1024 | `speak` refused, `refused_marks` |
//! | ring of a track: `ring_ms`, and [`stream::uplink::MAX_RING_BYTES`] for all of a stream | 10 s, 8 MiB | oldest goes, a gap is told, `missed` |
//! | [`stream::uplink::MAX_EVENTS`], [`stream::uplink::MAX_EVENT_BYTES`] | 256, 64 KiB | oldest goes, its number is left out |
//! | [`dtmf::sender::MAX_QUEUED`] | 128 | `send_digits` refuses whole |
//! | [`srtp::MAX_SOURCES`] of one key | 16 | packets of another refused, `srtp_auth_failed` |
//! | [`session::MAX_EVENTS`] | 65536 | newest dropped, `events_dropped` |
//! | [`MAX_OUTBOX_BYTES`] | 64 MiB | newest dropped, `transmits_dropped` |
//!
//! # Standards
//!
//! RFC 3550 and 3551 (RTP), 4733 (telephone-events), 5761 (multiplexed RTCP), 7983 (demultiplexing), 3389 (comfort noise,
//! received), ITU-T G.711 and concealment in the class of its Appendix I, RFC 3711 and 7714 (SRTP, in [`srtp`]), RFC 6263
//! (keep-alives), RFC 3611 (extended reports), ITU-T Q.23 and Q.24 (tones), G.107 (the E-model). Left out: DTLS-SRTP.

pub mod codec;
mod conference;
pub mod config;
mod context;
pub mod dtmf;
mod engine;
mod error;
mod event;
mod fault;
mod frame;
mod keepalive;
mod key;
mod latch;
mod leg;
mod limiter;
mod meter;
mod mix;
pub mod ogg;
mod outbox;
mod playback;
pub mod playout;
pub mod quality;
mod random;
pub mod record;
mod recording;
pub mod rtp;
pub mod session;
mod signals;
mod speaker;
pub mod srtp;
mod stats;
pub mod stream;
mod time;
pub mod tracks;
pub mod vad;
mod voices;
pub mod wav;

use std::net::SocketAddr;

pub use codec::Codec;
pub use config::{
    Bounds, Dialect, Direction, Encoding, EngineConfig, Format, Layout, LegRemote, Limits, Mute, Numbering,
    OpusSettings, PayloadTypes, RecordingParams, ResumeParams, StreamParams, StreamStart, TelephoneEvent,
    Together,
};
pub use engine::{Engine, Restored, RestoredPlayback, RestoredSession};
pub use error::CommandError;
pub use event::{Closing, Event, PlaybackEnd, RefusedMessage};
pub use fault::panic_message;
pub use frame::Frame;
pub use key::{LegKey, PlaybackKey, RecordingKey, SessionKey, StreamKey};
pub use meter::{MAX_INTERVAL_MS, MIN_INTERVAL_MS};
pub use outbox::MAX_OUTBOX_BYTES;
pub use playout::ChunkId;
pub use signals::Detect;
pub use srtp::{SrtpParams, Suite};
pub use stats::{EngineStats, LegStats, SessionStats, StreamStats};
pub use time::{
    FRAME_MS, FRAME_SAMPLES, FRAME_TICKS, MAX_FRAME_SAMPLES, MAX_RATE_HZ, RATE_HZ, SAMPLES_PER_MS, Time,
    frame_samples,
};
pub use tracks::Label;

/// Where an input came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// One datagram from a leg's RTP socket.
    Rtp {
        /// The leg the socket belongs to.
        leg: LegKey,
        /// The sender.
        from: SocketAddr,
    },
    /// One datagram from a leg's RTCP socket.
    Rtcp {
        /// The leg the socket belongs to.
        leg: LegKey,
        /// The sender.
        from: SocketAddr,
    },
    /// One whole text message from the application.
    Stream(StreamKey),
    /// One whole binary message from the application.
    StreamBinary(StreamKey),
}

/// How a message travels over the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As UTF-8 text.
    Text,
    /// As bytes.
    Binary,
}

/// Where an output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One datagram through the leg's RTP socket (RTP, and RTCP where the two are multiplexed).
    Rtp {
        /// The leg the socket belongs to.
        leg: LegKey,
        /// The receiver.
        to: SocketAddr,
    },
    /// One datagram through the leg's RTCP socket.
    Rtcp {
        /// The leg the socket belongs to.
        leg: LegKey,
        /// The receiver.
        to: SocketAddr,
    },
    /// One whole message to the application.
    Stream {
        /// The stream.
        stream: StreamKey,
        /// How it travels.
        form: Form,
        /// It may be dropped when the application does not read; the others say what the rest means.
        may_drop: bool,
    },
    /// A frame of one track of a recording, s16le at its rate; two channels are interleaved.
    Recording(RecordingKey, Track),
}

/// One file of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// The only one: [`Layout::Stereo`] or [`Layout::Mono`].
    All,
    /// Of [`Layout::Parties`]: what streams and playbacks said. It comes first in every frame.
    Streams,
    /// Of [`Layout::Parties`]: what this leg said, from the frame on in which it joined.
    Leg(LegKey),
}

/// One thing to send; borrowed from the arena until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// Where to.
    pub to: Destination,
    /// What.
    pub payload: &'a [u8],
}
