//! A standing delay is what an underrun leaves behind: the late audio comes after the silence that took its place.
//!
//! While a sender keeps to real time and more than the reserve and a frame lies in the queue for a whole window
//! ([`WINDOW_FRAMES`]), one frame of near silence is left out. Senders that run ahead (speech synthesis) lose nothing.

use crate::time::FRAME_MS;

/// Frames over which it is looked for: two seconds.
pub const WINDOW_FRAMES: u32 = 100;
/// Mean magnitude below which a frame is near silence.
pub const SILENCE_LEVEL: u32 = 160;

/// What has been seen of a window.
#[derive(Default)]
pub(super) struct Standing {
    frames: u32,
    received: usize,
    ahead_of_time: bool,
    least_queued: usize,
    found: bool,
}

impl Standing {
    /// So many samples came, from a sender in real time or not.
    pub fn note(&mut self, samples: usize, paced: bool) {
        self.received += samples;
        self.ahead_of_time |= !paced;
    }

    /// A frame was played, and so much is queued. `allowed` may lie there for ever.
    pub fn frame(&mut self, queued: usize, allowed: usize, rate_hz: u32) {
        let real_time = (rate_hz / 1_000 * WINDOW_FRAMES * FRAME_MS) as usize;
        self.least_queued = if self.frames == 0 {
            queued
        } else {
            self.least_queued.min(queued)
        };
        self.frames += 1;
        if self.frames < WINDOW_FRAMES {
            return;
        }
        let in_real_time = !self.ahead_of_time && self.received.abs_diff(real_time) < real_time / 10;
        *self = Standing {
            found: in_real_time && self.least_queued >= allowed,
            ..Standing::default()
        };
    }

    /// A frame may be left out.
    pub fn is_found(&self) -> bool {
        self.found
    }

    /// A frame was left out.
    pub fn is_mended(&mut self) {
        self.found = false;
    }
}

/// Whether a frame is near silence.
pub(super) fn is_quiet<'a>(frame: impl ExactSizeIterator<Item = &'a i16>) -> bool {
    let count = frame.len() as u64;
    let sum: u64 = frame.map(|sample| u64::from(sample.unsigned_abs())).sum();
    sum < u64::from(SILENCE_LEVEL) * count
}
