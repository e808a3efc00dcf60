//! A media stream: one WebSocket to the application, seen from the session.
//!
//! Up: frames of what was heard gather into chunks, each chunk becomes a message of the dialect. Down: messages become
//! chunks in the playout queue. Which bytes carry them is the dialect's business ([`teler`], [`twilio`], [`binary`]), how
//! they travel is the caller's.

pub mod base64;
pub mod binary;
pub mod dialect;
pub mod encoding;
pub mod json;
mod keep;
pub mod ring;
pub mod teler;
pub mod token;
pub mod twilio;

use crate::config::{
    Direction, Format, MAX_CHUNK_MS, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_START_FIELDS, StreamParams,
};
use crate::context::Context;
use crate::error::CommandError;
use crate::event::{Event, RefusedMessage};
use crate::frame::{Converter, Frame};
use crate::key::StreamKey;
use crate::mix::Mixer;
use crate::outbox::Outbox;
use crate::playout::{Cleared, Playout, Pushed};
use crate::stats::StreamStats;
use crate::time::{FRAME_MS, Time};
use crate::{Destination, Form};
use dialect::{Audio, Message, Tell, WireFormat};

/// One stream of a session.
pub(crate) struct Stream {
    key: StreamKey,
    params: StreamParams,
    wire: Box<dyn WireFormat>,
    connected: bool,
    /// Samples of the chunk being gathered, encoded.
    chunk: Vec<u8>,
    chunk_bytes: usize,
    /// From the rate of the session to that of the application's ears.
    to_stream: Converter,
    /// The application's audio.
    input: Format,
    playout: Playout,
    /// From the rate of the application's audio to the session's.
    to_session: Converter,
    first_audio_sent: bool,
    first_audio_received: bool,
    /// Reasons of refusal already told, one bit each.
    told: u8,
    stats: StreamStats,
}

impl Stream {
    /// A stream that waits for its socket.
    pub fn new(
        key: StreamKey,
        params: StreamParams,
        playout_ms: u32,
        session_hz: u32,
    ) -> Result<Stream, CommandError> {
        let input = check(&params)?;
        let chunk_samples = (params.rate_hz / 1_000 * params.chunk_ms) as usize;
        let chunk_bytes = chunk_samples * params.encoding.bytes_per_sample();
        Ok(Stream {
            key,
            wire: (dialect::entry(params.dialect).make)(&params),
            connected: false,
            chunk: Vec::with_capacity(chunk_bytes),
            chunk_bytes,
            to_stream: Converter::new(session_hz, params.rate_hz),
            input,
            playout: Playout::new(playout_ms, input.rate_hz),
            to_session: Converter::new(input.rate_hz, session_hz),
            params,
            first_audio_sent: false,
            first_audio_received: false,
            told: 0,
            stats: StreamStats::default(),
        })
    }

    /// Its key.
    pub fn key(&self) -> StreamKey {
        self.key
    }

    /// The length of so many samples of the application's audio.
    const fn millis(&self, samples: u64) -> u64 {
        samples / (self.input.rate_hz as u64 / 1_000)
    }

    /// What it has seen.
    pub fn stats(&self) -> StreamStats {
        let totals = self.playout.totals();
        StreamStats {
            played_ms: self.millis(totals.played),
            cleared_ms: self.millis(totals.cleared),
            overflow_ms: self.millis(totals.overflow),
            trimmed_ms: self.millis(totals.trimmed),
            underruns: totals.underruns,
            queued_ms: self.millis(self.playout.queued() as u64),
            ..self.stats
        }
    }

    /// The socket is there: `start` goes first.
    pub fn connect(&mut self, outbox: &mut Outbox) {
        if !std::mem::replace(&mut self.connected, true) {
            self.tell(&Tell::Connected, false, outbox);
            let form = self.wire.write(&Tell::Start(&self.params), outbox.writer());
            self.commit(form, false, outbox);
        }
    }

    /// The stream is over: the application is told so, if its dialect can.
    pub fn stop(&mut self, outbox: &mut Outbox) {
        if self.connected {
            self.tell(&Tell::Stop, false, outbox);
            self.connected = false;
        }
    }

