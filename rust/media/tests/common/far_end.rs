//! A far end that talks, a network between, and a receiver that listens: all in virtual time.

use media::codec::encoder::Encoder;
use media::rtp::packet::Packet;
use media::rtp::receiver::{Content, Receiver};
use media::{Bounds, Codec, Frame, OpusSettings, Time};
use netem::{Clock, Link, Network};

use super::payload_types;

/// Sound that is talked over and over: 1.2 s of a voice whose pitch glides, 0.8 s of next to nothing.
pub fn talk(rate_hz: u32, count: usize) -> Vec<i16> {
    let rate = f64::from(rate_hz);
    let mut phase = 0.0f64;
    (0..count)
        .map(|n| {
            let second = n as f64 / rate % 2.0;
            phase += (110.0 + 30.0 * (second * 4.0).sin()) / rate;
            let voice: f64 = (1..12)
                .map(|k| (std::f64::consts::TAU * phase * f64::from(k)).sin() / f64::from(k))
                .sum();
            let loudness = if second < 1.2 {
                (second * 8.0).min(1.0).min((1.2 - second) * 8.0)
            } else {
                0.002
            };
            (voice * loudness * 5_000.0) as i16
        })
        .collect()
}

/// How the far end sends.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    pub codec: Codec,
    pub payload_type: u8,
    pub ptime_ms: u64,
}

pub const G711: Sending = Sending {
    codec: Codec::Pcmu,
    payload_type: 0,
    ptime_ms: 20,
};

/// A packet on its way.
#[derive(Clone)]
pub struct Sent {
    sending: Sending,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

/// With the default bounds, for this codec.
fn receiver(sending: Sending) -> Receiver {
    let audio = payload_types(&[(sending.payload_type, sending.codec)]);
    Receiver::new(Bounds::default(), &audio)
}

/// What was heard of late.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    pub shortest_ms: f64,
    pub longest_ms: f64,
    pub mean_ms: f64,
}

/// The three of them.
pub struct Line {
    pub receiver: Receiver,
    pub network: Network<Sent>,
    pub sending: Sending,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Does not send while this is set, though its timestamps run.
    pub silent: bool,
    pub rate_hz: u32,
    /// What was heard, if it is to be kept.
    pub heard: Option<Vec<i16>>,
    payloads: Vec<Vec<u8>>,
    clock: Clock,
    next_send: u64,
    next_pop: u64,
    next_payload: usize,
    delays: (f64, f64, f64, u64),
}

impl Line {
    /// A far end whose clock is `ppm` fast, heard through `link` from now on. Frames are due 7 ms after packets are sent.
    pub fn new(link: Link, ppm: i64, seed: u64, sending: Sending) -> Line {
        let mut line = Line {
            receiver: receiver(sending),
            network: Network::new(link, seed),
            sending,
            sequence: 65_000,
            timestamp: u32::MAX - 100_000,
            ssrc: 7,
            silent: false,
            rate_hz: 8_000,
            heard: None,
            payloads: Vec::new(),
            clock: Clock::new(ppm),
            next_send: 20_000,
            next_pop: 27_000,
            next_payload: 0,
            delays: (0.0, 0.0, 0.0, 0),
        };
        line.send_with(sending);
        line
    }

    /// The far end sends like this from now on.
    pub fn send_with(&mut self, sending: Sending) {
        self.sending = sending;
        let rate_hz = sending.codec.rate_hz();
        let each = (u64::from(rate_hz / 1_000) * sending.ptime_ms) as usize;
        let mut encoder = Encoder::new(sending.codec, OpusSettings::default());
        // A whole number of packets of every length.
        let sound = talk(rate_hz, rate_hz as usize * 2);
        self.payloads = sound
            .chunks_exact(each)
            .map(|samples| {
                let mut payload = Vec::new();
                encoder.encode(samples, &mut payload);
                payload
            })
            .collect();
        self.next_payload = 0;
    }

    /// Lets `millis` of true time pass, in steps of the wire and of the frames.
    pub fn run_ms(&mut self, millis: u64) {
        let end = self.next_pop + millis * 1_000;
        while self.next_pop < end {
            self.send_until(self.next_pop);
            self.deliver(self.next_pop);
            let mut frame = Frame::silent(self.rate_hz);
            self.receiver.pop_frame(Time(self.next_pop), &mut frame);
            if let Some(heard) = &mut self.heard {
                heard.extend_from_slice(frame.samples());
            }
            self.next_pop += 20_000;
            let delay = self.receiver.buffer().delay_ms();
            let (shortest, longest, sum, count) = self.delays;
            self.delays = (shortest.min(delay), longest.max(delay), sum + delay, count + 1);
        }
    }

    /// Lets `millis` pass in which packets are received and no frame is asked for.
    pub fn run_unheard_ms(&mut self, millis: u64) {
        self.next_pop += millis / 20 * 20_000;
        self.send_until(self.next_pop - 20_000);
        self.deliver(self.next_pop - 20_000);
    }

    fn send_until(&mut self, now: u64) {
        while self.clock.true_micros(self.next_send) <= now {
            let at = self.clock.true_micros(self.next_send);
            self.deliver(at);
            if !self.silent {
                let payload = self.payloads[self.next_payload].clone();
                let bytes = payload.len() + 40;
                let sent = Sent {
                    sending: self.sending,
                    sequence: self.sequence,
                    timestamp: self.timestamp,
                    ssrc: self.ssrc,
                    payload,
                };
                self.network.send(at, bytes, sent);
                self.sequence = self.sequence.wrapping_add(1);
            }
            self.next_payload = (self.next_payload + 1) % self.payloads.len();
            let clocks = u64::from(self.sending.codec.clock_hz() / 1_000) * self.sending.ptime_ms;
            self.timestamp = self.timestamp.wrapping_add(clocks as u32);
            self.next_send += self.sending.ptime_ms * 1_000;
        }
    }

    fn deliver(&mut self, until: u64) {
        while let Some((at, sent)) = self.network.receive(until) {
            let packet = Packet {
                marker: false,
                payload_type: sent.sending.payload_type,
                sequence: sent.sequence,
                timestamp: sent.timestamp,
                ssrc: sent.ssrc,
                payload: &sent.payload,
            };
            let content = Content::Audio(sent.sending.codec);
            self.receiver.receive(Time(at), &packet, content);
        }
    }

    /// The delays of the jitter buffer since this was asked last.
    pub fn take_delays(&mut self) -> Delays {
        let (shortest_ms, longest_ms, sum, count) =
            std::mem::replace(&mut self.delays, (f64::MAX, 0.0, 0.0, 0));
        Delays {
            shortest_ms,
            longest_ms,
            mean_ms: sum / count as f64,
        }
    }

    pub fn concealed_ms(&self) -> u64 {
        self.receiver.counters().concealed / 48
    }

    pub fn inserted_ms(&self) -> u64 {
        self.receiver.counters().inserted / 48
    }

    pub fn dropped_ms(&self) -> u64 {
        self.receiver.counters().dropped / 48
    }
}
