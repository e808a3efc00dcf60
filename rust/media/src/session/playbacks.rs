//! The playbacks of a session, for all of its legs or for one alone.

use std::sync::Arc;

use super::{MAX_PLAYBACKS, Session};
use crate::context::Context;
use crate::error::CommandError;
use crate::event::{Event, PlaybackEnd};
use crate::key::{LegKey, PlaybackKey};
use crate::playback::Playback;

impl Session {
    pub fn start_playback(
        &mut self,
        to: Option<LegKey>,
        samples: Arc<[i16]>,
        repeat: u32,
    ) -> Result<PlaybackKey, CommandError> {
        if let Some(leg) = to {
            self.leg(leg)?;
        }
        if self.playbacks.len() >= MAX_PLAYBACKS {
            return Err(CommandError::LimitReached("playbacks of a session"));
        }
        let key = PlaybackKey {
            session: self.key,
            serial: self.take_serial(),
        };
        self.playbacks
            .push((key, Playback::new(to, samples, repeat, self.rate_hz)));
        Ok(key)
    }

    pub fn stop_playback(&mut self, key: PlaybackKey, context: &mut Context<'_>) -> Result<(), CommandError> {
        let at = self
            .playbacks
            .iter()
            .position(|(other, _)| *other == key)
            .ok_or(CommandError::UnknownPlayback)?;
        self.playbacks.swap_remove(at);
        context.events.push(Event::PlaybackFinished {
            playback: key,
            reason: PlaybackEnd::Stopped,
        });
        Ok(())
    }
}
