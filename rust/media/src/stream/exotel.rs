//! Exotel AgentStream as a codec: Twilio's messages in snake case, linear samples, and every number a string.
//!
//! To the application: `connected` and `start` once, then `media` of about 100 ms, `dtmf`, `mark` and at the end `stop`
//! with a reason. From it: `media`, `mark`, `clear`. Samples are little-endian. Left out: the unidirectional stream's
//! µ-law.

use super::dialect::{Message, Tell, WireFormat};
use super::events::{self, Envelope, Names};
use super::json;
use crate::Form;
use crate::config::{Direction, StreamParams};
use crate::event::RefusedMessage;

const NAMES: Names = Names {
    sequence: "sequence_number",
    stream: "stream_sid",
};

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Exotel {
    /// These two quoted.
    account_sid: String,
    call_sid: String,
    envelope: Envelope,
}

impl Exotel {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Exotel {
        Exotel {
            account_sid: json::quoted(&params.account_id),
            call_sid: json::quoted(&params.call_id),
            envelope: Envelope::new(NAMES, params, |track| match params.direction {
                // A stream both ways has one track, which has no name.
                Direction::Both => String::new(),
                Direction::Listen => events::named_track(track),
            }),
        }
    }

    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let start = format!(
            concat!(
                r#""start":{{"stream_sid":{},"call_sid":{},"account_sid":{},"from":{},"to":{},"custom_parameters":{},"#,
                r#""media_format":{{"encoding":"audio/x-raw","sample_rate":"{}","bit_rate":"16"}}}}"#
            ),
            self.envelope.stream_id(),
            self.call_sid,
            self.account_sid,
            json::quoted(&params.start.from),
            json::quoted(&params.start.to),
            events::parameters_json(params),
            params.rate_hz,
        );
        self.envelope.write_event("start", &[&start], out);
    }

    fn write_digit(&mut self, digit: char, duration_ms: u32, out: &mut Vec<u8>) {
        let dtmf = format!(r#""dtmf":{{"digit":"{digit}","duration":"{duration_ms}"}}"#);
        self.envelope.write_event("dtmf", &[&dtmf], out);
    }
}

impl WireFormat for Exotel {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Connected => out.extend_from_slice(br#"{"event":"connected"}"#),
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(heard) => self.envelope.write_audio(&heard, out),
            Tell::Digit {
                digit, duration_ms, ..
            } => self.write_digit(digit, duration_ms, out),
            Tell::Mark { name, .. } => self.envelope.write_mark(name, out),
            Tell::Stop => {
                let stop = [
                    r#""stop":{"call_sid":"#,
                    &self.call_sid,
                    r#","account_sid":"#,
                    &self.account_sid,
                    r#","reason":"stopped"}"#,
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
