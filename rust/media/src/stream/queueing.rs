//! What the application queues to be heard: audio, sounds, marks, and clearing them.

use super::barge_in::By;
use super::dialect::{Audio, Level, Play, Tell, Utterance};
use super::{Stream, base64};
use crate::context::Context;
use crate::event::{Event, RefusedMessage};
use crate::playout::{ChunkId, Cleared, MarkOutcome, Playout, Pushed, Told};
use crate::time::Time;
use crate::tracks::{ALL, Party};

impl Stream {
    /// The queue that the message read last is about.
    pub(super) fn playout(&mut self, parties: &[Party]) -> Result<&mut Playout, RefusedMessage> {
        let to = self.wire.about().to.unwrap_or(ALL);
        if to != ALL && !parties.iter().any(|party| party.track == to) {
            return Err(RefusedMessage::UnknownTrack);
        }
        let mouth = self.mouths.to(to).ok_or(RefusedMessage::LimitReached)?;
        Ok(&mut mouth.playout)
    }

    /// Drops what all are to hear, or what one party alone is, and tells what was heard of it.
    pub(super) fn clear(&mut self, to: Option<u8>, by: By, context: &mut Context<'_>) {
        let was_high = self.mouths.all().is_high();
        let cleared = self.mouths.clear(to);
        let (mut marks, mut utterances) = (Vec::new(), Vec::new());
        while let Some((name, outcome)) = self.mouths.take_mark() {
            self.tell(&Tell::Mark { name: &name, outcome }, true, context);
            if self.talk.is_some() && outcome == MarkOutcome::Cleared {
                marks.push(name);
            }
        }
        while let Some((track, told)) = self.mouths.take_told() {
            self.tell_one(track, &told, context);
            if let Told::Finished(ended) = told
                && ended.outcome == MarkOutcome::Cleared
            {
                utterances.push(Utterance {
                    id: ended.id,
                    played_ms: self.millis(ended.played),
                    dropped_ms: self.millis(ended.dropped),
                });
            }
        }
        let Cleared { played, dropped } = cleared.unwrap_or_default();
        let (mut played_ms, dropped_ms) = (self.millis(played), self.millis(dropped));
        if cleared.is_some() {
            context.events.push(Event::PlayoutCleared {
                stream: self.key,
                played_ms,
                dropped_ms,
            });
        }
        let mut generation = 0;
        if let Some(talk) = &mut self.talk {
            talk.barge_in.decided();
            talk.generation = talk.generation.wrapping_add(1);
            generation = talk.generation;
            played_ms = utterances.iter().map(|utterance| utterance.played_ms).sum();
        }
        let tell = Tell::Cleared {
            played_ms,
            dropped_ms,
            by,
            generation,
            marks: &marks,
            utterances: &utterances,
        };
        self.tell(&tell, true, context);
        if was_high && !self.mouths.all().is_high() {
            self.tell_level(Level::Low, None, context);
        }
    }

    pub(super) fn mark(
        &mut self,
        name: &str,
        parties: &[Party],
        context: &mut Context<'_>,
    ) -> Result<(), RefusedMessage> {
        if !self.playout(parties)?.mark(name) {
            return Err(RefusedMessage::LimitReached);
        }
        self.answer_marks(context);
        Ok(())
    }

    /// Queues a sound that has a format of its own, converted.
    pub(super) fn play(
        &mut self,
        now: Time,
        play: Play<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), RefusedMessage> {
        let bytes: &[u8] = match &play.audio {
            Audio::Base64(text) => {
                base64::decode(text.as_bytes(), context.scratch)?;
                context.scratch
            }
            Audio::Raw(bytes) => bytes,
            Audio::Joined(bytes) => bytes,
        };
        self.sound
            .convert(bytes, play.format, self.mouths.input.rate_hz)?;
        if play.replace {
            self.clear(None, By::Application, context);
        }
        let samples = self.sound.samples();
        let has_audio = !samples.is_empty();
        let pushed = self.mouths.all().push_samples(now, samples, None);
        self.note_pushed(pushed, has_audio, context);
        match play.done {
            Some(name) => self.mark(name, &[], context),
            None => Ok(()),
        }
    }

    /// Queues what this party, or all, are to hear.
    pub(super) fn push(
        &mut self,
        now: Time,
        to: u8,
        audio: Audio<'_>,
        id: Option<ChunkId>,
        context: &mut Context<'_>,
    ) -> Result<(), RefusedMessage> {
        let bytes = match audio {
            Audio::Base64(text) => {
                base64::decode(text.as_bytes(), context.scratch)?;
                &context.scratch[..]
            }
            Audio::Raw(bytes) => bytes,
            Audio::Joined(ref bytes) => bytes,
        };
        let encoding = self.mouths.input.encoding;
        let mouth = self.mouths.to(to).ok_or(RefusedMessage::LimitReached)?;
        let pushed = mouth.push(now, encoding, bytes, id);
        let pushed = pushed.ok_or(RefusedMessage::MalformedAudio)?;
        let has_audio = !bytes.is_empty();
        self.note_pushed(pushed, has_audio, context);
        Ok(())
    }

    fn note_pushed(&mut self, pushed: Pushed, has_audio: bool, context: &mut Context<'_>) {
        let stream = self.key;
        if has_audio && !std::mem::replace(&mut self.first_audio_received, true) {
            context.events.push(Event::StreamFirstAudioReceived { stream });
        }
        if pushed.overflow_began {
            let dropped_ms = self.millis(pushed.dropped as u64);
            context.events.push(Event::PlayoutOverflow { stream, dropped_ms });
            self.tell_level(Level::Overflow, Some(pushed.dropped), context);
        }
        if pushed.underrun {
            self.tell_level(Level::Underrun, None, context);
        }
        if pushed.is_high {
            self.tell_level(Level::High, None, context);
        }
    }
}
