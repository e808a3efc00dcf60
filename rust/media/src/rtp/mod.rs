//! RTP and RTCP (RFC 3550, 3551): formats, sequence numbers, the jitter buffer, and what is made of them.

pub mod bursts;
pub mod correction;
pub mod decoded;
pub mod delay;
pub mod jitter;
pub mod packet;
pub mod pieces;
pub mod receiver;
pub mod report;
pub mod rtcp;
pub mod sender;
pub mod sequence;
mod store;
pub mod stretch;
pub mod timeline;
mod timestamps;
pub mod xr;

/// What a datagram on a leg's socket is, by its first bytes (RFC 7983 §7, RFC 5761 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// RTP, as far as the first byte tells.
    Rtp,
    /// RTCP: the second byte is a packet type of 192..=223.
    Rtcp,
    /// STUN, ZRTP, DTLS or TURN.
    Other,
    /// Nothing known, or too short to tell.
    Unknown,
}

/// Tells datagrams apart.
pub fn classify(data: &[u8]) -> Datagram {
    match data {
        [0..=3 | 16..=79, ..] => Datagram::Other,
        [128..=191, 192..=223, ..] => Datagram::Rtcp,
        [128..=191, _, ..] => Datagram::Rtp,
        _ => Datagram::Unknown,
    }
}
