//! An hour in virtual time, with all numbers starting just before their wrap, and clocks that do not agree.

mod common;

use common::wire::{Pair, Weather, calm, rough};
use common::*;
use media::{EngineConfig, Numbering};

const HOUR_MS: u64 = 3_600_000;

fn near_the_wrap(ssrc: u32) -> EngineConfig {
    let numbering = Numbering {
        ssrc,
        sequence: 65_500,
        timestamp: u32::MAX - 160 * 50,
    };
    EngineConfig {
        numbering: Some(numbering),
        ..EngineConfig::new(u64::from(ssrc), 0xe000_0000_0000_0000)
    }
}

struct Seen {
    longest_buffer_ms: f64,
    shortest_buffer_ms: f64,
    highest_target_ms: u32,
}

/// An hour of call; both ends play a minute of sound (voiced and silent by turns) over and over.
fn an_hour(skew_ppm: [i64; 2], weather: Weather) -> (Pair, [Seen; 2]) {
    let mut pair = Pair::new([near_the_wrap(1), near_the_wrap(2)], skew_ppm, weather);
    let sound: Vec<i16> = (0..60)
        .flat_map(|n| {
            if n % 3 == 2 {
                vec![0; 8_000]
            } else {
                tone(0, 8_000)
            }
        })
        .collect();
    for end in 0..2 {
        let node = pair.node(end);
        node.engine
            .start_playback(node.now, node.session, sound.clone().into(), 100)
            .unwrap();
    }
    let mut seen = [0, 1].map(|_| Seen {
        longest_buffer_ms: 0.0,
        shortest_buffer_ms: f64::MAX,
        highest_target_ms: 0,
    });
    for _ in 0..HOUR_MS / 10_000 {
        pair.run_ms(10_000);
        for (end, seen) in seen.iter_mut().enumerate() {
            let stats = pair.node(end).leg_stats();
            seen.longest_buffer_ms = seen.longest_buffer_ms.max(stats.buffer_ms);
            seen.shortest_buffer_ms = seen.shortest_buffer_ms.min(stats.buffer_ms);
            seen.highest_target_ms = seen.highest_target_ms.max(stats.buffer_target_ms);
        }
    }
    (pair, seen)
}

#[test]
fn clocks_that_agree_lose_and_invent_nothing() {
    let (mut pair, seen) = an_hour([0, 0], calm(30));
    for (end, seen) in seen.iter().enumerate() {
        let stats = pair.node(end).leg_stats();
        // One every 20 ms, through three wraps; the last may be due a moment after the hour.
        assert!(
            (HOUR_MS / 20 - 1..=HOUR_MS / 20).contains(&stats.packets_sent),
            "{}",
            stats.packets_sent
        );
        assert_eq!(
            (
                stats.lost,
                stats.late,
                stats.duplicate,
                stats.reordered,
                stats.resyncs
            ),
            (0, 0, 0, 0, 0)
        );
        assert_eq!(
            (stats.concealed_ms, stats.inserted_ms, stats.dropped_ms),
            (0, 0, 0)
        );
        assert!(stats.packets_received >= HOUR_MS / 20 - 3);
        assert_eq!(
            seen.longest_buffer_ms, seen.shortest_buffer_ms,
            "the delay never moves"
        );
        assert_eq!(seen.highest_target_ms, 11);
        assert!(
            (stats.round_trip_ms.unwrap() - 60.0).abs() < 2.0,
            "{:?}",
            stats.round_trip_ms
        );
        assert_eq!(stats.remote_lost, Some(0));
    }
}

#[test]
fn drift_is_worked_off_frame_by_frame() {
    let (mut pair, seen) = an_hour([0, 200], calm(30));
    // The end with the slow clock hears a fast sender (720 ms too much in an hour), and the other way round.
    let fast_sender = pair.node(0).leg_stats();
    let slow_sender = pair.node(1).leg_stats();
    assert!(
        (680..=740).contains(&fast_sender.dropped_ms),
        "dropped {}",
        fast_sender.dropped_ms
    );
    assert!(
        (680..=760).contains(&slow_sender.inserted_ms),
        "inserted {}",
        slow_sender.inserted_ms
    );
    assert_eq!((fast_sender.inserted_ms, slow_sender.dropped_ms), (0, 0));
    for (seen, stats) in seen.iter().zip([fast_sender, slow_sender]) {
        assert_eq!(
            (stats.lost, stats.late, stats.concealed_ms, stats.resyncs),
            (0, 0, 0, 0)
        );
        assert!(
            seen.longest_buffer_ms < 60.0,
            "longest delay {}",
            seen.longest_buffer_ms
        );
        assert!(
            seen.shortest_buffer_ms > 0.5,
            "shortest delay {}",
            seen.shortest_buffer_ms
        );
        assert_eq!(seen.highest_target_ms, 11);
    }
}

#[test]
fn a_bad_hour_leaves_no_trace_in_the_delay() {
    let (mut pair, seen) = an_hour([-200, 200], rough(9, 100, 35));
    for (end, seen) in seen.iter().enumerate() {
        let stats = pair.node(end).leg_stats();
        let share = stats.lost as f64 / (HOUR_MS / 20) as f64;
        assert!((0.005..0.015).contains(&share), "lost {share}");
        assert!(
            seen.longest_buffer_ms < 120.0,
            "longest delay {}",
            seen.longest_buffer_ms
        );
        assert!(seen.highest_target_ms <= 80, "target {}", seen.highest_target_ms);
        // One in a hundred is lost; what jitter adds must stay small beside it.
        assert!(
            stats.concealed_ms < HOUR_MS / 40,
            "concealed {} ms",
            stats.concealed_ms
        );
        assert!(stats.late < 1_000, "late {}", stats.late);
        assert_eq!(stats.resyncs, 0);
    }
}
