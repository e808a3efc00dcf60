//! RTCP (RFC 3550 §6) as a codec: compound packets of SR, RR, SDES and BYE.
//!
//! What is read: sender reports, report blocks, BYE, and extended reports, whose blocks are [`xr`](super::xr)'s. Source
//! descriptions are checked for length and skipped, as are packet types not known here (APP, feedback). Reduced-size RTCP (RFC 5506) is not accepted.

use super::xr::{self, EXTENDED_REPORT};

/// Bytes of one report block.
const BLOCK_BYTES: usize = 24;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// The SDES item that names the participant.
const CNAME: u8 = 1;

/// Why a datagram is not a compound RTCP packet (RFC 3550 A.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The lengths do not add up.
    Length,
    /// A packet that is not version 2.
    Version,
    /// The first packet is not a report.
    NotAReport,
    /// Padding before the last packet, or more padding than packet.
    Padding,
}

/// What a sender says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock of the report, NTP 32.32.
    pub ntp: u64,
    /// The RTP timestamp of the same moment.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What a receiver says of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Loss since the beginning; negative when duplicates came.
    pub cumulative_lost: i32,
    /// Extended highest sequence number.
    pub highest_sequence: u32,
    /// Interarrival jitter in samples.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's clock; zero when there was none.
    pub last_sr: u32,
    /// Since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// A sender report and its blocks.
    SenderReport(u32, SenderInfo, Blocks<'a>),
    /// A receiver report's blocks.
    ReceiverReport(u32, Blocks<'a>),
    /// Some sources have left.
    Goodbye(Sources<'a>),
    /// An extended report (RFC 3611) and its blocks.
    ExtendedReport(u32, xr::Blocks<'a>),
    /// Something valid that is not looked into.
    Other(u8),
}

/// The report blocks of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_first_chunk::<BLOCK_BYTES>()?;
        self.0 = rest;
        Some(ReportBlock {
            ssrc: word(block, 0),
            fraction_lost: block[4],
            // Sign-extended from 24 bits.
            cumulative_lost: (word(block, 4) << 8) as i32 >> 8,
            highest_sequence: word(block, 8),
            jitter: word(block, 12),
            last_sr: word(block, 16),
            delay_since_last_sr: word(block, 20),
        })
    }
}

/// The sources of a BYE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources<'a>(&'a [u8]);

impl Iterator for Sources<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (ssrc, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*ssrc))
    }
}

/// A compound whose lengths have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a>(&'a [u8]);