    /// The caller pressed a key.
    pub fn tell_digit(&mut self, digit: char, duration_ms: u32, outbox: &mut Outbox) {
        self.tell(&Tell::Digit { digit, duration_ms }, true, outbox);
    }

    /// Has the dialect write this, if there is a socket and it can.
    fn tell(&mut self, tell: &Tell<'_>, may_drop: bool, outbox: &mut Outbox) {
        if self.connected {
            let form = self.wire.write(tell, outbox.writer());
            self.commit(form, may_drop, outbox);
        }
    }

    /// What the dialect wrote becomes a message, if it wrote one.
    fn commit(&mut self, form: Option<Form>, may_drop: bool, outbox: &mut Outbox) {
        let Some(form) = form else { return };
        let stream = self.key;
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += outbox.commit(Destination::Stream {
            stream,
            form,
            may_drop,
        }) as u64;
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.to_stream.retune(session_hz, self.params.rate_hz);
        self.to_session.retune(self.input.rate_hz, session_hz);
    }

    /// Takes one frame of what was heard.
    pub fn hear(&mut self, frame: &Frame, context: &mut Context<'_>) {
        if !self.connected {
            return;
        }
        if let Some(frame) = self.to_stream.convert(Some(frame)) {
            self.params.encoding.append(frame.samples(), &mut self.chunk);
        }
        if self.chunk.len() < self.chunk_bytes {
            return;
        }
        let chunk = &self.chunk[..self.chunk_bytes];
        let form = self.wire.write(&Tell::Audio(chunk), context.outbox.writer());
        self.chunk.drain(..self.chunk_bytes);
        self.commit(form, true, context.outbox);
        if !std::mem::replace(&mut self.first_audio_sent, true) {
            context
                .events
                .push(Event::StreamFirstAudioSent { stream: self.key });
        }
    }

    /// Adds the next frame of what the application said, if it says anything.
    pub fn speak(&mut self, now: Time, mixer: &mut Mixer, context: &mut Context<'_>) {
        let mut frame = Frame::silent(self.input.rate_hz);
        let pulled = self.playout.pull(now, frame.samples_mut());
        self.answer_marks(context.outbox);
        if pulled.started {
            context.events.push(Event::PlayoutStarted { stream: self.key });
        }
        if pulled.drained {
            context.events.push(Event::PlayoutDrained { stream: self.key });
            self.tell(&Tell::Drained, true, context.outbox);
        }
        if let Some(frame) = self.to_session.convert((pulled.count > 0).then_some(&frame)) {
            mixer.add(frame);
        }
    }

    fn answer_marks(&mut self, outbox: &mut Outbox) {
        while let Some((name, outcome)) = self.playout.take_mark() {
            self.tell(&Tell::Mark { name: &name, outcome }, true, outbox);
        }
    }

    /// Takes one message from the application.
    pub fn receive(&mut self, now: Time, form: Form, message: &[u8], context: &mut Context<'_>) {
        self.stats.messages_received += 1;
        self.stats.bytes_received += message.len() as u64;
        let outcome = self
            .wire
            .read(form, message)
            .and_then(|message| self.obey(now, message, context));
        if let Err(reason) = outcome {
            self.refuse(reason, context);
        }
    }

