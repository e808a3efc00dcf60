//! Any codec at any packet time is heard; payload types, codecs and clocks may change while the call goes on.

mod common;

use common::far_end::*;
use common::payload_types;
use media::rtp::receiver::Receiver;
use media::{Bounds, Codec};
use netem::Link;

fn sending(payload_type: u8, codec: Codec, ptime_ms: u64) -> Sending {
    Sending {
        codec,
        payload_type,
        ptime_ms,
    }
}

const ALL: [(u8, Codec); 6] = [
    (0, Codec::Pcmu),
    (8, Codec::Pcma),
    (9, Codec::G722),
    (96, Codec::Opus),
    (97, Codec::L16(16_000)),
    (98, Codec::L16(48_000)),
];

fn loudness(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    (sum / samples.len() as f64).sqrt()
}

#[test]
fn every_codec_at_every_packet_time_is_heard_at_every_rate() {
    let expected = loudness(&talk(8_000, 16_000));
    for (payload_type, codec) in ALL {
        for ptime_ms in [10, 20, 60] {
            for rate_hz in [8_000, 48_000] {
                let mut line = Line::new(Link::default(), 0, 1, sending(payload_type, codec, ptime_ms));
                line.rate_hz = rate_hz;
                line.run_ms(2_000);
                line.heard = Some(Vec::new());
                line.run_ms(2_000);
                let heard = loudness(line.heard.as_ref().unwrap());
                let what = format!("{codec:?}, {ptime_ms} ms, {rate_hz} Hz");
                assert!(
                    (0.9..1.1).contains(&(heard / expected)),
                    "{what}: {heard} of {expected}"
                );
                assert_eq!(line.concealed_ms(), 0, "{what}");
                let delays = line.take_delays();
                assert!(delays.longest_ms < 50.0, "{what}: {delays:?}");
            }
        }
    }
}

#[test]
fn thirty_and_fifty_milliseconds_of_g711_are_heard_too() {
    for ptime_ms in [30, 50] {
        let mut line = Line::new(Link::default(), 0, 1, sending(0, Codec::Pcmu, ptime_ms));
        line.run_ms(10_000);
        assert_eq!((line.concealed_ms(), line.dropped_ms()), (0, 0), "{ptime_ms}");
    }
}

#[test]
fn a_change_of_codec_is_no_gap_and_no_delay() {
    for (from, to) in ALL.iter().flat_map(|from| ALL.iter().map(move |to| (*from, *to))) {
        let mut line = Line::new(Link::default(), 0, 1, sending(from.0, from.1, 20));
        line.receiver = Receiver::new(Bounds::default(), &payload_types(&ALL));
        line.rate_hz = 16_000;
        line.run_ms(500);
        line.take_delays();
        for n in 0..4 {
            let (payload_type, codec) = if n % 2 == 0 { to } else { from };
            line.send_with(sending(payload_type, codec, 20));
            line.heard = Some(Vec::new());
            // What is sent begins with a second of voice: no frame of it is silent.
            line.run_ms(900);
            let heard = line.heard.as_ref().unwrap();
            let silent = heard[3_200..]
                .chunks(320)
                .filter(|frame| loudness(frame) < 50.0)
                .count();
            assert_eq!(silent, 0, "{from:?} to {to:?}, change {n}");
        }
        assert_eq!(line.concealed_ms(), 0, "{from:?} to {to:?}");
        let delays = line.take_delays();
        assert!(delays.longest_ms < 50.0, "{from:?} to {to:?}: {delays:?}");
        assert_eq!(line.receiver.lost(), 0);
    }
}

#[test]
fn the_packet_time_may_change_in_every_packet() {
    let mut line = Line::new(Link::default(), 0, 1, G711);
    line.run_ms(2_000);
    for ptime_ms in [20, 30, 10, 60, 40, 20, 10, 50, 20, 60, 10]
        .into_iter()
        .cycle()
        .take(200)
    {
        line.send_with(sending(0, Codec::Pcmu, ptime_ms));
        line.run_ms(ptime_ms.next_multiple_of(20));
    }
    line.run_ms(5_000);
    assert!(line.take_delays().longest_ms < 120.0);
    line.run_ms(1_000);
    assert_eq!(line.receiver.buffer().counters().resyncs, 0);
}
