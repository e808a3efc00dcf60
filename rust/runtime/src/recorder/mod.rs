//! The recorder: one thread that writes the files of all recordings, so that a slow disk never delays audio.
//!
//! A worker hands over half a second of samples at a time and never waits. What may wait is bounded in bytes; a block
//! over the bound is dropped, counted, and becomes silence of the same length, so that the recording keeps its time.
//! After every block a file is whole: it is playable at any moment, whatever becomes of the process.

mod opus_sound;
mod output;
mod recording;
pub mod seal;
mod track;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::clock;
use crate::command::{Answer, Deferred, Layout, Reply};
use crate::event::{Event, Notice, Observer};
use recording::Recording;
pub use track::Shape;

/// Samples a worker gathers before it hands them over, in milliseconds.
pub const BLOCK_MS: usize = 500;
/// Blocks of all recordings that may wait for the disk. Rule when full: the block is dropped and becomes silence.
const MAX_WAITING_BYTES: usize = 16 << 20;
/// Files of one recording. Rule: what a further party says is not recorded, and the report says so.
pub const MAX_TRACKS: usize = 32;

/// Names a recording while its files are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(u64);

/// Who asked for a recording.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its worker.
    pub worker: usize,
    /// Its session's name.
    pub session: String,
    /// Its own name.
    pub recording: String,
}

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file; of several, what their names are made of.
    pub path: PathBuf,
    /// Who is in which channel or file.
    pub layout: Layout,
    /// What each file is made of.
    pub shape: Shape,
}

/// What to tell when a recording is complete.
#[derive(Default)]
pub struct Finish {
    /// Answer this with the report.
    pub reply: Option<Reply>,
    /// Let go of this afterwards.
    pub after: Option<SharedAnswer>,
}

/// An answer that several recordings hold back; the mutex only makes it fit to be shared.
pub type SharedAnswer = Arc<Mutex<Deferred>>;

type Opened = Box<dyn FnOnce(Result<(), String>) + Send>;

enum Job {
    Open {
        id: FileId,
        owner: Owner,
        plan: Plan,
        then: Opened,
    },
    AddTrack {
        id: FileId,
        name: String,
        lead: u64,
    },
    Write {
        id: FileId,
        track: usize,
        silence: u64,
        samples: Vec<u8>,
    },
    Finish {
        id: FileId,
        silence: Vec<u64>,
        finish: Finish,
    },
    Discard {
        id: FileId,
    },
    Abandon {
        worker: usize,
    },
}

/// A handle to the recorder's thread; it ends with the last handle, all files complete.
#[derive(Clone)]
pub struct Recorder {
    jobs: Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    next_id: AtomicU64,
}

impl Recorder {
    /// Start the thread.
    pub fn start(observer: Arc<dyn Observer>) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs, receiver) = channel();
        let shared = Arc::new(Shared::default());
        let mut writer = Writer {
            recordings: HashMap::new(),
            observer,
            shared: shared.clone(),
        };
        let thread = thread::Builder::new()
            .name("recorder".into())
            .spawn(move || writer.run(&receiver))?;
        Ok((Self { jobs, shared }, thread))
    }

    /// Create the file, or the first of several: its track has the number 0. `then` is told, on the recorder's thread,
    /// whether that worked.
    pub fn open(
        &self,
        owner: Owner,
        plan: Plan,
        then: impl FnOnce(FileId, Result<(), String>) + Send + 'static,
    ) -> FileId {
        let id = FileId(self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        self.send(Job::Open {
            id,
            owner,
            plan,
            then: Box::new(move |opened| then(id, opened)),
        });
        id
    }

    /// Create the file of one more party; its track has the next number. It begins with as many samples of silence as the
    /// recording has had without it.
    pub fn add_track(&self, id: FileId, name: String, lead: u64) {
        self.send(Job::AddTrack { id, name, lead });
    }

    /// Hand over samples, after as many samples of silence for what was dropped before. False: too much waits, and
    /// these are dropped as well.
    #[must_use]
    pub fn write(&self, id: FileId, track: usize, silence: u64, samples: Vec<u8>) -> bool {
        if self.shared.waiting_bytes.load(Ordering::Relaxed) + samples.len() > MAX_WAITING_BYTES {
            return false;
        }
        self.shared
            .waiting_bytes
            .fetch_add(samples.len(), Ordering::Relaxed);
        self.send(Job::Write {
            id,
            track,
            silence,
            samples,
        });
        true
    }

    /// Complete all files of a recording, each after as many samples of silence, and tell.
    pub fn finish(&self, id: FileId, silence: Vec<u64>, finish: Finish) {
        self.send(Job::Finish { id, silence, finish });
    }

    /// Remove a file that never became a recording.
    pub fn discard(&self, id: FileId) {
        self.send(Job::Discard { id });
    }

    /// Complete all files of a worker that died.
    pub fn abandon(&self, worker: usize) {
        self.send(Job::Abandon { worker });
    }

    /// The receiver lives as long as any handle: sending fails only after the thread panicked, which loses the job.
    fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            tracing::error!("the recorder has ended: a recording is lost");
        }
    }
}

