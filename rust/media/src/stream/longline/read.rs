//! What an application says.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::header::Header;
use super::{MAX_TEXT_BYTES, MAX_UTTERANCE_ID, hello};
use crate::event::RefusedMessage;
use crate::playout::ChunkId;
use crate::stream::dialect::{About, Action, Audio, Message};
use crate::stream::json;
use crate::tracks::{ALL, TrackSet};

/// The fields of which most messages have some, of whatever type they are.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    sequence: Option<&'a RawValue>,
    #[serde(borrow)]
    track: Option<&'a RawValue>,
    #[serde(borrow)]
    flags: Option<&'a RawValue>,
    #[serde(borrow)]
    generation: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    utterance_id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    tracks: Option<&'a RawValue>,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    at: Option<&'a RawValue>,
}

/// A number of this field, if there is one. Another value than a number is missing.
fn number<Number: std::str::FromStr>(field: Option<&RawValue>) -> Result<Option<Number>, RefusedMessage> {
    match field.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| RefusedMessage::MissingField),
    }
}

/// A text as raw JSON, of so many bytes at most.
fn raw_text(field: Option<&RawValue>, limit: usize) -> Result<&str, RefusedMessage> {
    let raw = field.map(RawValue::get).filter(|raw| raw.starts_with('"'));
    let raw = raw.ok_or(RefusedMessage::MissingField)?;
    (raw.len() <= limit)
        .then_some(raw)
        .ok_or(RefusedMessage::LimitReached)
}

/// An utterance id: printable, and as long as it may be.
fn utterance(field: Option<&RawValue>) -> Result<ChunkId, RefusedMessage> {
    let raw = raw_text(field, MAX_UTTERANCE_ID + 2)?;
    let inner = &raw[1..raw.len() - 1];
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\\';
    if inner.is_empty() || !inner.bytes().all(is_plain) {
        return Err(RefusedMessage::MissingField);
    }
    ChunkId::new(raw).ok_or(RefusedMessage::LimitReached)
}

fn tracks(field: Option<&RawValue>) -> Result<TrackSet, RefusedMessage> {
    let raw = field.ok_or(RefusedMessage::MissingField)?.get();
    let list: Vec<u8> = serde_json::from_str(raw).map_err(|_| RefusedMessage::MissingField)?;
    Ok(list.into_iter().collect())
}

/// The longest `request_id`, `id` or `at`, as raw JSON.
const MAX_ID_BYTES: usize = 256;

/// The longest `turn`: it is kept in the history of the call.
const MAX_TURN_BYTES: usize = 40 << 10;

fn request<'a>(fields: &Fields<'a>, action: Action, text: &'a str) -> Result<Message<'a>, RefusedMessage> {
    let id = match action {
        Action::Hangup | Action::SendDigits | Action::NoteTurn => None,
        _ => Some(raw_text(fields.request_id, MAX_ID_BYTES)?),
    };
    Ok(Message::Request {
        id,
        action,
        fields: text,
    })
}

/// A short value that is given back as it came.
fn echo(field: Option<&RawValue>) -> Result<Option<&str>, RefusedMessage> {
    let raw = field.map(RawValue::get);
    match raw {
        Some(raw) if raw.len() > MAX_ID_BYTES || raw.starts_with(['{', '[']) => {
            Err(RefusedMessage::LimitReached)
        }
        _ => Ok(raw),
    }
}

/// Reads a text message.
pub(super) fn text<'a>(message: &'a [u8], about: &mut About) -> Result<Message<'a>, RefusedMessage> {
    if message.len() > MAX_TEXT_BYTES {
        return Err(RefusedMessage::TooLong);
    }
    let text = json::text(message)?;
    let fields: Fields<'_> = json::object(text).ok_or(RefusedMessage::MalformedJson)?;
    let kind = fields.kind.and_then(|raw| json::string(raw.get()));
    let kind = kind.ok_or(RefusedMessage::MissingField)?;
    if kind == "hello" {
        return Ok(Message::Hello(hello::read(text)));
    }
    about.number = number(fields.sequence)?;
    about.to = number(fields.track)?;
    Ok(match kind.as_ref() {
        "audio" => {
            let flags: u16 = number(fields.flags)?.unwrap_or(0);
            // Modulo 256, as in the flags.
            let generation: Option<u64> = number(fields.generation)?;
            about.generation = Some(generation.map_or((flags >> 8) as u8, |whole| whole as u8));
            let audio = fields.audio.and_then(|raw| json::string(raw.get()));
            let audio = Audio::Base64(audio.ok_or(RefusedMessage::MissingField)?);
            Message::AudioTo(about.to.unwrap_or(ALL), audio)
        }
        "speak" => Message::Speak(utterance(fields.utterance_id)?),
        "speak.end" => Message::SpeakEnd,
        "mark" => Message::Mark(raw_text(fields.name, crate::playout::MAX_MARK_BYTES)?),
        "clear" => Message::Clear,
        "interrupt" => Message::InterruptUtterance(utterance(fields.utterance_id)?),
        "pause" => Message::Pause,
        "resume" => Message::Resume,
        "subscribe" => Message::Subscribe(tracks(fields.tracks)?),
        "unsubscribe" => Message::Unsubscribe(tracks(fields.tracks)?),
        "send_dtmf" => request(&fields, Action::SendDigits, text)?,
        "hangup" => request(&fields, Action::Hangup, text)?,
        "turn" if message.len() > MAX_TURN_BYTES => return Err(RefusedMessage::LimitReached),
        "turn" => request(&fields, Action::NoteTurn, text)?,
        "transfer" => request(&fields, Action::Transfer, text)?,
        "record.start" => request(&fields, Action::StartRecording, text)?,
        "record.stop" => request(&fields, Action::StopRecording, text)?,
        "stop" => Message::Stop,
        "ping" => Message::Ping {
            id: echo(fields.id)?.ok_or(RefusedMessage::MissingField)?,
            at: echo(fields.at)?,
        },
        "pong" => Message::Pong(number(fields.id)?.ok_or(RefusedMessage::MissingField)?),
        _ => return Err(RefusedMessage::UnknownType),
    })
}

/// Reads binary audio.
pub(super) fn binary<'a>(message: &'a [u8], about: &mut About) -> Result<Message<'a>, RefusedMessage> {
    let (header, samples) = Header::parse(message).ok_or(RefusedMessage::BadHeader)?;
    *about = About {
        number: Some(header.sequence),
        to: Some(header.track),
        generation: Some(header.generation()),
    };
    Ok(Message::AudioTo(header.track, Audio::Raw(samples)))
}
