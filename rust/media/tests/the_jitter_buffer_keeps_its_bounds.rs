//! The bounds that a call is given hold, and what the buffer takes of memory is what its codec needs.

mod common;

use common::far_end::*;
use common::payload_types;
use media::rtp::receiver::Receiver;
use media::{Bounds, Codec};
use netem::{Jitter, Link};

#[test]
fn the_target_stays_between_the_bounds_of_the_call() {
    let audio = payload_types(&[(0, Codec::Pcmu)]);
    let rough = Link {
        jitter: Jitter::Exponential { mean_us: 25_000 },
        ..Link::default()
    };
    for (min_ms, max_ms, link) in [(60, 200, Link::default()), (20, 60, rough), (0, 40, rough)] {
        let mut line = Line::new(link, 0, 5, G711);
        let bounds = Bounds::new(min_ms, max_ms).unwrap();
        line.receiver = Receiver::new(bounds, &audio);
        for second in 0..60 {
            line.run_ms(1_000);
            let target = line.receiver.buffer().target_ms();
            assert!((min_ms..=max_ms).contains(&target), "{second}: {target}");
        }
        line.take_delays();
        line.run_ms(10_000);
        let delays = line.take_delays();
        let (least, most) = (f64::from(min_ms) - 30.0, f64::from(max_ms) + 60.0);
        assert!(delays.mean_ms > least && delays.mean_ms < most, "{delays:?}");
        assert_eq!(line.receiver.buffer().bounds(), bounds);
    }
}

#[test]
fn no_delay_at_all_may_be_asked_for() {
    let mut line = Line::new(Link::default(), 0, 5, G711);
    line.receiver = Receiver::new(Bounds::new(0, 0).unwrap(), &payload_types(&[(0, Codec::Pcmu)]));
    line.run_ms(10_000);
    assert!(line.take_delays().longest_ms < 20.0);
    assert!(line.concealed_ms() <= 20);
}

#[test]
fn room_is_made_for_the_codecs_of_the_call() {
    let room = |codecs: &[(u8, Codec)], max_ms| {
        let bounds = Bounds::new(20, max_ms).unwrap();
        Receiver::new(bounds, &payload_types(codecs))
            .buffer()
            .room_bytes()
    };
    assert!(room(&[(0, Codec::Pcmu)], 200) < 6_000);
    assert!(room(&[(96, Codec::Opus)], 200) < 12_000);
    assert!(
        room(&[(96, Codec::L16(48_000))], 200) > 30_000,
        "it needs 96 bytes a millisecond"
    );
    assert!(room(&[(0, Codec::Pcmu)], 500) < 10_000);
}

#[test]
fn what_waited_while_nobody_listened_is_not_heard_long_after() {
    for unheard_ms in [500, 1_000, 4_000, 30_000] {
        // The far end goes on, or falls silent, so that nothing newer pushes out what is held.
        for talks_on_ms in [60, unheard_ms] {
            let mut line = Line::new(Link::default(), 0, 5, G711);
            line.run_ms(10_000);
            line.run_unheard_ms(talks_on_ms);
            line.silent = true;
            line.run_unheard_ms(unheard_ms - talks_on_ms);
            line.silent = false;
            line.take_delays();
            line.run_ms(1_000);
            let what = format!("{talks_on_ms} of {unheard_ms} ms");
            let longest = line.take_delays().longest_ms;
            assert!(longest <= 320.0, "{what}: {longest}");
            let ever = line.receiver.buffer().longest_delay_ms();
            assert!(ever <= 320.0, "{what}: {ever}");
            line.run_ms(10_000);
            line.take_delays();
            line.run_ms(1_000);
            let after = line.take_delays().longest_ms;
            assert!(after <= 50.0, "{what}: {after}");
        }
    }
}
