//! A TCP connection with or without TLS, for one tick: one read of what is there, one write of what waits.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, Connection, ServerConfig, ServerConnection};

use crate::tls;
use crate::websocket::send_queue::SendQueue;

/// Bytes read from one stream in one tick: 64 MB/s, so that an application that floods takes no more of a worker.
const READ_BYTES: usize = 64 << 10;
/// What was read, and what TLS kept back of a record before.
const PLAIN_BYTES: usize = READ_BYTES + (32 << 10);
/// Plain bytes handed to TLS at once; they are out of the send queue's reach afterwards.
const TLS_WRITE_BYTES: usize = 16 << 10;

/// Buffers for reading, shared by all streams of a worker.
pub struct Scratch {
    plain: Box<[u8]>,
    cipher: Box<[u8]>,
}

impl Scratch {
    /// Buffers of the fixed sizes.
    pub fn new() -> Self {
        Self {
            plain: vec![0; PLAIN_BYTES].into(),
            cipher: vec![0; READ_BYTES].into(),
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// What a read gave.
pub enum Received<'a> {
    /// Bytes; TLS may give none of a record that is not whole.
    Data(&'a [u8]),
    /// Nothing is there.
    Nothing,
    /// The peer sends no more.
    End,
}

/// Why a connection is of no more use.
pub enum TransportError {
    /// The network's reason.
    Io(io::Error),
    /// The reason of TLS, explained.
    Tls(String),
}

impl From<io::Error> for TransportError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a write achieved.
pub struct Written {
    /// Bytes the kernel took.
    pub bytes: usize,
    /// The kernel takes no more now.
    pub is_blocked: bool,
}

/// One connection.
pub struct Transport {
    /// The socket, for the poller.
    pub socket: TcpStream,
    tls: Option<Box<Connection>>,
}

impl Transport {
    /// A connection without TLS, so far.
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// Begin TLS as the client of `host`.
    pub fn secure(&mut self, config: &Arc<ClientConfig>, host: &str) -> Result<(), String> {
        self.tls = Some(Box::new(tls::connection(config, host)?.into()));
        Ok(())
    }

    /// Begin TLS as the server.
    pub fn secure_as_server(&mut self, config: &Arc<ServerConfig>) -> Result<(), String> {
        let tls = ServerConnection::new(config.clone()).map_err(|error| error.to_string())?;
        self.tls = Some(Box::new(tls.into()));
        Ok(())
    }

    /// Whether TLS is not ready for data yet.
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Read what is there, at most `READ_BYTES`, with one system call.
    pub fn read<'a>(&mut self, scratch: &'a mut Scratch) -> Result<Received<'a>, TransportError> {
        let Scratch { plain, cipher } = scratch;
        let Some(tls) = self.tls.as_mut() else {
            return Ok(match read_some(&self.socket, &mut plain[..READ_BYTES])? {
                None => Received::Nothing,
                Some(0) => Received::End,
                Some(count) => Received::Data(&plain[..count]),
            });
        };
        let Some(count) = read_some(&self.socket, cipher)? else {
            return Ok(Received::Nothing);
        };
        if count == 0 {
            return Ok(Received::End);
        }
        let decrypted = decrypt(tls, &cipher[..count], plain).inspect_err(|_| {
            // The alert that tells the peer what is wrong: it leaves if it can.
            let _ = tls.write_tls(&mut &self.socket);
        })?;
        Ok(match decrypted {
            (0, true) => Received::End,
            (count, _) => Received::Data(&plain[..count]),
        })
    }

    /// Write what waits until it is written or the kernel takes no more.
    pub fn write(&mut self, queue: &mut SendQueue) -> io::Result<Written> {
        let mut written = Written {
            bytes: 0,
            is_blocked: false,
        };
        loop {
            if !self.write_records(&mut written)? {
                return Ok(written);
            }
            let unwritten = queue.unwritten();
            if unwritten.is_empty() || self.is_handshaking() {
                return Ok(written);
            }
            let Some(tls) = self.tls.as_mut() else {
                return write_plain(&self.socket, queue);
            };
            let count = tls
                .writer()
                .write(&unwritten[..unwritten.len().min(TLS_WRITE_BYTES)])?;
            queue.consume(count);
        }
    }

    /// Tell the peer that no more comes, as far as that is possible without waiting.
    pub fn end(&mut self) {
        if let Some(tls) = self.tls.as_mut() {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut &self.socket);
        }
    }

    /// Write the TLS records that are ready; false when the kernel takes no more.
    fn write_records(&mut self, written: &mut Written) -> io::Result<bool> {
        let Some(tls) = self.tls.as_mut() else {
            return Ok(true);
        };
        while tls.wants_write() {
            match tls.write_tls(&mut &self.socket) {
                Ok(count) => written.bytes += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    written.is_blocked = true;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

fn read_some(mut socket: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match socket.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A short write says that the kernel's buffer is full: no second one is needed to find out.
fn write_plain(mut socket: &TcpStream, queue: &mut SendQueue) -> io::Result<Written> {
    let unwritten = queue.unwritten();
    match socket.write(unwritten) {
        Ok(bytes) => {
            let is_blocked = bytes < unwritten.len();
            queue.consume(bytes);
            Ok(Written { bytes, is_blocked })
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(Written {
            bytes: 0,
            is_blocked: true,
        }),
        Err(error) => Err(error),
    }
}

/// Decrypt into `plain`; the bytes it got, and whether the peer has closed.
fn decrypt(
    tls: &mut Connection,
    mut cipher: &[u8],
    plain: &mut [u8],
) -> Result<(usize, bool), TransportError> {
    let mut count = 0;
    while !cipher.is_empty() {
        if tls.read_tls(&mut cipher)? == 0 {
            return Ok((count, true));
        }
        tls.process_new_packets()
            .map_err(|error| TransportError::Tls(tls::explain(&error)))?;
        loop {
            match tls.reader().read(&mut plain[count..]) {
                Ok(0) => return Ok((count, true)),
                Ok(more) => count += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok((count, false))
}
