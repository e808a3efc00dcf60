//! Streams that have a connection: reading, writing, deadlines, and the end. How they come to it is in `dialling`.

use media::{Engine, Source, Time};

use super::Worker;
use super::stream::{Phase, StreamSocket};
use crate::command::StreamReport;
use crate::event::{CloseCause, CloseReason, Event, StreamEvent};
use crate::node::StreamTimeouts;
use crate::poller::{Ready, Token};
use crate::transport::{Received, TransportError};
use crate::websocket::frame::OpCode;
use crate::websocket::handshake::{HandshakeError, Upgraded};
use crate::websocket::mask::RandomPool;
use crate::websocket::receiver::Incoming;
use crate::websocket::send_queue::Kind;
use crate::websocket::{Violation, close_code};

/// Unanswered pings after which the peer is dead.
const MAX_UNANSWERED_PINGS: u32 = 2;
/// A stream that is resumed is asked more often whether anybody is there: what is lost until that is known must be in
/// its ring.
const RESUMABLE_PING_MS: u64 = 1_000;
const MAX_UNANSWERED_RESUMABLE_PINGS: u32 = 5;
/// How long the closing handshake may take.
pub(super) const CLOSING_MS: u64 = 1000;
/// Bytes that wait for a connection at which the engine holds back what it can keep, and at which it goes on.
const HOLD_BACK_BYTES: usize = 64 << 10;
const GO_ON_BYTES: usize = 16 << 10;

/// Why a stream ends, and the close code that the application is told, if it still can be.
pub(super) type End = (CloseCause, Option<u16>);

/// What a read led to.
pub(super) enum Step {
    /// Nothing but perhaps something to write.
    Flush,
    /// TLS is ready.
    Secured,
    /// The upgrade is answered.
    Upgraded(Upgraded),
    /// Messages were taken.
    Messages,
    /// The peer has closed its side of a stream that is over.
    Gone,
}

