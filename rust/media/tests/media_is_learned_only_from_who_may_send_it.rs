//! Whose packets are heard, and where ours go: at every phase of a call a stranger sprays its port.

mod common;

use common::secure::*;
use common::*;
use media::srtp::Suite;
use std::net::SocketAddr;

use media::{Event, LegRemote, Source};

fn stranger() -> SocketAddr {
    address("203.0.113.5:4000")
}

/// The far end announces a private address; its signalling came from elsewhere.
fn behind_nat() -> LegRemote {
    LegRemote {
        also_from: Some(address("198.51.100.7:5060").ip()),
        ..remote(address("192.168.1.5:4000"))
    }
}

fn talk(node: &mut Node, from: SocketAddr, phone: &mut Phone, packets: usize) {
    for _ in 0..packets {
        node.rtp_from(from, &phone.tone());
        node.run_ms(20);
    }
}

fn other_phone() -> Phone {
    Phone {
        ssrc: 0xbad,
        sequence: 9,
        ..Phone::new()
    }
}

fn sent_to(node: &Node) -> SocketAddr {
    node.packets.last().unwrap().to
}

fn intruders(node: &Node) -> usize {
    node.count_events(|event| matches!(event, Event::LegIntruder { .. }))
}

#[test]
fn before_the_latch_only_announced_addresses_are_heard() {
    let mut node = Node::connected();
    talk(&mut node, stranger(), &mut other_phone(), 500);
    let stats = node.leg_stats();
    assert_eq!((stats.packets_received, stats.wrong_source), (0, 500));
    assert_eq!(sent_to(&node), phone_rtp());
    assert_eq!(intruders(&node), 1, "told once");
}

#[test]
fn behind_a_nat_an_address_proves_itself_with_packets_in_sequence() {
    let mut node = Node::new();
    node.connect(behind_nat());
    let public = address("203.0.113.77:61000");
    let mut phone = Phone::new();
    talk(&mut node, public, &mut phone, 4);
    assert_eq!(node.leg_stats().packets_received, 0, "four are not enough");
    assert_ne!(sent_to(&node), public);
    talk(&mut node, public, &mut phone, 2);
    assert_eq!(node.leg_stats().packets_received, 2);
    assert_eq!(sent_to(&node), public);
    talk(&mut node, stranger(), &mut other_phone(), 50);
    assert_eq!((node.leg_stats().packets_received, sent_to(&node)), (2, public));
}

#[test]
fn packets_out_of_sequence_or_of_many_sources_prove_nothing() {
    let mut node = Node::new();
    node.connect(behind_nat());
    let mut phone = other_phone();
    for n in 0..20u16 {
        phone.sequence = n * 2;
        node.rtp_from(stranger(), &phone.tone());
        phone.sequence = n * 2 + 1;
        phone.ssrc += 1;
        node.rtp_from(stranger(), &phone.tone());
        phone.payload_type = 97;
        node.rtp_from(stranger(), &phone.tone());
        phone.payload_type = 0;
        node.run_ms(20);
    }
    assert_eq!(node.leg_stats().packets_received, 0);
    assert_ne!(sent_to(&node), stranger());
}

#[test]
fn a_spray_does_not_keep_the_far_end_from_proving_itself() {
    let mut node = Node::new();
    node.connect(behind_nat());
    let public = address("203.0.113.77:61000");
    let (mut phone, mut noise) = (Phone::new(), other_phone());
    for n in 0..6u16 {
        for port in 0..3 {
            noise.ssrc += 1;
            node.rtp_from(
                SocketAddr::new(stranger().ip(), 4_000 + port + n % 2),
                &noise.tone(),
            );
        }
        node.rtp_from(public, &phone.tone());
        node.run_ms(20);
    }
    assert_eq!(sent_to(&node), public);
}

#[test]
fn an_address_may_prove_itself_only_in_the_first_seconds_and_only_behind_a_nat() {
    let mut node = Node::new();
    node.connect(behind_nat());
    node.run_ms(3_000);
    talk(&mut node, stranger(), &mut other_phone(), 50);
    assert_eq!(node.leg_stats().packets_received, 0);
    talk(&mut node, address("198.51.100.7:30000"), &mut Phone::new(), 1);
    assert_eq!(
        node.leg_stats().packets_received,
        1,
        "the signalling host may come later"
    );
    let mut node = Node::new();
    node.connect(LegRemote {
        also_from: Some(phone_rtp().ip()),
        ..remote(phone_rtp())
    });
    talk(&mut node, stranger(), &mut other_phone(), 50);
    assert_eq!(node.leg_stats().packets_received, 0, "no NAT, nothing to learn");
}

#[test]
fn after_the_latch_every_other_source_is_dropped() {
    let mut node = Node::connected();
    let mut phone = Phone::new();
    let mut guessed = phone.clone();
    for from in [stranger(), address("192.0.2.10:4002"), phone_rtp()] {
        for _ in 0..100 {
            node.rtp(&phone.tone());
            if from != phone_rtp() {
                guessed.sequence = phone.sequence;
                node.rtp_from(from, &guessed.tone());
            }
            node.run_ms(20);
        }
    }
    let stats = node.leg_stats();
    assert_eq!((stats.packets_received, stats.wrong_source), (300, 200));
    assert_eq!(sent_to(&node), phone_rtp());
    assert_eq!(
        intruders(&node),
        1,
        "one that knows the SSRC is told too, since the peer is there"
    );
}

