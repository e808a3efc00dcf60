//! `interrupt`: one chunk goes, those around it stay.

mod common;

use common::*;
use media::Event;

/// Three chunks of 200 ms, told apart by their level.
fn three_chunks(node: &mut Node, ids: [&str; 3]) -> media::StreamKey {
    let stream = node.open_stream(stream_params(20, 8_000));
    for (level, id) in [1_000i16, 2_000, 4_000].into_iter().zip(ids) {
        let base64 = base64(&bytes_of(&[level; 1_600]));
        node.message(
            stream,
            &format!(r#"{{"type":"audio","audio_b64":"{base64}","chunk_id":{id}}}"#),
        );
    }
    stream
}

fn levels(node: &Node) -> Vec<i16> {
    let mut levels: Vec<i16> = node
        .packets
        .iter()
        .filter(|packet| !packet.is_silent())
        .map(|packet| (f64::from(packet.samples()[100]) / 1_000.0).round() as i16)
        .collect();
    levels.dedup();
    levels
}

#[test]
fn a_queued_chunk_is_never_heard() {
    for ids in [
        ["1", "2", "3"],
        [r#""a""#, r#""b""#, r#""c""#],
        ["null", "-7", "1.5"],
    ] {
        let mut node = Node::connected();
        let stream = three_chunks(&mut node, ids);
        node.run_ms(100);
        node.message(
            stream,
            &format!(r#"{{"type":"interrupt","chunk_id":{}}}"#, ids[1]),
        );
        node.run_ms(600);
        assert_eq!(levels(&node), [1, 4], "{ids:?}");
        let told = node.events.iter().find_map(|(_, event)| match event {
            Event::PlayoutInterrupted {
                chunk_id, dropped_ms, ..
            } => Some((chunk_id.as_json(), *dropped_ms)),
            _ => None,
        });
        assert_eq!(told, Some((ids[1], 200)));
    }
}

#[test]
fn the_playing_chunk_stops_and_the_next_one_follows() {
    let mut node = Node::connected();
    let stream = three_chunks(&mut node, ["1", "2", "3"]);
    node.run_ms(100);
    let before = node.packets.len();
    node.message(stream, r#"{"type":"interrupt","data":{"chunk_id":1}}"#);
    node.run_ms(600);
    let sounding = node.packets[before..]
        .iter()
        .filter(|packet| !packet.is_silent())
        .count();
    assert_eq!(sounding, 20, "the two that are left");
    let first = node.packets[before].samples();
    assert!(
        (1_900..2_100).contains(&first[100]),
        "the next chunk begins at once: {}",
        first[100]
    );
    assert_eq!(node.stream_stats().cleared_ms, 100);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutDrained { .. })),
        1
    );
}

#[test]
fn an_unknown_chunk_is_a_counter() {
    let mut node = Node::connected();
    let stream = three_chunks(&mut node, ["1", "2", "3"]);
    let too_long = "9".repeat(100);
    for id in ["4", r#""1""#, &too_long] {
        node.message(stream, &format!(r#"{{"type":"interrupt","chunk_id":{id}}}"#));
    }
    assert_eq!(
        (node.stream_stats().unknown_chunk, node.stream_stats().queued_ms),
        (3, 600)
    );
    node.message(stream, r#"{"type":"interrupt"}"#);
    assert_eq!(node.stream_stats().missing_field, 1);
}
