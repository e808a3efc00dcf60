//! The playout queue against senders in real time: no delay without need, a little after need, none for ever.

mod common;

use common::*;
use media::{Event, StreamKey};

/// A sender that sends 20 ms every 20 ms, `lag_ms(n)` after it is due.
fn paced(node: &mut Node, stream: StreamKey, messages: u64, lag_ms: impl Fn(u64) -> u64) {
    let start = node.now;
    for n in 0..messages {
        node.run_to(start.plus_millis(n * 20 + lag_ms(n)));
        node.message(stream, &audio(&tone(n as usize * 160, 160), n as u32));
    }
}

fn with_stream() -> (Node, StreamKey) {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    // Messages come in the middle between two frames.
    node.run_ms(10);
    (node, stream)
}

#[test]
fn a_steady_sender_waits_for_nothing() {
    let (mut node, stream) = with_stream();
    paced(&mut node, stream, 500, |_| 0);
    assert!(node.stream_stats().queued_ms <= 20);
    assert_eq!(node.stream_stats().underruns, 0);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutStarted { .. })),
        1
    );
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutDrained { .. })),
        0
    );
}

/// From the arrival of a packet to the sending of its echo, through an application that takes `app_ms` to answer.
fn echo_ms(phase_ms: u64, app_ms: u64) -> u64 {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    let mut phone = Phone::new();
    let (mut said_at, mut answered) = (None, 0);
    for ms in 0..4_000 {
        if ms % 20 == phase_ms {
            let speaks = ms >= 2_000;
            let packet = if speaks { phone.tone() } else { phone.silence() };
            said_at = said_at.or(speaks.then_some(node.now));
            node.rtp(&packet);
        }
        while let Some((made_at, _, text)) = node.messages.get(answered).cloned()
            && node.now >= made_at.plus_millis(app_ms)
        {
            answered += 1;
            if let Some(samples) = audio_of(&text) {
                node.message(stream, &audio(&samples, 1));
            }
        }
        node.run_ms(1);
    }
    let heard_at = node.packets.iter().find(|packet| !packet.is_silent()).unwrap().at;
    assert_eq!(node.stream_stats().underruns, 0);
    heard_at.millis_since(said_at.unwrap())
}

#[test]
fn an_echo_comes_back_after_the_jitter_buffer_and_one_frame() {
    for phase_ms in 0..20 {
        for app_ms in [1, 3, 19] {
            let echo_ms = echo_ms(phase_ms, app_ms);
            // The jitter buffer is the wait for the frame (1..=22); the answer waits for the next.
            assert!(
                (20..=42).contains(&echo_ms),
                "phase {phase_ms}, {app_ms} ms: {echo_ms} ms"
            );
        }
    }
}

#[test]
fn a_late_sender_earns_a_reserve_and_then_is_heard_without_gaps() {
    let (mut node, stream) = with_stream();
    // Every eighth message is 30 ms late.
    let lag = |n: u64| if n % 8 == 7 { 30 } else { 0 };
    paced(&mut node, stream, 200, lag);
    let early = node.stream_stats().underruns;
    assert!((1..=3).contains(&early), "{early}");
    let before = node.packets.len();
    paced(&mut node, stream, 400, lag);
    let gaps = node.packets[before + 5..]
        .iter()
        .filter(|packet| packet.is_silent())
        .count();
    assert!(gaps <= 1, "{gaps} silent frames in speech");
    assert!(node.stream_stats().queued_ms <= 100);
}

#[test]
fn the_reserve_is_kept_for_the_next_talkspurts_and_given_back_in_time() {
    let (mut node, stream) = with_stream();
    let talkspurt = |node: &mut Node| {
        let before = node.stream_stats().underruns;
        paced(node, stream, 20, |n| if n == 4 { 30 } else { 0 });
        node.run_ms(500);
        node.stream_stats().underruns - before
    };
    let underruns: Vec<u64> = (0..8).map(|_| talkspurt(&mut node)).collect();
    // 20 ms a time, until the reserve is longer than the lateness.
    assert_eq!(underruns, [1, 1, 1, 0, 0, 0, 0, 0]);
    // A minute of steady speech: nothing is late, so nothing is kept back any more.
    paced(&mut node, stream, 3_000, |_| 0);
    node.run_ms(500);
    let before = node.packets.len();
    node.message(stream, &audio(&tone(0, 160), 1));
    node.run_ms(20);
    assert!(!node.packets[before].is_silent(), "heard in the next frame");
}

#[test]
fn speech_that_comes_ahead_of_time_never_waits() {
    let (mut node, stream) = with_stream();
    paced(&mut node, stream, 100, |n| if n % 4 == 3 { 60 } else { 0 });
    assert!(node.stream_stats().underruns > 0, "a reserve has been earned");
    node.run_ms(1_000);
    let before = node.packets.len();
    node.message(stream, &audio(&tone(0, 8_000), 1));
    node.run_ms(20);
    assert!(!node.packets[before].is_silent());
}

#[test]
fn a_standing_delay_is_worked_off_in_silence() {
    let (mut node, stream) = with_stream();
    let quiet = |node: &mut Node, count: u32| {
        for n in 0..count {
            node.message(stream, &audio(&[0; 160], n));
            node.run_ms(20);
        }
    };
    quiet(&mut node, 100);
    // The application stalls for 300 ms, then sends what it owes at once.
    node.run_ms(300);
    for n in 0..15 {
        node.message(stream, &audio(&[0; 160], n));
    }
    let owed = node.stream_stats().queued_ms;
    assert!(owed >= 280, "{owed}");
    quiet(&mut node, 3_000);
    let stats = node.stream_stats();
    assert!(stats.queued_ms <= 60, "{} ms still queued", stats.queued_ms);
    assert!(stats.trimmed_ms >= 200, "{}", stats.trimmed_ms);
}

#[test]
fn speech_queued_ahead_keeps_its_pauses() {
    let (mut node, stream) = with_stream();
    // Twenty seconds in messages of 20 ms, all at once, much of it silence.
    for n in 0..1_000u32 {
        let samples = if n % 50 < 25 { tone(0, 160) } else { vec![0; 160] };
        node.message(stream, &audio(&samples, n));
    }
    node.run_ms(21_000);
    let stats = node.stream_stats();
    assert_eq!((stats.trimmed_ms, stats.played_ms), (0, 20_000));
}

#[test]
fn the_sum_of_two_streams_and_a_playback_is_heard() {
    let (mut node, stream) = with_stream();
    let other = node.open_stream(stream_params(400, 8_000));
    node.message(stream, &audio(&[1_000; 1_600], 1));
    node.message(other, &audio(&[2_000; 1_600], 1));
    let playback = node
        .engine
        .start_playback(node.now, node.session, vec![4_000; 1_600].into(), 1)
        .unwrap();
    node.run_ms(300);
    let levels: Vec<i16> = node.packets.iter().map(|packet| packet.samples()[80]).collect();
    assert_eq!(
        levels
            .iter()
            .filter(|level| (6_800..7_200).contains(*level))
            .count(),
        10,
        "{levels:?}"
    );
    let finished = |event: &Event| matches!(event, Event::PlaybackFinished { playback: key, reason: media::PlaybackEnd::Completed } if *key == playback);
    assert_eq!(node.count_events(finished), 1);
    assert!(
        node.engine.stop_playback(node.now, playback).is_err(),
        "it is over"
    );
}
