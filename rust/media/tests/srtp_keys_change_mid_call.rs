//! Keys come, change and go with signalling; garbage changes nothing, and ends no call.

mod common;

use common::records::{keeping, records_of, restore};
use common::secure::*;
use common::*;
use media::srtp::Suite;
use media::{EngineConfig, LegRemote, Source};

const SUITE: Suite = Suite::AesCm128HmacSha1_80;

#[test]
fn what_is_sent_can_be_heard_only_with_the_key() {
    for suite in Suite::ALL {
        let mut node = Node::new();
        node.connect(secure_remote(suite, 1));
        node.run_ms(200);
        let (mut phone, mut eavesdropper) = (SecurePhone::new(suite, 1), SecurePhone::new(suite, 5));
        assert_eq!(node.packets.len(), 10);
        for packet in &node.packets {
            assert_eq!(packet.payload.len(), 160 + suite.rtp_tag_bytes());
            assert_eq!(eavesdropper.hear(packet), None);
            assert_eq!(phone.hear(packet), Some(vec![0xff; 160]));
        }
        node.engine.close_session(node.now, node.session).unwrap();
        node.drain();
        let (_, _, mut goodbye) = node.rtcp.pop().unwrap();
        let length = phone.receiver.unprotect_rtcp(&mut goodbye).unwrap();
        assert_eq!(goodbye[length - 7], 203, "BYE, under the key of RTCP");
    }
}

#[test]
fn a_new_key_of_ours_is_a_new_source_and_its_counter_starts_at_zero() {
    let mut node = Node::new();
    node.connect(secure_remote(SUITE, 1));
    node.run_ms(100);
    let first = node.packets.last().unwrap().ssrc;
    node.connect(secure_remote(SUITE, 1));
    node.run_ms(100);
    assert_eq!(node.packets.last().unwrap().ssrc, first, "the same key goes on");
    node.connect(secure_remote(SUITE, 11));
    node.run_ms(100);
    let mut phone = SecurePhone::new(SUITE, 11);
    let fresh = &node.packets[10..];
    assert!(
        fresh
            .iter()
            .all(|packet| packet.ssrc != first && packet.sequence < 0x8000)
    );
    assert!(fresh.iter().all(|packet| phone.hear(packet).is_some()));
    // Without keys, and then with the first ones again: no index is used twice under them.
    node.connect(remote(phone_rtp()));
    node.run_ms(100);
    assert_eq!(node.packets.last().unwrap().payload.len(), 160);
    node.connect(secure_remote(SUITE, 1));
    node.run_ms(100);
    assert_ne!(node.packets.last().unwrap().ssrc, first);
}

#[test]
fn a_key_under_which_only_keep_alives_or_reports_were_sent_is_used_too() {
    for (rtcp, is_killed) in [
        (None, false),
        (None, true),
        (Some(phone_rtcp()), false),
        (Some(phone_rtcp()), true),
    ] {
        let on_hold = |seed| LegRemote {
            send: false,
            rtcp,
            ..secure_remote(SUITE, seed)
        };
        let mut node = keeping(EngineConfig::new(7, 0));
        node.connect(on_hold(1));
        node.run_ms(if rtcp.is_some() { 14_000 } else { 20_000 });
        let source = |node: &Node| node.packets.last().map(|packet| packet.ssrc);
        let first = match rtcp {
            Some(_) => node
                .rtcp
                .last()
                .map(|(_, _, report)| u32::from_be_bytes(report[4..8].try_into().unwrap())),
            None => source(&node),
        };
        assert!(first.is_some());
        if is_killed {
            let records = records_of(&mut node.engine);
            node.now = node.now.plus_millis(47);
            restore(&mut node, records);
        }
        node.connect(on_hold(11));
        node.run_ms(20_000);
        assert_ne!(source(&node), first, "{rtcp:?} {is_killed}");
    }
}

#[test]
fn a_new_key_of_the_far_end_is_taken_whether_its_counter_goes_on_or_starts_again() {
    for goes_on in [true, false] {
        let mut node = Node::new();
        node.connect(secure_remote(SUITE, 1));
        let mut phone = SecurePhone::new(SUITE, 1);
        for sequence in [20_000u16, 40_000, 60_000, 10_000, 10_001] {
            phone.phone.sequence = sequence;
            node.rtp(&phone.tone());
        }
        let state = phone.sender.state();
        assert_eq!(state.last_rtp, Some(0x1_0000 + 10_001));
        node.connect(secure_remote(SUITE, 11));
        node.rtp(&phone.tone());
        assert_eq!(node.leg_stats().srtp_auth_failed, 1, "the old key is gone");
        let sender = SecurePhone::new(SUITE, 11).sender;
        phone.sender = sender;
        if goes_on {
            phone.sender = media::srtp::SrtpSender::restore(&master(SUITE, 11), state);
        }
        for _ in 0..5 {
            node.rtp(&phone.tone());
        }
        let stats = node.leg_stats();
        assert_eq!((stats.packets_received, stats.srtp_auth_failed), (10, 1));
    }
}

#[test]
fn a_far_end_that_changes_its_source_is_heard() {
    let mut node = Node::new();
    node.connect(secure_remote(SUITE, 1));
    let mut phone = SecurePhone::new(SUITE, 1);
    for ssrc in [1, 2, 3] {
        phone.phone.ssrc = ssrc;
        phone.phone.sequence = 65_500;
        for _ in 0..100 {
            node.rtp(&phone.tone());
            node.run_ms(20);
        }
    }
    let stats = node.leg_stats();
    assert_eq!((stats.srtp_auth_failed, stats.ssrc_changes), (0, 2));
}

#[test]
fn garbage_ends_no_call() {
    for suite in Suite::ALL {
        let mut node = Node::new();
        node.connect(LegRemote {
            rtcp_mux: true,
            ..secure_remote(suite, 1)
        });
        let mut phone = SecurePhone::new(suite, 1);
        let plain = Phone::new().tone();
        for n in 0..2_000usize {
            let mut forged = phone.tone();
            let at = n % forged.len();
            node.rtp(&forged.clone());
            // One bit, anywhere: in the header it may be another number or source, and is as little authentic. One bit
            // of the version makes it something else than RTP.
            forged[at] ^= 1 << (n % 8);
            node.rtp(&forged);
            node.rtp(&forged[..at]);
            node.rtp(&plain);
            node.rtp(&[&[0x80, 200][..], &plain[2..]].concat());
            let from = phone_rtcp();
            let leg = node.leg;
            node.engine.receive(node.now, Source::Rtcp { leg, from }, &forged);
            node.run_ms(20);
        }
        let stats = node.leg_stats();
        assert_eq!(stats.packets_received, 2_000, "{suite:?}: {stats:?}");
        assert!(
            stats.srtp_auth_failed > 4_000 && stats.rtcp_received == 0,
            "{stats:?}"
        );
        assert_eq!(stats.concealed_ms, 0);
    }
}
