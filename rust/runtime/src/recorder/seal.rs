//! Sealed files: what is recorded, encrypted as it is written. The format is specified in `docs/reference/recordings.md`.
//!
//! The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) as the file format age has it: AES-256-GCM under
//! a key derived for this file alone, the nonce a counter and a last byte that says whether the chunk is the last. Chunks
//! cannot be reordered, left out or cut off unnoticed, and a file whose writer was killed opens up to its last whole chunk.
//! The data key comes with the command and its wrapping is written as it is: who can unwrap it is not known here.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

/// Bytes of a data key.
pub const KEY_BYTES: usize = 32;
/// Longest wrapping of a data key.
pub const MAX_WRAPPED_BYTES: usize = 1_024;
/// Most plaintext in a chunk.
pub const MAX_CHUNK_BYTES: usize = 64 << 10;

const MAGIC: &[u8; 8] = b"LLSEALED";
const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const INFO: &[u8] = b"longline sealed recording";
/// The bit of a chunk's length that says that it is the last.
const LAST: u32 = 1 << 31;

/// The data key of one recording, and its wrapping under a master key that only control has.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    /// The key.
    pub key: [u8; KEY_BYTES],
    /// What it is recovered from; 1 to [`MAX_WRAPPED_BYTES`].
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DataKey(..)")
    }
}

/// Seals one file.
pub struct Sealer {
    key: LessSafeKey,
    header: Vec<u8>,
    counter: u64,
}

impl Sealer {
    /// For a file that holds `content` (a number of the format's); `salt` must never repeat under this data key.
    pub fn new(data_key: &DataKey, content: u8, salt: [u8; SALT_BYTES]) -> Self {
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&[VERSION, content]);
        header.extend_from_slice(&(data_key.wrapped.len() as u16).to_be_bytes());
        header.extend_from_slice(&salt);
        header.extend_from_slice(&data_key.wrapped);
        let secret = Salt::new(HKDF_SHA256, &salt).extract(&data_key.key);
        let key = secret
            .expand(&[INFO], &AES_256_GCM)
            .map(UnboundKey::from)
            .map(LessSafeKey::new);
        Self {
            key: key.expect("the length of an AES-256 key is within what HKDF gives"),
            header,
            counter: 0,
        }
    }

    /// What the file begins with.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Appends chunks of all of `plain`.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        for chunk in plain.chunks(MAX_CHUNK_BYTES) {
            self.chunk(chunk, false, out);
        }
    }

    /// Appends the last chunk, which is empty: without it the file is not complete.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.chunk(&[], true, out);
    }

    fn chunk(&mut self, plain: &[u8], is_last: bool, out: &mut Vec<u8>) {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.counter.to_be_bytes());
        nonce[11] = u8::from(is_last);
        self.counter += 1;
        let length = plain.len() as u32 | if is_last { LAST } else { 0 };
        out.extend_from_slice(&length.to_be_bytes());
        let start = out.len();
        out.extend_from_slice(plain);
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&self.header),
            &mut out[start..],
        );
        let tag = tag.expect("a chunk is far below the 64 GiB that GCM takes");
        out.extend_from_slice(tag.as_ref());
    }
}

