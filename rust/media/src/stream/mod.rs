//! A media stream: one WebSocket to the application, seen from the session.
//!
//! Up: frames of what was heard gather into chunks, each chunk becomes a message of the dialect. Down: messages become
//! chunks in the playout queue. Which text carries them is the dialect's business ([`teler`]), how it travels is the
//! caller's.

pub mod teler;

use crate::config::{MAX_CHUNK_MS, MAX_ID_BYTES, StreamParams};
use crate::context::Context;
use crate::error::CommandError;
use crate::event::{Event, RefusedMessage};
use crate::frame::{Converter, Frame};
use crate::key::StreamKey;
use crate::outbox::Outbox;
use crate::playout::{Cleared, Playout};
use crate::stats::StreamStats;
use crate::time::{FRAME_MS, FRAME_SAMPLES, RATE_HZ, SAMPLES_PER_MS, Time};
use crate::{Destination, Dialect};
use teler::Message;

/// One stream of a session.
pub(crate) struct Stream {
    key: StreamKey,
    params: StreamParams,
    encoder: teler::Encoder,
    connected: bool,
    /// Samples of the chunk being gathered, little-endian.
    chunk: Vec<u8>,
    chunk_bytes: usize,
    /// From the rate of the session to that of the application's ears.
    to_stream: Converter,
    playout: Playout,
    /// From the rate of the application's audio to the session's.
    to_session: Converter,
    first_audio_sent: bool,
    first_audio_received: bool,
    /// Reasons of refusal already told, one bit each.
    told: u8,
    stats: StreamStats,
}

const fn millis(samples: u64) -> u64 {
    samples / SAMPLES_PER_MS as u64
}

