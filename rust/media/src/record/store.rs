//! Where records are: bytes that the engine is lent.

use super::{FIXED_BYTES, NODE_BYTES, RING_BYTES};

/// Memory for records. It may be shared with another process, that only reads; all of it is zero at first.
pub trait RecordStore: Send {
    /// The node's record, [`NODE_BYTES`] long.
    fn node(&mut self) -> &mut [u8];

    /// The slot of the session at this index: [`FIXED_BYTES`] and a ring. `None` when there is no room: that session is
    /// not kept, and ends with its process.
    fn slot(&mut self, index: u32) -> Option<&mut [u8]>;

    /// Slots there are: those that may hold a record are below it.
    fn slots(&self) -> u32;
}

/// Records on the heap: for tests, and to see what keeping them costs. A slot is made when it is first asked for.
#[derive(Clone, Debug)]
pub struct HeapStore {
    node: Vec<u8>,
    slots: Vec<Vec<u8>>,
    limit: u32,
    ring_bytes: usize,
}

impl HeapStore {
    /// Room for at most `limit` sessions.
    pub fn new(limit: u32) -> HeapStore {
        HeapStore::with_ring(limit, RING_BYTES)
    }

    /// As [`HeapStore::new`], with rings of another size.
    pub fn with_ring(limit: u32, ring_bytes: usize) -> HeapStore {
        HeapStore {
            node: vec![0; NODE_BYTES],
            slots: Vec::new(),
            limit,
            ring_bytes,
        }
    }
}

impl RecordStore for HeapStore {
    fn node(&mut self) -> &mut [u8] {
        &mut self.node
    }

    fn slot(&mut self, index: u32) -> Option<&mut [u8]> {
        if index >= self.limit {
            return None;
        }
        let index = index as usize;
        if self.slots.len() <= index {
            let bytes = FIXED_BYTES + self.ring_bytes;
            self.slots.resize_with(index + 1, || vec![0; bytes]);
        }
        self.slots.get_mut(index).map(Vec::as_mut_slice)
    }

    fn slots(&self) -> u32 {
        self.slots.len() as u32
    }
}
