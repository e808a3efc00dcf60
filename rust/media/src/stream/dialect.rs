//! What all dialects have in common: the messages that a stream understands, and which dialect writes and reads them.
//!
//! A dialect is a codec and nothing else. A message that a dialect does not have is not written, and that is all.

use std::borrow::Cow;

use super::{binary, teler, twilio};
use crate::config::{Dialect, StreamParams};
use crate::event::RefusedMessage;
use crate::playout::{ChunkId, MarkOutcome};
use crate::{Form, RATE_HZ};

/// A message from the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Queue audio as a chunk of this name.
    Audio(Audio<'a>, Option<ChunkId>),
    /// Drop one chunk, queued or playing. `None`: its name is longer than any that is kept.
    Interrupt(Option<ChunkId>),
    /// Drop everything.
    Clear,
    /// Say when all that is queued now has been played. The name is raw JSON, given back as it came.
    Mark(&'a str),
}

/// Samples in the stream's encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audio<'a> {
    /// Still in base64.
    Base64(Cow<'a, str>),
    /// As they are.
    Raw(&'a [u8]),
}

/// Makes the messages to one application. Each method appends one message and says in which form it travels; `None`:
/// the dialect has no such message, and nothing was written.
#[derive(Clone, Debug)]
pub(crate) enum Encoder {
    Teler(teler::Encoder),
    Twilio(twilio::Encoder),
    Binary(binary::Encoder),
}

impl Encoder {
    pub fn new(params: &StreamParams) -> Encoder {
        match params.dialect {
            Dialect::Teler => Encoder::Teler(teler::Encoder::new(params)),
            Dialect::Twilio => Encoder::Twilio(twilio::Encoder::new(params)),
            Dialect::Binary => Encoder::Binary(binary::Encoder::new(params)),
        }
    }

    /// What another process needs to go on.
    pub fn numbers(&self) -> [u64; 2] {
        match self {
            Encoder::Teler(teler) => teler.numbers(),
            Encoder::Twilio(twilio) => twilio.numbers(),
            Encoder::Binary(binary) => binary.numbers(),
        }
    }

    /// Goes on with these numbers.
    pub fn resume(&mut self, numbers: [u64; 2]) {
        match self {
            Encoder::Teler(teler) => teler.resume(numbers),
            Encoder::Twilio(twilio) => twilio.resume(numbers),
            Encoder::Binary(binary) => binary.resume(numbers),
        }
    }

    /// What goes before `start`.
    pub fn write_connected(&mut self, out: &mut Vec<u8>) -> Option<Form> {
        match self {
            Encoder::Twilio(twilio) => twilio.write_connected(out),
            Encoder::Teler(_) | Encoder::Binary(_) => return None,
        }
        Some(Form::Text)
    }

    pub fn write_start(&mut self, params: &StreamParams, out: &mut Vec<u8>) -> Option<Form> {
        match self {
            Encoder::Teler(teler) => teler.write_start(params, out),
            Encoder::Twilio(twilio) => twilio.write_start(out),
            Encoder::Binary(binary) => binary.write_start(params, out),
        }
        Some(Form::Text)
    }

    /// One chunk, in the stream's encoding.
    pub fn write_audio(&mut self, encoded: &[u8], out: &mut Vec<u8>) -> Option<Form> {
        match self {
            Encoder::Teler(teler) => teler.write_audio(encoded, out),
            Encoder::Twilio(twilio) => twilio.write_audio(encoded, out),
            Encoder::Binary(binary) => {
                binary.write_audio(encoded, out);
                return Some(Form::Binary);
            }
        }
        Some(Form::Text)
    }

    /// A key that the caller pressed.
    pub fn write_digit(&mut self, digit: char, out: &mut Vec<u8>) -> Option<Form> {
        match self {
            Encoder::Teler(_) => return None,
            Encoder::Twilio(twilio) => twilio.write_digit(digit, out),
            Encoder::Binary(binary) => binary.write_digit(digit, out),
        }
        Some(Form::Text)
    }

    /// The answer to a mark; `name` is raw JSON.
    pub fn write_mark(&mut self, name: &str, outcome: MarkOutcome, out: &mut Vec<u8>) -> Option<Form> {
        match self {
            Encoder::Teler(_) => return None,
            Encoder::Twilio(twilio) => twilio.write_mark(name, out),
            Encoder::Binary(binary) => binary.write_mark(name, outcome, out),
        }
        Some(Form::Text)
    }

    /// The stream is over.
    pub fn write_stop(&mut self, out: &mut Vec<u8>) -> Option<Form> {
        match self {
            Encoder::Teler(_) => return None,
            Encoder::Twilio(twilio) => twilio.write_stop(out),
            Encoder::Binary(binary) => binary.write_stop(out),
        }
        Some(Form::Text)
    }
}

/// Reads one message of a dialect.
pub(crate) fn parse(dialect: Dialect, form: Form, message: &[u8]) -> Result<Message<'_>, RefusedMessage> {
    match (dialect, form) {
        (Dialect::Teler, Form::Text) => teler::parse(message),
        (Dialect::Twilio, Form::Text) => twilio::parse(message),
        (Dialect::Binary, Form::Text) => binary::parse_text(message),
        (Dialect::Binary, Form::Binary) => binary::parse_audio(message),
        (Dialect::Teler | Dialect::Twilio, Form::Binary) => Err(RefusedMessage::Binary),
    }
}

/// The rate of the audio from the application.
pub(crate) fn input_rate_hz(params: &StreamParams) -> u32 {
    match params.dialect {
        Dialect::Teler | Dialect::Twilio => RATE_HZ,
        Dialect::Binary => params.rate_hz,
    }
}
