//! Where nothing is lost and little is late, nothing is invented, whatever the phase of packets and frames.

mod common;

use common::far_end::*;
use netem::{Jitter, Link};

#[test]
fn an_hour_without_jitter_is_heard_as_it_was_sent() {
    for delay_us in [0, 4_000, 9_000, 14_000, 19_000] {
        let mut line = Line::new(
            Link {
                delay_us,
                ..Link::default()
            },
            0,
            5,
            G711,
        );
        line.run_ms(3_600_000);
        let delays = line.take_delays();
        assert_eq!(
            (line.concealed_ms(), line.inserted_ms(), line.dropped_ms()),
            (0, 0, 0)
        );
        assert!((1.0..=22.0).contains(&delays.longest_ms), "{delays:?}");
    }
}

#[test]
fn an_hour_of_small_jitter_conceals_at_most_five_times() {
    for jitter in [
        Jitter::Uniform { max_us: 5_000 },
        Jitter::Normal { deviation_us: 1_000 },
        Jitter::Exponential { mean_us: 300 },
    ] {
        let mut line = Line::new(
            Link {
                jitter,
                ..Link::default()
            },
            0,
            5,
            G711,
        );
        line.run_ms(3_600_000);
        assert!(
            line.concealed_ms() <= 5 * 20,
            "{jitter:?}: {}",
            line.concealed_ms()
        );
        assert!(line.take_delays().longest_ms < 45.0);
    }
}