impl Stream {
    /// A stream that waits for its socket.
    pub fn new(
        key: StreamKey,
        params: StreamParams,
        playout_ms: u32,
        session_hz: u32,
    ) -> Result<Stream, CommandError> {
        check(&params)?;
        let Dialect::Teler = params.dialect;
        let chunk_bytes = (params.rate_hz / 1_000 * params.chunk_ms * 2) as usize;
        Ok(Stream {
            key,
            encoder: teler::Encoder::new(&params),
            connected: false,
            chunk: Vec::with_capacity(chunk_bytes),
            chunk_bytes,
            to_stream: Converter::new(session_hz, params.rate_hz),
            playout: Playout::new(playout_ms),
            to_session: Converter::new(RATE_HZ, session_hz),
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

    /// What it has seen.
    pub fn stats(&self) -> StreamStats {
        let totals = self.playout.totals();
        StreamStats {
            played_ms: millis(totals.played),
            cleared_ms: millis(totals.cleared),
            overflow_ms: millis(totals.overflow),
            trimmed_ms: millis(totals.trimmed),
            underruns: totals.underruns,
            queued_ms: millis(self.playout.queued() as u64),
            ..self.stats
        }
    }

    /// The socket is there: `start` goes first.
    pub fn connect(&mut self, outbox: &mut Outbox) {
        if !std::mem::replace(&mut self.connected, true) {
            self.encoder.write_start(&self.params, outbox.writer());
            self.commit(outbox);
        }
    }

    fn commit(&mut self, outbox: &mut Outbox) {
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += outbox.commit(Destination::Stream(self.key)) as u64;
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.to_stream.retune(session_hz, self.params.rate_hz);
        self.to_session.retune(RATE_HZ, session_hz);
    }

    /// Takes one frame of what was heard.
    pub fn hear(&mut self, frame: &Frame, context: &mut Context<'_>) {
        if !self.connected {
            return;
        }
        if let Some(frame) = self.to_stream.convert(Some(frame.clone())) {
            append(frame.samples(), &mut self.chunk);
        }
        if self.chunk.len() < self.chunk_bytes {
            return;
        }
        self.encoder
            .write_audio(&self.chunk[..self.chunk_bytes], context.outbox.writer());
        self.chunk.drain(..self.chunk_bytes);
        self.commit(context.outbox);
        if !std::mem::replace(&mut self.first_audio_sent, true) {
            context
                .events
                .push(Event::StreamFirstAudioSent { stream: self.key });
        }
    }

    /// The next frame of what the application said, if it says anything, at the session's rate.
    pub fn pull(&mut self, now: Time, context: &mut Context<'_>) -> Option<Frame> {
        let mut samples = [0; FRAME_SAMPLES];
        let pulled = self.playout.pull(now, &mut samples);
        if pulled.started {
            context.events.push(Event::PlayoutStarted { stream: self.key });
        }
        if pulled.drained {
            context.events.push(Event::PlayoutDrained { stream: self.key });
        }
        let said = (pulled.count > 0).then(|| {
            let mut frame = Frame::silent(RATE_HZ);
            frame.samples_mut().copy_from_slice(&samples);
            frame
        });
        self.to_session.convert(said)
    }

    /// Takes one message from the application.
    pub fn receive(&mut self, now: Time, text: &[u8], context: &mut Context<'_>) {
        self.stats.messages_received += 1;
        self.stats.bytes_received += text.len() as u64;
        let outcome = teler::parse(text).and_then(|message| self.obey(now, message, context));
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
        match message {
            Message::Audio(base64, id) => {
                teler::decode_audio(&base64, context.scratch)?;
                let pushed = self.playout.push(now, context.scratch, id);
                if context.scratch.len() >= 2 && !std::mem::replace(&mut self.first_audio_received, true) {
                    context
                        .events
                        .push(Event::StreamFirstAudioReceived { stream: self.key });
                }
                if pushed.overflow_began {
                    let dropped_ms = millis(pushed.dropped as u64);
                    context.events.push(Event::PlayoutOverflow {
                        stream: self.key,
                        dropped_ms,
                    });
                }
            }
            Message::Interrupt(id) => match id.and_then(|id| Some((id, self.playout.interrupt(&id)?))) {
                Some((chunk_id, dropped)) => {
                    let dropped_ms = millis(dropped as u64);
                    context.events.push(Event::PlayoutInterrupted {
                        stream: self.key,
                        chunk_id,
                        dropped_ms,
                    });
                }
                None => self.stats.unknown_chunk += 1,
            },
            Message::Clear => {
                if let Some(Cleared { played, dropped }) = self.playout.clear() {
                    let (played_ms, dropped_ms) = (millis(played), millis(dropped));
                    context.events.push(Event::PlayoutCleared {
                        stream: self.key,
                        played_ms,
                        dropped_ms,
                    });
                }
            }
        }
        Ok(())
    }

    fn refuse(&mut self, reason: RefusedMessage, context: &mut Context<'_>) {
        let counter = match reason {
            RefusedMessage::MalformedJson => &mut self.stats.malformed_json,
            RefusedMessage::MalformedBase64 => &mut self.stats.malformed_base64,
            RefusedMessage::MissingField => &mut self.stats.missing_field,
            RefusedMessage::UnknownType => &mut self.stats.unknown_type,
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

fn append(samples: &[i16], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * samples.len(), 0);
    for (pair, sample) in out[start..].chunks_exact_mut(2).zip(samples) {
        pair.copy_from_slice(&sample.to_le_bytes());
    }
}

fn check(params: &StreamParams) -> Result<(), CommandError> {
    if !(FRAME_MS..=MAX_CHUNK_MS).contains(&params.chunk_ms) || !params.chunk_ms.is_multiple_of(FRAME_MS) {
        return Err(CommandError::BadParameter(
            "chunk_ms must be a multiple of 20 from 20 to 2000",
        ));
    }
    if ![RATE_HZ, 2 * RATE_HZ].contains(&params.rate_hz) {
        return Err(CommandError::BadParameter("rate_hz must be 8000 or 16000"));
    }
    let ids = [
        &params.account_id,
        &params.call_app_id,
        &params.call_id,
        &params.stream_id,
    ];
    if ids.iter().any(|id| id.len() > MAX_ID_BYTES) {
        return Err(CommandError::BadParameter(
            "an identifier is longer than 256 bytes",
        ));
    }
    Ok(())
}
