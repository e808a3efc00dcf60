//! A packet that came before is known by its number and dropped, whoever sends it and whenever.

mod common;

use common::secure::*;
use common::*;
use media::srtp::{Refused, SrtpReceiver, SrtpSender, Suite};

#[test]
fn srtp_replay_is_dropped() {
    for suite in Suite::ALL {
        let mut node = Node::new();
        node.connect(secure_remote(suite, 1));
        let mut phone = SecurePhone::new(suite, 1);
        let packets: Vec<Vec<u8>> = (0..100).map(|_| phone.tone()).collect();
        for packet in &packets {
            node.rtp(packet);
            node.rtp(packet);
            node.run_ms(20);
        }
        for packet in &packets {
            node.rtp(packet);
        }
        let stats = node.leg_stats();
        assert_eq!(
            (
                stats.packets_received,
                stats.srtp_replayed,
                stats.srtp_auth_failed
            ),
            (100, 200, 0),
            "{suite:?}"
        );
        assert_eq!(stats.duplicate, 0, "dropped before it is decrypted and parsed");
    }
}

#[test]
fn a_replay_from_another_address_moves_nothing() {
    let mut node = Node::new();
    node.connect(secure_remote(Suite::AesCm128HmacSha1_80, 1));
    let mut phone = SecurePhone::new(Suite::AesCm128HmacSha1_80, 1);
    let recorded: Vec<Vec<u8>> = (0..50).map(|_| phone.tone()).collect();
    for packet in &recorded {
        node.rtp(packet);
        node.run_ms(20);
    }
    node.run_ms(10_000);
    for packet in &recorded {
        node.rtp_from(address("203.0.113.5:4000"), packet);
        node.run_ms(20);
    }
    assert_eq!(node.leg_stats().srtp_replayed, 50);
    assert_eq!(node.packets.last().unwrap().to, phone_rtp());
}

#[test]
fn a_source_that_has_given_way_to_another_cannot_be_replayed() {
    let suite = Suite::AeadAes128Gcm;
    let mut receiver = SrtpReceiver::new(&master(suite, 1));
    let mut phone = SecurePhone::new(suite, 1);
    let first = phone.tone();
    assert!(receiver.unprotect_rtp(&mut first.clone()).is_ok());
    phone.phone.ssrc ^= 1;
    assert!(receiver.unprotect_rtp(&mut phone.tone()).is_ok());
    assert_eq!(receiver.unprotect_rtp(&mut first.clone()), Err(Refused::Replayed));
}

#[test]
fn sources_are_bounded_and_only_authentic_ones_count() {
    let suite = Suite::AesCm128HmacSha1_32;
    let mut receiver = SrtpReceiver::new(&master(suite, 1));
    let (mut phone, mut stranger) = (SecurePhone::new(suite, 1), SecurePhone::new(suite, 9));
    for ssrc in 0..100 {
        stranger.phone.ssrc = ssrc;
        assert_eq!(
            receiver.unprotect_rtp(&mut stranger.tone()),
            Err(Refused::Unauthentic)
        );
    }
    for ssrc in 0..20 {
        phone.phone.ssrc = ssrc;
        let is_taken = receiver.unprotect_rtp(&mut phone.tone()).is_ok();
        assert_eq!(is_taken, ssrc < media::srtp::MAX_SOURCES as u32);
    }
}

#[test]
fn an_rtcp_replay_is_dropped_and_one_in_the_clear_too() {
    for suite in Suite::ALL {
        let mut sender = SrtpSender::new(&master(suite, 1));
        let mut receiver = SrtpReceiver::new(&master(suite, 1));
        let mut reports = Vec::new();
        for _ in 0..5 {
            let mut report = empty_report(7);
            sender.protect_rtcp(&mut report, 0).unwrap();
            reports.push(report);
        }
        for n in [1, 0, 3, 2, 4] {
            assert_eq!(receiver.unprotect_rtcp(&mut reports[n].clone()), Ok(8));
        }
        for report in &reports {
            assert_eq!(
                receiver.unprotect_rtcp(&mut report.clone()),
                Err(Refused::Replayed)
            );
        }
        // The E bit is authenticated, and even so it must be set.
        let mut clear = empty_report(7);
        sender.protect_rtcp(&mut clear, 0).unwrap();
        let word = if suite.is_aead() { clear.len() - 4 } else { 8 };
        clear[word] &= 0x7f;
        assert_eq!(receiver.unprotect_rtcp(&mut clear), Err(Refused::Unauthentic));
        assert_eq!(
            receiver.unprotect_rtcp(&mut empty_report(7)),
            Err(Refused::Malformed)
        );
    }
}
