//! A node of one session, a phone that makes packets by hand, and virtual time. Nothing here waits.
#![allow(dead_code)]

use std::net::SocketAddr;

use media::codec::g711::{self, Law};
use media::rtp::packet::Packet;
use media::stream::longline::Header;
use media::{
    Bounds, Codec, Destination, Engine, EngineConfig, Event, FRAME_SAMPLES, Form, LegKey, LegRemote,
    LegStats, OpusSettings, PayloadTypes, SessionKey, Source, StreamKey, StreamParams, StreamStats,
    TelephoneEvent, Time, Track,
};

pub mod dialects;
pub mod far_end;
pub mod records;
pub mod secure;
pub mod wire;

pub const EVENT_TYPE: u8 = 101;

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Where a node and its phone live.
pub fn phone_rtp() -> SocketAddr {
    address("192.0.2.10:4000")
}

pub fn phone_rtcp() -> SocketAddr {
    address("192.0.2.10:4001")
}

pub fn remote(rtp: SocketAddr) -> LegRemote {
    let rtcp = Some(SocketAddr::new(rtp.ip(), rtp.port() + 1));
    let telephone_event = Some(TelephoneEvent {
        payload_type: EVENT_TYPE,
        clock_hz: 8_000,
    });
    LegRemote {
        rtp,
        rtcp,
        audio: payload_types(&[(0, Codec::Pcmu)]),
        telephone_event,
        ptime_ms: 20,
        opus: OpusSettings::default(),
        jitter: Bounds::default(),
        send: true,
        receive: true,
        rtcp_mux: false,
        also_from: None,
        srtp: None,
    }
}

/// What payload types mean; the first is what we send.
pub fn payload_types(entries: &[(u8, Codec)]) -> PayloadTypes {
    PayloadTypes::new(entries).unwrap()
}

pub fn stream_params(chunk_ms: u32, rate_hz: u32) -> StreamParams {
    StreamParams {
        chunk_ms,
        rate_hz,
        account_id: "acc_1".into(),
        call_app_id: "va_1".into(),
        call_id: "cs_1".into(),
        stream_id: "ms_1".into(),
        ..StreamParams::default()
    }
}

/// An RTP packet that was sent.
#[derive(Clone, Debug)]
pub struct SentPacket {
    pub at: Time,
    pub to: SocketAddr,
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

impl SentPacket {
    pub fn samples(&self) -> Vec<i16> {
        let law = if self.payload_type == 8 { Law::A } else { Law::Mu };
        let mut samples = vec![0; self.payload.len()];
        g711::decode(law, &self.payload, &mut samples);
        samples
    }

    /// The packet as it was on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let SentPacket {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            ..
        } = *self;
        let mut out = Vec::new();
        Packet {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            payload: &[],
        }
        .write_header(&mut out);
        out.extend_from_slice(&self.payload);
        out
    }

    pub fn is_silent(&self) -> bool {
        self.samples().iter().all(|sample| sample.unsigned_abs() <= 8)
    }
}

/// An engine with one session and one leg, and everything that came out of it.
pub struct Node {
    pub engine: Engine,
    pub now: Time,
    pub session: SessionKey,
    pub leg: LegKey,
    pub packets: Vec<SentPacket>,
    pub rtcp: Vec<(Time, SocketAddr, Vec<u8>)>,
    pub messages: Vec<(Time, StreamKey, String)>,
    pub binary_messages: Vec<(Time, StreamKey, Vec<u8>)>,
    pub recorded: Vec<i16>,
    pub tracks: Vec<(Track, Vec<i16>)>,
    pub events: Vec<(Time, Event)>,
}

impl Node {
    pub fn new() -> Node {
        Node::with(EngineConfig::new(7, 0xe000_0000_0000_0000))
    }