impl Worker<'_> {
    // --- serving ---------------------------------------------------------------------------------------------------

    /// The socket is ready: go on with whatever it waits for.
    pub(super) fn serve_stream(&mut self, now: Time, index: u32, ready: Ready) {
        let Some(stream) = self.streams.get(index as usize) else {
            return;
        };
        if matches!(stream.phase, Phase::Connecting) {
            return self.connected(now, index);
        }
        if ready.is_writable {
            self.flush(now, index);
        }
        if ready.is_readable {
            self.read(now, index);
        }
    }

    fn read(&mut self, now: Time, index: u32) {
        let Self {
            streams,
            scratch,
            engine,
            random,
            ..
        } = self;
        let Some(stream) = streams.get_mut(index as usize) else {
            return;
        };
        let Some(transport) = stream.link.transport.as_mut() else {
            return;
        };
        let outcome = match transport.read(scratch) {
            Ok(Received::Nothing) => return,
            Ok(Received::End) | Err(_) if matches!(stream.phase, Phase::Closing) => Ok(Step::Gone),
            Ok(Received::End) => Err((stream.phase.lost(None), None)),
            Err(TransportError::Io(error)) => Err((stream.phase.lost(Some(&error)), None)),
            Err(TransportError::Tls(why)) => Err((tls_failure(&stream.phase, why), None)),
            Ok(Received::Data(data)) => {
                stream.link.unanswered_pings = 0;
                match &mut stream.phase {
                    Phase::Securing if !transport.is_handshaking() => Ok(Step::Secured),
                    Phase::Upgrading(handshake) => match handshake.receive(data) {
                        Ok(Some(answer)) => Ok(Step::Upgraded(answer)),
                        Ok(None) => Ok(Step::Flush),
                        Err(error) => Err((upgrade_failure(error), None)),
                    },
                    Phase::Open => take_messages(now, stream, data, engine, random),
                    _ => Ok(Step::Flush),
                }
            }
        };
        self.step(now, index, outcome);
    }

    pub(super) fn step(&mut self, now: Time, index: u32, outcome: Result<Step, End>) {
        match outcome {
            Err((cause, code)) => self.fail(now, index, cause, code),
            Ok(Step::Secured) => self.request_upgrade(now, index),
            Ok(Step::Upgraded(answer)) => self.upgraded(now, index, answer),
            Ok(Step::Gone) => self.remove_stream(index),
            Ok(Step::Flush) => self.dirty.push(index),
            // What is to be answered is queued with what the frames of this turn make.
            Ok(Step::Messages) => {}
        }
    }

    /// Write every stream that has something new, once.
    pub(super) fn flush_dirty(&mut self, now: Time) {
        while let Some(index) = self.dirty.pop() {
            let stream = self.streams.get(index as usize);
            // A blocked socket is written when the poller says that it takes more.
            if stream.is_some_and(|stream| !stream.link.is_watched_for_write) {
                self.flush(now, index);
            }
        }
    }

    pub(super) fn flush(&mut self, now: Time, index: u32) {
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        let Some(transport) = stream.link.transport.as_mut() else {
            return;
        };
        let id = stream.id;
        match transport.write(&mut stream.link.queue) {
            Ok(written) => {
                let waiting = stream.link.queue.unwritten().len();
                let limit = if stream.is_held_back {
                    GO_ON_BYTES
                } else {
                    HOLD_BACK_BYTES
                };
                if stream.greets && stream.is_held_back != (waiting > limit) {
                    stream.is_held_back = waiting > limit;
                    // The engine does not know a stream that has just ended.
                    let _ = self.engine.block_stream(stream.key, stream.is_held_back);
                }
                if written.bytes > 0 || stream.link.queue.is_empty() {
                    stream.link.last_progress = now;
                }
                if written.is_blocked != stream.link.is_watched_for_write {
                    stream.link.is_watched_for_write = written.is_blocked;
                    let token = Token::Stream(index);
                    if let Err(error) = self
                        .shell
                        .poller
                        .modify(&transport.socket, token, written.is_blocked)
                    {
                        tracing::error!(%error, "epoll refuses a socket it has");
                    }
                }
            }
            Err(_) if matches!(stream.phase, Phase::Closing) => self.remove_stream(index),
            Err(error) => {
                // The application may have said why before it went: its words are read first.
                let cause = stream.phase.lost(Some(&error));
                self.read(now, index);
                let stream = self.streams.get(index as usize);
                if stream.is_some_and(|stream| stream.id == id && !matches!(stream.phase, Phase::Closing)) {
                    self.fail(now, index, cause, None);
                }
            }
        }
    }

    /// Look at the deadlines of all streams.
    pub(super) fn sweep_streams(&mut self, now: Time) {
        let indices: Vec<u32> = self.streams.iter().map(|(index, _)| index as u32).collect();
        for index in indices {
            let Some(stream) = self.streams.get(index as usize) else {
                continue;
            };
            match stream.phase {
                Phase::Open => {
                    self.check_open(now, index);
                    self.check_greeting(now, index);
                }
                Phase::Waiting => self.check_waiting(now, index),
                Phase::Closing if now >= stream.deadline => self.remove_stream(index),
                Phase::Closing => {}
                Phase::Connecting if now >= stream.attempt_deadline && now < stream.deadline => {
                    self.give_up_address(now, index);
                }
                _ => {
                    if !self.check_window(now, index)
                        && let Some(stream) = self.streams.get(index as usize)
                        && now >= stream.deadline
                        && let Some(cause) = stream.phase.timeout()
                    {
                        self.fail(now, index, cause, None);
                    }
                }
            }
        }
    }

    fn check_open(&mut self, now: Time, index: u32) {
        let timeouts = self.shell.services.timeouts;
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        if !stream.link.queue.is_empty() && now.millis_since(stream.link.last_progress) >= timeouts.stall_ms {
            let detail = format!("the application took nothing for {} s", timeouts.stall_ms / 1000);
            return self.fail(now, index, CloseCause::new(CloseReason::AppStalled, detail), None);
        }
        if now < stream.link.next_ping {
            return;
        }
        let limit = match stream.resume {
            Some(_) => MAX_UNANSWERED_RESUMABLE_PINGS,
            None => MAX_UNANSWERED_PINGS,
        };
        if stream.link.unanswered_pings >= limit {
            let detail = format!("nothing came from the application since {limit} pings");
            let cause = CloseCause::new(CloseReason::PingTimeout, detail);
            return self.fail(now, index, cause, Some(close_code::POLICY_VIOLATION));
        }
        stream.link.unanswered_pings += 1;
        stream.link.next_ping = now.plus_millis(ping_ms(&timeouts, stream));
        stream.push(now, Kind::Control, OpCode::Ping, self.random.take(), &[]);
        self.dirty.push(index);
    }

    // --- ending ----------------------------------------------------------------------------------------------------

    /// Close a stream as control wishes.
    pub(super) fn close_by_control(&mut self, now: Time, index: u32, code: u16) -> Option<StreamReport> {
        let stream = self.streams.get(index as usize)?;
        let code = matches!(stream.phase, Phase::Open).then_some(code);
        let cause = CloseCause {
            reason: CloseReason::ClosedByControl,
            code,
            detail: None,
        };
        let report = self.conclude(now, index, cause)?;
        self.close_socket(now, index, code);
        Some(report)
    }

    /// The connection is over, and so is the stream unless it goes on without one. With a code, and if it was open, the
    /// application is told.
    pub(super) fn fail(&mut self, now: Time, index: u32, cause: CloseCause, code: Option<u16>) {
        if self.goes_on(now, index, &cause) {
            return self.lose(now, index, cause, code);
        }
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        let is_open = stream.phase.is_open();
        if !stream.was_open
            && stream.way + 1 < stream.ways.len()
            && cause.reason != CloseReason::SessionFailed
        {
            // The application may be elsewhere, and is to hear nothing of what was said here.
            let way = stream.way + 1;
            drop(stream.renew_link(now));
            return self.dial(now, index, way);
        }
        self.conclude(now, index, cause);
        self.close_socket(now, index, code.filter(|_| is_open));
    }

    /// End the stream for the engine and for control: this is the one place that tells `stream.closed`.
    fn conclude(&mut self, now: Time, index: u32, cause: CloseCause) -> Option<StreamReport> {
        // What the engine made so far still has its place before the close frame.
        self.relay(now);
        let key = self.streams.get(index as usize)?.key;
        self.stream_of.get(&key).filter(|known| **known == index)?;
        // The engine does not know the streams of a session that has failed.
        let stats = self.engine.close_stream(now, key).unwrap_or_default();
        self.relay(now);
        self.stream_of.remove(&key)?;
        let stream = self.streams.get(index as usize)?;
        if let Some(resume) = &stream.resume
            && self.handles.remove(&resume.handle).is_some()
        {
            self.shell.services.directory.remove(resume.handle);
        }
        let report = stream.report(stats);
        let (session, name) = (stream.session.clone(), stream.name.clone());
        if let Some(entry) = self.sessions.get_mut(&session) {
            entry.streams.remove(&name);
        }
        tracing::info!(stream = name, reason = cause.reason.as_str(), "stream closed");
        self.tell(
            &session,
            Event::Stream {
                stream: name,
                event: StreamEvent::Closed { cause, report },
            },
        );
        Some(report)
    }

    /// Begin the closing handshake, or drop the connection when there is nobody to tell.
    fn close_socket(&mut self, now: Time, index: u32, code: Option<u16>) {
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        let Some(code) = code else {
            return self.remove_stream(index);
        };
        stream.phase = Phase::Closing;
        stream.deadline = now.plus_millis(CLOSING_MS);
        let code = (code != close_code::NO_STATUS).then_some(code);
        stream.push_close(now, self.random.take(), code);
        self.dirty.push(index);
    }

    fn remove_stream(&mut self, index: u32) {
        if let Some(mut stream) = self.streams.try_remove(index as usize)
            && let Some(transport) = stream.link.transport.as_mut()
        {
            transport.end();
        }
    }
}

