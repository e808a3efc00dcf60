//! Playbacks and recordings: a worker's side of the loader and the recorder.

use std::path::PathBuf;
use std::sync::Arc;

use media::{LegKey, PlaybackKey, RecordingKey, RecordingParams, Time, Track};

use super::legs::no_session;
use super::{Task, Worker};
use crate::command::{Answer, Deferred, Outcome, RecordingFile, Refusal, Reply};
use crate::recorder::{BLOCK_MS, FileId, Finish, MAX_TRACKS, Owner, Plan, Recorder, Shape, SharedAnswer};

/// A playback by name.
pub enum Playback {
    /// Its file is being read.
    Loading {
        serial: u64,
        repeat: u32,
        /// Who alone hears it; `None`: all.
        to: Option<LegKey>,
        reply: Reply,
    },
    /// It plays.
    Playing(PlaybackKey),
}

/// A recording by name.
pub enum Recording {
    /// Its file is being made.
    Opening {
        file: FileId,
        params: RecordingParams,
        reply: Reply,
    },
    /// It records.
    Running(RecordingKey),
}

/// Samples of a recording on their way to the recorder, half a second at a time.
pub struct Buffer {
    file: FileId,
    params: RecordingParams,
    tracks: Vec<TrackBuffer>,
}

/// Samples of one of its tracks; it has the number of its place.
struct TrackBuffer {
    track: Track,
    block: Vec<u8>,
    /// Samples taken so far, of each channel.
    taken: u64,
    /// Silence that stands for blocks the recorder could not take.
    missing: u64,
}

impl Buffer {
    fn new(file: FileId, params: RecordingParams) -> Self {
        Self {
            file,
            params,
            tracks: Vec::new(),
        }
    }

    fn sample_bytes(&self) -> usize {
        2 * self.params.layout.channels()
    }

    fn block_bytes(&self) -> usize {
        self.sample_bytes() * self.params.rate_hz as usize / 1_000 * BLOCK_MS
    }

    /// Take a frame of one track; hand a full block over. `name` is asked for when a leg is new.
    pub fn append(
        &mut self,
        recorder: &Recorder,
        track: Track,
        samples: &[u8],
        name: impl FnOnce(LegKey) -> String,
    ) {
        let found = self.tracks.iter().position(|other| other.track == track);
        let Some(at) = found.or_else(|| self.begin(recorder, track, samples, name)) else {
            return;
        };
        let (block_bytes, sample_bytes) = (self.block_bytes(), self.sample_bytes());
        let buffer = &mut self.tracks[at];
        buffer.taken += (samples.len() / sample_bytes) as u64;
        buffer.block.extend_from_slice(samples);
        if buffer.block.len() >= block_bytes {
            self.hand_over(recorder, at, Vec::with_capacity(block_bytes));
        }
    }

    /// A track that has not been there; `None` when there are too many, which the recorder tells.
    fn begin(
        &mut self,
        recorder: &Recorder,
        track: Track,
        samples: &[u8],
        name: impl FnOnce(LegKey) -> String,
    ) -> Option<usize> {
        let at = self.tracks.len();
        if at > MAX_TRACKS {
            return None;
        }
        if let Track::Leg(leg) = track {
            // The track of the streams has this frame already.
            let frame = (samples.len() / self.sample_bytes()) as u64;
            let lead = self.tracks[0].taken.saturating_sub(frame);
            recorder.add_track(self.file, name(leg), lead);
        }
        self.tracks.push(TrackBuffer {
            track,
            block: Vec::with_capacity(self.block_bytes()),
            taken: 0,
            missing: 0,
        });
        (at < MAX_TRACKS).then_some(at)
    }

    fn hand_over(&mut self, recorder: &Recorder, at: usize, next: Vec<u8>) {
        let sample_bytes = self.sample_bytes();
        let buffer = &mut self.tracks[at];
        let block = std::mem::replace(&mut buffer.block, next);
        let samples = (block.len() / sample_bytes) as u64;
        if recorder.write(self.file, at, buffer.missing, block) {
            buffer.missing = 0;
        } else {
            buffer.missing += samples;
        }
    }

    fn finish(mut self, recorder: &Recorder, finish: Finish) {
        for at in 0..self.tracks.len() {
            self.hand_over(recorder, at, Vec::new());
        }
        let missing = self.tracks.iter().map(|buffer| buffer.missing).collect();
        recorder.finish(self.file, missing, finish);
    }
}

