//! Telnyx Media Streaming as a codec: Twilio's messages in snake case, a codec each way.
//!
//! To the application: `connected` and `start` once, then `media`, `dtmf`, `mark`, `error` and at the end `stop`. From it:
//! `media`, `mark`, `clear`, none of which needs the stream's identifier. What the application hears is in the codec of
//! `start`; what it says may be in another, as it was opened. L16 is big-endian by RFC 2586, and clients disagree: the stream
//! is opened with `pcm_s16be` or `pcm_s16le`.
//!
//! Identifiers of `start`: the account is `user_id`, the call `call_control_id`; by name `call_session_id`, `client_state`
//! and `auth_token` (which goes into `connected`). Left out: MP3 and AMR-WB, and `occurred_at` of a key.

use super::dialect::{Message, Tell, WireFormat, is_sent};
use super::ears::Chunk;
use super::encoding::Encoding;
use super::events::{self, Counts, or, write};
use super::{base64, json};
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Telnyx {
    /// These three quoted.
    user_id: String,
    call_control_id: String,
    stream_id: String,
    /// A `media` message between its sequence number and its chunk number: of what the caller says, and of what it is sent.
    media: [String; 2],
    counts: Counts,
}

impl Telnyx {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Telnyx {
        let stream_id = json::quoted(&params.stream_id);
        Telnyx {
            user_id: json::quoted(&params.account_id),
            call_control_id: json::quoted(&params.call_id),
            media: ["inbound", "outbound"]
                .map(|track| format!(r#"","stream_id":{stream_id},"media":{{"track":"{track}","chunk":""#)),
            stream_id,
            counts: Counts::from(1, params),
        }
    }

    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let start = &params.start;
        let session = or(start.id("call_session_id"), &params.call_id);
        let client_state = match start.id("client_state") {
            "" => "null".to_string(),
            given => json::quoted(given),
        };
        let message = format!(
            concat!(
                r#"{{"event":"start","sequence_number":"{}","stream_id":{},"start":{{"user_id":{},"call_control_id":{},"#,
                r#""call_session_id":{},"from":{},"to":{},"tags":[],"client_state":{},"custom_parameters":{},"#,
                r#""media_format":{{"encoding":"{}","sample_rate":{},"channels":1}}}}}}"#
            ),
            self.counts.sequence(),
            self.stream_id,
            self.user_id,
            self.call_control_id,
            json::quoted(session),
            json::quoted(&start.from),
            json::quoted(&start.to),
            client_state,
            events::parameters_json(params),
            encoding_name(params.encoding),
            params.rate_hz,
        );
        out.extend_from_slice(message.as_bytes());
    }

    fn write_audio(&mut self, heard: &Chunk<'_>, out: &mut Vec<u8>) {
        self.head("media", out);
        let (chunk, timestamp) = self.counts.chunk(heard);
        out.extend_from_slice(self.media[usize::from(is_sent(heard.track))].as_bytes());
        json::write_number(chunk, out);
        out.extend_from_slice(br#"","timestamp":""#);
        json::write_number(timestamp, out);
        out.extend_from_slice(br#"","payload":""#);
        base64::append(heard.encoded, out);
        out.extend_from_slice(br#""}}"#);
    }

    /// `{"event":…,"sequence_number":"7`
    fn head(&mut self, event: &str, out: &mut Vec<u8>) {
        write(&[r#"{"event":""#, event, r#"","sequence_number":""#], out);
        json::write_number(self.counts.sequence(), out);
    }

    /// Appends a message with one more field.
    fn write_event(&mut self, event: &str, field: &[&str], out: &mut Vec<u8>) {
        self.head(event, out);
        write(&[r#"","stream_id":"#, &self.stream_id, ","], out);
        write(field, out);
        out.push(b'}');
    }
}

/// What `media_format` calls it.
fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::MuLaw => "PCMU",
        Encoding::ALaw => "PCMA",
        _ => "L16",
    }
}

/// The code and title of an error.
fn error_of(reason: RefusedMessage) -> &'static str {
    match reason {
        RefusedMessage::MalformedJson | RefusedMessage::MissingField | RefusedMessage::Binary => {
            r#""code":100003,"title":"malformed_frame""#
        }
        RefusedMessage::MalformedBase64 => r#""code":100004,"title":"invalid_media""#,
        RefusedMessage::LimitReached => r#""code":100005,"title":"rate_limit_reached""#,
        _ => r#""code":100002,"title":"unknown_error""#,
    }
}

impl WireFormat for Telnyx {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Connected => out.extend_from_slice(br#"{"event":"connected","version":"1.0.0"}"#),
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(heard) => self.write_audio(&heard, out),
            Tell::Digit { digit, .. } => {
                let mut bytes = [0; 4];
                let digit = digit.encode_utf8(&mut bytes);
                self.write_event("dtmf", &[r#""dtmf":{"digit":""#, digit, r#""}"#], out);
            }
            Tell::Mark { name, .. } => self.write_event("mark", &[r#""mark":{"name":"#, name, "}"], out),
            Tell::Refused(reason) => {
                let detail = reason.as_str();
                let payload = [
                    r#""payload":{"#,
                    error_of(reason),
                    r#","detail":""#,
                    detail,
                    r#""}"#,
                ];
                self.write_event("error", &payload, out);
            }
            Tell::Stop => {
                let (user, call) = (self.user_id.clone(), self.call_control_id.clone());
                let stop = [
                    r#""stop":{"user_id":"#,
                    &user,
                    r#","call_control_id":"#,
                    &call,
                    "}",
                ];
                self.write_event("stop", &stop, out);
            }
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => events::parse(message, &self.stream_id),
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
