//! The RTP packet: the payload lies inside the datagram, and what is written again is read the same.

use media::rtp::packet::{HEADER_BYTES, Packet};

pub fn run(data: &[u8]) {
    let Ok(packet) = Packet::parse(data) else { return };
    assert!(packet.payload.len() + HEADER_BYTES <= data.len());
    assert!(packet.payload_type < 128);
    let mut again = Vec::new();
    packet.write_header(&mut again);
    again.extend_from_slice(packet.payload);
    assert_eq!(Packet::parse(&again), Ok(packet));
}
