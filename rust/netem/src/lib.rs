//! A bad network with a seed, in virtual time.
//!
//! Packets go in with the time they are sent, and come out with the time they arrive; nothing here reads a clock or
//! sleeps, and the same seed gives the same weather. One [`Network`] is one direction. For tests and benches.
//!
//! ```
//! use netem::{Link, Network};
//!
//! let mut network = Network::new(Link::named("wifi_busy").unwrap(), 1);
//! for n in 0..50u64 {
//!     network.send(n * 20_000, 172, n);
//! }
//! while let Some((arrived_us, n)) = network.receive(u64::MAX) {
//!     assert!(arrived_us >= n * 20_000 + 4_000);
//! }
//! ```
//!
//! What befalls a packet, in this order: loss → the queue of a slow line → delay and jitter → clumps → reordering →
//! duplication. Unless it is chosen for reordering, a packet never overtakes another (as in a queue); set
//! [`Link::overtaking`] for a network where each packet goes its own way.
//!
//! Left out: corruption (UDP's checksum drops it, so it is loss), and loss that depends on the load of others.

mod clock;
mod jitter;
mod loss;
mod presets;
mod random;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub use clock::Clock;
pub use jitter::{Clumps, Jitter};
pub use loss::Loss;
pub use presets::NAMES;
pub use random::Random;

/// Packets on their way at once. Rule when full: the newest is dropped and counted as overflow.
pub const MAX_FLYING: usize = 65_536;

/// What a direction of a network does to packets. The default does nothing at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The delay of the way itself, in microseconds.
    pub delay_us: u64,
    /// Extra delay of each packet.
    pub jitter: Jitter,
    /// Times when nothing passes.
    pub clumps: Option<Clumps>,
    /// What is lost.
    pub loss: Loss,
    /// Packets that are overtaken by others.
    pub reordering: Option<Reordering>,
    /// Jitter may change the order.
    pub overtaking: bool,
    /// Probability that a packet comes twice.
    pub duplication: f64,
    /// A slow line with a queue before it.
    pub rate: Option<RateLimit>,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            delay_us: 0,
            jitter: Jitter::None,
            clumps: None,
            loss: Loss::None,
            reordering: None,
            overtaking: false,
            duplication: 0.0,
            rate: None,
        }
    }
}

/// Packets that take a longer way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reordering {
    /// Probability for each packet.
    pub probability: f64,
    /// How much later it comes, in microseconds.
    pub by_us: u64,
}

/// A line of some rate, and the queue before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Bits per second, above zero.
    pub bits_per_s: u64,
    /// What the queue holds; a packet that finds no room is lost.
    pub queue_bytes: u64,
}

/// What has happened to the packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Given in.
    pub sent: u64,
    /// Lost by the rule of loss.
    pub lost: u64,
    /// Lost for want of room, in the queue of a slow line or in [`MAX_FLYING`].
    pub overflow: u64,
    /// Sent on the longer way.
    pub reordered: u64,
    /// Delivered a second time.
    pub duplicated: u64,
}

struct Flying<P> {
    arrival: u64,
    number: u64,
    packet: P,
}

impl<P> Ord for Flying<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrival, self.number).cmp(&(other.arrival, other.number))
    }
}

impl<P> PartialOrd for Flying<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Flying<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P> Eq for Flying<P> {}

/// One direction of a network, with the packets that are on their way. Times are microseconds.
pub struct Network<P> {
    link: Link,
    random: Random,
    losing: loss::Losing,
    clumping: Option<jitter::Clumping>,
    flying: BinaryHeap<Reverse<Flying<P>>>,
    number: u64,
    /// When the slow line has sent all that waits for it.
    line_free_at: u64,
    last_arrival: u64,
    counters: Counters,
}

impl<P: Clone> Network<P> {
    /// A network in which nothing is on its way.
    pub fn new(link: Link, seed: u64) -> Network<P> {
        let mut random = Random::new(seed);
        Network {
            losing: loss::Losing::new(link.loss),
            clumping: link.clumps.map(|rule| jitter::Clumping::new(rule, &mut random)),
            random,
            link,
            flying: BinaryHeap::new(),
            number: 0,
            line_free_at: 0,
            last_arrival: 0,
            counters: Counters::default(),
        }
    }

    /// Another weather from now on; what is on its way stays on it.
    pub fn change(&mut self, link: Link) {
        if link.loss != self.link.loss {
            self.losing = loss::Losing::new(link.loss);
        }
        if link.clumps != self.link.clumps {
            self.clumping = link
                .clumps
                .map(|rule| jitter::Clumping::new(rule, &mut self.random));
        }
        self.link = link;
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Sends a packet of `bytes` (what counts on a slow line). Times of sending must not go backwards.
    pub fn send(&mut self, now: u64, bytes: usize, packet: P) {
        self.counters.sent += 1;
        if self.losing.loses(&mut self.random) {
            self.counters.lost += 1;
            return;
        }
        let Some(departure) = self.pass_line(now, bytes as u64) else {
            self.counters.overflow += 1;
            return;
        };
        let mut arrival = departure + self.link.delay_us + self.link.jitter.draw_us(&mut self.random);
        if let Some(clumping) = &mut self.clumping {
            arrival = clumping.release(arrival, &mut self.random);
        }
        if !self.link.overtaking {
            arrival = arrival.max(self.last_arrival);
        }
        match self.link.reordering {
            Some(rule) if self.random.chance(rule.probability) => {
                self.counters.reordered += 1;
                arrival += rule.by_us;
            }
            _ => self.last_arrival = self.last_arrival.max(arrival),
        }
        if self.link.duplication > 0.0 && self.random.chance(self.link.duplication) {
            self.counters.duplicated += 1;
            self.fly(arrival, packet.clone());
        }
        self.fly(arrival, packet);
    }

    /// When the line has sent it; `None` when the queue has no room.
    fn pass_line(&mut self, now: u64, bytes: u64) -> Option<u64> {
        let Some(rate) = self.link.rate else {
            return Some(now);
        };
        let bits_per_s = rate.bits_per_s.max(1);
        let waiting = self.line_free_at.saturating_sub(now) * bits_per_s / 8_000_000;
        if waiting + bytes > rate.queue_bytes {
            return None;
        }
        self.line_free_at = self.line_free_at.max(now) + bytes * 8_000_000 / bits_per_s;
        Some(self.line_free_at)
    }

    fn fly(&mut self, arrival: u64, packet: P) {
        if self.flying.len() == MAX_FLYING {
            self.counters.overflow += 1;
            return;
        }
        self.number += 1;
        self.flying.push(Reverse(Flying {
            arrival,
            number: self.number,
            packet,
        }));
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<u64> {
        self.flying.peek().map(|Reverse(next)| next.arrival)
    }

    /// The next packet that has arrived by `now`, and when it did.
    pub fn receive(&mut self, now: u64) -> Option<(u64, P)> {
        if self.next_arrival()? > now {
            return None;
        }
        self.flying.pop().map(|Reverse(next)| (next.arrival, next.packet))
    }
}
