//! The playout queue of one stream.

/// The longest chunk id that is kept.
pub const MAX_CHUNK_ID_BYTES: usize = 64;

/// A chunk's name as the application wrote it: raw JSON (`7`, `"a-7"`), opaque to us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChunkId {
    length: u8,
    bytes: [u8; MAX_CHUNK_ID_BYTES],
}

impl ChunkId {
    /// Keeps raw JSON text; `None` when it is too long to be kept.
    pub fn new(json: &str) -> Option<ChunkId> {
        let mut bytes = [0; MAX_CHUNK_ID_BYTES];
        bytes.get_mut(..json.len())?.copy_from_slice(json.as_bytes());
        Some(ChunkId {
            length: json.len() as u8,
            bytes,
        })
    }

    /// The raw JSON text.
    pub fn as_json(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl std::fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_json())
    }
}
