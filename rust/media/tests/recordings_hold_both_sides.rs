//! A recording: left what the leg said, right what it was sent, in the same tick.

mod common;

use common::*;

fn sides(node: &Node) -> (Vec<i16>, Vec<i16>) {
    (
        node.recorded.iter().step_by(2).copied().collect(),
        node.recorded.iter().skip(1).step_by(2).copied().collect(),
    )
}

#[test]
fn both_sides_are_there_sample_by_sample() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    let recording = node.engine.start_recording(node.now, node.session).unwrap();
    let mut phone = Phone::new();
    node.message(stream, &audio(&[3_000; 8_000], 1));
    for _ in 0..100 {
        node.rtp(&phone.tone());
        node.run_ms(20);
    }
    assert_eq!(node.engine.stop_recording(node.now, recording), Ok(2_000));
    node.run_ms(100);
    let (left, right) = sides(&node);
    assert_eq!((left.len(), right.len()), (16_000, 16_000));
    assert_eq!(left, node.heard_by_app()[..16_000], "what the application heard");
    assert!(left.iter().filter(|sample| sample.unsigned_abs() > 100).count() > 15_000);
    assert_eq!(right[..8_000], [3_000; 8_000]);
    assert_eq!(right[8_000..], [0; 8_000]);
    assert!(node.engine.stop_recording(node.now, recording).is_err());
}

#[test]
fn skipped_frames_are_silence_so_that_time_is_kept() {
    let mut node = Node::connected();
    let recording = node.engine.start_recording(node.now, node.session).unwrap();
    node.run_ms(1_000);
    node.stall_ms(2_000);
    node.run_ms(1_000);
    assert_eq!(node.engine.stop_recording(node.now, recording), Ok(4_000));
    assert_eq!(node.recorded.len(), 2 * 32_000);
    assert!(node.engine.engine_stats().skipped_frames > 90);
}

#[test]
fn a_call_without_a_connected_leg_is_recorded_as_silence() {
    let mut node = Node::new();
    node.engine.start_recording(node.now, node.session).unwrap();
    node.run_ms(500);
    assert_eq!(node.recorded, vec![0; 2 * 4_000]);
    let stats = node.engine.close_session(node.now, node.session).unwrap();
    assert_eq!(stats.duration_ms, 500);
}
