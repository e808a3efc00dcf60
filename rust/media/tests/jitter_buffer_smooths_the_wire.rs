//! The jitter buffer and what is around it, fed by hand and heard by the application.

mod common;

use common::*;
use media::FRAME_SAMPLES;

fn listening() -> (Node, Phone) {
    let mut node = Node::connected();
    node.open_stream(stream_params(20, 8_000));
    (node, Phone::new())
}

/// What the application heard, from the first sound on.
fn heard(node: &Node) -> Vec<i16> {
    node.heard_by_app()
        .into_iter()
        .skip_while(|sample| sample.unsigned_abs() <= 8)
        .collect()
}

/// The tone as it is after G.711, from its first sample that is not silent.
fn ideal(count: usize) -> Vec<i16> {
    tone(0, count + 1)
        .into_iter()
        .skip(1)
        .map(|sample| media::codec::g711::mu_law_decode(media::codec::g711::mu_law_encode(sample)))
        .collect()
}

/// The application heard so many samples of the tone, whole but for its first moment, which fades in.
fn is_whole(node: &Node, count: usize) -> bool {
    let (heard, ideal) = (heard(node), ideal(count + 4));
    (0..4).any(|late| heard[50..count] == ideal[50 + late..count + late])
}

#[test]
fn every_packet_time_of_g711_is_heard_whole() {
    for packet_ms in [10usize, 20, 30, 40, 50, 60] {
        for phase_ms in [0, 7, 19] {
            let (mut node, mut phone) = listening();
            phone.samples_per_packet = packet_ms * 8;
            node.run_ms(phase_ms);
            for _ in 0..3_000 / packet_ms {
                node.rtp(&phone.tone());
                node.run_ms(packet_ms as u64);
            }
            assert!(
                is_whole(&node, 16_000),
                "{packet_ms} ms packets, {phase_ms} ms off"
            );
            assert_eq!(node.leg_stats().concealed_ms, 0);
        }
    }
}

#[test]
fn the_delay_of_a_clean_network_is_1_to_22_ms() {
    for phase_ms in 0..20 {
        let (mut node, mut phone) = listening();
        node.run_ms(phase_ms);
        for _ in 0..100 {
            node.rtp(&phone.tone());
            node.run_ms(20);
        }
        let stats = node.leg_stats();
        assert_eq!(stats.buffer_target_ms, 11);
        assert!(
            (1.0..=22.0).contains(&stats.buffer_ms),
            "{phase_ms}: {}",
            stats.buffer_ms
        );
    }
}

#[test]
fn packets_out_of_order_are_heard_in_order() {
    let (mut node, mut phone) = listening();
    let start = node.now;
    for pair in 0..50u64 {
        let (first, second) = (phone.tone(), phone.tone());
        // In every other pair the first is 16 ms late and the second 6 ms early: overtaken, but still in time.
        let swapped = pair % 2 == 1;
        let (at_first, at_second) = if swapped { (16, 14) } else { (0, 20) };
        let mut arrivals = [(at_first, first), (at_second, second)];
        arrivals.sort_by_key(|(at, _)| *at);
        for (at, packet) in arrivals {
            node.run_to(start.plus_millis(pair * 40 + at));
            node.rtp(&packet);
        }
    }
    node.run_ms(100);
    let stats = node.leg_stats();
    assert_eq!(
        (stats.reordered, stats.lost, stats.duplicate, stats.late),
        (25, 0, 0, 0)
    );
    assert!(is_whole(&node, 15_000));
}

#[test]
fn a_packet_that_comes_after_its_frame_is_late_and_not_heard_twice() {
    let (mut node, mut phone) = listening();
    for n in 0..100 {
        let packet = phone.tone();
        if n == 50 {
            // Held back by three frames, while those after it come as usual.
            for _ in 0..3 {
                node.run_ms(20);
                let next = phone.tone();
                node.rtp(&next);
            }
        }
        node.rtp(&packet);
        node.run_ms(20);
    }
    let stats = node.leg_stats();
    assert_eq!((stats.late, stats.lost, stats.reordered), (1, 0, 1));
    assert!((20..=40).contains(&stats.concealed_ms), "{}", stats.concealed_ms);
    assert!(stats.buffer_target_ms > 20, "it is known how late it was");
}

#[test]
fn duplicates_are_counted_and_not_heard() {
    let (mut node, mut phone) = listening();
    for _ in 0..50 {
        let packet = phone.tone();
        for _ in 0..3 {
            node.rtp(&packet);
        }
        node.run_ms(20);
    }
    assert_eq!(node.leg_stats().duplicate, 100);
    assert!(is_whole(&node, 6_000));
}

