//! What goes into the jitter buffer, and what comes out of it.

use crate::Codec;

/// What a packet is to the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound in this codec.
    Sound(Codec),
    /// Comfort noise (RFC 3389): what follows, until the next sound, is to sound like this.
    Noise,
}

/// A packet, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Extended sequence number.
    pub sequence: u64,
    /// Nothing newer has come before it.
    pub newest: bool,
    /// RTP timestamp.
    pub timestamp: u32,
    /// The RTP clock.
    pub clock_hz: u32,
    /// What it is.
    pub kind: Kind,
    /// How long it is on the RTP clock, at most [`MAX_PACKET_MS`](super::jitter::MAX_PACKET_MS); zero for noise.
    pub duration: u32,
    /// Its payload, not empty.
    pub payload: &'a [u8],
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It will be played.
    InTime,
    /// It came after its time; what is left of it will be played.
    Late,
    /// It came after its time, and something else has been played in its place.
    Discarded,
}

/// A piece of the timeline. Lengths are in units of media time.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A packet of sound.
    Sound {
        /// Its sequence number.
        sequence: u64,
        /// What it is coded with.
        codec: Codec,
        /// Its payload.
        payload: &'a [u8],
        /// How long it is.
        duration: u32,
        /// How much of its start is not to be played.
        skip: u32,
    },
    /// The last part of a hole; the packet that ends it may hold what is missing (in-band FEC).
    Recoverable(u32, Codec, &'a [u8]),
    /// So much is missing: lost or late.
    Missing(u32),
    /// A pause of so much.
    Pause(u32),
    /// What pauses sound like from here on.
    Noise(&'a [u8]),
}
