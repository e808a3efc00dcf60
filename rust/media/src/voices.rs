//! The voices of a session: who has begun to talk, for streams that want to know at once.
//!
//! What control asks of a leg ([`signals`](crate::signals)) is another matter: that is told to it, by the detector that it names.
//! Here it is always the level, which is quick.

use crate::context::Context;
use crate::frame::Frame;
use crate::key::LegKey;
use crate::stream::Stream;
use crate::time::Time;
use crate::tracks::Party;
use crate::vad::energy::Energy;

/// One detector for each leg, while somebody wants to know.
#[derive(Default)]
pub(crate) struct Voices {
    is_on: bool,
    legs: Vec<(LegKey, Energy)>,
}

impl Voices {
    /// Whether somebody wants to know.
    pub fn listen(&mut self, is_on: bool) {
        self.is_on = is_on;
        if !is_on {
            self.legs.clear();
        }
    }

    /// A leg has gone.
    pub fn forget(&mut self, leg: LegKey) {
        self.legs.retain(|(other, _)| *other != leg);
    }

    /// Takes one frame of what a party says, and tells the streams.
    pub fn hear(
        &mut self,
        now: Time,
        party: &Party,
        frame: &Frame,
        streams: &mut [Stream],
        context: &mut Context<'_>,
    ) {
        if !self.is_on {
            return;
        }
        let at = self.legs.iter().position(|(leg, _)| *leg == party.leg);
        let at = at.unwrap_or_else(|| {
            self.legs.push((party.leg, Energy::new()));
            self.legs.len() - 1
        });
        let (_, energy) = &mut self.legs[at];
        let Some(speech) = energy.push_quick(frame.samples()) else {
            return;
        };
        let voice = (speech, energy.onset_ms());
        for stream in streams.iter_mut().filter(|stream| stream.wants_voices()) {
            stream.hear_voice(now, party.track, voice, context);
        }
    }
}
