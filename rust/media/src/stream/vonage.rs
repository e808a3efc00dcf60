//! Vonage's WebSocket endpoint as a codec: linear samples, little-endian, in binary messages; JSON text beside them.
//!
//! To the application: `websocket:connected` first, with the parameters of the stream as fields beside ours, then audio of
//! 20 ms a message, `websocket:dtmf`, `websocket:notify` when all before a notify was played, `websocket:cleared` for every
//! clear. From it: audio of any length, and the actions `notify` and `clear`. What was to be notified and was cleared is not
//! notified: it was not played. The end is the end of the connection.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::dialect::{Audio, Message, Tell, WireFormat};
use super::events::{parameters, write};
use super::json;
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;
use crate::playout::MarkOutcome;

/// The codec of a stream; it has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vonage;

fn write_connected(params: &StreamParams, out: &mut Vec<u8>) {
    let content_type = format!("audio/l16;rate={}", params.rate_hz);
    let head = format!(
        r#"{{"event":"websocket:connected","content-type":{}"#,
        json::quoted(&content_type)
    );
    out.extend_from_slice(head.as_bytes());
    for (name, value) in parameters(params) {
        if name != "event" && name != "content-type" {
            write(&[",", &json::quoted(&name), ":", &Value::to_string(&value)], out);
        }
    }
    out.push(b'}');
}

impl WireFormat for Vonage {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Start(params, _) => write_connected(params, out),
            Tell::Audio(chunk) => {
                out.extend_from_slice(chunk.encoded);
                return Some(Form::Binary);
            }
            Tell::Digit {
                digit, duration_ms, ..
            } => {
                let message =
                    format!(r#"{{"event":"websocket:dtmf","digit":"{digit}","duration":{duration_ms}}}"#);
                out.extend_from_slice(message.as_bytes());
            }
            Tell::Mark {
                name,
                outcome: MarkOutcome::Played,
            } => write(&[r#"{"event":"websocket:notify","payload":"#, name, "}"], out),
            Tell::Cleared { .. } => out.extend_from_slice(br#"{"event":"websocket:cleared"}"#),
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => parse(message),
            Form::Binary => Ok(Message::Audio(Audio::Raw(message), None)),
        }
    }

    fn numbers(&self) -> [u64; 2] {
        [0; 2]
    }

    fn resume(&mut self, _: [u64; 2]) {}
}

/// The fields that matter, of whatever type they are.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// Reads one text message.
pub fn parse(text: &[u8]) -> Result<Message<'_>, RefusedMessage> {
    let fields: Fields<'_> = json::object(json::text(text)?).ok_or(RefusedMessage::MalformedJson)?;
    let action = fields.action.and_then(|raw| json::string(raw.get()));
    match action.ok_or(RefusedMessage::MissingField)?.as_ref() {
        "clear" => Ok(Message::Clear),
        "notify" => Ok(Message::Mark(fields.payload.map_or("{}", RawValue::get))),
        _ => Err(RefusedMessage::UnknownType),
    }
}
