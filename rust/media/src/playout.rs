//! The playout queue of one stream: chunks of samples toward the caller, first in, first out.
//!
//! Samples have the rate of the application's audio. Chunks keep the name the application gave them, so that one can be
//! interrupted; [`Playout::clear`] drops them all. What was audible at that moment ends in a ramp of [`FADE_MS`] inside the
//! frame that was due anyway.
//!
//! **Marks** stand between samples, beside the queue and not in it. One is reached when all that was queued before it has
//! been played or dropped, at once when nothing is queued; which of the two it was is told.
//!
//! **When it is full** (120 s by default, or [`MAX_CHUNKS`] chunks) the newest samples are dropped and counted. That is
//! one *episode*, told once, until the queue has fallen below nine tenths.
//!
//! **The reserve.** A sender in real time (its last message held less than [`PACED_BELOW_MS`]) can be late. The reserve
//! starts at zero, so that nothing is delayed that need not be. When the queue of such a sender runs dry and more comes
//! within [`DRY_MS`], that was an underrun: the reserve rises by [`RESERVE_STEP_MS`], at most to [`MAX_RESERVE_MS`], and
//! playout waits until so much is queued, or so much time has passed. It falls by a step after [`RELAX_MS`] of playing
//! without underrun. A talkspurt that starts with a message of [`PACED_BELOW_MS`] or more never waits.
//!
//! **A standing delay** is what an underrun leaves behind: the late audio comes after the silence that took its place.
//! While a sender keeps to real time and more than the reserve and a frame lies here for a whole window
//! ([`WINDOW_FRAMES`]), one frame of near silence is left out. Senders that run ahead (speech synthesis) lose nothing.

mod keep;

use std::collections::VecDeque;

use crate::stream::encoding::Encoding;
use crate::time::{FRAME_MS, MAX_FRAME_SAMPLES, MAX_RATE_HZ, Time, frame_samples};
use keep::Kept;

/// The longest chunk id that is kept. Rule for a longer one: its chunk is played, but cannot be interrupted alone.
pub const MAX_CHUNK_ID_BYTES: usize = 64;
/// Most chunks queued, so that the tiniest chunks have a bound too.
pub const MAX_CHUNKS: usize = 16_384;
/// Most marks waiting. Rule: a further one is refused.
pub const MAX_MARKS: usize = 1_024;
/// The longest name of a mark, as raw JSON. Rule: a mark with a longer one is refused.
pub const MAX_MARK_BYTES: usize = 512;
/// The ramp that ends what was audible.
pub const FADE_MS: u32 = 4;
/// A message shorter than this comes from a sender in real time.
pub const PACED_BELOW_MS: u32 = 100;
/// A queue of such a sender that was dry for so long has drained: the talkspurt is over.
pub const DRY_MS: u64 = 100;
/// By how much the reserve moves.
pub const RESERVE_STEP_MS: u32 = 20;
/// Upper bound of the reserve.
pub const MAX_RESERVE_MS: u32 = 100;
/// Playing without underrun for so long lowers the reserve by a step.
pub const RELAX_MS: u64 = 10_000;
/// Frames over which a standing delay is looked for: two seconds.
pub const WINDOW_FRAMES: u32 = 100;
/// Mean magnitude below which a frame is near silence.
pub const SILENCE_LEVEL: u32 = 160;
/// Chunks that memory is kept for when a talkspurt is over.
const KEPT_CHUNKS: usize = 64;
/// Memory kept for samples when a talkspurt is over, in milliseconds.
const KEPT_MS: u32 = 1_000;
/// Memory that an empty queue begins with: as much as a sender in real time needs.
const FIRST_MS: u32 = 100;
const FIRST_CHUNKS: usize = 8;
const MAX_FADE_SAMPLES: usize = samples_at(MAX_RATE_HZ, FADE_MS);

const fn samples_at(rate_hz: u32, millis: u32) -> usize {
    (rate_hz / 1_000 * millis) as usize
}

/// A chunk's name as the application wrote it: raw JSON (`7`, `"a-7"`), opaque to us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChunkId {
    length: u8,
    bytes: [u8; MAX_CHUNK_ID_BYTES],
}

impl ChunkId {
    /// Keeps raw JSON text; `None` when it is longer than [`MAX_CHUNK_ID_BYTES`].
    pub fn new(json: &str) -> Option<ChunkId> {
        let mut bytes = [0; MAX_CHUNK_ID_BYTES];
        bytes.get_mut(..json.len())?.copy_from_slice(json.as_bytes());
        Some(ChunkId {
            length: json.len() as u8,
            bytes,
        })
    }

    /// The raw JSON text.
    pub fn as_json(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl std::fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_json())
    }
}

