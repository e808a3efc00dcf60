//! Teler's media WebSocket as a codec: JSON text, PCM16 little-endian in base64.
//!
//! To the application: `start` once, then `audio`. `start` names 8000 Hz whatever rate is sent, since that is what
//! applications have been told all along. From the application: `audio` (fields at top level or under `data`), always
//! 8 kHz, `interrupt` and `clear`. Lenient where real applications need it: several base64 strings joined with their
//! padding, missing padding, escaped slashes, an odd number of bytes, empty audio, chunk ids of any scalar type.
//!
//! Making and reading messages allocates nothing, except to unescape a string that has escapes in it.

use std::borrow::Cow;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::StreamParams;
use crate::event::RefusedMessage;
use crate::playout::ChunkId;

/// Deepest nesting of a message. Rule: a deeper one is malformed.
pub const MAX_DEPTH: usize = 16;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Makes the messages to one application.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// An `audio` message up to its number.
    prefix: Vec<u8>,
    next_message_id: u64,
}

impl Encoder {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Encoder {
        let prefix = format!(
            r#"{{"type":"audio","stream_id":{},"message_id":"#,
            quoted(&params.stream_id)
        );
        Encoder {
            prefix: prefix.into_bytes(),
            next_message_id: 1,
        }
    }

    fn take_message_id(&mut self) -> u64 {
        let id = self.next_message_id;
        self.next_message_id += 1;
        id
    }

    /// Appends `start`.
    pub fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let message = format!(
            concat!(
                r#"{{"type":"start","account_id":{},"call_app_id":{},"call_id":{},"stream_id":{},"message_id":{},"#,
                r#""data":{{"encoding":"audio/l16","sample_rate":8000,"channels":1}}}}"#
            ),
            quoted(&params.account_id),
            quoted(&params.call_app_id),
            quoted(&params.call_id),
            quoted(&params.stream_id),
            self.take_message_id(),
        );
        out.extend_from_slice(message.as_bytes());
    }

    /// Appends `audio` with these samples, little-endian.
    pub fn write_audio(&mut self, pcm: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        write_number(self.take_message_id(), out);
        out.extend_from_slice(br#","data":{"audio_b64":""#);
        let start = out.len();
        out.resize(start + pcm.len().div_ceil(3) * 4, 0);
        let written = LENIENT.encode_slice(pcm, &mut out[start..]).unwrap_or(0);
        out.truncate(start + written);
        out.extend_from_slice(br#""}}"#);
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// A message from the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Queue audio, still in base64, as a chunk of this name.
    Audio(Cow<'a, str>, Option<ChunkId>),
    /// Drop one chunk, queued or playing. `None`: its name is longer than any that is kept.
    Interrupt(Option<ChunkId>),
    /// Drop everything.
    Clear,
}

/// The fields that matter, of whatever type they are.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    audio_b64: Option<&'a RawValue>,
    #[serde(borrow)]
    chunk_id: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Reads one message.
pub fn parse(text: &[u8]) -> Result<Message<'_>, RefusedMessage> {
    let text = std::str::from_utf8(text).map_err(|_| RefusedMessage::MalformedJson)?;
    if too_deep(text.as_bytes()) {
        return Err(RefusedMessage::MalformedJson);
    }
    let fields = fields(text).ok_or(RefusedMessage::MalformedJson)?;
    let kind = fields
        .kind
        .and_then(|raw| string(raw.get()))
        .ok_or(RefusedMessage::MissingField)?;
    match kind.as_ref() {
        "audio" => {
            let nested = nested(&fields, fields.audio_b64.is_none() || fields.chunk_id.is_none());
            let audio = fields
                .audio_b64
                .or(nested.as_ref().and_then(|data| data.audio_b64));
            let audio = audio
                .and_then(|raw| string(raw.get()))
                .ok_or(RefusedMessage::MissingField)?;
            let id = fields.chunk_id.or(nested.as_ref().and_then(|data| data.chunk_id));
            Ok(Message::Audio(audio, id.and_then(|raw| ChunkId::new(raw.get()))))
        }
        "interrupt" => {
            let nested = nested(&fields, fields.chunk_id.is_none());
            let id = fields.chunk_id.or(nested.and_then(|data| data.chunk_id));
            Ok(Message::Interrupt(ChunkId::new(
                id.ok_or(RefusedMessage::MissingField)?.get(),
            )))
        }
        "clear" => Ok(Message::Clear),
        _ => Err(RefusedMessage::UnknownType),
    }
}

fn fields(text: &str) -> Option<Fields<'_>> {
    // Fields could be read from an array too, by position; only an object is a message.
    text.trim_start()
        .starts_with('{')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// What is under `data`, when it is needed and an object.
fn nested<'a>(fields: &Fields<'a>, needed: bool) -> Option<Fields<'a>> {
    fields
        .data
        .filter(|_| needed)
        .and_then(|data| self::fields(data.get()))
}

/// The text of a JSON string; `None` for any other value.
fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Counts brackets; only a message with many of them is looked at closely.
fn too_deep(text: &[u8]) -> bool {
    if opening_brackets(text) <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// How many `{` and `[` there are, in strings too: counted in bytes, which the compiler does many at a time.
fn opening_brackets(text: &[u8]) -> usize {
    // The two differ in one bit.
    let is_bracket = |byte: &u8| u8::from(byte | 0x20 == b'{');
    text.chunks(255)
        .map(|part| usize::from(part.iter().map(is_bracket).sum::<u8>()))
        .sum()
}

/// Decodes base64, or several pieces of it joined each with its padding, into `out`, which is emptied first.
pub fn decode_audio(base64: &str, out: &mut Vec<u8>) -> Result<(), RefusedMessage> {
    out.clear();
    // Nearly always it is one piece, with padding only at its end.
    decode_piece(base64.as_bytes(), out).or_else(|_| decode_pieces(base64.as_bytes(), out))
}

fn decode_pieces(mut rest: &[u8], out: &mut Vec<u8>) -> Result<(), RefusedMessage> {
    out.clear();
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'=').unwrap_or(rest.len());
        let padding = rest[end..].iter().take_while(|&&byte| byte == b'=').count();
        decode_piece(&rest[..end], out)?;
        // More padding than a piece can have is not base64; none at the start of a piece either.
        if padding > 2 || (end == 0 && padding > 0) {
            return Err(RefusedMessage::MalformedBase64);
        }
        rest = &rest[end + padding..];
    }
    Ok(())
}

fn decode_piece(piece: &[u8], out: &mut Vec<u8>) -> Result<(), RefusedMessage> {
    let start = out.len();
    out.resize(start + piece.len().div_ceil(4) * 3, 0);
    let written = LENIENT
        .decode_slice(piece, &mut out[start..])
        .map_err(|_| RefusedMessage::MalformedBase64)?;
    out.truncate(start + written);
    Ok(())
}
