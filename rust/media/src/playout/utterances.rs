//! Utterances: spans of the queue with the name that the application gave them, so that what was heard of each can be told.
//!
//! An utterance begins where the queue ends, and is open until the next begins or it is said to be complete. Speech
//! outside of any is one without a name, which is complete when the queue has run out. One that was interrupted while it
//! was open takes what still comes of it with it.

use std::collections::VecDeque;

use super::chunk::ChunkId;
use super::marks::MarkOutcome;

/// Most utterances waiting. Rule: a further one is refused.
pub const MAX_UTTERANCES: usize = 1_024;

/// What became of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Its first sample was played.
    Started(Option<ChunkId>),
    /// It is over.
    Finished(Ended),
}

/// An utterance that is over, in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub id: Option<ChunkId>,
    /// Samples that were played.
    pub played: u64,
    /// Samples that were dropped.
    pub dropped: u64,
    /// Whether it was played to its end.
    pub outcome: MarkOutcome,
}

struct Utterance {
    id: Option<ChunkId>,
    /// Where it begins and ends, in samples of the queue's whole life; no end: it is open.
    from: u64,
    to: Option<u64>,
    played: u64,
    dropped: u64,
    told: bool,
    cleared: bool,
}

impl Utterance {
    fn overlap(&self, from: u64, to: u64) -> u64 {
        let end = self.to.unwrap_or(u64::MAX).min(to);
        end.saturating_sub(self.from.max(from))
    }

    fn ended(&self) -> Ended {
        let outcome = if self.cleared {
            MarkOutcome::Cleared
        } else {
            MarkOutcome::Played
        };
        Ended {
            id: self.id,
            played: self.played,
            dropped: self.dropped,
            outcome,
        }
    }
}

/// Those that are not over, in order.
#[derive(Default)]
pub(super) struct Utterances {
    /// Speech without a name is followed too.
    follows_all: bool,
    spans: VecDeque<Utterance>,
    /// The last one was interrupted while it was open.
    is_muted: bool,
}

impl Utterances {
    pub fn follow_all(&mut self) {
        self.follows_all = true;
    }

    /// What comes belongs to one that was interrupted.
    pub fn is_muted(&self) -> bool {
        self.is_muted
    }

    /// What comes at `at` is this one. False: too many wait.
    pub fn speak(&mut self, id: Option<ChunkId>, at: u64) -> bool {
        self.end(at);
        let fits = self.spans.len() < MAX_UTTERANCES;
        if fits {
            self.spans.push_back(Utterance {
                id,
                from: at,
                to: None,
                played: 0,
                dropped: 0,
                told: false,
                cleared: false,
            });
        }
        fits
    }

    /// The open one is complete.
    pub fn end(&mut self, at: u64) {
        self.is_muted = false;
        if let Some(last) = self.spans.back_mut().filter(|last| last.to.is_none()) {
            last.to = Some(at);
        }
    }

    /// Samples were queued at `at`. The name of what they belong to.
    pub fn queued(&mut self, at: u64) -> Option<ChunkId> {
        match self.spans.back().filter(|last| last.to.is_none()) {
            Some(open) => open.id,
            None => {
                if self.follows_all {
                    self.speak(None, at);
                }
                None
            }
        }
    }

    /// The samples from one place to another were played, or else dropped.
    pub fn left(&mut self, from: u64, to: u64, played: bool) {
        for span in self.spans.iter_mut().take_while(|span| span.from < to) {
            let count = span.overlap(from, to);
            if played {
                span.played += count;
            } else {
                span.dropped += count;
            }
        }
    }

    /// The queue has run out at `at`: speech without a name is complete.
    pub fn drained(&mut self, at: u64) {
        if let Some(last) = self.spans.back_mut()
            && last.to.is_none()
            && last.id.is_none()
        {
            last.to = Some(at);
        }
    }

    /// All that was queued, from one place to another, is dropped, and with it all that is open.
    pub fn clear(&mut self, from: u64, to: u64) {
        self.is_muted = false;
        for span in &mut self.spans {
            span.dropped += span.overlap(from, to);
            span.cleared |= span.to.is_none_or(|end| end > from);
            span.to = Some(span.to.unwrap_or(from).min(from));
        }
    }

    /// Where in the queue the first of this name is; `left` and `end` are where the queue begins and ends.
    pub fn find(&self, id: &ChunkId, left: u64, end: u64) -> Option<(usize, u64, u64)> {
        let at = self.spans.iter().position(|span| span.id.as_ref() == Some(id))?;
        let span = &self.spans[at];
        let (from, to) = (span.from.max(left), span.to.unwrap_or(end));
        Some((at, from, to.max(from)))
    }

    /// Takes out the one at this place, of which so many samples from `from` on are dropped.
    pub fn interrupt(&mut self, at: usize, from: u64, count: u64) -> Option<Ended> {
        let mut span = self.spans.remove(at)?;
        self.is_muted |= span.to.is_none();
        span.dropped += count;
        span.cleared = true;
        self.cut(from, count);
        Some(span.ended())
    }

    /// So many samples behind `from` are no more.
    pub fn cut(&mut self, from: u64, count: u64) {
        let moved = |place: u64| place - place.saturating_sub(from).min(count);
        for span in &mut self.spans {
            span.from = moved(span.from);
            span.to = span.to.map(moved);
        }
    }

    /// What is to be told when so many samples have left.
    pub fn next(&mut self, left: u64) -> Option<Told> {
        let first = self.spans.front_mut()?;
        if first.played > 0 && !std::mem::replace(&mut first.told, true) {
            return Some(Told::Started(first.id));
        }
        first.to.filter(|end| *end <= left)?;
        let over = self.spans.pop_front()?;
        Some(Told::Finished(over.ended()))
    }

    /// Name and played samples of the one that is being played.
    pub fn playing(&self) -> Option<(Option<ChunkId>, u64)> {
        let first = self.spans.front()?;
        (first.played > 0).then_some((first.id, first.played))
    }

    /// Whether there are any to be followed.
    pub fn is_followed(&self) -> bool {
        self.follows_all || !self.spans.is_empty()
    }

    /// A chunk of this name is restored at `at`: it goes on with the last one, or begins another.
    pub fn resume_chunk(&mut self, id: Option<ChunkId>, at: u64) {
        if self.follows_all && self.spans.back().is_none_or(|last| last.id != id) {
            self.speak(id, at);
        }
    }

    /// Whether the last one is open.
    pub fn is_open(&self) -> bool {
        self.spans.back().is_some_and(|last| last.to.is_none())
    }

    /// Goes on with the first one, of which so much was played and told.
    pub fn resume_first(&mut self, played: u64) {
        if let Some(first) = self.spans.front_mut() {
            (first.played, first.told) = (played, played > 0);
        }
    }
}
