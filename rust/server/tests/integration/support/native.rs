//! An application that speaks longline.v1, on either side of a dialled socket.

use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::app::{App, Socket, Stream};
use super::server::PATIENCE;

/// A frame of what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub track: u8,
    pub flags: u16,
    pub sequence: u32,
    pub timestamp: u64,
    pub bytes: usize,
}

/// What comes from the server.
#[derive(Clone, Debug)]
pub enum Told {
    Text(Value),
    Audio(Heard),
    Close(u16),
}

/// One connection of a stream.
pub struct Native {
    pub socket: Socket,
    pub start: Value,
    pub ready: Value,
}

impl Native {
    /// The next connection of the server's, agreed on.
    pub fn accept(app: &App, hello: Value) -> Self {
        Self::greet(app.accept(), hello)
    }

    /// Come to the server's door with a token, and agree.
    pub fn come(door: SocketAddr, token: &str, hello: Value) -> Self {
        Self::greet(knock(door, token).expect("turned away"), hello)
    }

    /// Read `start`, say `hello`, read `ready`.
    pub fn greet(mut socket: Socket, hello: Value) -> Self {
        let start = socket.message().expect("no start");
        assert_eq!(start["type"], "start");
        let mut message = json!({"type": "hello"});
        for (name, value) in hello.as_object().unwrap() {
            message[name] = value.clone();
        }
        socket.send_json(&message).unwrap();
        let ready = socket.message().expect("no ready");
        assert_eq!(ready["type"], "ready", "{ready}");
        Self { socket, start, ready }
    }

    pub fn token(&self) -> String {
        self.start["resume"]["token"].as_str().unwrap().to_string()
    }

    /// The next message; `None` at the end of the connection.
    pub fn told(&mut self) -> Option<Told> {
        told(&mut self.socket)
    }

    /// So many frames of audio; text goes to `texts`.
    pub fn hear(&mut self, count: usize, texts: &mut Vec<Value>) -> Vec<Heard> {
        let mut heard = Vec::new();
        while heard.len() < count {
            match self.told().expect("the connection ended") {
                Told::Audio(frame) => heard.push(frame),
                Told::Text(text) => texts.push(text),
                Told::Close(code) => panic!("closed with {code}"),
            }
        }
        heard
    }

    /// The next text of this type; everything before it is passed over.
    pub fn text(&mut self, kind: &str) -> Value {
        loop {
            match self.told() {
                Some(Told::Text(text)) if text["type"] == kind => return text,
                Some(_) => {}
                None => panic!("no {kind}"),
            }
        }
    }

    /// Say 20 ms of a loud tone at 16 kHz with this number.
    pub fn say(&mut self, sequence: u32, flags: u16) {
        let mut message = vec![0x10, 0];
        message.extend_from_slice(&flags.to_le_bytes());
        message.extend_from_slice(&sequence.to_le_bytes());
        message.extend_from_slice(&0_u64.to_le_bytes());
        message.extend([0x00, 0x20, 0x00, 0x20, 0x00, 0xE0, 0x00, 0xE0].repeat(80));
        self.socket.send_frame(0x82, &message).unwrap();
    }

    /// The connection ends without a word.
    pub fn vanish(self) {
        self.socket.tcp.shutdown(std::net::Shutdown::Both).unwrap();
    }
}

/// Come to the door; the status when it is not opened.
pub fn knock(door: SocketAddr, token: &str) -> Result<Socket, String> {
    let tcp = TcpStream::connect(door).unwrap();
    let stream = Box::new(tcp.try_clone().unwrap());
    knock_over(stream, tcp, token)
}

/// The same over any stream of bytes on that connection.
pub fn knock_over(mut stream: Box<dyn Stream>, tcp: TcpStream, token: &str) -> Result<Socket, String> {
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_nodelay(true).unwrap();
    let request = format!(
        "GET /streams HTTP/1.1\r\nHost: door\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: longline.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    if !head.starts_with("HTTP/1.1 101 ") {
        return Err(head);
    }
    assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(head.contains("Sec-WebSocket-Protocol: longline.v1\r\n"));
    Ok(Socket::dialled(stream, tcp))
}

pub fn told(socket: &mut Socket) -> Option<Told> {
    loop {
        let (opcode, payload) = socket.frame()?;
        return Some(match opcode {
            1 => Told::Text(serde_json::from_slice(&payload).unwrap()),
            2 => Told::Audio(Heard {
                track: payload[1],
                flags: u16::from_le_bytes([payload[2], payload[3]]),
                sequence: u32::from_le_bytes(payload[4..8].try_into().unwrap()),
                timestamp: u64::from_le_bytes(payload[8..16].try_into().unwrap()),
                bytes: payload.len() - 16,
            }),
            8 => Told::Close(u16::from_be_bytes([payload[0], payload[1]])),
            9 => {
                socket.send_frame(0x8A, &payload).ok();
                continue;
            }
            _ => continue,
        });
    }
}