#[test]
fn a_nat_that_moves_the_far_end_is_followed_after_a_silence() {
    let mut node = Node::connected();
    let mut phone = Phone::new();
    talk(&mut node, phone_rtp(), &mut phone, 50);
    let moved = address("192.0.2.10:50123");
    talk(&mut node, moved, &mut phone, 149);
    assert_eq!(
        (node.leg_stats().packets_received, sent_to(&node)),
        (50, phone_rtp())
    );
    talk(&mut node, moved, &mut phone, 50);
    assert_eq!(sent_to(&node), moved);
    assert!(node.leg_stats().packets_received >= 90);
    assert_eq!(intruders(&node), 0, "the peer is nobody's intruder");
    assert_eq!(
        node.count_events(|event| matches!(event, Event::LegFirstPacket { .. })),
        2
    );
}

#[test]
fn in_a_silence_a_stranger_does_not_take_the_place_of_the_far_end() {
    let mut node = Node::connected();
    let mut phone = Phone::new();
    talk(&mut node, phone_rtp(), &mut phone, 50);
    node.run_ms(5_000);
    talk(&mut node, stranger(), &mut other_phone(), 50);
    let mut guessed = phone.clone();
    guessed.sequence = guessed.sequence.wrapping_sub(40);
    talk(&mut node, stranger(), &mut guessed, 30);
    guessed.sequence = phone.sequence.wrapping_add(30_000);
    talk(&mut node, stranger(), &mut guessed, 50);
    assert_eq!(
        (node.leg_stats().packets_received, sent_to(&node)),
        (50, phone_rtp())
    );
    assert_eq!(intruders(&node), 1);
}

#[test]
fn on_hold_nothing_new_is_learned() {
    let mut node = Node::connected();
    let mut phone = Phone::new();
    talk(&mut node, phone_rtp(), &mut phone, 50);
    node.connect(LegRemote {
        receive: false,
        ..remote(phone_rtp())
    });
    node.run_ms(4_000);
    let mut guessed = phone.clone();
    talk(&mut node, stranger(), &mut guessed, 50);
    assert_eq!(sent_to(&node), phone_rtp());
    node.connect(remote(phone_rtp()));
    talk(&mut node, phone_rtp(), &mut phone, 50);
    assert_eq!(
        (node.leg_stats().packets_received, sent_to(&node)),
        (100, phone_rtp())
    );
}

#[test]
fn with_srtp_only_authentic_packets_are_learned_from() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut node = Node::new();
    node.connect(LegRemote {
        srtp: secure_remote(suite, 1).srtp,
        ..behind_nat()
    });
    let announced = address("192.168.1.5:4000");
    // Plain RTP, and SRTP of another key: even from the announced address.
    for from in [announced, stranger()] {
        talk(&mut node, from, &mut other_phone(), 10);
        let mut forger = SecurePhone::new(suite, 77);
        for _ in 0..10 {
            node.rtp_from(from, &forger.tone());
            node.run_ms(20);
        }
    }
    let stats = node.leg_stats();
    assert_eq!((stats.packets_received, stats.srtp_auth_failed), (0, 40));
    assert_eq!(sent_to(&node), announced);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::LegFirstPacket { .. })),
        0
    );
    let public = address("203.0.113.77:61000");
    let mut phone = SecurePhone::new(suite, 1);
    for _ in 0..6 {
        node.rtp_from(public, &phone.tone());
        node.run_ms(20);
    }
    assert_eq!((node.leg_stats().packets_received, sent_to(&node)), (2, public));
}

#[test]
fn control_packets_come_from_the_peer_or_not_at_all() {
    let mut node = Node::connected();
    let report = empty_report(9);
    let rtcp = |node: &mut Node, from: &str, data: &[u8]| {
        let source = Source::Rtcp {
            leg: node.leg,
            from: address(from),
        };
        node.engine.receive(node.now, source, data);
        node.drain();
        node.leg_stats()
    };
    let stats = rtcp(&mut node, "203.0.113.5:4001", &report);
    assert_eq!((stats.rtcp_received, stats.wrong_source), (0, 1));
    let stats = rtcp(&mut node, "192.0.2.10:9", &report);
    assert_eq!(
        stats.rtcp_received, 1,
        "before the latch any port of the announced host"
    );
    node.connect(behind_nat());
    talk(&mut node, address("198.51.100.7:30000"), &mut Phone::new(), 1);
    let stats = rtcp(&mut node, "192.168.1.5:4001", &report);
    assert_eq!(
        (stats.rtcp_received, stats.wrong_source),
        (1, 2),
        "it is not there"
    );
    for length in 0..8 {
        rtcp(&mut node, "198.51.100.7:30001", &report[..length]);
    }
    assert_eq!(node.leg_stats().malformed, 8);
    assert_eq!(rtcp(&mut node, "198.51.100.7:30001", &report).rtcp_received, 2);
}
