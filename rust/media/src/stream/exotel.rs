//! Exotel AgentStream as a codec: Twilio's messages in snake case, linear samples, and every number a string.
//!
//! To the application: `connected` and `start` once, then `media` of about 100 ms, `dtmf`, `mark` and at the end `stop`
//! with a reason. From it: `media`, `mark`, `clear`. Samples are little-endian. Left out: the unidirectional stream's
//! µ-law.

use super::dialect::{Message, Tell, WireFormat, is_sent};
use super::ears::Chunk;
use super::events::{self, Counts, write};
use super::{base64, json};
use crate::Form;
use crate::config::{Direction, StreamParams};
use crate::event::RefusedMessage;

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Exotel {
    /// These three quoted.
    account_sid: String,
    call_sid: String,
    stream_sid: String,
    /// A `media` message between its sequence number and its chunk number: of what the caller says, and of what it is sent.
    media: [String; 2],
    counts: Counts,
}

impl Exotel {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Exotel {
        let stream_sid = json::quoted(&params.stream_id);
        Exotel {
            account_sid: json::quoted(&params.account_id),
            call_sid: json::quoted(&params.call_id),
            media: ["inbound", "outbound"].map(|track| {
                let track = match params.direction {
                    // A stream both ways has one track, which has no name.
                    Direction::Both => String::new(),
                    Direction::Listen => format!(r#""track":"{track}","#),
                };
                format!(r#"","stream_sid":{stream_sid},"media":{{{track}"chunk":""#)
            }),
            stream_sid,
            counts: Counts::from(1, params),
        }
    }

    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let message = format!(
            concat!(
                r#"{{"event":"start","sequence_number":"{}","stream_sid":{},"start":{{"stream_sid":{},"call_sid":{},"#,
                r#""account_sid":{},"from":{},"to":{},"custom_parameters":{},"#,
                r#""media_format":{{"encoding":"audio/x-raw","sample_rate":"{}","bit_rate":"16"}}}}}}"#
            ),
            self.counts.sequence(),
            self.stream_sid,
            self.stream_sid,
            self.call_sid,
            self.account_sid,
            json::quoted(&params.start.from),
            json::quoted(&params.start.to),
            events::parameters_json(params),
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

    fn write_event(&mut self, event: &str, field: &[&str], out: &mut Vec<u8>) {
        self.head(event, out);
        write(&[r#"","stream_sid":"#, &self.stream_sid, ","], out);
        write(field, out);
        out.push(b'}');
    }

    fn write_digit(&mut self, digit: char, duration_ms: u32, out: &mut Vec<u8>) {
        let dtmf = format!(r#""dtmf":{{"digit":"{digit}","duration":"{duration_ms}"}}"#);
        self.write_event("dtmf", &[&dtmf], out);
    }
}

impl WireFormat for Exotel {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Connected => out.extend_from_slice(br#"{"event":"connected"}"#),
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(heard) => self.write_audio(&heard, out),
            Tell::Digit {
                digit, duration_ms, ..
            } => self.write_digit(digit, duration_ms, out),
            Tell::Mark { name, .. } => self.write_event("mark", &[r#""mark":{"name":"#, name, "}"], out),
            Tell::Stop => {
                let (call, account) = (self.call_sid.clone(), self.account_sid.clone());
                let stop = [
                    r#""stop":{"call_sid":"#,
                    &call,
                    r#","account_sid":"#,
                    &account,
                    r#","reason":"stopped"}"#,
                ];
                self.write_event("stop", &stop, out);
            }
            _ => return None,
        }
        Some(Form::Text)
    }

    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage> {
        match form {
            Form::Text => events::parse(message, &self.stream_sid),
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
