//! Ogg (RFC 3533) and Opus in Ogg (RFC 7845): the pages of a file that is written as the call goes on.
//!
//! One logical stream a file. Each channel is an Opus stream of its own (channel mapping family 1 with no coupled pair for
//! two channels), since joint stereo would leak what one party says into the other's channel. A packet holds 20 ms. Pages
//! are made by whoever writes them, at least one a second, so that a file whose writer was killed plays up to there; only
//! the last has the end-of-stream flag. Samples are counted at 48 kHz, whatever was encoded.
//! Leaves out reading, seeking, more than two channels, and packets over a page's 64 KiB.

use std::sync::OnceLock;

/// Granule positions count samples at this rate (RFC 7845 §4).
pub const GRANULE_RATE_HZ: u32 = 48_000;
/// Granules of one packet of 20 ms.
pub const PACKET_GRANULES: u64 = 960;
/// What libopus delays the sound by at every rate, 6.5 ms: a player leaves out that much in the beginning.
pub const PRE_SKIP: u16 = 312;
/// Most packets of a page: a second. Rule when full: the page is made and another begun.
pub const MAX_PAGE_PACKETS: usize = 50;
/// One frame of 20 ms of silence (CELT, full band, mono, RFC 6716 §3.1): it needs no encoder.
pub const SILENT_PACKET: [u8; 3] = [0xf8, 0xff, 0xfe];

/// Most entries of a page's lacing table.
const MAX_SEGMENTS: usize = 255;
const CRC_AT: usize = 22;
const NO_FLAGS: u8 = 0;
const BEGINS: u8 = 2;
const ENDS: u8 = 4;

/// Makes the pages of one file of Opus.
#[derive(Debug)]
pub struct OpusPages {
    serial: u32,
    channels: u8,
    sequence: u32,
    granules: u64,
    segments: Vec<u8>,
    packets: usize,
    body: Vec<u8>,
    /// The packet being put together of one Opus packet a channel.
    joined: Vec<u8>,
}

impl OpusPages {
    /// Pages for `channels` (1 or 2) Opus streams of mono; `serial` should be random (RFC 3533 §4).
    pub fn new(serial: u32, channels: u8) -> OpusPages {
        OpusPages {
            serial,
            channels: channels.clamp(1, 2),
            sequence: 0,
            granules: 0,
            segments: Vec::with_capacity(MAX_SEGMENTS),
            packets: 0,
            body: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Appends the two header pages (RFC 7845 §5). `rate_hz` is that of the original, for information.
    pub fn write_headers(&mut self, rate_hz: u32, vendor: &str, out: &mut Vec<u8>) {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(self.channels);
        head.extend_from_slice(&PRE_SKIP.to_le_bytes());
        head.extend_from_slice(&rate_hz.to_le_bytes());
        head.extend_from_slice(&0i16.to_le_bytes());
        match self.channels {
            1 => head.push(0),
            // RFC 7845 §5.1.1: family 1, two streams, none coupled, each to its channel.
            _ => head.extend_from_slice(&[1, 2, 0, 0, 1]),
        }
        self.header_page(&head, BEGINS, out);
        let mut tags = b"OpusTags".to_vec();
        tags.extend_from_slice(&(vendor.len() as u32).to_le_bytes());
        tags.extend_from_slice(vendor.as_bytes());
        tags.extend_from_slice(&0u32.to_le_bytes());
        self.header_page(&tags, NO_FLAGS, out);
    }

    fn header_page(&mut self, packet: &[u8], flags: u8, out: &mut Vec<u8>) {
        lace(packet.len(), &mut self.segments);
        self.body.extend_from_slice(packet);
        self.page(flags, 0, out);
    }

    /// Takes 20 ms: one Opus packet of one frame for each channel. Appends a page when one is full.
    pub fn push(&mut self, packets: &[&[u8]], out: &mut Vec<u8>) {
        self.joined.clear();
        for (index, packet) in packets.iter().enumerate() {
            if index + 1 < packets.len() {
                delimit(packet, &mut self.joined);
            } else {
                self.joined.extend_from_slice(packet);
            }
        }
        let needed = self.joined.len() / 255 + 1;
        if self.packets >= MAX_PAGE_PACKETS || self.segments.len() + needed > MAX_SEGMENTS {
            self.flush(out);
        }
        lace(self.joined.len(), &mut self.segments);
        self.body.extend_from_slice(&self.joined);
        self.packets += 1;
        self.granules += PACKET_GRANULES;
    }

    /// Appends a page of what has been pushed since the last, if anything has.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if self.packets > 0 {
            // RFC 7845 §4: the position is that of the last sample of the page's packets, pre-skip included.
            self.page(NO_FLAGS, self.granules, out);
        }
    }

