//! The WebSocket protocol (RFC 6455) as pure state: bytes in, messages out, and back. We are the client, but for an
//! application that comes by itself to go on with its stream ([`acceptance`]).
//!
//! Nothing here owns a socket or reads a clock. Left out: extensions (compression is never offered).

pub mod acceptance;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod receiver;
pub mod send_queue;
pub mod upgrade;
pub mod url;

/// Which end of a connection we are: a client masks what it sends and a server does not (§5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// We have dialled.
    #[default]
    Client,
    /// We were dialled.
    Server,
}

/// Close codes of RFC 6455 §7.4.1 that are sent from here.
pub mod close_code {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The endpoint is going away: the server shuts down.
    pub const GOING_AWAY: u16 = 1001;
    /// A fault of ours.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A close frame came without a code; never sent (§7.1.5).
    pub const NO_STATUS: u16 = 1005;
    /// A text message was not UTF-8.
    pub const INVALID_PAYLOAD: u16 = 1007;
    /// The peer took too long, or broke another rule of ours.
    pub const POLICY_VIOLATION: u16 = 1008;
    /// A message was over the limit.
    pub const MESSAGE_TOO_BIG: u16 = 1009;
    /// longline.v1: `hello` could not be met.
    pub const BAD_HELLO: u16 = 4400;
    /// longline.v1: the token is wrong or used.
    pub const WRONG_TOKEN: u16 = 4401;
    /// longline.v1: no `hello` in time.
    pub const NO_HELLO: u16 = 4408;
    /// longline.v1: a newer connection has the stream.
    pub const FENCED: u16 = 4409;
    /// longline.v1: a message was too long.
    pub const TOO_LONG: u16 = 4413;
}

/// Why the receiving side gave up. The connection is of no more use; `close_code` is what the peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The close code for the peer: 1002, 1007 or 1009.
    pub close_code: u16,
    /// What the peer did, in words.
    pub detail: &'static str,
}

impl Violation {
    pub(crate) const fn protocol(detail: &'static str) -> Self {
        Self {
            close_code: close_code::PROTOCOL_ERROR,
            detail,
        }
    }

    pub(crate) const fn not_utf8(detail: &'static str) -> Self {
        Self {
            close_code: close_code::INVALID_PAYLOAD,
            detail,
        }
    }

    pub(crate) const fn too_big() -> Self {
        Self {
            close_code: close_code::MESSAGE_TOO_BIG,
            detail: "a message is over the limit of 1 MiB",
        }
    }
}
