//! What is behind the jitter buffer: the decoder, the sound it made that has not been played, and what fills and bends it.
//!
//! All of it is at the rate of the codec that speaks; when another begins to, what is here is brought to its rate, so that
//! the change is no gap. Lengths come in units of media time and are whole samples at every rate.

use super::jitter::UNITS_PER_MS;
use super::stretch::{self, Towards};
use crate::codec::comfort_noise::ComfortNoise;
use crate::codec::conceal::Concealer;
use crate::codec::decoder::Decoder;
use crate::codec::resample::resample;
use crate::codec::{Codec, MAX_PTIME_MS};
use crate::time::{FRAME_MS, MAX_FRAME_SAMPLES, frame_samples};

/// Mean magnitude below which sound counts as silence (about -46 dBFS).
pub const SILENCE_LEVEL: u32 = 160;
/// Likeness above which sound is taken for periodic: a period more or less is not heard.
pub const PERIODIC: f32 = 0.6;
/// Sound held at most: a frame less a sample, what is inserted, the packet that fills it up, and one pulled ahead.
const ROOM_MS: u32 = 2 * FRAME_MS + 2 * MAX_PTIME_MS;
/// Every frame of a codec that conceals itself is a multiple of this.
const CONCEAL_STEP_US: u32 = 2_500;

/// How a correction may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Licence {
    /// In silence only.
    Silence,
    /// By a period, in sound that has one.
    Period,
    /// In any sound.
    Any,
}

/// Decoded sound of one source.
pub struct Decoded {
    decoder: Decoder,
    concealer: Concealer,
    noise: ComfortNoise,
    queue: Vec<i16>,
    /// The frame played last.
    played: Vec<i16>,
}

impl Decoded {
    /// Nothing yet, in expectation of this codec.
    pub fn new(codec: Codec) -> Decoded {
        let mut decoded = Decoded {
            decoder: Decoder::new(codec),
            concealer: Concealer::new(codec.rate_hz()),
            noise: ComfortNoise::new(codec.rate_hz()),
            queue: Vec::new(),
            played: vec![0; frame_samples(codec.rate_hz())],
        };
        decoded.make_room();
        decoded
    }

    /// The rate of what is here.
    pub fn rate_hz(&self) -> u32 {
        self.decoder.codec().rate_hz()
    }

    /// Samples in a frame.
    pub fn frame_samples(&self) -> usize {
        frame_samples(self.rate_hz())
    }

    /// Sound not played yet, in units.
    pub fn queued(&self) -> u32 {
        self.queue.len() as u32 * self.units_per_sample()
    }

    /// What a frame still needs, in units.
    pub fn needed(&self) -> u32 {
        (FRAME_MS * UNITS_PER_MS).saturating_sub(self.queued())
    }

    /// The frame played last.
    pub fn played(&self) -> &[i16] {
        &self.played
    }

    /// The frame played last was silence.
    pub fn is_quiet(&self) -> bool {
        is_silence(&self.played)
    }

    fn units_per_sample(&self) -> u32 {
        UNITS_PER_MS * 1_000 / self.rate_hz()
    }

    fn samples(&self, units: u32) -> usize {
        (units / self.units_per_sample()) as usize
    }

    fn make_room(&mut self) {
        let room = (ROOM_MS * (self.rate_hz() / 1_000)) as usize;
        self.queue.reserve_exact(room.saturating_sub(self.queue.len()));
    }

    /// Drops what has not been played.
    pub fn clear(&mut self) {
        self.queue.clear();
    }

    /// Plays the next frame; there must be one.
    pub fn play(&mut self) -> &[i16] {
        let count = self.frame_samples();
        self.played.copy_from_slice(&self.queue[..count]);
        self.queue.drain(..count);
        &self.played
    }

    /// Takes the codec that speaks from now on.
    pub fn expect(&mut self, codec: Codec) {
        if codec == self.decoder.codec() {
            return;
        }
        let (from_hz, to_hz) = (self.rate_hz(), codec.rate_hz());
        self.decoder = Decoder::new(codec);
        if from_hz == to_hz {
            return;
        }
        let convert = |samples: &Vec<i16>| resample(samples, from_hz, to_hz).unwrap_or_default();
        let (queue, mut played) = (convert(&self.queue), convert(&self.played));
        played.resize(frame_samples(to_hz), 0);
        self.concealer = Concealer::new(to_hz);
        self.noise = ComfortNoise::new(to_hz);
        self.concealer.good(&mut played.clone());
        (self.queue, self.played) = (queue, played);
        self.make_room();
    }

    /// Decodes a packet without its first `skip` units; `false` when it is not what it says it is, and is concealed.
    pub fn push_packet(&mut self, payload: &[u8], duration: u32, skip: u32) -> bool {
        let (start, count) = (self.queue.len(), self.samples(duration));
        self.queue.resize(start + count, 0);
        if self.decoder.decode(payload, &mut self.queue[start..]) != Ok(count) {
            self.queue.truncate(start);
            self.push_missing(duration - skip);
            return false;
        }
        let skipped = self.samples(skip);
        self.queue.drain(start..start + skipped);
        self.blend(start);
        true
    }

