//! What of a queue outlives the process: each chunk and each mark is an entry of the playout ring, the playhead is in the
//! record.
//!
//! The queue does the work and the ring follows it: chunks and marks are appended in order, an interrupted one is marked, and what
//! was heard or cleared lies before the record's first entry. Utterances are those of their chunks' names. The ramp of an
//! interruption (4 ms), what was seen of a standing delay (2 s) and what a live sender may have waiting are not kept.

use super::chunk::{Chunk, ChunkId};
use super::marks::Mark;
use super::reserve::{MAX_RESERVE_MS, State};
use super::{Playout, PlayoutTotals};
use crate::record::layout::{QueueState, queue_flags};
use crate::record::ring::{Entry, Ring, What};
use crate::time::Time;

/// How far the ring has followed.
#[derive(Default)]
pub(super) struct Kept {
    /// Chunks at the front of the queue that are in the ring.
    chunks: usize,
    /// Marks at the front of theirs that are.
    marks: usize,
    /// Entries that were interrupted since, to be marked.
    interrupted: Vec<u64>,
    clear_generation: u32,
}

impl Kept {
    pub fn first_gone(&mut self) {
        self.chunks = self.chunks.saturating_sub(1);
    }

    pub fn first_mark_gone(&mut self) {
        self.marks = self.marks.saturating_sub(1);
    }

    pub fn cleared(&mut self) {
        // Marks too: all are reached, and told before anything is kept.
        (self.chunks, self.marks) = (0, 0);
        self.interrupted.clear();
        self.clear_generation = self.clear_generation.wrapping_add(1);
    }

    pub fn interrupted(&mut self, at: usize, kept_at: u64) {
        if at < self.chunks {
            self.chunks -= 1;
            self.interrupted.push(kept_at);
        }
    }
}

impl Playout {
    /// Brings the ring up to date; `stream` is the serial number its entries carry.
    pub(crate) fn keep(&mut self, stream: u32, ring: &mut Ring<'_>) -> QueueState {
        for at in self.kept.interrupted.drain(..) {
            ring.interrupt(at);
        }
        if self.kept.chunks < self.chunks.len() || self.kept.marks < self.marks.0.len() {
            self.append(stream, ring);
        }
        let (state, since) = match self.reserve.state {
            State::Idle => (0, Time(0)),
            State::Filling { since } => (1, since),
            State::Playing => (2, Time(0)),
            State::Dry { since } => (3, since),
        };
        let first = self.chunks.front().filter(|_| self.kept.chunks > 0);
        let totals = self.totals;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        QueueState {
            first: self.first_kept().unwrap_or(0),
            first_played: first.map_or(0, |chunk| (chunk.kept_samples - chunk.left) as u64),
            since: since.0,
            stable_since: self.reserve.stable_since.0,
            played_of_talkspurt: self.played_of_talkspurt,
            utterance_played: self.utterances.playing().map_or(0, |(_, played)| played),
            totals: [
                totals.played,
                totals.cleared,
                totals.overflow,
                totals.trimmed,
                totals.underruns,
            ],
            reserve_ms: self.reserve.reserve_ms,
            clear_generation: self.kept.clear_generation,
            state,
            flags: flag(self.audible, queue_flags::AUDIBLE)
                | flag(self.reserve.paced, queue_flags::PACED)
                | flag(self.overflowing, queue_flags::OVERFLOWING)
                | flag(self.clear_told, queue_flags::CLEAR_TOLD)
                | flag(self.first_kept().is_some(), queue_flags::KEPT)
                | flag(self.paused, queue_flags::PAUSED)
                | flag(self.utterances.is_open(), queue_flags::OPEN)
                | flag(self.utterances.is_followed(), queue_flags::FOLLOWED),
            reserved: [0; 6],
        }
    }

