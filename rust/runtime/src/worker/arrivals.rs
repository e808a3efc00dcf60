//! An application that has come by itself takes its stream: whatever connection the stream had, or was about to have, is
//! fenced off (longline.v1 §6).

use media::Time;

use super::Worker;
use super::stream::Phase;
use super::streams::{ping_ms, take_messages};
use crate::event::{CloseCause, CloseReason, Event, StreamEvent};
use crate::listener::Arrival;
use crate::poller::Token;
use crate::websocket::acceptance::Refused;
use crate::websocket::receiver::Receiver;
use crate::websocket::{Role, close_code};

impl Worker<'_> {
    pub(super) fn arrived(&mut self, now: Time, arrival: Arrival) {
        let index = self.handles.get(&arrival.handle).copied();
        let stream = index.and_then(|index| self.streams.get(index as usize));
        let (Some(index), Some(stream)) = (index, stream) else {
            return arrival.refuse(Refused::Unauthorized);
        };
        let key = stream.key;
        if !self.engine.stream_admits(key, &arrival.request.token) {
            return arrival.refuse(Refused::Unauthorized);
        }
        let token = Token::Stream(index);
        let Arrival {
            request, transport, ..
        } = arrival;
        if let Err(error) = self.shell.poller.add(&transport.socket, token, false) {
            tracing::error!(%error, "epoll does not take a socket");
            return;
        }
        self.fence(now, index);
        let serial = self.new_serial();
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        stream.id.serial = serial;
        stream.phase = Phase::Open;
        (stream.was_open, stream.dialled_in, stream.open_since) = (true, true, now);
        (stream.ready_since, stream.is_held_back) = (None, false);
        stream.link.transport = Some(transport);
        stream.link.receiver = Receiver::new(Role::Server);
        stream.link.queue.push_raw(request.accept().as_bytes());
        stream.link.queue.set_role(Role::Server);
        stream.link.next_ping = now.plus_millis(ping_ms(&self.shell.services.timeouts, stream));
        if let Err(error) = self.engine.stream_connected(now, key) {
            tracing::error!(%error, "the engine does not know a stream of its own");
        }
        self.relay(now);
        self.dirty.push(index);
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        let outcome = take_messages(now, stream, &request.rest, &mut self.engine, &mut self.random);
        self.step(now, index, outcome);
    }

    /// The stream's connection is its own no more.
    fn fence(&mut self, now: Time, index: u32) {
        self.relay(now);
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        let was_open = std::mem::replace(&mut stream.phase, Phase::Waiting).is_open();
        let (key, way, link) = (stream.key, stream.way, stream.renew_link(now));
        let (session, name) = (stream.session.clone(), stream.name.clone());
        let Some(resume) = stream.resume.as_mut() else {
            return;
        };
        let window_ms = resume.window_ms;
        let is_news = !std::mem::replace(&mut resume.is_told, true);
        resume
            .redial
            .get_or_insert_with(|| super::redial::Redial::begin(now, window_ms, way));
        self.part_with(now, index, link, was_open.then_some(close_code::FENCED));
        if was_open && let Err(error) = self.engine.stream_disconnected(now, key) {
            tracing::error!(%error, "the engine does not know a stream of its own");
        }
        if is_news {
            let cause = CloseCause::new(CloseReason::Fenced, "the application came by another connection");
            let cause = cause.with_code(Some(close_code::FENCED));
            let event = StreamEvent::Disconnected { cause, window_ms };
            self.tell(&session, Event::Stream { stream: name, event });
        }
    }
}
