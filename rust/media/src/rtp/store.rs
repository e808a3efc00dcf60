//! The packets of a jitter buffer, undecoded, in the order of their media time. Room for their bytes is made once, for the
//! codecs and bounds of the call; nothing is allocated for a packet.

use super::jitter::Kind;
use crate::time::Time;

/// A packet that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub sequence: u64,
    /// In media time.
    pub start: i64,
    pub arrival: Time,
    /// In media time; zero for noise.
    pub duration: u32,
    pub kind: Kind,
    /// The timeline was moved here: a hole before it is a pause.
    pub moved: bool,
    offset: u32,
    length: u16,
}

impl Slot {
    pub fn new(sequence: u64, start: i64, duration: u32, arrival: Time, kind: Kind, moved: bool) -> Slot {
        Slot {
            sequence,
            start,
            arrival,
            duration,
            kind,
            moved,
            offset: 0,
            length: 0,
        }
    }

    pub fn end(&self) -> i64 {
        self.start + i64::from(self.duration)
    }

    /// Nothing of it is after `position`. Noise has no length, and is over only when something is after it.
    pub fn is_behind(&self, position: i64) -> bool {
        self.end() < position || (self.duration > 0 && self.end() == position)
    }
}

/// The packets.
#[derive(Default)]
pub(super) struct PacketStore {
    /// Payloads, packed; what is behind `tail` is free.
    arena: Vec<u8>,
    tail: usize,
    slots: Vec<Slot>,
    capacity: usize,
}

impl PacketStore {
    /// Makes room for so many bytes and packets. Everything is dropped, unless it is the room there is.
    pub fn make_room(&mut self, bytes: usize, packets: usize) {
        if (bytes, packets) != (self.arena.len(), self.capacity) {
            *self = PacketStore {
                arena: vec![0; bytes],
                tail: 0,
                slots: Vec::with_capacity(packets),
                capacity: packets,
            };
        }
    }

    /// Memory that it takes beyond itself, in bytes.
    pub fn room_bytes(&self) -> usize {
        self.arena.len() + self.capacity * size_of::<Slot>()
    }

    /// There is room for a payload of so many bytes at all.
    pub fn holds(&self, bytes: usize) -> bool {
        bytes <= self.arena.len()
    }

    /// There is room for it now.
    pub fn has_room(&self, bytes: usize) -> bool {
        let used: usize = self.slots.iter().map(|slot| usize::from(slot.length)).sum();
        self.slots.len() < self.capacity && bytes <= self.arena.len() - used
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn first(&self) -> Option<&Slot> {
        self.slots.first()
    }

    pub fn last(&self) -> Option<&Slot> {
        self.slots.last()
    }

    pub fn clear(&mut self) {
        self.slots.clear();
        self.tail = 0;
    }

    /// Takes a packet for which there is room.
    pub fn insert(&mut self, mut slot: Slot, payload: &[u8]) {
        if self.tail + payload.len() > self.arena.len() {
            self.compact();
        }
        slot.offset = self.tail as u32;
        slot.length = payload.len() as u16;
        self.arena[self.tail..self.tail + payload.len()].copy_from_slice(payload);
        self.tail += payload.len();
        let place = self.slots.iter().rposition(|other| other.start <= slot.start);
        self.slots.insert(place.map_or(0, |place| place + 1), slot);
    }

    /// Forgets the first packet, which must be there. Its payload may be read until the next one is inserted.
    pub fn remove_first(&mut self) -> Slot {
        let slot = self.slots.remove(0);
        if self.slots.is_empty() {
            self.tail = 0;
        }
        slot
    }

    pub fn payload(&self, slot: &Slot) -> &[u8] {
        &self.arena[slot.offset as usize..][..usize::from(slot.length)]
    }

    /// Moves the payloads together at the start, in the order they lie in.
    fn compact(&mut self) {
        let mut end = 0;
        let mut last = None;
        while let Some(next) = self
            .slots
            .iter_mut()
            .filter(|slot| last.is_none_or(|last| slot.offset > last))
            .min_by_key(|slot| slot.offset)
        {
            let (from, length) = (next.offset as usize, usize::from(next.length));
            last = Some(next.offset);
            next.offset = end as u32;
            self.arena.copy_within(from..from + length, end);
            end += length;
        }
        self.tail = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;

    fn slot(start: i64) -> Slot {
        Slot::new(start as u64, start, 960, Time(0), Kind::Sound(Codec::Pcmu), false)
    }

    #[test]
    fn payloads_survive_being_packed_together() {
        let mut store = PacketStore::default();
        store.make_room(1_000, 8);
        let payload = |n: i64| vec![n as u8; 100 + n as usize % 7 * 30];
        for n in 0..1_000i64 {
            // Every other pair comes the wrong way round.
            let n = if n % 4 >= 2 { n ^ 1 } else { n };
            while !store.has_room(payload(n).len()) {
                store.remove_first();
            }
            store.insert(slot(n), &payload(n));
            let held: Vec<Slot> = store.slots.clone();
            assert!(held.is_sorted_by_key(|slot| slot.start));
            for held in &held {
                assert_eq!(store.payload(held), payload(held.start), "{n}");
            }
        }
    }
}
