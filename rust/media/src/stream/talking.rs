//! What a stream does beside carrying audio, where its dialect has agreed on it: greeting, numbers, holding speech, and what
//! is told at intervals.

use super::barge_in::By;
use super::clock::unix_ms;
use super::dialect::{self, AudioFormat, Hello, Message, Playback, Ready, Speech, Tell};
use super::ears::Ears;
use super::mouths::{Manner, Mouths, Playing};
use super::talk::format;
use super::uplink::{NotResumed, ResumeRequest};
use super::{Stream, Talk};
use crate::codec::resample::delay_ms;
use crate::config::{Encoding, Together};
use crate::context::Context;
use crate::event::{Closing, Event, RefusedMessage};
use crate::playout::{ChunkId, MarkOutcome};
use crate::time::{Time, frame_samples};
use crate::tracks::{ALL, Party, is_known};
use crate::vad::energy::RULES;
use crate::vad::{self, Evidence};

/// What a ring has room for: 128 kbit/s.
const MAX_OPUS_BYTES_PER_MS: usize = 16;

impl Stream {
    /// Takes a message of an application that greets.
    pub(super) fn converse(
        &mut self,
        now: Time,
        message: Message<'_>,
        parties: &[Party],
        context: &mut Context<'_>,
    ) -> Result<(), RefusedMessage> {
        if !self.connected {
            return Err(RefusedMessage::NotAllowed);
        }
        if !self.may_tell() {
            return match message {
                Message::Hello(hello) => {
                    let agreed = hello
                        .map_err(Closing::BadHello)
                        .and_then(|hello| self.agree(now, &hello, parties, context));
                    agreed.map_err(|why| self.part(why, context))
                }
                _ => Err(self.part(Closing::BadHello("hello is the first message"), context)),
            };
        }
        let about = self.wire.about();
        let Some(talk) = &mut self.talk else {
            return Ok(());
        };
        match message {
            Message::Ping { id, at } => {
                let unix_ms = unix_ms(now, context.config.ntp_at_zero);
                self.tell(&Tell::Pong { id, at, unix_ms }, true, context);
                Ok(())
            }
            Message::Pong(ping) => {
                talk.clock.pong(now, ping);
                Ok(())
            }
            message => {
                if let Some(number) = about.number.filter(|_| message.is_numbered())
                    && !talk.numbering.is_new(number)
                {
                    self.stats.repeated += 1;
                    return Ok(());
                }
                if matches!(message, Message::AudioTo(..)) && talk.is_stale(about.generation) {
                    self.stats.stale += 1;
                    return Ok(());
                }
                self.obey(now, message, parties, context)
            }
        }
    }

    /// The connection is of no use: why is said, and it is closed.
    fn part(&mut self, why: Closing, context: &mut Context<'_>) -> RefusedMessage {
        let words = match why {
            Closing::BadHello(words) => words,
            _ => "the token is wrong, or was used",
        };
        let form = self.wire.write(&Tell::NotAgreed(words), context.outbox.writer());
        self.commit(form, false, context.outbox);
        self.connected = false;
        let stream = self.key;
        context.events.push(Event::StreamClosing { stream, why });
        RefusedMessage::NotAllowed
    }

    /// Agrees on what the application wants, and audio begins.
    fn agree(
        &mut self,
        now: Time,
        hello: &Hello,
        parties: &[Party],
        context: &mut Context<'_>,
    ) -> Result<(), Closing> {
        let is_first = self.talk.as_ref().is_some_and(|talk| !talk.is_agreed);
        if is_first {
            self.shape(hello, parties).map_err(Closing::BadHello)?;
        }
        let (Some(talk), Some(uplink)) = (&mut self.talk, &mut self.uplink) else {
            return Ok(());
        };
        match &hello.resume {
            None => uplink.begin_anew(),
            Some(resume) => uplink
                .resume(&ResumeRequest {
                    token: &resume.token,
                    received: &resume.received,
                    event: resume.event,
                })
                .map_err(|refused| match refused {
                    NotResumed::WrongToken => Closing::WrongToken,
                    NotResumed::Impossible => Closing::BadHello("nothing like that was ever sent"),
                })?,
        }
        talk.open(now, hello);
        let resumed = hello.resume.is_some();
        let ready = Ready {
            audio: AudioFormat {
                format: self.mouths.input,
                frame_ms: self.params.chunk_ms,
                is_text: talk.is_text,
            },
            tracks: self.ears.tracks().collect(),
            received: talk.numbering.received(),
            generation: talk.generation,
            resumed,
        };
        self.tell(&Tell::Ready(ready), false, context);
        self.begin(resumed, context);
        Ok(())
    }

