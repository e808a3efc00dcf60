//! The quality of a leg: by the E-model from what was measured, at its interval, and nothing that was not.

mod common;

use common::wire::{Pair, calm, rough};
use common::{Node, address, remote};
use media::quality::{Direction, Quality, Scorer};
use media::{CommandError, EngineConfig, Event};

fn pair(weather: common::wire::Weather) -> Pair {
    Pair::new(
        [EngineConfig::new(1, 0), EngineConfig::new(2, 0)],
        [0, 0],
        weather,
    )
}

fn told(node: &Node) -> Vec<Quality> {
    let quality = |event: &Event| match event {
        Event::LegQuality { quality, .. } => Some(**quality),
        _ => None,
    };
    node.events
        .iter()
        .filter_map(|(_, event)| quality(event))
        .collect()
}

#[test]
fn nothing_is_told_of_what_nobody_has_measured() {
    let mut node = Node::connected();
    node.engine.report_quality(node.now, node.leg, 1_000).unwrap();
    node.run_ms(3_500);
    let told = told(&node);
    assert_eq!(told.len(), 3);
    for quality in told.into_iter().chain([node.leg_stats().quality]) {
        assert_eq!(
            (quality.heard, quality.sent),
            (Direction::default(), Direction::default())
        );
        assert_eq!(quality.round_trip_ms, None);
    }
}

#[test]
fn a_call_of_a_second_has_its_quality_too() {
    let mut pair = pair(calm(30));
    pair.run_ms(1_000);
    let heard = pair.node(0).leg_stats().quality.heard;
    assert!((46..=50).contains(&heard.packets.unwrap()), "{heard:?}");
    assert_eq!((heard.loss_pct, heard.discard_pct), (Some(0.0), Some(0.0)));
    assert!(heard.mos_lq.unwrap() > 4.4);
}

#[test]
fn a_clean_call_scores_as_well_as_g711_can() {
    let mut pair = pair(calm(30));
    let (now, leg) = (pair.node(0).now, pair.node(0).leg);
    pair.node(0).engine.report_quality(now, leg, 10_000).unwrap();
    pair.run_ms(31_000);
    let told = told(pair.node(0));
    assert_eq!(told.len(), 3);
    let last = told[2];
    assert_eq!(last.interval_ms, 10_000);
    assert_eq!(last.heard.packets, Some(500));
    assert_eq!(
        (last.heard.loss_pct, last.heard.discard_pct),
        (Some(0.0), Some(0.0))
    );
    assert!(last.heard.mos_lq.unwrap() > 4.4 && last.heard.mos_cq.unwrap() > 4.3);
    assert_eq!(last.heard.scored_by, Some(Scorer::Measured));
    assert!(
        (58.0..64.0).contains(&last.round_trip_ms.unwrap()),
        "{:?}",
        last.round_trip_ms
    );
    assert!(last.sent.mos_lq.unwrap() > 4.3, "{:?}", last.sent);
    assert_eq!(
        last.sent.scored_by,
        Some(Scorer::VoipMetrics),
        "the far end's own"
    );
}

#[test]
fn loss_is_measured_and_scored_on_both_sides() {
    let mut pair = pair(rough(5, 20, 0));
    pair.run_ms(60_000);
    let total = pair.node(0).leg_stats().quality;
    let loss = total.heard.loss_pct.unwrap();
    assert!((3.0..7.5).contains(&loss), "one in twenty: {loss}");
    assert!(
        (3.3..4.1).contains(&total.heard.mos_lq.unwrap()),
        "{:?}",
        total.heard
    );
    assert!(
        (3.3..4.2).contains(&total.sent.mos_lq.unwrap()),
        "{:?}",
        total.sent
    );
    assert!(total.heard.gap_density_pct.is_some());
}

#[test]
fn a_side_that_only_receives_has_its_round_trip_too() {
    let mut pair = pair(calm(40));
    let mut listening = remote(address("192.0.2.2:6000"));
    listening.send = false;
    pair.node(0).connect(listening);
    pair.run_ms(40_000);
    let quality = pair.node(0).leg_stats().quality;
    let round_trip = quality.round_trip_ms.expect("by reference time and DLRR");
    assert!((78.0..84.0).contains(&round_trip), "{round_trip}");
    assert_eq!(
        quality.sent.packets, None,
        "nothing was sent, nothing was told of it"
    );
}

#[test]
fn an_interval_out_of_range_is_refused() {
    let mut node = Node::connected();
    for interval_ms in [1, 999, 3_600_001] {
        let refused = node.engine.report_quality(node.now, node.leg, interval_ms);
        assert!(
            matches!(refused, Err(CommandError::BadParameter(_))),
            "{interval_ms}"
        );
    }
}
