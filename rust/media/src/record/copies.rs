//! Two copies of one thing, of which at least one is whole at any moment.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Continues a checksum with bytes whose count is a multiple of eight. It finds torn writes; it keeps nobody out.
pub fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8).map(|word| {
        u64::from_ne_bytes([
            word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
        ])
    });
    words.fold(sum, |sum, word| {
        let mixed = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 29
    })
}

/// Which of two copies a generation belongs to.
pub fn which(generation: u64) -> usize {
    (generation % 2) as usize
}

/// Writes the parts of one copy one after the other, but for the header, which comes last with the checksum in it.
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
    sum: u64,
}

impl<'a> Writer<'a> {
    /// Into a copy whose header is of type `H`.
    pub fn new<H>(bytes: &'a mut [u8]) -> Writer<'a> {
        Writer {
            bytes,
            at: size_of::<H>(),
            sum: 0,
        }
    }

    /// Appends a part. What does not fit is left out, and the copy is torn.
    pub fn put<T: IntoBytes + Immutable>(&mut self, part: &T) {
        let part = part.as_bytes();
        if let Some(room) = self.bytes.get_mut(self.at..self.at + part.len()) {
            room.copy_from_slice(part);
            self.sum = checksum(self.sum, part);
        }
        self.at += part.len();
    }

    /// Writes the header: it is given the checksum of all, which it was part of with zero in its place.
    pub fn finish<H: IntoBytes + Immutable + Copy>(self, header: H, set: impl FnOnce(&mut H, u64)) {
        let mut header = header;
        let sum = checksum(self.sum, header.as_bytes());
        set(&mut header, sum);
        let header = header.as_bytes();
        if let Some(room) = self.bytes.get_mut(..header.len()) {
            room.copy_from_slice(header);
        }
    }
}

/// Reads the parts of one copy in the order they were written.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    sum: u64,
}

impl<'a> Reader<'a> {
    /// From a copy whose header is of type `H`; the header is read too.
    pub fn new<H: FromBytes + KnownLayout + Immutable>(bytes: &'a [u8]) -> Option<(H, Reader<'a>)> {
        let (header, _) = H::read_from_prefix(bytes).ok()?;
        let at = size_of::<H>();
        Some((header, Reader { bytes, at, sum: 0 }))
    }

    /// The next part.
    pub fn take<T: FromBytes + KnownLayout + Immutable>(&mut self) -> Option<T> {
        let part = self.bytes.get(self.at..self.at + size_of::<T>())?;
        self.at += part.len();
        self.sum = checksum(self.sum, part);
        T::read_from_bytes(part).ok()
    }

    /// Several of the next parts.
    pub fn take_all<T: FromBytes + KnownLayout + Immutable>(&mut self, count: usize) -> Option<Vec<T>> {
        (0..count).map(|_| self.take()).collect()
    }

    /// The checksum says that all of it was written by one hand; `header` has zero in its place.
    pub fn is_whole<H: IntoBytes + Immutable>(&self, header: &H, expected: u64) -> bool {
        checksum(self.sum, header.as_bytes()) == expected
    }
}