impl<'a> Compound<'a> {
    /// Checks one datagram (RFC 3550 A.2) without looking into source descriptions.
    pub fn parse(data: &'a [u8]) -> Result<Compound<'a>, Malformed> {
        if !matches!(data.get(1), Some(&SENDER_REPORT | &RECEIVER_REPORT)) {
            return Err(Malformed::NotAReport);
        }
        let mut rest = data;
        while !rest.is_empty() {
            let length = packet_length(rest)?;
            let (packet, after) = rest.split_at_checked(length).ok_or(Malformed::Length)?;
            check(packet, after.is_empty())?;
            rest = after;
        }
        Ok(Compound(data))
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<RtcpPacket<'a>> {
        let (packet, rest) = self.0.split_at_checked(packet_length(self.0).ok()?)?;
        self.0 = rest;
        let count = usize::from(packet[0] & 0x1f);
        Some(match packet[1] {
            SENDER_REPORT => {
                let info = SenderInfo {
                    ntp: u64::from(word(packet, 8)) << 32 | u64::from(word(packet, 12)),
                    rtp_timestamp: word(packet, 16),
                    packets: word(packet, 20),
                    octets: word(packet, 24),
                };
                RtcpPacket::SenderReport(
                    word(packet, 4),
                    info,
                    Blocks(&packet[28..28 + count * BLOCK_BYTES]),
                )
            }
            RECEIVER_REPORT => {
                RtcpPacket::ReceiverReport(word(packet, 4), Blocks(&packet[8..8 + count * BLOCK_BYTES]))
            }
            GOODBYE => RtcpPacket::Goodbye(Sources(&packet[4..4 + count * 4])),
            EXTENDED_REPORT => RtcpPacket::ExtendedReport(word(packet, 4), xr::Blocks::new(&packet[8..])),
            other => RtcpPacket::Other(other),
        })
    }
}

fn packet_length(data: &[u8]) -> Result<usize, Malformed> {
    let header = data.first_chunk::<4>().ok_or(Malformed::Length)?;
    Ok(4 + 4 * usize::from(u16::from_be_bytes([header[2], header[3]])))
}

/// One packet has version, padding and room for what its header promises.
fn check(packet: &[u8], last: bool) -> Result<(), Malformed> {
    if packet[0] >> 6 != 2 {
        return Err(Malformed::Version);
    }
    let mut room = packet.len();
    if packet[0] & 0x20 != 0 {
        let padding = usize::from(packet[packet.len() - 1]);
        if !last || padding == 0 || padding % 4 != 0 || padding > packet.len() - 4 {
            return Err(Malformed::Padding);
        }
        room -= padding;
    }
    let count = usize::from(packet[0] & 0x1f);
    let needed = match packet[1] {
        SENDER_REPORT => 28 + count * BLOCK_BYTES,
        RECEIVER_REPORT => 8 + count * BLOCK_BYTES,
        GOODBYE => 4 + count * 4,
        SOURCE_DESCRIPTION => 4 + count * 4,
        EXTENDED_REPORT => 8,
        _ => 4,
    };
    if needed > room {
        Err(Malformed::Length)
    } else {
        Ok(())
    }
}

fn word(data: &[u8], at: usize) -> u32 {
    data.get(at..at + 4).map_or(0, |bytes| {
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    })
}

/// Appends a report: a sender report when there is `sender`, else a receiver report.
pub fn write_report(out: &mut Vec<u8>, ssrc: u32, sender: Option<SenderInfo>, block: Option<ReportBlock>) {
    let blocks = block.is_some() as u8;
    let words = 1 + 5 * u16::from(sender.is_some()) + 6 * u16::from(blocks);
    let packet_type = if sender.is_some() {
        SENDER_REPORT
    } else {
        RECEIVER_REPORT
    };
    out.extend_from_slice(&[0x80 | blocks, packet_type]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(info) = sender {
        out.extend_from_slice(&info.ntp.to_be_bytes());
        for word in [info.rtp_timestamp, info.packets, info.octets] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    if let Some(block) = block {
        let lost = u32::from(block.fraction_lost) << 24 | block.cumulative_lost as u32 & 0xff_ffff;
        let words = [
            block.ssrc,
            lost,
            block.highest_sequence,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        ];
        for word in words {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// Appends a source description with the canonical name (at most 255 bytes of it).
pub fn write_cname(out: &mut Vec<u8>, ssrc: u32, cname: &[u8]) {
    let cname = &cname[..cname.len().min(255)];
    // The item list ends with at least one zero byte and is filled up to a word.
    let items = (2 + cname.len() + 1).next_multiple_of(4);
    out.extend_from_slice(&[0x81, SOURCE_DESCRIPTION]);
    out.extend_from_slice(&(1 + items as u16 / 4).to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[CNAME, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.resize(out.len() + items - 2 - cname.len(), 0);
}

/// Appends a BYE.
pub fn write_goodbye(out: &mut Vec<u8>, ssrc: u32) {
    out.extend_from_slice(&[0x81, GOODBYE, 0, 1]);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> ReportBlock {
        ReportBlock {
            ssrc: 0xdead_beef,
            fraction_lost: 17,
            cumulative_lost: -3,
            highest_sequence: 0x0001_0203,
            jitter: 12,
            last_sr: 0x1234_5678,
            delay_since_last_sr: 65_536,
        }
    }

    fn compound() -> Vec<u8> {
        let info = SenderInfo {
            ntp: 0x0102_0304_0506_0708,
            rtp_timestamp: 9,
            packets: 10,
            octets: 1_600,
        };
        let mut out = Vec::new();
        write_report(&mut out, 7, Some(info), Some(block()));
        write_cname(&mut out, 7, b"longline");
        write_goodbye(&mut out, 7);
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = compound();
        let mut packets = Compound::parse(&bytes).unwrap();
        let Some(RtcpPacket::SenderReport(7, info, mut blocks)) = packets.next() else {
            panic!("no sender report")
        };
        assert_eq!(
            (info.ntp, info.packets, info.octets),
            (0x0102_0304_0506_0708, 10, 1_600)
        );
        assert_eq!((blocks.next(), blocks.next()), (Some(block()), None));
        assert_eq!(packets.next(), Some(RtcpPacket::Other(SOURCE_DESCRIPTION)));
        let Some(RtcpPacket::Goodbye(sources)) = packets.next() else {
            panic!("no goodbye")
        };
        assert_eq!(sources.collect::<Vec<_>>(), [7]);
        assert_eq!(packets.next(), None);

        let mut receiver = Vec::new();
        write_report(&mut receiver, 8, None, None);
        assert_eq!(
            Compound::parse(&receiver).unwrap().next(),
            Some(RtcpPacket::ReceiverReport(8, Blocks(&[])))
        );
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = compound();
        let ends: Vec<usize> = vec![52, 52 + 20];
        for length in 0..bytes.len() {
            assert_eq!(
                Compound::parse(&bytes[..length]).is_ok(),
                ends.contains(&length),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn what_is_no_compound_is_refused() {
        let good = compound();
        let change = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            Compound::parse(&bytes).map(|_| ())
        };
        assert_eq!(change(0, 0x41), Err(Malformed::Version));
        assert_eq!(
            change(0, 0x82),
            Err(Malformed::Length),
            "two blocks promised, one there"
        );
        assert_eq!(
            change(0, 0xa1),
            Err(Malformed::Padding),
            "padding before the last packet"
        );
        assert_eq!(change(1, SOURCE_DESCRIPTION), Err(Malformed::NotAReport));
        assert_eq!(change(3, 0xff), Err(Malformed::Length));
        assert_eq!(
            change(72, 0xbf),
            Err(Malformed::Padding),
            "seven bytes of padding"
        );
        assert_eq!(
            Compound::parse(&[0x80, 201, 0, 0]).map(|_| ()),
            Err(Malformed::Length)
        );
        assert_eq!(Compound::parse(&[]).map(|_| ()), Err(Malformed::NotAReport));
    }

    #[test]
    fn names_of_every_length_are_padded_to_words() {
        for length in 0..=300 {
            let mut bytes = Vec::new();
            write_report(&mut bytes, 1, None, None);
            write_cname(&mut bytes, 1, &vec![b'n'; length]);
            assert_eq!(Compound::parse(&bytes).unwrap().count(), 2, "{length}");
            assert_eq!(bytes.last(), Some(&0));
        }
    }
}