    /// What is not kept yet, as far as there is room. Order is kept: what does not fit stops all after it.
    fn append(&mut self, stream: u32, ring: &mut Ring<'_>) {
        let kept = &mut self.kept;
        let (generation, end) = (kept.clear_generation, self.left + self.queue.len() as u64);
        let mut marks = self.marks.0.iter_mut().skip(kept.marks).peekable();
        let mut append_marks = |kept: &mut Kept, ring: &mut Ring<'_>, until: u64| {
            while let Some(mark) = marks.next_if(|mark| mark.at <= until) {
                let position = ring.append_mark(stream, generation, &mark.name)?;
                mark.kept_at = position;
                kept.marks += 1;
            }
            Some(())
        };
        let new: usize = self.chunks.iter().skip(kept.chunks).map(|chunk| chunk.left).sum();
        let mut at = self.queue.len() - new;
        let (older, newer) = self.queue.as_slices();
        for chunk in self.chunks.iter_mut().skip(kept.chunks) {
            if append_marks(kept, ring, self.left + at as u64).is_none() {
                return;
            }
            let (from, to) = (at, at + chunk.left);
            let parts = [
                &older[from.min(older.len())..to.min(older.len())],
                &newer[from.saturating_sub(older.len())..to.saturating_sub(older.len())],
            ];
            let Some(position) = ring.append(stream, kept.clear_generation, chunk.id.as_ref(), parts) else {
                return;
            };
            (chunk.kept_at, chunk.kept_samples) = (position, chunk.left);
            kept.chunks += 1;
            at = to;
        }
        append_marks(kept, ring, end);
    }

    /// Where its first entry is, if it has one.
    pub(crate) fn first_kept(&self) -> Option<u64> {
        let chunk = self.chunks.front().filter(|_| self.kept.chunks > 0);
        let mark = self.marks.0.front().filter(|_| self.kept.marks > 0);
        let both = [chunk.map(|chunk| chunk.kept_at), mark.map(|mark| mark.kept_at)];
        both.into_iter().flatten().min()
    }

    /// The queue as it was: `entries` are those of its stream in the ring, in order.
    pub(crate) fn restored<'a>(
        limit_ms: u32,
        rate_hz: u32,
        kept: &QueueState,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Playout {
        let mut playout = Playout::new(limit_ms, rate_hz);
        let has = |flag: u8| kept.flags & flag != 0;
        // Of the first chunk, which is the first that was not interrupted.
        let mut played = kept.first_played as usize;
        if has(queue_flags::FOLLOWED) {
            playout.utterances.follow_all();
        }
        for entry in entries.filter(|entry| {
            has(queue_flags::KEPT)
                && entry.at >= kept.first
                && entry.clear_generation == kept.clear_generation
        }) {
            match &entry.what {
                What::Interrupted => {}
                What::Mark(name) => playout.resume_mark(name, entry.at),
                What::Chunk(id, samples) => {
                    let left = samples.get(std::mem::take(&mut played)..).unwrap_or_default();
                    playout.resume_chunk(*id, left, (entry.at, samples.len()));
                }
            }
        }
        playout.kept.clear_generation = kept.clear_generation;
        playout.utterances.resume_first(kept.utterance_played);
        if !has(queue_flags::OPEN) {
            playout.end_utterance();
        }
        playout.paused = has(queue_flags::PAUSED);
        playout.reserve.state = match kept.state {
            1 => State::Filling {
                since: Time(kept.since),
            },
            2 => State::Playing,
            3 => State::Dry {
                since: Time(kept.since),
            },
            _ => State::Idle,
        };
        playout.audible = has(queue_flags::AUDIBLE);
        playout.reserve.paced = has(queue_flags::PACED);
        playout.overflowing = has(queue_flags::OVERFLOWING);
        playout.clear_told = has(queue_flags::CLEAR_TOLD);
        playout.played_of_talkspurt = kept.played_of_talkspurt;
        playout.reserve.reserve_ms = kept.reserve_ms.min(MAX_RESERVE_MS);
        playout.reserve.stable_since = Time(kept.stable_since);
        let [played, cleared, overflow, trimmed, underruns] = kept.totals;
        playout.totals = PlayoutTotals {
            played,
            cleared,
            overflow,
            trimmed,
            underruns,
        };
        playout
    }

    fn resume_chunk(&mut self, id: Option<ChunkId>, left: &[i16], (kept_at, kept_samples): (u64, usize)) {
        if left.is_empty() {
            return;
        }
        self.utterances
            .resume_chunk(id, self.left + self.queue.len() as u64);
        self.queue.extend(left);
        self.chunks.push_back(Chunk {
            id,
            left: left.len(),
            kept_at,
            kept_samples,
        });
        self.kept.chunks += 1;
    }

    fn resume_mark(&mut self, name: &str, kept_at: u64) {
        self.marks.0.push_back(Mark {
            name: name.into(),
            at: self.left + self.queue.len() as u64,
            cleared: false,
            kept_at,
        });
        self.kept.marks += 1;
    }
}