struct Writer {
    recordings: HashMap<FileId, Recording>,
    observer: Arc<dyn Observer>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(&mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            self.perform(job);
        }
        for id in self.ids(|_| true) {
            self.finish(id, &[], Finish::default());
        }
    }

    fn ids(&self, is_wanted: impl Fn(&Recording) -> bool) -> Vec<FileId> {
        self.recordings
            .iter()
            .filter(|(_, recording)| is_wanted(recording))
            .map(|(id, _)| *id)
            .collect()
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Open {
                id,
                owner,
                plan,
                then,
            } => match Recording::create(owner, plan) {
                Ok(recording) => {
                    self.recordings.insert(id, recording);
                    then(Ok(()));
                }
                Err(error) => then(Err(error)),
            },
            Job::AddTrack { id, name, lead } => {
                if let Some(recording) = self.recordings.get_mut(&id) {
                    recording.add_track(name, lead);
                }
            }
            Job::Write {
                id,
                track,
                silence,
                samples,
            } => {
                self.shared
                    .waiting_bytes
                    .fetch_sub(samples.len(), Ordering::Relaxed);
                if let Some(recording) = self.recordings.get_mut(&id) {
                    recording.append(track, silence, &samples);
                }
            }
            Job::Finish { id, silence, finish } => self.finish(id, &silence, finish),
            Job::Discard { id } => {
                if let Some(recording) = self.recordings.remove(&id) {
                    recording.remove_files();
                }
            }
            Job::Abandon { worker } => {
                for id in self.ids(|recording| recording.owner.worker == worker) {
                    if let Some(recording) = self.recordings.get_mut(&id) {
                        recording.fail("the worker died");
                    }
                    self.finish(id, &[], Finish::default());
                }
            }
        }
    }

    fn finish(&mut self, id: FileId, silence: &[u64], finish: Finish) {
        let Some(mut recording) = self.recordings.remove(&id) else {
            return;
        };
        for (track, silence) in silence.iter().enumerate() {
            recording.append(track, *silence, &[]);
        }
        let owner = recording.owner.clone();
        let report = recording.finish();
        self.observer.notice(Notice {
            session: owner.session,
            at: clock::unix_seconds(),
            event: Event::RecordingFinished {
                recording: owner.recording,
                report: report.clone(),
            },
        });
        if let Some(reply) = finish.reply {
            reply.send(Ok(Answer::RecordingStopped(report)));
        }
        drop(finish.after);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::sync_channel;

    use media::wav;

    use super::*;
    use crate::command::{Format, RecordingReport};

    /// Hands on the reports of finished recordings.
    struct Reports(Mutex<Sender<(String, RecordingReport)>>);

    impl Observer for Reports {
        fn notice(&self, notice: Notice) {
            if let Event::RecordingFinished { recording, report } = notice.event {
                self.0.lock().unwrap().send((recording, report)).unwrap();
            }
        }

        fn worker_died(&self, _worker: usize, _sessions: Vec<String>, _reason: String) {}
    }

    fn owner(worker: usize, recording: &str) -> Owner {
        Owner {
            worker,
            session: "session".into(),
            recording: recording.into(),
        }
    }

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("longline-recorder-{}-{name}.wav", std::process::id()))
    }

    /// A stereo WAV at 8 kHz.
    fn plan(path: &Path) -> Plan {
        Plan {
            path: path.to_path_buf(),
            layout: Layout::Stereo,
            shape: Shape {
                format: Format::Wav,
                channels: 2,
                rate_hz: 8_000,
                data_key: None,
            },
        }
    }

    fn start() -> (Recorder, Receiver<(String, RecordingReport)>) {
        let (reports, finished) = channel();
        (
            Recorder::start(Arc::new(Reports(Mutex::new(reports)))).unwrap().0,
            finished,
        )
    }

    /// Half a second.
    const BLOCK_BYTES: usize = 16_000;

    #[test]
    fn what_a_slow_disk_cannot_take_is_dropped_counted_and_silent() {
        let (recorder, finished) = start();
        let (release, held) = sync_channel::<()>(0);
        let path = path("slow");
        // The recorder is held up while it tells that the file is there, as by a disk that does not answer.
        let id = recorder.open(owner(0, "slow"), plan(&path), move |_, opened| {
            opened.unwrap();
            held.recv().unwrap();
        });
        let block = vec![1; BLOCK_BYTES];
        let mut taken = 0;
        while recorder.write(id, 0, 0, block.clone()) {
            taken += 1;
        }
        assert_eq!(taken, MAX_WAITING_BYTES / BLOCK_BYTES);
        release.send(()).unwrap();
        recorder.finish(id, vec![4_000], Finish::default());

        let (_, report) = finished.recv().unwrap();
        assert_eq!(report.duration_ms as usize, (taken + 1) * 500);
        assert!(report.error.unwrap().contains("500 ms"));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, report.bytes);
        assert!(bytes[bytes.len() - BLOCK_BYTES..].iter().all(|byte| *byte == 0));
        assert_eq!(
            bytes[..wav::HEADER_BYTES],
            wav::header(2, 8000, (bytes.len() - wav::HEADER_BYTES) as u32)
        );
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_full_disk_is_told_at_once_or_in_the_end() {
        let (recorder, finished) = start();
        let (opened, told) = channel();
        recorder.open(owner(0, "full"), plan("/dev/full".as_ref()), move |_, result| {
            opened.send(result).unwrap()
        });
        assert!(told.recv().unwrap().is_err());
        assert!(finished.try_recv().is_err());

        let path = path("full");
        let mut recording = Recording::create(owner(0, "full"), plan(&path)).unwrap();
        recording.append(0, 0, &[1; 64]);
        recording.fill_up();
        recording.append(0, 0, &[2; 64]);
        recording.append(0, 0, &[3; 64]);
        let report = recording.finish();
        assert!(report.error.unwrap().contains("space"));
        assert_eq!(report.bytes, 64 + wav::HEADER_BYTES as u64);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_recordings_of_a_dead_worker_are_completed_and_no_others() {
        let (recorder, finished) = start();
        let paths = [path("dead"), path("alive")];
        for (worker, path) in paths.iter().enumerate() {
            let id = recorder.open(owner(worker, &worker.to_string()), plan(path), |_, opened| {
                opened.unwrap()
            });
            assert!(recorder.write(id, 0, 0, vec![0; BLOCK_BYTES]));
        }
        recorder.abandon(0);
        let (recording, report) = finished.recv().unwrap();
        assert_eq!((&*recording, report.duration_ms), ("0", 500));
        assert!(report.error.unwrap().contains("worker"));
        // The last handle goes: the other is completed as well.
        drop(recorder);
        let (recording, report) = finished.recv().unwrap();
        assert_eq!((&*recording, report.error), ("1", None));
        paths.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }

    #[test]
    fn a_discarded_file_is_removed() {
        let (recorder, finished) = start();
        let path = path("discarded");
        let id = recorder.open(owner(0, "r"), plan(&path), |_, opened| opened.unwrap());
        recorder.discard(id);
        drop(recorder);
        assert!(finished.recv().is_err(), "the recorder ends and tells nothing");
        assert!(!path.exists());
    }
}
