//! The recorder: one thread that writes the files of all recordings, so that a slow disk never delays audio.
//!
//! A worker hands over half a second of samples at a time and never waits. What may wait is bounded in bytes; a block
//! over the bound is dropped, counted, and becomes silence of the same length, so that the recording keeps its time.
//! The header is made right after every block: a file is playable at any moment, whatever becomes of the process.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use media::wav;

use crate::clock;
use crate::command::{Answer, Deferred, RecordingReport, Reply};
use crate::event::{Event, Notice, Observer};

/// Samples a worker gathers before it hands them over: half a second of stereo at 8 kHz.
pub const BLOCK_BYTES: usize = BYTES_PER_MS * 500;
/// Blocks of all recordings that may wait for the disk. Rule when full: the block is dropped and becomes silence.
const MAX_WAITING_BYTES: usize = 16 << 20;
const CHANNELS: u16 = 2;
const BYTES_PER_MS: usize = 2 * CHANNELS as usize * media::SAMPLES_PER_MS;
/// The sizes in a header have 32 bits.
const MAX_DATA_BYTES: u64 = u32::MAX as u64 - wav::HEADER_BYTES as u64;

/// Names a file while it is open.
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

/// What to tell when a file is complete.
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
        path: PathBuf,
        then: Opened,
    },
    Write {
        id: FileId,
        silence_bytes: u64,
        samples: Vec<u8>,
    },
    Finish {
        id: FileId,
        silence_bytes: u64,
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
            files: HashMap::new(),
            observer,
            shared: shared.clone(),
        };
        let thread = thread::Builder::new()
            .name("recorder".into())
            .spawn(move || writer.run(&receiver))?;
        Ok((Self { jobs, shared }, thread))
    }

    /// Create the file; `then` is told, on the recorder's thread, whether that worked.
    pub fn open(
        &self,
        owner: Owner,
        path: PathBuf,
        then: impl FnOnce(FileId, Result<(), String>) + Send + 'static,
    ) -> FileId {
        let id = FileId(self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        self.send(Job::Open {
            id,
            owner,
            path,
            then: Box::new(move |opened| then(id, opened)),
        });
        id
    }

    /// Hand over samples, after as many bytes of silence. False: too much waits, and the samples are dropped.
    #[must_use]
    pub fn write(&self, id: FileId, silence_bytes: u64, samples: Vec<u8>) -> bool {
        if self.shared.waiting_bytes.load(Ordering::Relaxed) + samples.len() > MAX_WAITING_BYTES {
            return false;
        }
        self.shared
            .waiting_bytes
            .fetch_add(samples.len(), Ordering::Relaxed);
        self.send(Job::Write {
            id,
            silence_bytes,
            samples,
        });
        true
    }

    /// Complete the file, after as many bytes of silence, and tell.
    pub fn finish(&self, id: FileId, silence_bytes: u64, finish: Finish) {
        self.send(Job::Finish {
            id,
            silence_bytes,
            finish,
        });
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

struct Recording {
    owner: Owner,
    path: PathBuf,
    file: File,
    data_bytes: u64,
    silence_bytes: u64,
    error: Option<String>,
}

struct Writer {
    files: HashMap<FileId, Recording>,
    observer: Arc<dyn Observer>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(&mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            self.perform(job);
        }
        for id in self.ids(|_| true) {
            self.finish(
                id,
                0,
                Finish {
                    reply: None,
                    after: None,
                },
            );
        }
    }

    fn ids(&self, is_wanted: impl Fn(&Recording) -> bool) -> Vec<FileId> {
        self.files
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
                path,
                then,
            } => match Recording::create(owner, path) {
                Ok(recording) => {
                    self.files.insert(id, recording);
                    then(Ok(()));
                }
                Err(error) => then(Err(error)),
            },
            Job::Write {
                id,
                silence_bytes,
                samples,
            } => {
                self.shared
                    .waiting_bytes
                    .fetch_sub(samples.len(), Ordering::Relaxed);
                if let Some(recording) = self.files.get_mut(&id) {
                    recording.append(silence_bytes, &samples);
                }
            }
            Job::Finish {
                id,
                silence_bytes,
                finish,
            } => self.finish(id, silence_bytes, finish),
            Job::Discard { id } => {
                if let Some(recording) = self.files.remove(&id) {
                    let _ = std::fs::remove_file(recording.path);
                }
            }
            Job::Abandon { worker } => {
                for id in self.ids(|recording| recording.owner.worker == worker) {
                    if let Some(recording) = self.files.get_mut(&id) {
                        recording.error.get_or_insert_with(|| "the worker died".into());
                    }
                    self.finish(
                        id,
                        0,
                        Finish {
                            reply: None,
                            after: None,
                        },
                    );
                }
            }
        }
    }

    fn finish(&mut self, id: FileId, silence_bytes: u64, finish: Finish) {
        let Some(mut recording) = self.files.remove(&id) else {
            return;
        };
        recording.append(silence_bytes, &[]);
        let owner = recording.owner.clone();
        let report = recording.report();
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

impl Recording {
    fn create(owner: Owner, path: PathBuf) -> Result<Self, String> {
        let mut file = create_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        file.write_all(&wav::header(CHANNELS, media::RATE_HZ, 0))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            owner,
            path,
            file,
            data_bytes: 0,
            silence_bytes: 0,
            error: None,
        })
    }

    /// Append silence and samples, then make the header right. After an error nothing more is written.
    fn append(&mut self, silence_bytes: u64, samples: &[u8]) {
        self.silence_bytes += silence_bytes;
        if self.error.is_some() || silence_bytes + samples.len() as u64 == 0 {
            return;
        }
        if let Err(error) = self.write(silence_bytes, samples) {
            self.error = Some(error.to_string());
        }
    }

    fn write(&mut self, silence_bytes: u64, samples: &[u8]) -> io::Result<()> {
        let data_bytes = self.data_bytes + silence_bytes + samples.len() as u64;
        if data_bytes > MAX_DATA_BYTES {
            return Err(io::Error::other("the file is at the 4 GiB a WAV file can have"));
        }
        io::copy(&mut io::Read::take(io::repeat(0), silence_bytes), &mut self.file)?;
        self.file.write_all(samples)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file
            .write_all(&wav::header(CHANNELS, media::RATE_HZ, data_bytes as u32))?;
        self.file.seek(SeekFrom::End(0))?;
        self.data_bytes = data_bytes;
        Ok(())
    }

    fn report(self) -> RecordingReport {
        let missing_ms = self.silence_bytes / BYTES_PER_MS as u64;
        let dropped = (missing_ms > 0).then(|| format!("{missing_ms} ms are silence: the disk was too slow"));
        RecordingReport {
            path: self.path,
            duration_ms: self.data_bytes / BYTES_PER_MS as u64,
            bytes: self.data_bytes + wav::HEADER_BYTES as u64,
            error: self.error.or(dropped),
        }
    }
}

