//! Voice by its level above the noise, whose floor is followed: 20 ms at a time, at any rate, for a few nanoseconds a sample.
//!
//! A frame is voiced when it is [`MARGIN_DB`] above the floor, and louder than any comfort noise. The floor falls
//! quickly to what is quieter, and rises slowly: fast enough to follow a window that is opened, too slowly to take speech for
//! noise. Left out: the spectrum. Music and a shout across the room are voices to it; who needs more takes
//! [`silero`](super::silero).

use super::{Evidence, Gate, Rules, Speech};
use crate::time::FRAME_MS;

/// Two voiced frames begin speech, so that a click does not: told at most 60 ms after the onset. 400 ms end it.
pub const RULES: Rules = Rules {
    begin: 2,
    end: 20,
    step_ms: FRAME_MS,
};
/// A voice is so far above the floor.
pub const MARGIN_DB: f32 = 9.0;
/// While there is speech, less is enough.
const STAY_DB: f32 = 6.0;
/// The floor is at least this: digital silence is no reason to hear comfort noise as speech.
pub const LOWEST_FLOOR_DB: f32 = -55.0;
/// The floor is at most this, so that a shouting voice is still heard in a loud place.
const HIGHEST_FLOOR_DB: f32 = -20.0;
/// How far the floor goes to a quieter frame.
const FALL: f32 = 0.25;
/// How far it goes to a frame that is louder but no voice.
const RISE: f32 = 0.05;
/// How fast it rises under what is taken for a voice: 2 dB a second. A noise that begins is speech until then.
const CREEP_DB: f32 = 2.0 / 50.0;
/// Frames in which a floor is first looked for.
const FIRST_FRAMES: u32 = 10;

/// Follows one leg.
#[derive(Clone, Debug)]
pub struct Energy {
    floor_db: f32,
    /// Frames heard, up to [`FIRST_FRAMES`].
    heard: u32,
    gate: Gate,
}

impl Default for Energy {
    fn default() -> Energy {
        Energy::new()
    }
}

impl Energy {
    /// A detector that has heard nothing.
    pub fn new() -> Energy {
        Energy {
            floor_db: LOWEST_FLOOR_DB,
            heard: 0,
            gate: Gate::new(RULES),
        }
    }

    /// The noise floor in dB of full scale.
    pub fn floor_db(&self) -> f32 {
        self.floor_db
    }

    /// Takes a frame of 20 ms.
    pub fn push(&mut self, samples: &[i16]) -> Option<Speech> {
        let level = level_db(samples);
        let margin = if self.gate.is_open() { STAY_DB } else { MARGIN_DB };
        let voiced = level >= self.floor_db + margin;
        self.follow(level, voiced);
        self.gate.step(voiced, Evidence::Level(level))
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(super) fn gate_mut(&mut self) -> &mut Gate {
        &mut self.gate
    }

    pub(super) fn into_gate(self) -> Gate {
        self.gate
    }

    fn follow(&mut self, level: f32, voiced: bool) {
        let difference = level - self.floor_db;
        self.floor_db += if difference < 0.0 {
            FALL * difference
        } else if !voiced {
            RISE * difference
        } else if self.heard < FIRST_FRAMES && level < LOWEST_FLOOR_DB + 25.0 {
            // The call begins in a noisy place: what has been there from its first frame on is the floor.
            0.6 * difference
        } else {
            CREEP_DB.min(difference)
        };
        self.floor_db = self.floor_db.clamp(LOWEST_FLOOR_DB, HIGHEST_FLOOR_DB);
        self.heard = (self.heard + 1).min(FIRST_FRAMES);
    }
}

/// Mean power in dB, 0 being a square wave of full scale; -100 for silence.
pub fn level_db(samples: &[i16]) -> f32 {
    let energy: u64 = samples
        .iter()
        .map(|&sample| u64::from(sample.unsigned_abs()).pow(2))
        .sum();
    let mean = energy as f32 / samples.len().max(1) as f32 / (32_768.0 * 32_768.0);
    (10.0 * mean.max(1e-10).log10()).max(-100.0)
}
