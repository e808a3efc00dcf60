//! The recording tap: what the leg said and what it was sent, side by side in the same tick.

use crate::Destination;
use crate::frame::{Converter, Frame};
use crate::key::RecordingKey;
use crate::outbox::Outbox;
use crate::time::{FRAME_MS, RATE_HZ};

/// Longest run of skipped frames that is filled with silence at once: a minute. Beyond it the recording is shorter than
/// the call, rather than that one session fills the arena.
pub const MAX_FILL_FRAMES: u64 = 3_000;

/// One recording of a session.
pub(crate) struct Recording {
    frames: u64,
    heard: Converter,
    sent: Converter,
}

impl Recording {
    /// Of a session at this rate.
    pub fn new(rate_hz: u32) -> Recording {
        Recording {
            frames: 0,
            heard: Converter::new(rate_hz, RATE_HZ),
            sent: Converter::new(rate_hz, RATE_HZ),
        }
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, rate_hz: u32) {
        self.heard.retune(rate_hz, RATE_HZ);
        self.sent.retune(rate_hz, RATE_HZ);
    }

    /// Makes one frame of interleaved s16le: left what was heard, right what was sent.
    pub fn write(
        &mut self,
        key: RecordingKey,
        heard: Option<Frame>,
        sent: Option<Frame>,
        outbox: &mut Outbox,
    ) {
        let silence = || Frame::silent(RATE_HZ);
        let heard = self.heard.convert(heard).unwrap_or_else(silence);
        let sent = self.sent.convert(sent).unwrap_or_else(silence);
        let out = outbox.writer();
        let start = out.len();
        out.resize(start + 4 * heard.samples().len(), 0);
        for (pair, (left, right)) in out[start..]
            .chunks_exact_mut(4)
            .zip(heard.samples().iter().zip(sent.samples()))
        {
            pair[..2].copy_from_slice(&left.to_le_bytes());
            pair[2..].copy_from_slice(&right.to_le_bytes());
        }
        outbox.commit(Destination::Recording(key));
        self.frames += 1;
    }

    /// Silence in place of frames that were skipped, so that time in the file is time of the call.
    pub fn fill(&mut self, key: RecordingKey, frames: u64, outbox: &mut Outbox) {
        for _ in 0..frames.min(MAX_FILL_FRAMES) {
            self.write(key, None, None, outbox);
        }
    }

    /// Its length so far.
    pub fn duration_ms(&self) -> u64 {
        self.frames * u64::from(FRAME_MS)
    }
}
