//! The playout queue toward the caller: chunks of samples, first in, first out.
//!
//! Samples have the rate of the application's audio. [`Chunk`]s keep the name the application gave them, so that one can be
//! interrupted, and may belong to an utterance ([`utterances`]); [`marks`] stand between samples. [`Playout::clear`]
//! drops all of it. What was audible at that moment ends in a ramp of [`FADE_MS`] inside the frame that was due anyway.
//! [`Playout::pause`] ends it in the same way and keeps it; the sample that was not heard yet is the first that is after.
//!
//! **When it is full** (120 s by default, or [`MAX_CHUNKS`] chunks) the newest samples are dropped and counted. That is
//! one *episode*, told once, until the queue has fallen below nine tenths. Of a live sender the oldest are dropped.
//!
//! How much of a sender in real time waits is the [`reserve`]'s business; a delay that stays is worked off ([`standing`]).

mod chunk;
mod keep;
mod marks;
mod ramp;
mod reserve;
mod standing;
mod utterances;

use std::collections::VecDeque;

use crate::stream::encoding::Encoding;
use crate::time::{FRAME_MS, MAX_FRAME_SAMPLES, Time, frame_samples};
use chunk::Chunk;
pub use chunk::{ChunkId, MAX_CHUNK_ID_BYTES};
use keep::Kept;
use marks::Marks;
pub use marks::{MAX_MARK_BYTES, MAX_MARKS, MarkOutcome};
pub use ramp::FADE_MS;
use ramp::Ramps;
pub use reserve::{DRY_MS, MAX_RESERVE_MS, PACED_BELOW_MS, RELAX_MS, RESERVE_STEP_MS};
use reserve::{Entered, Reserve, State};
pub use standing::{SILENCE_LEVEL, WINDOW_FRAMES};
use standing::{Standing, is_quiet};
use utterances::Utterances;
pub use utterances::{Ended, MAX_UTTERANCES, Told};

/// Most chunks queued, so that the tiniest chunks have a bound too.
pub const MAX_CHUNKS: usize = 16_384;
/// Chunks that memory is kept for when a talkspurt is over.
const KEPT_CHUNKS: usize = 64;
/// Memory kept for samples when a talkspurt is over, in milliseconds.
const KEPT_MS: u32 = 1_000;
/// Memory that an empty queue begins with: as much as a sender in real time needs.
const FIRST_MS: u32 = 100;
const FIRST_CHUNKS: usize = 8;

const fn samples_at(rate_hz: u32, millis: u32) -> usize {
    (rate_hz / 1_000 * millis) as usize
}

/// What [`Playout::push`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Samples that did not fit.
    pub dropped: usize,
    /// This is the first drop of an episode.
    pub overflow_began: bool,
    /// The queue had run dry in the middle of speech.
    pub underrun: bool,
    /// The queue has reached nine tenths of its limit.
    pub is_high: bool,
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
    /// The queue was high and has fallen to eight tenths of its limit.
    pub is_low: bool,
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

/// The queue of one stream.
pub struct Playout {
    rate_hz: u32,
    queue: VecDeque<i16>,
    chunks: VecDeque<Chunk>,
    marks: Marks,
    utterances: Utterances,
    /// Samples that have left the front of the queue in its life.
    left: u64,
    limit: usize,
    /// Of a live sender: how much may wait before the oldest is dropped.
    live: Option<usize>,
    reserve: Reserve,
    /// Nothing is played.
    paused: bool,
    /// The first sample of this talkspurt has been played.
    audible: bool,
    played_of_talkspurt: u64,
    overflowing: bool,
    high: bool,
    /// A clear of nothing is told once, not at every repetition.
    clear_told: bool,
    ramps: Ramps,
    standing: Standing,
    totals: PlayoutTotals,
    /// What of it outlives the process ([`keep`]).
    kept: Kept,
}

impl Playout {
    /// An empty queue for at most `limit_ms` of audio at a rate of at most [`MAX_RATE_HZ`](crate::MAX_RATE_HZ).
    pub fn new(limit_ms: u32, rate_hz: u32) -> Playout {
        Playout {
            rate_hz,
            queue: VecDeque::with_capacity(samples_at(rate_hz, FIRST_MS)),
            chunks: VecDeque::with_capacity(FIRST_CHUNKS),
            marks: Marks::default(),
            utterances: Utterances::default(),
            left: 0,
            limit: samples_at(rate_hz, limit_ms),
            live: None,
            reserve: Reserve::default(),
            paused: false,
            audible: false,
            played_of_talkspurt: 0,
            overflowing: false,
            high: false,
            clear_told: false,
            ramps: Ramps::new(rate_hz),
            standing: Standing::default(),
            totals: PlayoutTotals::default(),
            kept: Kept::default(),
        }
    }

