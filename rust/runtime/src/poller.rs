//! One epoll per worker, level-triggered: what is not read now is told again at the next tick.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::Timespec;

/// Sockets told as ready in one turn; the rest is told at the next.
const MAX_READY: usize = 1024;

/// Whom a readiness is for. The index is that of the worker's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Commands wait.
    Wake,
    /// The RTP socket of a leg.
    Rtp(u32),
    /// The RTCP socket of a leg.
    Rtcp(u32),
    /// The TCP socket of a stream.
    Stream(u32),
    /// The socket that applications dial.
    Listener,
}

impl Token {
    fn pack(self) -> u64 {
        let (kind, index) = match self {
            Self::Wake => (0, 0),
            Self::Rtp(index) => (1, index),
            Self::Rtcp(index) => (2, index),
            Self::Stream(index) => (3, index),
            Self::Listener => (4, 0),
        };
        kind << 32 | u64::from(index)
    }

    fn unpack(data: u64) -> Self {
        let index = data as u32;
        match data >> 32 {
            1 => Self::Rtp(index),
            2 => Self::Rtcp(index),
            3 => Self::Stream(index),
            4 => Self::Listener,
            _ => Self::Wake,
        }
    }
}

/// What a socket can do now.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Whose socket it is.
    pub token: Token,
    /// A read will not block: data, an end or an error.
    pub is_readable: bool,
    /// A write will not block, or will tell the error.
    pub is_writable: bool,
}

/// The epoll of one worker and its wake-up.
pub struct Poller {
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    ready: Vec<Ready>,
}

/// Wakes a poller from another thread.
#[derive(Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Make the poller return. Waking twice is waking once.
    pub fn wake(&self) {
        // The counter of an eventfd can only be full when it is readable already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

impl Poller {
    /// A poller with nothing but its wake-up registered.
    pub fn new() -> std::io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        epoll::add(
            &epoll,
            &*wake,
            EventData::new_u64(Token::Wake.pack()),
            EventFlags::IN,
        )?;
        Ok(Self {
            epoll,
            wake,
            ready: Vec::with_capacity(MAX_READY),
        })
    }

    /// A handle for other threads.
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// Take the wake-up back, so that it is not told again.
    pub fn clear_wake(&self) {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&*self.wake, &mut counter);
    }

    /// Be told of a socket; `is_writing` asks for writability as well.
    pub fn add(&self, socket: impl AsFd, token: Token, is_writing: bool) -> std::io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            socket,
            EventData::new_u64(token.pack()),
            interest(is_writing),
        )?)
    }

    /// Change what is told of a socket.
    pub fn modify(&self, socket: impl AsFd, token: Token, is_writing: bool) -> std::io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            socket,
            EventData::new_u64(token.pack()),
            interest(is_writing),
        )?)
    }

    /// Be told of a socket no more: it goes to another poller.
    pub fn remove(&self, socket: impl AsFd) -> std::io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Collect all that is ready; when that is nothing, wait so many milliseconds for something. `None` waits for ever.
    /// False: there is nothing. A signal may end the wait early.
    pub fn wait(&mut self, timeout_ms: Option<u64>) -> std::io::Result<bool> {
        let timeout = timeout_ms.map(|ms| Timespec {
            tv_sec: (ms / 1000).min(3600) as i64,
            tv_nsec: (ms % 1000 * 1_000_000) as i64,
        });
        self.ready.clear();
        let mut events = [const { MaybeUninit::<Event>::uninit() }; MAX_READY];
        match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => self.ready.extend(events.iter().map(Ready::new)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(!self.ready.is_empty())
    }

    /// What the last `wait` found, by position.
    pub fn ready(&self, position: usize) -> Option<Ready> {
        self.ready.get(position).copied()
    }
}

impl Ready {
    fn new(event: &Event) -> Self {
        let (flags, data) = (event.flags, event.data);
        let is_broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        Self {
            token: Token::unpack(data.u64()),
            is_readable: is_broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
            is_writable: is_broken || flags.contains(EventFlags::OUT),
        }
    }
}

fn interest(is_writing: bool) -> EventFlags {
    if is_writing {
        EventFlags::IN | EventFlags::OUT
    } else {
        EventFlags::IN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_packing() {
        for token in [
            Token::Wake,
            Token::Rtp(7),
            Token::Rtcp(u32::MAX),
            Token::Stream(0),
            Token::Listener,
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }

    #[test]
    fn a_wake_up_is_told_until_it_is_cleared() {
        let mut poller = Poller::new().unwrap();
        assert!(!poller.wait(Some(0)).unwrap());
        poller.waker().wake();
        poller.waker().wake();
        assert!(poller.wait(None).unwrap());
        assert_eq!(poller.ready(0).unwrap().token, Token::Wake);
        poller.clear_wake();
        assert!(!poller.wait(Some(0)).unwrap());
        assert!(poller.ready(0).is_none());
    }
}
