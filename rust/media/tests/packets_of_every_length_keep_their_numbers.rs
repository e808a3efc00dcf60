//! What a leg sends, in every codec and at every packet time: sequence number and timestamp are a function of the tick,
//! over changes of the format in mid-call too.

mod common;

use common::*;
use media::codec::decoder::Decoder;
use media::{Codec, LegRemote};

const CODECS: [Codec; 6] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::Opus,
    Codec::L16(16_000),
    Codec::L16(48_000),
];

fn with(payload_type: u8, codec: Codec, ptime_ms: u32) -> LegRemote {
    LegRemote {
        audio: payload_types(&[(payload_type, codec)]),
        ptime_ms,
        ..remote(phone_rtp())
    }
}

/// A node that says a tone to a phone with this format.
fn talking(payload_type: u8, codec: Codec, ptime_ms: u32) -> Node {
    let mut node = Node::new();
    node.connect(with(payload_type, codec, ptime_ms));
    let stream = node.open_stream(stream_params(20, 8_000));
    for chunk in 0..4 {
        node.message(stream, &audio(&tone(chunk * 8_000, 8_000), chunk as u32));
    }
    node
}

/// The numbers go up in step, and so do the times they are sent at.
fn check_steps(packets: &[SentPacket], codec: Codec, ptime_ms: u32) {
    for pair in packets.windows(2) {
        let [before, after] = pair else { unreachable!() };
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        let step = after.timestamp.wrapping_sub(before.timestamp);
        assert_eq!(
            step,
            ptime_ms * codec.clock_hz() / 1_000,
            "{codec:?} at {ptime_ms} ms"
        );
        assert_eq!(after.ssrc, before.ssrc);
    }
}

#[test]
fn every_codec_and_packet_time_advances_both_numbers_in_step() {
    for codec in CODECS {
        let wanted: &[u32] = match codec {
            Codec::Pcmu => &[10, 20, 30, 40, 50, 60],
            _ => &[10, 60],
        };
        for &wanted_ms in wanted {
            let ptime_ms = codec.packet_ms(wanted_ms);
            let mut node = talking(96, codec, wanted_ms);
            node.run_ms(1_200);
            check_steps(&node.packets, codec, ptime_ms);
            let expected = (1_200 / ptime_ms) as usize;
            assert!(
                node.packets.len().abs_diff(expected) <= 2,
                "{codec:?}: {}",
                node.packets.len()
            );
            let mut decoder = Decoder::new(codec);
            let mut heard = Vec::new();
            for packet in &node.packets {
                let mut out = [0; media::codec::MAX_PACKET_SAMPLES];
                let count = decoder.decode(&packet.payload, &mut out).unwrap();
                assert_eq!(count as u32, codec.rate_hz() / 1_000 * ptime_ms);
                heard.extend_from_slice(&out[..count]);
            }
            let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 500).count();
            assert!(
                loud * 10 > heard.len() * 8,
                "{codec:?} at {ptime_ms} ms: a tone, {loud} of {}",
                heard.len()
            );
        }
    }
}

#[test]
fn frames_that_are_skipped_leave_a_gap_in_the_numbers_and_nothing_else() {
    for ptime_ms in [10, 20, 30, 60] {
        let mut node = talking(0, Codec::Pcmu, ptime_ms);
        node.run_ms(600);
        let before = node.packets.last().unwrap().clone();
        node.stall_ms(301);
        node.run_ms(600);
        let after = node.packets.last().unwrap();
        let packets = after.sequence.wrapping_sub(before.sequence);
        let elapsed = after.timestamp.wrapping_sub(before.timestamp);
        assert_eq!(elapsed, u32::from(packets) * ptime_ms * 8, "still in step");
        let millis = after.at.millis_since(before.at);
        assert!(
            u64::from(elapsed / 8).abs_diff(millis) <= 60,
            "{elapsed} {millis}"
        );
    }
}

#[test]
fn another_codec_of_the_same_clock_goes_on_under_the_same_numbers() {
    let mut node = talking(0, Codec::Pcmu, 20);
    node.run_ms(600);
    node.connect(with(9, Codec::G722, 20));
    node.run_ms(600);
    check_steps(&node.packets, Codec::Pcmu, 20);
    let types: Vec<u8> = node.packets.iter().map(|packet| packet.payload_type).collect();
    assert_eq!((types[0], *types.last().unwrap()), (0, 9));
}

#[test]
fn another_packet_time_never_moves_a_number_back() {
    let mut node = talking(0, Codec::Pcmu, 20);
    for ptime_ms in [60, 10, 50, 20, 30] {
        node.run_ms(500);
        node.connect(with(0, Codec::Pcmu, ptime_ms));
    }
    node.run_ms(500);
    for pair in node.packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        // At a change up to a packet less a frame is dropped, which lengthens the step.
        assert!((80..=480 + 400).contains(&step), "{step}");
    }
    let (first, last) = (&node.packets[0], node.packets.last().unwrap());
    let clocks = u64::from(last.timestamp.wrapping_sub(first.timestamp));
    assert!(clocks.abs_diff(last.at.millis_since(first.at) * 8) <= 60 * 8);
}

#[test]
fn another_clock_is_another_source_and_the_old_one_says_bye() {
    let mut node = talking(0, Codec::Pcmu, 20);
    node.run_ms(600);
    let byes = |node: &Node| {
        node.rtcp
            .iter()
            .filter(|(_, _, data)| data.windows(2).any(|pair| pair == [0x81, 203]))
            .count()
    };
    assert_eq!(byes(&node), 0);
    node.connect(with(96, Codec::Opus, 20));
    assert_eq!(byes(&node), 1);
    node.run_ms(600);
    let at = node
        .packets
        .iter()
        .position(|packet| packet.payload_type == 96)
        .unwrap();
    let (old, new) = node.packets.split_at(at);
    check_steps(old, Codec::Pcmu, 20);
    check_steps(new, Codec::Opus, 20);
    assert_ne!(old[0].ssrc, new[0].ssrc);
    assert!(new[0].marker);
}

#[test]
fn the_first_format_of_a_leg_keeps_the_ssrc_it_was_opened_with() {
    let mut node = talking(96, Codec::Opus, 20);
    node.run_ms(100);
    assert_eq!(node.engine.leg_ssrc(node.leg).unwrap(), node.packets[0].ssrc);
}
