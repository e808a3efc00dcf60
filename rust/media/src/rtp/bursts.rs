//! Bursts and gaps of loss (RFC 3611 §4.7.2), from which packets came, which came too late, and which never did.
//!
//! A packet's fate is settled when [`WINDOW`] newer ones have come; until then it may still arrive. A loss within
//! [`GMIN`] packets of another belongs to the same burst, a lone one to the gap (the algorithm of RFC 3611 A.2). Lengths
//! are in packets; who asks knows how long a packet is.

/// Packets received in a row that end a burst (RFC 3611 §4.7.2: 16 is recommended).
pub const GMIN: u8 = 16;
/// Packets whose fate is open.
pub const WINDOW: u32 = 64;
/// A jump of the numbers beyond this is a source that starts anew, not loss (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3_000;

/// What has been counted of a source: all packets whose fate is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Packets that were to come.
    pub expected: u64,
    /// Never came.
    pub lost: u64,
    /// Came, but too late to be heard.
    pub discarded: u64,
    /// Packets in bursts, and how many of those were lost or discarded.
    pub in_bursts: u64,
    /// Lost or discarded within bursts.
    pub missing_in_bursts: u64,
    /// Bursts.
    pub bursts: u64,
    /// Runs of packets missing in a row, of any length.
    pub runs: u64,
}

impl Losses {
    /// Lost or discarded.
    pub fn missing(&self) -> u64 {
        self.lost + self.discarded
    }

    /// What was counted after `before`, an earlier count of the same source.
    pub fn since(&self, before: &Losses) -> Losses {
        let minus = u64::saturating_sub;
        Losses {
            expected: minus(self.expected, before.expected),
            lost: minus(self.lost, before.lost),
            discarded: minus(self.discarded, before.discarded),
            in_bursts: minus(self.in_bursts, before.in_bursts),
            missing_in_bursts: minus(self.missing_in_bursts, before.missing_in_bursts),
            bursts: minus(self.bursts, before.bursts),
            runs: minus(self.runs, before.runs),
        }
    }

    /// Part of the packets missing; `None` before any was expected.
    pub fn missing_share(&self) -> Option<f64> {
        share(self.missing(), self.expected)
    }

    /// Part of the packets of bursts that is missing; `None` without a burst.
    pub fn burst_density(&self) -> Option<f64> {
        share(self.missing_in_bursts, self.in_bursts)
    }

    /// Part of the packets outside of bursts that is missing.
    pub fn gap_density(&self) -> Option<f64> {
        let missing = self.missing().saturating_sub(self.missing_in_bursts);
        share(missing, self.expected.saturating_sub(self.in_bursts))
    }

    /// Packets in a burst, on average; `None` without a burst.
    pub fn burst_packets(&self) -> Option<f64> {
        share(self.in_bursts, self.bursts)
    }

    /// Packets between bursts, on average; one gap more than bursts, since a call begins and ends with one.
    pub fn gap_packets(&self) -> Option<f64> {
        share(self.expected.saturating_sub(self.in_bursts), self.bursts + 1)
    }

    /// BurstR of ITU-T G.107: how much longer the runs of missing packets are than chance would have them; 1 at least.
    pub fn burst_ratio(&self) -> Option<f64> {
        let run = share(self.missing(), self.runs)?;
        Some((run * (1.0 - self.missing_share()?)).max(1.0))
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Heard,
    Discarded,
    Lost,
}

/// Follows the packets of one source.
#[derive(Clone, Debug, Default)]
pub struct Bursts {
    /// The newest number, once there is one; bit `n` of the masks is the packet `n` before it.
    newest: Option<u16>,
    came: u64,
    late: u64,
    /// Packets since the source began, up to the window.
    open: u32,
    losses: Losses,
    /// Packets heard since the last that was missing, saturating; the packets of the burst that may be under way and how
    /// many of them are missing.
    heard: u8,
    run: u64,
    run_missing: u64,
    in_run: bool,
}

impl Bursts {
    /// A packet came; `late`: too late to be heard. One that came before is not counted again.
    pub fn receive(&mut self, sequence: u16, late: bool) {
        let Some(newest) = self.newest else {
            (self.newest, self.came, self.late, self.open) = (Some(sequence), 1, u64::from(late), 1);
            return;
        };
        let ahead = sequence.wrapping_sub(newest);
        let behind = newest.wrapping_sub(sequence);
        if ahead == 0 {
            return;
        }
        if ahead < MAX_DROPOUT {
            for _ in 0..ahead {
                self.advance();
            }
            self.newest = Some(sequence);
            (self.came, self.late) = (self.came | 1, self.late | u64::from(late));
        } else if u32::from(behind) < self.open {
            let bit = 1 << behind;
            if self.came & bit == 0 {
                self.came |= bit;
                self.late |= if late { bit } else { 0 };
            }
        }
    }