    pub fn with(config: EngineConfig) -> Node {
        let now = Time::from_millis(10_000);
        let mut engine = Engine::new(config);
        let session = engine.open_session(now).unwrap();
        let leg = engine.open_leg(now, session).unwrap();
        Node {
            engine,
            now,
            session,
            leg,
            packets: Vec::new(),
            rtcp: Vec::new(),
            messages: Vec::new(),
            binary_messages: Vec::new(),
            recorded: Vec::new(),
            tracks: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A node whose leg is connected to the phone.
    pub fn connected() -> Node {
        let mut node = Node::new();
        node.connect(remote(phone_rtp()));
        node
    }

    pub fn connect(&mut self, remote: LegRemote) {
        self.engine.connect_leg(self.now, self.leg, remote).unwrap();
        self.drain();
    }

    /// One more leg, connected to a phone of its own: the leg, and where the phone is.
    pub fn add_leg(&mut self, number: u16) -> (LegKey, SocketAddr) {
        let leg = self.engine.open_leg(self.now, self.session).unwrap();
        let phone = SocketAddr::new(phone_rtp().ip(), 6_000 + 2 * number);
        self.engine.connect_leg(self.now, leg, remote(phone)).unwrap();
        self.drain();
        (leg, phone)
    }

    /// What one phone was sent, but for the first `skip` packets.
    pub fn sent_to(&self, phone: SocketAddr, skip: usize) -> Vec<i16> {
        let packets = self.packets.iter().filter(|packet| packet.to == phone);
        packets.skip(skip).flat_map(SentPacket::samples).collect()
    }

    pub fn open_stream(&mut self, params: StreamParams) -> StreamKey {
        let stream = self.engine.open_stream(self.now, self.session, params).unwrap();
        self.engine.stream_connected(self.now, stream).unwrap();
        self.drain();
        stream
    }

    /// A stream whose application has said this `hello`.
    pub fn agree(&mut self, params: StreamParams, hello: &str) -> StreamKey {
        let stream = self.open_stream(params);
        let fields = hello.strip_prefix('{').unwrap();
        let comma = if fields == "}" { "" } else { "," };
        self.message(stream, &format!(r#"{{"type":"hello"{comma}{fields}"#));
        stream
    }

    /// Binary audio of the application, with this number.
    pub fn say_binary(&mut self, stream: StreamKey, sequence: u32, audio: &[u8]) {
        let mut message = Vec::new();
        let header = Header {
            sequence,
            ..Header::default()
        };
        header.write(&mut message);
        message.extend_from_slice(audio);
        self.engine
            .receive(self.now, Source::StreamBinary(stream), &message);
        self.drain();
    }

    /// What a stream was told in texts, of this type.
    pub fn told(&self, stream: StreamKey, kind: &str) -> Vec<serde_json::Value> {
        let texts = self.messages.iter().filter(|(_, key, _)| *key == stream);
        let told = texts.map(|(_, _, text)| serde_json::from_str::<serde_json::Value>(text).unwrap());
        told.filter(|message| message["type"] == kind).collect()
    }

    pub fn rtp_from(&mut self, from: SocketAddr, data: &[u8]) {
        self.engine
            .receive(self.now, Source::Rtp { leg: self.leg, from }, data);
        self.drain();
    }

    pub fn rtp(&mut self, data: &[u8]) {
        self.rtp_from(phone_rtp(), data);
    }

    pub fn message(&mut self, stream: StreamKey, text: &str) {
        self.engine
            .receive(self.now, Source::Stream(stream), text.as_bytes());
        self.drain();
    }

    /// Lets time pass to `now`, frame by frame.
    pub fn run_to(&mut self, now: Time) {
        while let Some(due) = self.engine.next_timeout().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(now);
    }

    pub fn run_ms(&mut self, millis: u64) {
        self.run_to(self.now.plus_millis(millis));
    }

    /// Time passes, but nobody runs the engine.
    pub fn stall_ms(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
        self.engine.handle_timeout(self.now);
        self.drain();
    }

    pub fn drain(&mut self) {
        while let Some(transmit) = self.engine.poll_transmit() {
            let payload = transmit.payload;
            match transmit.to {
                Destination::Rtp { to, .. } => match Packet::parse(payload) {
                    Ok(packet) if payload[1] & 0x7f < 72 || payload[1] & 0x7f > 76 => {
                        self.packets.push(SentPacket {
                            at: self.now,
                            to,
                            marker: packet.marker,
                            payload_type: packet.payload_type,
                            sequence: packet.sequence,
                            timestamp: packet.timestamp,
                            ssrc: packet.ssrc,
                            payload: packet.payload.to_vec(),
                        });
                    }
                    _ => self.rtcp.push((self.now, to, payload.to_vec())),
                },
                Destination::Rtcp { to, .. } => self.rtcp.push((self.now, to, payload.to_vec())),
                Destination::Stream {
                    stream,
                    form: Form::Text,
                    ..
                } => {
                    let text = String::from_utf8(payload.to_vec()).unwrap();
                    self.messages.push((self.now, stream, text));
                }
                Destination::Stream {
                    stream,
                    form: Form::Binary,
                    ..
                } => self.binary_messages.push((self.now, stream, payload.to_vec())),
                Destination::Recording(_, track) => {
                    let samples = samples_of(payload);
                    self.recorded.extend_from_slice(&samples);
                    match self.tracks.iter_mut().find(|(other, _)| *other == track) {
                        Some((_, before)) => before.extend(samples),
                        None => self.tracks.push((track, samples)),
                    }
                }
            }
        }
        while let Some(event) = self.engine.poll_event() {
            self.events.push((self.now, event));
        }
    }

    pub fn leg_stats(&self) -> LegStats {
        self.engine.stats(self.session).unwrap().legs[0].1
    }

    pub fn stream_stats(&self) -> StreamStats {
        self.engine.stats(self.session).unwrap().streams[0].1
    }

    pub fn count_events(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| wanted(event)).count()
    }

    /// The samples of all `audio` messages to the application, which are at 8 kHz.
    pub fn heard_by_app(&self) -> Vec<i16> {
        self.messages
            .iter()
            .filter_map(|(_, _, text)| audio_of(text))
            .flatten()
            .collect()
    }
}

/// The samples of an `audio` message of ours.
pub fn audio_of(text: &str) -> Option<Vec<i16>> {
    let message: serde_json::Value = serde_json::from_str(text).unwrap();
    let base64 = message["data"]["audio_b64"].as_str()?;
    Some(samples_of(&unbase64(base64)))
}

pub fn samples_of(bytes: &[u8]) -> Vec<i16> {
    bytes
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

pub fn bytes_of(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// An `audio` message from the application.
pub fn audio(samples: &[i16], chunk_id: u32) -> String {
    format!(
        r#"{{"type":"audio","audio_b64":"{}","chunk_id":{chunk_id}}}"#,
        base64(&bytes_of(samples))
    )
}

/// A tone that is nowhere silent for a frame.
pub fn tone(start: usize, count: usize) -> Vec<i16> {
    (start..start + count)
        .map(|n| (8_000.0 * (std::f64::consts::TAU * 440.0 * n as f64 / 8_000.0).sin()) as i16)
        .collect()
}

/// A far end that makes its packets by hand.
#[derive(Clone)]
pub struct Phone {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
    pub samples_per_packet: usize,
    pub said: usize,
}

impl Phone {
    pub fn new() -> Phone {
        Phone {
            ssrc: 0x1234_5678,
            sequence: 100,
            timestamp: 5_000,
            payload_type: 0,
            samples_per_packet: FRAME_SAMPLES,
            said: 0,
        }
    }

    /// A packet with this payload.
    pub fn with_payload(&self, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Packet {
            marker: false,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            payload,
        }
        .write_header(&mut out);
        out.extend_from_slice(payload);
        out
    }

    /// The next packet of these samples.
    pub fn say(&mut self, samples: &[i16]) -> Vec<u8> {
        let mut payload = Vec::new();
        g711::encode(Law::Mu, samples, &mut payload);
        let packet = self.with_payload(&payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(samples.len() as u32);
        packet
    }

    /// The next packet of a tone.
    pub fn tone(&mut self) -> Vec<u8> {
        let samples = tone(self.said, self.samples_per_packet);
        self.said += samples.len();
        self.say(&samples)
    }

    /// The next packet, of silence.
    pub fn silence(&mut self) -> Vec<u8> {
        self.say(&vec![0; self.samples_per_packet])
    }

    /// A telephone-event of the current timestamp.
    pub fn event(&mut self, event: u8, end: bool, duration: u16) -> Vec<u8> {
        let [high, low] = duration.to_be_bytes();
        let mut packet = self.with_payload(&[event, u8::from(end) << 7 | 10, high, low]);
        packet[1] = EVENT_TYPE;
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}
