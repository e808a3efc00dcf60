//! The way of one frame through a session: from one leg, or from several through the conference.

use super::{MAX_LATENESS_MS, Session, with_asides};
use crate::context::Context;
use crate::frame::Frame;
use crate::leg::Leg;
use crate::recording::Taps;
use crate::stream::Stream;
use crate::time::{FRAME_TICKS, Time};
use crate::tracks::{Heard, Sounds};

/// What became of the frames that were due.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ran {
    pub frames: u64,
    pub late: u64,
    pub skipped: u64,
}

impl Session {
    /// Runs all frames that are due at `now`; skips those that are too late.
    pub fn run(&mut self, now: Time, context: &mut Context<'_>) -> Ran {
        let mut ran = Ran::default();
        let newest = now.tick().saturating_sub(self.tick0) / FRAME_TICKS;
        let oldest = (now.tick() + 1)
            .saturating_sub(self.tick0 + MAX_LATENESS_MS)
            .div_ceil(FRAME_TICKS);
        if oldest > self.next_frame {
            ran.skipped = oldest.min(newest + 1) - self.next_frame;
            for (key, recording) in &mut self.recordings {
                recording.fill(*key, ran.skipped, context.outbox);
            }
            self.next_frame += ran.skipped;
        }
        while self.next_frame <= newest {
            ran.late += u64::from(self.next_frame < newest);
            let told = context.events.len();
            self.run_frame(now, self.next_frame, context);
            self.tell_digits(told, context);
            self.next_frame += 1;
            ran.frames += 1;
        }
        self.late_frames += ran.late;
        self.skipped_frames += ran.skipped;
        ran
    }

    fn run_frame(&mut self, now: Time, frame: u64, context: &mut Context<'_>) {
        assert!(!self.is_broken, "broken on purpose");
        if self.conference.is_some() {
            return self.run_conference(now, frame, context);
        }
        let mut heard = Frame::silent(self.rate_hz);
        if let Some(leg) = self.legs.first_mut() {
            leg.hear(now, &mut heard, context);
        }
        self.tick_streams(now, context);
        if let Some(party) = self.parties.first() {
            self.voices.hear(now, party, &heard, &mut self.streams, context);
        }
        let spoken = self.pull_said(now, context);
        self.pull_asides(now, context);
        let aside;
        let mut sent = spoken.as_ref();
        if let Some(leg) = self.legs.first_mut() {
            if !leg.listens() || !self.asides.is_empty() {
                let said_to_it = spoken.clone().filter(|_| leg.listens());
                aside = with_asides(said_to_it, leg.key(), &self.asides, &mut self.limiter);
                sent = aside.as_ref();
            }
            leg.say(frame, sent, context.outbox);
            leg.report(now, context.random, context.outbox);
        }
        let told = Heard {
            parties: &self.parties,
            all: Some(&heard),
            said: spoken.as_ref(),
            sounds: Sounds::One { heard: &heard, sent },
        };
        for stream in &mut self.streams {
            stream.hear(&told, context);
        }
        let parties = || self.legs.first().map(|leg| (leg.key(), &heard)).into_iter();
        let taps = Taps {
            heard: Some(&heard),
            sent,
            legs: Some(&heard),
            said: sent,
        };
        for (key, recording) in &mut self.recordings {
            recording.write(*key, taps, parties(), context.outbox);
        }
    }

    fn run_conference(&mut self, now: Time, frame: u64, context: &mut Context<'_>) {
        self.tick_streams(now, context);
        let Some(conference) = &mut self.conference else {
            return;
        };
        let sum = conference.hear(now, self.rate_hz, &mut self.legs, context);
        for (at, party) in self.parties.iter().enumerate() {
            if let Some(frame) = conference.heard(at) {
                self.voices.hear(now, party, frame, &mut self.streams, context);
            }
        }
        let said = self.pull_said(now, context);
        self.pull_asides(now, context);
        let Some(conference) = &mut self.conference else {
            return;
        };
        conference.keeps_sent = self.streams.iter().any(Stream::hears_sent);
        let is_listened_to = !self.streams.is_empty() || !self.recordings.is_empty();
        let legs = is_listened_to.then(|| conference.all(&sum)).flatten();
        let sent = conference.say(frame, sum, said.as_ref(), &self.asides, &mut self.legs, context);
        for leg in &mut self.legs {
            leg.report(now, context.random, context.outbox);
        }
        let told = Heard {
            parties: &self.parties,
            all: legs.as_ref(),
            said: said.as_ref(),
            sounds: Sounds::Many(conference),
        };
        for stream in &mut self.streams {
            stream.hear(&told, context);
        }
        let taps = Taps {
            heard: conference.heard(0),
            sent: sent.as_ref(),
            legs: legs.as_ref(),
            said: said.as_ref(),
        };
        for (key, recording) in &mut self.recordings {
            let parties = self
                .legs
                .iter()
                .enumerate()
                .filter_map(|(at, leg)| Some((leg.key(), conference.heard(at)?)));
            recording.write(*key, taps, parties, context.outbox);
        }
    }

    /// What time brings for streams, and whether voices are listened for.
    fn tick_streams(&mut self, now: Time, context: &mut Context<'_>) {
        let waited_ms = self.legs.iter().map(Leg::waited_ms).max().unwrap_or(0);
        for stream in &mut self.streams {
            stream.tick(now, waited_ms, context);
        }
        self.voices.listen(self.streams.iter().any(Stream::wants_voices));
    }
}