struct Chunk {
    id: Option<ChunkId>,
    left: usize,
    /// Where it is kept, and how many samples of it: for the first `kept` chunks.
    kept_at: u64,
    kept_samples: usize,
}

/// How a mark was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkOutcome {
    /// All before it was played, or nothing was queued.
    Played,
    /// What was left before it was dropped by clear.
    Cleared,
}

impl MarkOutcome {
    /// The word that the binary dialect uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            MarkOutcome::Played => "played",
            MarkOutcome::Cleared => "cleared",
        }
    }
}

struct Mark {
    name: Box<str>,
    /// How many samples of the queue's whole life stand before it.
    at: u64,
    cleared: bool,
    /// Where it is kept: for the first `kept` marks.
    kept_at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No talkspurt.
    Idle,
    /// A talkspurt has begun or goes on after an underrun, and waits for the reserve.
    Filling { since: Time },
    /// Audible.
    Playing,
    /// Ran dry within a talkspurt; more may come.
    Dry { since: Time },
}

/// What [`Playout::push`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Samples that did not fit.
    pub dropped: usize,
    /// This is the first drop of an episode.
    pub overflow_began: bool,
}

/// What [`Playout::pull`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Samples at the start of the frame that are not silence by default.
    pub count: usize,
    /// The first sample of a talkspurt is among them.
    pub started: bool,
    /// The talkspurt is over: everything was played.
    pub drained: bool,
}

/// What [`Playout::clear`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Samples of the talkspurt that were played.
    pub played: u64,
    /// Samples that were dropped.
    pub dropped: u64,
}

/// Sums over the life of a queue, in samples but for `underruns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutTotals {
    /// Played.
    pub played: u64,
    /// Dropped by clear and interrupt.
    pub cleared: u64,
    /// Dropped since the queue was full.
    pub overflow: u64,
    /// Near silence left out against a standing delay.
    pub trimmed: u64,
    /// Times the queue ran dry within a talkspurt.
    pub underruns: u64,
}

#[derive(Default)]
struct Window {
    frames: u32,
    received: usize,
    ahead_of_time: bool,
    least_queued: usize,
}

/// The queue of one stream.
pub struct Playout {
    rate_hz: u32,
    queue: VecDeque<i16>,
    chunks: VecDeque<Chunk>,
    marks: VecDeque<Mark>,
    /// Samples that have left the front of the queue in its life.
    left: u64,
    limit: usize,
    state: State,
    /// The first sample of this talkspurt has been played.
    audible: bool,
    played_of_talkspurt: u64,
    /// The last message was short.
    paced: bool,
    reserve_ms: u32,
    stable_since: Time,
    overflowing: bool,
    /// A clear of nothing is told once, not at every repetition.
    clear_told: bool,
    fade: [i16; MAX_FADE_SAMPLES],
    fading: bool,
    window: Window,
    standing: bool,
    totals: PlayoutTotals,
    /// What of it outlives the process ([`keep`]).
    kept: Kept,
}

impl Playout {
    /// An empty queue for at most `limit_ms` of audio at a rate of at most [`MAX_RATE_HZ`].
    pub fn new(limit_ms: u32, rate_hz: u32) -> Playout {
        Playout {
            rate_hz,
            queue: VecDeque::with_capacity(samples_at(rate_hz, FIRST_MS)),
            chunks: VecDeque::with_capacity(FIRST_CHUNKS),
            marks: VecDeque::new(),
            left: 0,
            limit: samples_at(rate_hz, limit_ms),
            state: State::Idle,
            audible: false,
            played_of_talkspurt: 0,
            paced: false,
            reserve_ms: 0,
            stable_since: Time(0),
            overflowing: false,
            clear_told: false,
            fade: [0; MAX_FADE_SAMPLES],
            fading: false,
            window: Window::default(),
            standing: false,
            totals: PlayoutTotals::default(),
            kept: Kept::default(),
        }
    }

    const fn samples(&self, millis: u32) -> usize {
        samples_at(self.rate_hz, millis)
    }

    /// The sums so far.
    pub fn totals(&self) -> &PlayoutTotals {
        &self.totals
    }

    /// Samples queued.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The reserve as it has adapted.
    pub fn reserve_ms(&self) -> u32 {
        self.reserve_ms
    }

    /// Queues one message's samples as one chunk; half a sample at the end is ignored.
    pub fn push(&mut self, now: Time, encoding: Encoding, bytes: &[u8], id: Option<ChunkId>) -> Pushed {
        let offered = bytes.len() / encoding.bytes_per_sample();
        let room = if self.chunks.len() < MAX_CHUNKS {
            self.limit.saturating_sub(self.queue.len())
        } else {
            0
        };
        let taken = offered.min(room);
        if offered > 0 {
            self.paced = offered < self.samples(PACED_BELOW_MS);
            self.window.received += offered;
            self.window.ahead_of_time |= !self.paced;
            self.clear_told = false;
        }
        if taken > 0 {
            self.queue_samples(encoding, &bytes[..encoding.bytes_per_sample() * taken]);
            self.chunks.push_back(Chunk {
                id,
                left: taken,
                kept_at: 0,
                kept_samples: 0,
            });
            self.enter_talkspurt(now);
        }
        self.note_overflow(offered - taken)
    }

