//! An application: a WebSocket server that can also do everything wrong.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::server::PATIENCE;

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A listening application.
pub struct App {
    pub listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl App {
    pub fn listen() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// At a port of the caller's choice.
    pub fn on(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }

    pub fn listen_tls(config: ServerConfig) -> Self {
        Self {
            tls: Some(Arc::new(config)),
            ..Self::listen()
        }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/talk?call=1", self.port())
    }

    /// The next connection, bare.
    pub fn accept_tcp(&self) -> TcpStream {
        let (tcp, _) = self.listener.accept().unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    /// The next connection, upgraded.
    pub fn accept(&self) -> Socket {
        self.try_accept().expect("no upgrade")
    }

    /// The same, for peers that may turn away.
    pub fn try_accept(&self) -> std::io::Result<Socket> {
        let tcp = self.accept_tcp();
        let stream: Box<dyn Stream> = match &self.tls {
            Some(config) => Box::new(StreamOwned::new(
                ServerConnection::new(config.clone()).unwrap(),
                tcp.try_clone()?,
            )),
            None => Box::new(tcp.try_clone()?),
        };
        let mut socket = Socket {
            stream,
            tcp,
            dialled: false,
        };
        let head = socket.read_head()?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept_of(&head)
        );
        socket.stream.write_all(answer.as_bytes())?;
        socket.stream.flush()?;
        Ok(socket)
    }

    /// Do something as an application on a thread of its own.
    pub fn run<T: Send + 'static>(self, then: impl FnOnce(App) -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(move || then(self))
    }

    /// Echo every audio message of one connection until it ends.
    pub fn echo(self) -> JoinHandle<()> {
        self.run(|app| app.accept().echo())
    }
}

/// The answer to the key in a request.
pub fn accept_of(head: &str) -> String {
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .expect("no key");
    let mut hash = Sha1::new();
    hash.update(key.trim());
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// One upgraded connection.
pub struct Socket {
    stream: Box<dyn Stream>,
    pub tcp: TcpStream,
    /// The application has dialled: it masks what it sends, and the server does not.
    dialled: bool,
}

impl Socket {
    /// A connection that the application has made, upgraded.
    pub fn dialled(stream: Box<dyn Stream>, tcp: TcpStream) -> Self {
        Self {
            stream,
            tcp,
            dialled: true,
        }
    }

    fn read_head(&mut self) -> std::io::Result<String> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        Ok(String::from_utf8(head).unwrap())
    }

    /// The next frame: opcode and payload. `None` at the end of the connection.
    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        assert_eq!(head[0] & 0xF0, 0x80, "one whole frame without reserved bits");
        let is_masked = head[1] & 0x80 != 0;
        assert_eq!(is_masked, !self.dialled, "a client masks and a server does not");
        let length = match head[1] & 0x7F {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length).ok()?;
                usize::from(u16::from_be_bytes(length))
            }
            127 => panic!("nothing is that long"),
            short => usize::from(short),
        };
        let mut key = [0; 4];
        if is_masked {
            self.stream.read_exact(&mut key).ok()?;
        }
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        payload
            .iter_mut()
            .zip(key.iter().cycle())
            .for_each(|(byte, key)| *byte ^= key);
        Some((head[0] & 0x0F, payload))
    }

    /// The next text message as JSON; other frames are passed over.
    pub fn message(&mut self) -> Option<Value> {
        loop {
            let (opcode, payload) = self.frame()?;
            if opcode == 1 {
                return Some(serde_json::from_slice(&payload).unwrap());
            }
        }
    }

    /// Pass over everything until a close frame; its code. `None` when the connection ends without one.
    pub fn close_code(&mut self) -> Option<u16> {
        loop {
            let (opcode, payload) = self.frame()?;
            if opcode == 8 {
                return payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            }
        }
    }

    pub fn send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Send one frame with this first byte.
    pub fn send_frame(&mut self, first: u8, payload: &[u8]) -> std::io::Result<()> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..=125 => bytes.push(length as u8),
            length @ 126..=0xFFFF => {
                bytes.push(126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                bytes.push(127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        if self.dialled {
            let key = [0xA5, 0x00, 0xFF, 0x3C];
            bytes[1] |= 0x80;
            bytes.extend_from_slice(&key);
            bytes.extend(
                payload
                    .iter()
                    .zip(key.iter().cycle())
                    .map(|(byte, key)| byte ^ key),
            );
        } else {
            bytes.extend_from_slice(payload);
        }
        self.send_raw(&bytes)
    }

    pub fn send_json(&mut self, message: &Value) -> std::io::Result<()> {
        self.send_frame(0x81, message.to_string().as_bytes())
    }

    /// Send a close frame and see the connection end as the RFC wants: with an echo of it.
    pub fn close(&mut self, payload: &[u8]) -> Option<u16> {
        self.send_frame(0x88, payload).unwrap();
        self.close_code()
    }

    /// Send every audio message back until the connection ends.
    pub fn echo(mut self) {
        let mut chunk_id = 0;
        while let Some(message) = self.message() {
            if message["type"] == "audio" {
                chunk_id += 1;
                let audio = &message["data"]["audio_b64"];
                if self
                    .send_json(&json!({"type": "audio", "audio_b64": audio, "chunk_id": chunk_id}))
                    .is_err()
                {
                    return;
                }
            }
        }
    }
}
