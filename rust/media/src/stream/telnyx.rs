//! Telnyx Media Streaming as a codec: Twilio's messages in snake case, a codec each way.
//!
//! To the application: `connected` and `start` once, then `media`, `dtmf`, `mark`, `error` and at the end `stop`. From it:
//! `media`, `mark`, `clear`, none of which needs the stream's identifier. What the application hears is in the codec of
//! `start`; what it says may be in another, as it was opened. L16 is big-endian by RFC 2586, and clients disagree: the stream
//! is opened with `pcm_s16be` or `pcm_s16le`.
//!
//! Identifiers of `start`: the account is `user_id`, the call `call_control_id`; by name `call_session_id`, `client_state`
//! and `auth_token` (which goes into `connected`). Left out: MP3 and AMR-WB, and `occurred_at` of a key.

use super::dialect::{Message, Tell, WireFormat};
use super::encoding::Encoding;
use super::events::{self, Envelope, Names, or};
use super::json;
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;

const NAMES: Names = Names {
    sequence: "sequence_number",
    stream: "stream_id",
};

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Telnyx {
    /// These two quoted.
    user_id: String,
    call_control_id: String,
    envelope: Envelope,
}

impl Telnyx {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Telnyx {
        Telnyx {
            user_id: json::quoted(&params.account_id),
            call_control_id: json::quoted(&params.call_id),
            envelope: Envelope::new(NAMES, params, events::named_track),
        }
    }

    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let start = &params.start;
        let session = or(start.id("call_session_id"), &params.call_id);
        let client_state = match start.id("client_state") {
            "" => "null".to_string(),
            given => json::quoted(given),
        };
        let start = format!(
            concat!(
                r#""start":{{"user_id":{},"call_control_id":{},"call_session_id":{},"from":{},"to":{},"tags":[],"#,
                r#""client_state":{},"custom_parameters":{},"#,
                r#""media_format":{{"encoding":"{}","sample_rate":{},"channels":1}}}}"#
            ),
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
        self.envelope.write_event("start", &[&start], out);
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
            Tell::Audio(heard) => self.envelope.write_audio(&heard, out),
            Tell::Digit { digit, .. } => {
                let mut bytes = [0; 4];
                let digit = digit.encode_utf8(&mut bytes);
                self.envelope
                    .write_event("dtmf", &[r#""dtmf":{"digit":""#, digit, r#""}"#], out);
            }
            Tell::Mark { name, .. } => self.envelope.write_mark(name, out),
            Tell::Refused(reason) => {
                let detail = reason.as_str();
                let payload = [
                    r#""payload":{"#,
                    error_of(reason),
                    r#","detail":""#,
                    detail,
                    r#""}"#,
                ];
                self.envelope.write_event("error", &payload, out);
            }
            Tell::Stop => {
                let stop = [
                    r#""stop":{"user_id":"#,
                    &self.user_id,
                    r#","call_control_id":"#,
                    &self.call_control_id,
                    "}",
                ];
                self.envelope.write_event("stop", &stop, out);
            }
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        self.envelope.read(form, message)
    }

    fn numbers(&self) -> [u64; 2] {
        self.envelope.counts.numbers()
    }

    fn resume(&mut self, numbers: [u64; 2]) {
        self.envelope.counts.resume(numbers);
    }
}