#[test]
fn a_lost_packet_is_concealed_and_counted() {
    let (mut node, mut phone) = listening();
    for n in 0..100 {
        let packet = phone.tone();
        if n % 10 != 5 {
            node.rtp(&packet);
        }
        node.run_ms(20);
    }
    let stats = node.leg_stats();
    assert_eq!((stats.lost, stats.late, stats.concealed_ms), (10, 0, 200));
    assert_eq!(stats.buffer_target_ms, 11, "loss is no lateness");
    // A tone is its own best repetition: the concealed call is close to the whole one everywhere.
    let heard = heard(&node);
    let worst = heard
        .iter()
        .zip(ideal(14_000))
        .map(|(a, b)| (i32::from(*a) - i32::from(b)).abs())
        .max();
    assert!(worst.unwrap() < 3_000, "{worst:?}");
}

#[test]
fn a_burst_of_loss_fades_and_does_not_move_the_delay() {
    let (mut node, mut phone) = listening();
    for n in 0..200 {
        let packet = phone.tone();
        if !(100..106).contains(&n) {
            node.rtp(&packet);
        }
        node.run_ms(20);
        if n == 90 {
            node.messages.clear();
        }
    }
    let stats = node.leg_stats();
    assert_eq!((stats.lost, stats.late, stats.resyncs), (6, 0, 0));
    assert_eq!(stats.concealed_ms, 120);
    assert!((1.0..=22.0).contains(&stats.buffer_ms), "{}", stats.buffer_ms);
    assert_eq!((stats.inserted_ms, stats.dropped_ms), (0, 0));
}

#[test]
fn a_late_packet_raises_the_target_and_quiet_lowers_it_again() {
    let (mut node, mut phone) = listening();
    for _ in 0..50 {
        node.rtp(&phone.tone());
        node.run_ms(20);
    }
    // Nothing for 60 ms more than usual, then all that was held up.
    node.run_ms(80);
    for _ in 0..4 {
        node.rtp(&phone.tone());
    }
    let stats = node.leg_stats();
    assert!(
        (40..=100).contains(&stats.buffer_target_ms),
        "{}",
        stats.buffer_target_ms
    );
    assert_eq!(stats.lost, 0);
    assert!(stats.late >= 1);
    for _ in 0..2_000 {
        node.run_ms(20);
        node.rtp(&phone.tone());
    }
    let stats = node.leg_stats();
    assert_eq!(stats.buffer_target_ms, 11, "after quiet");
    assert!((1.0..=35.0).contains(&stats.buffer_ms), "{}", stats.buffer_ms);
    assert!(
        stats.dropped_ms >= 40,
        "what the delay had grown by: {}",
        stats.dropped_ms
    );
}

#[test]
fn jitter_within_the_target_is_not_heard() {
    let (mut node, mut phone) = listening();
    let mut due = node.now;
    for n in 0..500u64 {
        node.run_to(due.plus_millis(n * 7 % 19));
        node.rtp(&phone.tone());
        due = due.plus_millis(20);
    }
    let stats = node.leg_stats();
    assert_eq!((stats.concealed_ms, stats.late), (0, 0));
    assert!((3.0..12.0).contains(&stats.jitter_ms), "{}", stats.jitter_ms);
}

#[test]
fn the_target_never_leaves_its_bounds() {
    let (mut node, mut phone) = listening();
    for round in 0..60 {
        for _ in 0..10 {
            node.rtp(&phone.tone());
            node.run_ms(20);
        }
        node.run_ms(190);
        for _ in 0..9 {
            node.rtp(&phone.tone());
        }
        let stats = node.leg_stats();
        assert!((10..=200).contains(&stats.buffer_target_ms), "{round}");
        assert!(stats.buffer_ms <= 300.0, "{round}: {}", stats.buffer_ms);
    }
    assert!(node.leg_stats().buffer_target_ms > 40);
}

#[test]
fn a_pause_with_running_timestamps_is_silence() {
    let (mut node, mut phone) = listening();
    for pause_packets in [2u32, 4, 20, 500] {
        for _ in 0..50 {
            node.rtp(&phone.tone());
            node.run_ms(20);
        }
        let before = node.leg_stats();
        // RFC 3389: the sender says that it pauses.
        phone.payload_type = 13;
        node.rtp(&phone.with_payload(&[70]));
        phone.payload_type = 0;
        phone.sequence = phone.sequence.wrapping_add(1);
        node.run_ms(u64::from(pause_packets) * 20);
        phone.timestamp = phone.timestamp.wrapping_add(pause_packets * FRAME_SAMPLES as u32);
        for _ in 0..50 {
            node.rtp(&phone.tone());
            node.run_ms(20);
        }
        let after = node.leg_stats();
        assert_eq!(after.concealed_ms, before.concealed_ms, "{pause_packets}");
        assert_eq!(
            (after.lost, after.late, after.resyncs, after.unknown_payload_type),
            (0, 0, 0, 0)
        );
        assert!(
            (1.0..=27.0).contains(&after.buffer_ms),
            "{pause_packets}: {}",
            after.buffer_ms
        );
    }
}

