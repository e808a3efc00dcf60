//! Where a file's bytes go: as they are, or sealed.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::seal::{DataKey, Sealer};

/// A file that grows. After an error it is cut back to its last good length, as far as the disk allows.
pub struct Output {
    file: File,
    /// Bytes of the file.
    length: u64,
    sealer: Option<Sealer>,
    sealed: Vec<u8>,
}

impl Output {
    /// Make the file, or empty it. A call is private: it is for the user of the media server alone.
    pub fn create(path: &Path, data_key: Option<&DataKey>, content: u8) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let mut salt = [0; 16];
        if data_key.is_some() {
            getrandom(&mut salt)?;
        }
        let sealer = data_key.map(|data_key| Sealer::new(data_key, content, salt));
        let mut output = Self {
            file,
            length: 0,
            sealed: Vec::new(),
            sealer: None,
        };
        if let Some(sealer) = sealer {
            output.put(sealer.header())?;
            output.sealer = Some(sealer);
        }
        Ok(output)
    }

    /// What is written can be changed later; not so when it is sealed.
    pub fn is_plain(&self) -> bool {
        self.sealer.is_none()
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Append.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.sealer.is_none() {
            return self.put(bytes);
        }
        self.sealed(|sealer, sealed| sealer.seal(bytes, sealed))
    }

    /// Write over the beginning of a plain file.
    pub fn rewrite_start(&mut self, bytes: &[u8]) -> io::Result<()> {
        debug_assert!(self.is_plain());
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::End(0)).map(drop)
    }

    /// Nothing will follow.
    pub fn finish(&mut self) -> io::Result<()> {
        self.sealed(Sealer::finish)
    }

    fn sealed(&mut self, seal: impl FnOnce(&mut Sealer, &mut Vec<u8>)) -> io::Result<()> {
        let Some(sealer) = &mut self.sealer else {
            return Ok(());
        };
        let mut sealed = std::mem::take(&mut self.sealed);
        sealed.clear();
        seal(sealer, &mut sealed);
        let put = self.put(&sealed);
        self.sealed = sealed;
        put
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        match &written {
            Ok(()) => self.length += bytes.len() as u64,
            Err(_) => drop(self.file.set_len(self.length)),
        }
        written
    }

    /// Go on in a file that refuses every byte.
    #[cfg(test)]
    pub fn fill_up(&mut self) {
        self.file = File::options().write(true).open("/dev/full").unwrap();
    }
}

/// Random bytes of the system's.
pub fn getrandom(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}
