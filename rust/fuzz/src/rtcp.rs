//! The RTCP compound: walking what was accepted ends, and takes no more blocks than a packet can hold.

use media::rtp::rtcp::{Compound, RtcpPacket};

pub fn run(data: &[u8]) {
    let Ok(compound) = Compound::parse(data) else {
        return;
    };
    let mut packets = 0;
    for packet in compound {
        packets += 1;
        let blocks = match packet {
            RtcpPacket::SenderReport(_, _, blocks) | RtcpPacket::ReceiverReport(_, blocks) => blocks.count(),
            RtcpPacket::Goodbye(sources) => sources.count(),
            // These are as many as the length allows, a word each at least (RFC 3611 §3).
            RtcpPacket::ExtendedReport(_, blocks) => {
                assert!(blocks.count() * 4 <= data.len());
                0
            }
            RtcpPacket::Other(_) => 0,
        };
        assert!(blocks <= 31);
    }
    assert!(packets >= 1 && packets * 4 <= data.len());
}
