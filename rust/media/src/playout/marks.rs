//! Marks: names that stand between samples, beside the queue and not in it.
//!
//! A mark is reached when all that was queued before it has been played or dropped, at once when nothing is queued; which
//! of the two it was is told.

use std::collections::VecDeque;

/// Most marks waiting. Rule: a further one is refused.
pub const MAX_MARKS: usize = 1_024;
/// The longest name of a mark, as raw JSON. Rule: a mark with a longer one is refused.
pub const MAX_MARK_BYTES: usize = 512;

/// How a mark was reached, or an utterance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkOutcome {
    /// All before it was played, or nothing was queued.
    Played,
    /// What was left before it was dropped by clear.
    Cleared,
}

impl MarkOutcome {
    /// The word that the native dialect uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            MarkOutcome::Played => "played",
            MarkOutcome::Cleared => "cleared",
        }
    }
}

pub(super) struct Mark {
    pub name: Box<str>,
    /// How many samples of the queue's whole life stand before it.
    pub at: u64,
    pub cleared: bool,
    /// Where it is kept: for the first `kept` marks.
    pub kept_at: u64,
}

/// Those that wait, in order.
#[derive(Default)]
pub(super) struct Marks(pub VecDeque<Mark>);

impl Marks {
    /// Puts one at this position. False: its name is too long, or too many wait.
    pub fn put(&mut self, name: &str, at: u64) -> bool {
        let fits = name.len() <= MAX_MARK_BYTES && self.0.len() < MAX_MARKS;
        if fits {
            self.0.push_back(Mark {
                name: name.into(),
                at,
                cleared: false,
                kept_at: 0,
            });
        }
        fits
    }

    /// The next that is reached when so many samples have left.
    pub fn take(&mut self, left: u64) -> Option<(Box<str>, MarkOutcome)> {
        self.0.front().filter(|mark| mark.at <= left)?;
        let mark = self.0.pop_front()?;
        let outcome = if mark.cleared {
            MarkOutcome::Cleared
        } else {
            MarkOutcome::Played
        };
        Some((mark.name, outcome))
    }

    /// What stands behind `from`, up to `to`, was dropped before it could be heard.
    pub fn drop_range(&mut self, from: u64, to: u64) {
        for mark in self.0.iter_mut().filter(|mark| from < mark.at && mark.at <= to) {
            mark.cleared = true;
        }
    }

    /// All stand here now, and what was before them was dropped.
    pub fn clear(&mut self, left: u64) {
        for mark in self.0.iter_mut().filter(|mark| mark.at > left) {
            mark.cleared = true;
            mark.at = left;
        }
    }

    /// So many samples behind `from` are no more: a mark inside them stands at their start now.
    pub fn cut(&mut self, from: u64, count: u64) {
        for mark in &mut self.0 {
            mark.at -= mark.at.saturating_sub(from).min(count);
        }
    }
}
