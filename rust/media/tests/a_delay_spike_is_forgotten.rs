//! A stall of the network, now and then: what came late is heard, and soon after the delay is what it was.

mod common;

use common::far_end::*;
use netem::{Clumps, Link};

/// A network that stands still once for so long.
fn stalled(line: &mut Line, stall_ms: u64) {
    let stall = Clumps {
        every_us: 1_000,
        min_us: stall_ms * 1_000,
        max_us: stall_ms * 1_000,
    };
    line.network.change(Link {
        clumps: Some(stall),
        ..Link::default()
    });
    line.run_ms(60);
    line.network.change(Link::default());
}

#[test]
fn one_stall_leaves_the_delay_as_it_was() {
    for stall_ms in [100, 150, 300, 800] {
        let mut line = Line::new(Link::default(), 0, 5, G711);
        line.run_ms(60_000);
        let before = line.take_delays().mean_ms;
        stalled(&mut line, stall_ms);
        line.run_ms(15_000);
        assert!(
            line.take_delays().longest_ms > before + 10.0,
            "{stall_ms}: it was felt"
        );
        line.run_ms(1_000);
        let after = line.take_delays();
        assert!(
            after.longest_ms < before + 21.0,
            "{stall_ms}: {before} before, {after:?} after 15 s"
        );
        assert_eq!(line.receiver.buffer().target_ms(), 11, "{stall_ms}");
    }
}

#[test]
fn nothing_of_a_short_stall_is_lost() {
    let mut line = Line::new(Link::default(), 0, 5, G711);
    line.run_ms(60_000);
    stalled(&mut line, 150);
    line.run_ms(20_000);
    let counters = line.receiver.buffer().counters();
    assert_eq!((counters.discarded, counters.overflow), (0, 0));
    let (invented, dropped) = (line.concealed_ms() + line.inserted_ms(), line.dropped_ms());
    assert!(invented >= 40, "{invented}");
    assert!(
        invented.abs_diff(dropped) <= 40,
        "{invented} invented, {dropped} dropped"
    );
}

#[test]
fn stalls_that_go_on_are_waited_for() {
    let mut line = Line::new(Link::default(), 0, 5, G711);
    line.network.change(Link {
        clumps: Some(Clumps {
            every_us: 1_000_000,
            min_us: 90_000,
            max_us: 90_000,
        }),
        ..Link::default()
    });
    line.run_ms(30_000);
    let concealed = line.concealed_ms();
    line.run_ms(60_000);
    assert!(line.concealed_ms() - concealed <= 200, "of sixty stalls of 90 ms");
    assert!(line.receiver.buffer().target_ms() >= 80);
    line.network.change(Link::default());
    line.run_ms(60_000);
    line.take_delays();
    line.run_ms(1_000);
    assert!(line.take_delays().longest_ms < 45.0);
}
