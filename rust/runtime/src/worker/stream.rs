//! The socket of a stream: what it waits for, what it holds, and until when.

use std::net::SocketAddr;

use media::{StreamKey, Time};

use super::mailbox::SocketId;
use super::redial::Redial;
use crate::command::{StreamReport, Way};
use crate::event::{CloseCause, CloseReason};
use crate::transport::Transport;
use crate::websocket::frame::OpCode;
use crate::websocket::handshake::Handshake;
use crate::websocket::receiver::Receiver;
use crate::websocket::send_queue::{Kind, SendQueue};
use crate::websocket::upgrade::Upgrade;
use crate::websocket::url::WebSocketUrl;

/// What the socket waits for.
///
/// ```text
/// Resolving → Connecting → (Securing →) Upgrading → Open → Closing → gone
///      │  └───────┴────────────┴───────────┴────────┴── a failure → gone, or, if the stream resumes, Waiting
///      └── Waiting ←
/// ```
pub enum Phase {
    /// The connection is lost: the time of the next try, or the application's own coming.
    Waiting,
    /// The name's addresses.
    Resolving,
    /// The TCP connection.
    Connecting,
    /// The TLS handshake.
    Securing,
    /// The answer to the upgrade.
    Upgrading(Handshake),
    /// Messages.
    Open,
    /// The peer's side of the closing handshake; the stream itself is over and told.
    Closing,
}

impl Phase {
    /// Messages go both ways.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// What is told when time runs out here; `None` where nothing is waited for.
    pub fn timeout(&self) -> Option<CloseCause> {
        let (reason, detail) = match self {
            Self::Resolving => (CloseReason::DnsFailed, "the name was not resolved in time"),
            Self::Connecting => (CloseReason::ConnectTimeout, "no answer to the TCP connection"),
            Self::Securing => (CloseReason::ConnectTimeout, "no answer to the TLS handshake"),
            Self::Upgrading(_) => (CloseReason::ConnectTimeout, "no answer to the WebSocket upgrade"),
            Self::Waiting | Self::Open | Self::Closing => return None,
        };
        Some(CloseCause::new(reason, detail))
    }

    /// What is told when the peer ends the connection here, with `why` from the network if it said.
    pub fn lost(&self, why: Option<&std::io::Error>) -> CloseCause {
        let (reason, when) = match self {
            Self::Waiting | Self::Resolving | Self::Connecting => {
                (CloseReason::ConnectRefused, "while it was made")
            }
            Self::Securing => (CloseReason::TlsFailed, "during the TLS handshake"),
            Self::Upgrading(_) => (CloseReason::BadUpgrade, "before the answer to the upgrade"),
            Self::Open | Self::Closing => (CloseReason::ConnectionLost, "without a close frame"),
        };
        let why = why.map_or_else(String::new, |error| format!(": {error}"));
        CloseCause::new(reason, format!("the connection ended {when}{why}"))
    }
}

/// One TCP connection with what waits in it, both ways. A stream that resumes has several, one after the other.
pub struct Link {
    pub transport: Option<Transport>,
    /// The poller is asked to tell of writability.
    pub is_watched_for_write: bool,
    pub queue: SendQueue,
    pub receiver: Receiver,
    /// When the kernel last took bytes, or had taken all.
    pub last_progress: Time,
    pub next_ping: Time,
    /// Pings since the peer was last heard.
    pub unanswered_pings: u32,
}

impl Link {
    /// A link without a connection yet, for messages of `chunk_ms` of audio.
    pub fn new(now: Time, chunk_ms: u32) -> Self {
        Self {
            transport: None,
            is_watched_for_write: false,
            queue: SendQueue::new(chunk_ms),
            receiver: Receiver::default(),
            last_progress: now,
            next_ping: now,
            unanswered_pings: 0,
        }
    }
}

/// What a stream has that outlives its connection (longline.v1 §6).
pub struct Resume {
    /// How long it may be without one.
    pub window_ms: u64,
    /// The outage that has not been overcome for good.
    pub redial: Option<Redial>,
    /// Control knows that there is no connection.
    pub is_told: bool,
    /// What its tokens have in common.
    pub handle: u64,
}

