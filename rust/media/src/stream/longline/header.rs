//! The header of binary audio (longline.v1 §2).
//!
//! ```text
//!  0        1        2                 4                                   8
//! +--------+--------+-----------------+-----------------------------------+
//! | 1 | 0  | track  | flags           | sequence                          |   version 1, kind 0 (audio)
//! +--------+--------+-----------------+-----------------------------------+
//! | timestamp of the first sample, in samples of the stream's rate        |
//! +-----------------------------------------------------------------------+
//! | samples …
//! ```
//!
//! All numbers are little-endian, as the samples are.

/// What stands before the samples.
pub const HEADER_BYTES: usize = 16;
/// The version of this protocol.
pub const VERSION: u8 = 1;
/// Flag: from the ring, or sent again after a reconnect.
pub const REPLAY: u16 = 1;
/// Flag: what came before it in its track was never sent.
pub const GAP: u16 = 2;
/// The first byte of audio: the version in the high half, the kind in the low one.
const AUDIO: u8 = VERSION << 4;

/// The header of a binary message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Whose audio it is.
    pub track: u8,
    /// [`REPLAY`], [`GAP`], and the generation of what an application says in the high half.
    pub flags: u16,
    /// Rises by one with each message of a track.
    pub sequence: u32,
    /// The position of the first sample, in samples.
    pub timestamp: u64,
}

impl Header {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = AUDIO;
        bytes[1] = self.track;
        bytes[2..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..].copy_from_slice(&self.timestamp.to_le_bytes());
        out.extend_from_slice(&bytes);
    }

    /// Header and samples of a message; `None` when it is too short, or of another version or kind.
    pub fn parse(message: &[u8]) -> Option<(Header, &[u8])> {
        let (bytes, samples) = message.split_first_chunk::<HEADER_BYTES>()?;
        let [kind, track, f0, f1, s0, s1, s2, s3, timestamp @ ..] = *bytes;
        let header = Header {
            track,
            flags: u16::from_le_bytes([f0, f1]),
            sequence: u32::from_le_bytes([s0, s1, s2, s3]),
            timestamp: u64::from_le_bytes(timestamp),
        };
        (kind == AUDIO).then_some((header, samples))
    }

    /// The generation that the sender of this audio knew, modulo 256.
    pub fn generation(&self) -> u8 {
        (self.flags >> 8) as u8
    }
}
