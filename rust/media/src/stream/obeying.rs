//! What the application asks is done, or refused and counted.

use super::Stream;
use super::barge_in::By;
use super::dialect::{Message, Tell};
use crate::Form;
use crate::config::{Direction, Together};
use crate::context::Context;
use crate::event::{Closing, Event, RefusedMessage};
use crate::time::Time;
use crate::tracks::{ALL, Party};

impl Stream {
    /// Takes one message from the application.
    pub fn receive(
        &mut self,
        now: Time,
        (form, message): (Form, &[u8]),
        parties: &[Party],
        context: &mut Context<'_>,
    ) {
        self.stats.messages_received += 1;
        self.stats.bytes_received += message.len() as u64;
        let outcome = match self.wire.read(form, message) {
            Ok(message) if self.talk.is_some() => self.converse(now, message, parties, context),
            Ok(message) => self.obey(now, message, parties, context),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = outcome {
            self.refuse(reason, context);
        }
    }

    pub(super) fn obey(
        &mut self,
        now: Time,
        message: Message<'_>,
        parties: &[Party],
        context: &mut Context<'_>,
    ) -> Result<(), RefusedMessage> {
        if self.params.direction == Direction::Listen && !message.is_for_listeners() {
            return Err(RefusedMessage::NotAllowed);
        }
        match message {
            Message::Audio(audio, id) => self.push(now, ALL, audio, id, context)?,
            Message::AudioTo(track, audio) => {
                if track != ALL && !parties.iter().any(|party| party.track == track) {
                    return Err(RefusedMessage::UnknownTrack);
                }
                self.push(now, track, audio, None, context)?;
            }
            Message::Subscribe(tracks) => {
                if self.params.together != Together::Apart {
                    return Err(RefusedMessage::NotAllowed);
                }
                let subscribed = self.subscribe(tracks, parties);
                self.tell(&Tell::Tracks(self.ears.tracks().collect()), false, context);
                subscribed?;
            }
            Message::Unsubscribe(tracks) => {
                if self.params.together != Together::Apart {
                    return Err(RefusedMessage::NotAllowed);
                }
                for track in tracks.iter() {
                    self.ears.unsubscribe(track);
                    if let Some(uplink) = &mut self.uplink {
                        uplink.forget(track);
                    }
                }
                self.tell(&Tell::Tracks(self.ears.tracks().collect()), false, context);
            }
            Message::Interrupt(id) => match id.and_then(|id| Some((id, self.mouths.interrupt(&id)?))) {
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
            Message::Play(play) => self.play(now, play, context)?,
            Message::Clear => self.clear(self.wire.about().to, By::Application, context),
            Message::Mark(name) => self.mark(name, parties, context)?,
            Message::ClearMarks => {
                self.mouths.all().clear_marks();
                self.answer_marks(context);
            }
            Message::Pause => self.pause(By::Application, context),
            Message::Resume => self.go_on(now, By::Application, context),
            Message::Speak(id) => {
                if !self.playout(parties)?.speak(Some(id)) {
                    return Err(RefusedMessage::LimitReached);
                }
                self.tell_playback(context);
            }
            Message::SpeakEnd => {
                self.playout(parties)?.end_utterance();
                self.tell_playback(context);
            }
            Message::InterruptUtterance(id) => self.interrupt_utterance(&id, context),
            Message::Request { id, action, fields } => {
                let to = self.wire.about().to.filter(|to| *to != ALL);
                let leg = match to.map(|to| parties.iter().find(|party| party.track == to)) {
                    Some(None) => return Err(RefusedMessage::UnknownTrack),
                    Some(Some(party)) => Some(party.leg),
                    None => None,
                };
                context.events.push(Event::StreamRequest {
                    stream: self.key,
                    request_id: id.map(str::to_owned),
                    action,
                    fields: fields.to_owned(),
                    leg,
                });
            }
            Message::Stop => context.events.push(Event::StreamClosing {
                stream: self.key,
                why: Closing::Stopped,
            }),
            // Between an application and us, before or beside what the stream does.
            Message::Hello(_) | Message::Ping { .. } | Message::Pong(_) => {
                return Err(RefusedMessage::NotAllowed);
            }
            Message::AskStatus => {
                let playout = self.mouths.all();
                let (queued, is_high, is_paused) = (playout.queued(), playout.is_high(), playout.is_paused());
                let tell = Tell::Status {
                    queued_ms: self.millis(queued as u64),
                    is_high,
                    is_paused,
                };
                self.tell(&tell, true, context);
            }
            Message::AskEmpty => self.asks_empty = true,
            Message::Nothing => {}
        }
        Ok(())
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
            RefusedMessage::UnknownTrack => &mut self.stats.unknown_track,
            RefusedMessage::MalformedAudio => &mut self.stats.malformed_audio,
            RefusedMessage::OtherStream => &mut self.stats.other_stream,
            RefusedMessage::WrongFormat => &mut self.stats.wrong_format,
            RefusedMessage::TooLong => &mut self.stats.too_long,
        };
        *counter += 1;
        self.tell(&Tell::Refused(reason), true, context);
        if reason == RefusedMessage::TooLong && self.talk.is_some() {
            context.events.push(Event::StreamClosing {
                stream: self.key,
                why: Closing::TooLong,
            });
        }
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
