//! Playbacks and recordings: a worker's side of the loader and the recorder.

use std::path::PathBuf;
use std::sync::Arc;

use media::{PlaybackKey, RecordingKey, Time};

use super::legs::no_session;
use super::{Task, Worker};
use crate::command::{Answer, Deferred, Outcome, Refusal, Reply};
use crate::recorder::{BLOCK_BYTES, FileId, Finish, Owner, Recorder, SharedAnswer};

/// A playback by name.
pub enum Playback {
    /// Its file is being read.
    Loading { serial: u64, repeat: u32, reply: Reply },
    /// It plays.
    Playing(PlaybackKey),
}

/// A recording by name.
pub enum Recording {
    /// Its file is being made.
    Opening { file: FileId, reply: Reply },
    /// It records.
    Running(RecordingKey),
}

/// Samples of a recording on their way to the recorder, half a second at a time.
pub struct Buffer {
    file: FileId,
    block: Vec<u8>,
    /// Silence that stands for blocks the recorder could not take.
    silence_bytes: u64,
}

impl Buffer {
    fn new(file: FileId) -> Self {
        Self {
            file,
            block: Vec::with_capacity(BLOCK_BYTES),
            silence_bytes: 0,
        }
    }

    /// Take samples; hand a full block over.
    pub fn append(&mut self, recorder: &Recorder, samples: &[u8]) {
        self.block.extend_from_slice(samples);
        if self.block.len() >= BLOCK_BYTES {
            self.hand_over(recorder, Vec::with_capacity(BLOCK_BYTES));
        }
    }

    fn hand_over(&mut self, recorder: &Recorder, next: Vec<u8>) {
        let block = std::mem::replace(&mut self.block, next);
        let length = block.len() as u64;
        if recorder.write(self.file, self.silence_bytes, block) {
            self.silence_bytes = 0;
        } else {
            self.silence_bytes += length;
        }
    }

    fn finish(mut self, recorder: &Recorder, finish: Finish) {
        self.hand_over(recorder, Vec::new());
        recorder.finish(self.file, self.silence_bytes, finish);
    }
}

impl Worker<'_> {
    pub(super) fn start_playback(
        &mut self,
        session: String,
        playback: String,
        path: PathBuf,
        repeat: u32,
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
        let Some(Playback::Loading { repeat, reply, .. }) = entry.playbacks.remove(playback) else {
            return;
        };
        let key = entry.key;
        let outcome = loaded
            .map_err(|why| Refusal::new("bad_file", why))
            .and_then(|samples| {
                let duration_ms = (samples.len() / media::SAMPLES_PER_MS) as u64;
                let key = self.engine.start_playback(now, key, samples, repeat)?;
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
        path: PathBuf,
        reply: Reply,
    ) {
        let entry = match self.sessions.get_mut(&session) {
            None => return reply.send(Err(no_session())),
            Some(entry) if entry.recordings.contains_key(&recording) => {
                return reply.send(Err(exists("recording", &recording)));
            }
            Some(entry) => entry,
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
            .open(owner, path, move |file, opened| {
                mailbox.post(Task::FileOpened {
                    session: of_session,
                    recording: name,
                    file,
                    opened,
                });
            });
        entry
            .recordings
            .insert(recording, Recording::Opening { file, reply });
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
            Some(Recording::Opening { file: waiting, reply }) if waiting == file => Some((entry, reply)),
            Some(other) => {
                entry.recordings.insert(recording.to_string(), other);
                None
            }
            None => None,
        });
        // Stopped while the file was made: that file is nobody's.
        let Some((entry, reply)) = waiting else {
            return recorder.discard(file);
        };
        let outcome = opened
            .map_err(|why| Refusal::new("bad_file", why))
            .and_then(|()| {
                let key = self
                    .engine
                    .start_recording(now, entry.key)
                    .inspect_err(|_| recorder.discard(file))?;
                entry
                    .recordings
                    .insert(recording.to_string(), Recording::Running(key));
                self.recording_of.insert(key, Buffer::new(file));
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
