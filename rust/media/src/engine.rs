//! The engine: all sessions of one worker, the wheel that says which are due, and the five verbs.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::{EngineConfig, LegRemote, StreamParams};
use crate::error::CommandError;
use crate::event::Event;
use crate::key::{LegKey, PlaybackKey, RecordingKey, SessionKey, StreamKey};
use crate::outbox::Outbox;
use crate::stats::{EngineStats, LegStats, SessionStats, StreamStats};
use crate::time::Time;
use crate::{Source, Transmit};

/// All sessions of one worker.
pub struct Engine {
    config: EngineConfig,
    outbox: Outbox,
    events: VecDeque<Event>,
}

impl Engine {
    /// An engine without sessions.
    pub fn new(config: EngineConfig) -> Engine {
        Engine {
            config,
            outbox: Outbox::default(),
            events: VecDeque::new(),
        }
    }

    /// Opens a session; its frames are due every 20 ms from `now` on.
    pub fn open_session(&mut self, _now: Time) -> Result<SessionKey, CommandError> {
        let _ = self.config.limits;
        Err(CommandError::LimitReached("sessions"))
    }

    /// Closes a session with all that belongs to it: legs say BYE by RTCP, playbacks stop, recordings give what they have.
    pub fn close_session(&mut self, _now: Time, _session: SessionKey) -> Result<SessionStats, CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Opens a leg; it neither sends nor listens until it is connected.
    pub fn open_leg(&mut self, _now: Time, _session: SessionKey) -> Result<LegKey, CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// The SSRC a leg sends with.
    pub fn leg_ssrc(&self, _leg: LegKey) -> Result<u32, CommandError> {
        Err(CommandError::UnknownLeg)
    }

    /// Tells a leg its far end; again after every re-INVITE.
    pub fn connect_leg(&mut self, _now: Time, _leg: LegKey, _remote: LegRemote) -> Result<(), CommandError> {
        Err(CommandError::UnknownLeg)
    }

    /// Closes a leg: an RTCP BYE is left in the outbox.
    pub fn close_leg(&mut self, _now: Time, _leg: LegKey) -> Result<LegStats, CommandError> {
        Err(CommandError::UnknownLeg)
    }

    /// Opens a stream; nothing is made for it until [`Engine::stream_connected`].
    pub fn open_stream(
        &mut self,
        _now: Time,
        _session: SessionKey,
        _params: StreamParams,
    ) -> Result<StreamKey, CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// The stream's socket is there: `start` is made, then a message for every chunk of audio.
    pub fn stream_connected(&mut self, _now: Time, _stream: StreamKey) -> Result<(), CommandError> {
        Err(CommandError::UnknownStream)
    }

    /// Closes a stream, or tells that its socket has gone. What was queued for playout is dropped.
    pub fn close_stream(&mut self, _now: Time, _stream: StreamKey) -> Result<StreamStats, CommandError> {
        Err(CommandError::UnknownStream)
    }

    /// Plays 8 kHz mono samples to the leg, `repeat` times (at least once).
    pub fn start_playback(
        &mut self,
        _now: Time,
        _session: SessionKey,
        _samples: Arc<[i16]>,
        _repeat: u32,
    ) -> Result<PlaybackKey, CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Stops a playback at once.
    pub fn stop_playback(&mut self, _now: Time, _playback: PlaybackKey) -> Result<(), CommandError> {
        Err(CommandError::UnknownPlayback)
    }

    /// Starts a recording: stereo s16le at 8 kHz, left what the leg said, right what it was sent.
    pub fn start_recording(
        &mut self,
        _now: Time,
        _session: SessionKey,
    ) -> Result<RecordingKey, CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Stops a recording; all of it is in the outbox now. Returns its length in milliseconds.
    pub fn stop_recording(&mut self, _now: Time, _recording: RecordingKey) -> Result<u64, CommandError> {
        Err(CommandError::UnknownRecording)
    }

    /// What a session has seen so far.
    pub fn stats(&self, _session: SessionKey) -> Result<SessionStats, CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// What the engine has seen so far.
    pub fn engine_stats(&self) -> EngineStats {
        let _ = self.outbox.dropped;
        EngineStats::default()
    }

    /// Takes one datagram, or one whole text message of a stream.
    pub fn receive(&mut self, _now: Time, _source: Source, _data: &[u8]) {
        let _ = (self.outbox.writer().len(), Outbox::commit);
    }

    /// Runs all frames that are due at `now`.
    pub fn handle_timeout(&mut self, _now: Time) {}

    /// When [`Engine::handle_timeout`] is next wanted; `None` when there is no session.
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }

    /// The next thing to send. Drain it after every other verb and command.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.outbox.take()
    }

    /// The next thing that happened. Drain it after every other verb and command.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
