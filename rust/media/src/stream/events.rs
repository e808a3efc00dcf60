//! What Twilio's Media Streams and the dialects that followed it have in common: JSON with an `event`, and audio in base64.
//!
//! Telnyx and Exotel ask in the same words and differ in the name of the stream's identifier, so they read with [`parse`]
//! too. Lenient where real applications need it: the identifier may be missing, a mark may have no name, a payload may be of
//! any length. `dtmf` presses keys, as SignalWire has it. An identifier of *another* stream is refused: an application that has mixed up its sockets would speak
//! into the wrong call.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::dialect::{Action, Audio, Message, is_sent};
use super::ears::Chunk;
use super::{base64, json};
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;

/// Names and values that `start` tells: what the application has attached to the call, and over it the parameters of the
/// stream. Texts, as all these dialects have them, so a value that is none stands as its JSON.
pub(super) fn parameters(params: &StreamParams) -> Map<String, Value> {
    let mut texts: Map<String, Value> = serde_json::from_str(&params.metadata).unwrap_or_default();
    for value in texts.values_mut().filter(|value| !value.is_string()) {
        *value = Value::from(value.to_string());
    }
    let given = params.start.parameters.iter();
    texts.extend(given.map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
    texts
}

/// The same as a JSON object.
pub(super) fn parameters_json(params: &StreamParams) -> String {
    Value::Object(parameters(params)).to_string()
}

/// Numbers of the messages of one stream.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    next_sequence: u64,
    samples_per_ms: u64,
    chunk_ms: u64,
    /// Where the stream is, in milliseconds.
    pub now_ms: u64,
}

impl Counts {
    /// With this sequence number first.
    pub fn from(first: u64, params: &StreamParams) -> Counts {
        Counts {
            next_sequence: first,
            samples_per_ms: u64::from(params.rate_hz / 1_000),
            chunk_ms: u64::from(params.chunk_ms),
            now_ms: 0,
        }
    }

    /// The sequence number of the next message.
    pub fn sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    /// The number of a chunk, from 1, and the time of its first sample in milliseconds of the stream.
    pub fn chunk(&mut self, chunk: &Chunk<'_>) -> (u64, u64) {
        let timestamp = chunk.timestamp / self.samples_per_ms;
        self.now_ms = self.now_ms.max(timestamp + self.chunk_ms);
        (u64::from(chunk.sequence) + 1, timestamp)
    }

    /// What another process needs to go on.
    pub fn numbers(&self) -> [u64; 2] {
        [self.next_sequence, self.now_ms]
    }

    /// Goes on with these numbers.
    pub fn resume(&mut self, [next_sequence, now_ms]: [u64; 2]) {
        (self.next_sequence, self.now_ms) = (next_sequence.max(self.next_sequence), now_ms);
    }
}

/// The two names that Twilio and those after it give differently.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// Of the sequence number.
    pub sequence: &'static str,
    /// Of the stream's identifier.
    pub stream: &'static str,
}

/// What every message of Twilio, Telnyx and Exotel begins with, and the messages that are alike but for it.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    sequence: &'static str,
    /// `"streamSid":"MZ…"`
    stream: String,
    /// A `media` message between its sequence number and its chunk number: of what the caller says, and of what it is sent.
    media: [String; 2],
    pub counts: Counts,
}

