//! The RTP packet (RFC 3550 §5.1) as a codec and nothing else. Contributing sources and header extensions are skipped.

/// Bytes of the header that is written.
pub const HEADER_BYTES: usize = 12;

/// A parsed packet, borrowing its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The marker bit: for audio, the start of a talkspurt (RFC 3551 §4.1).
    pub marker: bool,
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp of the first sample.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// The payload, without padding.
    pub payload: &'a [u8],
}

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than the header, or than the header says it is.
    Truncated,
    /// Not version 2.
    Version,
    /// Padding of zero bytes, or of more than there are.
    Padding,
}

impl<'a> Packet<'a> {
    /// Parses one datagram.
    pub fn parse(data: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let (header, rest) = data
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(Malformed::Truncated)?;
        if header[0] >> 6 != 2 {
            return Err(Malformed::Version);
        }
        let sources = usize::from(header[0] & 0x0f) * 4;
        let mut payload = rest.get(sources..).ok_or(Malformed::Truncated)?;
        if header[0] & 0x10 != 0 {
            payload = skip_extension(payload)?;
        }
        if header[0] & 0x20 != 0 {
            // RFC 3550 §5.1: the last octet of the padding counts itself.
            let padding = usize::from(*payload.last().ok_or(Malformed::Padding)?);
            let length = payload
                .len()
                .checked_sub(padding)
                .filter(|_| padding > 0)
                .ok_or(Malformed::Padding)?;
            payload = &payload[..length];
        }
        Ok(Packet {
            marker: header[1] & 0x80 != 0,
            payload_type: header[1] & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        })
    }

    /// Appends the header; the payload is the caller's to append, and `self.payload` is not looked at.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x80, u8::from(self.marker) << 7 | self.payload_type & 0x7f]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// RFC 3550 §5.3.1: two bytes of profile, two of length in words, then that many words.
fn skip_extension(data: &[u8]) -> Result<&[u8], Malformed> {
    let (header, rest) = data.split_first_chunk::<4>().ok_or(Malformed::Truncated)?;
    rest.get(usize::from(u16::from_be_bytes([header[2], header[3]])) * 4..)
        .ok_or(Malformed::Truncated)
}
