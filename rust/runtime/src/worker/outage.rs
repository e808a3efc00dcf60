//! A stream without a connection: what counts as a loss, when it is dialled again, and how it ends if that does not help
//! (longline.v1 §6). When to try, and where, is in `redial`; how is in `dialling`.

use media::{Closing, StreamKey, Time};

use super::Worker;
use super::mailbox::SocketId;
use super::redial::{HEALTHY_MS, Redial};
use super::stream::{Link, Phase, StreamSocket};
use super::streams::CLOSING_MS;
use crate::command::{Answer, Outcome, Way};
use crate::event::{CloseCause, CloseReason, Event, StreamEvent};
use crate::poller::Token;
use crate::websocket::close_code;

/// How long an application may take for its first message.
const HELLO_MS: u64 = 5_000;

impl Worker<'_> {
    /// Whether a stream that loses its connection like this goes on.
    pub(super) fn goes_on(&self, now: Time, index: u32, cause: &CloseCause) -> bool {
        let Some(stream) = self.streams.get(index as usize) else {
            return false;
        };
        let Some(resume) = &stream.resume else {
            return false;
        };
        let is_drop = match cause.reason {
            // A close frame with 1000 is an end in order; any other is an application that goes down.
            CloseReason::ClosedByApp => cause.code != Some(close_code::NORMAL),
            CloseReason::ClosedByControl | CloseReason::SessionFailed | CloseReason::WindowPassed => false,
            // Whoever has never agreed will not do so the next time either.
            CloseReason::BadHello => stream.was_ready,
            _ => true,
        };
        let is_over = resume.redial.is_some_and(|redial| redial.is_over(now));
        is_drop && stream.was_open && !is_over
    }

    /// The connection, or the try to make one, is lost: wait for the next try.
    pub(super) fn lose(&mut self, now: Time, index: u32, cause: CloseCause, code: Option<u16>) {
        // What the engine made so far still has its place before the close frame.
        self.relay(now);
        let serial = self.new_serial();
        let chance = u32::from_ne_bytes(self.random.take());
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        // Whatever is on its way for the connection that was is late.
        stream.id.serial = serial;
        let was_healthy = stream
            .ready_since
            .is_some_and(|since| now.millis_since(since) >= HEALTHY_MS);
        let (key, link) = (stream.key, stream.renew_link(now));
        let was_open = std::mem::replace(&mut stream.phase, Phase::Waiting).is_open();
        stream.ready_since = None;
        let ways = stream.next_ways.as_ref().unwrap_or(&stream.ways).len();
        let way = stream.way;
        let Some(resume) = stream.resume.as_mut() else {
            return;
        };
        if was_healthy {
            resume.redial = None;
        }
        let redial = resume
            .redial
            .get_or_insert_with(|| Redial::begin(now, resume.window_ms, way));
        let (at, way) = redial.next(now, ways, chance);
        (stream.deadline, stream.next_way) = (at, way);
        let window_ms = resume.window_ms;
        let is_news = !std::mem::replace(&mut resume.is_told, true);
        stream.last_failure = cause.clone();
        let (session, name) = (stream.session.clone(), stream.name.clone());
        self.part_with(now, index, link, code.filter(|_| was_open));
        if was_open && let Err(error) = self.engine.stream_disconnected(now, key) {
            tracing::error!(%error, "the engine does not know a stream of its own");
        }
        if is_news {
            tracing::info!(
                stream = name,
                reason = cause.reason.as_str(),
                "stream disconnected"
            );
            let event = StreamEvent::Disconnected { cause, window_ms };
            self.tell(&session, Event::Stream { stream: name, event });
        }
        if at <= now {
            self.dial(now, index, way);
        }
    }

    /// Close a connection that is its stream's no longer: in order, if it can still be told why.
    pub(super) fn part_with(&mut self, now: Time, index: u32, mut link: Link, code: Option<u16>) {
        let Some(transport) = link.transport.as_mut() else {
            return;
        };
        let Some(code) = code else {
            return transport.end();
        };
        let id = SocketId {
            index: self.streams.vacant_key() as u32,
            serial: self.new_serial(),
        };
        let token = Token::Stream(id.index);
        let is_kept = self
            .shell
            .poller
            .modify(&transport.socket, token, link.is_watched_for_write);
        let Some(stream) = self.streams.get(index as usize).filter(|_| is_kept.is_ok()) else {
            return;
        };
        let deadline = now.plus_millis(CLOSING_MS);
        let mut closing = StreamSocket::closing(id, stream, link, deadline);
        closing.push_close(now, self.random.take(), Some(code));
        self.streams.insert(closing);
        self.dirty.push(id.index);
    }

    /// Nothing is dialled at the moment: is it time, or is it over?
    pub(super) fn check_waiting(&mut self, now: Time, index: u32) {
        if self.check_window(now, index) {
            return;
        }
        let Some(stream) = self.streams.get(index as usize) else {
            return;
        };
        if now >= stream.deadline {
            let way = stream.next_way;
            self.dial(now, index, way);
        }
    }

    /// True: the window of its outage has passed, and so has the stream.
    pub(super) fn check_window(&mut self, now: Time, index: u32) -> bool {
        let Some(stream) = self.streams.get(index as usize) else {
            return true;
        };
        let redial = stream.resume.as_ref().and_then(|resume| resume.redial);
        let Some(redial) = redial.filter(|redial| redial.is_over(now)) else {
            return false;
        };
        let last = &stream.last_failure;
        let detail = last.detail.as_deref().unwrap_or(last.reason.as_str());
        let detail = format!("no connection after {} tries; the last: {detail}", redial.tries);
        self.fail(
            now,
            index,
            CloseCause::new(CloseReason::WindowPassed, detail),
            None,
        );
        true
    }

    /// What an open connection has time for: to say hello, and to prove itself.
    pub(super) fn check_greeting(&mut self, now: Time, index: u32) {
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        match stream.ready_since {
            Some(since) if now.millis_since(since) >= HEALTHY_MS => {
                if let Some(resume) = stream.resume.as_mut() {
                    resume.redial = None;
                }
            }
            None if stream.greets && now.millis_since(stream.open_since) >= HELLO_MS => {
                self.close_from_inside(now, index, Closing::NoHello);
            }
            _ => {}
        }
    }

    /// The application has agreed to the present connection.
    pub(super) fn stream_ready(&mut self, now: Time, key: StreamKey, epoch: u32, resumed: bool) {
        let Some(index) = self.stream_of.get(&key).copied() else {
            return;
        };
        let Some(stream) = self.streams.get_mut(index as usize) else {
            return;
        };
        stream.ready_since = Some(now);
        stream.was_ready = true;
        let (session, name) = (stream.session.clone(), stream.name.clone());
        let Some(resume) = stream.resume.as_mut() else {
            return;
        };
        if !std::mem::take(&mut resume.is_told) {
            return;
        }
        let redial = resume.redial.unwrap_or(Redial::begin(now, 0, 0));
        let event = StreamEvent::Resumed {
            epoch,
            resumed,
            outage_ms: now.millis_since(redial.since),
            tries: redial.tries,
            dialled_in: stream.dialled_in,
        };
        self.tell(&session, Event::Stream { stream: name, event });
    }

    /// The engine wants a connection closed.
    pub(super) fn stream_closing(&mut self, now: Time, key: StreamKey, why: Closing) {
        if let Some(index) = self.stream_of.get(&key).copied() {
            self.close_from_inside(now, index, why);
        }
    }

    fn close_from_inside(&mut self, now: Time, index: u32, why: Closing) {
        let (reason, code, detail) = match why {
            Closing::Stopped => (
                CloseReason::ClosedByApp,
                close_code::NORMAL,
                "the application said stop",
            ),
            Closing::BadHello(why) => (CloseReason::BadHello, close_code::BAD_HELLO, why),
            Closing::WrongToken => (
                CloseReason::BadHello,
                close_code::WRONG_TOKEN,
                "the token of hello is wrong, or was used",
            ),
            Closing::NoHello => (CloseReason::BadHello, close_code::NO_HELLO, "no hello within 5 s"),
            Closing::TooLong => (
                CloseReason::MessageTooBig,
                close_code::TOO_LONG,
                "a message is longer than the protocol allows",
            ),
        };
        let cause = CloseCause::new(reason, detail).with_code(Some(code));
        self.fail(now, index, cause, Some(code));
    }

    /// Where a stream is dialled from the next try on.
    pub(super) fn set_ways(&mut self, session: &str, stream: &str, ways: Vec<Way>) -> Outcome {
        let index = self.stream_index(session, stream)?;
        if let Some(stream) = self.streams.get_mut(index as usize) {
            stream.next_ways = Some(ways);
        }
        Ok(Answer::Done)
    }
}
