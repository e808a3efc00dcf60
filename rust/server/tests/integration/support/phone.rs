//! A telephone: RTP over UDP, µ-law, a packet every 20 ms.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::Control;

/// µ-law silence, as the server sends it when nobody speaks.
pub const SILENCE: u8 = 0xFF;

/// The payload type of its telephone-events.
pub const EVENTS: u8 = 101;

/// One call from the phone's side.
pub struct Phone {
    socket: UdpSocket,
    sequence: u16,
    timestamp: u32,
    next_send: Instant,
}

/// What the phone received.
pub struct Packet {
    pub at: Instant,
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
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
        Self::join_with(control, session, leg, json!({}))
    }

    /// The same with these fields of `leg.connect` in place of the usual ones.
    pub fn join_with(control: &mut Control, session: &str, leg: &str, fields: Value) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let opened = control.ok("leg.open", json!({"session": session, "leg": leg}));
        socket.connect(opened["rtp"].as_str().unwrap()).unwrap();
        let rtp = socket.local_addr().unwrap().to_string();
        let mut connect = json!({"session": session, "leg": leg, "rtp": rtp, "rtcp": null, "payload_types": [{"payload_type": 0, "codec": "PCMU"}],
               "telephone_event": {"payload_type": EVENTS, "clock_hz": 8000}, "direction": "sendrecv", "rtcp_mux": false});
        if let (Value::Object(connect), Value::Object(fields)) = (&mut connect, fields) {
            connect.extend(fields);
        }
        control.ok("leg.connect", connect);
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        Self {
            socket,
            sequence: 0,
            timestamp: 0,
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

    /// Packets that are sent and never arrive.
    pub fn lose(&mut self, packets: u16) {
        self.sequence = self.sequence.wrapping_add(packets);
        self.timestamp = self.timestamp.wrapping_add(u32::from(packets) * 160);
        self.next_send += Duration::from_millis(20) * u32::from(packets);
    }

    /// Press a key for 60 ms: two updates, and the end three times (RFC 4733 §2.5); what came meanwhile.
    pub fn press(&mut self, event: u8) -> Vec<Packet> {
        let mut packets = Vec::new();
        for (end, duration) in [(0, 160), (0, 320), (0x80, 480), (0x80, 480), (0x80, 480u16)] {
            let [high, low] = duration.to_be_bytes();
            self.send(EVENTS, &[event, end | 10, high, low]);
            packets.extend(self.receive_until(Instant::now() + Duration::from_millis(20)));
        }
        self.timestamp = self.timestamp.wrapping_add(5 * 160);
        packets
    }

    fn exchange(&mut self, duration: Duration, payload: &[u8]) -> Vec<Packet> {
        let end = Instant::now() + duration;
        let mut packets = Vec::new();
        self.next_send = self.next_send.max(Instant::now());
        while Instant::now() < end {
            if Instant::now() >= self.next_send {
                self.next_send += Duration::from_millis(20);
                self.send(0, payload);
                self.timestamp = self.timestamp.wrapping_add(160);
            }
            packets.extend(self.receive_until(self.next_send.min(end)));
        }
        packets
    }

    fn receive_until(&mut self, end: Instant) -> Vec<Packet> {
        let mut packets = Vec::new();
        let mut buffer = [0; 2048];
        while Instant::now() < end {
            match self.socket.recv(&mut buffer) {
                Ok(length) => packets.push(Packet {
                    at: Instant::now(),
                    marker: buffer[1] & 0x80 != 0,
                    payload_type: buffer[1] & 0x7F,
                    sequence: u16::from_be_bytes([buffer[2], buffer[3]]),
                    timestamp: u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]),
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

    fn send(&mut self, payload_type: u8, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(b"fone");
        packet.extend_from_slice(payload);
        let _ = self.socket.send(&packet);
        self.sequence = self.sequence.wrapping_add(1);
    }
}
