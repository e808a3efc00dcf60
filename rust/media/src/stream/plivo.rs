//! Plivo Audio Streaming as a codec: JSON text, µ-law or linear samples in base64.
//!
//! To the application: `start`, then `media`, `dtmf`, `playedStream` for a checkpoint that was really played, `clearedAudio`
//! for every clear. There is no `connected` and no `stop`: Plivo's own SDK calls both an unknown event. From it: `playAudio`,
//! `checkpoint`, `clearAudio`, `sendDTMF`, each with or without `streamId`. `sequenceNumber` and `chunk` are numbers, `timestamp` is a
//! string, and every message has a number, as the SDK wants.
//!
//! `contentType` and `sampleRate` of `playAudio` say what its payload is, whatever the stream was opened with: a bot that
//! speaks in another rate than it hears in is heard at its pitch. Left out: `noiseCancellation`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dialect::{Action, Audio, Message, Play, Tell, WireFormat, is_sent};
use super::ears::Chunk;
use super::encoding::Encoding;
use super::events::{self, Counts, write};
use super::{base64, json};
use crate::Form;
use crate::config::{Format, StreamParams};
use crate::event::RefusedMessage;
use crate::playout::MarkOutcome;

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Plivo {
    /// Quoted.
    stream_id: String,
    /// A `media` message between its sequence number and its timestamp: of what the caller says, and of what it is sent.
    media: [String; 2],
    /// The end of messages that have it: what the opener gave as extra headers, a JSON object as a string.
    extra: String,
    /// What a payload is that does not say.
    input: Format,
    counts: Counts,
}

impl Plivo {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Plivo {
        let stream_id = json::quoted(&params.stream_id);
        let headers = json::quoted(&events::parameters_json(params));
        Plivo {
            media: ["inbound", "outbound"].map(|track| {
                format!(
                    r#","streamId":{stream_id},"event":"media","media":{{"track":"{track}","timestamp":""#
                )
            }),
            extra: format!(r#","extra_headers":{headers}}}"#),
            stream_id,
            input: params.input_format(),
            counts: Counts::from(0, params),
        }
    }

    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let message = format!(
            concat!(
                r#"{{"sequenceNumber":{},"event":"start","start":{{"callId":{},"streamId":{},"accountId":{},"#,
                r#""tracks":{},"mediaFormat":{{"encoding":"{}","sampleRate":{}}}}}{}"#
            ),
            self.counts.sequence(),
            json::quoted(&params.call_id),
            self.stream_id,
            json::quoted(&params.account_id),
            events::tracks(params),
            content_type(params.encoding),
            params.rate_hz,
            self.extra,
        );
        out.extend_from_slice(message.as_bytes());
    }

