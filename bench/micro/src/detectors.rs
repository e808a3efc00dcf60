//! What the detectors of digits and voices cost.
//!
//! One JSON object a row: `part`, `step_ms` (how much sound a step takes), `us_per_step`, and `share_of_core`, which one leg
//! takes with it. Each part hears the same noisy second again and again, in turns with the others; the fastest turn counts,
//! since what disturbs a turn only adds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use media::dtmf::Detector;
use media::vad::silero::{Model, RATE_HZ, Silero, WINDOW};
use media::vad::{Kind, Vad};

/// Turns of each part.
const TURNS: usize = 50;
const WEIGHTS: &str = ".setup/silero.weights";

/// One part: what a step of it is, and how to do a second of them.
struct Part {
    name: String,
    step_ms: f64,
    second: Box<dyn FnMut()>,
    best_us: f64,
}

impl Part {
    fn new(name: String, step_ms: f64, second: impl FnMut() + 'static) -> Part {
        Part {
            name,
            step_ms,
            second: Box::new(second),
            best_us: f64::INFINITY,
        }
    }

    /// A part that takes frames of 20 ms.
    fn of_frames(name: &str, rate_hz: u32, mut push: impl FnMut(&[i16]) + 'static) -> Part {
        let samples = noise(rate_hz);
        Part::new(format!("{name} at {rate_hz} Hz"), 20.0, move || {
            for frame in samples.chunks(rate_hz as usize / 50) {
                push(frame);
            }
        })
    }

    fn take_turn(&mut self) {
        let began = Instant::now();
        (self.second)();
        self.best_us = self.best_us.min(began.elapsed().as_secs_f64() * 1e6);
    }

    fn print(&self) {
        let row = serde_json::json!({
            "part": self.name, "step_ms": self.step_ms.round(),
            "us_per_step": (self.best_us * self.step_ms / 10.0).round() / 100.0, "share_of_core": self.best_us / 1e6,
        });
        println!("{row}");
    }
}

/// A second of noise at -30 dB of full scale: no part can go the short way of silence.
fn noise(rate_hz: u32) -> Vec<i16> {
    let mut state = 1u32;
    (0..rate_hz)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 18
        })
        .collect()
}

fn silero_parts(model: &Arc<Model>) -> Vec<Part> {
    let mut silero = Silero::new(model.clone());
    let scaled: Vec<f32> = noise(RATE_HZ)
        .iter()
        .map(|&sample| f32::from(sample) / 32_768.0)
        .collect();
    // 31 windows are 992 ms; the last samples begin a window that is left out.
    let windows = Part::new("silero".into(), 32.0 * 1_000.0 / 992.0, move || {
        for window in scaled.as_chunks::<WINDOW>().0 {
            black_box(silero.probability(window));
        }
    });
    let mut vad = Vad::new(&Kind::Silero(model.clone()), 8_000);
    let leg = Part::of_frames("silero of a leg", 8_000, move |frame| {
        black_box(vad.as_mut().and_then(|vad| vad.push(frame, 8_000)));
    });
    vec![windows, leg]
}

/// Prints a row for each.
pub fn run() {
    let path = std::env::args().nth(1).unwrap_or_else(|| WEIGHTS.into());
    let mut parts = Vec::new();
    match std::fs::read(&path).map(|file| Model::parse(&file)) {
        Ok(Ok(model)) => parts.extend(silero_parts(&Arc::new(model))),
        Ok(Err(error)) => eprintln!("{path}: {error}"),
        Err(error) => eprintln!("{path}: {error}; scripts/fetch_silero.py makes it"),
    }
    for rate_hz in [8_000, 48_000] {
        let mut vad = Vad::new(&Kind::Energy, rate_hz);
        parts.push(Part::of_frames("energy", rate_hz, move |frame| {
            black_box(vad.as_mut().and_then(|vad| vad.push(frame, rate_hz)));
        }));
        let mut detector = Detector::new(rate_hz);
        parts.push(Part::of_frames("digits", rate_hz, move |frame| {
            black_box(detector.push(frame));
        }));
    }
    for _ in 0..TURNS {
        parts.iter_mut().for_each(Part::take_turn);
    }
    parts.iter().for_each(Part::print);
}
