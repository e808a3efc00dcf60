//! From bytes to messages: frames are cut, fragments joined (RFC 6455 §5.4), control frames and text checked.
//!
//! A message that came whole in one read is handed on in place, without a copy. Both buffers are bounded by
//! `MAX_MESSAGE_BYTES`; one byte more is a violation, told at the header that announces it.

use super::frame::{FrameHeader, OpCode};
use super::{Role, Violation, mask};

/// The longest message, whole or in fragments, that an application may send.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// A buffer that grew beyond this is given back when it is empty.
const KEPT_BUFFER_BYTES: usize = 128 << 10;

/// One message or control frame of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// To be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping of ours, or unasked.
    Pong,
    /// The peer closes; without a code the payload was empty.
    Close {
        /// Its code, checked against §7.4.
        code: Option<u16>,
        /// Its words.
        reason: &'a str,
    },
}

/// The receiving half of a connection.
#[derive(Default)]
pub struct Receiver {
    /// Bytes of a frame that is not whole yet.
    partial: Vec<u8>,
    /// Payloads of the fragments so far.
    fragments: Vec<u8>,
    /// The kind of message the fragments make.
    fragmented: Option<OpCode>,
    is_closed: bool,
    role: Role,
    /// The payload of a masked frame, without its mask.
    unmasked: Vec<u8>,
}

