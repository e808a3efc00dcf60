//! The door of the application of a run: it takes the WebSocket connections; what comes over them is `generator`'s.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use base64::Engine as _;
use sha1::{Digest, Sha1};

/// What a server appends to the key (RFC 6455 §1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes connections on a thread of its own.
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    arrivals: Receiver<(usize, TcpStream)>,
}

impl Door {
    /// Opens it on loopback.
    pub fn open() -> Result<Door> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if let Ok(arrival) = welcome(socket)
                    && sender.send(arrival).is_err()
                {
                    return;
                }
            }
        });
        Ok(Door { address, arrivals })
    }

    /// The connections of so many calls, in the calls' order.
    pub fn take(&self, calls: usize) -> std::result::Result<Vec<TcpStream>, RecvTimeoutError> {
        let mut sockets: Vec<Option<TcpStream>> = (0..calls).map(|_| None).collect();
        for _ in 0..calls {
            let (call, socket) = self.arrivals.recv_timeout(PATIENCE)?;
            if let Some(place) = sockets.get_mut(call) {
                *place = Some(socket);
            }
        }
        Ok(sockets.into_iter().flatten().collect())
    }
}

/// The upgrade (RFC 6455 §4.2); the number of the call is the path.
fn welcome(mut socket: TcpStream) -> Result<(usize, TcpStream)> {
    socket.set_nodelay(true)?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut bytes = [0; 1024];
        // The client waits for the answer: nothing comes after the request.
        let count = socket.read(&mut bytes)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&bytes[..count]);
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or_default();
    let call = path
        .trim_start_matches('/')
        .parse()
        .map_err(std::io::Error::other)?;
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    });
    let hash = Sha1::new()
        .chain_update(key.unwrap_or_default())
        .chain_update(KEY_SUFFIX)
        .finalize();
    let accept = base64::engine::general_purpose::STANDARD.encode(hash);
    write!(
        socket,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    socket.set_nonblocking(true)?;
    Ok((call, socket))
}
