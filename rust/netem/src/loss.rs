//! Which packets are lost: each by itself, or in bursts (Gilbert and Elliott's two states).

use crate::random::Random;

/// A rule of loss. Probabilities are 0.0..=1.0 per packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Nothing is lost.
    None,
    /// Each packet with this probability.
    Random(f64),
    /// A good and a bad state, each with its own loss.
    GilbertElliott {
        /// From good to bad, a packet.
        to_bad: f64,
        /// From bad to good, a packet.
        to_good: f64,
        /// Loss in the good state.
        loss_good: f64,
        /// Loss in the bad state.
        loss_bad: f64,
    },
}

impl Loss {
    /// Bursts: the share `rate` of all packets, `mean_burst` (at least 1) packets in a row on average. The bad state loses
    /// every packet, the good one none (Gilbert's simple model).
    pub fn bursts(rate: f64, mean_burst: f64) -> Loss {
        let to_good = 1.0 / mean_burst.max(1.0);
        Loss::GilbertElliott {
            to_bad: (to_good * rate / (1.0 - rate).max(1e-9)).min(1.0),
            to_good,
            loss_good: 0.0,
            loss_bad: 1.0,
        }
    }

    /// The share of packets that this loses in the long run.
    pub fn rate(self) -> f64 {
        match self {
            Loss::None => 0.0,
            Loss::Random(probability) => probability,
            Loss::GilbertElliott { to_bad, to_good, .. } if to_bad + to_good <= 0.0 => 0.0,
            Loss::GilbertElliott {
                to_bad,
                to_good,
                loss_good,
                loss_bad,
            } => (loss_good * to_good + loss_bad * to_bad) / (to_bad + to_good),
        }
    }
}

/// A rule and the state it is in.
#[derive(Clone, Debug)]
pub(crate) struct Losing {
    rule: Loss,
    bad: bool,
}

impl Losing {
    pub fn new(rule: Loss) -> Losing {
        Losing { rule, bad: false }
    }

    pub fn loses(&mut self, random: &mut Random) -> bool {
        match self.rule {
            Loss::None => false,
            Loss::Random(probability) => random.chance(probability),
            Loss::GilbertElliott {
                to_bad,
                to_good,
                loss_good,
                loss_bad,
            } => {
                let leave = if self.bad { to_good } else { to_bad };
                self.bad ^= random.chance(leave);
                random.chance(if self.bad { loss_bad } else { loss_good })
            }
        }
    }
}
