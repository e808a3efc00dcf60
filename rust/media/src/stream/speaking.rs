//! What the parties are given each frame: what the application says, or comfort while it is gone.

use super::Stream;
use super::dialect::{Level, Tell};
use crate::config::Direction;
use crate::context::Context;
use crate::event::Event;
use crate::frame::Frame;
use crate::mix::Mixer;
use crate::playout::Pulled;
use crate::time::Time;
use crate::tracks::ALL;

impl Stream {
    /// Adds the next frame of what the application says to all, or to one party, if it says anything.
    pub fn speak(&mut self, now: Time, to: u8, mixer: &mut Mixer, context: &mut Context<'_>) {
        let (input_hz, is_first) = (self.mouths.input.rate_hz, to == self.mouths.first());
        let Some(mouth) = self.mouths.iter_mut().find(|mouth| mouth.to == to) else {
            return;
        };
        let Pulled {
            started,
            drained,
            is_low,
            count,
        } = mouth.speak(now, input_hz, mixer);
        let is_empty = is_first && count == 0 && mouth.playout.queued() == 0;
        if is_empty && self.may_comfort() {
            self.soothe(mixer);
        }
        self.answer_marks(context);
        self.tell_playback(context);
        if started {
            context.events.push(Event::PlayoutStarted { stream: self.key });
        }
        if drained {
            context.events.push(Event::PlayoutDrained { stream: self.key });
            self.tell(&Tell::Drained, true, context);
        }
        if is_low {
            self.tell_level(Level::Low, None, context);
        }
        if is_empty && std::mem::take(&mut self.asks_empty) {
            self.tell(&Tell::Empty, true, context);
        }
    }

    /// It has had a connection, and waits for another one.
    pub(super) fn may_comfort(&self) -> bool {
        let waits = !self.connected && self.stats.connections > 0;
        waits && self.params.direction == Direction::Both
    }

    fn soothe(&mut self, mixer: &mut Mixer) {
        let Some(resume) = self.params.resume.as_ref().filter(|resume| resume.window_ms > 0) else {
            return;
        };
        let mut frame = Frame::silent(self.session_hz);
        if self
            .comfort
            .fill(resume.comfort, self.session_hz, frame.samples_mut())
        {
            mixer.add(&frame);
        }
    }

    /// It has spoken to this party alone.
    pub fn speaks_to(&self, party: u8) -> bool {
        party != ALL && self.mouths.tracks().any(|track| track == party)
    }
}
