//! How long a packet takes beyond the delay of the way: distributions of single packets, and clumps.

use crate::random::Random;

/// A distribution of extra delay, drawn for each packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// None.
    None,
    /// Uniform from zero.
    Uniform {
        /// The most, in microseconds.
        max_us: u64,
    },
    /// A bell around three deviations; what would be sooner than the way itself is cut at zero.
    Normal {
        /// Standard deviation in microseconds.
        deviation_us: u64,
    },
    /// Queues on the way: many small delays, few large ones.
    Exponential {
        /// The mean in microseconds.
        mean_us: u64,
    },
    /// A heavy tail (Lomax).
    Pareto {
        /// The scale in microseconds; the median is about 0.4 of it at shape 2.
        scale_us: u64,
        /// The smaller, the heavier; above 1, else there is no mean.
        shape: f64,
        /// Longer draws are cut to this.
        max_us: u64,
    },
}

impl Jitter {
    pub(crate) fn draw_us(self, random: &mut Random) -> u64 {
        let drawn = match self {
            Jitter::None => 0.0,
            Jitter::Uniform { max_us } => random.unit() * max_us as f64,
            Jitter::Normal { deviation_us } => {
                let deviation = deviation_us as f64;
                3.0 * deviation + random.normal(deviation)
            }
            Jitter::Exponential { mean_us } => random.exponential(mean_us as f64),
            Jitter::Pareto {
                scale_us,
                shape,
                max_us,
            } => random.pareto(scale_us as f64, shape).min(max_us as f64),
        };
        // The cast takes what is below zero as zero.
        drawn as u64
    }
}

/// Times when nothing passes: what arrives meanwhile is held and comes all at once at the end. Wi-Fi power save, a
/// handover between cells, a scan for other access points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clumps {
    /// Mean time from the end of one to the start of the next, in microseconds (exponential).
    pub every_us: u64,
    /// Shortest length in microseconds.
    pub min_us: u64,
    /// Longest length in microseconds; lengths are uniform between the two.
    pub max_us: u64,
}

/// The clump that is on, or comes next.
#[derive(Clone, Debug)]
pub(crate) struct Clumping {
    rule: Clumps,
    start: u64,
    end: u64,
}

impl Clumping {
    pub fn new(rule: Clumps, random: &mut Random) -> Clumping {
        let mut clumping = Clumping {
            rule,
            start: 0,
            end: 0,
        };
        clumping.draw_next(random);
        clumping
    }

    fn draw_next(&mut self, random: &mut Random) {
        let gap = random.exponential(self.rule.every_us.max(1) as f64) as u64;
        let length = self.rule.max_us.saturating_sub(self.rule.min_us) as f64 * random.unit();
        self.start = self.end + gap;
        // At least a microsecond on, so that looking for the next one ends.
        self.end = self.start + (self.rule.min_us + length as u64).max(1);
    }

    /// When what would arrive at `arrival` is let through.
    pub fn release(&mut self, arrival: u64, random: &mut Random) -> u64 {
        while arrival >= self.end {
            self.draw_next(random);
        }
        if arrival >= self.start { self.end } else { arrival }
    }
}
