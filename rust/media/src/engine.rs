//! The engine: all sessions of one worker, the wheel that says which are due, and the five verbs.

mod keep;

use std::sync::Arc;

use crate::config::{EngineConfig, LegRemote, Mute, RecordingParams, StreamParams};
use crate::context::{Context, Events};
use crate::dtmf::SendDigits;
use crate::error::CommandError;
use crate::event::Event;
use crate::fault::contain;
use crate::key::{LegKey, PlaybackKey, RecordingKey, SessionKey, StreamKey};
use crate::meter::{MAX_INTERVAL_MS, MIN_INTERVAL_MS};
use crate::outbox::Outbox;
use crate::random::Random;
use crate::session::Session;
use crate::signals::Detect;
use crate::stats::{EngineStats, LegStats, SessionStats, StreamStats};
use crate::stream::dialect::Answer;
use crate::time::{FRAME_TICKS, Time};
use crate::tracks::Label;
use crate::{Form, Source, Transmit};
use keep::Records;
pub use keep::{Restored, RestoredPlayback, RestoredSession};

const PHASES: usize = FRAME_TICKS as usize;

/// A place for a session. The generation rises when it is left, so that old keys do not fit.
#[derive(Default)]
struct Place {
    generation: u32,
    session: Option<Box<Session>>,
}

/// All sessions of one worker.
pub struct Engine {
    config: EngineConfig,
    random: Random,
    places: Vec<Place>,
    free: Vec<u32>,
    /// The wheel: for each tick of a frame, the sessions whose frames are due at it.
    phases: [Vec<u32>; PHASES],
    /// The tick up to which everything due has been run.
    done_tick: u64,
    outbox: Outbox,
    events: Events,
    scratch: Vec<u8>,
    /// Sessions that have failed in this verb, and why: they go when the verb is done.
    failed: Vec<(u32, String)>,
    stats: EngineStats,
    records: Option<Records>,
}

/// The context for a session to work in, beside the sessions.
macro_rules! context {
    ($engine:ident) => {
        Context {
            outbox: &mut $engine.outbox,
            events: &mut $engine.events,
            random: &mut $engine.random,
            scratch: &mut $engine.scratch,
            config: &$engine.config,
        }
    };
}

/// The session of a key and the context for it to work in, borrowed side by side.
macro_rules! with_context {
    ($engine:ident, $key:expr, $unknown:expr) => {{
        let key: SessionKey = $key;
        if let Some(records) = &mut $engine.records {
            records.touch(key.index);
        }
        with_context!(unchanged $engine, key, $unknown)
    }};
    // What a packet of audio changes is kept with the next frame.
    (unchanged $engine:ident, $key:expr, $unknown:expr) => {{
        let key: SessionKey = $key;
        let place = $engine.places.get_mut(key.index as usize);
        let session = place
            .filter(|place| place.generation == key.generation)
            .and_then(|place| place.session.as_deref_mut());
        (session.ok_or($unknown)?, context!($engine))
    }};
}

impl Engine {
    /// An engine without sessions.
    pub fn new(config: EngineConfig) -> Engine {
        Engine {
            random: Random::new(config.seed),
            config,
            places: Vec::new(),
            free: Vec::new(),
            phases: Default::default(),
            done_tick: 0,
            outbox: Outbox::default(),
            events: Events::default(),
            scratch: Vec::new(),
            failed: Vec::new(),
            stats: EngineStats::default(),
            records: None,
        }
    }

