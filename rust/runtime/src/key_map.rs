//! A map from the engine's keys to what belongs to them here, looked up for every packet.
//!
//! The keys are small numbers that nobody outside chooses, so a multiplication hashes them well enough.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// From a key of the engine.
pub type KeyMap<Key, Value> = HashMap<Key, Value, BuildHasherDefault<KeyHasher>>;

/// Mixes a few 32-bit numbers.
#[derive(Default)]
pub struct KeyHasher(u64);

/// 2^64 divided by the golden ratio, odd.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0.rotate_left(23) ^ u64::from(number)).wrapping_mul(MULTIPLIER);
    }
}
