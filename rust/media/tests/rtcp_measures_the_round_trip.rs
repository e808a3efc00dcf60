//! RTCP between two nodes, and on one port with RTP.

mod common;

use common::wire::{Pair, calm, rough};
use common::*;
use media::rtp::rtcp::{Compound, RtcpPacket};
use media::{EngineConfig, LegRemote};

fn configs() -> [EngineConfig; 2] {
    // Wall clocks that do not agree: the round trip must not care.
    [
        EngineConfig::new(1, 0xe000_0000_0000_0000),
        EngineConfig::new(2, 0x1234_5678_9abc_def0),
    ]
}

#[test]
fn the_round_trip_is_that_of_the_wire() {
    for delay_ms in [0u64, 5, 40, 300] {
        let mut pair = Pair::new(configs(), [0, 0], calm(delay_ms));
        pair.run_ms(60_000);
        for end in 0..2 {
            let stats = pair.node(end).leg_stats();
            let round_trip = stats.round_trip_ms.expect("measured");
            assert!(
                (round_trip - 2.0 * delay_ms as f64).abs() < 1.0,
                "{delay_ms}: {round_trip}"
            );
            assert!(
                (6..=20).contains(&stats.rtcp_sent),
                "every five seconds or so: {}",
                stats.rtcp_sent
            );
            assert_eq!(stats.remote_lost, Some(0));
        }
    }
}

#[test]
fn each_end_learns_what_the_other_lost() {
    let mut pair = Pair::new(configs(), [0, 0], rough(3, 10, 5));
    pair.run_ms(120_000);
    for end in 0..2 {
        let theirs = pair.node(1 - end).leg_stats();
        let ours = pair.node(end).leg_stats();
        let reported = ours.remote_lost.expect("reported");
        assert!((400..800).contains(&theirs.lost), "{}", theirs.lost);
        assert!(
            reported <= theirs.lost as i64 && reported > theirs.lost as i64 * 8 / 10,
            "{reported}"
        );
        let jitter = ours.remote_jitter_ms.expect("reported");
        assert!(jitter > 0.1 && jitter < 5.0, "{jitter}");
    }
}

#[test]
fn intervals_are_random_around_five_seconds() {
    let mut node = Node::connected();
    node.run_ms(300_000);
    let times: Vec<u64> = node.rtcp.iter().map(|(at, ..)| at.tick()).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (2_500..=7_520).contains(gap)), "{gaps:?}");
    let mean = gaps.iter().sum::<u64>() as f64 / gaps.len() as f64;
    assert!((4_300.0..5_700.0).contains(&mean), "{mean}");
    assert!(
        gaps.iter().any(|gap| gap.abs_diff(gaps[0]) > 500),
        "not all alike"
    );
}

#[test]
fn a_leg_that_only_listens_sends_receiver_reports() {
    let mut node = Node::new();
    node.connect(LegRemote {
        send: false,
        ..remote(phone_rtp())
    });
    let mut phone = Phone::new();
    for _ in 0..500 {
        node.rtp(&phone.tone());
        node.run_ms(20);
    }
    let (_, to, data) = &node.rtcp[0];
    assert_eq!(*to, phone_rtcp());
    let Some(RtcpPacket::ReceiverReport(_, mut blocks)) = Compound::parse(data).unwrap().next() else {
        panic!("no receiver report");
    };
    assert_eq!(blocks.next().unwrap().ssrc, phone.ssrc);
}

#[test]
fn closing_says_goodbye() {
    let mut node = Node::connected();
    node.run_ms(100);
    node.rtcp.clear();
    let ssrc = node.engine.leg_ssrc(node.leg).unwrap();
    node.engine.close_session(node.now, node.session).unwrap();
    node.drain();
    let (_, to, data) = &node.rtcp[0];
    assert_eq!(*to, phone_rtcp());
    let packets: Vec<RtcpPacket<'_>> = Compound::parse(data).unwrap().collect();
    assert!(
        matches!(packets[0], RtcpPacket::SenderReport(sender, info, _) if sender == ssrc && info.packets == 5)
    );
    let RtcpPacket::Goodbye(mut sources) = packets[2] else {
        panic!("{packets:?}")
    };
    assert_eq!(sources.next(), Some(ssrc));
}

#[test]
fn the_sender_reports_clock_fits_its_timestamp() {
    let mut node = Node::connected();
    node.run_ms(30_000);
    let infos: Vec<_> = node
        .rtcp
        .iter()
        .filter_map(|(_, _, data)| match Compound::parse(data).unwrap().next() {
            Some(RtcpPacket::SenderReport(_, info, _)) => Some(info),
            _ => None,
        })
        .collect();
    assert!(infos.len() >= 4);
    for pair in infos.windows(2) {
        let seconds = (pair[1].ntp - pair[0].ntp) as f64 / 4_294_967_296.0;
        let samples = f64::from(pair[1].rtp_timestamp.wrapping_sub(pair[0].rtp_timestamp));
        assert!(
            (samples - seconds * 8_000.0).abs() < 2.0,
            "{samples} in {seconds} s"
        );
        assert_eq!(
            pair[1].octets - pair[0].octets,
            (pair[1].packets - pair[0].packets) * 160
        );
    }
}

#[test]
fn on_one_port_rtcp_is_told_from_rtp() {
    let mut node = Node::new();
    node.connect(LegRemote {
        rtcp_mux: true,
        also_from: None,
        srtp: None,
        rtcp: None,
        ..remote(phone_rtp())
    });
    let mut phone = Phone::new();
    let behind_nat = address("192.0.2.10:50123");
    node.rtp_from(behind_nat, &phone.tone());
    node.run_ms(20_000);
    assert!(node.rtcp.len() >= 2);
    assert_eq!(
        node.rtcp.last().unwrap().1,
        behind_nat,
        "through the same hole as RTP"
    );
    let mut report = Vec::new();
    media::rtp::rtcp::write_report(&mut report, phone.ssrc, None, None);
    node.rtp_from(behind_nat, &report);
    assert_eq!(
        (
            node.leg_stats().rtcp_received,
            node.leg_stats().unknown_payload_type
        ),
        (1, 0)
    );
}

#[test]
fn without_an_address_and_without_multiplexing_no_rtcp_is_sent() {
    let mut node = Node::new();
    node.connect(LegRemote {
        rtcp: None,
        ..remote(phone_rtp())
    });
    node.run_ms(30_000);
    assert!(node.rtcp.is_empty());
}
