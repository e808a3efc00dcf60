//! What streams and playbacks say in one frame: to all legs, and to one alone.

use super::Session;
use crate::context::Context;
use crate::event::{Event, PlaybackEnd};
use crate::frame::Frame;
use crate::key::LegKey;
use crate::leg::Leg;
use crate::limiter::Limiter;
use crate::mix::Mixer;
use crate::time::Time;
use crate::tracks::ALL;

impl Session {
    /// What streams and playbacks say. While no leg sends, everything waits.
    pub(super) fn pull_said(&mut self, now: Time, context: &mut Context<'_>) -> Option<Frame> {
        if !self.legs.iter().any(Leg::is_sending) {
            return None;
        }
        let mut mixer = Mixer::new(self.rate_hz);
        for stream in &mut self.streams {
            stream.speak(now, ALL, &mut mixer, context);
        }
        self.playbacks.retain_mut(|(key, playback)| {
            if playback.to().is_some() {
                return true;
            }
            playback.speak(&mut mixer);
            if playback.is_finished() {
                context.events.push(Event::PlaybackFinished {
                    playback: *key,
                    reason: PlaybackEnd::Completed,
                });
            }
            !playback.is_finished()
        });
        mixer.all(&mut self.limiter)
    }

    /// What streams say to one party alone.
    fn pull_whispers(&mut self, now: Time, context: &mut Context<'_>) {
        for stream in &mut self.streams {
            for (leg, party) in self.legs.iter().zip(&self.parties) {
                if !leg.is_sending() || !stream.speaks_to(party.track) {
                    continue;
                }
                let mut mixer = Mixer::new(self.rate_hz);
                stream.speak(now, party.track, &mut mixer, context);
                if let Some(frame) = mixer.all(&mut Limiter::default()) {
                    self.asides.push((party.leg, frame));
                }
            }
        }
    }

    /// What streams and playbacks say to one leg alone. While it does not send, they wait.
    pub(super) fn pull_asides(&mut self, now: Time, context: &mut Context<'_>) {
        self.asides.clear();
        self.pull_whispers(now, context);
        let (legs, asides, rate_hz) = (&self.legs, &mut self.asides, self.rate_hz);
        self.playbacks.retain_mut(|(key, playback)| {
            let Some(to) = playback.to() else { return true };
            if !legs.iter().any(|leg| leg.key() == to && leg.is_sending()) {
                return true;
            }
            let mut mixer = Mixer::new(rate_hz);
            playback.speak(&mut mixer);
            if let Some(frame) = mixer.all(&mut Limiter::default()) {
                asides.push((to, frame));
            }
            if playback.is_finished() {
                context.events.push(Event::PlaybackFinished {
                    playback: *key,
                    reason: PlaybackEnd::Completed,
                });
            }
            !playback.is_finished()
        });
    }
}

/// What a leg is sent: what it hears of the others, and what is for it alone.
pub(crate) fn with_asides(
    others: Option<Frame>,
    leg: LegKey,
    asides: &[(LegKey, Frame)],
    limiter: &mut Limiter,
) -> Option<Frame> {
    let mut own = asides.iter().filter(|(to, _)| *to == leg).peekable();
    let Some((_, first)) = own.peek() else {
        return others;
    };
    let mut mixer = Mixer::new(first.rate_hz());
    own.for_each(|(_, frame)| mixer.add(frame));
    if let Some(others) = &others {
        mixer.add(others);
    }
    mixer.all(limiter)
}
