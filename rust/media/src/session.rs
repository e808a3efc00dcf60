//! A session: the legs, streams, playbacks and recordings of one call, and the way of one frame through them.
//!
//! Each part is owned by its session and found by a linear search, since there are few. A frame goes
//! leg → streams and recordings, and streams and playbacks → mixer → leg and recordings.

use std::sync::Arc;

use crate::codec::{Codec, MAX_PTIME_MS};
use crate::config::{LegRemote, StreamParams};
use crate::context::Context;
use crate::error::CommandError;
use crate::event::{Event, PlaybackEnd};
use crate::frame::Frame;
use crate::key::{LegKey, PlaybackKey, RecordingKey, SessionKey, StreamKey};
use crate::leg::Leg;
use crate::mix::Mixer;
use crate::playback::Playback;
use crate::recording::Recording;
use crate::stats::{LegStats, SessionStats, StreamStats};
use crate::stream::Stream;
use crate::time::{FRAME_TICKS, RATE_HZ, Time};

/// Legs of one session. Rule for all four: more are refused.
pub const MAX_LEGS: usize = 1;
/// Streams of one session.
pub const MAX_STREAMS: usize = 8;
/// Playbacks of one session.
pub const MAX_PLAYBACKS: usize = 8;
/// Recordings of one session.
pub const MAX_RECORDINGS: usize = 4;
/// A frame this late is skipped, an earlier one is sent at once.
pub const MAX_LATENESS_MS: u64 = 60;

/// What became of the frames that were due.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ran {
    pub frames: u64,
    pub late: u64,
    pub skipped: u64,
}

/// One session.
pub(crate) struct Session {
    key: SessionKey,
    tick0: u64,
    /// The rate of the frames inside: the highest of what the legs send.
    rate_hz: u32,
    /// The next frame to be run.
    next_frame: u64,
    next_serial: u32,
    legs: Vec<Leg>,
    streams: Vec<Stream>,
    playbacks: Vec<(PlaybackKey, Playback)>,
    recordings: Vec<(RecordingKey, Recording)>,
    late_frames: u64,
    skipped_frames: u64,
}

impl Session {
    pub fn new(key: SessionKey, now: Time) -> Session {
        Session {
            key,
            tick0: now.tick(),
            rate_hz: RATE_HZ,
            next_frame: 1,
            next_serial: 0,
            legs: Vec::with_capacity(MAX_LEGS),
            streams: Vec::new(),
            playbacks: Vec::new(),
            recordings: Vec::new(),
            late_frames: 0,
            skipped_frames: 0,
        }
    }

    /// The tick modulo a frame at which its frames are due.
    pub fn phase(&self) -> usize {
        (self.tick0 % FRAME_TICKS) as usize
    }

    fn take_serial(&mut self) -> u32 {
        self.next_serial += 1;
        self.next_serial
    }

    fn due(&self, frame: u64) -> Time {
        Time::from_tick(self.tick0 + frame * FRAME_TICKS)
    }

    // Legs.

    pub fn open_leg(&mut self, context: &mut Context<'_>) -> Result<LegKey, CommandError> {
        if self.legs.len() >= MAX_LEGS {
            return Err(CommandError::LimitReached("legs of a session"));
        }
        let key = LegKey {
            session: self.key,
            serial: self.take_serial(),
        };
        let config = context.config;
        self.legs.push(Leg::new(
            key,
            self.tick0,
            config.numbering,
            config.ntp_at_zero,
            context.random,
        ));
        Ok(key)
    }

    pub fn leg(&self, key: LegKey) -> Result<&Leg, CommandError> {
        self.legs
            .iter()
            .find(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)
    }

    pub fn leg_mut(&mut self, key: LegKey) -> Result<&mut Leg, CommandError> {
        self.legs
            .iter_mut()
            .find(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)
    }

    pub fn connect_leg(
        &mut self,
        now: Time,
        key: LegKey,
        remote: LegRemote,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        if remote
            .telephone_event
            .is_some_and(|event| event.payload_type > 127)
        {
            return Err(CommandError::BadParameter("payload_type must be 0 to 127"));
        }
        let rate = |codec: Codec| matches!(codec.rate_hz(), 8_000 | 16_000 | 24_000 | 48_000);
        if !remote.audio.entries().iter().all(|(_, codec)| rate(*codec)) {
            return Err(CommandError::BadParameter(
                "rate_hz must be 8000, 16000, 24000 or 48000",
            ));
        }
        if !(10..=MAX_PTIME_MS).contains(&remote.ptime_ms) {
            return Err(CommandError::BadParameter("ptime_ms must be 10 to 60"));
        }
        self.leg_mut(key)?.connect(now, remote, context);
        self.settle_rate();
        Ok(())
    }

    /// The rate follows what the legs send; everything at the edges converts.
    fn settle_rate(&mut self) {
        self.rate_hz = self
            .legs
            .iter()
            .filter_map(Leg::rate_hz)
            .max()
            .unwrap_or(RATE_HZ)
            .max(RATE_HZ);
        let rate_hz = self.rate_hz;
        self.legs.iter_mut().for_each(|leg| leg.set_rate(rate_hz));
        self.streams
            .iter_mut()
            .for_each(|stream| stream.set_rate(rate_hz));
        self.playbacks
            .iter_mut()
            .for_each(|(_, playback)| playback.set_rate(rate_hz));
        self.recordings
            .iter_mut()
            .for_each(|(_, recording)| recording.set_rate(rate_hz));
    }

