//! Barge-in, seen where it counts: on the packets.

mod common;

use common::*;
use media::Event;

#[test]
fn after_clear_at_most_the_next_packet_has_sound() {
    for offset_ms in 0..20 {
        let mut node = Node::connected();
        let stream = node.open_stream(stream_params(20, 8_000));
        node.message(stream, &audio(&tone(0, 80_000), 1));
        node.run_ms(500 + offset_ms);
        let before = node.packets.len();
        assert!(
            node.packets[before - 10..]
                .iter()
                .all(|packet| !packet.is_silent())
        );

        node.message(stream, r#"{"type":"clear"}"#);
        node.run_ms(1_000);
        let after = &node.packets[before..];
        assert_eq!(after.len(), 50, "silence is sent too");
        assert!(
            after[1..].iter().all(|packet| packet.is_silent()),
            "offset {offset_ms}"
        );
        let ramp = after[0].samples();
        assert!(
            ramp[32..].iter().all(|sample| sample.unsigned_abs() <= 8),
            "a ramp of 4 ms, then silence"
        );
        assert!(
            ramp[..32].iter().any(|sample| sample.unsigned_abs() > 100),
            "not cut off in the middle of a wave"
        );
    }
}

#[test]
fn clear_tells_what_was_heard_and_what_was_not() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    node.message(stream, &audio(&tone(0, 16_000), 1));
    node.run_ms(600);
    node.message(stream, r#"{"type":"clear"}"#);
    let told: Vec<_> = node.events.iter().map(|(_, event)| event.clone()).collect();
    assert!(
        told.contains(&Event::PlayoutCleared {
            stream,
            played_ms: 600,
            dropped_ms: 1_400
        }),
        "{told:?}"
    );
    let stats = node.stream_stats();
    assert_eq!(
        (stats.played_ms, stats.cleared_ms, stats.queued_ms),
        (600, 1_400, 0)
    );
}

#[test]
fn chunks_after_clear_play_normally() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    node.message(stream, &audio(&tone(0, 8_000), 1));
    node.run_ms(100);
    node.message(stream, r#"{"type":"clear"}"#);
    node.run_ms(60);
    node.packets.clear();
    node.message(stream, &audio(&tone(0, 1_600), 2));
    node.run_ms(300);
    let sounding: Vec<bool> = node.packets.iter().map(|packet| !packet.is_silent()).collect();
    assert_eq!(
        sounding.iter().filter(|sounding| **sounding).count(),
        10,
        "200 ms of it"
    );
    assert!(node.packets[0].marker, "a new talkspurt");
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutStarted { .. })),
        2
    );
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutDrained { .. })),
        1
    );
}

#[test]
fn a_storm_of_clears_is_told_once() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    for _ in 0..1_000 {
        node.message(stream, r#"{"type":"clear"}"#);
    }
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutCleared { .. })),
        1
    );
    node.message(stream, &audio(&tone(0, 8_000), 1));
    node.message(stream, r#"{"type":"clear"}"#);
    node.message(stream, r#"{"type":"clear"}"#);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutCleared { .. })),
        2
    );
}
