//! The playout ring: audio that waits to be heard, as entries one after the other in a circle of bytes.
//!
//! An entry is a chunk or a mark. A chunk is a header and samples as they lie in the queue (s16le: what is restored is what was there, and copying
//! costs less than µ-law would). Positions are counts of bytes that only rise, but start anew when all is empty, so that
//! a queue that drains touches the same few pages. Entries of several streams share the ring; the space of an entry
//! comes free when all before it are done. An entry is never moved; a chunk that was interrupted says so. A mark is a header
//! and its name, behind the chunk that it stands behind.
//!
//! Nothing is overwritten that the last state written counts as alive: who is killed between ring and state leaves a
//! ring that fits the state before.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::playout::{ChunkId, MAX_CHUNK_ID_BYTES};

const MARK: u16 = 0xcafe;
/// [`EntryHeader::kind`].
const INTERRUPTED: u8 = 0;
const CHUNK: u8 = 1;
const NAME: u8 = 2;
/// Where [`EntryHeader::kind`] is.
const KIND_AT: u64 = 3;

/// Before the samples of an entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct EntryHeader {
    mark: u16,
    id_length: u8,
    kind: u8,
    /// Serial number of the stream.
    stream: u32,
    /// Samples of a chunk, bytes of a name.
    count: u32,
    clear_generation: u32,
    id: [u8; MAX_CHUNK_ID_BYTES],
}

const HEADER_BYTES: u64 = size_of::<EntryHeader>() as u64;
const _: () = assert!(HEADER_BYTES.is_multiple_of(8));
/// No chunk id: none is that long.
const NO_ID: u8 = u8::MAX;

/// An entry as it was found.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where.
    pub at: u64,
    /// Serial number of the stream.
    pub stream: u32,
    /// Clears of the stream before it.
    pub clear_generation: u32,
    /// What it is.
    pub what: What,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A chunk that was not interrupted: its name, and its samples.
    Chunk(Option<ChunkId>, Vec<i16>),
    /// One that was.
    Interrupted,
    /// A mark: its name.
    Mark(Box<str>),
}

/// Where the ring of one session begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The oldest entry in use.
    pub head: u64,
    /// Where the next entry goes.
    pub tail: u64,
    /// [`Cursor::head`] in the last state that was written.
    pub published: u64,
}

/// The bytes of a ring and where it is.
pub struct Ring<'a> {
    bytes: &'a mut [u8],
    cursor: &'a mut Cursor,
}

fn entry_bytes(data: u64) -> u64 {
    HEADER_BYTES + data.next_multiple_of(8)
}

