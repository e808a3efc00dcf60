//! Sequence numbers of one source: validity, loss, order and duplicates (RFC 3550 A.1 and A.3), and jitter (A.8).
//!
//! Against A.1: no probation, since the leg has checked the source's address; and the last [`WINDOW`] numbers are
//! remembered, so that a duplicate is known from a packet out of order.

/// A jump forward smaller than this is loss (RFC 3550 A.1).
pub const MAX_DROPOUT: u16 = 3_000;
/// A jump backward up to this is disorder (RFC 3550 A.1).
pub const MAX_MISORDER: u16 = 100;
/// Sequence numbers remembered to know duplicates.
pub const WINDOW: u32 = u128::BITS;

/// What a sequence number says about its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The newest so far.
    Newest(u64),
    /// Older than the newest, not seen before.
    Reordered(u64),
    /// Seen before.
    Duplicate,
    /// A jump, not to be believed unless the next packet follows it.
    Jump,
    /// The second packet after a jump: the source has started anew here.
    Restart(u64),
}

/// The numbers of one synchronisation source, extended beyond 16 bits.
#[derive(Clone, Debug)]
pub struct SequenceTracker {
    first: u64,
    newest: u64,
    seen: u128,
    after_jump: Option<u16>,
    /// All packets counted, duplicates too, and those that were unique: since the source started.
    received: u64,
    unique: u64,
    /// Loss of what went before a restart.
    lost_before: u64,
    /// For the fraction lost: expected and received at the last report.
    reported: (u64, u64),
    jitter: u32,
    transit: Option<u32>,
}

impl SequenceTracker {
    /// Starts with the first packet of a source, which is counted.
    pub fn new(sequence: u16) -> SequenceTracker {
        // One cycle ahead, so that packets from before the first have a number too.
        let first = u64::from(sequence) + (1 << 16);
        SequenceTracker {
            first,
            newest: first,
            seen: 1,
            after_jump: None,
            received: 1,
            unique: 1,
            lost_before: 0,
            reported: (0, 0),
            jitter: 0,
            transit: None,
        }
    }

    /// Goes on behind a number that another process has counted: what is not newer was seen.
    pub fn resume(newest: u64) -> SequenceTracker {
        SequenceTracker {
            first: newest,
            newest,
            seen: u128::MAX,
            ..SequenceTracker::new(0)
        }
    }

    /// Judges the next packet, and counts it unless it is a [`Verdict::Jump`].
    pub fn update(&mut self, sequence: u16) -> Verdict {
        let ahead = sequence.wrapping_sub(self.newest as u16);
        let behind = (self.newest as u16).wrapping_sub(sequence);
        let verdict = if ahead == 0 {
            Verdict::Duplicate
        } else if ahead < MAX_DROPOUT {
            self.newest += u64::from(ahead);
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            Verdict::Newest(self.newest)
        } else if behind <= MAX_MISORDER {
            self.reordered(behind)
        } else if self.after_jump == Some(sequence) {
            return self.restart(sequence);
        } else {
            self.after_jump = Some(sequence.wrapping_add(1));
            return Verdict::Jump;
        };
        self.after_jump = None;
        self.received += 1;
        self.unique += u64::from(verdict != Verdict::Duplicate);
        verdict
    }

    fn reordered(&mut self, behind: u16) -> Verdict {
        let bit = 1u128 << behind;
        if self.seen & bit != 0 {
            return Verdict::Duplicate;
        }
        self.seen |= bit;
        let extended = self.newest - u64::from(behind);
        self.first = self.first.min(extended);
        Verdict::Reordered(extended)
    }

    fn restart(&mut self, sequence: u16) -> Verdict {
        let fresh = SequenceTracker::new(sequence);
        // The extended number goes on rising, so that nothing from before is mistaken for something from after.
        let newest = (self.newest | 0xffff) + 1 + (1 << 16) + u64::from(sequence);
        *self = SequenceTracker {
            first: newest,
            newest,
            lost_before: self.lost(),
            jitter: self.jitter,
            ..fresh
        };
        Verdict::Restart(newest)
    }

