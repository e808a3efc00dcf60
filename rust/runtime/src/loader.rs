//! The loader: one thread that reads the files to be played, so that a slow disk never delays audio.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use media::wav;

/// The largest file that is played.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Files that may wait to be read. Rule when full: the playback is refused at once.
const MAX_WAITING: usize = 256;

/// Samples at 8 kHz mono, or what is wrong with the file.
pub type Loaded = Result<Arc<[i16]>, String>;

struct Job {
    path: PathBuf,
    then: Box<dyn FnOnce(Loaded) + Send>,
}

/// A handle to the loader's thread; it ends with the last handle.
#[derive(Clone)]
pub struct Loader {
    jobs: SyncSender<Job>,
}

impl Loader {
    /// Start the thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(MAX_WAITING);
        thread::Builder::new()
            .name("loader".into())
            .spawn(move || run(&receiver))?;
        Ok(Self { jobs })
    }

    /// Read a file and give `then` its samples, on the loader's thread. An error is told at once: too many files wait.
    pub fn load(&self, path: PathBuf, then: impl FnOnce(Loaded) + Send + 'static) -> Result<(), String> {
        let job = Job {
            path,
            then: Box::new(then),
        };
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => format!("{MAX_WAITING} files are waiting"),
            TrySendError::Disconnected(_) => "the loader has ended".into(),
        })
    }
}

fn run(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        // A file is untrusted input: whatever it does to the parser, the next one is read.
        let loaded = std::panic::catch_unwind(|| load(&job.path)).unwrap_or(Err("cannot be read".into()));
        (job.then)(loaded.map_err(|why| format!("{}: {why}", job.path.display())));
    }
}

fn load(path: &Path) -> Result<Arc<[i16]>, String> {
    let bytes = read(path).map_err(|error| error.to_string())?;
    let samples = wav::parse(&bytes).map_err(|error| error.to_string())?;
    if samples.is_empty() {
        Err("there is no audio in it".into())
    } else {
        Ok(samples.into())
    }
}

/// Read a regular file within the bound; a pipe or a device could keep the thread for ever.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("the file is over 64 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_to_play_says_why() {
        for (path, word) in [
            ("/no/such/file.wav", "No such file"),
            ("/dev", "regular"),
            ("/dev/zero", "regular"),
        ] {
            let why = load(Path::new(path)).unwrap_err();
            assert!(why.contains(word), "{path}: {why}");
        }
    }
}