impl Receiver {
    /// Of this end of a connection.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            ..Self::default()
        }
    }

    /// Take what arrived; `on` gets each message in order. After a close frame or a violation the rest is ignored.
    pub fn receive(&mut self, data: &[u8], mut on: impl FnMut(Incoming<'_>)) -> Result<(), Violation> {
        if self.partial.is_empty() {
            let used = self.cut(data, &mut on)?;
            self.partial.extend_from_slice(&data[used..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(data);
        let used = self.cut(&joined, &mut on)?;
        joined.drain(..used);
        if !joined.is_empty() || joined.capacity() <= KEPT_BUFFER_BYTES {
            self.partial = joined;
        }
        Ok(())
    }

    /// Bytes held back for messages that are not whole.
    pub fn pending_bytes(&self) -> usize {
        self.partial.len() + self.fragments.len()
    }

    /// Hand on every whole frame at the front of `data`; returns the bytes used.
    fn cut(&mut self, data: &[u8], on: &mut impl FnMut(Incoming<'_>)) -> Result<usize, Violation> {
        let mut used = 0;
        while !self.is_closed {
            let rest = &data[used..];
            let Some(header) = FrameHeader::parse(rest, self.role)? else {
                return Ok(used);
            };
            self.check(&header)?;
            let end = header.header_length + header.payload_length as usize;
            let Some(payload) = rest.get(header.header_length..end) else {
                return Ok(used);
            };
            match header.mask {
                None => self.accept(&header, payload, on)?,
                Some(key) => {
                    let mut unmasked = std::mem::take(&mut self.unmasked);
                    unmasked.clear();
                    unmasked.extend_from_slice(payload);
                    mask::apply(&mut unmasked, key);
                    self.accept(&header, &unmasked, on)?;
                    if unmasked.capacity() <= KEPT_BUFFER_BYTES {
                        self.unmasked = unmasked;
                    }
                }
            }
            used += end;
        }
        Ok(data.len())
    }

    /// What can be said before the payload is there: the order of fragments, and the size.
    fn check(&self, header: &FrameHeader) -> Result<(), Violation> {
        match (header.opcode, self.fragmented) {
            (OpCode::Continuation, None) => {
                return Err(Violation::protocol("a fragment continues no message"));
            }
            (OpCode::Text | OpCode::Binary, Some(_)) => {
                return Err(Violation::protocol("a message begins inside a fragmented one"));
            }
            _ => {}
        }
        let before = if header.opcode.is_control() {
            0
        } else {
            self.fragments.len() as u64
        };
        if before.saturating_add(header.payload_length) > MAX_MESSAGE_BYTES as u64 {
            return Err(Violation::too_big());
        }
        Ok(())
    }

    fn accept(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        on: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), Violation> {
        match header.opcode {
            OpCode::Ping => on(Incoming::Ping(payload)),
            OpCode::Pong => on(Incoming::Pong),
            OpCode::Close => {
                let (code, reason) = parse_close(payload)?;
                self.is_closed = true;
                on(Incoming::Close { code, reason });
            }
            kind @ (OpCode::Text | OpCode::Binary) if header.is_final => deliver(kind, payload, on)?,
            kind @ (OpCode::Text | OpCode::Binary) => {
                self.fragmented = Some(kind);
                self.fragments.extend_from_slice(payload);
            }
            OpCode::Continuation => self.join(header.is_final, payload, on)?,
        }
        Ok(())
    }

    fn join(
        &mut self,
        is_final: bool,
        payload: &[u8],
        on: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), Violation> {
        self.fragments.extend_from_slice(payload);
        if !is_final {
            return Ok(());
        }
        let mut message = std::mem::take(&mut self.fragments);
        if let Some(kind) = self.fragmented.take() {
            deliver(kind, &message, on)?;
        }
        if message.capacity() <= KEPT_BUFFER_BYTES {
            message.clear();
            self.fragments = message;
        }
        Ok(())
    }
}

fn deliver(kind: OpCode, payload: &[u8], on: &mut impl FnMut(Incoming<'_>)) -> Result<(), Violation> {
    if kind == OpCode::Binary {
        on(Incoming::Binary(payload));
        return Ok(());
    }
    // §8.1: a text message that is not UTF-8 fails the connection.
    let text =
        std::str::from_utf8(payload).map_err(|_| Violation::not_utf8("a text message is not UTF-8"))?;
    on(Incoming::Text(text));
    Ok(())
}

/// The payload of a close frame (§5.5.1, §7.4).
fn parse_close(payload: &[u8]) -> Result<(Option<u16>, &str), Violation> {
    let (code, reason) = match payload {
        [] => return Ok((None, "")),
        [_] => return Err(Violation::protocol("a close frame has half a code")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_allowed_close_code(code) {
        return Err(Violation::protocol("a close code that may not be sent"));
    }
    let reason = std::str::from_utf8(reason)
        .map_err(|_| Violation::not_utf8("the reason of a close frame is not UTF-8"))?;
    Ok((Some(code), reason))
}

/// §7.4.1 and the IANA registry: 1004 to 1006 and 1015 never go over the wire; 3000 to 4999 are free to use.
fn is_allowed_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;
    use proptest::prelude::*;

    /// A frame as a server sends it: unmasked.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ 0..=125 => out.push(length as u8),
            length @ 126..=0xFFFF => {
                out.push(126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                out.push(127);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(payload);
        out
    }

    fn told(receiver: &mut Receiver, data: &[u8]) -> Result<Vec<String>, Violation> {
        let mut log = Vec::new();
        receiver.receive(data, |incoming| {
            log.push(match incoming {
                Incoming::Text(text) => format!("text {text}"),
                Incoming::Binary(message) => format!("binary of {}", message.len()),
                Incoming::Ping(payload) => format!("ping {}", String::from_utf8_lossy(payload)),
                Incoming::Pong => "pong".into(),
                Incoming::Close { code, reason } => format!("close {code:?} {reason}"),
            });
        })?;
        Ok(log)
    }

    fn all(data: &[u8]) -> Result<Vec<String>, Violation> {
        told(&mut Receiver::default(), data)
    }

    /// A text, a fragmented text with a ping inside it, a binary, a pong and a close.
    fn conversation() -> (Vec<u8>, Vec<&'static str>) {
        let long = "x".repeat(300);
        let parts = [
            frame(0x81, "grüß".as_bytes()),
            frame(0x01, &"é".as_bytes()[..1]),
            frame(0x89, b"now"),
            frame(0x00, b""),
            frame(0x80, &"é".as_bytes()[1..]),
            frame(0x82, long.as_bytes()),
            frame(0x8A, b""),
            frame(0x81, b""),
            frame(0x88, b"\x03\xe8bye"),
        ];
        let told = vec![
            "text grüß",
            "ping now",
            "text é",
            "binary of 300",
            "pong",
            "text ",
            "close Some(1000) bye",
        ];
        (parts.concat(), told)
    }

    #[test]
    fn a_conversation_reads_the_same_split_at_every_byte() {
        let (bytes, expected) = conversation();
        for split in 0..=bytes.len() {
            let mut receiver = Receiver::default();
            let mut log = told(&mut receiver, &bytes[..split]).unwrap();
            log.extend(told(&mut receiver, &bytes[split..]).unwrap());
            assert_eq!(log, expected, "split at {split}");
        }
        let mut receiver = Receiver::default();
        let mut log = Vec::new();
        for byte in &bytes {
            log.extend(told(&mut receiver, std::slice::from_ref(byte)).unwrap());
        }
        assert_eq!(log, expected);
    }

    #[test]
    fn fragments_out_of_order_are_refused() {
        assert!(
            all(&frame(0x80, b"tail"))
                .unwrap_err()
                .detail
                .contains("continues no message")
        );
        let inside = [frame(0x01, b"a"), frame(0x81, b"b")].concat();
        assert!(all(&inside).unwrap_err().detail.contains("inside"));
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_1007() {
        for bad in [
            &b"\xff"[..],
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82",
        ] {
            assert_eq!(all(&frame(0x81, bad)).unwrap_err().close_code, 1007);
        }
        let halves = [frame(0x01, b"\xe2"), frame(0x80, b"\x28\xa1")].concat();
        assert_eq!(all(&halves).unwrap_err().close_code, 1007);
    }

    #[test]
    fn close_frames_are_checked() {
        assert_eq!(all(&frame(0x88, b"")).unwrap(), ["close None "]);
        for code in [1000_u16, 1001, 1003, 1008, 1011, 1014, 3000, 4999] {
            assert!(all(&frame(0x88, &code.to_be_bytes())).is_ok(), "{code}");
        }
        for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(
                all(&frame(0x88, &code.to_be_bytes())).unwrap_err().close_code,
                1002,
                "{code}"
            );
        }
        assert_eq!(all(&frame(0x88, b"\x03")).unwrap_err().close_code, 1002);
        assert_eq!(all(&frame(0x88, b"\x03\xe8\xff")).unwrap_err().close_code, 1007);
    }

    #[test]
    fn nothing_is_read_after_a_close() {
        let bytes = [frame(0x88, b""), frame(0x81, b"late"), vec![0xFF; 9]].concat();
        assert_eq!(all(&bytes).unwrap(), ["close None "]);
    }

    #[test]
    fn a_server_reads_what_a_client_has_masked() {
        let mut data = Vec::new();
        for (number, text) in ["one", "", "three"].iter().enumerate() {
            frame::write(
                &mut data,
                OpCode::Text,
                Some([number as u8, 7, 0xFF, 0]),
                text.as_bytes(),
            );
        }
        for split in 0..data.len() {
            let mut receiver = Receiver::new(Role::Server);
            let mut told = Vec::new();
            for part in [&data[..split], &data[split..]] {
                let taken = receiver.receive(part, |incoming| match incoming {
                    Incoming::Text(text) => told.push(text.to_string()),
                    other => panic!("{other:?}"),
                });
                taken.unwrap();
            }
            assert_eq!(told, ["one", "", "three"]);
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_at_its_header() {
        let mut header = vec![0x81, 127];
        header.extend_from_slice(&(MAX_MESSAGE_BYTES as u64 + 1).to_be_bytes());
        assert_eq!(all(&header).unwrap_err().close_code, 1009);

        let half = vec![b'a'; MAX_MESSAGE_BYTES / 2];
        let mut receiver = Receiver::default();
        told(&mut receiver, &frame(0x01, &half)).unwrap();
        told(&mut receiver, &frame(0x00, &half)).unwrap();
        assert_eq!(
            told(&mut receiver, &frame(0x80, b"x")).unwrap_err().close_code,
            1009
        );
    }

    #[test]
    fn a_message_at_the_limit_is_read_and_its_buffer_given_back() {
        let text = vec![b'a'; MAX_MESSAGE_BYTES];
        let bytes = frame(0x81, &text);
        let mut receiver = Receiver::default();
        let mut lengths = Vec::new();
        for piece in bytes.chunks(64 << 10) {
            receiver
                .receive(piece, |incoming| {
                    if let Incoming::Text(text) = incoming {
                        lengths.push(text.len());
                    }
                })
                .unwrap();
        }
        assert_eq!(lengths, [MAX_MESSAGE_BYTES]);
        assert_eq!(receiver.partial.capacity(), 0);
        assert_eq!(receiver.pending_bytes(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_within_the_bounds(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut receiver = Receiver::default();
            for chunk in chunks {
                if receiver.receive(&chunk, |_| {}).is_err() {
                    break;
                }
                prop_assert!(receiver.pending_bytes() <= 2 * MAX_MESSAGE_BYTES);
            }
        }

        #[test]
        fn messages_survive_any_fragmentation(text in "\\PC{0,400}", cuts in prop::collection::vec(0_usize..1600, 0..6), read in 1_usize..50) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let last = cuts.len() - 2;
            let stream: Vec<u8> = cuts.windows(2).enumerate().flat_map(|(index, pair)| {
                let opcode = if index == 0 { 0x01 } else { 0x00 };
                let fin = if index == last { 0x80 } else { 0x00 };
                frame(fin | opcode, &bytes[pair[0]..pair[1]])
            }).collect();
            let mut receiver = Receiver::default();
            let mut log = Vec::new();
            for piece in stream.chunks(read) {
                log.extend(told(&mut receiver, piece).unwrap());
            }
            prop_assert_eq!(log, vec![format!("text {text}")]);
        }
    }
}
