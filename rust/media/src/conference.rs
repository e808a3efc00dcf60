//! A conference: what the legs of a session with more than one say to each other.
//!
//! Everyone hears everyone but himself, and whatever streams and playbacks say. One sum is made of all, from which each
//! listener's own part is taken away: the cost grows with the legs, not with their pairs. A leg that is on hold, or muted, or
//! silent, is no part of the sum. A session with one leg has no conference and pays nothing for it.

use crate::context::Context;
use crate::event::Event;
use crate::frame::Frame;
use crate::key::LegKey;
use crate::leg::Leg;
use crate::limiter::Limiter;
use crate::mix::Mixer;
use crate::session::with_asides;
use crate::speaker::{Level, Speaker};
use crate::time::Time;

/// One leg's part in it.
struct Party {
    /// What it says in this frame.
    heard: Frame,
    is_heard: bool,
    level: Level,
    /// Of what it is sent.
    limiter: Limiter,
    /// What it was sent in this frame, while a stream listens to that.
    sent: Option<Frame>,
}

/// The parties, one for each leg and in the same order.
pub(crate) struct Conference {
    parties: Vec<Party>,
    /// Of what streams hear.
    limiter: Limiter,
    speaker: Speaker,
    /// A stream listens to what the legs are sent.
    pub keeps_sent: bool,
}

impl Conference {
    /// Of so many legs.
    pub fn new(legs: usize) -> Conference {
        let mut conference = Conference {
            parties: Vec::with_capacity(legs),
            limiter: Limiter::default(),
            speaker: Speaker::default(),
            keeps_sent: false,
        };
        (0..legs).for_each(|_| conference.join());
        conference
    }

    /// One more leg.
    pub fn join(&mut self) {
        self.parties.push(Party {
            heard: Frame::silent(crate::RATE_HZ),
            is_heard: false,
            level: Level::default(),
            limiter: Limiter::default(),
            sent: None,
        });
    }

    /// The leg at this place has gone.
    pub fn leave(&mut self, at: usize, leg: LegKey) {
        self.parties.remove(at);
        self.speaker.forget(leg);
    }

    /// Who is told to speak.
    pub fn speaker(&self) -> Option<LegKey> {
        self.speaker.current()
    }

    /// This leg was told to speak; how loud all are is heard anew.
    pub fn resume(&mut self, speaker: Option<LegKey>) {
        self.speaker.resume(speaker);
    }

    /// Takes a frame of what the legs say; the sum of it.
    pub fn hear(&mut self, now: Time, rate_hz: u32, legs: &mut [Leg], context: &mut Context<'_>) -> Mixer {
        let mut mixer = Mixer::new(rate_hz);
        for (leg, party) in legs.iter_mut().zip(&mut self.parties) {
            if party.heard.rate_hz() != rate_hz {
                party.heard = Frame::silent(rate_hz);
            }
            leg.hear(now, &mut party.heard, context);
            party.is_heard = party.heard.samples().iter().any(|&sample| sample != 0);
            party.level.hear(party.heard.samples());
            if party.is_heard {
                mixer.add(&party.heard);
            }
        }
        let levels = legs
            .iter()
            .map(Leg::key)
            .zip(self.parties.iter().map(|party| party.level));
        if self.speaker.update(levels)
            && let Some(leg) = legs.first()
        {
            context.events.push(Event::SpeakerChanged {
                session: leg.key().session,
                leg: self.speaker.current(),
            });
        }
        mixer
    }

    /// What all legs say together.
    pub fn all(&mut self, legs: &Mixer) -> Option<Frame> {
        legs.all(&mut self.limiter)
    }

    /// Sends each leg its part of the sum, `said` by streams and playbacks added, and what is for it alone; what the first
    /// was sent.
    pub fn say(
        &mut self,
        frame: u64,
        mut sum: Mixer,
        said: Option<&Frame>,
        asides: &[(LegKey, Frame)],
        legs: &mut [Leg],
        context: &mut Context<'_>,
    ) -> Option<Frame> {
        if let Some(said) = said {
            sum.add(said);
        }
        let mut first = None;
        for (at, (leg, party)) in legs.iter_mut().zip(&mut self.parties).enumerate() {
            party.sent = None;
            if !leg.is_sending() {
                continue;
            }
            let others = match party.is_heard {
                true => sum.all_but(&party.heard, &mut party.limiter),
                false => sum.all(&mut party.limiter),
            };
            let others = with_asides(
                others.filter(|_| leg.listens()),
                leg.key(),
                asides,
                &mut party.limiter,
            );
            if at == 0 {
                first.clone_from(&others);
            }
            leg.say(frame, others.as_ref(), context.outbox);
            if self.keeps_sent {
                party.sent = others;
            }
        }
        first
    }

    /// What the leg at this place said.
    pub fn heard(&self, at: usize) -> Option<&Frame> {
        self.parties.get(at).map(|party| &party.heard)
    }

    /// What the leg at this place was sent, if that is kept.
    pub fn sent(&self, at: usize) -> Option<&Frame> {
        self.parties.get(at)?.sent.as_ref()
    }
}
