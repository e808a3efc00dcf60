//! SRTP and SRTCP (RFC 3711, RFC 7714) with keys from signalling (SDES, RFC 4568).
//!
//! | suite | cipher | RTP tag | RTCP tag | key ‖ salt |
//! |---|---|---|---|---|
//! | `AES_CM_128_HMAC_SHA1_80` | AES-128 counter mode, HMAC-SHA1 | 10 | 10 | 16 ‖ 14 |
//! | `AES_CM_128_HMAC_SHA1_32` | the same | 4 | 10 | 16 ‖ 14 |
//! | `AEAD_AES_128_GCM` | AES-128-GCM | 16 | 16 | 16 ‖ 12 |
//! | `AEAD_AES_256_GCM` | AES-256-GCM | 16 | 16 | 32 ‖ 12 |
//!
//! A direction has one master key and one context: [`SrtpSender`] for what we send, [`SrtpReceiver`] for what comes.
//! Both protect in place and allocate nothing. What cannot be derived from the keys is plain data ([`SendState`],
//! [`ReceiveState`]), so that another process can go on where this one ended. Nothing here prints a key.
//!
//! Leaves out: MKI, key derivation rates other than zero, unencrypted or unauthenticated packets (control refuses to
//! negotiate them), DTLS-SRTP.

mod cipher;
mod index;
mod key;
mod receiver;
mod sender;
mod suite;

pub use index::ReplayWindow;
pub use key::{MasterKey, SrtpParams};
pub use receiver::{MAX_SOURCES, ReceiveState, Refused, SourceState, SrtpReceiver};
pub use sender::{NotProtected, SendState, SrtpSender};
pub use suite::Suite;

use crate::rtp::packet::HEADER_BYTES;

/// Bytes of an RTCP packet that stay in the clear: the first header and its SSRC (RFC 3711 §3.4).
const RTCP_HEADER_BYTES: usize = 8;
/// Bytes of the E bit and the SRTCP index.
const RTCP_INDEX_BYTES: usize = 4;
/// The E bit: this SRTCP packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// SSRC and sequence number of an RTP packet, and where its payload begins: after contributing sources and extension.
fn rtp_header(packet: &[u8]) -> Option<(u32, u16, usize)> {
    let header = packet.first_chunk::<HEADER_BYTES>()?;
    let mut payload = HEADER_BYTES + usize::from(header[0] & 0x0f) * 4;
    if header[0] & 0x10 != 0 {
        let extension = packet.get(payload..payload + 4)?;
        payload += 4 + usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4;
    }
    let ssrc = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let sequence = u16::from_be_bytes([header[2], header[3]]);
    (header[0] >> 6 == 2 && payload <= packet.len()).then_some((ssrc, sequence, payload))
}

/// SSRC of the first packet of a compound.
fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let header = packet.first_chunk::<RTCP_HEADER_BYTES>()?;
    (header[0] >> 6 == 2).then(|| u32::from_be_bytes([header[4], header[5], header[6], header[7]]))
}

/// The bytes that an RFC prints.
#[cfg(test)]
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}
