//! Twenty-four hours in virtual time: sequence numbers wrap 66 times, timestamps once, clocks disagree by 200 ppm, and at
//! the end the delay is that of the beginning.

mod common;

use common::far_end::*;
use netem::{Jitter, Link, Loss};

const DAY_MS: u64 = 86_400_000;

#[test]
fn a_day_of_drift_and_loss_leaves_no_trace() {
    let link = Link {
        delay_us: 30_000,
        jitter: Jitter::Uniform { max_us: 4_000 },
        loss: Loss::Random(0.000_1),
        ..Link::default()
    };
    let mut line = Line::new(link, 200, 11, G711);
    line.sequence = 65_400;
    line.timestamp = u32::MAX - 160 * 50;
    for hour in 0..24 {
        line.run_ms(DAY_MS / 24);
        let delays = line.take_delays();
        let sane = delays.longest_ms < 50.0 && (hour == 0 || delays.shortest_ms > 3.0);
        assert!(sane, "hour {hour}: {delays:?}");
    }
    let sent = DAY_MS / 20;
    let lost = line.receiver.lost();
    assert!((sent / 20_000..sent / 5_000).contains(&lost), "lost {lost}");
    let concealed = line.concealed_ms();
    assert!(
        concealed.abs_diff(lost * 20) <= 100,
        "{concealed} ms for {lost} packets"
    );
    let drift_ms = (DAY_MS / 1_000 * 200 / 1_000) as i64;
    let net_ms = line.dropped_ms() as i64 - line.inserted_ms() as i64;
    assert!((net_ms - drift_ms).abs() <= 30, "{net_ms} of {drift_ms} ms");
    let counters = line.receiver.buffer().counters();
    assert_eq!((counters.resyncs, counters.overflow), (0, 0));
    assert_eq!(line.receiver.counters().restarts, 0);
}