    /// Follows speech that belongs to no utterance as one without a name.
    pub fn follow_utterances(&mut self) {
        self.utterances.follow_all();
    }

    /// At most so much may wait, if that is less than before.
    pub fn lower_limit(&mut self, limit_ms: u32) {
        self.limit = self.limit.min(self.samples(limit_ms));
    }

    /// The sender is live: what waits beyond so much is dropped, the oldest first.
    pub fn set_live(&mut self, backlog_ms: u32) {
        self.live = Some(self.samples(backlog_ms));
    }

    const fn samples(&self, millis: u32) -> usize {
        samples_at(self.rate_hz, millis)
    }

    fn end(&self) -> u64 {
        self.left + self.queue.len() as u64
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
        self.reserve.reserve_ms
    }

    /// Something is being heard, or would be if it were not late.
    pub fn is_audible(&self) -> bool {
        self.audible && !self.paused
    }

    /// Queues one message's samples as one chunk; half a sample at the end is ignored.
    pub fn push(&mut self, now: Time, encoding: Encoding, bytes: &[u8], id: Option<ChunkId>) -> Pushed {
        let size = encoding.bytes_per_sample();
        let offered = bytes.len() / size;
        let taken = self.room_for(offered);
        let rate_hz = self.rate_hz;
        // A frame at a time through an array, since whole slices are copied and single samples are not.
        let fill = |queue: &mut VecDeque<i16>| {
            let mut block = [0; MAX_FRAME_SAMPLES];
            let frame = frame_samples(rate_hz);
            for part in bytes[..size * taken].chunks(frame * size) {
                let count = encoding.decode(part, &mut block[..frame]);
                queue.extend(&block[..count]);
            }
        };
        self.enqueue(now, offered, taken, id, fill)
    }

    /// Queues samples as one chunk.
    pub fn push_samples(&mut self, now: Time, samples: &[i16], id: Option<ChunkId>) -> Pushed {
        let taken = self.room_for(samples.len());
        self.enqueue(now, samples.len(), taken, id, |queue| {
            queue.extend(&samples[..taken])
        })
    }

    fn room_for(&self, offered: usize) -> usize {
        if self.chunks.len() >= MAX_CHUNKS || self.utterances.is_muted() {
            return 0;
        }
        // Of a live sender the oldest makes room.
        let queued = if self.live.is_some() { 0 } else { self.queue.len() };
        offered.min(self.limit.saturating_sub(queued))
    }

    fn enqueue(
        &mut self,
        now: Time,
        offered: usize,
        taken: usize,
        id: Option<ChunkId>,
        fill: impl FnOnce(&mut VecDeque<i16>),
    ) -> Pushed {
        if self.utterances.is_muted() {
            self.totals.cleared += offered as u64;
            return Pushed::default();
        }
        if offered > 0 {
            self.reserve.paced = offered < self.samples(PACED_BELOW_MS);
            self.standing.note(offered, self.reserve.paced);
            self.clear_told = false;
        }
        let mut pushed = Pushed::default();
        let mut dropped = offered - taken;
        if taken > 0 {
            let of_utterance = self.utterances.queued(self.end());
            fill(&mut self.queue);
            self.chunks.push_back(Chunk {
                id: id.or(of_utterance),
                left: taken,
                kept_at: 0,
                kept_samples: 0,
            });
            pushed.underrun = self.enter_talkspurt(now);
            dropped += self.catch_up();
        }
        self.totals.overflow += dropped as u64;
        pushed.dropped = dropped;
        pushed.overflow_began = dropped > 0 && !self.overflowing;
        self.overflowing |= dropped > 0;
        pushed.is_high = self.live.is_none() && self.queue.len() * 10 >= self.limit * 9 && !self.high;
        self.high |= pushed.is_high;
        pushed
    }

