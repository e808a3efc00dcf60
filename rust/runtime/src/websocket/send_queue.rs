//! What waits to be written to a socket: whole frames in one buffer, so that a tick costs one write.
//!
//! The bound is told in seconds of audio: when that many messages wait, the oldest is dropped and counted. Frames
//! without audio (start, ping, pong, close) and a frame whose first byte has left are never dropped; they are few:
//! pongs, the only ones the peer can ask for, are bounded here as well.

use std::collections::VecDeque;

use super::Role;
use super::frame::{self, OpCode};

/// Audio that may wait for a peer that does not read, in milliseconds.
pub const MAX_QUEUED_AUDIO_MS: u32 = 2000;
/// Pongs that may wait; a further ping is answered by those (RFC 6455 §5.5.3 lets the last one stand for all).
const MAX_QUEUED_PONGS: usize = 4;
/// Written bytes are cut off the front of the buffer when they are this many.
const COMPACT_BYTES: usize = 64 << 10;

/// What a queued frame is, as far as dropping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// May be dropped when it is the oldest.
    Audio,
    /// Must go out.
    Control,
    /// Must go out; at most `MAX_QUEUED_PONGS` wait.
    Pong,
}

struct Queued {
    length: usize,
    kind: Kind,
}

/// Frames, masked and ready, oldest first.
pub struct SendQueue {
    bytes: Vec<u8>,
    /// Bytes of `bytes` already written.
    written: usize,
    frames: VecDeque<Queued>,
    /// Bytes of the front frame already written.
    front_written: usize,
    audio_frames: usize,
    pongs: usize,
    max_audio_frames: usize,
    dropped: u64,
    role: Role,
}

impl SendQueue {
    /// A queue for messages of `chunk_ms` of audio each.
    pub fn new(chunk_ms: u32) -> Self {
        Self {
            bytes: Vec::new(),
            written: 0,
            frames: VecDeque::new(),
            front_written: 0,
            audio_frames: 0,
            pongs: 0,
            max_audio_frames: (MAX_QUEUED_AUDIO_MS / chunk_ms.max(1)).max(1) as usize,
            dropped: 0,
            role: Role::Client,
        }
    }

    /// From here on as this end of a connection.
    pub fn set_role(&mut self, role: Role) {
        self.role = role;
    }

    /// Queue one whole message or control frame.
    pub fn push(&mut self, kind: Kind, opcode: OpCode, key: [u8; 4], payload: &[u8]) {
        match kind {
            Kind::Audio if self.audio_frames >= self.max_audio_frames => self.drop_oldest_audio(),
            Kind::Pong if self.pongs >= MAX_QUEUED_PONGS => return,
            _ => {}
        }
        let key = (self.role == Role::Client).then_some(key);
        let length = frame::write(&mut self.bytes, opcode, key, payload);
        self.frames.push_back(Queued { length, kind });
        self.count(kind, true);
    }

