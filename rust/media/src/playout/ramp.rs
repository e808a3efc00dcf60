//! Ramps: what was audible does not stop in the middle of a wave, and what was held does not begin in one.

use std::collections::VecDeque;

use super::samples_at;
use crate::time::MAX_RATE_HZ;

/// How long a ramp is.
pub const FADE_MS: u32 = 4;
const MAX_SAMPLES: usize = samples_at(MAX_RATE_HZ, FADE_MS);

/// The ramps of one queue.
pub(super) struct Ramps {
    length: usize,
    out: [i16; MAX_SAMPLES],
    falls: bool,
    rises: bool,
}

impl Ramps {
    /// At this rate.
    pub fn new(rate_hz: u32) -> Ramps {
        Ramps {
            length: samples_at(rate_hz, FADE_MS),
            out: [0; MAX_SAMPLES],
            falls: false,
            rises: false,
        }
    }

    /// What would have come next becomes a ramp to nothing.
    pub fn fall(&mut self, next: &VecDeque<i16>) {
        self.out = [0; MAX_SAMPLES];
        let length = self.length;
        for (n, (out, sample)) in self.out[..length].iter_mut().zip(next.iter()).enumerate() {
            *out = (i32::from(*sample) * (length - n) as i32 / length as i32) as i16;
        }
        self.falls = !next.is_empty();
    }

    /// Whether what comes next begins with a ramp.
    pub fn rise(&mut self, rises: bool) {
        self.rises = rises;
    }

    /// Applies them to the first samples of a frame of which `count` are sound; how many are then.
    pub fn apply(&mut self, frame: &mut [i16], count: usize) -> usize {
        if count > 0 && std::mem::take(&mut self.rises) {
            let length = self.length;
            for (n, sample) in frame[..length].iter_mut().enumerate() {
                *sample = (i32::from(*sample) * n as i32 / length as i32) as i16;
            }
        }
        if !std::mem::take(&mut self.falls) {
            return count;
        }
        for (sample, out) in frame.iter_mut().zip(&self.out[..self.length]) {
            *sample = sample.saturating_add(*out);
        }
        count.max(self.length)
    }
}
