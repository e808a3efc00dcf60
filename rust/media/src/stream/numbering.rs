//! The numbers that an application gives to what changes what is heard, so that it can say it again after a drop: each
//! number counts once.
//!
//! They are counted from zero, modulo 2³². A number that skips some is taken, and those that it skipped never come: who
//! sends them is in order, so what is missing was never sent. **Generations** count clears; audio of an older one than ours
//! is from before a clear that its sender had not heard of.

/// What of an application's messages has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbering {
    last: Option<u32>,
    told: Option<u32>,
}

impl Numbering {
    /// Whether a message of this number is new. It is not from then on.
    pub fn is_new(&mut self, number: u32) -> bool {
        let expected = self.last.map_or(0, |last| last.wrapping_add(1));
        let is_new = number.wrapping_sub(expected) < 1 << 31;
        if is_new {
            self.last = Some(number);
        }
        is_new
    }

    /// The last number that has come.
    pub fn received(&self) -> Option<u32> {
        self.last
    }

    /// The same, if the application has not been told so yet.
    pub fn take_unacknowledged(&mut self) -> Option<u32> {
        let changed = self.last.filter(|_| self.last != self.told);
        self.told = self.last;
        changed
    }

    /// Goes on from here.
    pub fn resume(&mut self, received: Option<u32>) {
        (self.last, self.told) = (received, received);
    }
}

/// Whether audio of a generation, of which the low 8 bits are told, is from before the present one.
pub(crate) fn is_stale(generation: u8, present: u32) -> bool {
    // Half of the circle lies behind; an application that has cleared may be ahead of us until its `clear` comes.
    (present as u8).wrapping_sub(generation).wrapping_sub(1) < 127
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_counts_once_also_past_32_bits() {
        let mut numbers = Numbering::default();
        assert_eq!(numbers.received(), None);
        assert!([0, 1, 2].into_iter().all(|number| numbers.is_new(number)));
        assert!([0, 1, 2].into_iter().all(|number| !numbers.is_new(number)));
        assert!(numbers.is_new(9), "the numbers between were never sent");
        assert!(!numbers.is_new(5));
        numbers.resume(Some(u32::MAX - 1));
        assert!(numbers.is_new(u32::MAX) && numbers.is_new(0) && !numbers.is_new(u32::MAX));
        assert_eq!(numbers.received(), Some(0));
    }

    #[test]
    fn what_has_come_is_acknowledged_once() {
        let mut numbers = Numbering::default();
        assert_eq!(numbers.take_unacknowledged(), None);
        numbers.is_new(0);
        numbers.is_new(1);
        assert_eq!(numbers.take_unacknowledged(), Some(1));
        assert_eq!(numbers.take_unacknowledged(), None);
    }

    #[test]
    fn only_what_was_said_before_a_clear_is_stale() {
        for (told, present, stale) in [
            (0, 0, false),
            (0, 1, true),
            (1, 1, false),
            (2, 1, false),
            (255, 256, true),
            (0, 256, false),
            (129, 256, true),
        ] {
            assert_eq!(is_stale(told, present), stale, "{told} of {present}");
        }
    }
}