    /// Queue bytes that are no frame: the request of the handshake.
    pub fn push_raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.frames.push_back(Queued {
            length: bytes.len(),
            kind: Kind::Control,
        });
    }

    /// The bytes to write next; empty when all is written.
    pub fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Messages dropped because the peer did not read.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// `count` bytes of `unwritten` have left.
    pub fn consume(&mut self, count: usize) {
        self.written += count;
        self.front_written += count;
        while let Some(front) = self.frames.front() {
            if self.front_written < front.length {
                break;
            }
            let kind = front.kind;
            self.front_written -= front.length;
            self.frames.pop_front();
            self.count(kind, false);
        }
        if self.is_empty() {
            self.bytes.clear();
            self.written = 0;
        } else if self.written >= COMPACT_BYTES {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }

    fn count(&mut self, kind: Kind, is_added: bool) {
        let counter = match kind {
            Kind::Audio => &mut self.audio_frames,
            Kind::Pong => &mut self.pongs,
            Kind::Control => return,
        };
        if is_added { *counter += 1 } else { *counter -= 1 }
    }

    fn drop_oldest_audio(&mut self) {
        let mut start = self.written;
        let mut left_of_front = self.front_written;
        for (index, queued) in self.frames.iter().enumerate() {
            let is_begun = left_of_front > 0;
            let end = start + queued.length - std::mem::take(&mut left_of_front);
            if queued.kind == Kind::Audio && !is_begun {
                self.bytes.drain(start..end);
                self.frames.remove(index);
                self.audio_frames -= 1;
                self.dropped += 1;
                return;
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NO_MASK: [u8; 4] = [0; 4];

    fn push(queue: &mut SendQueue, kind: Kind, text: &str) {
        queue.push(kind, OpCode::Text, NO_MASK, text.as_bytes());
    }

    /// The payloads of whole frames with a zero mask and short lengths.
    fn payloads(mut bytes: &[u8]) -> Vec<String> {
        let mut texts = Vec::new();
        while let [_, length, rest @ ..] = bytes {
            let length = usize::from(length & 0x7F);
            texts.push(String::from_utf8_lossy(&rest[4..4 + length]).into_owned());
            bytes = &rest[4 + length..];
        }
        texts
    }

    #[test]
    fn two_seconds_of_audio_wait_and_the_oldest_goes_first() {
        let mut queue = SendQueue::new(500);
        push(&mut queue, Kind::Control, "start");
        for number in 0..6 {
            push(&mut queue, Kind::Audio, &number.to_string());
        }
        assert_eq!(payloads(queue.unwritten()), ["start", "2", "3", "4", "5"]);
        assert_eq!(queue.dropped(), 2);
    }

    #[test]
    fn a_frame_half_written_is_never_dropped() {
        let mut queue = SendQueue::new(1000);
        push(&mut queue, Kind::Audio, "zero");
        push(&mut queue, Kind::Audio, "one");
        let mut sent = queue.unwritten()[..3].to_vec();
        queue.consume(3);
        push(&mut queue, Kind::Audio, "two");
        push(&mut queue, Kind::Audio, "three");
        sent.extend_from_slice(queue.unwritten());
        assert_eq!(payloads(&sent), ["zero", "three"]);
        assert_eq!(queue.dropped(), 2);
    }

    #[test]
    fn a_chunk_longer_than_the_bound_still_gets_a_place() {
        let mut queue = SendQueue::new(4000);
        push(&mut queue, Kind::Audio, "a");
        assert_eq!(payloads(queue.unwritten()), ["a"]);
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn pongs_do_not_pile_up() {
        let mut queue = SendQueue::new(20);
        for _ in 0..1000 {
            push(&mut queue, Kind::Pong, "p");
        }
        assert_eq!(payloads(queue.unwritten()).len(), MAX_QUEUED_PONGS);
        let length = queue.unwritten().len();
        queue.consume(length);
        push(&mut queue, Kind::Pong, "q");
        assert_eq!(payloads(queue.unwritten()), ["q"]);
    }

    proptest! {
        #[test]
        fn what_leaves_is_always_whole_frames_in_order(steps in prop::collection::vec((0_u8..4, 0_usize..40), 0..200)) {
            let mut queue = SendQueue::new(400);
            let mut sent = Vec::new();
            let mut number = 0;
            for (action, amount) in steps {
                if action == 0 {
                    let count = amount.min(queue.unwritten().len());
                    sent.extend_from_slice(&queue.unwritten()[..count]);
                    queue.consume(count);
                } else {
                    let kind = if action == 1 { Kind::Control } else { Kind::Audio };
                    push(&mut queue, kind, &format!("{number}"));
                    number += 1;
                }
            }
            sent.extend_from_slice(queue.unwritten());
            let numbers: Vec<u32> = payloads(&sent).iter().map(|text| text.parse().unwrap()).collect();
            prop_assert!(numbers.is_sorted());
            prop_assert_eq!(numbers.len() as u64 + queue.dropped(), number);
        }
    }
}
