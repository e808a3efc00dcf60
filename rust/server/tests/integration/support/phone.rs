//! A telephone: RTP over UDP, µ-law, a packet every 20 ms.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::json;

use super::server::Control;

/// µ-law silence, as the server sends it when nobody speaks.
pub const SILENCE: u8 = 0xFF;

/// One call from the phone's side.
pub struct Phone {
    socket: UdpSocket,
    sequence: u16,
    next_send: Instant,
}

/// What the phone received.
pub struct Packet {
    pub at: Instant,
    pub sequence: u16,
    pub payload: Vec<u8>,
}

impl Packet {
    pub fn is_silent(&self) -> bool {
        self.payload.iter().all(|byte| *byte == SILENCE || *byte == 0x7F)
    }
}

impl Phone {
    /// Open a session with one leg, "leg", and connect it to a new phone.
    pub fn call(control: &mut Control, session: &str) -> Self {
        Self::join(control, session, "leg")
    }

    /// Open a leg in a session, new or not, and connect it to a new phone.
    pub fn join(control: &mut Control, session: &str, leg: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let opened = control.ok("leg.open", json!({"session": session, "leg": leg}));
        socket.connect(opened["rtp"].as_str().unwrap()).unwrap();
        let rtp = socket.local_addr().unwrap().to_string();
        control.ok(
            "leg.connect",
            json!({"session": session, "leg": leg, "rtp": rtp, "rtcp": null, "payload_types": [{"payload_type": 0, "codec": "PCMU"}],
                   "telephone_event": {"payload_type": 101, "clock_hz": 8000}, "direction": "sendrecv", "rtcp_mux": false}),
        );
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        Self {
            socket,
            sequence: 0,
            next_send: Instant::now(),
        }
    }

    /// Speak a square wave of this loudness (a µ-law magnitude, larger is softer) for some time; what came meanwhile.
    pub fn speak(&mut self, duration: Duration, loudness: u8) -> Vec<Packet> {
        let payload: Vec<u8> = (0..160)
            .map(|index| {
                if index / 8 % 2 == 0 {
                    loudness
                } else {
                    loudness | 0x80
                }
            })
            .collect();
        self.exchange(duration, &payload)
    }

    /// Say nothing for some time; what came meanwhile.
    pub fn listen(&mut self, duration: Duration) -> Vec<Packet> {
        self.exchange(duration, &[SILENCE; 160])
    }

    fn exchange(&mut self, duration: Duration, payload: &[u8]) -> Vec<Packet> {
        let start = Instant::now();
        let mut packets = Vec::new();
        let mut buffer = [0; 2048];
        self.next_send = self.next_send.max(start);
        while start.elapsed() < duration {
            if Instant::now() >= self.next_send {
                self.next_send += Duration::from_millis(20);
                self.send(payload);
            }
            match self.socket.recv(&mut buffer) {
                Ok(length) => packets.push(Packet {
                    at: Instant::now(),
                    sequence: u16::from_be_bytes([buffer[2], buffer[3]]),
                    payload: buffer[12..length].to_vec(),
                }),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // The server closed its ports.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("{error}"),
            }
        }
        packets
    }

    fn send(&mut self, payload: &[u8]) {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(b"fone");
        packet.extend_from_slice(payload);
        let _ = self.socket.send(&packet);
        self.sequence = self.sequence.wrapping_add(1);
    }
}