    pub fn close_leg(
        &mut self,
        now: Time,
        key: LegKey,
        context: &mut Context<'_>,
    ) -> Result<LegStats, CommandError> {
        let at = self
            .legs
            .iter()
            .position(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)?;
        let mut leg = self.legs.swap_remove(at);
        leg.leave(now, context.outbox);
        Ok(leg.stats())
    }

    // Streams.

    pub fn open_stream(
        &mut self,
        params: StreamParams,
        context: &mut Context<'_>,
    ) -> Result<StreamKey, CommandError> {
        if self.streams.len() >= MAX_STREAMS {
            return Err(CommandError::LimitReached("streams of a session"));
        }
        let key = StreamKey {
            session: self.key,
            serial: self.take_serial(),
        };
        self.streams.push(Stream::new(
            key,
            params,
            context.config.limits.playout_ms,
            self.rate_hz,
        )?);
        Ok(key)
    }

    pub fn stream_mut(&mut self, key: StreamKey) -> Result<&mut Stream, CommandError> {
        self.streams
            .iter_mut()
            .find(|stream| stream.key() == key)
            .ok_or(CommandError::UnknownStream)
    }

    pub fn close_stream(&mut self, key: StreamKey) -> Result<StreamStats, CommandError> {
        let at = self
            .streams
            .iter()
            .position(|stream| stream.key() == key)
            .ok_or(CommandError::UnknownStream)?;
        Ok(self.streams.swap_remove(at).stats())
    }

    // Playbacks and recordings.

    pub fn start_playback(&mut self, samples: Arc<[i16]>, repeat: u32) -> Result<PlaybackKey, CommandError> {
        if self.playbacks.len() >= MAX_PLAYBACKS {
            return Err(CommandError::LimitReached("playbacks of a session"));
        }
        let key = PlaybackKey {
            session: self.key,
            serial: self.take_serial(),
        };
        self.playbacks
            .push((key, Playback::new(samples, repeat, self.rate_hz)));
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

    pub fn start_recording(&mut self) -> Result<RecordingKey, CommandError> {
        if self.recordings.len() >= MAX_RECORDINGS {
            return Err(CommandError::LimitReached("recordings of a session"));
        }
        let key = RecordingKey {
            session: self.key,
            serial: self.take_serial(),
        };
        self.recordings.push((key, Recording::new(self.rate_hz)));
        Ok(key)
    }

    pub fn stop_recording(&mut self, key: RecordingKey) -> Result<u64, CommandError> {
        let at = self
            .recordings
            .iter()
            .position(|(other, _)| *other == key)
            .ok_or(CommandError::UnknownRecording)?;
        Ok(self.recordings.swap_remove(at).1.duration_ms())
    }

    // The whole.

    pub fn stats(&self) -> SessionStats {
        SessionStats {
            duration_ms: (self.next_frame - 1) * FRAME_TICKS,
            late_frames: self.late_frames,
            skipped_frames: self.skipped_frames,
            legs: self.legs.iter().map(|leg| (leg.key(), leg.stats())).collect(),
            streams: self
                .streams
                .iter()
                .map(|stream| (stream.key(), stream.stats()))
                .collect(),
        }
    }

    pub fn close(mut self, now: Time, context: &mut Context<'_>) -> SessionStats {
        let stats = SessionStats {
            duration_ms: now.millis_since(self.due(0)),
            ..self.stats()
        };
        self.legs
            .iter_mut()
            .for_each(|leg| leg.leave(now, context.outbox));
        for (playback, _) in self.playbacks {
            context.events.push(Event::PlaybackFinished {
                playback,
                reason: PlaybackEnd::Stopped,
            });
        }
        stats
    }

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
            self.run_frame(now, self.next_frame, context);
            self.next_frame += 1;
            ran.frames += 1;
        }
        self.late_frames += ran.late;
        self.skipped_frames += ran.skipped;
        ran
    }

    fn run_frame(&mut self, now: Time, frame: u64, context: &mut Context<'_>) {
        let heard = match self.legs.first_mut() {
            Some(leg) => leg.hear(now, context),
            None => Frame::silent(self.rate_hz),
        };
        let said = self.mix(now, context);
        if let Some(leg) = self.legs.first_mut() {
            leg.say(frame, said.clone(), context.outbox);
            leg.report(now, context.random, context.outbox);
        }
        for stream in &mut self.streams {
            stream.hear(&heard, context);
        }
        for (key, recording) in &mut self.recordings {
            recording.write(*key, Some(heard.clone()), said.clone(), context.outbox);
        }
    }

    /// What the leg is to be sent. While it does not send, everything waits.
    fn mix(&mut self, now: Time, context: &mut Context<'_>) -> Option<Frame> {
        if !self.legs.first().is_some_and(Leg::is_sending) {
            return None;
        }
        let mut mixer = Mixer::new(self.rate_hz);
        for stream in &mut self.streams {
            mixer.add(stream.pull(now, context));
        }
        self.playbacks.retain_mut(|(key, playback)| {
            mixer.add(playback.pull());
            if playback.is_finished() {
                context.events.push(Event::PlaybackFinished {
                    playback: *key,
                    reason: PlaybackEnd::Completed,
                });
            }
            !playback.is_finished()
        });
        mixer.finish()
    }
}
