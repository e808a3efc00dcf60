//! What the application hears: who comes and leaves, the frames of its tracks, and which tracks these are.

use super::Stream;
use super::dialect::Tell;
use crate::context::Context;
use crate::event::{Event, RefusedMessage};
use crate::tracks::{Heard, Party, TrackSet, is_known, sent_to};

impl Stream {
    /// It listens to what some party is sent.
    pub fn hears_sent(&self) -> bool {
        self.ears.hear_sent()
    }

    /// One more party has a track.
    pub fn party_came(&mut self, party: &Party, context: &mut Context<'_>) {
        self.tell(&Tell::TrackAdded(party), false, context);
    }

    /// A party has left.
    pub fn party_left(&mut self, party: &Party, context: &mut Context<'_>) {
        if party.track == 0 {
            return;
        }
        self.mouths.empty(party.track);
        self.answer_marks(context);
        self.tell_playback(context);
        self.mouths.forget(party.track);
        self.tell(&Tell::TrackRemoved(party), false, context);
        // Whoever does not know that it has left goes on hearing its silence.
        if let Some(uplink) = &mut self.uplink {
            for track in [party.track, sent_to(party.track)] {
                uplink.forget(track);
            }
            self.ears.forget(party.track);
        }
    }

    /// Takes one frame of what was heard.
    pub fn hear(&mut self, heard: &Heard<'_>, context: &mut Context<'_>) {
        if let Some(uplink) = &mut self.uplink {
            if uplink.was_ready() {
                self.ears.hear(heard);
                while let Some(chunk) = self.ears.take() {
                    uplink.push_audio(&chunk);
                }
                self.send_due(context);
            }
            return;
        }
        if !self.connected {
            return;
        }
        self.ears.hear(heard);
        while let Some(chunk) = self.ears.take() {
            let form = self.wire.write(&Tell::Audio(chunk), context.outbox.writer());
            self.commit(form, true, context.outbox);
            if !std::mem::replace(&mut self.first_audio_sent, true) {
                context
                    .events
                    .push(Event::StreamFirstAudioSent { stream: self.key });
            }
        }
    }

    /// Hears these from the next frame on; those that nobody has are left out, and it is said.
    pub(super) fn subscribe(&mut self, tracks: TrackSet, parties: &[Party]) -> Result<(), RefusedMessage> {
        let mut done = Ok(());
        for track in tracks.iter() {
            let heard = match is_known(track, parties) {
                true => self.ears.subscribe(track).ok_or(RefusedMessage::LimitReached),
                false => Err(RefusedMessage::UnknownTrack),
            };
            done = done.and(heard);
        }
        done
    }
}