    /// Takes the next transit time (arrival minus timestamp, both in samples) into the jitter.
    pub fn observe_transit(&mut self, transit: u32) {
        if let Some(last) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(last) as i32).unsigned_abs().min(0xffff);
            // RFC 3550 A.8, in integers scaled by 16.
            self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
        }
    }

    /// Forgets the last transit time: after a jump of timestamps it says nothing.
    pub fn forget_transit(&mut self) {
        self.transit = None;
    }

    /// Interarrival jitter in samples.
    pub fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// Packets that never came; duplicates do not make up for them.
    pub fn lost(&self) -> u64 {
        self.lost_before + (self.newest - self.first + 1).saturating_sub(self.unique)
    }

    /// The highest number so far, extended without limit.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The extended highest sequence number, as report blocks carry it.
    pub fn highest(&self) -> u32 {
        (self.newest - (1 << 16)) as u32
    }

    /// Cumulative loss as report blocks carry it: RFC 3550 A.3 counts duplicates as received, in 24 signed bits.
    pub fn cumulative_lost(&self) -> i32 {
        let expected = (self.newest - self.first + 1) as i64;
        (expected - self.received as i64).clamp(-0x80_0000, 0x7f_ffff) as i32
    }

    /// The fraction lost since the last call, in 1/256 (RFC 3550 A.3).
    pub fn take_fraction_lost(&mut self) -> u8 {
        let now = (self.newest - self.first + 1, self.received);
        let expected = now.0.saturating_sub(self.reported.0);
        let received = now.1.saturating_sub(self.reported.1);
        self.reported = now;
        let missing = expected.saturating_sub(received);
        (missing * 256).checked_div(expected).unwrap_or(0).min(255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_extended_over_the_wrap() {
        let mut tracker = SequenceTracker::new(65_534);
        assert_eq!(tracker.update(65_535), Verdict::Newest(65_536 + 65_535));
        assert_eq!(tracker.update(0), Verdict::Newest(2 * 65_536));
        assert_eq!(tracker.update(2), Verdict::Newest(2 * 65_536 + 2));
        assert_eq!(tracker.update(1), Verdict::Reordered(2 * 65_536 + 1));
        assert_eq!((tracker.lost(), tracker.highest()), (0, 65_536 + 2));
    }

    #[test]
    fn loss_is_what_never_came() {
        let mut tracker = SequenceTracker::new(10);
        for sequence in [11, 12, 15, 15, 15, 16] {
            tracker.update(sequence);
        }
        assert_eq!(tracker.lost(), 2, "13 and 14");
        assert_eq!(
            tracker.cumulative_lost(),
            0,
            "two duplicates make up for them in the report"
        );
        assert_eq!(tracker.update(13), Verdict::Reordered(65_536 + 13));
        assert_eq!(tracker.lost(), 1);
    }

    #[test]
    fn a_duplicate_is_known_however_old_within_the_window() {
        let mut tracker = SequenceTracker::new(0);
        (1..=50).for_each(|sequence| {
            tracker.update(sequence);
        });
        for sequence in [50, 49, 1, 0] {
            assert_eq!(tracker.update(sequence), Verdict::Duplicate, "{sequence}");
        }
    }

    #[test]
    fn a_packet_from_before_the_first_is_not_negative_loss() {
        let mut tracker = SequenceTracker::new(3);
        assert_eq!(tracker.update(2), Verdict::Reordered(65_536 + 2));
        assert_eq!((tracker.lost(), tracker.cumulative_lost()), (0, 0));
    }

    #[test]
    fn a_jump_is_believed_when_the_next_packet_follows_it() {
        for jump in [3_001u16, 32_767, 32_768, 60_000] {
            let mut tracker = SequenceTracker::new(100);
            tracker.update(102);
            let there = 102u16.wrapping_add(jump);
            assert_eq!(tracker.update(there), Verdict::Jump);
            assert_eq!(
                tracker.update(103),
                Verdict::Newest(65_536 + 103),
                "a stray packet changes nothing"
            );
            assert_eq!(tracker.update(there), Verdict::Jump);
            let restarted = tracker.update(there.wrapping_add(1));
            assert!(
                matches!(restarted, Verdict::Restart(number) if number > 65_536 + 103),
                "{restarted:?}"
            );
            assert_eq!(tracker.lost(), 1, "101, from before the jump");
            assert!(matches!(
                tracker.update(there.wrapping_add(2)),
                Verdict::Newest(_)
            ));
        }
        for jump in [1u16, 17, 100, 2_999] {
            let mut tracker = SequenceTracker::new(65_000);
            assert!(matches!(
                tracker.update(65_000u16.wrapping_add(jump)),
                Verdict::Newest(_)
            ));
            assert_eq!(tracker.lost(), u64::from(jump) - 1);
        }
    }

    #[test]
    fn the_fraction_lost_is_of_the_time_since_the_last_report() {
        let mut tracker = SequenceTracker::new(0);
        (1..100).filter(|n| n % 4 != 0).for_each(|n| {
            tracker.update(n);
        });
        assert_eq!(tracker.take_fraction_lost(), 61, "24 of 100 lost");
        (100..200).for_each(|n| {
            tracker.update(n);
        });
        assert_eq!(tracker.take_fraction_lost(), 0);
    }

    #[test]
    fn jitter_follows_the_formula() {
        let mut tracker = SequenceTracker::new(0);
        (0..1_000u32).for_each(|n| tracker.observe_transit(n % 2 * 80));
        // Differences of 80 samples, always: the estimate converges on 80.
        assert!((78..=80).contains(&tracker.jitter()), "{}", tracker.jitter());
        let mut steady = SequenceTracker::new(0);
        (0..100).for_each(|_| steady.observe_transit(u32::MAX - 3));
        assert_eq!(steady.jitter(), 0);
    }
}