    /// Drops the oldest of a live sender's backlog.
    fn catch_up(&mut self) -> usize {
        let excess = self.live.map_or(0, |live| self.queue.len().saturating_sub(live));
        if excess > 0 {
            self.fade_out();
            let (from, to) = (self.left, self.left + excess as u64);
            self.utterances.left(from, to, false);
            self.marks.drop_range(from, to);
            self.discard_front(excess);
        }
        excess
    }

    /// Audio has come; whether it was late.
    fn enter_talkspurt(&mut self, now: Time) -> bool {
        let entered = self.reserve.enter(now);
        match entered {
            Entered::Begun => {
                self.audible = false;
                self.played_of_talkspurt = 0;
            }
            Entered::Underrun => self.totals.underruns += 1,
            Entered::Within => {}
        }
        entered == Entered::Underrun
    }

    /// Fills one frame, 20 ms long: samples that are queued, then silence.
    pub fn pull(&mut self, now: Time, frame: &mut [i16]) -> Pulled {
        frame.fill(0);
        let mut pulled = Pulled::default();
        if !self.paused {
            self.play_or_wait(now, frame, &mut pulled);
        }
        pulled.count = self.ramps.apply(frame, pulled.count);
        pulled
    }

    fn play_or_wait(&mut self, now: Time, frame: &mut [i16], pulled: &mut Pulled) {
        let first_is_long = self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.left >= self.samples(PACED_BELOW_MS));
        let queued_ms = (self.queue.len() / self.samples(1)) as u32;
        self.reserve.start_if_due(now, queued_ms, first_is_long);
        match self.reserve.state {
            State::Playing => self.play(now, frame, pulled),
            State::Dry { since } if now.millis_since(since) >= DRY_MS => self.drain(pulled),
            _ => {}
        }
    }

    fn play(&mut self, now: Time, frame: &mut [i16], pulled: &mut Pulled) {
        if self.standing.is_found()
            && self.queue.len() >= 2 * frame.len()
            && is_quiet(self.queue.range(..frame.len()))
        {
            self.discard_front(frame.len());
            self.totals.trimmed += frame.len() as u64;
            self.standing.is_mended();
        }
        let count = self.queue.len().min(frame.len());
        let (older, newer) = self.queue.as_slices();
        let from_older = older.len().min(count);
        frame[..from_older].copy_from_slice(&older[..from_older]);
        frame[from_older..count].copy_from_slice(&newer[..count - from_older]);
        self.utterances.left(self.left, self.left + count as u64, true);
        self.discard_front(count);
        pulled.count = count;
        pulled.started = count > 0 && !self.audible;
        self.audible |= count > 0;
        self.played_of_talkspurt += count as u64;
        self.totals.played += count as u64;
        self.note_level(pulled);
        let allowed = self.samples(self.reserve.reserve_ms + FRAME_MS);
        self.standing.frame(self.queue.len(), allowed, self.rate_hz);
        self.reserve.relax(now);
        if count < frame.len() {
            self.run_dry(now, pulled);
        }
    }

    fn note_level(&mut self, pulled: &mut Pulled) {
        let tenths = self.queue.len() * 10;
        if tenths < self.live.unwrap_or(self.limit).min(self.limit) * 9 {
            self.overflowing = false;
        }
        if self.high && tenths <= self.limit * 8 {
            self.high = false;
            pulled.is_low = true;
        }
    }

    /// A short frame ends the talkspurt, unless the sender is in real time and may only be late.
    fn run_dry(&mut self, now: Time, pulled: &mut Pulled) {
        if self.reserve.paced && self.audible {
            self.reserve.state = State::Dry { since: now };
        } else {
            self.drain(pulled);
        }
    }

    fn drain(&mut self, pulled: &mut Pulled) {
        pulled.drained = self.audible;
        self.utterances.drained(self.left);
        self.end_talkspurt();
    }

    fn end_talkspurt(&mut self) {
        self.reserve.state = State::Idle;
        self.audible = false;
        self.overflowing = false;
        self.standing = Standing::default();
        self.queue.shrink_to(self.samples(KEPT_MS));
        self.chunks.shrink_to(KEPT_CHUNKS);
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

    /// Drops everything queued, and ends a pause. `None` when there is nothing to tell: nothing has come since the last
    /// clear.
    pub fn clear(&mut self) -> Option<Cleared> {
        let is_idle = self.reserve.state == State::Idle;
        let cleared = Cleared {
            played: if is_idle { 0 } else { self.played_of_talkspurt },
            dropped: self.queue.len() as u64,
        };
        if !self.paused {
            self.fade_out();
        }
        self.paused = false;
        let end = self.end();
        self.marks.drop_range(self.left, end);
        self.utterances.clear(self.left, end);
        self.left = end;
        self.queue.clear();
        self.chunks.clear();
        self.kept.cleared();
        self.high = false;
        self.ramps.rise(false);
        self.totals.cleared += cleared.dropped;
        let told = std::mem::replace(&mut self.clear_told, true) && is_idle;
        self.end_talkspurt();
        (!told).then_some(cleared)
    }

    /// What comes next becomes a ramp to nothing, if it would have followed something audible.
    fn fade_out(&mut self) {
        if self.reserve.state == State::Playing && self.audible && !self.paused {
            self.ramps.fall(&self.queue);
        }
    }

    /// Nothing is played from now on, and nothing is lost. False: that is so already.
    pub fn pause(&mut self) -> bool {
        self.fade_out();
        !std::mem::replace(&mut self.paused, true)
    }

    /// Goes on with the sample that was not heard yet. False: nothing was paused.
    pub fn resume(&mut self, now: Time) -> bool {
        if self.paused {
            self.reserve.wait_anew(now);
            self.ramps.rise(self.audible);
        }
        std::mem::take(&mut self.paused)
    }

    /// Nothing is played.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Drops the chunk of this name, queued or playing. `None` when there is none; else the samples dropped.
    pub fn interrupt(&mut self, id: &ChunkId) -> Option<usize> {
        let at = self
            .chunks
            .iter()
            .position(|chunk| chunk.id.as_ref() == Some(id))?;
        let before: usize = self.chunks.iter().take(at).map(|chunk| chunk.left).sum();
        let from = self.left + before as u64;
        let dropped = self.chunks[at].left as u64;
        self.cut(from, from + dropped);
        self.utterances.cut(from, dropped);
        Some(dropped as usize)
    }

    /// Takes what lies between two places out of the queue: whole chunks.
    fn cut(&mut self, from: u64, to: u64) {
        if from == self.left {
            self.fade_out();
        }
        let mut place = self.left;
        let mut at = 0;
        while let Some(chunk) = self.chunks.get(at).filter(|_| place < to) {
            place += chunk.left as u64;
            if place <= from {
                at += 1;
            } else if let Some(chunk) = self.chunks.remove(at) {
                self.kept.interrupted(at, chunk.kept_at);
            }
        }
        let dropped = to - from;
        let before = (from - self.left) as usize;
        self.queue.drain(before..before + dropped as usize);
        self.marks.drop_range(from, to);
        self.marks.cut(from, dropped);
        self.totals.cleared += dropped;
    }

    /// What comes from now on is this utterance. False: too many wait.
    pub fn speak(&mut self, id: Option<ChunkId>) -> bool {
        let at = self.end();
        self.utterances.speak(id, at)
    }

    /// The utterance is complete.
    pub fn end_utterance(&mut self) {
        let at = self.end();
        self.utterances.end(at);
    }

    /// Drops the utterance of this name, queued or playing, and what still comes of it. `None`: there is none.
    pub fn interrupt_utterance(&mut self, id: &ChunkId) -> Option<Ended> {
        let (at, from, to) = self.utterances.find(id, self.left, self.end())?;
        self.cut(from, to);
        self.utterances.interrupt(at, from, to - from)
    }

    /// What became of utterances and is not told yet, one by one.
    pub fn take_told(&mut self) -> Option<Told> {
        self.utterances.next(self.left)
    }

    /// Name and played samples of the utterance that is being played.
    pub fn playing(&self) -> Option<(Option<ChunkId>, u64)> {
        self.utterances.playing()
    }

    /// Puts a mark behind all that is queued. False: its name is too long, or too many wait.
    pub fn mark(&mut self, name: &str) -> bool {
        let at = self.end();
        self.marks.put(name, at)
    }

    /// Every mark that waits is reached now, as if what is before it had been dropped.
    pub fn clear_marks(&mut self) {
        self.marks.clear(self.left);
    }

    /// Nine tenths of the limit waited, and since then never eight or less.
    pub fn is_high(&self) -> bool {
        self.high
    }

    /// The next mark that has been reached.
    pub fn take_mark(&mut self) -> Option<(Box<str>, MarkOutcome)> {
        let mark = self.marks.take(self.left)?;
        self.kept.first_mark_gone();
        Some(mark)
    }
}