impl Worker<'_> {
    pub(super) fn start_playback(
        &mut self,
        session: String,
        playback: String,
        path: PathBuf,
        (repeat, leg): (u32, Option<String>),
        reply: Reply,
    ) {
        let serial = self.new_serial();
        let entry = match self.sessions.get_mut(&session) {
            None => return reply.send(Err(no_session())),
            Some(entry) if entry.playbacks.contains_key(&playback) => {
                return reply.send(Err(exists("playback", &playback)));
            }
            Some(entry) => entry,
        };
        let to = match leg.map(|leg| entry.legs.get(&leg).map(|index| self.legs[*index as usize].key)) {
            Some(None) => return reply.send(Err(media::CommandError::UnknownLeg.into())),
            Some(to) => to,
            None => None,
        };
        let mailbox = self.shell.mailbox.clone();
        let (of_session, name) = (session, playback.clone());
        let loading = self.shell.services.loader.load(path, move |loaded| {
            mailbox.post(Task::Loaded {
                session: of_session,
                playback: name,
                serial,
                loaded,
            });
        });
        match loading {
            Ok(()) => drop(entry.playbacks.insert(
                playback,
                Playback::Loading {
                    serial,
                    repeat,
                    to,
                    reply,
                },
            )),
            Err(why) => reply.send(Err(Refusal::new("limit_reached", why))),
        }
    }

    pub(super) fn playback_loaded(
        &mut self,
        now: Time,
        session: &str,
        playback: &str,
        serial: u64,
        loaded: Result<Arc<[i16]>, String>,
    ) {
        let Some(entry) = self.sessions.get_mut(session) else {
            return;
        };
        // Stopped, or stopped and started again, while the file was read: that load is nobody's.
        if !matches!(entry.playbacks.get(playback), Some(Playback::Loading { serial: waiting, .. }) if *waiting == serial)
        {
            return;
        }
        let Some(Playback::Loading {
            repeat, to, reply, ..
        }) = entry.playbacks.remove(playback)
        else {
            return;
        };
        let key = entry.key;
        let outcome = loaded
            .map_err(|why| Refusal::new("bad_file", why))
            .and_then(|samples| {
                let duration_ms = (samples.len() / media::SAMPLES_PER_MS) as u64;
                let key = match to {
                    Some(leg) => self.engine.start_playback_to(now, leg, samples, repeat)?,
                    None => self.engine.start_playback(now, key, samples, repeat)?,
                };
                entry
                    .playbacks
                    .insert(playback.to_string(), Playback::Playing(key));
                self.playback_of
                    .insert(key, (session.to_string(), playback.to_string()));
                Ok(Answer::PlaybackStarted { duration_ms })
            });
        reply.send(outcome);
    }

    pub(super) fn stop_playback(&mut self, now: Time, session: &str, playback: &str) -> Outcome {
        let entry = self.sessions.get_mut(session).ok_or_else(no_session)?;
        match entry.playbacks.remove(playback) {
            None => return Err(media::CommandError::UnknownPlayback.into()),
            Some(Playback::Loading { reply, .. }) => reply.send(Err(ended_early("playback"))),
            Some(Playback::Playing(key)) => {
                self.engine.stop_playback(now, key)?;
                self.relay(now);
            }
        }
        Ok(Answer::Done)
    }

    pub(super) fn start_recording(
        &mut self,
        session: String,
        recording: String,
        file: RecordingFile,
        reply: Reply,
    ) {
        let entry = match self.sessions.get_mut(&session) {
            None => return reply.send(Err(no_session())),
            Some(entry) if entry.recordings.contains_key(&recording) => {
                return reply.send(Err(exists("recording", &recording)));
            }
            Some(entry) => entry,
        };
        let rate_hz = match self.engine.session_rate_hz(entry.key) {
            Ok(session_hz) => file.rate_hz.unwrap_or_else(|| recording_rate_hz(session_hz)),
            Err(error) => return reply.send(Err(error.into())),
        };
        let params = RecordingParams {
            layout: file.layout,
            rate_hz,
        };
        let plan = Plan {
            path: file.path,
            layout: file.layout,
            shape: Shape {
                format: file.format,
                channels: file.layout.channels() as u8,
                rate_hz,
                data_key: file.data_key,
            },
        };
        let mailbox = self.shell.mailbox.clone();
        let owner = Owner {
            worker: self.shell.number,
            session,
            recording: recording.clone(),
        };
        let (of_session, name) = (owner.session.clone(), recording.clone());
        let file = self
            .shell
            .services
            .recorder
            .open(owner, plan, move |file, opened| {
                mailbox.post(Task::FileOpened {
                    session: of_session,
                    recording: name,
                    file,
                    opened,
                });
            });
        entry
            .recordings
            .insert(recording, Recording::Opening { file, params, reply });
    }

    pub(super) fn recording_opened(
        &mut self,
        now: Time,
        session: &str,
        recording: &str,
        file: FileId,
        opened: Result<(), String>,
    ) {
        let recorder = &self.shell.services.recorder;
        let entry = self.sessions.get_mut(session);
        let waiting = entry.and_then(|entry| match entry.recordings.remove(recording) {
            Some(Recording::Opening {
                file: waiting,
                params,
                reply,
            }) if waiting == file => Some((entry, params, reply)),
            Some(other) => {
                entry.recordings.insert(recording.to_string(), other);
                None
            }
            None => None,
        });
        // Stopped while the file was made: that file is nobody's.
        let Some((entry, params, reply)) = waiting else {
            return recorder.discard(file);
        };
        let outcome = opened
            .map_err(|why| Refusal::new("bad_file", why))
            .and_then(|()| {
                let key = self
                    .engine
                    .start_recording(now, entry.key, params)
                    .inspect_err(|_| recorder.discard(file))?;
                entry
                    .recordings
                    .insert(recording.to_string(), Recording::Running(key));
                self.recording_of.insert(key, Buffer::new(file, params));
                Ok(Answer::Done)
            });
        reply.send(outcome);
    }

    pub(super) fn stop_recording(&mut self, now: Time, session: &str, recording: &str, reply: Reply) {
        let Some(entry) = self.sessions.get_mut(session) else {
            return reply.send(Err(no_session()));
        };
        match entry.recordings.remove(recording) {
            None => reply.send(Err(media::CommandError::UnknownRecording.into())),
            Some(Recording::Opening { reply: opening, .. }) => {
                opening.send(Err(ended_early("recording")));
                reply.send(Err(media::CommandError::UnknownRecording.into()));
            }
            Some(Recording::Running(key)) => {
                let stopped = self.engine.stop_recording(now, key);
                self.relay(now);
                match (stopped, self.recording_of.remove(&key)) {
                    (Ok(_), Some(buffer)) => {
                        let finish = Finish {
                            reply: Some(reply),
                            after: None,
                        };
                        buffer.finish(&self.shell.services.recorder, finish);
                    }
                    _ => reply.send(Err(media::CommandError::UnknownRecording.into())),
                }
            }
        }
    }

    /// The session of this recording has closed, and the engine has given all of it. `after` is let go of when the file
    /// is complete.
    pub(super) fn finish_recording(&mut self, recording: Recording, after: &SharedAnswer) {
        match recording {
            Recording::Opening { reply, .. } => reply.send(Err(ended_early("recording"))),
            Recording::Running(key) => {
                if let Some(buffer) = self.recording_of.remove(&key) {
                    let finish = Finish {
                        reply: None,
                        after: Some(after.clone()),
                    };
                    buffer.finish(&self.shell.services.recorder, finish);
                }
            }
        }
    }
}

/// The rate of a recording whose rate nobody chose: the session's, or the next above it that a recording may have.
fn recording_rate_hz(session_hz: u32) -> u32 {
    let rates = media::session::RECORDING_RATES_HZ;
    rates
        .into_iter()
        .find(|rate| *rate >= session_hz)
        .unwrap_or(media::MAX_RATE_HZ)
}

/// An answer that waits for the recordings of a closing session.
pub fn after_recordings(reply: Reply, outcome: Outcome) -> SharedAnswer {
    SharedAnswer::new(Deferred::new(reply, outcome).into())
}

pub fn exists(what: &str, name: &str) -> Refusal {
    Refusal::new("already_exists", format!("the session has a {what} {name}"))
}

pub fn ended_early(what: &str) -> Refusal {
    Refusal::new("bad_request", format!("the {what} was stopped before it began"))
}
