//! RIFF/WAVE: reading what may be played, writing the header of what is recorded.
//!
//! Reads PCM of 8 or 16 bits, µ-law and A-law, mono or stereo (mixed down), any rate that
//! [`resample`](crate::codec::resample) takes, to 8 kHz mono. Reads no float, no 24 bits, no ADPCM, no more than two
//! channels. A `data` chunk that claims more than the file holds is read as far as the file goes: that is what
//! recorders leave behind when they are killed. Writes headers of 44 bytes for 16 bit PCM.

use std::fmt;

use crate::codec::g711;
use crate::codec::resample::{RATES_HZ, resample};
use crate::time::RATE_HZ;

/// Bytes of the header that [`header`] makes.
pub const HEADER_BYTES: usize = 44;
/// Longest sound that is read: an hour. Rule: a longer file is refused.
pub const MAX_SECONDS: usize = 3_600;

const PCM: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

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

struct Format {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
}

/// Reads a whole file into 8 kHz mono samples.
pub fn parse(file: &[u8]) -> Result<Vec<i16>, WavError> {
    let (rate_hz, samples) = samples(file)?;
    resample(&samples, rate_hz, RATE_HZ).map_err(|error| unsupported_rate(error.0))
}

/// Reads a whole file into mono samples at the rate that it has.
pub fn samples(file: &[u8]) -> Result<(u32, Vec<i16>), WavError> {
    let (riff, chunks) = file
        .split_first_chunk::<12>()
        .ok_or(WavError::NotWave("shorter than a RIFF header"))?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(WavError::NotWave("no RIFF/WAVE header"));
    }
    let format = find(chunks, b"fmt ").ok_or(WavError::NotWave("no fmt chunk"))?;
    let format = read_format(format).ok_or(WavError::NotWave("fmt chunk too short"))?;
    let data = find(chunks, b"data").ok_or(WavError::NotWave("no data chunk"))?;
    let decode = decoder(&format)?;
    let bytes = usize::from(format.bits / 8);
    if data.len() / (bytes * usize::from(format.channels)) > MAX_SECONDS * format.rate_hz as usize {
        return Err(WavError::Unsupported(format!(
            "longer than {MAX_SECONDS} seconds"
        )));
    }
    let samples: Vec<i16> = match format.channels {
        1 => data.chunks_exact(bytes).map(decode).collect(),
        _ => data
            .chunks_exact(2 * bytes)
            .map(|pair| mean(decode(&pair[..bytes]), decode(&pair[bytes..])))
            .collect(),
    };
    Ok((format.rate_hz, samples))
}

fn mean(left: i16, right: i16) -> i16 {
    ((i32::from(left) + i32::from(right)) / 2) as i16
}

/// The first chunk of this name. Chunks are padded to even lengths; the last may be cut off.
fn find<'a>(mut rest: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    loop {
        let (header, after) = rest.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if &header[..4] == name {
            return Some(&after[..length.min(after.len())]);
        }
        rest = after.get(length.checked_next_multiple_of(2)?..)?;
    }
}

fn read_format(chunk: &[u8]) -> Option<Format> {
    let half = |at: usize| Some(u16::from_le_bytes([*chunk.get(at)?, *chunk.get(at + 1)?]));
    let tag = match half(0)? {
        // The real tag is the start of the sub-format's GUID.
        EXTENSIBLE => half(24)?,
        tag => tag,
    };
    let rate_hz = u32::from(half(4)?) | u32::from(half(6)?) << 16;
    Some(Format {
        tag,
        channels: half(2)?,
        rate_hz,
        bits: half(14)?,
    })
}

/// How one sample of this format is read.
fn decoder(format: &Format) -> Result<fn(&[u8]) -> i16, WavError> {
    if !(1..=2).contains(&format.channels) {
        return Err(WavError::Unsupported(format!(
            "{} channels (1 or 2 are read)",
            format.channels
        )));
    }
    if !RATES_HZ.contains(&format.rate_hz) {
        return Err(unsupported_rate(format.rate_hz));
    }
    match (format.tag, format.bits) {
        (PCM, 16) => Ok(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])),
        (PCM, 8) => Ok(|bytes| (i16::from(bytes[0]) - 128) << 8),
        (MU_LAW, 8) => Ok(|bytes| g711::mu_law_decode(bytes[0])),
        (A_LAW, 8) => Ok(|bytes| g711::a_law_decode(bytes[0])),
        (tag, bits) => Err(WavError::Unsupported(format!(
            "format {tag} with {bits} bits (PCM of 8 or 16 bits, mu-law and A-law are read)"
        ))),
    }
}

fn unsupported_rate(rate_hz: u32) -> WavError {
    WavError::Unsupported(format!(
        "{rate_hz} Hz ({} to {} are read)",
        RATES_HZ.start(),
        RATES_HZ.end()
    ))
}

/// The header of a file of 16 bit PCM with `data_bytes` of samples.
pub fn header(channels: u16, rate_hz: u32, data_bytes: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let frame_bytes = channels * 2;
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &data_bytes.saturating_add(HEADER_BYTES as u32 - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &PCM.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate_hz.to_le_bytes(),
        &(rate_hz * u32::from(frame_bytes)).to_le_bytes(),
        &frame_bytes.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    let mut at = 0;
    for field in fields {
        header[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    header
}
