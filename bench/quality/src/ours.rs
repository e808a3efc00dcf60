//! Our receive path: jitter buffer, decoder, concealment, time-scaling, driven as a leg drives them.

use media::rtp::packet::Packet;
use media::rtp::receiver::{Content, Receiver};
use media::{Codec, Frame, Time};
use serde_json::{Value, json};

use crate::wire::Wire;

/// The receiver counts in 1/48 ms.
const UNITS_PER_SAMPLE: u64 = 6;

/// What we heard.
pub struct Heard {
    pub samples: Vec<i16>,
    /// Runs of frames in which sound was invented.
    pub concealments: u64,
    /// Those of them that began with nothing lost on the wire for a second around.
    pub needless: u64,
    pub counters: Value,
}

pub fn hear(wire: &Wire, ticks: impl Iterator<Item = u64>) -> Heard {
    let mut receiver = Receiver::default();
    let mut arrivals = wire.arrivals.iter().peekable();
    let mut samples = Vec::new();
    let mut came = vec![false; wire.arrivals.iter().map(|(_, n)| n + 1).max().unwrap_or(0) as usize];
    for (_, n) in &wire.arrivals {
        came[*n as usize] = true;
    }
    let lost_around = |at: u64| {
        let frame = (at / 20_000) as usize;
        let from = frame.saturating_sub(25).min(came.len());
        came[from..(frame + 25).min(came.len())].iter().any(|came| !came)
    };
    let (mut concealments, mut needless, mut concealing) = (0, 0, false);
    for now in ticks {
        while let Some((at, n)) = arrivals.next_if(|(at, _)| *at <= now) {
            let packet = Packet {
                marker: *n == 0,
                payload_type: 0,
                sequence: *n as u16,
                timestamp: (*n as u32).wrapping_mul(160),
                ssrc: 1,
                payload: wire.payload(*n),
            };
            receiver.receive(Time(*at), &packet, Content::Audio(Codec::Pcmu));
        }
        let before = receiver.counters().concealed;
        let mut frame = Frame::silent(8_000);
        receiver.pop_frame(Time(now), &mut frame);
        samples.extend(frame.samples());
        let conceals = receiver.counters().concealed > before;
        // What is after the last packet is no concern of anybody's.
        if conceals && !concealing && arrivals.peek().is_some() {
            concealments += 1;
            needless += u64::from(!lost_around(now));
        }
        concealing = conceals;
    }
    let counters = receiver.counters();
    Heard {
        samples,
        concealments,
        needless,
        counters: json!({
            "late": receiver.buffer().counters().late,
            "inserted": counters.inserted / UNITS_PER_SAMPLE,
            "dropped": counters.dropped / UNITS_PER_SAMPLE,
            "concealed": counters.concealed / UNITS_PER_SAMPLE,
            "resyncs": receiver.buffer().counters().resyncs,
        }),
    }
}