/// Opens the chunks of a file that begins with `header`: the plaintext, and whether the last chunk was there.
#[cfg(test)]
pub fn open(data_key: &DataKey, file: &[u8]) -> Result<(Vec<u8>, bool), &'static str> {
    let header = 28 + data_key.wrapped.len();
    let salt: [u8; SALT_BYTES] = file[12..28].try_into().unwrap();
    let mut sealer = Sealer::new(data_key, file[9], salt);
    let (mut rest, mut plain) = (&file[header..], Vec::new());
    sealer.header = file[..header].to_vec();
    for counter in 0u64.. {
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            break;
        };
        let length = u32::from_be_bytes(*length);
        let (is_last, length) = (length & LAST != 0, (length & !LAST) as usize);
        let Some(sealed) = after.get(..length + 16) else {
            break;
        };
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&counter.to_be_bytes());
        nonce[11] = u8::from(is_last);
        let mut sealed = sealed.to_vec();
        let opened = sealer
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&sealer.header),
                &mut sealed,
            )
            .map_err(|_| "a chunk is not what was written")?;
        plain.extend_from_slice(opened);
        if is_last {
            return Ok((plain, true));
        }
        rest = &after[length + 16..];
    }
    Ok((plain, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_key() -> DataKey {
        DataKey {
            key: [7; KEY_BYTES],
            wrapped: vec![9; 68],
        }
    }

    /// A file of three chunks, and where each begins.
    fn sealed() -> (Vec<u8>, Vec<usize>) {
        let mut sealer = Sealer::new(&data_key(), 1, [3; SALT_BYTES]);
        let mut file = sealer.header().to_vec();
        let mut starts = vec![file.len()];
        for byte in 1..=3u8 {
            sealer.seal(&[byte; 100], &mut file);
            starts.push(file.len());
        }
        sealer.finish(&mut file);
        (file, starts)
    }

    #[test]
    fn what_is_sealed_opens_and_says_that_it_is_complete() {
        let (file, _) = sealed();
        let (plain, is_complete) = open(&data_key(), &file).unwrap();
        assert_eq!(plain, [[1; 100], [2; 100], [3; 100]].concat());
        assert!(is_complete);
        assert!(
            !file.windows(20).any(|window| window == [2; 20]),
            "nothing is in the clear"
        );
    }

    #[test]
    fn a_long_piece_is_several_chunks() {
        let mut sealer = Sealer::new(&data_key(), 1, [3; SALT_BYTES]);
        let mut file = sealer.header().to_vec();
        sealer.seal(&vec![5; 2 * MAX_CHUNK_BYTES + 1], &mut file);
        sealer.finish(&mut file);
        assert_eq!(sealer.counter, 4);
        assert_eq!(open(&data_key(), &file).unwrap().0.len(), 2 * MAX_CHUNK_BYTES + 1);
    }

    #[test]
    fn a_file_cut_off_anywhere_opens_up_to_there_and_is_not_complete() {
        let (file, starts) = sealed();
        for length in starts[0]..file.len() {
            let (plain, is_complete) = open(&data_key(), &file[..length]).unwrap();
            let whole = starts.iter().filter(|start| **start <= length).count() - 1;
            assert_eq!((plain.len(), is_complete), (whole * 100, false));
        }
    }

    #[test]
    fn reordered_missing_changed_and_foreign_chunks_are_refused() {
        let (file, starts) = sealed();
        let (first, second) = (starts[0]..starts[1], starts[1]..starts[2]);
        let mut reordered = file[..starts[0]].to_vec();
        reordered.extend_from_slice(&file[second.clone()]);
        reordered.extend_from_slice(&file[first.clone()]);
        reordered.extend_from_slice(&file[starts[2]..]);
        let mut missing = file.clone();
        missing.drain(second);
        let mut changed = file.clone();
        changed[starts[1] + 50] ^= 1;
        let mut other_header = file.clone();
        other_header[9] = 2;
        // The second chunk as if it were the last.
        let mut ended = file[..starts[2]].to_vec();
        ended[starts[1]] |= 0x80;
        for (what, file) in [
            ("reordered", reordered),
            ("missing", missing),
            ("changed", changed),
            ("header", other_header),
            ("ended early", ended),
        ] {
            assert!(open(&data_key(), &file).is_err(), "{what}");
        }
        let other_key = DataKey {
            key: [8; KEY_BYTES],
            ..data_key()
        };
        assert!(open(&other_key, &file).is_err());
    }

    /// The same file is opened by `tests/unit/media/test_sealed.py`.
    #[test]
    fn the_format_is_what_it_was() {
        let mut sealer = Sealer::new(&data_key(), 2, [3; SALT_BYTES]);
        let mut file = sealer.header().to_vec();
        sealer.seal(b"OggS", &mut file);
        sealer.finish(&mut file);
        let hex: String = file[96..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "000000042b7182ecf0bdcf8f2c358786b9b90101d75bd20c80000000cad80f4a6ae2e87cb12eacb58519e605"
        );
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", data_key()), "DataKey(..)");
    }
}
