//! What arrives, and when: the same for every contender.

use media::codec::g711::{self, Law};
use netem::{Clock, Link, Network};

use crate::{FRAME, FRAME_US};

/// One pass of speech, sent again and again.
pub struct Wire {
    /// Time of arrival and number of each packet, in the order they come.
    pub arrivals: Vec<(u64, u64)>,
    /// The payloads of one pass.
    pub payloads: Vec<Vec<u8>>,
    /// What a perfect receiver hears of one pass.
    pub reference: Vec<i16>,
    /// Packets that never come.
    pub lost: u64,
    clock: Clock,
}

impl Wire {
    pub fn new(link: Link, drift_ppm: i64, seed: u64, speech: &[i16], passes: u64) -> Wire {
        let payloads: Vec<Vec<u8>> = speech
            .chunks_exact(FRAME)
            .map(|frame| {
                let mut payload = Vec::new();
                g711::encode(Law::Mu, frame, &mut payload);
                payload
            })
            .collect();
        let mut reference = vec![0; speech.len()];
        for (payload, frame) in payloads.iter().zip(reference.chunks_exact_mut(FRAME)) {
            g711::decode(Law::Mu, payload, frame);
        }
        let mut wire = Wire {
            arrivals: Vec::new(),
            payloads,
            reference,
            lost: 0,
            clock: Clock::new(drift_ppm),
        };
        let mut network = Network::new(link, seed);
        for n in 0..passes * wire.payloads.len() as u64 {
            let now = wire.sent_us(n);
            wire.arrivals.extend(std::iter::from_fn(|| network.receive(now)));
            network.send(now, 200, n);
        }
        wire.arrivals
            .extend(std::iter::from_fn(|| network.receive(u64::MAX)));
        wire.lost = network.counters().lost;
        wire
    }

    /// When packet `n` is sent: at the end of its 20 ms by the far end's clock.
    pub fn sent_us(&self, n: u64) -> u64 {
        self.clock.true_micros((n + 1) * FRAME_US)
    }

    /// The payload of packet `n`.
    pub fn payload(&self, n: u64) -> &[u8] {
        &self.payloads[(n % self.payloads.len() as u64) as usize]
    }
}
