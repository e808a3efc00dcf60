//! A media stream: one WebSocket to the application, seen from the session.
//!
//! Up: frames of what was heard gather into chunks, each chunk becomes a message of the dialect. Down: messages become
//! chunks in the playout queue. Which bytes carry them is the dialect's business ([`teler`], [`twilio`], [`longline`]), how
//! they travel is the caller's.
//!
//! `opening` makes a stream, `connection` is its sockets, `telling` what the application is told, `hearing` what it hears,
//! `obeying` what it asks; of that, `queueing` is what waits to be heard and `speaking` what is heard of it. What else there is
//! between a stream and an application that agrees with us first on what is to be stands in `talk` and `talking`.

pub mod asterisk;
mod barge_in;
pub mod base64;
mod clock;
pub mod comfort;
mod connection;
pub mod dialect;
pub mod ears;
pub mod encoding;
pub mod events;
pub mod exotel;
mod hearing;
pub mod jambonz;
pub mod json;
mod keep;
pub mod longline;
mod mouths;
mod numbering;
mod obeying;
mod opening;
pub mod plivo;
mod queueing;
pub mod ring;
mod sound;
mod speaking;
mod talk;
mod talking;
pub mod teler;
mod telling;
pub mod telnyx;
pub mod token;
pub mod twilio;
pub mod uplink;
pub mod vonage;

use crate::config::StreamParams;
use crate::key::StreamKey;
use crate::stats::StreamStats;
pub use barge_in::By;
use comfort::ComfortSound;
use dialect::WireFormat;
use ears::Ears;
use mouths::Mouths;
use sound::Sound;
use talk::Talk;
use uplink::Uplink;

/// One stream of a session.
pub(crate) struct Stream {
    key: StreamKey,
    params: StreamParams,
    wire: Box<dyn WireFormat>,
    connected: bool,
    /// What outlives a connection, of a dialect that greets.
    uplink: Option<Box<Uplink>>,
    ears: Ears,
    mouths: Mouths,
    /// What is heard without a connection.
    comfort: ComfortSound,
    /// Sounds of other formats.
    sound: Sound,
    /// The application wants to know when nothing waits.
    asks_empty: bool,
    session_hz: u32,
    /// One message on its way to the uplink.
    event: Vec<u8>,
    /// The application has had it in another format than it was opened with.
    is_reshaped: bool,
    /// What is agreed with an application that greets.
    talk: Option<Box<Talk>>,
    /// How long what parties say waits before it is heard: see [`Playback::Started`](dialect::Playback::Started).
    waited_ms: u64,
    first_audio_sent: bool,
    first_audio_received: bool,
    /// Reasons of refusal already told, one bit each.
    told: u32,
    stats: StreamStats,
}

impl Stream {
    /// Its key.
    pub fn key(&self) -> StreamKey {
        self.key
    }

    /// The length of so many samples of the application's audio.
    const fn millis(&self, samples: u64) -> u64 {
        samples / (self.mouths.input.rate_hz as u64 / 1_000)
    }

    /// What it has seen.
    pub fn stats(&self) -> StreamStats {
        let totals = self.mouths.totals();
        StreamStats {
            played_ms: self.millis(totals.played),
            cleared_ms: self.millis(totals.cleared),
            overflow_ms: self.millis(totals.overflow),
            trimmed_ms: self.millis(totals.trimmed),
            underruns: totals.underruns,
            queued_ms: self.millis(self.mouths.queued() as u64),
            ..self.stats
        }
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.session_hz = session_hz;
        self.ears.set_rate(session_hz);
        self.mouths.set_rate(session_hz);
    }
}