    /// Opens a session; its first frame is due in 20 ms, and one every 20 ms from then on.
    pub fn open_session(&mut self, now: Time) -> Result<SessionKey, CommandError> {
        if self.stats.sessions >= self.config.limits.sessions {
            return Err(CommandError::LimitReached("sessions"));
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u32
        });
        if self.stats.sessions == 0 {
            self.done_tick = now.tick();
        }
        let place = &mut self.places[index as usize];
        let key = SessionKey {
            index,
            generation: place.generation,
        };
        if let Some(records) = &mut self.records {
            self.stats.unkept_sessions += u64::from(!records.has_slot(index));
            records.touch(index);
        }
        let session = Box::new(Session::new(key, now));
        self.phases[session.phase()].push(index);
        place.session = Some(session);
        self.stats.sessions += 1;
        Ok(key)
    }

    /// Closes a session with all that belongs to it: legs say BYE by RTCP, playbacks stop, recordings end with the last
    /// frame that was run.
    pub fn close_session(&mut self, now: Time, session: SessionKey) -> Result<SessionStats, CommandError> {
        self.session(session).ok_or(CommandError::UnknownSession)?;
        let (_, gone) = self.take_out(session.index).ok_or(CommandError::UnknownSession)?;
        Ok(gone.close(now, &mut context!(self)))
    }

    /// Takes a session out of its place, which is for another then, and its record with it.
    fn take_out(&mut self, index: u32) -> Option<(SessionKey, Box<Session>)> {
        let place = &mut self.places[index as usize];
        let gone = place.session.take()?;
        let key = SessionKey {
            index,
            generation: place.generation,
        };
        place.generation = place.generation.wrapping_add(1);
        self.phases[gone.phase()].retain(|&other| other != index);
        self.free.push(index);
        self.stats.sessions -= 1;
        if let Some(records) = &mut self.records {
            records.wipe(index, place.generation);
        }
        Some((key, gone))
    }

    /// Opens a leg; it neither sends nor listens until it is connected.
    pub fn open_leg(&mut self, _now: Time, session: SessionKey) -> Result<LegKey, CommandError> {
        let (session, mut context) = with_context!(self, session, CommandError::UnknownSession);
        session.open_leg(&mut context)
    }

    /// What the applications of its session are told of a leg, when it is connected.
    pub fn label_leg(&mut self, leg: LegKey, label: Label) -> Result<(), CommandError> {
        let (session, _) = with_context!(self, leg.session, CommandError::UnknownLeg);
        session.label_leg(leg, label)
    }

    /// The SSRC a leg sends with.
    pub fn leg_ssrc(&self, leg: LegKey) -> Result<u32, CommandError> {
        Ok(self
            .session(leg.session)
            .ok_or(CommandError::UnknownLeg)?
            .leg(leg)?
            .ssrc())
    }

    /// Tells a leg its far end; again after every re-INVITE.
    pub fn connect_leg(&mut self, now: Time, leg: LegKey, remote: LegRemote) -> Result<(), CommandError> {
        let (session, mut context) = with_context!(self, leg.session, CommandError::UnknownLeg);
        session.connect_leg(now, leg, remote, &mut context)
    }

    /// Queues digits to be sent by a leg: as telephone-events where they were negotiated, else as tones.
    pub fn send_digits(&mut self, _now: Time, leg: LegKey, digits: &SendDigits) -> Result<(), CommandError> {
        let (session, _) = with_context!(self, leg.session, CommandError::UnknownLeg);
        session.leg_mut(leg)?.send_digits(digits)
    }

    /// What to listen for on a leg, from now on.
    pub fn detect(&mut self, now: Time, leg: LegKey, wanted: Detect) -> Result<(), CommandError> {
        let (session, mut context) = with_context!(self, leg.session, CommandError::UnknownLeg);
        session.leg_mut(leg)?.detect(now, wanted, &mut context);
        Ok(())
    }

    /// How often to tell of a leg's quality, in milliseconds: 0 for never, else within [`MIN_INTERVAL_MS`] and
    /// [`MAX_INTERVAL_MS`].
    pub fn report_quality(&mut self, now: Time, leg: LegKey, interval_ms: u64) -> Result<(), CommandError> {
        if interval_ms != 0 && !(MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&interval_ms) {
            return Err(CommandError::BadParameter(
                "quality_interval_ms must be 0, or 1000 to 3600000",
            ));
        }
        let (session, _) = with_context!(self, leg.session, CommandError::UnknownLeg);
        session.leg_mut(leg)?.report_quality(now, interval_ms);
        Ok(())
    }

    /// Closes a leg: an RTCP BYE is left in the outbox.
    pub fn close_leg(&mut self, now: Time, leg: LegKey) -> Result<LegStats, CommandError> {
        let (session, mut context) = with_context!(self, leg.session, CommandError::UnknownLeg);
        session.close_leg(now, leg, &mut context)
    }

    /// Opens a stream; nothing is made for it until [`Engine::stream_connected`].
    pub fn open_stream(
        &mut self,
        _now: Time,
        session: SessionKey,
        params: StreamParams,
    ) -> Result<StreamKey, CommandError> {
        let (session, mut context) = with_context!(self, session, CommandError::UnknownSession);
        session.open_stream(params, &mut context)
    }

    /// The stream's socket is there: `start` is made, then a message for every chunk of audio.
    pub fn stream_connected(&mut self, _now: Time, stream: StreamKey) -> Result<(), CommandError> {
        let (session, context) = with_context!(self, stream.session, CommandError::UnknownStream);
        session.connect_stream(stream, context)?;
        Ok(())
    }

    /// The stream's socket has gone, and the stream has not: what was queued for playout goes on, what is heard is kept for
    /// the next [`Engine::stream_connected`].
    pub fn stream_disconnected(&mut self, _now: Time, stream: StreamKey) -> Result<(), CommandError> {
        let (session, _) = with_context!(self, stream.session, CommandError::UnknownStream);
        session.stream_mut(stream)?.disconnect();
        Ok(())
    }

    /// Whether the application that comes with this token may have the stream.
    pub fn stream_admits(&self, stream: StreamKey, token: &str) -> bool {
        let session = self.session(stream.session);
        session.is_some_and(|session| session.stream_admits(stream, token))
    }

    /// The stream's socket takes nothing more for now, or takes it again.
    pub fn block_stream(&mut self, stream: StreamKey, is_blocked: bool) -> Result<(), CommandError> {
        let (session, _) = with_context!(self, stream.session, CommandError::UnknownStream);
        session.stream_mut(stream)?.block(is_blocked);
        Ok(())
    }

    /// Answers a request of the application ([`Event::StreamRequest`]): `request_id` is raw JSON, as it came.
    pub fn answer_stream(
        &mut self,
        _now: Time,
        stream: StreamKey,
        answer: Answer<'_>,
    ) -> Result<(), CommandError> {
        let (session, mut context) = with_context!(self, stream.session, CommandError::UnknownStream);
        session.answer_stream(stream, answer, &mut context)?;
        Ok(())
    }

    /// Closes a stream, or tells that its socket has gone. What was queued for playout is dropped.
    pub fn close_stream(&mut self, _now: Time, stream: StreamKey) -> Result<StreamStats, CommandError> {
        let (session, context) = with_context!(self, stream.session, CommandError::UnknownStream);
        session.close_stream(stream, context.outbox)
    }

    /// Plays 8 kHz mono samples to all legs, `repeat` times (at least once).
    pub fn start_playback(
        &mut self,
        _now: Time,
        session: SessionKey,
        samples: Arc<[i16]>,
        repeat: u32,
    ) -> Result<PlaybackKey, CommandError> {
        let (session, _) = with_context!(self, session, CommandError::UnknownSession);
        session.start_playback(None, samples, repeat)
    }

    /// Plays 8 kHz mono samples to this leg alone, also while its output is muted.
    pub fn start_playback_to(
        &mut self,
        _now: Time,
        leg: LegKey,
        samples: Arc<[i16]>,
        repeat: u32,
    ) -> Result<PlaybackKey, CommandError> {
        let (session, _) = with_context!(self, leg.session, CommandError::UnknownSession);
        session.start_playback(Some(leg), samples, repeat)
    }

    /// Stops a playback at once.
    pub fn stop_playback(&mut self, _now: Time, playback: PlaybackKey) -> Result<(), CommandError> {
        let (session, mut context) = with_context!(self, playback.session, CommandError::UnknownPlayback);
        session.stop_playback(playback, &mut context)
    }

    /// Silences a leg, or lets it be heard again.
    pub fn mute_leg(&mut self, _now: Time, leg: LegKey, mute: Mute) -> Result<(), CommandError> {
        let (session, _) = with_context!(self, leg.session, CommandError::UnknownLeg);
        session.mute_leg(leg, mute)
    }

    /// The rate of a session: the highest of what its legs send.
    pub fn session_rate_hz(&self, session: SessionKey) -> Result<u32, CommandError> {
        let session = self.session(session).ok_or(CommandError::UnknownSession)?;
        Ok(session.rate_hz())
    }

    /// Starts a recording: samples for each of its tracks, as [`Destination::Recording`](crate::Destination) says.
    pub fn start_recording(
        &mut self,
        _now: Time,
        session: SessionKey,
        params: RecordingParams,
    ) -> Result<RecordingKey, CommandError> {
        let (session, _) = with_context!(self, session, CommandError::UnknownSession);
        session.start_recording(params)
    }

    /// Stops a recording; all of it is in the outbox now. Returns its length in milliseconds.
    pub fn stop_recording(&mut self, _now: Time, recording: RecordingKey) -> Result<u64, CommandError> {
        let (session, _) = with_context!(self, recording.session, CommandError::UnknownRecording);
        session.stop_recording(recording)
    }

    /// What a session has seen so far.
    pub fn stats(&self, session: SessionKey) -> Result<SessionStats, CommandError> {
        Ok(self.session(session).ok_or(CommandError::UnknownSession)?.stats())
    }

    /// What the engine has seen so far.
    pub fn engine_stats(&self) -> EngineStats {
        EngineStats {
            events_dropped: self.events.dropped,
            transmits_dropped: self.outbox.dropped,
            ..self.stats
        }
    }

    fn session(&self, key: SessionKey) -> Option<&Session> {
        let place = self.places.get(key.index as usize)?;
        place
            .session
            .as_deref()
            .filter(|_| place.generation == key.generation)
    }

    /// Takes one datagram, or one whole message of a stream. What is for nobody, or means nothing, is counted.
    pub fn receive(&mut self, now: Time, source: Source, data: &[u8]) {
        if self.deliver(now, source, data).is_err() {
            self.stats.stale_inputs += 1;
        }
    }

    fn deliver(&mut self, now: Time, source: Source, data: &[u8]) -> Result<(), CommandError> {
        let key = match source {
            Source::Rtp { leg, .. } | Source::Rtcp { leg, .. } => leg.session,
            Source::Stream(stream) | Source::StreamBinary(stream) => stream.session,
        };
        let (session, mut context) = with_context!(unchanged self, key, CommandError::UnknownSession);
        let told = context.events.len();
        let delivered = contain(|| {
            match source {
                Source::Rtp { leg, from } => session.receive_rtp(now, leg, from, data, &mut context)?,
                Source::Rtcp { leg, from } => {
                    session.leg_mut(leg)?.receive_rtcp(now, from, data, &mut context)
                }
                Source::Stream(stream) => {
                    session.receive_message(now, stream, (Form::Text, data), &mut context)?
                }
                Source::StreamBinary(stream) => {
                    session.receive_message(now, stream, (Form::Binary, data), &mut context)?
                }
            }
            Ok(())
        });
        // A message changes the queue. What is told once is kept as told before anybody can hear of it.
        let is_message = matches!(source, Source::Stream(_) | Source::StreamBinary(_));
        if let Some(records) = &mut self.records
            && (is_message || self.events.len() > told)
        {
            records.touch(key.index);
        }
        delivered.unwrap_or_else(|reason| {
            self.failed.push((key.index, reason));
            self.bury_failed();
            Ok(())
        })
    }

    /// Takes out the sessions that have failed. What they had made for this wake-up goes out, what they had begun to
    /// make does not.
    fn bury_failed(&mut self) {
        self.outbox.abandon();
        for (index, reason) in std::mem::take(&mut self.failed) {
            let Some((session, _)) = self.take_out(index) else {
                continue;
            };
            self.stats.failed_sessions += 1;
            self.events.push(Event::SessionFailed { session, reason });
        }
    }

    /// For tests of what a fault in one session does to the others: its next frame panics.
    pub fn break_session(&mut self, session: SessionKey) -> Result<(), CommandError> {
        let (session, _) = with_context!(self, session, CommandError::UnknownSession);
        session.is_broken = true;
        Ok(())
    }

    /// Runs all frames that are due at `now`. Give it what has arrived first, so that late frames find their packets.
    pub fn handle_timeout(&mut self, now: Time) {
        let tick = now.tick();
        if tick <= self.done_tick {
            return;
        }
        // Reserve before sending (invariant 4).
        if let Some(records) = &mut self.records {
            records.reserve(tick);
        }
        let first = (self.done_tick + 1).max(tick.saturating_sub(FRAME_TICKS - 1));
        for due in first..=tick {
            let phase = (due % FRAME_TICKS) as usize;
            for at in 0..self.phases[phase].len() {
                self.run_session(now, self.phases[phase][at]);
            }
        }
        self.done_tick = tick;
        if !self.failed.is_empty() {
            self.bury_failed();
        }
    }

    fn run_session(&mut self, now: Time, index: u32) {
        let Some(session) = self.places[index as usize].session.as_deref_mut() else {
            return;
        };
        let mut context = context!(self);
        let ran = match contain(|| session.run(now, &mut context)) {
            Ok(ran) => ran,
            Err(reason) => {
                self.outbox.abandon();
                return self.failed.push((index, reason));
            }
        };
        if let Some(records) = &mut self.records {
            records.keep(index, session);
        }
        self.stats.frames += ran.frames;
        self.stats.late_frames += ran.late;
        self.stats.skipped_frames += ran.skipped;
    }

    /// When [`Engine::handle_timeout`] is next wanted; `None` when there is no session.
    pub fn next_timeout(&self) -> Option<Time> {
        (self.done_tick + 1..=self.done_tick + FRAME_TICKS)
            .find(|tick| !self.phases[(tick % FRAME_TICKS) as usize].is_empty())
            .map(Time::from_tick)
    }

    /// The next thing to send. Drain it after every other verb and command.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.catch_up();
        self.outbox.take()
    }

    /// The next thing that happened. Drain it after every other verb and command.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.catch_up();
        self.events.pop()
    }
}
