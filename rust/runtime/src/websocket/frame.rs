//! The frame of RFC 6455 §5.2: a header parsed without a copy, and whole frames written. A client masks what it sends, a server
//! does not. Messages and fragments are `receiver`'s business.

use super::{Role, Violation, mask};

/// The longest payload of a control frame (§5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
/// A header with a 64-bit length and a mask.
pub const MAX_HEADER: usize = 14;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const MASKED: u8 = 0x80;

/// What a frame is (§11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpCode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake (§7).
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or stands alone.
    Pong = 0xA,
}

impl OpCode {
    /// Whether the frame is a control frame (§5.5): short, never fragmented, allowed between fragments.
    pub fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    fn parse(bits: u8) -> Option<Self> {
        [
            Self::Continuation,
            Self::Text,
            Self::Binary,
            Self::Close,
            Self::Ping,
            Self::Pong,
        ]
        .into_iter()
        .find(|code| *code as u8 == bits)
    }
}

/// The header of a frame of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The last fragment of a message, or a whole one.
    pub is_final: bool,
    /// What the frame is.
    pub opcode: OpCode,
    /// Bytes of payload that follow the header.
    pub payload_length: u64,
    /// Bytes of the header itself.
    pub header_length: usize,
    /// What its payload is masked with.
    pub mask: Option<[u8; 4]>,
}

impl FrameHeader {
    /// The header at the start of `data`; `None` when more bytes are needed. A broken rule is told as soon as the
    /// byte that breaks it is there.
    pub fn parse(data: &[u8], role: Role) -> Result<Option<Self>, Violation> {
        let &[first, ref rest @ ..] = data else {
            return Ok(None);
        };
        // §5.2: MUST be 0 unless an extension is negotiated; none ever is.
        if first & RSV != 0 {
            return Err(Violation::protocol("a reserved bit is set"));
        }
        let opcode = OpCode::parse(first & 0x0F).ok_or(Violation::protocol("reserved opcode"))?;
        let is_final = first & FIN != 0;
        if opcode.is_control() && !is_final {
            return Err(Violation::protocol("a control frame is fragmented"));
        }
        let &[second, ref rest @ ..] = rest else {
            return Ok(None);
        };
        // §5.1: a client MUST close a connection if it detects a masked frame, a server if it detects one that is not.
        let is_masked = second & MASKED != 0;
        match (role, is_masked) {
            (Role::Client, true) => return Err(Violation::protocol("the server masked a frame")),
            (Role::Server, false) => return Err(Violation::protocol("the client did not mask a frame")),
            _ => {}
        }
        let short = second & !MASKED;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_PAYLOAD {
            return Err(Violation::protocol("a control frame is longer than 125 bytes"));
        }
        let Some((payload_length, extra)) = parse_length(short, rest)? else {
            return Ok(None);
        };
        let mask = match rest.get(extra..).and_then(|rest| rest.first_chunk::<4>()) {
            _ if !is_masked => None,
            Some(key) => Some(*key),
            None => return Ok(None),
        };
        Ok(Some(Self {
            is_final,
            opcode,
            payload_length,
            header_length: 2 + extra + mask.map_or(0, |key| key.len()),
            mask,
        }))
    }
}

/// The payload length and the bytes it took beyond the first seven bits.
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (length, extra, least) = match short {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2, 126),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 8, 1 << 16),
            None => return Ok(None),
        },
        short => (u64::from(short), 0, 0),
    };
    // §5.2: the minimal number of bytes MUST be used; the most significant bit MUST be 0.
    if length < least {
        return Err(Violation::protocol("a length is not in its shortest form"));
    }
    if length >> 63 != 0 {
        return Err(Violation::protocol("a length has its highest bit set"));
    }
    Ok(Some((length, extra)))
}

