//! The way becomes longer, or shorter: within seconds the delay of the buffer is what it was.

mod common;

use common::far_end::*;
use netem::{Jitter, Link};

fn way(delay_ms: u64) -> Link {
    Link {
        delay_us: delay_ms * 1_000,
        jitter: Jitter::Uniform { max_us: 2_000 },
        ..Link::default()
    }
}

#[test]
fn a_route_change_is_over_in_ten_seconds() {
    for (before_ms, after_ms) in [(30u64, 90), (30, 180), (30, 330), (180, 30), (330, 30)] {
        let mut line = Line::new(way(before_ms), 0, 5, G711);
        line.run_ms(60_000);
        line.take_delays();
        line.network.change(way(after_ms));
        line.run_ms(10_000);
        line.take_delays();
        line.run_ms(2_000);
        let after = line.take_delays();
        assert!(
            after.longest_ms < 50.0 && after.shortest_ms > 5.0,
            "{before_ms} to {after_ms}: {after:?}"
        );
        let concealed = line.concealed_ms();
        let step = after_ms.saturating_sub(before_ms);
        assert!(concealed <= step + 40, "{before_ms} to {after_ms}: {concealed}");
        line.run_ms(60_000);
        assert_eq!(line.concealed_ms(), concealed, "and nothing after it");
    }
}
