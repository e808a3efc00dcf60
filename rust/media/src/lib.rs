//! The media engine without I/O.

pub mod codec;
pub mod config;
pub mod dtmf;
mod engine;
mod error;
mod event;
mod key;
mod mix;
mod outbox;
mod playback;
pub mod playout;
mod random;
pub mod recording;
pub mod rtp;
mod stats;
mod time;
pub mod wav;

use std::net::SocketAddr;

pub use codec::Codec;
pub use config::{Dialect, EngineConfig, LegRemote, Limits, Numbering, StreamParams};
pub use engine::Engine;
pub use error::CommandError;
pub use event::{Event, PlaybackEnd, RefusedMessage};
pub use key::{LegKey, PlaybackKey, RecordingKey, SessionKey, StreamKey};
pub use outbox::MAX_OUTBOX_BYTES;
pub use playout::ChunkId;
pub use stats::{EngineStats, LegStats, SessionStats, StreamStats};
pub use time::{FRAME_MS, FRAME_SAMPLES, FRAME_TICKS, RATE_HZ, SAMPLES_PER_MS, Time};

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
    /// One whole text message to the application.
    Stream(StreamKey),
    /// Samples of a recording: interleaved stereo s16le at 8 kHz.
    Recording(RecordingKey),
}

/// One thing to send; borrowed from the arena until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// Where to.
    pub to: Destination,
    /// What.
    pub payload: &'a [u8],
}