    /// Ears and mouths for what is wanted.
    fn shape(&mut self, hello: &Hello, parties: &[Party]) -> Result<(), &'static str> {
        let carried = dialect::entry(self.params.dialect).output;
        let (format, frame_ms) = format(&self.params, &hello.audio, carried)?;
        let asked = hello.tracks.iter().flatten();
        if !asked.into_iter().all(|&track| is_known(track, parties)) {
            return Err("there is no such track");
        }
        // Those that the stream was opened with may be of parties that are still to come.
        let tracks = &hello.tracks.clone().unwrap_or(self.params.tracks.clone());
        let mut ears = Ears::new(format.encoding, format.rate_hz, frame_ms, self.session_hz);
        if !tracks.is_empty() {
            ears.tune(tracks, Together::Apart)
                .ok_or("these are too many tracks")?;
        }
        let limit_ms = self.params.queue_limit_ms;
        let manner = Manner {
            to: ALL,
            limit_ms: hello
                .queue_limit_ms
                .map_or(limit_ms, |wanted| wanted.min(limit_ms)),
            live_ms: hello.live_ms,
            is_followed: true,
        };
        self.ears = ears;
        self.mouths = Mouths::new(format, self.session_hz, manner);
        (self.params.encoding, self.params.rate_hz) = (format.encoding, format.rate_hz);
        (self.params.input, self.params.chunk_ms) = (Some(format), frame_ms);
        if !tracks.is_empty() {
            self.params.tracks.clone_from(tracks);
        }
        self.is_reshaped = true;
        if let Some(talk) = &mut self.talk {
            talk.is_text = hello.audio.is_text.unwrap_or(false);
        }
        if let Some(uplink) = &mut self.uplink {
            let bytes_per_ms = match format.encoding {
                Encoding::Opus => MAX_OPUS_BYTES_PER_MS,
                encoding => format.rate_hz as usize / 1_000 * encoding.bytes_per_sample(),
            };
            uplink.agree(frame_ms, frame_ms as usize * bytes_per_ms);
        }
        Ok(())
    }

    /// Before each frame: what time brings. What the parties say waits so long in their jitter buffers.
    pub fn tick(&mut self, now: Time, waited_ms: u64, context: &mut Context<'_>) {
        self.waited_ms = waited_ms + delay_ms(self.session_hz, self.params.rate_hz);
        let Some(talk) = &mut self.talk else { return };
        if talk.barge_in.is_overdue(now) {
            self.go_on(now, By::Timeout, context);
        }
        if !self.may_tell() {
            return;
        }
        let Some(talk) = &mut self.talk else { return };
        if let Some(due) = talk.clock.due(now) {
            let unix_ms = unix_ms(now, context.config.ntp_at_zero);
            let clock = Tell::Clock {
                unix_ms,
                at: self.ears.heard(),
                rtt_ms: due.rtt_ms,
            };
            self.tell(&clock, true, context);
            self.tell(
                &Tell::Ping {
                    id: due.ping,
                    unix_ms,
                },
                true,
                context,
            );
        }
        self.tell_progress(now, context);
    }

    fn tell_progress(&mut self, now: Time, context: &mut Context<'_>) {
        let Some(talk) = &mut self.talk else { return };
        if !talk.is_progress_due(now) {
            return;
        }
        let (tells_progress, received) = (talk.tells_progress, talk.numbering.take_unacknowledged());
        if let Some(received) = received {
            self.tell(&Tell::Received(received), true, context);
        }
        if !tells_progress {
            return;
        }
        for at in 0..self.mouths.count() {
            if let Some(Playing {
                to,
                id,
                played,
                queued,
            }) = self.mouths.playing(at)
            {
                let playback = Playback::Progress {
                    played_ms: self.millis(played),
                    queued_ms: self.millis(queued as u64),
                };
                let tell = Tell::Playback {
                    id,
                    track: to,
                    playback,
                };
                self.tell(&tell, true, context);
            }
        }
    }

    /// Voices have to be listened for.
    pub fn wants_voices(&self) -> bool {
        let wants = |talk: &Talk| talk.tells_speech || talk.barge_in.is_wanted();
        self.talk.as_ref().is_some_and(|talk| wants(talk))
    }

    /// A party begins to talk, or has stopped, in the frame that is next heard; a voice began so long before its end.
    pub fn hear_voice(
        &mut self,
        now: Time,
        track: u8,
        (speech, onset_ms): (vad::Speech, u32),
        context: &mut Context<'_>,
    ) {
        let rate_hz = self.params.rate_hz;
        let is_audible = self.mouths.is_audible_to(track);
        let Some(talk) = &mut self.talk else { return };
        let tells_speech = talk.tells_speech;
        let (speech, ago_ms) = match speech {
            vad::Speech::Started { evidence } => {
                let level_db = match evidence {
                    Evidence::Level(level_db) => level_db as i32,
                    Evidence::Probability(_) => 0,
                };
                let paused = talk.barge_in.voice(now, is_audible);
                (Speech::Started { level_db, paused }, onset_ms)
            }
            // The silence that ends it has passed already.
            vad::Speech::Stopped { duration_ms } => {
                (Speech::Stopped { duration_ms }, RULES.end * RULES.step_ms)
            }
        };
        let end = self.ears.heard() + frame_samples(rate_hz) as u64;
        let at = end.saturating_sub(u64::from(rate_hz / 1_000 * ago_ms));
        if tells_speech {
            self.tell(&Tell::Speech { track, at, speech }, true, context);
        }
        if matches!(speech, Speech::Started { paused: true, .. }) {
            self.hold(By::BargeIn, context);
        }
    }

    /// Speech is held, by the application or by control.
    pub(super) fn pause(&mut self, by: By, context: &mut Context<'_>) {
        if let Some(talk) = &mut self.talk {
            talk.barge_in.decided();
        }
        self.hold(by, context);
    }

    fn hold(&mut self, by: By, context: &mut Context<'_>) {
        let played = (0..self.mouths.count()).find_map(|at| self.mouths.playing(at));
        let played = played.map_or(0, |playing| playing.played);
        self.mouths.pause();
        let tell = Tell::Paused {
            played_ms: self.millis(played),
            queued_ms: self.millis(self.mouths.queued() as u64),
            by,
        };
        self.tell(&tell, true, context);
    }

    /// Speech goes on with the sample that was not heard yet.
    pub(super) fn go_on(&mut self, now: Time, by: By, context: &mut Context<'_>) {
        if let Some(talk) = &mut self.talk {
            talk.barge_in.decided();
        }
        self.mouths.resume(now);
        self.tell(&Tell::Resumed { by }, true, context);
    }

    /// Drops one utterance, queued or playing.
    pub(super) fn interrupt_utterance(&mut self, id: &ChunkId, context: &mut Context<'_>) {
        let Some((track, ended)) = self.mouths.interrupt_utterance(id) else {
            self.stats.unknown_chunk += 1;
            return;
        };
        let dropped_ms = self.millis(ended.dropped);
        context.events.push(Event::PlayoutInterrupted {
            stream: self.key,
            chunk_id: *id,
            dropped_ms,
        });
        let playback = Playback::Finished {
            played_ms: self.millis(ended.played),
            outcome: MarkOutcome::Cleared,
        };
        let id = Some(*id);
        self.tell(&Tell::Playback { id, track, playback }, true, context);
        self.answer_marks(context);
        self.tell_playback(context);
    }

    /// Control has done what the application asked for, or says why not.
    pub fn answer(&mut self, answer: dialect::Answer<'_>, context: &mut Context<'_>) {
        self.tell(&Tell::Answer(answer), false, context);
    }
}
