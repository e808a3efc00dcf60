//! A chunk: what one message of the application has put in the queue, and its name.

/// The longest chunk id that is kept. Rule for a longer one: its chunk is played, but cannot be interrupted alone.
pub const MAX_CHUNK_ID_BYTES: usize = 72;

/// A chunk's name as the application wrote it: raw JSON (`7`, `"a-7"`), opaque to us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChunkId {
    length: u8,
    bytes: [u8; MAX_CHUNK_ID_BYTES],
}

impl ChunkId {
    /// Keeps raw JSON text; `None` when it is longer than [`MAX_CHUNK_ID_BYTES`].
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

/// Samples in a row that came together.
pub(super) struct Chunk {
    pub id: Option<ChunkId>,
    pub left: usize,
    /// Where it is kept, and how many samples of it: for the first `kept` chunks.
    pub kept_at: u64,
    pub kept_samples: usize,
}