impl<'a> Ring<'a> {
    /// Over these bytes.
    pub fn new(bytes: &'a mut [u8], cursor: &'a mut Cursor) -> Ring<'a> {
        Ring { bytes, cursor }
    }

    /// Appends a chunk, given its samples in two parts; `None` when there is no room for it now.
    pub fn append(
        &mut self,
        stream: u32,
        clear_generation: u32,
        id: Option<&ChunkId>,
        samples: [&[i16]; 2],
    ) -> Option<u64> {
        let mut header = EntryHeader {
            mark: MARK,
            id_length: NO_ID,
            kind: CHUNK,
            stream,
            count: u32::try_from(samples[0].len() + samples[1].len()).ok()?,
            clear_generation,
            id: [0; MAX_CHUNK_ID_BYTES],
        };
        if let Some(json) = id.map(ChunkId::as_json) {
            header.id[..json.len()].copy_from_slice(json.as_bytes());
            header.id_length = json.len() as u8;
        }
        self.put(header, samples.map(IntoBytes::as_bytes))
    }

    /// Appends a mark; `None` when there is no room for it now.
    pub fn append_mark(&mut self, stream: u32, clear_generation: u32, name: &str) -> Option<u64> {
        let header = EntryHeader {
            mark: MARK,
            id_length: NO_ID,
            kind: NAME,
            stream,
            count: u32::try_from(name.len()).ok()?,
            clear_generation,
            id: [0; MAX_CHUNK_ID_BYTES],
        };
        self.put(header, [name.as_bytes(), &[]])
    }

    fn put(&mut self, header: EntryHeader, data: [&[u8]; 2]) -> Option<u64> {
        let bytes = entry_bytes((data[0].len() + data[1].len()) as u64);
        let Cursor {
            head,
            tail,
            published,
        } = *self.cursor;
        if head == tail && published == tail {
            *self.cursor = Cursor::default();
        }
        let at = self.cursor.tail;
        let used = at - self.cursor.published.min(self.cursor.head);
        if used + bytes > self.bytes.len() as u64 {
            return None;
        }
        self.write(at, header.as_bytes());
        self.write(at + HEADER_BYTES, data[0]);
        self.write(at + HEADER_BYTES + data[0].len() as u64, data[1]);
        self.cursor.tail = at + bytes;
        Some(at)
    }

    /// Marks an entry as interrupted.
    pub fn interrupt(&mut self, at: u64) {
        self.write(at + KIND_AT, &[INTERRUPTED]);
    }

    fn write(&mut self, at: u64, data: &[u8]) {
        let Some(at) = at.checked_rem(self.bytes.len() as u64) else {
            return;
        };
        let (ring, at) = (&mut *self.bytes, at as usize);
        let first = data.len().min(ring.len() - at);
        ring[at..at + first].copy_from_slice(&data[..first]);
        ring[..data.len() - first].copy_from_slice(&data[first..]);
    }
}

fn read(ring: &[u8], at: u64, out: &mut [u8]) {
    let at = (at % ring.len() as u64) as usize;
    let first = out.len().min(ring.len() - at);
    let (start, rest) = out.split_at_mut(first);
    start.copy_from_slice(&ring[at..at + first]);
    rest.copy_from_slice(&ring[..rest.len()]);
}

/// What the entry of this header is, whose data begin at `at`.
fn what(ring: &[u8], at: u64, header: &EntryHeader) -> Option<What> {
    match header.kind {
        INTERRUPTED => Some(What::Interrupted),
        CHUNK => {
            let mut samples = vec![0i16; header.count as usize];
            read(ring, at, samples.as_mut_bytes());
            let id = header.id.get(..usize::from(header.id_length));
            let id = id.and_then(|id| ChunkId::new(std::str::from_utf8(id).ok()?));
            Some(What::Chunk(id, samples))
        }
        NAME => {
            let mut name = vec![0; header.count as usize];
            read(ring, at, &mut name);
            Some(What::Mark(String::from_utf8(name).ok()?.into()))
        }
        _ => None,
    }
}