/// Append one whole frame to `out`, masked with a key if there is one; returns the bytes it took.
pub fn write(out: &mut Vec<u8>, opcode: OpCode, key: Option<[u8; 4]>, payload: &[u8]) -> usize {
    let start = out.len();
    let masked = if key.is_some() { MASKED } else { 0 };
    let mut header = [0; MAX_HEADER];
    header[0] = FIN | opcode as u8;
    let length_end = match payload.len() {
        length @ 0..=125 => {
            header[1] = masked | length as u8;
            2
        }
        length @ 126..=0xFFFF => {
            header[1] = masked | 126;
            header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        length => {
            header[1] = masked | 127;
            header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    out.extend_from_slice(&header[..length_end]);
    out.extend_from_slice(key.as_ref().map_or(&[], |key| &key[..]));
    let payload_start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask::apply(&mut out[payload_start..], key);
    }
    out.len() - start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(data: &[u8]) -> Result<Option<FrameHeader>, Violation> {
        FrameHeader::parse(data, Role::Client)
    }

    #[test]
    fn the_examples_of_the_rfc_parse() {
        // §5.7: an unmasked text "Hello", its first fragment, a ping, 256 bytes and 64 KiB of binary.
        for (bytes, is_final, opcode, payload_length, header_length) in [
            (&[0x81, 0x05, 0x48][..], true, OpCode::Text, 5, 2),
            (&[0x01, 0x03, 0x48], false, OpCode::Text, 3, 2),
            (&[0x80, 0x02, 0x6c], true, OpCode::Continuation, 2, 2),
            (&[0x89, 0x05, 0x48], true, OpCode::Ping, 5, 2),
            (&[0x82, 0x7E, 0x01, 0x00], true, OpCode::Binary, 256, 4),
            (
                &[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0],
                true,
                OpCode::Binary,
                65536,
                10,
            ),
        ] {
            let expected = FrameHeader {
                is_final,
                opcode,
                payload_length,
                header_length,
                mask: None,
            };
            assert_eq!(parse(bytes), Ok(Some(expected)));
        }
    }

    #[test]
    fn a_masked_text_is_written_as_in_the_rfc() {
        let mut out = Vec::new();
        write(&mut out, OpCode::Text, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello");
        assert_eq!(
            out,
            [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        );
    }

    #[test]
    fn every_broken_rule_is_refused() {
        for (bytes, word) in [
            (&[0xC1][..], "reserved bit"),
            (&[0xA1], "reserved bit"),
            (&[0x91], "reserved bit"),
            (&[0x83], "opcode"),
            (&[0x87], "opcode"),
            (&[0x8B], "opcode"),
            (&[0x8F], "opcode"),
            (&[0x08], "fragmented"),
            (&[0x09], "fragmented"),
            (&[0x0A], "fragmented"),
            (&[0x81, 0x80], "masked"),
            (&[0x89, 0x7E], "125"),
            (&[0x88, 0x7F], "125"),
            (&[0x81, 0x7E, 0, 125], "shortest"),
            (&[0x81, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], "shortest"),
            (&[0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0], "highest"),
        ] {
            let violation = parse(bytes).expect_err("this breaks a rule");
            assert!(
                violation.detail.contains(word),
                "{bytes:02x?}: {}",
                violation.detail
            );
            assert_eq!(violation.close_code, 1002);
        }
    }

    #[test]
    fn a_client_that_does_not_mask_is_refused() {
        let violation = FrameHeader::parse(&[0x81, 0x05, 0x48], Role::Server).unwrap_err();
        assert_eq!(violation.close_code, 1002);
    }

    #[test]
    fn an_unfinished_header_asks_for_more() {
        let header = [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0];
        for end in 0..header.len() {
            assert_eq!(parse(&header[..end]), Ok(None));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(payload in prop::collection::vec(any::<u8>(), 0..70_000), key: [u8; 4]) {
            let mut out = Vec::new();
            let written = write(&mut out, OpCode::Binary, Some(key), &payload);
            prop_assert_eq!(written, out.len());
            let header = FrameHeader::parse(&out, Role::Server).unwrap().unwrap();
            prop_assert_eq!((header.payload_length, header.mask), (payload.len() as u64, Some(key)));
            for end in 0..header.header_length {
                prop_assert_eq!(FrameHeader::parse(&out[..end], Role::Server), Ok(None));
            }
            let mut body = out.split_off(header.header_length);
            mask::apply(&mut body, key);
            prop_assert_eq!(&body, &payload);

            out.clear();
            write(&mut out, OpCode::Binary, None, &payload);
            let header = parse(&out).unwrap().unwrap();
            prop_assert_eq!(out.split_off(header.header_length), payload);
        }

        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = parse(&data);
            let _ = FrameHeader::parse(&data, Role::Server);
        }
    }
}
