//! On hold, and where we only listen, a packet that means nothing leaves every fifteen seconds (RFC 6263).

mod common;

use common::secure::*;
use common::*;
use media::LegRemote;
use media::srtp::Suite;

fn on_hold() -> LegRemote {
    LegRemote {
        send: false,
        ..remote(phone_rtp())
    }
}

#[test]
fn who_sends_nothing_sends_a_keep_alive_every_fifteen_seconds() {
    let mut node = Node::connected();
    node.rtp_from(address("192.0.2.10:61000"), &Phone::new().tone());
    node.run_ms(1_000);
    node.connect(on_hold());
    let before = node.packets.len();
    node.run_ms(61_000);
    let kept = &node.packets[before..];
    assert_eq!(kept.len(), 4);
    assert_eq!(node.leg_stats().keep_alives_sent, 4);
    for pair in kept.windows(2) {
        assert_eq!(pair[1].at.millis_since(pair[0].at), 15_000);
        assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 750);
    }
    for packet in kept {
        assert_eq!((packet.payload_type, packet.payload.len()), (127, 0));
        assert_eq!(packet.to, address("192.0.2.10:61000"), "through the same hole");
        assert_eq!(packet.ssrc, node.packets[0].ssrc);
    }
    node.connect(remote(phone_rtp()));
    let before = node.packets.len();
    node.run_ms(20_000);
    assert!(
        node.packets[before..]
            .iter()
            .all(|packet| packet.payload_type == 0)
    );
}

#[test]
fn who_gets_a_keep_alive_hears_nothing_of_it() {
    let (mut node, mut far) = (Node::connected(), Node::connected());
    let mut phone = Phone::new();
    node.connect(on_hold());
    node.run_ms(16_000);
    let kept = node.packets.last().unwrap().bytes();
    for _ in 0..50 {
        far.rtp(&phone.tone());
        far.rtp(&kept);
        far.run_ms(20);
    }
    let stats = far.leg_stats();
    assert_eq!((stats.unknown_payload_type, stats.packets_received), (50, 50));
    assert_eq!((stats.lost, stats.ssrc_changes, stats.concealed_ms), (0, 0, 0));
}

#[test]
fn with_srtp_it_is_protected_and_speech_goes_on_after_it() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut node = Node::new();
    node.connect(secure_remote(suite, 1));
    let mut phone = SecurePhone::new(suite, 1);
    node.run_ms(500);
    // A packet time of 60 ms: the keep-alive takes the number of a packet that is then not sent.
    node.connect(LegRemote {
        send: false,
        ptime_ms: 60,
        ..secure_remote(suite, 1)
    });
    node.run_ms(15_020);
    node.connect(LegRemote {
        ptime_ms: 60,
        ..secure_remote(suite, 1)
    });
    node.run_ms(1_000);
    assert_eq!(node.leg_stats().keep_alives_sent, 1);
    let heard: Vec<_> = node
        .packets
        .iter()
        .filter_map(|packet| phone.hear(packet))
        .collect();
    assert_eq!(heard.len(), node.packets.len(), "all of it is authentic");
    assert_eq!(heard.iter().filter(|payload| payload.is_empty()).count(), 1);
    assert!(heard.len() >= 25 + 1 + 15);
}

#[test]
fn where_rtcp_shares_the_port_or_the_address_is_none_nothing_is_added() {
    let nowhere = address("0.0.0.0:4000");
    for held in [
        LegRemote {
            rtcp_mux: true,
            ..on_hold()
        },
        LegRemote {
            rtp: nowhere,
            ..on_hold()
        },
    ] {
        let mut node = Node::new();
        node.connect(held);
        node.run_ms(60_000);
        assert_eq!((node.packets.len(), node.leg_stats().keep_alives_sent), (0, 0));
        assert!(node.rtcp.len() >= 6);
    }
}