/// The entries from `head` to `tail`; ends early where there is none, and says so.
pub fn entries(ring: &[u8], head: u64, tail: u64) -> (Vec<Entry>, bool) {
    let mut found = Vec::new();
    let mut at = head;
    if tail < head || tail - head > ring.len() as u64 {
        return (found, false);
    }
    while at < tail {
        let mut header = [0; HEADER_BYTES as usize];
        if tail - at < HEADER_BYTES {
            return (found, false);
        }
        read(ring, at, &mut header);
        let Ok(header) = EntryHeader::read_from_bytes(&header) else {
            return (found, false);
        };
        let bytes = match header.kind {
            NAME => u64::from(header.count),
            _ => 2 * u64::from(header.count),
        };
        let length = entry_bytes(bytes);
        if header.mark != MARK || length > tail - at {
            return (found, false);
        }
        let Some(what) = what(ring, at + HEADER_BYTES, &header) else {
            return (found, false);
        };
        found.push(Entry {
            at,
            stream: header.stream,
            clear_generation: header.clear_generation,
            what,
        });
        at += length;
    }
    (found, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: usize) -> Vec<i16> {
        (0..count as i16).collect()
    }

    #[test]
    fn what_was_appended_is_found_also_across_the_end() {
        let mut bytes = vec![0xee; 1_000];
        let mut cursor = Cursor::default();
        let id = ChunkId::new("\"a-7\"").unwrap();
        let mut alive: Vec<(u64, usize)> = Vec::new();
        for count in (1..200usize).cycle().step_by(7).take(400) {
            let at = loop {
                let sound = samples(count);
                let (a, b) = sound.split_at(count / 3);
                match Ring::new(&mut bytes, &mut cursor).append(9, 2, Some(&id), [a, b]) {
                    Some(at) => break at,
                    None => {
                        let (_, _) = alive.remove(0);
                        cursor.head = alive.first().map_or(cursor.tail, |(at, _)| *at);
                        cursor.published = cursor.head;
                    }
                }
            };
            alive.push((at, count));
            let (found, whole) = entries(&bytes, cursor.head, cursor.tail);
            assert!(whole);
            assert_eq!(found.len(), alive.len());
            for (entry, (at, count)) in found.iter().zip(&alive) {
                assert_eq!(entry.at, *at);
                assert_eq!(entry.what, What::Chunk(Some(id), samples(*count)));
                assert_eq!((entry.stream, entry.clear_generation), (9, 2));
            }
        }
    }

    #[test]
    fn nothing_that_was_published_as_alive_is_overwritten() {
        let mut bytes = vec![0; 400];
        let mut cursor = Cursor::default();
        let sound = samples(100);
        let first = Ring::new(&mut bytes, &mut cursor).append(1, 0, None, [&sound, &[]]);
        assert_eq!(first, Some(0));
        // It was heard, but no state says so yet.
        cursor.head = cursor.tail;
        assert_eq!(
            Ring::new(&mut bytes, &mut cursor).append(1, 0, None, [&sound, &[]]),
            None
        );
        cursor.published = cursor.head;
        let again = Ring::new(&mut bytes, &mut cursor).append(1, 0, None, [&sound, &[]]);
        assert_eq!(again, Some(0), "an empty ring starts anew");
    }

    #[test]
    fn an_interrupted_entry_is_known() {
        let mut bytes = vec![0; 1_000];
        let mut cursor = Cursor::default();
        let mut ring = Ring::new(&mut bytes, &mut cursor);
        ring.append(1, 0, None, [&[1, 2, 3], &[]]);
        let second = ring.append(1, 0, None, [&[4], &[5]]).unwrap();
        ring.interrupt(second);
        let (found, _) = entries(&bytes, 0, cursor.tail);
        let found: Vec<What> = found.into_iter().map(|entry| entry.what).collect();
        assert_eq!(found, [What::Chunk(None, vec![1, 2, 3]), What::Interrupted]);
    }

    #[test]
    fn a_mark_is_found_behind_its_chunk() {
        let mut bytes = vec![0; 1_000];
        let mut cursor = Cursor::default();
        let mut ring = Ring::new(&mut bytes, &mut cursor);
        ring.append(1, 0, None, [&[1, 2, 3], &[]]);
        ring.append_mark(1, 0, "\"gréeting\"");
        ring.append(1, 0, None, [&[4], &[]]);
        let (found, whole) = entries(&bytes, 0, cursor.tail);
        let found: Vec<What> = found.into_iter().map(|entry| entry.what).collect();
        let mark = What::Mark("\"gréeting\"".into());
        assert!(whole);
        assert_eq!(
            found,
            [What::Chunk(None, vec![1, 2, 3]), mark, What::Chunk(None, vec![4])]
        );
    }

    #[test]
    fn bytes_that_are_no_ring_end_in_nothing() {
        for (head, tail) in [(0, 0), (0, 80), (0, 4_000), (80, 0), (u64::MAX - 7, u64::MAX)] {
            assert!(entries(&[0xff; 1_000], head, tail).0.is_empty());
        }
    }
}
