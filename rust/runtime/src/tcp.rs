//! TCP connections, made without waiting: the worker's poller tells when one is made.

use std::io;
use std::net::{SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

/// Kernel send buffer of a stream. Small, so that an application that stops reading is noticed by the send queue within
/// seconds, and not by a kernel buffer of megabytes within minutes; still twice the longest message of 20 ms chunks a
/// long-distance round trip holds.
const SEND_BUFFER_BYTES: usize = 32 << 10;

/// Begin to connect. The socket becomes writable when that has succeeded or failed.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER_BYTES)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

/// Make a connection that was accepted like one that was dialled.
pub fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER_BYTES)?;
    Ok(())
}

/// How the attempt ended; asked when the socket is writable.
pub fn outcome(socket: &TcpStream) -> io::Result<()> {
    sockopt::socket_error(socket)?.map_err(io::Error::from)
}
