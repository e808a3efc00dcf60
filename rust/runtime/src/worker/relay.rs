//! What the engine made, handed on: datagrams, messages, samples and events.

use media::{Destination, Event as EngineEvent, Form, StreamKey, Time};

use super::{Worker, legs};
use crate::event::{Event, StreamEvent};
use crate::websocket::frame::OpCode;
use crate::websocket::send_queue::Kind;

impl Worker<'_> {
    /// Drain the engine. Called once in a turn, and before anything is removed that a transmit or event may name.
    pub(super) fn relay(&mut self, now: Time) {
        self.relay_transmits(now);
        while let Some(event) = self.engine.poll_event() {
            self.relay_event(now, event);
        }
    }

    fn relay_transmits(&mut self, now: Time) {
        let failed = &self.shell.metrics.send_failed;
        while let Some(transmit) = self.engine.poll_transmit() {
            match transmit.to {
                Destination::Rtp { leg, to } => {
                    let leg = self
                        .leg_of
                        .get(&leg)
                        .and_then(|index| self.legs.get(*index as usize));
                    legs::send(leg, true, to, transmit.payload, failed);
                }
                Destination::Rtcp { leg, to } => {
                    let leg = self
                        .leg_of
                        .get(&leg)
                        .and_then(|index| self.legs.get(*index as usize));
                    legs::send(leg, false, to, transmit.payload, failed);
                }
                Destination::Stream {
                    stream: key,
                    form,
                    may_drop,
                } => {
                    let Some(&index) = self.stream_of.get(&key) else {
                        continue;
                    };
                    let Some(stream) = self.streams.get_mut(index as usize) else {
                        continue;
                    };
                    let kind = if may_drop { Kind::Audio } else { Kind::Control };
                    let opcode = match form {
                        Form::Text => OpCode::Text,
                        Form::Binary => OpCode::Binary,
                    };
                    stream.push(now, kind, opcode, self.random.take(), transmit.payload);
                    self.dirty.push(index);
                }
                Destination::Recording(key, track) => {
                    let (legs, leg_of) = (&self.legs, &self.leg_of);
                    let name = |leg| {
                        let index = leg_of.get(&leg).and_then(|index| legs.get(*index as usize));
                        index.map_or_else(String::new, |leg| leg.name.clone())
                    };
                    if let Some(buffer) = self.recording_of.get_mut(&key) {
                        buffer.append(&self.shell.services.recorder, track, transmit.payload, name);
                    }
                }
            }
        }
    }

    fn relay_event(&mut self, now: Time, event: EngineEvent) {
        match event {
            EngineEvent::SessionFailed { session, reason } => self.session_failed(now, session, reason),
            EngineEvent::LegFirstPacket { leg, from } => {
                self.tell_leg(leg, |leg| Event::LegMediaStarted { leg, from });
            }
            EngineEvent::LegIntruder { leg, from } => {
                self.tell_leg(leg, |leg| Event::LegIntruder { leg, from });
            }
            EngineEvent::DigitReceived {
                leg,
                digit,
                duration_ms,
                method,
            } => {
                self.tell_leg(leg, |leg| Event::LegDigit {
                    leg,
                    digit,
                    duration_ms,
                    method,
                });
            }
            EngineEvent::DigitSent { leg, sent } => {
                self.tell_leg(leg, |leg| Event::LegDigitSent { leg, sent });
            }
            EngineEvent::SpeechStarted { leg, at_ms, evidence } => {
                self.tell_leg(leg, |leg| Event::LegSpeechStarted { leg, at_ms, evidence });
            }
            EngineEvent::SpeechStopped {
                leg,
                at_ms,
                duration_ms,
            } => {
                self.tell_leg(leg, |leg| Event::LegSpeechStopped {
                    leg,
                    at_ms,
                    duration_ms,
                });
            }
            EngineEvent::LegQuality { leg, quality } => {
                self.tell_leg(leg, |leg| Event::LegQuality { leg, quality });
            }
            EngineEvent::StreamFirstAudioSent { stream } => {
                self.tell_stream(stream, StreamEvent::FirstAudioSent);
            }
            EngineEvent::StreamFirstAudioReceived { stream } => {
                self.tell_stream(stream, StreamEvent::FirstAudioReceived);
            }
            EngineEvent::StreamReady {
                stream,
                epoch,
                resumed,
            } => self.stream_ready(now, stream, epoch, resumed),
            EngineEvent::StreamRequest {
                stream,
                request_id,
                action,
                fields,
                leg,
            } => {
                let index = leg.and_then(|leg| self.leg_of.get(&leg).copied());
                let leg = index.and_then(|index| self.legs.get(index as usize));
                let event = StreamEvent::Request {
                    request_id,
                    action,
                    fields,
                    leg: leg.map(|leg| leg.name.clone()),
                };
                self.tell_stream(stream, event);
            }
            EngineEvent::StreamClosing { stream, why } => self.stream_closing(now, stream, why),
            EngineEvent::PlayoutStarted { stream } => self.tell_stream(stream, StreamEvent::PlayoutStarted),
            EngineEvent::PlayoutDrained { stream } => self.tell_stream(stream, StreamEvent::PlayoutDrained),
            EngineEvent::PlayoutCleared {
                stream,
                played_ms,
                dropped_ms,
            } => {
                self.tell_stream(
                    stream,
                    StreamEvent::PlayoutCleared {
                        played_ms,
                        dropped_ms,
                    },
                );
            }
            EngineEvent::PlayoutInterrupted {
                stream,
                chunk_id,
                dropped_ms,
            } => {
                self.tell_stream(stream, StreamEvent::PlayoutInterrupted { chunk_id, dropped_ms });
            }
            EngineEvent::PlayoutOverflow { stream, dropped_ms } => {
                self.tell_stream(stream, StreamEvent::PlayoutOverflow { dropped_ms });
            }
            EngineEvent::StreamMessageRefused { stream, reason } => {
                self.tell_stream(
                    stream,
                    StreamEvent::RefusedMessage {
                        reason: reason.as_str(),
                    },
                );
            }
            EngineEvent::SpeakerChanged { session, leg } => self.tell_speaker(session, leg),
            EngineEvent::PlaybackFinished { playback, reason } => {
                let Some((session, playback)) = self.playback_of.remove(&playback) else {
                    return;
                };
                if let Some(entry) = self.sessions.get_mut(&session) {
                    entry.playbacks.remove(&playback);
                }
                self.tell(&session, Event::PlaybackFinished { playback, reason });
            }
        }
    }

    /// Nobody speaks any more, or one of the legs: by that the session is found, by the other it is looked for.
    fn tell_speaker(&self, key: media::SessionKey, leg: Option<media::LegKey>) {
        let name = |leg| Some(self.legs.get(*self.leg_of.get(&leg)? as usize)?.name.clone());
        let session = self.sessions.iter().find(|(_, entry)| entry.key == key);
        if let Some((session, _)) = session {
            self.tell(
                session,
                Event::SpeakerChanged {
                    leg: leg.and_then(name),
                },
            );
        }
    }

    fn tell_leg(&self, key: media::LegKey, event: impl FnOnce(String) -> Event) {
        let leg = self
            .leg_of
            .get(&key)
            .and_then(|index| self.legs.get(*index as usize));
        if let Some(leg) = leg {
            self.tell(&leg.session, event(leg.name.clone()));
        }
    }

    fn tell_stream(&self, key: StreamKey, event: StreamEvent) {
        let stream = self
            .stream_of
            .get(&key)
            .and_then(|index| self.streams.get(*index as usize));
        if let Some(stream) = stream {
            self.tell(
                &stream.session,
                Event::Stream {
                    stream: stream.name.clone(),
                    event,
                },
            );
        }
    }
}
