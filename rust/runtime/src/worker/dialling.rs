//! Dialling: from `stream.open` to an open WebSocket, address by address.

use std::io::ErrorKind;

use media::{StreamParams, Time};

use super::files::exists;
use super::legs::no_session;
use super::mailbox::SocketId;
use super::stream::{Phase, StreamSocket};
use super::streams::take_messages;
use super::{Task, Worker};
use crate::clock;
use crate::command::{Answer, Dial, Outcome};
use crate::event::{CloseCause, CloseReason, Event, StreamEvent};
use crate::poller::Token;
use crate::transport::Transport;
use crate::websocket::handshake::{Handshake, Upgraded};
use crate::websocket::receiver::Receiver;
use crate::websocket::send_queue::SendQueue;
use crate::{resolver, tcp};

impl Worker<'_> {
    pub(super) fn open_stream(
        &mut self,
        now: Time,
        session: &str,
        name: String,
        dial: Dial,
        params: StreamParams,
    ) -> Outcome {
        let entry = self.sessions.get(session).ok_or_else(no_session)?;
        if entry.streams.contains_key(&name) {
            return Err(exists("stream", &name));
        }
        let chunk_ms = params.chunk_ms;
        let key = self.engine.open_stream(now, entry.key, params)?;
        let id = SocketId {
            index: self.streams.vacant_key() as u32,
            serial: self.new_serial(),
        };
        let deadline = now.plus_millis(self.shell.services.timeouts.connect_ms);
        self.streams.insert(StreamSocket {
            id,
            key,
            session: session.to_string(),
            name: name.clone(),
            url: dial.url,
            upgrade: dial.upgrade,
            phase: Phase::Resolving,
            opened_at: now,
            deadline,
            attempt_deadline: deadline,
            addresses: Vec::new(),
            address: None,
            last_failure: CloseCause::new(CloseReason::DnsFailed, "the name has no address"),
            transport: None,
            is_watched_for_write: false,
            queue: SendQueue::new(chunk_ms),
            receiver: Receiver::default(),
            last_progress: now,
            next_ping: deadline,
            unanswered_pings: 0,
        });
        self.stream_of.insert(key, id.index);
        if let Some(entry) = self.sessions.get_mut(session) {
            entry.streams.insert(name, id.index);
        }
        match dial.addresses {
            // Whoever checked these addresses has seen them alone: a second look-up might find others.
            Some(addresses) => self.resolved(now, id, Ok(addresses)),
            None => self.resolve(now, id),
        }
        Ok(Answer::Done)
    }

    fn resolve(&mut self, now: Time, id: SocketId) {
        let url = &self.streams[id.index as usize].url;
        let resolved = match resolver::literal(&url.host, url.port) {
            Some(address) => Ok(vec![address]),
            None => {
                let mailbox = self.shell.mailbox.clone();
                let then = move |resolved| mailbox.post(Task::Resolved { socket: id, resolved });
                match self.shell.services.resolver.resolve(&url.host, url.port, then) {
                    Ok(()) => return,
                    Err(why) => Err(why),
                }
            }
        };
        self.resolved(now, id, resolved);
    }

    pub(super) fn resolved(&mut self, now: Time, id: SocketId, resolved: resolver::Resolved) {
        let stream = self.streams.get_mut(id.index as usize);
        let is_waiting =
            |stream: &&mut StreamSocket| stream.id == id && matches!(stream.phase, Phase::Resolving);
        let Some(stream) = stream.filter(is_waiting) else {
            return;
        }; // given up meanwhile
        match resolved {
            Ok(mut addresses) => {
                addresses.reverse();
                stream.addresses = addresses;
                self.connect_next(now, id.index);
            }
            Err(why) => self.fail(now, id.index, CloseCause::new(CloseReason::DnsFailed, why), None),
        }
    }

    /// Try the next address; with none left the last failure is the stream's.
    fn connect_next(&mut self, now: Time, index: u32) {
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        stream.transport = None;
        while let Some(address) = stream.addresses.pop() {
            // What time is left is shared by the addresses that are: a silent one leaves some for the others.
            let share = stream.deadline.micros_since(now) / (stream.addresses.len() as u64 + 1);
            stream.attempt_deadline = now.plus_micros(share);
            stream.address = Some(address);
            let begun = tcp::connect(address).and_then(|socket| {
                self.shell.poller.add(&socket, Token::Stream(index), true)?;
                Ok(socket)
            });
            match begun {
                Ok(socket) => {
                    stream.phase = Phase::Connecting;
                    stream.is_watched_for_write = true;
                    stream.transport = Some(Transport::new(socket));
                    return;
                }
                Err(error) => stream.last_failure = connect_failure(stream, &error),
            }
        }
        let cause = stream.last_failure.clone();
        self.fail(now, index, cause, None);
    }

    pub(super) fn connected(&mut self, now: Time, index: u32) {
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        let Some(transport) = stream.transport.as_mut() else {
            return;
        };
        if let Err(error) = tcp::outcome(&transport.socket) {
            stream.last_failure = connect_failure(stream, &error);
            return self.connect_next(now, index);
        }
        if !stream.url.is_secure {
            return self.request_upgrade(now, index);
        }
        match transport.secure(&self.shell.services.tls, &stream.url.host) {
            Ok(()) => {
                stream.phase = Phase::Securing;
                self.flush(now, index);
            }
            Err(why) => self.fail(now, index, CloseCause::new(CloseReason::TlsFailed, why), None),
        }
    }

    pub(super) fn request_upgrade(&mut self, now: Time, index: u32) {
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        let handshake = Handshake::new(self.random.take(), stream.upgrade.subprotocols());
        let request = handshake.request(&stream.url, &stream.upgrade, clock::unix_seconds() as u64);
        stream.queue.push_raw(&request);
        stream.phase = Phase::Upgrading(handshake);
        self.flush(now, index);
    }

    pub(super) fn upgraded(&mut self, now: Time, index: u32, answer: Upgraded) {
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        stream.phase = Phase::Open;
        stream.last_progress = now;
        stream.next_ping = now.plus_millis(self.shell.services.timeouts.ping_ms);
        let connect_ms = now.micros_since(stream.opened_at) as f64 / 1000.0;
        let (key, session, name) = (stream.key, stream.session.clone(), stream.name.clone());
        self.tell(
            &session,
            Event::Stream {
                stream: name,
                event: StreamEvent::Connected {
                    connect_ms,
                    subprotocol: answer.subprotocol,
                },
            },
        );
        if let Err(error) = self.engine.stream_connected(now, key) {
            tracing::error!(%error, "the engine does not know a stream of its own");
        }
        self.relay(now);
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        let outcome = take_messages(now, stream, &answer.rest, &mut self.engine, &mut self.random);
        self.step(now, index, outcome);
    }

    pub(super) fn give_up_address(&mut self, now: Time, index: u32) {
        if let Some(stream) = self.streams.get_mut(index as usize)
            && let Some(cause) = stream.phase.timeout()
        {
            stream.last_failure = cause;
            self.connect_next(now, index);
        }
    }
}

fn connect_failure(stream: &StreamSocket, error: &std::io::Error) -> CloseCause {
    let reason = match error.kind() {
        ErrorKind::TimedOut => CloseReason::ConnectTimeout,
        _ => CloseReason::ConnectRefused,
    };
    let address = stream
        .address
        .map_or_else(String::new, |address| format!("{address}: "));
    CloseCause::new(reason, format!("{address}{error}"))
}
