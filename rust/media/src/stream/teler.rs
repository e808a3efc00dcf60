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

use super::dialect::{Audio, Message};
use super::{base64, json};
use crate::config::StreamParams;
use crate::event::RefusedMessage;
use crate::playout::ChunkId;

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
            json::quoted(&params.stream_id)
        );
        Encoder {
            prefix: prefix.into_bytes(),
            next_message_id: 1,
        }
    }

    /// What another process needs to go on.
    pub(crate) fn numbers(&self) -> [u64; 2] {
        [self.next_message_id, 0]
    }

    /// Goes on with these numbers.
    pub(crate) fn resume(&mut self, [next_message_id, _]: [u64; 2]) {
        self.next_message_id = next_message_id.max(1);
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
    pub fn write_audio(&mut self, pcm: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        json::write_number(self.take_message_id(), out);
        out.extend_from_slice(br#","data":{"audio_b64":""#);
        base64::append(pcm, out);
        out.extend_from_slice(br#""}}"#);
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
