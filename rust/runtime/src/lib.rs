//! The only sockets, threads and clock of the media server.
//!
//! A [`node::Node`] has a few workers. Each is one thread with one engine (`media`), one epoll and all sockets of its
//! sessions: from the datagram in to the WebSocket message out nothing changes threads. What may block (names, files)
//! has threads of its own, which answer through the worker's mailbox. Control's words are `server`'s business.

pub mod clock;
pub mod command;
pub mod event;
mod key_map;
pub mod listener;
mod loader;
pub mod node;
mod placement;
mod poller;
mod recorder;
mod resolver;
mod tcp;
pub mod tls;
mod transport;
mod udp;
pub mod websocket;
mod worker;
