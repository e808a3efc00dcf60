//! When the delay is corrected, and by how much: the rule between the target of [`delay`](super::delay) and the margin that
//! the [jitter buffer](super::jitter) measures. What is done to the sound is elsewhere.
//!
//! The margin is to be between [`lowest_margin_us`] and [`highest_margin_us`]; the band is wider than a frame, so that one
//! correction never calls for its opposite. In silence a correction is made at once; in sound it waits, the longer the less
//! the margin is off.

use super::delay::GUARD_US;
use super::jitter::{FRAME_UNITS, units};

/// A margin above the target by more than this, and a sixteenth, calls for shortening.
pub const SLACK_US: i64 = 15_000;
/// Frames a correction waits for silence before it is made in sound, by how far the margin is off.
const PATIENCE: [(i64, u32); 3] = [(10_000, 150), (40_000, 25), (i64::MAX, 3)];
/// Frames that a correction in sound waits for sound that is like itself.
const UNLIKE_FRAMES: u32 = 25;

/// A correction of the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Make what is played shorter, otherwise longer.
    pub shorten: bool,
    /// By how much, exactly if possible. In sound, some periods more or less will do.
    pub units: u32,
    /// Even in sound.
    pub in_sound: bool,
    /// Even in sound that is not like itself at any lag.
    pub anyhow: bool,
}

/// The least margin that is let be.
pub fn lowest_margin_us(target_us: i64) -> i64 {
    target_us - GUARD_US
}

/// The largest margin that is let be.
pub fn highest_margin_us(target_us: i64) -> i64 {
    target_us + SLACK_US + target_us / 16
}

/// What the jitter buffer sees before a frame.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The delay aimed for.
    pub target_us: i64,
    /// How long the fastest packet waits.
    pub margin_us: i64,
    /// The grid of packets and frames, in units: what the margin can change by.
    pub quantum: u32,
    /// Sound beyond what the grid needs, in units.
    pub spare: u32,
}

/// Corrections that are wanted, until they are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Corrections {
    shorten: bool,
    /// For so many frames.
    wanted: u32,
}

impl Corrections {
    /// The correction that would be right for this frame.
    pub fn decide(&mut self, seen: Seen) -> Option<Correction> {
        let over = seen.margin_us - highest_margin_us(seen.target_us);
        let under = lowest_margin_us(seen.target_us) - seen.margin_us;
        if over <= 0 && under <= 0 {
            self.wanted = 0;
            return (seen.spare > 0).then_some(Correction {
                shorten: true,
                units: seen.spare,
                in_sound: false,
                anyhow: false,
            });
        }
        let shorten = over > 0;
        if self.shorten != shorten {
            *self = Corrections { shorten, wanted: 0 };
        }
        self.wanted += 1;
        let off = over.max(under);
        let patience = PATIENCE.iter().find(|(limit, _)| off <= *limit);
        let patience = patience.map_or(0, |(_, frames)| *frames);
        let units = if shorten {
            let grid = units(over).unsigned_abs() as u32;
            (seen.spare + grid.next_multiple_of(seen.quantum).max(seen.quantum)).min(FRAME_UNITS)
        } else {
            seen.quantum - seen.spare
        };
        Some(Correction {
            shorten,
            units,
            in_sound: self.wanted > patience,
            anyhow: self.wanted > patience + UNLIKE_FRAMES,
        })
    }

    /// The correction has been made: the next one waits anew.
    pub fn made(&mut self) {
        self.wanted = 0;
    }
}