impl Resume {
    /// Of a stream that is opened.
    pub fn new(window_ms: u64, handle: u64) -> Self {
        Self {
            handle,
            window_ms,
            redial: None,
            is_told: false,
        }
    }
}

/// One stream's connection to its application, or what is left of it: while it closes, and between two.
pub struct StreamSocket {
    pub id: SocketId,
    pub key: StreamKey,
    pub session: String,
    pub name: String,
    /// Where the application may be, and which of them is tried or was reached.
    pub ways: Vec<Way>,
    pub way: usize,
    /// What takes the place of `ways` at the next try, and which of those is tried then.
    pub next_ways: Option<Vec<Way>>,
    pub next_way: usize,
    /// What the request says beside where it goes.
    pub upgrade: Upgrade,
    pub resume: Option<Resume>,
    /// The application has to say hello on each connection.
    pub greets: bool,
    /// There has been an open connection; since when the present one is.
    pub was_open: bool,
    pub open_since: Time,
    /// The application has agreed to a connection; since when to the present one.
    pub was_ready: bool,
    pub ready_since: Option<Time>,
    /// The present connection was made by the application.
    pub dialled_in: bool,
    /// The engine holds back what the connection does not take.
    pub is_held_back: bool,
    pub phase: Phase,
    pub opened_at: Time,
    /// Until when `phase` may last; not looked at while open.
    pub deadline: Time,
    /// Until when the present address has to answer.
    pub attempt_deadline: Time,
    /// Addresses not tried yet, the next one last.
    pub addresses: Vec<SocketAddr>,
    /// The address tried now.
    pub address: Option<SocketAddr>,
    /// Why the last address failed; what is told when none is left.
    pub last_failure: CloseCause,
    pub link: Link,
    /// The sound of one message.
    pub chunk_ms: u32,
    /// What links before this one have dropped.
    pub dropped_before: u64,
}

impl StreamSocket {
    /// The end of a connection that `stream` has no more.
    pub fn closing(id: SocketId, stream: &Self, link: Link, deadline: Time) -> Self {
        Self {
            id,
            key: stream.key,
            session: stream.session.clone(),
            name: stream.name.clone(),
            ways: Vec::new(),
            way: 0,
            next_ways: None,
            next_way: 0,
            upgrade: Upgrade::default(),
            resume: None,
            greets: false,
            was_open: true,
            open_since: stream.open_since,
            was_ready: true,
            ready_since: None,
            dialled_in: stream.dialled_in,
            is_held_back: false,
            phase: Phase::Closing,
            opened_at: stream.opened_at,
            deadline,
            attempt_deadline: deadline,
            addresses: Vec::new(),
            address: None,
            last_failure: stream.last_failure.clone(),
            link,
            chunk_ms: stream.chunk_ms,
            dropped_before: 0,
        }
    }

    /// Queue a frame; `flush` writes it.
    pub fn push(&mut self, now: Time, kind: Kind, opcode: OpCode, mask: [u8; 4], payload: &[u8]) {
        if self.link.queue.is_empty() {
            self.link.last_progress = now;
        }
        self.link.queue.push(kind, opcode, mask, payload);
    }

    /// Queue a close frame with a code.
    pub fn push_close(&mut self, now: Time, mask: [u8; 4], code: Option<u16>) {
        let payload = code.map(u16::to_be_bytes);
        let payload = payload.as_ref().map_or(&[][..], |code| &code[..]);
        self.push(now, Kind::Control, OpCode::Close, mask, payload);
    }

    /// The URL that is tried, or was reached.
    pub fn url(&self) -> &WebSocketUrl {
        &self.ways[self.way].url
    }

    /// Begin with a new link; the old one is the caller's.
    pub fn renew_link(&mut self, now: Time) -> Link {
        self.dropped_before += self.link.queue.dropped();
        std::mem::replace(&mut self.link, Link::new(now, self.chunk_ms))
    }

    /// The engine's account with what is known only here.
    pub fn report(&self, stats: media::StreamStats) -> StreamReport {
        StreamReport {
            stats,
            send_dropped: self.dropped_before + self.link.queue.dropped(),
        }
    }
}
