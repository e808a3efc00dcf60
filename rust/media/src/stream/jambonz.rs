//! jambonz' `listen` as a codec: linear samples, little-endian, in binary messages; JSON text beside them.
//!
//! To the application: the call as one JSON object first, then audio (mono, mixed, or a party left and what it is sent right), `dtmf` (its duration in samples at 8 kHz, as a string),
//! `mark` with `playout` or `cleared`, and `playDone`. From it: audio in binary messages, `playAudio` (a sound in base64,
//! raw or WAV, of any rate; it cuts off what plays unless it has `queuePlay`), `killAudio`, `mark`, `clearMarks`,
//! `disconnect`. A mark that is cleared is told, by `clearMarks` as well: so the documentation promises.
//!
//! Left out: transcription, and the control socket (`ws.jambonz.org`). Identifiers of the first message: the
//! call is `callSid`; by name `account_sid`, `application_sid` and `call_id` (SIP's).

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::dialect::{Audio, Message, Play, Tell, WireFormat};
use super::encoding::Encoding;
use super::events::{or, parameters, write};
use super::json;
use crate::Form;
use crate::config::{Format, StreamParams, Together};
use crate::event::RefusedMessage;
use crate::playout::MarkOutcome;

/// The codec of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Jambonz {
    /// The rate of a `playAudio` that does not say.
    rate_hz: u32,
}

impl Jambonz {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Jambonz {
        Jambonz {
            rate_hz: params.rate_hz,
        }
    }
}

fn write_metadata(params: &StreamParams, out: &mut Vec<u8>) {
    let start = &params.start;
    let mix_type = match params.together {
        Together::Apart => "mono",
        Together::Stereo => "stereo",
        Together::Mixed => "mixed",
    };
    let ours = [
        ("sampleRate", Value::from(params.rate_hz)),
        ("mixType", Value::from(mix_type)),
        ("callSid", Value::from(params.call_id.as_str())),
        (
            "direction",
            Value::from(if start.is_inbound { "inbound" } else { "outbound" }),
        ),
        ("from", Value::from(start.from.as_str())),
        ("to", Value::from(start.to.as_str())),
        ("callId", Value::from(start.id("call_id"))),
        (
            "accountSid",
            Value::from(or(start.id("account_sid"), &params.account_id)),
        ),
        (
            "applicationSid",
            Value::from(or(start.id("application_sid"), &params.call_app_id)),
        ),
    ];
    let ours: Map<String, Value> = ours
        .into_iter()
        .filter(|(name, value)| *name != "callId" || value != "")
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut all = parameters(params);
    all.extend(ours);
    out.extend_from_slice(Value::Object(all).to_string().as_bytes());
}

/// A mark carries the object that it came with; a sound that was played its identifier, which is no object.
fn write_mark(name: &str, outcome: MarkOutcome, out: &mut Vec<u8>) {
    if !name.starts_with('{') {
        let id: &[&str] = match name {
            "null" => &[r#"{"type":"playDone","data":{}}"#],
            id => &[r#"{"type":"playDone","data":{"id":"#, id, "}}"],
        };
        return write(id, out);
    }
    let data: Option<Data<'_>> = json::object(name);
    let name = data.and_then(|data| data.name).map_or(r#""""#, RawValue::get);
    let event = match outcome {
        MarkOutcome::Played => "playout",
        MarkOutcome::Cleared => "cleared",
    };
    let parts = [
        r#"{"type":"mark","data":{"name":"#,
        name,
        r#","event":""#,
        event,
        r#""}}"#,
    ];
    write(&parts, out);
}

impl WireFormat for Jambonz {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Start(params, _) => write_metadata(params, out),
            Tell::Audio(chunk) => {
                out.extend_from_slice(chunk.encoded);
                return Some(Form::Binary);
            }
            Tell::Digit {
                digit, duration_ms, ..
            } => {
                let samples = u64::from(duration_ms) * 8;
                let message = format!(r#"{{"event":"dtmf","dtmf":"{digit}","duration":"{samples}"}}"#);
                out.extend_from_slice(message.as_bytes());
            }
            Tell::Mark { name, outcome } => write_mark(name, outcome, out),
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => parse(message, self.rate_hz),
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
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    audio_content: Option<&'a RawValue>,
    #[serde(borrow)]
    audio_content_type: Option<&'a RawValue>,
    #[serde(borrow)]
    sample_rate: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    queue_play: Option<&'a RawValue>,
}

/// Reads one text message for a stream of this rate.
pub fn parse(text: &[u8], rate_hz: u32) -> Result<Message<'_>, RefusedMessage> {
    let fields: Fields<'_> = json::object(json::text(text)?).ok_or(RefusedMessage::MalformedJson)?;
    let kind = fields.kind.and_then(|raw| json::string(raw.get()));
    let data = || {
        let data = fields.data.map(RawValue::get);
        let parsed: Option<Data<'_>> = data.and_then(json::object);
        data.zip(parsed).ok_or(RefusedMessage::MissingField)
    };
    match kind.ok_or(RefusedMessage::MissingField)?.as_ref() {
        "playAudio" => play(&data()?.1, rate_hz),
        "killAudio" => Ok(Message::Clear),
        "mark" => Ok(Message::Mark(data()?.0)),
        "clearMarks" => Ok(Message::ClearMarks),
        "disconnect" => Ok(Message::Stop),
        _ => Err(RefusedMessage::UnknownType),
    }
}

fn play<'a>(data: &Data<'a>, rate_hz: u32) -> Result<Message<'a>, RefusedMessage> {
    let content = data.audio_content.and_then(|raw| json::string(raw.get()));
    let content_type = data.audio_content_type.and_then(|raw| json::string(raw.get()));
    let format = match content_type.as_deref() {
        None | Some("raw") => {
            let rate_hz = match data.sample_rate {
                Some(raw) => json::number(raw.get()).ok_or(RefusedMessage::WrongFormat)?,
                None => rate_hz,
            };
            Some(Format {
                encoding: Encoding::PcmS16le,
                rate_hz,
            })
        }
        Some("wav" | "wave") => None,
        Some(_) => return Err(RefusedMessage::WrongFormat),
    };
    let is_scalar = |id: &&str| !id.starts_with(['{', '[']);
    Ok(Message::Play(Play {
        audio: Audio::Base64(content.ok_or(RefusedMessage::MissingField)?),
        format,
        replace: data.queue_play.is_none_or(|raw| raw.get() != "true"),
        done: Some(data.id.map(RawValue::get).filter(is_scalar).unwrap_or("null")),
    }))
}