    /// Appends the last page, of what has been pushed since the one before. The file then holds `samples` at 48 kHz: of
    /// the last packet a player leaves out what is beyond (RFC 7845 §4.4). The decoder's delay wants one packet more than
    /// the samples fill.
    pub fn finish(&mut self, samples: u64, out: &mut Vec<u8>) {
        let last = self.granules.min(samples + u64::from(PRE_SKIP));
        self.page(ENDS, last, out);
    }

    fn page(&mut self, flags: u8, granules: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"OggS\0");
        out.push(flags);
        out.extend_from_slice(&granules.to_le_bytes());
        out.extend_from_slice(&self.serial.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.push(self.segments.len() as u8);
        out.extend_from_slice(&self.segments);
        out.extend_from_slice(&self.body);
        let crc = crc(&out[start..]).to_le_bytes();
        out[start + CRC_AT..start + CRC_AT + 4].copy_from_slice(&crc);
        self.sequence += 1;
        self.segments.clear();
        self.body.clear();
        self.packets = 0;
    }
}

/// The lacing of one packet (RFC 3533 §6): a packet whose length divides by 255 ends with a zero.
fn lace(length: usize, segments: &mut Vec<u8>) {
    segments.extend(std::iter::repeat_n(255, length / 255));
    segments.push((length % 255) as u8);
}

/// One Opus packet of one frame, self-delimited (RFC 6716, Appendix B): its length follows the first byte.
fn delimit(packet: &[u8], out: &mut Vec<u8>) {
    let Some((first, frame)) = packet.split_first() else {
        return;
    };
    out.push(*first);
    match frame.len() {
        short @ 0..252 => out.push(short as u8),
        // RFC 6716 §3.2.1: two bytes, the first of them 252 to 255.
        long => {
            let low = 252 + (long & 3);
            out.extend_from_slice(&[low as u8, ((long - low) >> 2) as u8]);
        }
    }
    out.extend_from_slice(frame);
}

/// RFC 3533 §6: polynomial 0x04c11db7, most significant bit first, no inversion.
fn crc(bytes: &[u8]) -> u32 {
    static TABLE: OnceLock<[u32; 256]> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        std::array::from_fn(|index| {
            (0..8).fold((index as u32) << 24, |crc, _| {
                (crc << 1) ^ if crc & 0x8000_0000 == 0 { 0 } else { 0x04c1_1db7 }
            })
        })
    });
    bytes.iter().fold(0, |crc, byte| {
        (crc << 8) ^ table[usize::from((crc >> 24) as u8 ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_every_ogg_file() {
        assert_eq!(crc(b""), 0);
        assert_eq!(crc(b"\x01"), 0x04c1_1db7);
        assert_eq!(
            crc(b"123456789"),
            0x89a1_897f,
            "CRC-32/MPEG-2 without its initial value"
        );
    }

    #[test]
    fn a_packet_is_laced_up_to_and_with_its_end() {
        for (length, expected) in [
            (0, vec![0]),
            (254, vec![254]),
            (255, vec![255, 0]),
            (511, vec![255, 255, 1]),
        ] {
            let mut segments = Vec::new();
            lace(length, &mut segments);
            assert_eq!(segments, expected);
        }
    }

    #[test]
    fn a_delimited_packet_carries_its_length() {
        for (length, expected) in [
            (0, vec![0]),
            (251, vec![251]),
            (252, vec![252, 0]),
            (1_275, vec![255, 255]),
        ] {
            let mut out = Vec::new();
            delimit(&[&[9][..], &vec![7; length]].concat(), &mut out);
            assert_eq!(out[1..=expected.len()], expected);
            assert_eq!(out.len(), 1 + expected.len() + length);
        }
    }
}
