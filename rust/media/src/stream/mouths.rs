//! What a stream says: a queue of what all parties are to hear, and one for each party that is spoken to alone.
//!
//! The queue for one party is made when the application first speaks to it, and goes with the party.

use crate::config::Format;
use crate::frame::{Converter, Frame};
use crate::mix::Mixer;
use crate::playout::{ChunkId, Cleared, MarkOutcome, Playout, PlayoutTotals, Pulled};
use crate::session::MAX_LEGS;
use crate::time::Time;
use crate::tracks::ALL;

/// One queue, and its way into the session.
pub(crate) struct Mouth {
    /// Who hears it: [`ALL`], or the number of a party.
    pub to: u8,
    pub playout: Playout,
    to_session: Converter,
}

impl Mouth {
    /// Adds the next frame of what is to be heard, if there is any; what came of taking it.
    pub fn speak(&mut self, now: Time, input_hz: u32, mixer: &mut Mixer) -> Pulled {
        let mut frame = Frame::silent(input_hz);
        let pulled = self.playout.pull(now, frame.samples_mut());
        if let Some(frame) = self.to_session.convert((pulled.count > 0).then_some(&frame)) {
            mixer.add(frame);
        }
        pulled
    }
}

/// All queues of a stream.
pub(crate) struct Mouths {
    /// Of what the application says.
    pub input: Format,
    session_hz: u32,
    limit_ms: u32,
    /// The first is for all.
    mouths: Vec<Mouth>,
    /// Of queues that are no more.
    gone: PlayoutTotals,
}

impl Mouths {
    /// An empty queue for all.
    pub fn new(input: Format, session_hz: u32, limit_ms: u32) -> Mouths {
        let playout = Playout::new(limit_ms, input.rate_hz);
        let mut mouths = Mouths {
            input,
            session_hz,
            limit_ms,
            mouths: Vec::with_capacity(1),
            gone: PlayoutTotals::default(),
        };
        mouths.mouths.push(mouths.mouth(ALL, playout));
        mouths
    }

    fn mouth(&self, to: u8, playout: Playout) -> Mouth {
        Mouth {
            to,
            playout,
            to_session: Converter::new(self.input.rate_hz, self.session_hz),
        }
    }

    /// The queue for all.
    pub fn all(&mut self) -> &mut Playout {
        &mut self.mouths[0].playout
    }

    /// The queue for a party, or for all; made when there is none yet. The party is there, or was: `None` when so many
    /// are spoken to that one more cannot be.
    pub fn to(&mut self, track: u8) -> Option<&mut Playout> {
        let at = match self.mouths.iter().position(|mouth| mouth.to == track) {
            Some(at) => at,
            None if self.mouths.len() > MAX_LEGS => return None,
            None => {
                let playout = Playout::new(self.limit_ms, self.input.rate_hz);
                self.mouths.push(self.mouth(track, playout));
                self.mouths.len() - 1
            }
        };
        Some(&mut self.mouths[at].playout)
    }

    /// The queues there are.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Mouth> {
        self.mouths.iter_mut()
    }

    /// Those who are spoken to.
    pub fn tracks(&self) -> impl Iterator<Item = u8> {
        self.mouths.iter().map(|mouth| mouth.to)
    }

    /// The next mark that has been reached in some queue.
    pub fn take_mark(&mut self) -> Option<(Box<str>, MarkOutcome)> {
        self.mouths.iter_mut().find_map(|mouth| mouth.playout.take_mark())
    }

    /// Drops the chunk of this name, whoever was to hear it. `None` when there is none; else the samples dropped.
    pub fn interrupt(&mut self, id: &ChunkId) -> Option<usize> {
        self.mouths
            .iter_mut()
            .find_map(|mouth| mouth.playout.interrupt(id))
    }

    /// Drops everything. `None` when there is nothing to tell.
    pub fn clear(&mut self) -> Option<Cleared> {
        let cleared = self.mouths.iter_mut().filter_map(|mouth| mouth.playout.clear());
        cleared.reduce(|one, other| Cleared {
            played: one.played + other.played,
            dropped: one.dropped + other.dropped,
        })
    }

    /// Drops what is queued for one party.
    pub fn empty(&mut self, track: u8) {
        if let Some(mouth) = self.mouths.iter_mut().find(|mouth| mouth.to == track) {
            mouth.playout.clear();
        }
    }

    /// Nobody is there any more to hear this queue.
    pub fn forget(&mut self, party: u8) {
        if let Some(at) = self
            .mouths
            .iter()
            .position(|mouth| mouth.to == party && party != ALL)
        {
            let totals = *self.mouths.remove(at).playout.totals();
            self.gone = sum(self.gone, totals);
        }
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.session_hz = session_hz;
        for mouth in &mut self.mouths {
            mouth.to_session.retune(self.input.rate_hz, session_hz);
        }
    }

    /// Of all queues that there are and were.
    pub fn totals(&self) -> PlayoutTotals {
        let totals = self.mouths.iter().map(|mouth| *mouth.playout.totals());
        totals.fold(self.gone, sum)
    }

    /// Samples that wait.
    pub fn queued(&self) -> usize {
        self.mouths.iter().map(|mouth| mouth.playout.queued()).sum()
    }

    /// The queue for all: what of a stream's speech outlives the process.
    pub fn kept(&self) -> &Playout {
        &self.mouths[0].playout
    }
}

fn sum(one: PlayoutTotals, other: PlayoutTotals) -> PlayoutTotals {
    PlayoutTotals {
        played: one.played + other.played,
        cleared: one.cleared + other.cleared,
        overflow: one.overflow + other.overflow,
        trimmed: one.trimmed + other.trimmed,
        underruns: one.underruns + other.underruns,
    }
}
