//! Clocks that disagree: what is inserted or dropped is the drift, and the delay stays where it is.

mod common;

use common::far_end::*;
use netem::{Jitter, Link};

const HOURS: u64 = 3;

fn drifting(ppm: i64, link: Link) -> Line {
    let mut line = Line::new(link, ppm, 5, G711);
    line.run_ms(60_000);
    line.take_delays();
    for hour in 0..HOURS {
        line.run_ms(3_600_000);
        let delays = line.take_delays();
        let sane = 0.5 < delays.shortest_ms && delays.longest_ms < 35.0;
        assert!(sane, "{ppm} ppm, hour {hour}: {delays:?}");
    }
    line
}

#[test]
fn a_fast_sender_is_cut_by_the_drift_and_no_more() {
    for ppm in [50, 200] {
        let line = drifting(ppm, Link::default());
        let drift_ms = (HOURS * 3_600 + 60) * ppm as u64 / 1_000;
        let dropped = line.dropped_ms();
        assert!(dropped.abs_diff(drift_ms) <= 20, "{dropped} of {drift_ms} ms");
        assert_eq!((line.inserted_ms(), line.concealed_ms()), (0, 0));
    }
}

#[test]
fn a_slow_sender_is_stretched_by_the_drift_and_no_more() {
    for ppm in [-50, -200] {
        let line = drifting(ppm, Link::default());
        let drift_ms = (HOURS * 3_600 + 60) * ppm.unsigned_abs() / 1_000;
        let inserted = line.inserted_ms();
        assert!(inserted.abs_diff(drift_ms) <= 20, "{inserted} of {drift_ms} ms");
        assert_eq!((line.dropped_ms(), line.concealed_ms()), (0, 0));
    }
}

#[test]
fn jitter_beside_it_changes_nothing() {
    let jitter = Jitter::Uniform { max_us: 3_000 };
    for ppm in [-200i64, 200] {
        let line = drifting(
            ppm,
            Link {
                jitter,
                ..Link::default()
            },
        );
        let drift_ms = (HOURS * 3_600 + 60) as i64 * ppm / 1_000;
        let net_ms = line.dropped_ms() as i64 - line.inserted_ms() as i64;
        assert!((net_ms - drift_ms).abs() <= 20, "{net_ms} of {drift_ms} ms");
        let gross_ms = line.dropped_ms() + line.inserted_ms();
        assert!(gross_ms <= drift_ms.unsigned_abs() + 100, "{gross_ms}");
        assert_eq!(line.concealed_ms(), 0);
    }
}