    /// A frame at a time through an array, since whole slices are copied and single samples are not.
    fn queue_samples(&mut self, encoding: Encoding, bytes: &[u8]) {
        let mut block = [0; MAX_FRAME_SAMPLES];
        let frame = frame_samples(self.rate_hz);
        for part in bytes.chunks(frame * encoding.bytes_per_sample()) {
            let count = encoding.decode(part, &mut block[..frame]);
            self.queue.extend(&block[..count]);
        }
    }

    fn note_overflow(&mut self, dropped: usize) -> Pushed {
        self.totals.overflow += dropped as u64;
        let overflow_began = dropped > 0 && !self.overflowing;
        self.overflowing |= dropped > 0;
        Pushed {
            dropped,
            overflow_began,
        }
    }

    fn enter_talkspurt(&mut self, now: Time) {
        self.state = match self.state {
            State::Idle => {
                self.audible = false;
                self.played_of_talkspurt = 0;
                self.stable_since = now;
                State::Filling { since: now }
            }
            State::Dry { .. } => {
                self.totals.underruns += 1;
                self.reserve_ms = (self.reserve_ms + RESERVE_STEP_MS).min(MAX_RESERVE_MS);
                self.stable_since = now;
                State::Filling { since: now }
            }
            other => other,
        };
    }

    /// Fills one frame, 20 ms long: samples that are queued, then silence.
    pub fn pull(&mut self, now: Time, frame: &mut [i16]) -> Pulled {
        frame.fill(0);
        let mut pulled = Pulled::default();
        if let State::Filling { since } = self.state
            && self.may_start(now, since)
        {
            self.state = State::Playing;
        }
        match self.state {
            State::Playing => self.play(now, frame, &mut pulled),
            State::Dry { since } if now.millis_since(since) >= DRY_MS => self.drain(&mut pulled),
            _ => {}
        }
        if std::mem::take(&mut self.fading) {
            let ramp = self.samples(FADE_MS);
            for (sample, fade) in frame.iter_mut().zip(&self.fade[..ramp]) {
                *sample = sample.saturating_add(*fade);
            }
            pulled.count = pulled.count.max(ramp);
        }
        pulled
    }