    fn obey(
        &mut self,
        now: Time,
        message: Message<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), RefusedMessage> {
        if self.params.direction == Direction::Listen {
            return Err(RefusedMessage::NotAllowed);
        }
        match message {
            Message::Audio(Audio::Base64(text), id) => {
                base64::decode(text.as_bytes(), context.scratch)?;
                let pushed = self.playout.push(now, self.input.encoding, context.scratch, id);
                self.note_pushed(pushed, !context.scratch.is_empty(), context);
            }
            Message::Audio(Audio::Raw(bytes), id) => {
                let pushed = self.playout.push(now, self.input.encoding, bytes, id);
                self.note_pushed(pushed, !bytes.is_empty(), context);
            }
            Message::Interrupt(id) => match id.and_then(|id| Some((id, self.playout.interrupt(&id)?))) {
                Some((chunk_id, dropped)) => {
                    let dropped_ms = self.millis(dropped as u64);
                    context.events.push(Event::PlayoutInterrupted {
                        stream: self.key,
                        chunk_id,
                        dropped_ms,
                    });
                }
                None => self.stats.unknown_chunk += 1,
            },
            Message::Clear => {
                let cleared = self.playout.clear();
                self.answer_marks(context.outbox);
                let Cleared { played, dropped } = cleared.unwrap_or_default();
                let (played_ms, dropped_ms) = (self.millis(played), self.millis(dropped));
                if cleared.is_some() {
                    context.events.push(Event::PlayoutCleared {
                        stream: self.key,
                        played_ms,
                        dropped_ms,
                    });
                }
                let tell = Tell::Cleared {
                    played_ms,
                    dropped_ms,
                };
                self.tell(&tell, true, context.outbox);
            }
            Message::Mark(name) => {
                if !self.playout.mark(name) {
                    return Err(RefusedMessage::LimitReached);
                }
                self.answer_marks(context.outbox);
            }
        }
        Ok(())
    }

    fn note_pushed(&mut self, pushed: Pushed, has_audio: bool, context: &mut Context<'_>) {
        let stream = self.key;
        if has_audio && !std::mem::replace(&mut self.first_audio_received, true) {
            context.events.push(Event::StreamFirstAudioReceived { stream });
        }
        if pushed.overflow_began {
            let dropped_ms = self.millis(pushed.dropped as u64);
            context.events.push(Event::PlayoutOverflow { stream, dropped_ms });
        }
    }

    fn refuse(&mut self, reason: RefusedMessage, context: &mut Context<'_>) {
        let counter = match reason {
            RefusedMessage::MalformedJson => &mut self.stats.malformed_json,
            RefusedMessage::MalformedBase64 => &mut self.stats.malformed_base64,
            RefusedMessage::MissingField => &mut self.stats.missing_field,
            RefusedMessage::UnknownType => &mut self.stats.unknown_type,
            RefusedMessage::Binary => &mut self.stats.binary_messages,
            RefusedMessage::BadHeader => &mut self.stats.bad_header,
            RefusedMessage::LimitReached => &mut self.stats.refused_marks,
            RefusedMessage::NotAllowed => &mut self.stats.not_allowed,
        };
        *counter += 1;
        let bit = 1 << reason as u8;
        if self.told & bit == 0 {
            self.told |= bit;
            context.events.push(Event::StreamMessageRefused {
                stream: self.key,
                reason,
            });
        }
    }
}

/// The format of the application's audio, when all else is right too.
fn check(params: &StreamParams) -> Result<Format, CommandError> {
    if !(FRAME_MS..=MAX_CHUNK_MS).contains(&params.chunk_ms) || !params.chunk_ms.is_multiple_of(FRAME_MS) {
        return Err(CommandError::BadParameter(
            "chunk_ms must be a multiple of 20 from 20 to 2000",
        ));
    }
    let entry = dialect::entry(params.dialect);
    let input = entry
        .input_of(params)
        .ok_or(CommandError::BadParameter(entry.formats))?;
    let start = &params.start;
    let ids = [
        &params.account_id,
        &params.call_app_id,
        &params.call_id,
        &params.stream_id,
        &start.from,
        &start.to,
    ];
    let pairs = || start.ids.iter().chain(&start.parameters);
    let pair_is_long = |(name, value): &(String, String)| name.len() + value.len() > 2 * MAX_ID_BYTES;
    if ids.iter().any(|id| id.len() > MAX_ID_BYTES) {
        return Err(CommandError::BadParameter(
            "an identifier is longer than 256 bytes",
        ));
    }
    if pairs().count() > MAX_START_FIELDS || pairs().any(pair_is_long) {
        return Err(CommandError::BadParameter(
            "ids and parameters are at most 128, each of at most 512 bytes with its name",
        ));
    }
    if params.metadata.len() > MAX_METADATA_BYTES || !json::is_object_or_nothing(&params.metadata) {
        return Err(CommandError::BadParameter(
            "metadata must be a JSON object of at most 8192 bytes",
        ));
    }
    Ok(input)
}
