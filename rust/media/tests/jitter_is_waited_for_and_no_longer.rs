//! Stationary jitter: the delay is what its tail needs, few packets are late, and nothing is corrected back and forth.

mod common;

use common::far_end::*;
use netem::{Clumps, Jitter, Link};

struct Seen {
    delays: Delays,
    late: u64,
    concealed_ms: u64,
    corrected_ms: u64,
}

/// Five minutes, after half a minute of learning.
fn listen(link: Link) -> Seen {
    let mut line = Line::new(link, 0, 3, G711);
    line.run_ms(30_000);
    line.take_delays();
    let before = (
        line.receiver.buffer().counters().late,
        line.concealed_ms(),
        line.inserted_ms() + line.dropped_ms(),
    );
    line.run_ms(300_000);
    Seen {
        delays: line.take_delays(),
        late: line.receiver.buffer().counters().late - before.0,
        concealed_ms: line.concealed_ms() - before.1,
        corrected_ms: line.inserted_ms() + line.dropped_ms() - before.2,
    }
}

fn exponential(mean_ms: u64, overtaking: bool) -> Link {
    Link {
        delay_us: 30_000,
        jitter: Jitter::Exponential {
            mean_us: mean_ms * 1_000,
        },
        overtaking,
        ..Link::default()
    }
}

#[test]
fn exponential_jitter_loses_less_than_half_a_percent() {
    for (mean_ms, most_ms) in [(2, 25.0), (5, 40.0), (10, 75.0), (15, 100.0), (25, 155.0)] {
        for overtaking in [false, true] {
            let seen = listen(exponential(mean_ms, overtaking));
            let what = format!("mean {mean_ms} ms, overtaking {overtaking}: {:?}", seen.delays);
            assert!(seen.late <= 75, "{what}: {} of 15000 late", seen.late);
            assert!(seen.delays.mean_ms <= most_ms, "{what}");
            assert!(seen.concealed_ms <= 1_500, "{what}: {}", seen.concealed_ms);
            assert!(seen.corrected_ms <= 1_000, "{what}: {}", seen.corrected_ms);
        }
    }
}

#[test]
fn uniform_jitter_is_heard_whole() {
    for max_ms in [15, 30, 60] {
        let seen = listen(Link {
            jitter: Jitter::Uniform {
                max_us: max_ms * 1_000,
            },
            ..Link::default()
        });
        assert!(seen.late <= 40, "{max_ms}: {}", seen.late);
        assert!(
            seen.delays.longest_ms < max_ms as f64 + 50.0,
            "{max_ms}: {:?}",
            seen.delays
        );
    }
}

#[test]
fn the_clumps_of_a_sleeping_radio_are_heard_whole() {
    let seen = listen(Link {
        clumps: Some(Clumps {
            every_us: 102_400,
            min_us: 80_000,
            max_us: 80_000,
        }),
        ..Link::default()
    });
    assert!(seen.late <= 40, "{}", seen.late);
    assert!(seen.concealed_ms <= 800, "{}", seen.concealed_ms);
    assert!(seen.delays.longest_ms < 140.0, "{:?}", seen.delays);
}

#[test]
fn a_bad_minute_is_forgotten() {
    let mut line = Line::new(exponential(25, false), 0, 3, G711);
    line.run_ms(60_000);
    line.network.change(exponential(0, false));
    line.run_ms(60_000);
    line.take_delays();
    line.run_ms(2_000);
    let after = line.take_delays();
    assert!(after.longest_ms < 50.0, "{after:?}");
}