#[test]
fn a_pause_with_standing_timestamps_starts_anew() {
    let (mut node, mut phone) = listening();
    for _ in 0..5 {
        for _ in 0..50 {
            node.rtp(&phone.tone());
            node.run_ms(20);
        }
        node.run_ms(3_000);
    }
    let stats = node.leg_stats();
    assert_eq!((stats.lost, stats.late), (0, 0));
    assert!((1.0..=27.0).contains(&stats.buffer_ms), "{}", stats.buffer_ms);
    assert!(stats.concealed_ms <= 5 * 120);
}

#[test]
fn jumps_of_sequence_timestamp_and_source_are_survived() {
    for (sequence, timestamp, ssrc) in [
        (1u16, 0u32, 0u32),
        (17, 0, 0),
        (100, 0, 0),
        (3_000, 0, 0),
        (32_767, 0, 0),
        (32_768, 0, 0),
        (65_000, 0, 0),
        (0, 8_000 * 60, 0),
        (0, 0x8000_0000, 0),
        (0, 0u32.wrapping_sub(8_000 * 60), 0),
        (5_000, 123_456_789, 0),
        (0, 0, 99),
        (30_000, 0x7fff_ffff, 99),
    ] {
        let (mut node, mut phone) = listening();
        for round in 0..4 {
            for _ in 0..50 {
                node.rtp(&phone.tone());
                node.run_ms(20);
            }
            node.messages.clear();
            phone.sequence = phone.sequence.wrapping_add(sequence);
            phone.timestamp = phone.timestamp.wrapping_add(timestamp);
            phone.ssrc = phone.ssrc.wrapping_add(ssrc);
            for _ in 0..50 {
                node.rtp(&phone.tone());
                node.run_ms(20);
            }
            let sounding = node
                .heard_by_app()
                .iter()
                .filter(|sample| sample.unsigned_abs() > 100)
                .count();
            let share = sounding as f64 / 8_000.0;
            assert!(
                share > 0.85,
                "jump {sequence}/{timestamp}/{ssrc}, round {round}: {share:.2} heard"
            );
            let delay = node.leg_stats().buffer_ms;
            assert!(
                (1.0..=45.0).contains(&delay),
                "jump {sequence}/{timestamp}/{ssrc}: delay {delay}"
            );
        }
    }
}

#[test]
fn a_stall_that_ends_in_a_burst_is_cut_to_the_longest_delay() {
    let (mut node, mut phone) = listening();
    for _ in 0..50 {
        node.rtp(&phone.tone());
        node.run_ms(20);
    }
    node.run_ms(1_000);
    for _ in 0..50 {
        node.rtp(&phone.tone());
    }
    for _ in 0..500 {
        node.rtp(&phone.tone());
        node.run_ms(20);
        assert!(node.leg_stats().buffer_ms <= 300.0);
    }
    let stats = node.leg_stats();
    assert!(stats.overflow > 20, "{}", stats.overflow);
    assert!(stats.buffer_ms < 100.0, "{}", stats.buffer_ms);
}

#[test]
fn ten_times_too_many_packets_hold_no_more_than_the_bound() {
    let (mut node, mut phone) = listening();
    for _ in 0..500 {
        for _ in 0..10 {
            node.rtp(&phone.tone());
        }
        node.run_ms(20);
    }
    let stats = node.leg_stats();
    assert!(stats.buffer_ms <= 300.0, "{}", stats.buffer_ms);
    assert!(stats.overflow > 3_000, "{}", stats.overflow);
    node.messages.clear();
    for _ in 0..100 {
        node.rtp(&phone.tone());
        node.run_ms(20);
    }
    assert!(node.leg_stats().buffer_ms < 300.0, "and the call goes on");
}

#[test]
fn frames_run_late_find_the_packets_that_waited_with_them() {
    let (mut node, mut phone) = listening();
    for n in 0..300 {
        if n % 50 == 25 {
            // Our own process sleeps for 45 ms: packets arrive at once with the late frames.
            let held: Vec<Vec<u8>> = (0..2).map(|_| phone.tone()).collect();
            let now = node.now.plus_millis(45);
            for packet in held {
                node.engine.receive(
                    now,
                    media::Source::Rtp {
                        leg: node.leg,
                        from: phone_rtp(),
                    },
                    &packet,
                );
            }
            node.stall_ms(45);
            node.run_ms(15);
            node.rtp(&phone.tone());
        } else {
            node.run_ms(20);
            node.rtp(&phone.tone());
        }
    }
    let stats = node.leg_stats();
    assert_eq!((stats.concealed_ms, stats.lost, stats.late), (0, 0, 0));
    assert_eq!(stats.buffer_target_ms, 11, "no fault of the network's");
}
