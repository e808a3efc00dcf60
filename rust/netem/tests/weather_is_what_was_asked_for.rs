//! Each setting does to the packets what its name says, and the same seed does the same again.

use netem::{Clock, Clumps, Jitter, Link, Loss, NAMES, Network, RateLimit, Reordering};

const PACKETS: u64 = 100_000;
const EVERY_US: u64 = 20_000;

/// What arrived of a stream of a packet every 20 ms: when, and its number.
fn stream(link: Link, seed: u64) -> Vec<(u64, u64)> {
    let mut network = Network::new(link, seed);
    let mut arrived = Vec::new();
    for n in 0..PACKETS {
        let now = n * EVERY_US;
        while let Some(packet) = network.receive(now) {
            arrived.push(packet);
        }
        network.send(now, 200, n);
    }
    while let Some(packet) = network.receive(u64::MAX) {
        arrived.push(packet);
    }
    assert_eq!(network.next_arrival(), None);
    arrived
}

fn delays(arrived: &[(u64, u64)]) -> Vec<f64> {
    arrived
        .iter()
        .map(|(at, n)| *at as f64 - (n * EVERY_US) as f64)
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn near(got: f64, wanted: f64, share: f64) {
    assert!((got - wanted).abs() <= share * wanted, "{got} against {wanted}");
}

/// How many runs of lost numbers there are, and their mean length.
fn bursts(arrived: &[(u64, u64)]) -> (usize, f64) {
    let gaps: Vec<f64> = arrived
        .windows(2)
        .filter(|pair| pair[1].1 > pair[0].1 + 1)
        .map(|pair| (pair[1].1 - pair[0].1 - 1) as f64)
        .collect();
    (gaps.len(), mean(&gaps))
}

#[test]
fn the_default_does_nothing() {
    let arrived = stream(Link::default(), 1);
    assert!(arrived.iter().all(|(at, n)| *at == n * EVERY_US));
    assert_eq!(arrived.len() as u64, PACKETS);
}

#[test]
fn the_same_seed_gives_the_same_weather_and_another_seed_another() {
    for name in NAMES {
        let link = Link::named(name).unwrap();
        assert!(stream(link, 7) == stream(link, 7), "{name}");
        assert_eq!(stream(link, 7) == stream(link, 8), name == "perfect", "{name}");
    }
    assert_eq!(Link::named("carrier_pigeon"), None);
}

#[test]
fn random_loss_and_bursts_have_their_rate_and_their_length() {
    for rate in [0.01, 0.1] {
        let alone = stream(
            Link {
                loss: Loss::Random(rate),
                ..Link::default()
            },
            3,
        );
        near(1.0 - alone.len() as f64 / PACKETS as f64, rate, 0.1);
        near(bursts(&alone).1, 1.0 / (1.0 - rate), 0.05);
        let loss = Loss::bursts(rate, 4.0);
        near(loss.rate(), rate, 1e-6);
        let clumped = stream(
            Link {
                loss,
                ..Link::default()
            },
            3,
        );
        near(1.0 - clumped.len() as f64 / PACKETS as f64, rate, 0.2);
        near(bursts(&clumped).1, 4.0, 0.15);
    }
}

#[test]
fn each_jitter_has_its_mean_and_keeps_the_order() {
    let cases = [
        (Jitter::Uniform { max_us: 10_000 }, 5_000.0),
        (Jitter::Normal { deviation_us: 1_000 }, 3_000.0),
        (Jitter::Exponential { mean_us: 4_000 }, 4_000.0),
        (
            Jitter::Pareto {
                scale_us: 3_000,
                shape: 2.5,
                max_us: 1_000_000,
            },
            2_000.0,
        ),
    ];
    for (jitter, expected) in cases {
        // Alone on its way, a packet waits for none before it.
        let free = stream(
            Link {
                delay_us: 500,
                jitter,
                overtaking: true,
                ..Link::default()
            },
            5,
        );
        near(mean(&delays(&free)) - 500.0, expected, 0.05);
        let queued = stream(
            Link {
                jitter,
                ..Link::default()
            },
            5,
        );
        assert!(queued.is_sorted_by_key(|(_, n)| *n), "{jitter:?}");
    }
    let wild = stream(
        Link {
            jitter: Jitter::Exponential { mean_us: 30_000 },
            overtaking: true,
            ..Link::default()
        },
        5,
    );
    assert!(!wild.is_sorted_by_key(|(_, n)| *n));
}

#[test]
fn what_comes_in_a_clump_comes_all_at_once() {
    let arrived = stream(
        Link {
            clumps: Some(Clumps {
                every_us: 1_000_000,
                min_us: 100_000,
                max_us: 100_000,
            }),
            ..Link::default()
        },
        9,
    );
    let longest = delays(&arrived).into_iter().fold(0.0, f64::max);
    assert!(longest > 90_000.0 && longest <= 100_000.0, "{longest}");
    let together = arrived.chunk_by(|a, b| a.0 == b.0).filter(|c| c.len() >= 5);
    // 2,000 s, a clump every 1.1 s.
    near(together.count() as f64, 1_818.0, 0.1);
}

#[test]
fn reordered_packets_come_behind_those_after_them_and_twins_are_counted() {
    let link = Link {
        reordering: Some(Reordering {
            probability: 0.02,
            by_us: 30_000,
        }),
        duplication: 0.01,
        ..Link::default()
    };
    let arrived = stream(link, 11);
    let overtaken = arrived.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
    near(overtaken as f64, 2_000.0, 0.15);
    near(arrived.len() as f64 - PACKETS as f64, 1_000.0, 0.15);
}

#[test]
fn a_slow_line_paces_and_its_queue_overflows() {
    // 200 bytes take 10 ms.
    let line = Link {
        rate: Some(RateLimit {
            bits_per_s: 160_000,
            queue_bytes: 1_000,
        }),
        ..Link::default()
    };
    let mut network = Network::new(line, 1);
    for n in 0..8 {
        network.send(0, 200, n);
    }
    let arrived: Vec<(u64, u64)> = std::iter::from_fn(|| network.receive(u64::MAX)).collect();
    let expected: Vec<(u64, u64)> = (0..5).map(|n| ((n + 1) * 10_000, n)).collect();
    assert_eq!(arrived, expected);
    assert_eq!((network.counters().sent, network.counters().overflow), (8, 3));
}

#[test]
fn a_packet_arrives_only_when_its_time_has_come() {
    let mut network = Network::new(
        Link {
            delay_us: 50_000,
            ..Link::default()
        },
        1,
    );
    network.send(10_000, 200, "a");
    assert_eq!(network.next_arrival(), Some(60_000));
    assert_eq!(network.receive(59_999), None);
    assert_eq!(network.receive(60_000), Some((60_000, "a")));
}

#[test]
fn weather_changes_for_what_is_sent_after() {
    let mut network = Network::new(Link::default(), 1);
    network.send(0, 200, 0);
    network.change(Link {
        loss: Loss::Random(1.0),
        ..Link::default()
    });
    network.send(20_000, 200, 1);
    network.change(Link::default());
    network.send(40_000, 200, 2);
    let arrived: Vec<(u64, i32)> = std::iter::from_fn(|| network.receive(u64::MAX)).collect();
    assert_eq!(arrived, [(0, 0), (40_000, 2)]);
}

#[test]
fn a_drifting_clock_maps_there_and_back() {
    for ppm in [-200, 0, 200] {
        let clock = Clock::new(ppm);
        let day = 86_400_000_000;
        assert_eq!(clock.local(day) as i64 - day as i64, ppm * 86_400);
        for local in [0, 1, 19_999, 20_000, day] {
            let at = clock.true_micros(local);
            assert!(clock.local(at) >= local && (at == 0 || clock.local(at - 1) < local));
        }
    }
}
