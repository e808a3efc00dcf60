//! The sequence number wraps every 21 minutes and 50 seconds; both sides keep the same rollover counter for a day.

mod common;

use common::secure::*;
use common::wire::{Pair, rough};
use common::*;
use media::srtp::{SrtpReceiver, SrtpSender, Suite};
use media::{EngineConfig, Numbering};

/// Wraps in 24 hours at 50 packets a second.
const WRAPS: u64 = 66;

fn packet(sequence: u16) -> Vec<u8> {
    let phone = Phone {
        sequence,
        ..Phone::new()
    };
    phone.with_payload(&sequence.to_be_bytes())
}

#[test]
fn a_day_of_packets_with_loss_and_disorder_at_every_wrap_is_understood() {
    for suite in Suite::ALL {
        let mut sender = SrtpSender::new(&master(suite, 3));
        let mut receiver = SrtpReceiver::new(&master(suite, 3));
        let mut index: u64 = 40_000;
        for wrap in 1..=WRAPS {
            // Far through the cycle (as if all between had been lost), then closely over the wrap.
            let around = (wrap << 16) - 20;
            let far = (index..around).step_by(9_000);
            let mut sent: Vec<(u64, Vec<u8>)> = far
                .chain(around..around + 40)
                .map(|index| {
                    let mut bytes = packet(index as u16);
                    sender.protect_rtp(&mut bytes, 0).unwrap();
                    (index, bytes)
                })
                .collect();
            assert_eq!(sender.state().last_rtp, Some(around + 39), "nothing is skipped");
            // Disorder across the wrap, and every seventh lost.
            let length = sent.len();
            sent[length - 30..length - 10].reverse();
            for (index, mut bytes) in sent.into_iter().filter(|(index, _)| index % 7 != 0) {
                let taken = receiver.unprotect_rtp(&mut bytes);
                assert_eq!(taken, Ok(14), "{suite:?}: {index:#x} at wrap {wrap}");
                assert_eq!(bytes[12..14], (index as u16).to_be_bytes());
            }
            index = around + 40;
        }
        assert_eq!(receiver.state().sources[0].rtp.newest >> 16, WRAPS);
    }
}

#[test]
fn both_sides_go_on_from_what_was_kept() {
    for suite in Suite::ALL {
        let key = master(suite, 3);
        let mut sender = SrtpSender::new(&key);
        let mut receiver = SrtpReceiver::new(&key);
        for sequence in (0..0x3_ffff_u64).step_by(20_000) {
            let mut bytes = packet(sequence as u16);
            sender.protect_rtp(&mut bytes, 0).unwrap();
            receiver.unprotect_rtp(&mut bytes).unwrap();
        }
        let newest = sender.state().last_rtp.unwrap();
        // What was kept is a few packets old; the tick says with which number to go on.
        let mut sender = SrtpSender::restore(&key, sender.state());
        let mut receiver = SrtpReceiver::restore(&key, receiver.state());
        let mut bytes = packet((newest + 10) as u16);
        sender.protect_rtp(&mut bytes, 0).unwrap();
        assert_eq!(sender.state().last_rtp, Some(newest + 10));
        assert_eq!(receiver.unprotect_rtp(&mut bytes), Ok(14));
        // A receiver that has lost its list, but knows about where it was, finds the rollover counter again, even when
        // the number has wrapped since; with a tag of 32 bits it does not guess.
        for behind in [0u64, 60_000] {
            let mut state = receiver.state();
            state.sources[0].rtp.seen = 0;
            state.sources[0].rtp.newest -= behind;
            let mut late = SrtpReceiver::restore(&key, state);
            let mut bytes = packet((newest + 11) as u16);
            let mut sender = SrtpSender::restore(&key, sender.state());
            sender.protect_rtp(&mut bytes, 0).unwrap();
            let is_found = late.unprotect_rtp(&mut bytes).is_ok();
            assert_eq!(
                is_found,
                behind == 0 || suite != Suite::AesCm128HmacSha1_32,
                "{suite:?}, {behind}"
            );
        }
    }
}

#[test]
fn a_call_in_bad_weather_crosses_the_wrap() {
    for suite in Suite::ALL {
        let numbering = |sequence| {
            Some(Numbering {
                ssrc: u32::from(sequence),
                sequence,
                timestamp: 0,
            })
        };
        let configs = [65_400, 65_500].map(|sequence| EngineConfig {
            numbering: numbering(sequence),
            ..EngineConfig::new(u64::from(sequence), 0)
        });
        let mut pair = Pair::new(configs, [0, 0], rough(5, 25, 60));
        for end in 0..2 {
            let keys = [master(suite, 1), master(suite, 2)];
            pair.secure(end, keys[end], keys[1 - end]);
        }
        pair.run_ms(10_000);
        for end in 0..2 {
            let stats = pair.node(end).leg_stats();
            assert_eq!((stats.srtp_auth_failed, stats.srtp_replayed), (0, 0), "{suite:?}");
            assert!(
                stats.packets_received > 450 && stats.rtcp_received > 0,
                "{stats:?}"
            );
        }
    }
}