/// How often the peer is asked whether it is there.
pub(super) fn ping_ms(timeouts: &StreamTimeouts, stream: &StreamSocket) -> u64 {
    match stream.resume {
        Some(_) => timeouts.ping_ms.min(RESUMABLE_PING_MS),
        None => timeouts.ping_ms,
    }
}

/// Take what an open stream received. An end is the application's close, or its violation of the protocol.
pub(super) fn take_messages(
    now: Time,
    stream: &mut StreamSocket,
    data: &[u8],
    engine: &mut Engine,
    random: &mut RandomPool,
) -> Result<Step, End> {
    let mut closed = None;
    let mut receiver = std::mem::take(&mut stream.link.receiver);
    let taken = receiver.receive(data, |incoming| match incoming {
        Incoming::Text(text) => engine.receive(now, Source::Stream(stream.key), text.as_bytes()),
        Incoming::Binary(message) => engine.receive(now, Source::StreamBinary(stream.key), message),
        Incoming::Ping(payload) => stream.push(now, Kind::Pong, OpCode::Pong, random.take(), payload),
        Incoming::Pong => {}
        Incoming::Close { code, reason } => closed = Some((code, reason.to_string())),
    });
    stream.link.receiver = receiver;
    taken.map_err(violation)?;
    match closed {
        // RFC 6455 §7.1.5: a close frame without a code counts as 1005. §5.5.1: the answer echoes the code.
        Some((code, reason)) => {
            let code = code.unwrap_or(close_code::NO_STATUS);
            let detail = Some(reason).filter(|reason| !reason.is_empty());
            let cause = CloseCause {
                reason: CloseReason::ClosedByApp,
                code: Some(code),
                detail,
            };
            Err((cause, Some(code)))
        }
        None if !stream.link.queue.is_empty() => Ok(Step::Flush),
        None => Ok(Step::Messages),
    }
}

fn violation(violation: Violation) -> End {
    let reason = match violation.close_code {
        close_code::MESSAGE_TOO_BIG => CloseReason::MessageTooBig,
        _ => CloseReason::ProtocolError,
    };
    let code = Some(violation.close_code);
    (CloseCause::new(reason, violation.detail).with_code(code), code)
}

fn tls_failure(phase: &Phase, why: String) -> CloseCause {
    match phase {
        Phase::Open => CloseCause::new(CloseReason::ConnectionLost, format!("TLS: {why}")),
        _ => CloseCause::new(CloseReason::TlsFailed, why),
    }
}

fn upgrade_failure(error: HandshakeError) -> CloseCause {
    match error {
        HandshakeError::Status(line) => CloseCause::new(CloseReason::HttpStatus, line),
        HandshakeError::BadUpgrade(why) => CloseCause::new(CloseReason::BadUpgrade, why),
    }
}
