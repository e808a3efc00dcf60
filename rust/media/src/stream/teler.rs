//! Teler's media WebSocket as a codec: JSON text, PCM16 little-endian in base64.
//!
//! To the application: `start` once, then `audio`. `start` names 8000 Hz whatever rate is sent, since that is what
//! applications have been told all along. From the application: `audio` (fields at top level or under `data`), always
//! 8 kHz, `interrupt` and `clear`. Lenient where real applications need it: several base64 strings joined with their
//! padding, missing padding, escaped slashes, an odd number of bytes, empty audio, chunk ids of any scalar type.
//!
//! Making and reading messages allocates nothing, except to unescape a string that has escapes in it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dialect::{Audio, Message, Tell, WireFormat};
use super::{base64, json};
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;
use crate::playout::ChunkId;

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Teler {
    /// An `audio` message up to its number.
    prefix: Vec<u8>,
    next_message_id: u64,
}

impl Teler {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Teler {
        let prefix = format!(
            r#"{{"type":"audio","stream_id":{},"message_id":"#,
            json::quoted(&params.stream_id)
        );
        Teler {
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
    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let message = format!(
            concat!(
                r#"{{"type":"start","account_id":{},"call_app_id":{},"call_id":{},"stream_id":{},"message_id":{},"#,
                r#"{}"data":{{"encoding":"audio/l16","sample_rate":8000,"channels":1}}}}"#
            ),
            json::quoted(&params.account_id),
            json::quoted(&params.call_app_id),
            json::quoted(&params.call_id),
            json::quoted(&params.stream_id),
            self.take_message_id(),
            json::metadata_field(&params.metadata),
        );
        out.extend_from_slice(message.as_bytes());
    }

    /// Appends `audio` with these samples, little-endian.
    fn write_audio(&mut self, pcm: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        json::write_number(self.take_message_id(), out);
        out.extend_from_slice(br#","data":{"audio_b64":""#);
        base64::append(pcm, out);
        out.extend_from_slice(br#""}}"#);
    }
}

impl WireFormat for Teler {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match tell {
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(chunk) => self.write_audio(chunk.encoded, out),
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => parse(message),
            Form::Binary => Err(RefusedMessage::Binary),
        }
    }

    fn numbers(&self) -> [u64; 2] {
        [self.next_message_id, 0]
    }

    fn resume(&mut self, [next_message_id, _]: [u64; 2]) {
        self.next_message_id = next_message_id.max(1);
    }
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
    let fields: Fields<'_> = json::object(json::text(text)?).ok_or(RefusedMessage::MalformedJson)?;
    let kind = fields
        .kind
        .and_then(|raw| json::string(raw.get()))
        .ok_or(RefusedMessage::MissingField)?;
    match kind.as_ref() {
        "audio" => {
            let nested = nested(&fields, fields.audio_b64.is_none() || fields.chunk_id.is_none());
            let audio = fields
                .audio_b64
                .or(nested.as_ref().and_then(|data| data.audio_b64));
            let audio = audio
                .and_then(|raw| json::string(raw.get()))
                .ok_or(RefusedMessage::MissingField)?;
            let id = fields.chunk_id.or(nested.as_ref().and_then(|data| data.chunk_id));
            let id = id.and_then(|raw| ChunkId::new(raw.get()));
            Ok(Message::Audio(Audio::Base64(audio), id))
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

/// What is under `data`, when it is needed and an object.
fn nested<'a>(fields: &Fields<'a>, needed: bool) -> Option<Fields<'a>> {
    fields
        .data
        .filter(|_| needed)
        .and_then(|data| json::object(data.get()))
}
