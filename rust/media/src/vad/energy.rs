//! Voice by its level above the noise, whose floor is followed: 20 ms at a time, at any rate, for a few nanoseconds a sample.
//!
//! A frame is voiced when it is [`MARGIN_DB`] above the floor, and louder than any comfort noise. The floor falls
//! quickly to what is quieter, and rises slowly: fast enough to follow a window that is opened, too slowly to take speech for
//! noise. Left out: the spectrum. Music and a shout across the room are voices to it; who needs more takes
//! [`silero`](super::silero).
//!
//! Who has to stop speaking at once when a voice begins asks [`Energy::push_quick`], which tells one within 20 ms: it looks at
//! what has been heard every 5 ms, and at two halves of 10 ms, so that a click, which is in one of them or in few of their parts, is
//! still no voice.

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

/// Parts of a frame that are looked at by themselves.
const PARTS: usize = 4;
const PART_MS: u32 = FRAME_MS / PARTS as u32;
/// Of so many parts in a row this many are loud when a voice begins.
const LOUD_PARTS: usize = 3;

/// Follows one leg.
#[derive(Clone, Debug)]
pub struct Energy {
    floor_db: f32,
    /// Mean power of the last parts, the oldest first.
    parts: [f32; PARTS],
    /// How long before the end of the last frame the voice that was told began.
    onset_ms: u32,
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
            parts: [0.0; PARTS],
            onset_ms: 0,
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

    /// Takes a frame of 20 ms, and tells a voice as soon as it can be known for one. Its end is told as ever.
    pub fn push_quick(&mut self, samples: &[i16]) -> Option<Speech> {
        let was_open = self.gate.is_open();
        let began = self.onset(samples);
        if was_open || self.heard < FIRST_FRAMES {
            self.onset_ms = RULES.begin * FRAME_MS;
            return self.push(samples);
        }
        let level = level_db(samples);
        let Some(onset_ms) = began else {
            self.follow(level, level >= self.floor_db + MARGIN_DB);
            return None;
        };
        self.follow(level, true);
        self.onset_ms = onset_ms;
        Some(self.gate.open(1, Evidence::Level(level)))
    }

    /// How long before the end of the last frame the voice began that was told with it.
    pub fn onset_ms(&self) -> u32 {
        self.onset_ms
    }

    /// How long before the end of this frame a voice has begun, if one has.
    fn onset(&mut self, samples: &[i16]) -> Option<u32> {
        let mut began = None;
        for (at, part) in samples.chunks(samples.len().div_ceil(PARTS).max(1)).enumerate() {
            self.parts.rotate_left(1);
            self.parts[PARTS - 1] = mean_power(part);
            let is_loud = |power: f32, margin: f32| decibels(power) >= self.floor_db + margin;
            let [first, second] = [0, PARTS / 2].map(|from| {
                let half = &self.parts[from..from + PARTS / 2];
                half.iter().sum::<f32>() / half.len() as f32
            });
            let loud = |power: &&f32| is_loud(**power, STAY_DB);
            if began.is_none()
                && is_loud(first, MARGIN_DB)
                && is_loud(second, MARGIN_DB)
                && self.parts.iter().filter(loud).count() >= LOUD_PARTS
            {
                let quiet = u32::from(!is_loud(self.parts[0], STAY_DB));
                let rest = (PARTS - 1).saturating_sub(at) as u32;
                began = Some((PARTS as u32 + rest - quiet) * PART_MS);
            }
        }
        began
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
    decibels(mean_power(samples))
}

/// Mean power, 1 being a square wave of full scale.
fn mean_power(samples: &[i16]) -> f32 {
    let energy: u64 = samples
        .iter()
        .map(|&sample| u64::from(sample.unsigned_abs()).pow(2))
        .sum();
    energy as f32 / samples.len().max(1) as f32 / (32_768.0 * 32_768.0)
}

fn decibels(power: f32) -> f32 {
    (10.0 * power.max(1e-10).log10()).max(-100.0)
}