/// A call is private: its recording is for the user of the media server alone.
fn create_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

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

    fn start() -> (Recorder, Receiver<(String, RecordingReport)>) {
        let (reports, finished) = channel();
        (
            Recorder::start(Arc::new(Reports(Mutex::new(reports)))).unwrap().0,
            finished,
        )
    }

    const NOTHING: Finish = Finish {
        reply: None,
        after: None,
    };

    #[test]
    fn what_a_slow_disk_cannot_take_is_dropped_counted_and_silent() {
        let (recorder, finished) = start();
        let (release, held) = sync_channel::<()>(0);
        let path = path("slow");
        // The recorder is held up while it tells that the file is there, as by a disk that does not answer.
        let id = recorder.open(owner(0, "slow"), path.clone(), move |_, opened| {
            opened.unwrap();
            held.recv().unwrap();
        });
        let block = vec![1; BLOCK_BYTES];
        let mut taken = 0;
        while recorder.write(id, 0, block.clone()) {
            taken += 1;
        }
        assert_eq!(taken, MAX_WAITING_BYTES / BLOCK_BYTES);
        release.send(()).unwrap();
        recorder.finish(id, BLOCK_BYTES as u64, NOTHING);

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
        recorder.open(owner(0, "full"), "/dev/full".into(), move |_, result| {
            opened.send(result).unwrap()
        });
        assert!(told.recv().unwrap().is_err());

        let path = path("full");
        let mut recording = Recording::create(owner(0, "full"), path.clone()).unwrap();
        recording.append(0, &[1; 64]);
        recording.file = File::options().write(true).open("/dev/full").unwrap();
        recording.append(0, &[2; 64]);
        recording.append(0, &[3; 64]);
        let report = recording.report();
        assert!(report.error.unwrap().contains("space"));
        assert_eq!(report.bytes, 64 + wav::HEADER_BYTES as u64);
        assert!(finished.try_recv().is_err());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_recordings_of_a_dead_worker_are_completed_and_no_others() {
        let (recorder, finished) = start();
        let paths = [path("dead"), path("alive")];
        for (worker, path) in paths.iter().enumerate() {
            let id = recorder.open(owner(worker, &worker.to_string()), path.clone(), |_, opened| {
                opened.unwrap()
            });
            assert!(recorder.write(id, 0, vec![0; BLOCK_BYTES]));
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
        let id = recorder.open(owner(0, "r"), path.clone(), |_, opened| opened.unwrap());
        recorder.discard(id);
        drop(recorder);
        assert!(finished.recv().is_err(), "the recorder ends and tells nothing");
        assert!(!path.exists());
    }
}
