//! Dialling: from `stream.open` to an open WebSocket, address by address.

use std::io::ErrorKind;

use media::stream::token::TokenKey;
use media::{ResumeParams, StreamParams, Time};

use super::files::exists;
use super::legs::no_session;
use super::mailbox::SocketId;
use super::stream::{Link, Phase, Resume, StreamSocket};
use super::streams::{ping_ms, take_messages};
use super::{Task, Worker};
use crate::clock;
use crate::command::{Answer, Dial, Outcome};
use crate::event::{CloseCause, CloseReason, Event, StreamEvent};
use crate::poller::Token;
use crate::transport::Transport;
use crate::websocket::handshake::{Handshake, Upgraded};
use crate::{resolver, tcp};

impl Worker<'_> {
    pub(super) fn open_stream(
        &mut self,
        now: Time,
        session: &str,
        name: String,
        dial: Dial,
        mut params: StreamParams,
    ) -> Outcome {
        let entry = self.sessions.get(session).ok_or_else(no_session)?;
        if entry.streams.contains_key(&name) {
            return Err(exists("stream", &name));
        }
        let (chunk_ms, greets) = (params.chunk_ms, params.dialect.greets());
        let handle = u64::from_ne_bytes(self.random.take());
        params.resume = dial.resume.as_ref().map(|wish| ResumeParams {
            window_ms: wish.window_ms,
            ring_ms: wish.ring_ms,
            key: TokenKey::new(handle, self.random.take()),
            url: wish.url.clone(),
            comfort: wish.comfort,
        });
        let key = self.engine.open_stream(now, entry.key, params)?;
        let id = SocketId {
            index: self.streams.vacant_key() as u32,
            serial: self.new_serial(),
        };
        let resume = dial.resume.filter(|wish| wish.window_ms > 0);
        let resume = resume.map(|wish| Resume::new(u64::from(wish.window_ms), handle));
        let is_listed = greets && resume.is_some() && {
            let worker = self.shell.number;
            self.shell.services.directory.add(handle, worker)
        };
        self.streams.insert(StreamSocket {
            id,
            key,
            session: session.to_string(),
            name: name.clone(),
            ways: dial.ways,
            way: 0,
            next_ways: None,
            next_way: 0,
            upgrade: dial.upgrade,
            resume,
            greets,
            was_open: false,
            open_since: now,
            was_ready: false,
            ready_since: None,
            dialled_in: false,
            is_held_back: false,
            phase: Phase::Waiting,
            opened_at: now,
            deadline: now,
            attempt_deadline: now,
            addresses: Vec::new(),
            address: None,
            last_failure: CloseCause::new(CloseReason::DnsFailed, "the name has no address"),
            link: Link::new(now, chunk_ms),
            chunk_ms,
            dropped_before: 0,
        });
        self.stream_of.insert(key, id.index);
        if is_listed {
            self.handles.insert(handle, id.index);
        }
        if let Some(entry) = self.sessions.get_mut(session) {
            entry.streams.insert(name, id.index);
        }
        self.dial(now, id.index, 0);
        Ok(Answer::Done)
    }

    /// Begin to dial one of the stream's URLs.
    pub(super) fn dial(&mut self, now: Time, index: u32, way: usize) {
        let deadline = now.plus_millis(self.shell.services.timeouts.connect_ms);
        let serial = self.new_serial();
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        // A name that is still being looked up for an earlier try is of no more use.
        stream.id.serial = serial;
        if let Some(ways) = stream.next_ways.take() {
            stream.ways = ways;
        }
        (stream.deadline, stream.attempt_deadline) = (deadline, deadline);
        if stream.ways.is_empty() {
            // Every URL has been taken off the list: the application may still come itself.
            stream.phase = Phase::Waiting;
            return;
        }
        let way = way % stream.ways.len();
        stream.way = way;
        stream.phase = Phase::Resolving;
        stream.last_failure = CloseCause::new(CloseReason::DnsFailed, "the name has no address");
        let id = stream.id;
        match stream.ways[way].addresses.clone() {
            // Whoever checked these addresses has seen them alone: a second look-up might find others.
            Some(addresses) => self.resolved(now, id, Ok(addresses)),
            None => self.resolve(now, id),
        }
    }

    fn resolve(&mut self, now: Time, id: SocketId) {
        let url = self.streams[id.index as usize].url();
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
        stream.link.transport = None;
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
                    stream.link.is_watched_for_write = true;
                    stream.link.transport = Some(Transport::new(socket));
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
        let Some(transport) = stream.link.transport.as_mut() else {
            return;
        };
        if let Err(error) = tcp::outcome(&transport.socket) {
            stream.last_failure = connect_failure(stream, &error);
            return self.connect_next(now, index);
        }
        let url = &stream.ways[stream.way].url;
        if !url.is_secure {
            return self.request_upgrade(now, index);
        }
        match transport.secure(&self.shell.services.tls, &url.host) {
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
        let request = handshake.request(stream.url(), &stream.upgrade, clock::unix_seconds() as u64);
        stream.link.queue.push_raw(&request);
        stream.phase = Phase::Upgrading(handshake);
        self.flush(now, index);
    }

    pub(super) fn upgraded(&mut self, now: Time, index: u32, answer: Upgraded) {
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        stream.phase = Phase::Open;
        let is_first = !std::mem::replace(&mut stream.was_open, true);
        (stream.open_since, stream.dialled_in) = (now, false);
        stream.link.last_progress = now;
        stream.link.next_ping = now.plus_millis(ping_ms(&self.shell.services.timeouts, stream));
        let connect_ms = now.micros_since(stream.opened_at) as f64 / 1000.0;
        let (key, session, name) = (stream.key, stream.session.clone(), stream.name.clone());
        // A later connection of the same stream is told when the application has agreed to it.
        if is_first {
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
        }
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
