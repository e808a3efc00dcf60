//! The only sockets, threads and clock of the media server.