    /// The source starts anew: what is open is settled, and its numbers mean nothing more.
    pub fn restart(&mut self) {
        if self.newest.take().is_some() {
            for age in (0..self.open).rev() {
                self.settle(self.fate(age));
            }
        }
        (self.came, self.late, self.open) = (0, 0, 0);
    }

    /// What has been counted; a burst under way is in it.
    pub fn losses(&self) -> Losses {
        let mut losses = self.losses;
        if self.run_missing >= 2 {
            losses.bursts += 1;
            losses.in_bursts += self.run;
            losses.missing_in_bursts += self.run_missing;
        }
        losses
    }

    /// The same as if nothing more came: what is still open is settled as it stands.
    pub fn final_losses(&self) -> Losses {
        let mut all = self.clone();
        all.restart();
        all.losses()
    }

    fn fate(&self, age: u32) -> Fate {
        let bit = 1u64 << age;
        match (self.came & bit != 0, self.late & bit != 0) {
            (false, _) => Fate::Lost,
            (true, true) => Fate::Discarded,
            (true, false) => Fate::Heard,
        }
    }

    fn advance(&mut self) {
        if self.open == WINDOW {
            self.settle(self.fate(WINDOW - 1));
        } else {
            self.open += 1;
        }
        (self.came, self.late) = (self.came << 1, self.late << 1);
    }

    fn settle(&mut self, fate: Fate) {
        self.losses.expected += 1;
        let missing = fate != Fate::Heard;
        self.losses.lost += u64::from(fate == Fate::Lost);
        self.losses.discarded += u64::from(fate == Fate::Discarded);
        self.losses.runs += u64::from(missing && !self.in_run);
        self.in_run = missing;
        if !missing {
            self.heard = self.heard.saturating_add(1);
            return;
        }
        if self.run_missing > 0 && self.heard < GMIN {
            self.run += u64::from(self.heard) + 1;
            self.run_missing += 1;
        } else {
            // What was under way is over. A lone loss is part of the gap.
            self.losses = self.losses();
            (self.run, self.run_missing) = (1, 1);
        }
        self.heard = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds packets of which `fate` tells the kind: `.` heard, `x` lost, `d` too late; then enough to settle them.
    fn losses(fates: &str) -> Losses {
        let mut bursts = Bursts::default();
        let tail = ".".repeat(WINDOW as usize);
        for (n, fate) in fates.chars().chain(tail.chars()).enumerate() {
            let sequence = 65_500u16.wrapping_add(n as u16);
            match fate {
                '.' => bursts.receive(sequence, false),
                'd' => bursts.receive(sequence, true),
                _ => {}
            }
        }
        bursts.losses()
    }

    #[test]
    fn losses_near_each_other_are_a_burst_and_a_lone_one_is_not() {
        let gap = ".".repeat(30);
        let seen = losses(&format!(".{gap}x{gap}xx..d..x{gap}d{gap}"));
        assert_eq!((seen.lost, seen.discarded), (4, 2));
        assert_eq!((seen.bursts, seen.in_bursts, seen.missing_in_bursts), (1, 8, 4));
        assert_eq!(seen.runs, 5);
        assert_eq!(seen.burst_density(), Some(0.5));
        assert_eq!(seen.expected, 1 + 4 * 30 + 1 + 8 + 1);
    }

    #[test]
    fn sixteen_heard_end_a_burst_and_fifteen_do_not() {
        let burst = |between: usize| losses(&format!(".x{}x", ".".repeat(between)));
        assert_eq!(burst(15).bursts, 1);
        assert_eq!(burst(16).bursts, 0);
    }

    #[test]
    fn what_comes_late_in_the_window_or_twice_is_neither_lost_nor_counted_twice() {
        let mut bursts = Bursts::default();
        for sequence in [1u16, 2, 4, 5, 5, 3, 3] {
            bursts.receive(sequence, false);
        }
        (6..200).for_each(|sequence| bursts.receive(sequence, false));
        assert_eq!(bursts.losses().missing(), 0);
        assert_eq!(bursts.losses().expected, 199 - u64::from(WINDOW));
    }

    #[test]
    fn a_source_that_starts_anew_is_no_loss() {
        let mut bursts = Bursts::default();
        (0..100).for_each(|sequence| bursts.receive(sequence, false));
        bursts.restart();
        (40_000..40_100).for_each(|sequence| bursts.receive(sequence, false));
        bursts.restart();
        assert_eq!((bursts.losses().expected, bursts.losses().missing()), (200, 0));
    }

    #[test]
    fn random_loss_has_a_burst_ratio_of_one_and_runs_a_greater() {
        assert_eq!(losses(&".........x".repeat(50)).burst_ratio(), Some(1.0));
        let ratio = losses(&format!("{}xxxx", ".".repeat(36)).repeat(20))
            .burst_ratio()
            .unwrap();
        assert!((3.4..3.8).contains(&ratio), "{ratio}");
        assert_eq!(losses("....").burst_ratio(), None);
    }
}
