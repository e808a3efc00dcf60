//! Networks by name.
//!
//! The figures are of the order that operators and public measurements give for one direction; they are rounded and fit no
//! trace in particular. They are chosen so that each preset brings out what its network is known for:
//!
//! | name | one way | jitter | loss | why |
//! |---|---|---|---|---|
//! | `perfect` | 0 | 0 | 0 | to show that a fault is ours |
//! | `lan` | 0.3 ms | exponential 0.1 ms | 0 | one switch; what varies is the sender's operating system |
//! | `dsl` | 15 ms | normal 1 ms | 0.1 % | interleaving costs ≈ 8 ms; 1 Mbit/s up with a queue of a quarter second |
//! | `cable` | 10 ms | exponential 3 ms | 0.1 % | the upstream is granted in slots of 2 ms, and shared |
//! | `wifi` | 3 ms | exponential 2 ms | 0.3 %, bursts of 1.5 | a good link; clumps of 20–60 ms every 20 s (scans) |
//! | `wifi_busy` | 4 ms | Pareto 4 ms | 1.5 %, bursts of 2 | contention; clumps of 30–110 ms every 3 s (beacons are 102.4 ms apart: power save) |
//! | `lte` | 30 ms | exponential 5 ms | 0.3 %, bursts of 2 | HARQ hides loss as 8 ms each; handover of 30–80 ms every 30 s |
//! | `hspa` | 60 ms | Pareto 12 ms | 0.8 %, bursts of 3 | RLC repeats and so blocks; clumps of 80–200 ms every 15 s |
//! | `satellite` | 270 ms | normal 4 ms | 0.5 %, bursts of 4 | 36,000 km twice; rain comes in bursts |
//! | `intercontinental` | 90 ms | exponential 2 ms | 0.2 %, bursts of 3 | light in fibre for 15,000 km; parallel paths reorder 0.1 % |

use crate::jitter::{Clumps, Jitter};
use crate::loss::Loss;
use crate::{Link, RateLimit, Reordering};

/// The names, in the order of the table.
pub const NAMES: [&str; 10] = [
    "perfect",
    "lan",
    "dsl",
    "cable",
    "wifi",
    "wifi_busy",
    "lte",
    "hspa",
    "satellite",
    "intercontinental",
];

const fn clumps(every_ms: u64, min_ms: u64, max_ms: u64) -> Option<Clumps> {
    Some(Clumps {
        every_us: every_ms * 1_000,
        min_us: min_ms * 1_000,
        max_us: max_ms * 1_000,
    })
}

const fn pareto(scale_us: u64, max_us: u64) -> Jitter {
    Jitter::Pareto {
        scale_us,
        shape: 2.5,
        max_us,
    }
}

impl Link {
    /// The network of this name, one of [`NAMES`].
    pub fn named(name: &str) -> Option<Link> {
        Some(match name {
            "perfect" => Link::default(),
            "lan" => Link {
                delay_us: 300,
                jitter: Jitter::Exponential { mean_us: 100 },
                ..Link::default()
            },
            "dsl" => Link {
                delay_us: 15_000,
                jitter: Jitter::Normal { deviation_us: 1_000 },
                loss: Loss::Random(0.001),
                rate: Some(RateLimit {
                    bits_per_s: 1_000_000,
                    queue_bytes: 32_000,
                }),
                ..Link::default()
            },
            "cable" => Link {
                delay_us: 10_000,
                jitter: Jitter::Exponential { mean_us: 3_000 },
                loss: Loss::Random(0.001),
                ..Link::default()
            },
            "wifi" => Link {
                delay_us: 3_000,
                jitter: Jitter::Exponential { mean_us: 2_000 },
                clumps: clumps(20_000, 20, 60),
                loss: Loss::bursts(0.003, 1.5),
                ..Link::default()
            },
            "wifi_busy" => Link {
                delay_us: 4_000,
                jitter: pareto(4_000, 60_000),
                clumps: clumps(3_000, 30, 110),
                loss: Loss::bursts(0.015, 2.0),
                ..Link::default()
            },
            "lte" => Link {
                delay_us: 30_000,
                jitter: Jitter::Exponential { mean_us: 5_000 },
                clumps: clumps(30_000, 30, 80),
                loss: Loss::bursts(0.003, 2.0),
                ..Link::default()
            },
            "hspa" => Link {
                delay_us: 60_000,
                jitter: pareto(12_000, 150_000),
                clumps: clumps(15_000, 80, 200),
                loss: Loss::bursts(0.008, 3.0),
                ..Link::default()
            },
            "satellite" => Link {
                delay_us: 270_000,
                jitter: Jitter::Normal { deviation_us: 4_000 },
                loss: Loss::bursts(0.005, 4.0),
                ..Link::default()
            },
            "intercontinental" => Link {
                delay_us: 90_000,
                jitter: Jitter::Exponential { mean_us: 2_000 },
                loss: Loss::bursts(0.002, 3.0),
                reordering: Some(Reordering {
                    probability: 0.001,
                    by_us: 25_000,
                }),
                ..Link::default()
            },
            _ => return None,
        })
    }
}
