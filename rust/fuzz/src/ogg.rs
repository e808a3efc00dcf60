//! The Ogg writer: whatever packets it is given, what it wrote is pages that follow one another, as long as they say.

use media::ogg::OpusPages;

use crate::input::Input;

/// The longest Opus packet of one frame (RFC 6716 §3.4).
const MAX_PACKET_BYTES: usize = 1_275;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let channels = 1 + (input.u8() & 1);
    let mut pages = OpusPages::new(input.u32(), channels);
    let mut file = Vec::new();
    pages.write_headers(input.u32(), "fuzz", &mut file);
    let mut packets = 0;
    while !input.is_empty() {
        let control = input.u8();
        if control & 0x80 != 0 {
            pages.flush(&mut file);
            continue;
        }
        let length = usize::from(input.u16()) % (MAX_PACKET_BYTES + 1);
        // What is in a packet is not looked at, but how long it is.
        let packet = vec![control; length];
        let both = [packet.as_slice(), &packet[..length / 2]];
        pages.push(&both[..usize::from(channels)], &mut file);
        packets += 1;
    }
    let samples = u64::from(input.u32()) + packets * 960;
    pages.finish(samples, &mut file);
    check(&file);
}

/// RFC 3533 §6.
fn check(mut file: &[u8]) {
    let mut sequence = 0;
    let mut granules = 0;
    while !file.is_empty() {
        assert_eq!(&file[..5], b"OggS\0");
        let is_last = file[5] & 4 != 0;
        assert_eq!(file[5] & 2 != 0, sequence == 0, "only the first page begins");
        let position = u64::from_le_bytes(file[6..14].try_into().expect("eight bytes"));
        assert!(position >= granules, "time goes back");
        granules = position;
        let number = u32::from_le_bytes(file[18..22].try_into().expect("four bytes"));
        assert_eq!(number, sequence);
        sequence += 1;
        let segments = usize::from(file[26]);
        let body: usize = file[27..27 + segments]
            .iter()
            .map(|bytes| usize::from(*bytes))
            .sum();
        file = &file[27 + segments + body..];
        assert_eq!(is_last, file.is_empty(), "only the last page ends");
    }
    assert!(sequence >= 3);
}
