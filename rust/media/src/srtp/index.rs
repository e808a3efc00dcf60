//! Packet indices: the guess of what stands above the sixteen bits on the wire, and the list of those seen.

/// Numbers remembered below the newest; what is older counts as seen (RFC 3711 §3.3.2 wants at least 64).
const REMEMBERED: u64 = u128::BITS as u64;

/// The index with these low sixteen bits that is nearest to the newest (RFC 3711 §3.3.1, Appendix A).
pub(super) fn estimate(newest: u64, sequence: u16) -> u64 {
    let distance = i64::from(sequence.wrapping_sub(newest as u16) as i16);
    newest.checked_add_signed(distance).unwrap_or(u64::from(sequence))
}

/// A number so little behind the last one is that of a packet that was sent, and not one of the next cycle.
const REPEATED: u16 = 64;

/// The lowest index with these low sixteen bits that is above `last`; `None` when that is a whole cycle away, or nearly.
pub(super) fn next_above(last: u64, sequence: u16) -> Option<u64> {
    let behind = (last as u16).wrapping_sub(sequence);
    let ahead = sequence.wrapping_sub(last as u16);
    (behind >= REPEATED).then(|| last + u64::from(ahead))
}

/// The indices seen of one source (RFC 3711 §3.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayWindow {
    /// The highest index that was authenticated.
    pub newest: u64,
    /// Bit n: `newest - n` was authenticated. Zero: none was yet.
    pub seen: u128,
}

impl ReplayWindow {
    /// It was seen, or is too old to know.
    pub fn is_known(&self, index: u64) -> bool {
        let age = self.newest.saturating_sub(index);
        self.seen != 0 && index <= self.newest && (age >= REMEMBERED || self.seen >> age & 1 == 1)
    }

    /// Notes an authenticated index.
    pub fn note(&mut self, index: u64) {
        if self.seen == 0 || index > self.newest {
            let ahead = index.saturating_sub(self.newest);
            let kept = if self.seen == 0 || ahead >= REMEMBERED {
                0
            } else {
                self.seen << ahead
            };
            *self = ReplayWindow {
                newest: index,
                seen: kept | 1,
            };
        } else if self.newest - index < REMEMBERED {
            self.seen |= 1 << (self.newest - index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_index_is_guessed() {
        for (newest, sequence, expected) in [
            (100, 101, 101),
            (65_535, 0, 65_536),
            (65_536, 65_535, 65_535),
            (0x1_0000_0005, 0xfff0, 0xffff_fff0),
            (0x5_8000, 0x0000, 0x5_0000),
            (0x5_8001, 0x0000, 0x6_0000),
            // Below index zero there is nothing.
            (5, 65_530, 65_530),
        ] {
            assert_eq!(
                estimate(newest, sequence),
                expected,
                "{sequence} after {newest:#x}"
            );
        }
    }

    #[test]
    fn what_is_sent_never_goes_back() {
        assert_eq!(next_above(9, 10), Some(10));
        assert_eq!(next_above(10, 10), None);
        assert_eq!(next_above(65_546, 5), None);
        assert_eq!(next_above(65_535, 0), Some(65_536));
        assert_eq!(next_above(0x1_9000, 0x1000), Some(0x2_1000));
    }

    #[test]
    fn each_index_is_fresh_once() {
        let mut window = ReplayWindow::default();
        assert!(!window.is_known(0));
        for index in [0, 1, 5, 4, 200, 199, 73, 10_000, 9_999] {
            assert!(!window.is_known(index), "{index}");
            window.note(index);
            assert!(window.is_known(index), "{index}");
        }
        assert!(window.is_known(200), "too old to know is known");
        assert!(!window.is_known(9_873) && window.is_known(9_872));
        assert!(!window.is_known(10_001));
    }
}
