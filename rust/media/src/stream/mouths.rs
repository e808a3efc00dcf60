//! What a stream says: a queue of what all parties are to hear, and one for each party that is spoken to alone.
//!
//! The queue for one party is made when the application first speaks to it, and goes with the party.

use crate::codec::opus;
use crate::config::{Encoding, Format};
use crate::frame::{Converter, Frame};
use crate::mix::Mixer;
use crate::playout::{ChunkId, Cleared, Ended, MarkOutcome, Playout, PlayoutTotals, Pulled, Pushed, Told};
use crate::session::MAX_LEGS;
use crate::time::Time;
use crate::tracks::ALL;

/// One queue, and its way into the session.
pub(crate) struct Mouth {
    /// Who hears it: [`ALL`], or the number of a party.
    pub to: u8,
    pub playout: Playout,
    to_session: Converter,
    /// Of speech that comes in packets.
    opus: Option<Box<opus::Decoder>>,
}

/// How the queues of a stream are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Who hears what is said to nobody in particular: [`ALL`], or the number of a party.
    pub to: u8,
    /// What may wait, each.
    pub limit_ms: u32,
    /// The sender is live, and has so much backlog at most.
    pub live_ms: Option<u32>,
    /// What is heard of speech is told.
    pub is_followed: bool,
}

impl Mouth {
    /// Queues one message's audio. `None`: it is a packet that cannot be decoded.
    pub fn push(
        &mut self,
        now: Time,
        encoding: Encoding,
        bytes: &[u8],
        id: Option<ChunkId>,
    ) -> Option<Pushed> {
        let Some(opus) = &mut self.opus else {
            return Some(self.playout.push(now, encoding, bytes, id));
        };
        let mut samples = [0; MAX_OPUS_SAMPLES];
        // Nothing at all would be concealed.
        let packet = Some(bytes).filter(|bytes| !bytes.is_empty())?;
        let count = opus.decode(packet, &mut samples).ok()?;
        Some(self.playout.push_samples(now, &samples[..count], id))
    }

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

/// An utterance that is being played, in samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Playing {
    /// Who hears it.
    pub to: u8,
    pub id: Option<ChunkId>,
    pub played: u64,
    /// What waits, with all that is behind it.
    pub queued: usize,
}

/// The longest packet: 120 ms at 48 kHz.
const MAX_OPUS_SAMPLES: usize = 5_760;

/// All queues of a stream.
pub(crate) struct Mouths {
    /// Of what the application says.
    pub input: Format,
    session_hz: u32,
    manner: Manner,
    is_paused: bool,
    /// The first is for all, or whoever stands for them.
    mouths: Vec<Mouth>,
    /// Of queues that are no more.
    gone: PlayoutTotals,
}

impl Mouths {
    /// An empty queue for what is said to nobody in particular.
    pub fn new(input: Format, session_hz: u32, manner: Manner) -> Mouths {
        let mut mouths = Mouths {
            input,
            session_hz,
            manner,
            is_paused: false,
            mouths: Vec::with_capacity(1),
            gone: PlayoutTotals::default(),
        };
        mouths.mouths.push(mouths.mouth(manner.to));
        mouths
    }

    fn mouth(&self, to: u8) -> Mouth {
        let mut playout = Playout::new(self.manner.limit_ms, self.input.rate_hz);
        if let Some(backlog_ms) = self.manner.live_ms {
            playout.set_live(backlog_ms);
        }
        if self.manner.is_followed {
            playout.follow_utterances();
        }
        if self.is_paused {
            playout.pause();
        }
        let in_packets = self.input.encoding == Encoding::Opus;
        Mouth {
            to,
            playout,
            opus: in_packets.then(Box::default),
            to_session: Converter::new(self.input.rate_hz, self.session_hz),
        }
    }

    /// Who hears the first of them.
    pub fn first(&self) -> u8 {
        self.manner.to
    }

    /// The queue for all, or whoever stands for them.
    pub fn all(&mut self) -> &mut Playout {
        &mut self.mouths[0].playout
    }

    /// The queue for a party, or for all; made when there is none yet. The party is there, or was: `None` when so many
    /// are spoken to that one more cannot be.
    pub fn to(&mut self, track: u8) -> Option<&mut Mouth> {
        let track = if track == ALL { self.manner.to } else { track };
        let at = match self.mouths.iter().position(|mouth| mouth.to == track) {
            Some(at) => at,
            None if self.mouths.len() > MAX_LEGS => return None,
            None => {
                self.mouths.push(self.mouth(track));
                self.mouths.len() - 1
            }
        };
        Some(&mut self.mouths[at])
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

    /// Drops everything, or what one party was to hear. `None` when there is nothing to tell.
    pub fn clear(&mut self, to: Option<u8>) -> Option<Cleared> {
        self.is_paused &= to.is_some();
        let mouths = self.mouths.iter_mut();
        let mouths = mouths.filter(|mouth| to.is_none_or(|to| mouth.to == to));
        let cleared = mouths.filter_map(|mouth| mouth.playout.clear());
        cleared.reduce(|one, other| Cleared {
            played: one.played + other.played,
            dropped: one.dropped + other.dropped,
        })
    }

    /// Drops the utterance of this name, and who was to hear it.
    pub fn interrupt_utterance(&mut self, id: &ChunkId) -> Option<(u8, Ended)> {
        self.mouths
            .iter_mut()
            .find_map(|mouth| Some((mouth.to, mouth.playout.interrupt_utterance(id)?)))
    }

    /// What became of utterances and is not told yet, one by one, with who hears them.
    pub fn take_told(&mut self) -> Option<(u8, Told)> {
        self.mouths
            .iter_mut()
            .find_map(|mouth| Some((mouth.to, mouth.playout.take_told()?)))
    }

    /// Holds all speech.
    pub fn pause(&mut self) {
        self.is_paused = true;
        self.mouths.iter_mut().for_each(|mouth| {
            mouth.playout.pause();
        });
    }

    /// Goes on with it.
    pub fn resume(&mut self, now: Time) {
        self.is_paused = false;
        self.mouths.iter_mut().for_each(|mouth| {
            mouth.playout.resume(now);
        });
    }

    /// A party hears something, or would if it were not late.
    pub fn is_audible_to(&self, party: u8) -> bool {
        self.mouths
            .iter()
            .any(|mouth| (mouth.to == ALL || mouth.to == party) && mouth.playout.is_audible())
    }

    /// How many queues there are.
    pub fn count(&self) -> usize {
        self.mouths.len()
    }

    /// What is being played of one of them.
    pub fn playing(&self, at: usize) -> Option<Playing> {
        let Mouth { to, playout, .. } = self.mouths.get(at).filter(|mouth| mouth.playout.is_audible())?;
        let (id, played) = playout.playing()?;
        Some(Playing {
            to: *to,
            id,
            played,
            queued: playout.queued(),
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
        if let Some(at) = self.mouths.iter().skip(1).position(|mouth| mouth.to == party) {
            let at = at + 1;
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
