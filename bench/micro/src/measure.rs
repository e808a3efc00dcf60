//! How long something takes: the best of many short rounds, since what disturbs a round only adds.

use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;
const ROUND: Duration = Duration::from_micros(300);

/// Nanoseconds that one call takes.
pub fn ns(mut call: impl FnMut()) -> f64 {
    let (mut calls, mut best) = (1u32, f64::INFINITY);
    let mut rounds = 0;
    while rounds < ROUNDS {
        let began = Instant::now();
        (0..calls).for_each(|_| call());
        let took = began.elapsed();
        if took < ROUND && calls < 1 << 24 {
            calls *= 2;
            continue;
        }
        best = best.min(took.as_nanos() as f64 / f64::from(calls));
        rounds += 1;
    }
    best
}

/// Nanoseconds of a bare copy of so many bytes.
pub fn copy_ns(bytes: usize) -> f64 {
    let (from, mut to) = (vec![7u8; bytes], vec![0u8; bytes]);
    ns(|| {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    })
}

/// For a row: two digits behind the point are enough, and small copies need them.
pub fn rounded(ns: f64) -> f64 {
    (ns * 100.0).round() / 100.0
}

/// A frame of 20 ms of noise at -30 dB of full scale: no part can go the short way of silence.
pub fn noise(rate_hz: u32) -> Vec<i16> {
    let mut state = 1u32;
    (0..rate_hz / 50)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 18
        })
        .collect()
}
