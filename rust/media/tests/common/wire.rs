//! Two nodes joined by a wire, each with a clock of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// What the wire does to a packet: `None` loses it, else its delay in microseconds.
pub type Weather = Box<dyn FnMut() -> Option<u64>>;

struct End {
    node: Node,
    address: SocketAddr,
    /// The node's clock runs this much faster than true time.
    skew_ppm: i64,
}

impl End {
    fn local(&self, micros: u64) -> Time {
        let skew = micros as i64 * self.skew_ppm / 1_000_000;
        Time(10_000_000 + (micros as i64 + skew) as u64)
    }

    fn true_micros(&self, local: Time) -> u64 {
        let local = local.0 - 10_000_000;
        (local as i128 * 1_000_000 / (1_000_000 + self.skew_ppm) as i128) as u64 + 1
    }
}

/// Due, order, receiver, is RTCP, payload.
type Flying = Reverse<(u64, u64, usize, bool, Vec<u8>)>;

/// A call between two nodes.
pub struct Pair {
    ends: [End; 2],
    micros: u64,
    weather: Weather,
    flying: BinaryHeap<Flying>,
    sent: u64,
}

impl Pair {
    pub fn new(configs: [EngineConfig; 2], skew_ppm: [i64; 2], weather: Weather) -> Pair {
        let addresses = [address("192.0.2.1:5000"), address("192.0.2.2:6000")];
        let mut index = 0;
        let ends = configs.map(|config| {
            let mut node = Node::with(config);
            node.connect(remote(addresses[1 - index]));
            index += 1;
            End {
                node,
                address: addresses[index - 1],
                skew_ppm: skew_ppm[index - 1],
            }
        });
        Pair {
            ends,
            micros: 0,
            weather,
            flying: BinaryHeap::new(),
            sent: 0,
        }
    }

    /// Gives one end keys.
    pub fn secure(&mut self, end: usize, send: media::srtp::MasterKey, receive: media::srtp::MasterKey) {
        let far = self.ends[1 - end].address;
        self.ends[end].node.connect(LegRemote {
            srtp: Some(media::SrtpParams { send, receive }),
            ..remote(far)
        });
    }

    pub fn node(&mut self, end: usize) -> &mut Node {
        &mut self.ends[end].node
    }

    /// Lets `millis` of true time pass.
    pub fn run_ms(&mut self, millis: u64) {
        let until = self.micros + millis * 1_000;
        loop {
            let due = self.next_due();
            if due > until {
                break;
            }
            self.micros = self.micros.max(due);
            self.deliver();
            for end in 0..2 {
                self.tick(end);
            }
        }
        self.micros = until;
    }

    fn next_due(&self) -> u64 {
        let flying = self.flying.peek().map_or(u64::MAX, |Reverse(packet)| packet.0);
        let frames = self
            .ends
            .iter()
            .filter_map(|end| Some(end.true_micros(end.node.engine.next_timeout()?)));
        frames.fold(flying, u64::min)
    }

    fn deliver(&mut self) {
        while let Some(Reverse(packet)) = self.flying.peek()
            && packet.0 <= self.micros
        {
            let Some(Reverse((_, _, to, is_rtcp, data))) = self.flying.pop() else {
                return;
            };
            let from = self.ends[1 - to].address;
            let end = &mut self.ends[to];
            end.node.now = end.local(self.micros);
            let leg = end.node.leg;
            let source = if is_rtcp {
                Source::Rtcp {
                    leg,
                    from: SocketAddr::new(from.ip(), from.port() + 1),
                }
            } else {
                Source::Rtp { leg, from }
            };
            end.node.engine.receive(end.node.now, source, &data);
            self.collect(to);
        }
    }

    fn tick(&mut self, at: usize) {
        let end = &mut self.ends[at];
        end.node.now = end.local(self.micros);
        end.node.engine.handle_timeout(end.node.now);
        self.collect(at);
    }

    /// Takes what a node made; RTP and RTCP go onto the wire.
    fn collect(&mut self, from: usize) {
        self.ends[from].node.drain();
        let packets: Vec<SentPacket> = self.ends[from].node.packets.drain(..).collect();
        let reports = std::mem::take(&mut self.ends[from].node.rtcp);
        let rtp = packets.into_iter().map(|packet| (false, packet.bytes()));
        let rtcp = reports.into_iter().map(|(_, _, data)| (true, data));
        for (is_rtcp, data) in rtp.chain(rtcp) {
            self.sent += 1;
            if let Some(delay) = (self.weather)() {
                self.flying
                    .push(Reverse((self.micros + delay, self.sent, 1 - from, is_rtcp, data)));
            }
        }
    }
}

/// A wire of one delay.
pub fn calm(delay_ms: u64) -> Weather {
    Box::new(move || Some(delay_ms * 1_000))
}

/// A wire that loses one packet in `one_lost_in`, and delays by 30 ms and up to `jitter_ms` more.
pub fn rough(seed: u64, one_lost_in: u64, jitter_ms: u64) -> Weather {
    let mut state = seed | 1;
    Box::new(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let lost = one_lost_in > 0 && (state >> 32).is_multiple_of(one_lost_in);
        (!lost).then_some(30_000 + (state >> 16) % (jitter_ms * 1_000 + 1))
    })
}
