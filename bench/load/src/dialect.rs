//! The dialects as the application of a run speaks them: it finds the audio by its place, and sends it back.

use base64::Engine as _;
use clap::ValueEnum;

use crate::rtp;

/// A dialect of the media server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// JSON, L16 in base64.
    Teler,
    /// JSON, µ-law in base64.
    Twilio,
    /// Ours: binary messages, L16.
    Longline,
}

impl Dialect {
    /// Its name in the control protocol.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Teler => "teler",
            Dialect::Twilio => "twilio",
            Dialect::Longline => "longline",
        }
    }

    /// The opcode of its audio.
    pub fn opcode(self) -> u8 {
        match self {
            Dialect::Teler | Dialect::Twilio => 1,
            Dialect::Longline => 2,
        }
    }

    /// Bytes of 20 ms of audio as they are in a message.
    pub fn audio_bytes(self) -> usize {
        match self {
            Dialect::Teler => 428,
            Dialect::Twilio => 216,
            Dialect::Longline => 320,
        }
    }

    /// What the media server puts after the audio.
    fn suffix(self) -> usize {
        match self {
            Dialect::Teler | Dialect::Twilio => r#""}}"#.len(),
            Dialect::Longline => 0,
        }
    }

    /// Where the audio of a message of the media server is, if it is one that has audio.
    pub fn audio_at(self, opcode: u8, length: usize) -> Option<usize> {
        let at = length.checked_sub(self.audio_bytes() + self.suffix())?;
        // Other messages are shorter, except for `start`, which comes once and is answered with noise of no number.
        (opcode == self.opcode() && at >= 16).then_some(at)
    }

    /// A message of audio to the media server, and where its audio is.
    pub fn answer(self) -> (Vec<u8>, usize) {
        let audio = vec![b'A'; self.audio_bytes()];
        let (before, after): (&[u8], &[u8]) = match self {
            Dialect::Teler => (br#"{"type":"audio","audio_b64":""#, br#"","chunk_id":1000}"#),
            Dialect::Twilio => (
                br#"{"event":"media","streamSid":"ms_1000","media":{"payload":""#,
                br#""}}"#,
            ),
            Dialect::Longline => (&[0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], b""),
        };
        ([before, &audio, after].concat(), before.len())
    }

    /// What the application says first: a frame of text.
    pub fn hello(self) -> Option<Vec<u8>> {
        let hello = br#"{"type":"hello","progress_ms":0}"#;
        (self == Dialect::Longline).then(|| [&[0x81, hello.len() as u8], &hello[..]].concat())
    }

    /// Where the number of an answer is in it: four bytes, the lowest first.
    pub fn sequence_at(self) -> Option<usize> {
        (self == Dialect::Longline).then_some(4)
    }

    /// The number of the frame in this audio.
    pub fn number(self, audio: &[u8]) -> Option<u32> {
        let mut codes = [0; 8];
        let mut bytes = [0; 24];
        match self {
            Dialect::Teler => {
                decode(audio.get(..24)?, &mut bytes)?;
                linear(&bytes, &mut codes);
            }
            Dialect::Longline => linear(audio, &mut codes),
            Dialect::Twilio => {
                decode(audio.get(..12)?, &mut bytes)?;
                codes.copy_from_slice(&bytes[..8]);
            }
        }
        rtp::number(&codes)
    }
}

fn decode(text: &[u8], out: &mut [u8]) -> Option<usize> {
    base64::engine::general_purpose::STANDARD
        .decode_slice(text, out)
        .ok()
}

fn linear(bytes: &[u8], codes: &mut [u8; 8]) {
    for (code, pair) in codes.iter_mut().zip(bytes.chunks_exact(2)) {
        *code = rtp::code(i16::from_le_bytes([pair[0], pair[1]]));
    }
}
