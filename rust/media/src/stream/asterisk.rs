//! Asterisk's chan_websocket as a codec, as the side that Asterisk plays: media as it is in binary messages, commands and events
//! in text, which is JSON or plain (`MEDIA_XOFF`, `DTMF_END digit:5 channel_id:…`), as Asterisk's `control_msg_format` has it.
//!
//! To the application: `MEDIA_START` first, then media, `DTMF_END`, `MEDIA_XOFF` and `MEDIA_XON` when 900 frames wait and when
//! fewer than 800 do, `MEDIA_MARK_PROCESSED`, `MEDIA_BUFFERING_COMPLETED`, `QUEUE_DRAINED` once when it was asked for, `STATUS`,
//! `ERROR`. From it: media, and the commands below. Asterisk's own ways are kept, since applications count on them: a command
//! of more than 128 bytes is ignored; outside of `START_MEDIA_BUFFERING` what is left of a message after its last whole frame is
//! dropped, within it messages are joined; `FLUSH_MEDIA` ends buffering, and the marks and completions that it drops are not
//! told; what comes while 1000 frames wait is dropped.
//!
//! Identifiers: the call is `channel_id`, the stream `connection_id` unless that is given; by name `channel`. `control_msg_format` is an
//! identifier or a parameter: `plain-text` unless it is `json`. The parameters are the channel's variables. Left out: passthrough and unbuffered media, and
//! `SET_MEDIA_DIRECTION`. `ANSWER` is for a call that is answered already.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dialect::{Action, Audio, Level, Message, Tell, WireFormat};
use super::encoding::Encoding;
use super::events::{or, parameters_json, write};
use super::json;
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;
use crate::playout::MarkOutcome;
use crate::time::FRAME_MS;

/// What says whether commands and events are JSON.
const FORMAT: &str = "control_msg_format";
/// The longest command. Rule: a longer one is ignored.
pub const MAX_COMMAND_BYTES: usize = 128;
/// Frames that may wait. Rule: what comes beyond them is dropped.
pub const MAX_QUEUED_FRAMES: u32 = 1_000;

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Asterisk {
    is_json: bool,
    channel_id: String,
    frame_bytes: usize,
    sample_bytes: usize,
    /// Within `START_MEDIA_BUFFERING`.
    is_bulk: bool,
    /// Half a sample, the end of the last message of a bulk.
    half: Option<u8>,
}

impl Asterisk {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Asterisk {
        let sample_bytes = params.encoding.bytes_per_sample();
        Asterisk {
            is_json: control_msg_format(params) == "json",
            channel_id: params.call_id.clone(),
            frame_bytes: (params.rate_hz / 1_000 * FRAME_MS) as usize * sample_bytes,
            sample_bytes,
            is_bulk: false,
            half: None,
        }
    }

