//! STUN, DTLS, RTP and RTCP on one port (RFC 7983, RFC 5761): each datagram is exactly one of them, by its first bytes.

use media::rtp::packet::Packet;
use media::rtp::rtcp::Compound;
use media::rtp::{Datagram, classify};

pub fn run(data: &[u8]) {
    let kind = classify(data);
    let first = data.first().copied();
    let expected = match (first, data.get(1)) {
        // RFC 7983 §7: STUN 0..=3, ZRTP 16..=19, DTLS 20..=63, TURN channel 64..=79.
        (Some(0..=3 | 16..=79), _) => Datagram::Other,
        (Some(128..=191), Some(192..=223)) => Datagram::Rtcp,
        (Some(128..=191), Some(_)) => Datagram::Rtp,
        _ => Datagram::Unknown,
    };
    assert_eq!(kind, expected);
    if Packet::parse(data).is_ok() || Compound::parse(data).is_ok() {
        assert!(matches!(kind, Datagram::Rtp | Datagram::Rtcp));
    }
}
