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

use super::dialect::{Message, Tell, WireFormat, is_sent};
use super::ears::Chunk;
use super::encoding::Encoding;
use super::events::{self, Counts};
use super::{base64, json};
use crate::Form;
use crate::config::StreamParams;
use crate::event::RefusedMessage;

/// The codec of one stream.
#[derive(Clone, Debug)]
pub struct Twilio {
    account_sid: String,
    call_sid: String,
    stream_sid: String,
    /// A JSON object.
    parameters: String,
    /// JSON: the tracks that it hears.
    tracks: &'static str,
    /// A `media` message between its sequence number and its chunk number: of what the caller says, and of what it is sent.
    media: [String; 2],
    counts: Counts,
}

impl Twilio {
    /// For one stream.
    pub fn new(params: &StreamParams) -> Twilio {
        let stream_sid = json::quoted(&params.stream_id);
        Twilio {
            account_sid: json::quoted(&params.account_id),
            call_sid: json::quoted(&params.call_id),
            tracks: events::tracks(params),
            media: ["inbound", "outbound"]
                .map(|track| format!(r#"","streamSid":{stream_sid},"media":{{"track":"{track}","chunk":""#)),
            stream_sid,
            parameters: events::parameters_json(params),
            counts: Counts::from(1, params),
        }
    }

    /// Appends `connected`, the only message without a sequence number.
    fn write_connected(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
    }

    /// Appends `start`.
    fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) {
        let sequence = self.counts.sequence();
        let Twilio {
            account_sid,
            call_sid,
            stream_sid,
            parameters,
            tracks,
            ..
        } = self;
        let message = format!(
            concat!(
                r#"{{"event":"start","sequenceNumber":"{}","streamSid":{},"start":{{"accountSid":{},"streamSid":{},"#,
                r#""callSid":{},"tracks":{},"customParameters":{},"#,
                r#""mediaFormat":{{"encoding":"{}","sampleRate":{},"channels":1}}}}}}"#
            ),
            sequence,
            stream_sid,
            account_sid,
            stream_sid,
            call_sid,
            tracks,
            parameters,
            match params.encoding {
                Encoding::MuLaw => "audio/x-mulaw",
                _ => "audio/x-L16",
            },
            params.rate_hz,
        );
        out.extend_from_slice(message.as_bytes());
    }

    /// Appends `media` with these samples.
    fn write_audio(&mut self, chunk: &Chunk<'_>, out: &mut Vec<u8>) {
        let (number, timestamp) = self.counts.chunk(chunk);
        out.extend_from_slice(br#"{"event":"media","sequenceNumber":""#);
        json::write_number(self.counts.sequence(), out);
        out.extend_from_slice(self.media[usize::from(is_sent(chunk.track))].as_bytes());
        json::write_number(number, out);
        out.extend_from_slice(br#"","timestamp":""#);
        json::write_number(timestamp, out);
        out.extend_from_slice(br#"","payload":""#);
        base64::append(chunk.encoded, out);
        out.extend_from_slice(br#""}}"#);
    }

    /// Appends `dtmf`.
    fn write_digit(&mut self, digit: char, out: &mut Vec<u8>) {
        let message = format!(
            r#"{{"event":"dtmf","streamSid":{},"sequenceNumber":"{}","dtmf":{{"track":"inbound_track","digit":"{digit}"}}}}"#,
            self.stream_sid.clone(),
            self.counts.sequence(),
        );
        out.extend_from_slice(message.as_bytes());
    }

    /// Appends `mark`; `name` is raw JSON.
    fn write_mark(&mut self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"event":"mark","sequenceNumber":""#);
        json::write_number(self.counts.sequence(), out);
        for part in [
            r#"","streamSid":"#,
            &self.stream_sid,
            r#","mark":{"name":"#,
            name,
            "}}",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// Appends `stop`.
    fn write_stop(&mut self, out: &mut Vec<u8>) {
        let sequence = self.counts.sequence();
        let Twilio {
            account_sid,
            call_sid,
            stream_sid,
            ..
        } = self;
        let message = format!(
            r#"{{"event":"stop","sequenceNumber":"{sequence}","streamSid":{stream_sid},"stop":{{"accountSid":{account_sid},"callSid":{call_sid}}}}}"#,
        );
        out.extend_from_slice(message.as_bytes());
    }
}

impl WireFormat for Twilio {
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form> {
        match *tell {
            Tell::Connected => self.write_connected(out),
            Tell::Start(params, _) => self.write_start(params, out),
            Tell::Audio(chunk) => self.write_audio(&chunk, out),
            Tell::Digit { digit, .. } => self.write_digit(digit, out),
            Tell::Mark { name, .. } => self.write_mark(name, out),
            Tell::Stop => self.write_stop(out),
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