    /// What the packet after a gap holds of the gap, which is as long as this; returns how much was invented.
    pub fn push_recovered(&mut self, next: &[u8], units: u32) -> u32 {
        let (start, count) = (self.queue.len(), self.samples(units));
        self.queue.resize(start + count, 0);
        if self.decoder.decode_fec(next, &mut self.queue[start..]) == count {
            return units;
        }
        self.queue.truncate(start);
        self.push_missing(units)
    }

    /// Fills a gap; returns how much of it is sound rather than what is beyond the fade.
    pub fn push_missing(&mut self, units: u32) -> u32 {
        let (start, count) = (self.queue.len(), self.samples(units));
        if self.decoder.conceals() {
            let step = (self.rate_hz() / 1_000 * CONCEAL_STEP_US / 1_000) as usize;
            self.queue.resize(start + count.next_multiple_of(step), 0);
            self.decoder.conceal(&mut self.queue[start..]);
            self.queue.truncate(start + count);
            return units;
        }
        self.queue.resize(start + count, 0);
        let sounding = self.concealer.conceal(&mut self.queue[start..]);
        // What was said fades, what was behind it does not.
        self.noise.pause(&mut self.queue[start..]);
        sounding as u32 * self.units_per_sample()
    }

    /// Takes a description of what pauses sound like (RFC 3389) until there is sound again; `false` when it is none.
    pub fn describe_pauses(&mut self, payload: &[u8]) -> bool {
        self.noise.describe(payload)
    }

    /// Another source comes: what was behind the one before is not behind it.
    pub fn forget_background(&mut self) {
        self.noise = ComfortNoise::new(self.rate_hz());
    }

    /// Fills a pause.
    pub fn push_pause(&mut self, units: u32) {
        if self.decoder.conceals() {
            // RFC 6716 §2.1.9: while nothing is sent, the decoder makes the noise that it heard last.
            self.push_missing(units);
            return;
        }
        let start = self.queue.len();
        self.queue.resize(start + self.samples(units), 0);
        self.concealer.pause(&mut self.queue[start..]);
        self.noise.pause(&mut self.queue[start..]);
    }

    /// The seam after a gap, where the codec does not see to it itself.
    fn blend(&mut self, start: usize) {
        if !self.decoder.conceals() {
            self.concealer.good(&mut self.queue[start..]);
            self.noise.sound(&mut self.queue[start..]);
        }
    }

    /// Makes what is queued shorter by `units`, or by a period of sound. A frame is left. Returns by how much.
    pub fn shorten(&mut self, units: u32, licence: Licence) -> u32 {
        let (frame, exact) = (self.frame_samples(), self.samples(units));
        let spare = self.queue.len().saturating_sub(frame);
        if spare == 0 {
            return 0;
        }
        let cut = if exact <= spare && is_silence(&self.queue[..frame + exact]) {
            let overlap = frame / 2;
            stretch::accelerate(&mut self.queue, exact, overlap);
            exact
        } else if licence > Licence::Silence
            && let Some(period) = stretch::find_period(&self.queue, 0, Towards::Later, self.rate_hz())
            && period.lag <= spare
            && (period.likeness >= PERIODIC || licence == Licence::Any)
        {
            stretch::accelerate(&mut self.queue, period.lag, period.lag);
            period.lag
        } else {
            0
        };
        cut as u32 * self.units_per_sample()
    }

    /// Makes what is queued longer by `units`, at most a frame, or by a period of sound. Returns by how much.
    pub fn lengthen(&mut self, units: u32, licence: Licence) -> u32 {
        let (frame, exact) = (self.frame_samples(), self.samples(units));
        let silent = is_silence(&self.queue[..frame]) && is_silence(&self.played);
        let added = if silent {
            exact
        } else if licence > Licence::Silence
            && let Some(period) = self.period_at_seam(frame)
            && (period.likeness >= PERIODIC || licence == Licence::Any)
        {
            period.lag
        } else {
            return 0;
        };
        stretch::expand(&self.played, &mut self.queue, added);
        added as u32 * self.units_per_sample()
    }

    fn period_at_seam(&self, frame: usize) -> Option<stretch::Period> {
        let mut sound = [0; 2 * MAX_FRAME_SAMPLES];
        sound[..frame].copy_from_slice(&self.played);
        sound[frame..2 * frame].copy_from_slice(&self.queue[..frame]);
        stretch::find_period(&sound[..2 * frame], frame, Towards::Earlier, self.rate_hz())
    }
}

fn is_silence(samples: &[i16]) -> bool {
    let sum: u32 = samples
        .iter()
        .map(|sample| u32::from(sample.unsigned_abs()))
        .sum();
    sum < SILENCE_LEVEL * samples.len() as u32
}
