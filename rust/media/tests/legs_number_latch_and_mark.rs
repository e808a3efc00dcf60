//! A leg toward its far end: numbers, markers, addresses, hold, and frames that come late.

mod common;

use common::*;
use media::{Codec, CommandError, EngineConfig, Event, LegRemote, Numbering};

#[test]
fn rtp_flows_every_20_ms_from_the_moment_of_connecting() {
    let mut node = Node::new();
    node.run_ms(1_000);
    assert!(node.packets.is_empty());
    node.connect(remote(phone_rtp()));
    node.run_ms(1_000);
    assert_eq!(node.packets.len(), 50);
    for pair in node.packets.windows(2) {
        assert_eq!(pair[1].at.micros_since(pair[0].at), 20_000);
        assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1);
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160);
        assert_eq!(
            (pair[1].ssrc, pair[1].payload_type, pair[1].payload.len()),
            (pair[0].ssrc, 0, 160)
        );
        assert_eq!(pair[1].to, phone_rtp());
    }
    assert!(
        node.packets.iter().all(|packet| packet.payload == [0xff; 160]),
        "silence is sent"
    );
}

#[test]
fn numbers_are_a_function_of_the_tick() {
    let numbering = Numbering {
        ssrc: 9,
        sequence: 65_530,
        timestamp: u32::MAX - 1_000,
    };
    let config = EngineConfig {
        numbering: Some(numbering),
        ..EngineConfig::new(1, 0)
    };
    let mut node = Node::with(config);
    let tick0 = node.now.tick();
    node.connect(remote(phone_rtp()));
    for step_ms in [20, 1, 30, 45, 59, 100, 20, 1_000, 20, 5, 333, 20] {
        node.stall_ms(step_ms);
    }
    for packet in &node.packets {
        let newest = (packet.at.tick() - tick0) / 20;
        let frame = (newest.saturating_sub(3)..=newest)
            .find(|frame| packet.sequence == 65_530u16.wrapping_add(*frame as u16));
        let frame = frame.expect("a frame at most 60 ms old");
        assert_eq!(
            packet.timestamp,
            (u32::MAX - 1_000).wrapping_add(160 * frame as u32)
        );
    }
}

#[test]
fn late_frames_are_sent_at_once_and_older_ones_skipped() {
    for (stall_ms, sent) in [
        (20, 1),
        (40, 2),
        (59, 2),
        (60, 3),
        (79, 3),
        (80, 3),
        (99, 3),
        (500, 3),
        (3_600_000, 3),
    ] {
        let mut node = Node::connected();
        node.run_ms(200);
        let before = node.packets.len();
        node.stall_ms(stall_ms);
        assert_eq!(node.packets.len() - before, sent, "after {stall_ms} ms");
        let skipped = stall_ms / 20 - sent as u64;
        assert_eq!(node.engine.engine_stats().skipped_frames, skipped);
        assert_eq!(node.engine.stats(node.session).unwrap().skipped_frames, skipped);
        let jump = node.packets[before]
            .sequence
            .wrapping_sub(node.packets[before - 1].sequence);
        assert_eq!(u64::from(jump), (skipped + 1) % 65_536, "never back");
        node.run_ms(20);
        assert_eq!(node.packets.len() - before, sent + 1, "and then as before");
    }
}

#[test]
fn nothing_is_due_twice() {
    let mut node = Node::connected();
    node.run_ms(100);
    let count = node.packets.len();
    for _ in 0..10 {
        node.engine.handle_timeout(node.now);
        node.drain();
    }
    assert_eq!(node.packets.len(), count);
}

#[test]
fn the_marker_is_on_the_first_packet_of_each_talkspurt() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    node.run_ms(100);
    for _ in 0..3 {
        node.message(stream, &audio(&tone(0, 1_600), 1));
        node.run_ms(500);
    }
    let marked: Vec<usize> = (0..node.packets.len())
        .filter(|n| node.packets[*n].marker)
        .collect();
    assert_eq!(marked, [0, 5, 30, 55]);
}

#[test]
fn two_engines_of_different_seeds_share_no_numbers_and_same_seeds_share_all() {
    let first = |seed| {
        let mut node = Node::with(EngineConfig::new(seed, 0));
        node.connect(remote(phone_rtp()));
        node.run_ms(20);
        assert_eq!(node.engine.leg_ssrc(node.leg).unwrap(), node.packets[0].ssrc);
        (
            node.packets[0].ssrc,
            node.packets[0].sequence,
            node.packets[0].timestamp,
        )
    };
    assert_eq!(first(1), first(1));
    let (a, b) = (first(1), first(2));
    assert!(a.0 != b.0 && a.1 != b.1 && a.2 != b.2);
}

