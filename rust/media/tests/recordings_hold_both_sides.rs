//! A recording: left what the leg said, right what it was sent, in the same tick.

mod common;

use common::*;
use media::{Layout, RecordingParams, Track};

const STEREO: RecordingParams = RecordingParams::new(Layout::Stereo);

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
    let recording = node
        .engine
        .start_recording(node.now, node.session, STEREO)
        .unwrap();
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
    let recording = node
        .engine
        .start_recording(node.now, node.session, STEREO)
        .unwrap();
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
    node.engine
        .start_recording(node.now, node.session, STEREO)
        .unwrap();
    node.run_ms(500);
    assert_eq!(node.recorded, vec![0; 2 * 4_000]);
    let stats = node.engine.close_session(node.now, node.session).unwrap();
    assert_eq!(stats.duration_ms, 500);
}

/// The first leg says a tone, a second 1000, a stream 3000; the second joins after half a second.
fn record_conference(layout: Layout) -> (Node, media::LegKey) {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    node.message(stream, &audio(&[3_000; 16_000], 1));
    let params = RecordingParams::new(layout);
    node.engine
        .start_recording(node.now, node.session, params)
        .unwrap();
    let mut phone = Phone::new();
    let mut second = None;
    for frame in 0..75 {
        node.rtp(&phone.tone());
        if frame == 25 {
            second = Some((node.add_leg(1), Phone::new()));
        }
        if let Some(((leg, from), phone)) = &mut second {
            let packet = phone.say(&[1_000; 160]);
            let source = media::Source::Rtp {
                leg: *leg,
                from: *from,
            };
            node.engine.receive(node.now, source, &packet);
        }
        node.run_ms(20);
    }
    let ((leg, _), _) = second.unwrap();
    (node, leg)
}

#[test]
fn each_party_has_a_track_from_where_it_joined() {
    let (node, second) = record_conference(Layout::Parties);
    let [
        (Track::Streams, streams),
        (Track::Leg(first), one),
        (Track::Leg(other), two),
    ] = &node.tracks[..]
    else {
        panic!(
            "{:?}",
            node.tracks.iter().map(|(track, _)| track).collect::<Vec<_>>()
        )
    };
    assert_eq!((*first, *other), (node.leg, second));
    assert_eq!((streams.len(), one.len(), two.len()), (12_000, 12_000, 8_000));
    assert_eq!(streams[..], [3_000; 12_000]);
    assert!(two[7_000..].iter().all(|sample| (980..1_020).contains(sample)));
    assert!(one[8_000..].iter().any(|sample| *sample > 7_000));
}

#[test]
fn mono_has_everyone_and_stereo_what_the_first_leg_hears() {
    let (node, _) = record_conference(Layout::Mono);
    assert_eq!(node.recorded.len(), 12_000);
    let end = &node.recorded[8_000..];
    let mean = end.iter().map(|sample| i32::from(*sample)).sum::<i32>() / end.len() as i32;
    assert!((3_900..4_100).contains(&mean), "{mean}: a tone, 1000 and 3000");

    let (node, _) = record_conference(Layout::Stereo);
    let (left, right) = sides(&node);
    assert!(left[8_000..].iter().any(|sample| *sample > 7_000));
    assert!(
        right[11_000..]
            .iter()
            .all(|sample| (3_950..4_050).contains(sample))
    );
}

#[test]
fn a_recording_keeps_its_rate_when_the_session_has_another() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    node.message(stream, &audio(&[3_000; 16_000], 1));
    let params = RecordingParams {
        rate_hz: 16_000,
        ..STEREO
    };
    node.engine
        .start_recording(node.now, node.session, params)
        .unwrap();
    node.run_ms(1_000);
    let (_, right) = sides(&node);
    assert_eq!(right.len(), 16_000);
    assert!((2_950..3_050).contains(&right[8_000]));
    let odd = RecordingParams {
        rate_hz: 11_025,
        ..STEREO
    };
    assert!(node.engine.start_recording(node.now, node.session, odd).is_err());
}