    fn write_audio(&mut self, heard: &Chunk<'_>, out: &mut Vec<u8>) {
        self.head(out);
        let (chunk, timestamp) = self.counts.chunk(heard);
        out.extend_from_slice(self.media[usize::from(is_sent(heard.track))].as_bytes());
        json::write_number(timestamp, out);
        out.extend_from_slice(br#"","chunk":"#);
        json::write_number(chunk, out);
        out.extend_from_slice(br#","payload":""#);
        base64::append(heard.encoded, out);
        write(&[r#""}"#, &self.extra], out);
    }

    fn head(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"sequenceNumber":"#);
        json::write_number(self.counts.sequence(), out);
    }

    /// Appends a message of this event with what follows the stream's identifier.
    fn write_event(&mut self, event: &str, rest: &[&str], out: &mut Vec<u8>) {
        self.head(out);
        let parts = [r#","streamId":"#, &self.stream_id, r#","event":""#, event, r#"""#];
        write(&parts, out);
        write(rest, out);
    }

    fn write_digit(&mut self, digit: char, out: &mut Vec<u8>) {
        let timestamp = self.counts.now_ms;
        let dtmf = format!(r#","dtmf":{{"track":"inbound","digit":"{digit}","timestamp":"{timestamp}"}}"#);
        let extra = self.extra.clone();
        self.write_event("dtmf", &[&dtmf, &extra], out);
    }
}

const fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::MuLaw => "audio/x-mulaw",
        _ => "audio/x-l16",
    }
}

impl WireFormat for Plivo {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(heard) => self.write_audio(&heard, out),
            Tell::Digit { digit, .. } => self.write_digit(digit, out),
            Tell::Mark {
                name,
                outcome: MarkOutcome::Played,
            } => self.write_event("playedStream", &[r#","name":"#, name, "}"], out),
            Tell::Cleared { .. } => self.write_event("clearedAudio", &["}"], out),
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => parse(message, &self.stream_id, self.input),
            Form::Binary => Err(RefusedMessage::Binary),
        }
    }

    fn numbers(&self) -> [u64; 2] {
        self.counts.numbers()
    }

    fn resume(&mut self, numbers: [u64; 2]) {
        self.counts.resume(numbers);
    }
}

/// The fields that matter, of whatever type they are.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    media: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    dtmf: Option<&'a RawValue>,
    #[serde(borrow, rename = "streamId")]
    stream_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(borrow, rename = "contentType")]
    content_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "sampleRate")]
    sample_rate: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// Reads one message for the stream of this identifier (quoted), whose audio is this when it does not say.
pub fn parse<'a>(text: &'a [u8], stream_id: &str, input: Format) -> Result<Message<'a>, RefusedMessage> {
    let fields: Fields<'_> = json::object(json::text(text)?).ok_or(RefusedMessage::MalformedJson)?;
    let event = fields.event.and_then(|raw| json::string(raw.get()));
    let event = event.ok_or(RefusedMessage::MissingField)?;
    events::check_stream(fields.stream_id.into_iter(), stream_id)?;
    match event.as_ref() {
        "playAudio" => {
            let media = fields.media.and_then(|raw| json::object::<Media<'_>>(raw.get()));
            play(&media.ok_or(RefusedMessage::MissingField)?, input)
        }
        "checkpoint" => Ok(Message::Mark(fields.name.map_or(r#""""#, RawValue::get))),
        "clearAudio" => Ok(Message::Clear),
        "sendDTMF" if fields.dtmf.is_some() => Ok(Message::Request {
            id: None,
            action: Action::SendDigits,
            fields: json::text(text)?.trim(),
        }),
        _ => Err(RefusedMessage::UnknownType),
    }
}

fn play<'a>(media: &Media<'a>, input: Format) -> Result<Message<'a>, RefusedMessage> {
    let payload = media.payload.and_then(|raw| json::string(raw.get()));
    let audio = Audio::Base64(payload.ok_or(RefusedMessage::MissingField)?);
    let mut format = input;
    if let Some(content_type) = media.content_type.and_then(|raw| json::string(raw.get())) {
        format = read_type(&content_type).ok_or(RefusedMessage::WrongFormat)?;
    }
    // The field wins over the parameter of the type, which few write.
    if let Some(rate_hz) = media.sample_rate {
        format.rate_hz = json::number(rate_hz.get()).ok_or(RefusedMessage::WrongFormat)?;
    }
    if format == input {
        return Ok(Message::Audio(audio, None));
    }
    Ok(Message::Play(Play {
        audio,
        format: Some(format),
        replace: false,
        done: None,
    }))
}

/// What a content type names: `audio/x-l16;rate=16000`, 8000 when it names no rate.
fn read_type(content_type: &str) -> Option<Format> {
    let (name, parameter) = content_type.split_once(';').unwrap_or((content_type, ""));
    let is = |known: &str| name.trim().eq_ignore_ascii_case(known);
    let encoding = if is("audio/x-mulaw") {
        Encoding::MuLaw
    } else if is("audio/x-l16") {
        Encoding::PcmS16le
    } else {
        return None;
    };
    let rate_hz = match parameter.trim().strip_prefix("rate=") {
        Some(rate) => rate.trim().parse().ok()?,
        None => 8_000,
    };
    Some(Format { encoding, rate_hz })
}
