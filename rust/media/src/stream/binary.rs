//! The binary dialect as a codec: audio in binary messages behind a header of 16 bytes, control in JSON text.
//!
//! ```text
//!  0        1        2                 4                                   8
//! +--------+--------+-----------------+-----------------------------------+
//! | 1 | 0  | track  | flags           | sequence                          |   version 1, kind 0 (audio)
//! +--------+--------+-----------------+-----------------------------------+
//! | timestamp of the first sample, in samples of the stream's rate        |
//! +-----------------------------------------------------------------------+
//! | samples …
//! ```
//!
//! All numbers are little-endian, as the samples are. A track names a party: 0 is the caller, in messages to the
//! application what it says, in those from the application what it is to hear. No flag is defined yet: sent as zero,
//! ignored when received. Sequence and timestamp count from zero in messages to the application; in those from it they are
//! for itself. Encoding (`pcm_s16le` or `mulaw`) and rate (8, 16, 24 or 48 kHz) are those of `start`, both ways.
//!
//! Text to the application: `start`, `dtmf`, `mark` with an outcome, `stop`. From it: `clear`, `mark`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dialect::{Audio, Message, Tell, WireFormat};
use super::ears::Chunk;
use super::json;
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;
use crate::playout::MarkOutcome;

/// What stands before the samples.
pub const HEADER_BYTES: usize = 16;
/// The version of this dialect.
pub const VERSION: u8 = 1;
/// The track of the caller.
pub const CALLER: u8 = 0;
/// The first byte of audio: the version in the high half, the kind in the low one.
const AUDIO: u8 = VERSION << 4;

/// The header of a binary message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Whose audio it is.
    pub track: u8,
    /// None is defined.
    pub flags: u16,
    /// Rises by one with each message of a track.
    pub sequence: u32,
    /// When the first sample is due, in samples.
    pub timestamp: u64,
}

impl Header {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = AUDIO;
        bytes[1] = self.track;
        bytes[2..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..].copy_from_slice(&self.timestamp.to_le_bytes());
        out.extend_from_slice(&bytes);
    }

    /// Header and samples of a message; `None` when it is too short, or of another version or kind.
    pub fn parse(message: &[u8]) -> Option<(Header, &[u8])> {
        let (bytes, samples) = message.split_first_chunk::<HEADER_BYTES>()?;
        let [kind, track, f0, f1, s0, s1, s2, s3, timestamp @ ..] = *bytes;
        let header = Header {
            track,
            flags: u16::from_le_bytes([f0, f1]),
            sequence: u32::from_le_bytes([s0, s1, s2, s3]),
            timestamp: u64::from_le_bytes(timestamp),
        };
        (kind == AUDIO).then_some((header, samples))
    }
}

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Binary;

impl Binary {
    /// Appends `start`.
    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let message = format!(
            concat!(
                r#"{{"type":"start","version":{},"account_id":{},"call_app_id":{},"call_id":{},"stream_id":{},"#,
                r#"{}"encoding":"{}","rate_hz":{},"channels":1,"chunk_ms":{},"tracks":["caller"]}}"#
            ),
            VERSION,
            json::quoted(&params.account_id),
            json::quoted(&params.call_app_id),
            json::quoted(&params.call_id),
            json::quoted(&params.stream_id),
            json::metadata_field(&params.metadata),
            params.encoding.as_str(),
            params.rate_hz,
            params.chunk_ms,
        );
        out.extend_from_slice(message.as_bytes());
    }

    /// Appends a binary message of these samples.
    fn write_audio(chunk: &Chunk<'_>, out: &mut Vec<u8>) {
        let header = Header {
            track: chunk.track,
            flags: 0,
            sequence: chunk.sequence,
            timestamp: chunk.timestamp,
        };
        header.write(out);
        out.extend_from_slice(chunk.encoded);
    }

    /// Appends `dtmf`.
    fn write_digit(&mut self, digit: char, out: &mut Vec<u8>) {
        let message = format!(r#"{{"type":"dtmf","track":{CALLER},"digit":"{digit}"}}"#);
        out.extend_from_slice(message.as_bytes());
    }

    /// Appends `mark`; `name` is raw JSON.
    fn write_mark(&mut self, name: &str, outcome: MarkOutcome, out: &mut Vec<u8>) {
        let outcome = outcome.as_str();
        for part in [
            r#"{"type":"mark","name":"#,
            name,
            r#","outcome":""#,
            outcome,
            r#""}"#,
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// Appends `stop`.
    fn write_stop(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"stop"}"#);
    }
}

impl WireFormat for Binary {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(chunk) => {
                Binary::write_audio(&chunk, out);
                return Some(Form::Binary);
            }
            Tell::Digit { digit, .. } => self.write_digit(digit, out),
            Tell::Mark { name, outcome } => self.write_mark(name, outcome, out),
            Tell::Stop => self.write_stop(out),
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => parse_text(message),
            Form::Binary => parse_audio(message),
        }
    }

    fn numbers(&self) -> [u64; 2] {
        [0, 0]
    }

    fn resume(&mut self, _: [u64; 2]) {}
}

/// Reads one binary message.
pub fn parse_audio(message: &[u8]) -> Result<Message<'_>, RefusedMessage> {
    let (header, samples) = Header::parse(message).ok_or(RefusedMessage::BadHeader)?;
    Ok(Message::AudioTo(header.track, Audio::Raw(samples)))
}

/// The fields that matter, of whatever type they are.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
}

/// Reads one text message.
pub fn parse_text(text: &[u8]) -> Result<Message<'_>, RefusedMessage> {
    let fields: Fields<'_> = json::object(json::text(text)?).ok_or(RefusedMessage::MalformedJson)?;
    let kind = fields.kind.and_then(|raw| json::string(raw.get()));
    match kind.ok_or(RefusedMessage::MissingField)?.as_ref() {
        "clear" => Ok(Message::Clear),
        "mark" => {
            let name = fields.name.ok_or(RefusedMessage::MissingField)?;
            Ok(Message::Mark(name.get()))
        }
        _ => Err(RefusedMessage::UnknownType),
    }
}
