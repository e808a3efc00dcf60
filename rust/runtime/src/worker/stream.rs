//! The socket of a stream: what it waits for, what it holds, and until when.

use std::net::SocketAddr;

use media::{StreamKey, Time};

use super::mailbox::SocketId;
use crate::command::StreamReport;
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
///      └───────────┴────────────┴───────────┴────────┴── a failure → gone
/// ```
pub enum Phase {
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
    /// What is told when time runs out here; `None` where nothing is waited for.
    pub fn timeout(&self) -> Option<CloseCause> {
        let (reason, detail) = match self {
            Self::Resolving => (CloseReason::DnsFailed, "the name was not resolved in time"),
            Self::Connecting => (CloseReason::ConnectTimeout, "no answer to the TCP connection"),
            Self::Securing => (CloseReason::ConnectTimeout, "no answer to the TLS handshake"),
            Self::Upgrading(_) => (CloseReason::ConnectTimeout, "no answer to the WebSocket upgrade"),
            Self::Open | Self::Closing => return None,
        };
        Some(CloseCause::new(reason, detail))
    }

    /// What is told when the peer ends the connection here, with `why` from the network if it said.
    pub fn lost(&self, why: Option<&std::io::Error>) -> CloseCause {
        let (reason, when) = match self {
            Self::Resolving | Self::Connecting => (CloseReason::ConnectRefused, "while it was made"),
            Self::Securing => (CloseReason::TlsFailed, "during the TLS handshake"),
            Self::Upgrading(_) => (CloseReason::BadUpgrade, "before the answer to the upgrade"),
            Self::Open | Self::Closing => (CloseReason::ConnectionLost, "without a close frame"),
        };
        let why = why.map_or_else(String::new, |error| format!(": {error}"));
        CloseCause::new(reason, format!("the connection ended {when}{why}"))
    }
}

/// One stream's connection to its application.
pub struct StreamSocket {
    pub id: SocketId,
    pub key: StreamKey,
    pub session: String,
    pub name: String,
    pub url: WebSocketUrl,
    /// What the request says beside where it goes.
    pub upgrade: Upgrade,
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

impl StreamSocket {
    /// Queue a frame; `flush` writes it.
    pub fn push(&mut self, now: Time, kind: Kind, opcode: OpCode, mask: [u8; 4], payload: &[u8]) {
        if self.queue.is_empty() {
            self.last_progress = now;
        }
        self.queue.push(kind, opcode, mask, payload);
    }

    /// Queue a close frame with a code.
    pub fn push_close(&mut self, now: Time, mask: [u8; 4], code: Option<u16>) {
        let payload = code.map(u16::to_be_bytes);
        let payload = payload.as_ref().map_or(&[][..], |code| &code[..]);
        self.push(now, Kind::Control, OpCode::Close, mask, payload);
    }

    /// The engine's account with what is known only here.
    pub fn report(&self, stats: media::StreamStats) -> StreamReport {
        StreamReport {
            stats,
            send_dropped: self.queue.dropped(),
        }
    }
}