    fn write_start(&self, params: &StreamParams, out: &mut Vec<u8>) {
        let channel = format!("WebSocket/{}", params.stream_id);
        let channel = or(params.start.id("channel"), &channel);
        let fields = [
            (
                "connection_id",
                or(params.start.id("connection_id"), &params.stream_id),
            ),
            ("channel", channel),
            ("channel_id", &self.channel_id),
            ("format", format_name(params)),
        ];
        let bytes = self.frame_bytes;
        let message = if self.is_json {
            let fields = fields.map(|(name, value)| format!(r#","{name}":{}"#, json::quoted(value)));
            format!(
                r#"{{"event":"MEDIA_START"{},"optimal_frame_size":{bytes},"ptime":{FRAME_MS},"channel_variables":{}}}"#,
                fields.concat(),
                parameters_json(params),
            )
        } else {
            let fields = fields.map(|(name, value)| format!(" {name}:{value}"));
            format!(
                "MEDIA_START{} optimal_frame_size:{bytes} ptime:{FRAME_MS}",
                fields.concat()
            )
        };
        out.extend_from_slice(message.as_bytes());
    }

    /// Appends an event with these fields, raw as JSON and as plain text.
    fn write_event(&self, event: &str, fields: &[(&str, &str, &str)], out: &mut Vec<u8>) {
        if !self.is_json {
            write(&[event], out);
            for (name, _, plain) in fields {
                write(&[" ", name, ":", plain], out);
            }
            return;
        }
        let channel = json::quoted(&self.channel_id);
        write(&[r#"{"event":""#, event, r#"","channel_id":"#, &channel], out);
        for (name, raw, _) in fields.iter().filter(|(name, ..)| *name != "channel_id") {
            write(&[r#",""#, name, r#"":"#, raw], out);
        }
        out.push(b'}');
    }

    /// A mark carries the command that it came with.
    fn write_mark(&self, command: &str, out: &mut Vec<u8>) {
        let Some((name, id)) = self.split(command) else {
            return;
        };
        let event = match name.as_ref() {
            "STOP_MEDIA_BUFFERING" => "MEDIA_BUFFERING_COMPLETED",
            _ => "MEDIA_MARK_PROCESSED",
        };
        if self.is_json {
            let raw = id.unwrap_or(r#""""#);
            self.write_event(event, &[("correlation_id", raw, "")], out);
        } else {
            let parts = id.map_or([event, "", ""], |id| [event, " ", id]);
            write(&parts, out);
        }
    }

    fn write_status(&self, queued_frames: u64, is_full: bool, is_paused: bool, out: &mut Vec<u8>) {
        let length = queued_frames.to_string();
        let word = |value: bool| if value { "true" } else { "false" };
        let (full, bulk, paused) = (word(is_full), word(self.is_bulk), word(is_paused));
        let same = |name, value| (name, value, value);
        let fields = [
            same("channel_id", self.channel_id.as_str()),
            same("queue_length", &length),
            same("xon_level", "800"),
            same("xoff_level", "900"),
            same("queue_full", full),
            same("bulk_media", bulk),
            same("media_paused", paused),
        ];
        self.write_event("STATUS", &fields, out);
    }

    /// A command's name, and its correlation id as it will be given back: raw JSON, or the plain text as it came.
    fn split<'a>(&self, text: &'a str) -> Option<(std::borrow::Cow<'a, str>, Option<&'a str>)> {
        if self.is_json {
            let fields: Fields<'_> = json::object(text)?;
            let name = fields.command.and_then(|raw| json::string(raw.get()))?;
            let id = fields.correlation_id.map(RawValue::get);
            return Some((name, id.filter(|id| id.starts_with('"'))));
        }
        let (name, id) = text.split_once(' ').unwrap_or((text, ""));
        Some((name.into(), (!id.is_empty()).then_some(id)))
    }

    fn read_command<'a>(&mut self, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        if message.len() > MAX_COMMAND_BYTES {
            return Err(RefusedMessage::TooLong);
        }
        let text = json::text(message)?.trim();
        if self.is_json && json::object::<Fields<'_>>(text).is_none() {
            return Err(RefusedMessage::MalformedJson);
        }
        let (name, _) = self.split(text).ok_or(RefusedMessage::MissingField)?;
        match name.as_ref() {
            "ANSWER" => Ok(Message::Nothing),
            "HANGUP" => Ok(Message::Request {
                id: None,
                action: Action::Hangup,
                fields: "{}",
            }),
            "START_MEDIA_BUFFERING" => {
                self.is_bulk = true;
                Ok(Message::Nothing)
            }
            "STOP_MEDIA_BUFFERING" => {
                self.is_bulk = false;
                self.half = None;
                Ok(Message::Mark(text))
            }
            "MARK_MEDIA" => Ok(Message::Mark(text)),
            "FLUSH_MEDIA" => {
                self.is_bulk = false;
                self.half = None;
                Ok(Message::Clear)
            }
            "PAUSE_MEDIA" => Ok(Message::Pause),
            "CONTINUE_MEDIA" => Ok(Message::Resume),
            "GET_STATUS" => Ok(Message::AskStatus),
            "REPORT_QUEUE_DRAINED" => Ok(Message::AskEmpty),
            _ => Err(RefusedMessage::UnknownType),
        }
    }

    fn read_media<'a>(&mut self, message: &'a [u8]) -> Audio<'a> {
        if !self.is_bulk {
            self.half = None;
            return Audio::Raw(&message[..message.len() - message.len() % self.frame_bytes]);
        }
        let half = self.half.take();
        let length = message.len() + usize::from(half.is_some());
        if half.is_none() && length.is_multiple_of(self.sample_bytes) {
            return Audio::Raw(message);
        }
        let mut joined: Vec<u8> = half.into_iter().chain(message.iter().copied()).collect();
        if !length.is_multiple_of(self.sample_bytes) {
            self.half = joined.pop();
        }
        Audio::Joined(joined)
    }
}

/// As it was given among the identifiers, or among the parameters.
fn control_msg_format(params: &StreamParams) -> &str {
    let start = &params.start;
    let parameter = start.parameters.iter().find(|(name, _)| name == FORMAT);
    or(start.id(FORMAT), parameter.map_or("", |(_, value)| value))
}

/// What Asterisk calls the codec.
fn format_name(params: &StreamParams) -> &'static str {
    match (params.encoding, params.rate_hz) {
        (Encoding::MuLaw, _) => "ulaw",
        (Encoding::ALaw, _) => "alaw",
        (_, 8_000) => "slin",
        (_, 16_000) => "slin16",
        (_, 24_000) => "slin24",
        _ => "slin48",
    }
}

impl WireFormat for Asterisk {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(chunk) => {
                out.extend_from_slice(chunk.encoded);
                return Some(Form::Binary);
            }
            Tell::Digit { digit, .. } => {
                let mut bytes = [0; 4];
                let digit: &str = digit.encode_utf8(&mut bytes);
                let channel = self.channel_id.as_str();
                let fields = [
                    ("digit", &*json::quoted(digit), digit),
                    ("channel_id", "", channel),
                ];
                self.write_event("DTMF_END", &fields, out);
            }
            Tell::Mark {
                name,
                outcome: MarkOutcome::Played,
            } => self.write_mark(name, out),
            Tell::Queue {
                level: Level::High, ..
            } => self.write_event("MEDIA_XOFF", &[], out),
            Tell::Queue {
                level: Level::Low, ..
            } => self.write_event("MEDIA_XON", &[], out),
            Tell::Empty => self.write_event("QUEUE_DRAINED", &[], out),
            Tell::Status {
                queued_ms,
                is_high,
                is_paused,
            } => {
                self.write_status(queued_ms / u64::from(FRAME_MS), is_high, is_paused, out);
            }
            Tell::Refused(RefusedMessage::MalformedJson) if self.is_json => {
                let text = r#""Unable to parse JSON command""#;
                self.write_event("ERROR", &[("error_text", text, "")], out);
            }
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => self.read_command(message),
            Form::Binary => Ok(Message::Audio(self.read_media(message), None)),
        }
    }

    fn numbers(&self) -> [u64; 2] {
        [u64::from(self.is_bulk), u64::from(self.is_json)]
    }

    fn resume(&mut self, [is_bulk, is_json]: [u64; 2]) {
        self.is_bulk = is_bulk != 0;
        self.is_json = is_json != 0;
    }
}

/// The fields that matter, of whatever type they are.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    command: Option<&'a RawValue>,
    #[serde(borrow)]
    correlation_id: Option<&'a RawValue>,
}
