//! The connections of a stream: one comes, gets what it is due, takes nothing for a while, goes.

use super::Stream;
use super::comfort::ComfortSound;
use super::dialect::Tell;
use super::uplink::Outgoing;
use crate::context::Context;
use crate::event::Event;
use crate::outbox::Outbox;
use crate::tracks::Party;
use crate::{Destination, Form};

impl Stream {
    /// A socket is there, the first or another one: `start` goes first.
    pub fn connect(&mut self, parties: &[Party], context: &mut Context<'_>) {
        if std::mem::replace(&mut self.connected, true) && self.uplink.is_none() {
            return;
        }
        self.stats.connections += 1;
        let epoch = match &mut self.uplink {
            Some(uplink) => uplink.connect(),
            None => self.stats.connections as u32,
        };
        for greeting in [
            Tell::Connected,
            Tell::Epoch(epoch),
            Tell::Start(&self.params, parties),
        ] {
            let form = self.wire.write(&greeting, context.outbox.writer());
            let stream = self.key;
            if let Some(form) = form {
                self.stats.messages_sent += 1;
                let to = Destination::Stream {
                    stream,
                    form,
                    may_drop: false,
                };
                self.stats.bytes_sent += context.outbox.commit(to) as u64;
            }
        }
        if self.uplink.is_none() && self.params.resume.is_some() {
            let stream = self.key;
            let resumed = false;
            context.events.push(Event::StreamReady {
                stream,
                epoch,
                resumed,
            });
        }
    }

    /// The socket has gone; what is heard is kept for the next, if the dialect can tell it later.
    pub fn disconnect(&mut self) {
        self.connected = false;
        if self.may_comfort() {
            self.comfort = ComfortSound::default();
        }
        if let Some(uplink) = &mut self.uplink {
            uplink.disconnect();
        }
    }

    /// Whether this token may begin a connection.
    pub fn admits(&self, token: &str) -> bool {
        self.uplink.as_ref().is_some_and(|uplink| uplink.admits(token))
    }

    /// The socket takes nothing for now, or takes it again.
    pub fn block(&mut self, is_blocked: bool) {
        if let Some(uplink) = &mut self.uplink {
            uplink.block(is_blocked);
        }
    }

    /// `hello` is answered: `ready` has been written, and what it is due goes out from now on.
    pub fn begin(&mut self, resumed: bool, context: &mut Context<'_>) {
        let Some(uplink) = &self.uplink else { return };
        context.events.push(Event::StreamReady {
            stream: self.key,
            epoch: uplink.epoch(),
            resumed,
        });
        self.send_due(context);
    }

    /// Sends what the connection is due of its tracks and events.
    pub(super) fn send_due(&mut self, context: &mut Context<'_>) {
        let Some(mut uplink) = self.uplink.take() else {
            return;
        };
        uplink.begin_frame();
        while let Some(due) = uplink.poll() {
            let form = match due {
                Outgoing::Event(parts) => {
                    parts
                        .iter()
                        .for_each(|part| context.outbox.writer().extend_from_slice(part));
                    Some(Form::Text)
                }
                Outgoing::Gap { track, from, to } => {
                    self.stats.missed += u64::from(to.wrapping_sub(from)) + 1;
                    let gap = Tell::Gap { track, from, to };
                    self.wire.write(&gap, context.outbox.writer())
                }
                Outgoing::Audio(chunk) => {
                    self.stats.replayed += u64::from(chunk.is_replay);
                    if !std::mem::replace(&mut self.first_audio_sent, true) {
                        let stream = self.key;
                        context.events.push(Event::StreamFirstAudioSent { stream });
                    }
                    self.wire.write(&Tell::Audio(chunk), context.outbox.writer())
                }
            };
            self.commit(form, false, context.outbox);
        }
        self.uplink = Some(uplink);
    }

    /// The stream is over: the application is told so, if its dialect can.
    pub fn stop(&mut self, outbox: &mut Outbox) {
        if std::mem::take(&mut self.connected) {
            let form = self.wire.write(&Tell::Stop, outbox.writer());
            self.commit(form, false, outbox);
        }
    }
}
