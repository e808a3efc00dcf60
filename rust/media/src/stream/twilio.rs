//! Twilio Media Streams as a codec: JSON text, audio in base64.
//!
//! To the application: `connected` and `start` once, then `media`, `dtmf`, `mark` and at the end `stop`. Numbers are
//! strings, as Twilio has them; `timestamp` is the time of a chunk's first sample in milliseconds of the stream. From the
//! application: `media`, `mark`, `clear`. Lenient where real applications need it: `streamSid` may be missing, a mark
//! may have no name, a payload may be of any length.
//!
//! A mark is answered when all that was queued before it has been played or cleared; the two answers look alike, as they
//! do at Twilio.
//!
//! Audio is µ-law at 8 kHz, or, of a `<Stream>` with `audioFormat` and `sampleRate`, linear and little-endian (`audio/x-L16`).
//!
//! What the application has attached to the call is the custom parameters of `start`: texts, as Twilio has them, so a value
//! that is none stands as its JSON.

use super::dialect::{Message, Tell, WireFormat};
use super::encoding::Encoding;
use super::events::{self, Envelope, Names};
use super::json;
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;

const NAMES: Names = Names {
    sequence: "sequenceNumber",
    stream: "streamSid",
};

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// These two quoted.
    account_sid: String,
    call_sid: String,
    envelope: Envelope,
}

impl Twilio {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Twilio {
        Twilio {
            account_sid: json::quoted(&params.account_id),
            call_sid: json::quoted(&params.call_id),
            envelope: Envelope::new(NAMES, params, events::named_track),
        }
    }

    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let start = format!(
            concat!(
                r#""start":{{"accountSid":{},"streamSid":{},"callSid":{},"tracks":{},"customParameters":{},"#,
                r#""mediaFormat":{{"encoding":"{}","sampleRate":{},"channels":1}}}}"#
            ),
            self.account_sid,
            self.envelope.stream_id(),
            self.call_sid,
            events::tracks(params),
            events::parameters_json(params),
            match params.encoding {
                Encoding::MuLaw => "audio/x-mulaw",
                _ => "audio/x-L16",
            },
            params.rate_hz,
        );
        self.envelope.write_event("start", &[&start], out);
    }

    /// The one message whose sequence number stands behind the stream's identifier.
    fn write_digit(&mut self, digit: char, out: &mut Vec<u8>) {
        let message = format!(
            r#"{{"event":"dtmf","streamSid":{},"sequenceNumber":"{}","dtmf":{{"track":"inbound_track","digit":"{digit}"}}}}"#,
            self.envelope.stream_id().to_owned(),
            self.envelope.counts.sequence(),
        );
        out.extend_from_slice(message.as_bytes());
    }

    fn write_stop(&mut self, out: &mut Vec<u8>) {
        let stop = [
            r#""stop":{"accountSid":"#,
            &self.account_sid,
            r#","callSid":"#,
            &self.call_sid,
            "}",
        ];
        self.envelope.write_event("stop", &stop, out);
    }
}

impl WireFormat for Twilio {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Connected => {
                out.extend_from_slice(br#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
            }
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(chunk) => self.envelope.write_audio(&chunk, out),
            Tell::Digit { digit, .. } => self.write_digit(digit, out),
            Tell::Mark { name, .. } => self.envelope.write_mark(name, out),
            Tell::Stop => self.write_stop(out),
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
