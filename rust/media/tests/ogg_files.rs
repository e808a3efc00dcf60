//! Opus in Ogg: what is written is what RFC 3533 and RFC 7845 say, read back by a reader that knows nothing of the writer.

use media::ogg::{MAX_PAGE_PACKETS, OpusPages, PRE_SKIP, SILENT_PACKET};

/// One page: its flags, granule position, sequence number and packets.
struct Page {
    flags: u8,
    granules: u64,
    sequence: u32,
    packets: Vec<Vec<u8>>,
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = 0u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = if crc >> 31 == 1 {
                crc << 1 ^ 0x04c1_1db7
            } else {
                crc << 1
            };
        }
    }
    crc
}

/// The whole pages of a file; a page that is cut off, or whose checksum is wrong, ends it.
fn pages(mut file: &[u8]) -> Vec<Page> {
    let mut pages = Vec::new();
    while file.len() >= 27 && &file[..5] == b"OggS\0" {
        let Some(table) = file.get(27..27 + usize::from(file[26])) else {
            break;
        };
        let start = 27 + table.len();
        let length = start + table.iter().map(|size| usize::from(*size)).sum::<usize>();
        let Some(page) = file.get(..length) else { break };
        let mut unsigned = page.to_vec();
        unsigned[22..26].fill(0);
        assert_eq!(crc(&unsigned).to_le_bytes(), page[22..26], "checksum");
        assert_eq!(page[14..18], 7u32.to_le_bytes(), "serial");
        let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), start);
        for size in table.iter().map(|size| usize::from(*size)) {
            packet.extend_from_slice(&page[at..at + size]);
            at += size;
            if size < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        assert!(packet.is_empty(), "no packet goes on in the next page");
        pages.push(Page {
            flags: page[5],
            granules: u64::from_le_bytes(page[6..14].try_into().unwrap()),
            sequence: u32::from_le_bytes(page[18..22].try_into().unwrap()),
            packets,
        });
        file = &file[length..];
    }
    pages
}

/// A file of so many packets of one channel; the packets differ in length.
fn file(count: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut out = Vec::new();
    let mut ogg = OpusPages::new(7, 1);
    ogg.write_headers(16_000, "longline", &mut out);
    let packets: Vec<Vec<u8>> = (0..count).map(|n| vec![n as u8; 1 + n * 37 % 600]).collect();
    for packet in &packets {
        ogg.push(&[packet], &mut out);
    }
    ogg.finish(count as u64 * 960 - 648 - u64::from(PRE_SKIP), &mut out);
    (out, packets)
}

#[test]
fn headers_come_first_each_on_a_page_of_its_own() {
    let pages = pages(&file(3).0);
    assert_eq!(
        (pages[0].flags, pages[0].granules, pages[0].packets.len()),
        (2, 0, 1)
    );
    assert_eq!(
        pages[0].packets[0],
        [&b"OpusHead\x01\x01"[..], &[0x38, 0x01, 0x80, 0x3e, 0, 0, 0, 0, 0]].concat()
    );
    assert_eq!((pages[1].flags, pages[1].granules), (0, 0));
    assert_eq!(pages[1].packets, [b"OpusTags\x08\0\0\0longline\0\0\0\0".to_vec()]);
}

#[test]
fn every_packet_is_there_and_positions_count_samples_at_48_khz() {
    let (file, packets) = file(400);
    let pages = pages(&file);
    let read: Vec<&Vec<u8>> = pages[2..].iter().flat_map(|page| &page.packets).collect();
    assert_eq!(read, packets.iter().collect::<Vec<_>>());
    let mut done = 0;
    for (index, page) in pages.iter().enumerate() {
        assert_eq!(page.sequence as usize, index);
        assert!(
            page.packets.len() <= MAX_PAGE_PACKETS,
            "a page is a second at most"
        );
        done += if index < 2 { 0 } else { page.packets.len() as u64 };
        let last = index + 1 == pages.len();
        assert_eq!(page.flags & 4 != 0, last, "the last page says so");
        assert_eq!(page.granules, done * 960 - if last { 648 } else { 0 });
    }
    assert_eq!(done, 400);
}

#[test]
fn a_file_cut_off_anywhere_has_all_pages_before_the_cut() {
    let (whole, _) = file(70);
    let count = pages(&whole).len();
    let mut seen = 0;
    for length in (0..whole.len()).step_by(97) {
        let read = pages(&whole[..length]).len();
        assert!(read == seen || read == seen + 1);
        seen = read;
    }
    assert_eq!(seen, count - 1);
}

#[test]
fn two_channels_are_two_streams_that_share_no_bit() {
    let mut out = Vec::new();
    let mut ogg = OpusPages::new(7, 2);
    ogg.write_headers(8_000, "", &mut out);
    let long = [&[0x08][..], &[5; 300]].concat();
    ogg.push(&[&long, &SILENT_PACKET], &mut out);
    ogg.push(&[&SILENT_PACKET, &long], &mut out);
    ogg.flush(&mut out);
    ogg.flush(&mut out);
    let pages = pages(&out);
    assert_eq!(pages.len(), 3, "nothing more is no page");
    assert_eq!(
        pages[0].packets[0][8..],
        [1, 2, 0x38, 0x01, 0x40, 0x1f, 0, 0, 0, 0, 1, 2, 0, 0, 1],
        "mapping family 1, two streams, none coupled"
    );
    // RFC 6716, Appendix B: the first with its length (300 is 252 + 12 * 4), the last without.
    let first = [&[0x08, 252, 12][..], &[5; 300], &SILENT_PACKET].concat();
    let second = [&[0xf8, 2, 0xff, 0xfe][..], &long].concat();
    assert_eq!(pages[2].packets, [first, second]);
}
