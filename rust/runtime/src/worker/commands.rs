//! Commands: what each does to the engine, to the tables and to the sockets.

use std::collections::HashMap;

use media::dtmf::SendDigits;
use media::stream::dialect::Answer as StreamAnswer;
use media::{Detect, Label, LegKey, LegRemote, Mute, SessionKey, Time, vad};

use super::files::{after_recordings, ended_early};
use super::legs::no_session;
use super::{Playback, Session, Worker};
use crate::command::{Action, Answer, Command, Family, Outcome, Refusal, Reply, SessionReport, Vad};
use crate::event::{CloseCause, CloseReason, Event};
use crate::websocket::close_code;

impl Worker<'_> {
    pub(super) fn execute(&mut self, now: Time, command: Command, reply: Reply) {
        let Command { session, action } = command;
        if self.shell.is_shutting_down {
            return reply.send(Err(Refusal::new(
                "shutting_down",
                "the media server is shutting down",
            )));
        }
        let outcome = match action {
            Action::OpenLeg { leg, family, label } => {
                self.open_leg_and_session(now, &session, leg, family, label)
            }
            Action::ConnectLeg {
                leg,
                remote,
                quality_interval_ms,
            } => self.connect_leg(now, &session, &leg, remote, quality_interval_ms),
            Action::SendDigits { leg, digits } => self.send_digits(now, &session, &leg, &digits),
            Action::Detect {
                leg,
                inband_dtmf,
                vad,
            } => self.detect(now, &session, &leg, inband_dtmf, vad),
            Action::MuteLeg { leg, mute } => self.mute_leg(now, &session, &leg, mute),
            Action::CloseLeg { leg } => self.close_leg(now, &session, &leg),
            Action::SessionStats => self
                .session_stats(&session)
                .map(|report| Answer::Session(Box::new(report))),
            Action::BreakSession => self.break_session(&session),
            Action::OpenStream { stream, dial, params } => {
                self.open_stream(now, &session, stream, dial, params)
            }
            Action::SetWays { stream, ways } => self.set_ways(&session, &stream, ways),
            Action::AnswerStream {
                stream,
                request_id,
                error,
                fields,
            } => {
                let error = error.as_ref().map(|(code, words)| (&**code, &**words));
                let answer = StreamAnswer {
                    request_id: request_id.as_deref(),
                    error,
                    fields: &fields,
                };
                self.answer_stream(now, &session, &stream, answer)
            }
            Action::CloseStream { stream } => self.close_stream_by_name(now, &session, &stream),
            Action::StopPlayback { playback } => self.stop_playback(now, &session, &playback),
            Action::CloseSession => return self.close_session(now, &session, close_code::NORMAL, reply),
            Action::StartPlayback {
                playback,
                path,
                repeat,
                leg,
            } => {
                let how = (repeat, leg);
                return self.start_playback(session, playback, path, how, reply);
            }
            Action::StartRecording { recording, file } => {
                return self.start_recording(session, recording, file, reply);
            }
            Action::StopRecording { recording } => {
                return self.stop_recording(now, &session, &recording, reply);
            }
        };
        reply.send(outcome);
    }

    fn open_leg_and_session(
        &mut self,
        now: Time,
        session: &str,
        leg: String,
        family: Option<Family>,
        label: Label,
    ) -> Outcome {
        let is_new = !self.sessions.contains_key(session);
        let outcome = self
            .ensure_session(now, session)
            .and_then(|()| self.open_leg(now, session, leg, family, label));
        if outcome.is_err() && is_new {
            if let Some(entry) = self.sessions.remove(session) {
                let _ = self.engine.close_session(now, entry.key);
                self.relay(now);
            }
            self.shell.services.placement.remove(session);
        }
        outcome
    }

    fn ensure_session(&mut self, now: Time, session: &str) -> Result<(), Refusal> {
        if self.sessions.contains_key(session) {
            return Ok(());
        }
        let key = self.engine.open_session(now)?;
        let entry = Session {
            key,
            legs: HashMap::new(),
            streams: HashMap::new(),
            playbacks: HashMap::new(),
            recordings: HashMap::new(),
        };
        self.sessions.insert(session.to_string(), entry);
        self.shell.services.placement.confirm(session, self.shell.number);
        Ok(())
    }

    fn connect_leg(
        &mut self,
        now: Time,
        session: &str,
        leg: &str,
        remote: LegRemote,
        quality_interval_ms: u64,
    ) -> Outcome {
        let key = self.leg_key(session, leg)?;
        self.engine.report_quality(now, key, quality_interval_ms)?;
        self.engine.connect_leg(now, key, remote)?;
        Ok(Answer::Done)
    }

    fn send_digits(&mut self, now: Time, session: &str, leg: &str, digits: &SendDigits) -> Outcome {
        let key = self.leg_key(session, leg)?;
        self.engine.send_digits(now, key, digits)?;
        Ok(Answer::Done)
    }

    fn detect(&mut self, now: Time, session: &str, leg: &str, inband_dtmf: bool, vad: Vad) -> Outcome {
        let key = self.leg_key(session, leg)?;
        let vad = match (vad, &self.shell.services.silero) {
            (Vad::Off, _) => vad::Kind::Off,
            (Vad::Energy, _) => vad::Kind::Energy,
            (Vad::Silero, Some(model)) => vad::Kind::Silero(model.clone()),
            (Vad::Silero, None) => {
                return Err(Refusal::new(
                    "no_weights",
                    "the media server was started without --silero-weights; the energy detector needs none",
                ));
            }
        };
        self.engine.detect(now, key, Detect { inband_dtmf, vad })?;
        Ok(Answer::Done)
    }

    fn leg_key(&self, session: &str, leg: &str) -> Result<LegKey, Refusal> {
        let entry = self.sessions.get(session).ok_or_else(no_session)?;
        let index = entry.legs.get(leg).ok_or(media::CommandError::UnknownLeg)?;
        Ok(self.legs[*index as usize].key)
    }

    fn mute_leg(&mut self, now: Time, session: &str, leg: &str, mute: Mute) -> Outcome {
        let entry = self.sessions.get(session).ok_or_else(no_session)?;
        let index = entry.legs.get(leg).ok_or(media::CommandError::UnknownLeg)?;
        self.engine.mute_leg(now, self.legs[*index as usize].key, mute)?;
        Ok(Answer::Done)
    }

    /// Close one leg: its far end is told by RTCP, and its ports go to rest. The session stays, be it without any.
    fn close_leg(&mut self, now: Time, session: &str, leg: &str) -> Outcome {
        let entry = self.sessions.get_mut(session).ok_or_else(no_session)?;
        let index = entry.legs.remove(leg).ok_or(media::CommandError::UnknownLeg)?;
        let stats = self.engine.close_leg(now, self.legs[index as usize].key);
        self.relay(now);
        self.remove_leg(index);
        Ok(Answer::Leg(Box::new(stats?)))
    }

    fn session_stats(&self, session: &str) -> Result<SessionReport, Refusal> {
        let entry = self.sessions.get(session).ok_or_else(no_session)?;
        let stats = self.engine.stats(entry.key)?;
        Ok(self.name_stats(stats))
    }

    /// The engine's account with names instead of keys.
    fn name_stats(&self, mut stats: media::SessionStats) -> SessionReport {
        let legs = std::mem::take(&mut stats.legs)
            .into_iter()
            .filter_map(|(key, stats)| {
                let index = self.leg_of.get(&key)?;
                Some((self.legs[*index as usize].name.clone(), stats))
            });
        let streams = std::mem::take(&mut stats.streams)
            .into_iter()
            .filter_map(|(key, stats)| {
                let stream = &self.streams[*self.stream_of.get(&key)? as usize];
                Some((stream.name.clone(), stream.report(stats)))
            });
        SessionReport {
            legs: legs.collect(),
            streams: streams.collect(),
            stats,
        }
    }

    pub(super) fn stream_index(&self, session: &str, stream: &str) -> Result<u32, Refusal> {
        let entry = self.sessions.get(session).ok_or_else(no_session)?;
        let index = entry.streams.get(stream).copied();
        index.ok_or_else(|| media::CommandError::UnknownStream.into())
    }

    fn answer_stream(&mut self, now: Time, session: &str, stream: &str, answer: StreamAnswer<'_>) -> Outcome {
        let index = self.stream_index(session, stream)?;
        let found = self.streams.get(index as usize).map(|stream| stream.key);
        let key = found.ok_or(media::CommandError::UnknownStream)?;
        self.engine.answer_stream(now, key, answer)?;
        Ok(Answer::Done)
    }

    fn close_stream_by_name(&mut self, now: Time, session: &str, stream: &str) -> Outcome {
        let index = self.stream_index(session, stream)?;
        let report = self.close_by_control(now, index, close_code::NORMAL);
        report
            .map(Answer::Stream)
            .ok_or_else(|| media::CommandError::UnknownStream.into())
    }

    /// Close a session: what it has seen is taken first, then its parts go in the order in which they depend on each
    /// other. The answer follows the events, those of its recordings included.
    fn close_session(&mut self, now: Time, session: &str, code: u16, reply: Reply) {
        let report = match self.session_stats(session) {
            Ok(report) => report,
            Err(refusal) => return reply.send(Err(refusal)),
        };
        let streams: Vec<u32> = self.sessions[session].streams.values().copied().collect();
        for index in streams {
            self.close_by_control(now, index, code);
        }
        let key = self.sessions[session].key;
        if let Err(error) = self.engine.close_session(now, key) {
            tracing::error!(%error, "the engine does not know a session of its own");
        }
        self.relay(now);
        self.release(session, reply, Ok(Answer::Session(Box::new(report))));
    }

    fn break_session(&mut self, session: &str) -> Outcome {
        let entry = self.sessions.get(session).ok_or_else(no_session)?;
        self.engine.break_session(entry.key)?;
        Ok(Answer::Done)
    }

    /// The engine has lost a session to a fault: close all that belongs to it, and tell.
    pub(super) fn session_failed(&mut self, now: Time, key: SessionKey, reason: String) {
        let named = self.sessions.iter().find(|(_, entry)| entry.key == key);
        let Some((name, entry)) = named else { return };
        tracing::error!(session = name, reason, "a session failed and is closed");
        let (name, streams): (String, Vec<u32>) = (name.clone(), entry.streams.values().copied().collect());
        for index in streams {
            let cause = CloseCause {
                reason: CloseReason::SessionFailed,
                code: Some(close_code::INTERNAL_ERROR),
                detail: None,
            };
            self.fail(now, index, cause, Some(close_code::INTERNAL_ERROR));
        }
        self.tell(&name, Event::SessionFailed { reason });
        self.release(&name, Reply::new(drop), Ok(Answer::Done));
    }

    /// Let go of what the engine does not know any more. The answer follows the recordings.
    fn release(&mut self, session: &str, reply: Reply, outcome: Outcome) {
        let Some(entry) = self.sessions.remove(session) else {
            return;
        };
        for playback in entry.playbacks.into_values() {
            match playback {
                Playback::Loading { reply, .. } => reply.send(Err(ended_early("playback"))),
                Playback::Playing(key) => drop(self.playback_of.remove(&key)),
            }
        }
        for index in entry.legs.into_values() {
            self.remove_leg(index);
        }
        let answer = after_recordings(reply, outcome);
        for recording in entry.recordings.into_values() {
            self.finish_recording(recording, &answer);
        }
        self.shell.services.placement.remove(session);
    }

    /// Close all sessions with 1001; the worker ends when the last socket has.
    pub(super) fn shut_down(&mut self, now: Time) {
        self.shell.is_shutting_down = true;
        let sessions: Vec<String> = self.sessions.keys().cloned().collect();
        for session in sessions {
            self.close_session(now, &session, close_code::GOING_AWAY, Reply::new(drop));
        }
    }
}