    fn may_start(&self, now: Time, since: Time) -> bool {
        let first_is_long = self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.left >= self.samples(PACED_BELOW_MS));
        first_is_long
            || self.queue.len() >= self.samples(self.reserve_ms)
            || now.millis_since(since) >= u64::from(self.reserve_ms)
    }

    fn play(&mut self, now: Time, frame: &mut [i16], pulled: &mut Pulled) {
        if self.standing && self.queue.len() >= 2 * frame.len() && self.next_frame_is_quiet() {
            self.discard_front(frame.len());
            self.totals.trimmed += frame.len() as u64;
            self.standing = false;
        }
        let count = self.queue.len().min(frame.len());
        let (older, newer) = self.queue.as_slices();
        let from_older = older.len().min(count);
        frame[..from_older].copy_from_slice(&older[..from_older]);
        frame[from_older..count].copy_from_slice(&newer[..count - from_older]);
        self.discard_front(count);
        pulled.count = count;
        pulled.started = count > 0 && !self.audible;
        self.audible |= count > 0;
        self.played_of_talkspurt += count as u64;
        self.totals.played += count as u64;
        if self.queue.len() * 10 < self.limit * 9 {
            self.overflowing = false;
        }
        self.look_for_standing_delay();
        self.relax(now);
        if count < frame.len() {
            self.run_dry(now, pulled);
        }
    }

    /// A short frame ends the talkspurt, unless the sender is in real time and may only be late.
    fn run_dry(&mut self, now: Time, pulled: &mut Pulled) {
        if self.paced && self.audible {
            self.state = State::Dry { since: now };
        } else {
            self.drain(pulled);
        }
    }

    fn drain(&mut self, pulled: &mut Pulled) {
        pulled.drained = self.audible;
        self.end_talkspurt();
    }

    fn end_talkspurt(&mut self) {
        self.state = State::Idle;
        self.audible = false;
        self.overflowing = false;
        self.standing = false;
        self.window = Window::default();
        self.queue.shrink_to(self.samples(KEPT_MS));
        self.chunks.shrink_to(KEPT_CHUNKS);
    }

    fn relax(&mut self, now: Time) {
        if self.reserve_ms > 0 && now.millis_since(self.stable_since) >= RELAX_MS {
            self.reserve_ms -= RESERVE_STEP_MS;
            self.stable_since = now;
        }
    }

    fn look_for_standing_delay(&mut self) {
        let real_time = self.samples(WINDOW_FRAMES * FRAME_MS);
        let window = &mut self.window;
        window.least_queued = if window.frames == 0 {
            self.queue.len()
        } else {
            window.least_queued.min(self.queue.len())
        };
        window.frames += 1;
        if window.frames < WINDOW_FRAMES {
            return;
        }
        let in_real_time = !window.ahead_of_time && window.received.abs_diff(real_time) < real_time / 10;
        self.standing = in_real_time && window.least_queued >= self.samples(self.reserve_ms + FRAME_MS);
        self.window = Window::default();
    }

    fn next_frame_is_quiet(&self) -> bool {
        let frame = frame_samples(self.rate_hz);
        let sum: u64 = self
            .queue
            .iter()
            .take(frame)
            .map(|sample| u64::from(sample.unsigned_abs()))
            .sum();
        sum < u64::from(SILENCE_LEVEL) * frame as u64
    }

    fn discard_front(&mut self, mut count: usize) {
        self.queue.drain(..count);
        self.left += count as u64;
        while count > 0 {
            let Some(chunk) = self.chunks.front_mut() else {
                return;
            };
            let part = chunk.left.min(count);
            chunk.left -= part;
            count -= part;
            if chunk.left == 0 {
                self.chunks.pop_front();
                self.kept.first_gone();
            }
        }
    }

    /// Drops everything queued. `None` when there is nothing to tell: nothing has come since the last clear.
    pub fn clear(&mut self) -> Option<Cleared> {
        let cleared = Cleared {
            played: self.talkspurt_played(),
            dropped: self.queue.len() as u64,
        };
        self.fade_out();
        for mark in &mut self.marks {
            mark.cleared |= mark.at > self.left;
        }
        self.left += self.queue.len() as u64;
        self.queue.clear();
        self.chunks.clear();
        self.kept.cleared();
        self.totals.cleared += cleared.dropped;
        let told = std::mem::replace(&mut self.clear_told, true) && self.state == State::Idle;
        self.end_talkspurt();
        (!told).then_some(cleared)
    }

    fn talkspurt_played(&self) -> u64 {
        if self.state == State::Idle {
            0
        } else {
            self.played_of_talkspurt
        }
    }

    /// What comes next becomes a ramp to nothing, if it would have followed something audible.
    fn fade_out(&mut self) {
        if self.state != State::Playing || !self.audible {
            return;
        }
        let ramp = self.samples(FADE_MS);
        self.fade = [0; MAX_FADE_SAMPLES];
        for (n, (fade, sample)) in self.fade[..ramp].iter_mut().zip(self.queue.iter()).enumerate() {
            *fade = (i32::from(*sample) * (ramp - n) as i32 / ramp as i32) as i16;
        }
        self.fading = !self.queue.is_empty();
    }

    /// Drops the chunk of this name, queued or playing. `None` when there is none; else the samples dropped.
    pub fn interrupt(&mut self, id: &ChunkId) -> Option<usize> {
        let at = self
            .chunks
            .iter()
            .position(|chunk| chunk.id.as_ref() == Some(id))?;
        let before: usize = self.chunks.iter().take(at).map(|chunk| chunk.left).sum();
        if at == 0 {
            self.fade_out();
        }
        let chunk = self.chunks.remove(at)?;
        self.kept.interrupted(at, chunk.kept_at);
        let dropped = chunk.left;
        self.queue.drain(before..before + dropped);
        let before = self.left + before as u64;
        for mark in &mut self.marks {
            // A mark inside what was dropped stands at its start now.
            mark.at -= mark.at.saturating_sub(before).min(dropped as u64);
        }
        self.totals.cleared += dropped as u64;
        Some(dropped)
    }

    /// Puts a mark behind all that is queued. False: its name is too long, or too many wait.
    pub fn mark(&mut self, name: &str) -> bool {
        let fits = name.len() <= MAX_MARK_BYTES && self.marks.len() < MAX_MARKS;
        if fits {
            self.marks.push_back(Mark {
                name: name.into(),
                at: self.left + self.queue.len() as u64,
                cleared: false,
                kept_at: 0,
            });
        }
        fits
    }

    /// The next mark that has been reached.
    pub fn take_mark(&mut self) -> Option<(Box<str>, MarkOutcome)> {
        self.marks.front().filter(|mark| mark.at <= self.left)?;
        let mark = self.marks.pop_front()?;
        self.kept.first_mark_gone();
        let outcome = if mark.cleared {
            MarkOutcome::Cleared
        } else {
            MarkOutcome::Played
        };
        Some((mark.name, outcome))
    }
}