#[test]
fn a_law_legs_speak_a_law() {
    let mut node = Node::new();
    node.connect(LegRemote {
        audio: payload_types(&[(8, Codec::Pcma)]),
        ..remote(phone_rtp())
    });
    let stream = node.open_stream(stream_params(20, 8_000));
    node.run_ms(20);
    assert_eq!(
        (node.packets[0].payload_type, &node.packets[0].payload[..]),
        (8, &[0xd5; 160][..])
    );
    node.message(stream, &audio(&[5_000; 800], 1));
    node.run_ms(100);
    assert!((4_800..5_200).contains(&node.packets[2].samples()[50]));
}

#[test]
fn the_first_valid_packet_latches_its_source() {
    let mut node = Node::connected();
    let mut phone = Phone::new();
    let behind_nat = address("192.0.2.10:61000");
    let stranger = address("203.0.113.5:4000");
    node.rtp_from(stranger, &phone.tone());
    assert_eq!(node.leg_stats().wrong_source, 1);
    node.rtp_from(behind_nat, b"\x80\x00");
    node.run_ms(20);
    assert_eq!(
        node.packets.last().unwrap().to,
        phone_rtp(),
        "what is not valid latches nothing"
    );
    node.rtp_from(behind_nat, &phone.tone());
    node.run_ms(20);
    assert_eq!(node.packets.last().unwrap().to, behind_nat, "symmetric RTP");
    for other in [stranger, phone_rtp(), address("192.0.2.10:61001")] {
        node.rtp_from(other, &phone.tone());
    }
    let stats = node.leg_stats();
    assert_eq!((stats.packets_received, stats.wrong_source), (1, 4));
    let told: Vec<_> = node.events.iter().map(|(_, event)| event).collect();
    assert_eq!(
        told,
        [
            &Event::LegIntruder {
                leg: node.leg,
                from: stranger
            },
            &Event::LegFirstPacket {
                leg: node.leg,
                from: behind_nat
            }
        ]
    );
}

#[test]
fn a_new_address_from_signalling_opens_the_latch() {
    let mut node = Node::connected();
    let mut phone = Phone::new();
    node.rtp(&phone.tone());
    node.connect(remote(phone_rtp()));
    node.rtp_from(address("192.0.2.10:7"), &phone.tone());
    assert_eq!(
        node.leg_stats().wrong_source,
        1,
        "the same address again keeps the latch"
    );
    let moved = address("198.51.100.9:9000");
    node.connect(remote(moved));
    node.rtp(&phone.tone());
    assert_eq!(
        node.leg_stats().wrong_source,
        2,
        "the old far end is a stranger now"
    );
    let mut other = Phone {
        ssrc: 5,
        ..Phone::new()
    };
    for _ in 0..10 {
        node.rtp_from(moved, &other.tone());
        node.run_ms(20);
    }
    assert_eq!(node.packets.last().unwrap().to, moved);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::LegFirstPacket { .. })),
        2
    );
    assert_eq!(node.leg_stats().ssrc_changes, 0, "not a change within one source");
}

#[test]
fn mapped_addresses_are_the_addresses_they_map() {
    let mut node = Node::connected();
    node.rtp_from(address("[::ffff:192.0.2.10]:4000"), &Phone::new().tone());
    assert_eq!(node.leg_stats().packets_received, 1);
}

#[test]
fn on_hold_nothing_is_sent_and_nothing_is_lost_from_the_queue() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    node.message(stream, &audio(&tone(0, 8_000), 1));
    node.run_ms(200);
    node.connect(LegRemote {
        send: false,
        ..remote(phone_rtp())
    });
    let before = node.packets.len();
    node.run_ms(5_000);
    assert_eq!(node.packets.len(), before);
    assert_eq!(node.stream_stats().queued_ms, 800);
    node.connect(remote(phone_rtp()));
    node.run_ms(1_000);
    let after = &node.packets[before..];
    assert_eq!(after.len(), 50);
    assert!(after[0].marker);
    assert_eq!(
        after[0].sequence.wrapping_sub(node.packets[before - 1].sequence),
        251,
        "time went on"
    );
    assert_eq!(after.iter().filter(|packet| !packet.is_silent()).count(), 40);
}