impl Envelope {
    /// For one stream; `track` is what `media` tells of this track.
    pub fn new(names: Names, params: &StreamParams, track: impl Fn(&str) -> String) -> Envelope {
        let stream = format!(r#""{}":{}"#, names.stream, json::quoted(&params.stream_id));
        Envelope {
            sequence: names.sequence,
            media: ["inbound", "outbound"]
                .map(|name| format!(r#"",{stream},"media":{{{}"chunk":""#, track(name))),
            stream,
            counts: Counts::from(1, params),
        }
    }

    /// The stream's identifier, quoted.
    pub fn stream_id(&self) -> &str {
        self.stream.split_once(':').map_or("", |(_, id)| id)
    }

    /// Appends a message of this event with what else it has; all but `connected` and `media` are made so.
    pub fn write_event(&mut self, event: &str, rest: &[&str], out: &mut Vec<u8>) {
        self.write_head(event, out);
        write(&[r#"","#, &self.stream, ","], out);
        write(rest, out);
        out.push(b'}');
    }

    /// Appends `media` with these samples.
    pub fn write_audio(&mut self, heard: &Chunk<'_>, out: &mut Vec<u8>) {
        self.write_head("media", out);
        let (chunk, timestamp) = self.counts.chunk(heard);
        out.extend_from_slice(self.media[usize::from(is_sent(heard.track))].as_bytes());
        json::write_number(chunk, out);
        out.extend_from_slice(br#"","timestamp":""#);
        json::write_number(timestamp, out);
        out.extend_from_slice(br#"","payload":""#);
        base64::append(heard.encoded, out);
        out.extend_from_slice(br#""}}"#);
    }

    /// Appends `mark`; `name` is raw JSON.
    pub fn write_mark(&mut self, name: &str, out: &mut Vec<u8>) {
        self.write_event("mark", &[r#""mark":{"name":"#, name, "}"], out);
    }

    /// Reads a message of the application.
    pub fn read<'a>(&self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => parse(message, self.stream_id()),
            Form::Binary => Err(RefusedMessage::Binary),
        }
    }

    /// `{"event":…,"sequenceNumber":"7`
    fn write_head(&mut self, event: &str, out: &mut Vec<u8>) {
        write(&[r#"{"event":""#, event, r#"",""#, self.sequence, r#"":""#], out);
        json::write_number(self.counts.sequence(), out);
    }
}

/// How `media` tells this track.
pub(super) fn named_track(track: &str) -> String {
    format!(r#""track":"{track}","#)
}

/// JSON: the tracks that a stream hears, as those call them who know two.
pub(super) fn tracks(params: &StreamParams) -> &'static str {
    match &params.tracks[..] {
        [_, _] => r#"["inbound","outbound"]"#,
        [track] if is_sent(*track) => r#"["outbound"]"#,
        _ => r#"["inbound"]"#,
    }
}

/// An identifier that was given by name, or else ours.
pub(super) fn or<'a>(given: &'a str, ours: &'a str) -> &'a str {
    if given.is_empty() { ours } else { given }
}

/// Appends texts one after the other.
pub(super) fn write(parts: &[&str], out: &mut Vec<u8>) {
    parts
        .iter()
        .for_each(|part| out.extend_from_slice(part.as_bytes()));
}

/// The fields that matter, of whatever type they are.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    media: Option<&'a RawValue>,
    #[serde(borrow)]
    mark: Option<&'a RawValue>,
    #[serde(borrow)]
    dtmf: Option<&'a RawValue>,
    #[serde(borrow, rename = "streamSid")]
    stream_sid: Option<&'a RawValue>,
    #[serde(borrow, rename = "stream_sid")]
    snake_sid: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Mark<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
}

/// Reads one message for the stream of this identifier (quoted).
pub fn parse<'a>(text: &'a [u8], stream_id: &str) -> Result<Message<'a>, RefusedMessage> {
    let fields: Fields<'_> = json::object(json::text(text)?).ok_or(RefusedMessage::MalformedJson)?;
    let event = fields.event.and_then(|raw| json::string(raw.get()));
    let event = event.ok_or(RefusedMessage::MissingField)?;
    let named = [fields.stream_sid, fields.snake_sid, fields.stream_id];
    check_stream(named.into_iter().flatten(), stream_id)?;
    match event.as_ref() {
        "media" => {
            let media = fields.media.and_then(|raw| json::object::<Media<'_>>(raw.get()));
            let payload = media.and_then(|media| media.payload);
            let payload = payload.and_then(|raw| json::string(raw.get()));
            Ok(Message::Audio(
                Audio::Base64(payload.ok_or(RefusedMessage::MissingField)?),
                None,
            ))
        }
        "mark" => {
            let mark = fields.mark.and_then(|raw| json::object::<Mark<'_>>(raw.get()));
            let name = mark.ok_or(RefusedMessage::MissingField)?.name;
            Ok(Message::Mark(name.map_or(r#""""#, RawValue::get)))
        }
        "clear" => Ok(Message::Clear),
        // SignalWire's, and ours.
        "dtmf" => match fields.dtmf.map(RawValue::get) {
            Some(keys) if keys.starts_with('{') => Ok(Message::Request {
                id: None,
                action: Action::SendDigits,
                fields: keys,
            }),
            _ => Err(RefusedMessage::MissingField),
        },
        _ => Err(RefusedMessage::UnknownType),
    }
}

/// That a stream which is named is this one (quoted). An empty name, or one that is no text, names none.
pub(super) fn check_stream<'a>(
    mut named: impl Iterator<Item = &'a RawValue>,
    stream_id: &str,
) -> Result<(), RefusedMessage> {
    let is_another = |raw: &RawValue| {
        let raw = raw.get();
        raw != stream_id
            && json::string(raw).is_some_and(|name| {
                !name.is_empty() && json::string(stream_id).is_none_or(|ours| ours != name)
            })
    };
    match named.any(is_another) {
        true => Err(RefusedMessage::OtherStream),
        false => Ok(()),
    }
}
