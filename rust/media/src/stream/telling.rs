//! What the application is told: keys, marks, utterances, how full the queue is.

use std::io::Write as _;

use super::Stream;
use super::dialect::{Level, Playback, Tell};
use crate::context::Context;
use crate::outbox::Outbox;
use crate::playout::Told;
use crate::{Destination, Form};

impl Stream {
    /// A party pressed a key.
    pub fn tell_digit(&mut self, digit: char, duration_ms: u32, track: u8, context: &mut Context<'_>) {
        // Where a key has no party, it is of one that is heard.
        if self.talk.is_none() && !self.ears.listen_to(track) {
            return;
        }
        let tell = Tell::Digit {
            digit,
            duration_ms,
            track,
            at: self.ears.heard(),
        };
        self.tell(&tell, true, context);
    }

    /// A key was pressed for somebody on this call.
    pub fn tell_digit_sent(&mut self, digit: char, left: usize, context: &mut Context<'_>) {
        self.tell(&Tell::DigitSent { digit, left }, true, context);
    }

    /// Tells what became of utterances.
    pub(super) fn tell_playback(&mut self, context: &mut Context<'_>) {
        while let Some((track, told)) = self.mouths.take_told() {
            self.tell_one(track, &told, context);
        }
    }

    pub(super) fn tell_one(&mut self, track: u8, told: &Told, context: &mut Context<'_>) {
        let (id, playback) = match *told {
            Told::Started(id) => {
                let at = self.ears.heard();
                let waited_ms = self.waited_ms;
                (id, Playback::Started { at, waited_ms })
            }
            Told::Finished(ended) => {
                let played_ms = self.millis(ended.played);
                let outcome = ended.outcome;
                (ended.id, Playback::Finished { played_ms, outcome })
            }
        };
        self.tell(&Tell::Playback { id, track, playback }, true, context);
    }

    pub(super) fn tell_level(&mut self, level: Level, dropped: Option<usize>, context: &mut Context<'_>) {
        let tell = Tell::Queue {
            level,
            queued_ms: self.millis(self.mouths.queued() as u64),
            dropped_ms: dropped.map(|samples| self.millis(samples as u64)),
        };
        self.tell(&tell, true, context);
    }

    pub(super) fn answer_marks(&mut self, context: &mut Context<'_>) {
        while let Some((name, outcome)) = self.mouths.take_mark() {
            self.tell(&Tell::Mark { name: &name, outcome }, true, context);
        }
    }

    /// Has the dialect write this: now if there is a socket that may have it; of an application that greets, what must not be
    /// lost for the next one.
    pub(super) fn tell(&mut self, tell: &Tell<'_>, may_drop: bool, context: &mut Context<'_>) {
        if self.uplink.is_some() && tell.is_event() {
            return self.tell_event(tell, context);
        }
        if self.may_tell() {
            let form = self.wire.write(tell, context.outbox.writer());
            self.commit(form, may_drop, context.outbox);
        }
    }

    /// Has the dialect write what must not be lost with a socket, and sends it now or to the next connection.
    fn tell_event(&mut self, tell: &Tell<'_>, context: &mut Context<'_>) {
        let Some(uplink) = self.uplink.as_mut().filter(|uplink| uplink.was_ready()) else {
            return;
        };
        let mut event = std::mem::take(&mut self.event);
        event.clear();
        if self.wire.write(tell, &mut event).is_some() && event.pop() == Some(b'}') {
            let _ = write!(event, r#","event":{}}}"#, uplink.next_event());
            uplink.push_event(&event);
            self.send_due(context);
        }
        self.event = event;
    }

    /// There is a socket, and what is to be said on it is agreed.
    pub(super) fn may_tell(&self) -> bool {
        self.connected && self.uplink.as_ref().is_none_or(|uplink| uplink.is_ready())
    }

    /// What the dialect wrote becomes a message, if it wrote one.
    pub(super) fn commit(&mut self, form: Option<Form>, may_drop: bool, outbox: &mut Outbox) {
        let Some(form) = form else { return };
        let stream = self.key;
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += outbox.commit(Destination::Stream {
            stream,
            form,
            may_drop,
        }) as u64;
    }
}