#[test]
fn what_comes_while_we_do_not_receive_is_counted_and_not_heard() {
    let mut node = Node::new();
    let mut phone = Phone::new();
    node.rtp(&phone.tone());
    node.connect(LegRemote {
        receive: false,
        ..remote(phone_rtp())
    });
    node.open_stream(stream_params(20, 8_000));
    for _ in 0..10 {
        node.rtp(&phone.tone());
        node.run_ms(20);
    }
    assert_eq!(
        (node.leg_stats().not_receiving, node.leg_stats().packets_received),
        (11, 0)
    );
    assert!(node.heard_by_app().iter().all(|sample| *sample == 0));
}

#[test]
fn keys_of_what_is_gone_are_errors() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    let (session, leg, now) = (node.session, node.leg, node.now);
    for _ in 1..media::session::MAX_LEGS {
        node.engine.open_leg(now, session).unwrap();
    }
    assert_eq!(
        node.engine.open_leg(now, session),
        Err(CommandError::LimitReached("legs of a session"))
    );
    node.engine.close_session(now, session).unwrap();
    node.drain();
    let next = node.engine.open_session(now).unwrap();
    assert_ne!(next, session, "the place is the same, the key is not");
    assert_eq!(
        node.engine.open_leg(now, session),
        Err(CommandError::UnknownSession)
    );
    assert_eq!(
        node.engine.close_session(now, session).map(|_| ()),
        Err(CommandError::UnknownSession)
    );
    assert_eq!(
        node.engine.connect_leg(now, leg, remote(phone_rtp())),
        Err(CommandError::UnknownLeg)
    );
    assert_eq!(
        node.engine.close_leg(now, leg).map(|_| ()),
        Err(CommandError::UnknownLeg)
    );
    assert_eq!(node.engine.leg_ssrc(leg), Err(CommandError::UnknownLeg));
    assert_eq!(
        node.engine.stream_connected(now, stream),
        Err(CommandError::UnknownStream)
    );
    assert_eq!(
        node.engine.close_stream(now, stream),
        Err(CommandError::UnknownStream)
    );
    assert_eq!(node.engine.stats(session), Err(CommandError::UnknownSession));
    node.rtp(&Phone::new().tone());
    node.message(stream, r#"{"type":"clear"}"#);
    assert_eq!(node.engine.engine_stats().stale_inputs, 2);
}

#[test]
fn sessions_are_bounded_and_end_alone() {
    let mut config = EngineConfig::new(1, 0);
    config.limits.sessions = 3;
    let mut node = Node::with(config);
    node.connect(remote(phone_rtp()));
    let second = node.engine.open_session(node.now).unwrap();
    node.engine.open_session(node.now).unwrap();
    assert_eq!(
        node.engine.open_session(node.now),
        Err(CommandError::LimitReached("sessions"))
    );
    node.engine.close_session(node.now, second).unwrap();
    assert!(node.engine.open_session(node.now).is_ok());
    node.run_ms(200);
    assert_eq!(node.packets.len(), 10);
    node.engine.close_session(node.now, node.session).unwrap();
    node.run_ms(200);
    assert_eq!(node.packets.len(), 10);
    assert_eq!(node.engine.engine_stats().sessions, 2);
}

#[test]
fn each_digit_is_told_once() {
    let mut node = Node::connected();
    let mut phone = Phone::new();
    for key in [1u8, 1, 10, 11, 15] {
        for n in 1..=5u16 {
            node.rtp(&phone.event(key, false, n * 160));
            node.run_ms(20);
        }
        for _ in 0..3 {
            node.rtp(&phone.event(key, true, 960));
        }
        phone.timestamp += 960;
        node.run_ms(100);
        for _ in 0..5 {
            node.rtp(&phone.tone());
            node.run_ms(20);
        }
    }
    let digits: Vec<(char, u32)> = node
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::DigitReceived {
                digit, duration_ms, ..
            } => Some((*digit, *duration_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(
        digits,
        [('1', 120), ('1', 120), ('*', 120), ('#', 120), ('D', 120)]
    );
    assert_eq!(
        (node.leg_stats().lost, node.leg_stats().concealed_ms),
        (0, 0),
        "events are no loss of audio"
    );
}

#[test]
fn a_digit_whose_end_was_lost_is_told_after_a_while() {
    let mut node = Node::connected();
    let mut phone = Phone::new();
    node.rtp(&phone.event(7, false, 400));
    node.run_ms(100);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::DigitReceived { .. })),
        0
    );
    node.run_ms(100);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::DigitReceived { digit: '7', .. })),
        1
    );
}
