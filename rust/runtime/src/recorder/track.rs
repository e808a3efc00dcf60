//! A track: one file of a recording, in its format.

use std::io;
use std::path::{Path, PathBuf};

use media::wav;

use super::opus_sound::OpusSound;
use super::output::{Output, getrandom};
use super::seal::DataKey;
use crate::command::{Format, TrackReport};

/// The sizes in a header have 32 bits.
const MAX_WAV_BYTES: u64 = u32::MAX as u64 - wav::HEADER_BYTES as u64;
/// Silence is written in pieces of this size.
const SILENCE: [u8; 16 << 10] = [0; 16 << 10];

/// What a track is made of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// How it is encoded.
    pub format: Format,
    /// 1 or 2.
    pub channels: u8,
    /// Samples per second of each channel.
    pub rate_hz: u32,
    /// Seal it with this.
    pub data_key: Option<DataKey>,
}

impl Shape {
    /// Bytes of one sample of all channels.
    pub fn sample_bytes(&self) -> usize {
        2 * usize::from(self.channels)
    }

    /// What a sealed file says of what is in it.
    fn content(&self) -> u8 {
        match self.format {
            Format::Wav => 1,
            Format::Ogg => 2,
        }
    }
}

/// How samples become bytes.
enum Sound {
    Wav,
    Opus(Box<OpusSound>),
}

impl Sound {
    fn new(shape: &Shape) -> Result<Self, String> {
        if shape.format == Format::Wav {
            return Ok(Self::Wav);
        }
        let mut serial = [0; 4];
        getrandom(&mut serial).map_err(|error| error.to_string())?;
        let sound = OpusSound::new(shape.channels, shape.rate_hz, u32::from_ne_bytes(serial))?;
        Ok(Self::Opus(sound.into()))
    }
}

/// One file.
pub struct Track {
    name: String,
    path: PathBuf,
    shape: Shape,
    output: Output,
    sound: Sound,
    /// Samples written, of each channel.
    samples: u64,
    error: Option<String>,
}

impl Track {
    /// Make the file, with its header.
    pub fn create(name: String, path: &Path, shape: Shape) -> Result<Self, String> {
        let output = Output::create(path, shape.data_key.as_ref(), shape.content());
        let mut track = Self {
            name,
            path: path.to_path_buf(),
            output: output.map_err(|error| format!("{}: {error}", path.display()))?,
            sound: Sound::new(&shape)?,
            shape,
            samples: 0,
            error: None,
        };
        track.begin().map_err(|error| error.to_string())?;
        Ok(track)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn begin(&mut self) -> io::Result<()> {
        if let Sound::Opus(sound) = &mut self.sound {
            let mut pages = Vec::new();
            sound.begin(&mut pages);
            return self.output.append(&pages);
        }
        // Sealed, a header cannot be changed: it says that nobody knows the length, and whoever opens it puts it right.
        let bytes = if self.output.is_plain() { 0 } else { u32::MAX };
        self.output.append(&wav::header(
            self.shape.channels.into(),
            self.shape.rate_hz,
            bytes,
        ))
    }

    /// Append so many samples of silence, then these. After an error nothing more is written.
    pub fn append(&mut self, silence: u64, samples: &[u8]) {
        if self.error.is_some() || (silence == 0 && samples.is_empty()) {
            return;
        }
        if let Err(error) = self.write(silence, samples) {
            self.error = Some(error.to_string());
        }
    }

    fn write(&mut self, silence: u64, samples: &[u8]) -> io::Result<()> {
        let sample_bytes = self.shape.sample_bytes() as u64;
        let count = self.samples + silence + samples.len() as u64 / sample_bytes;
        match &mut self.sound {
            Sound::Wav => self.write_wav(count, silence, samples)?,
            Sound::Opus(sound) => {
                let mut pages = Vec::new();
                sound.append(silence, samples, &mut pages);
                self.output.append(&pages)?;
            }
        }
        self.samples = count;
        Ok(())
    }

    fn write_wav(&mut self, count: u64, silence: u64, samples: &[u8]) -> io::Result<()> {
        let sample_bytes = self.shape.sample_bytes() as u64;
        if count * sample_bytes > MAX_WAV_BYTES {
            return Err(io::Error::other("the file is at the 4 GiB a WAV file can have"));
        }
        let mut left = silence * sample_bytes;
        while left > 0 {
            let piece = left.min(SILENCE.len() as u64);
            self.output.append(&SILENCE[..piece as usize])?;
            left -= piece;
        }
        if !samples.is_empty() {
            self.output.append(samples)?;
        }
        if self.output.is_plain() {
            let bytes = (count * sample_bytes) as u32;
            self.output.rewrite_start(&wav::header(
                self.shape.channels.into(),
                self.shape.rate_hz,
                bytes,
            ))?;
        }
        Ok(())
    }

    /// The file is complete, as far as it could be written.
    pub fn finish(mut self) -> (TrackReport, Option<String>) {
        if self.error.is_none() {
            self.error = self.end().err().map(|error| error.to_string());
        }
        let report = TrackReport {
            name: self.name,
            path: self.path,
            duration_ms: self.samples * 1_000 / u64::from(self.shape.rate_hz),
            bytes: self.output.length(),
        };
        (report, self.error)
    }

    fn end(&mut self) -> io::Result<()> {
        if let Sound::Opus(sound) = &mut self.sound {
            let mut pages = Vec::new();
            sound.finish(self.samples, &mut pages);
            self.output.append(&pages)?;
        }
        self.output.finish()
    }

    #[cfg(test)]
    pub fn fill_up(&mut self) {
        self.output.fill_up();
    }
}
