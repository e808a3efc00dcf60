//! The list of what is done to an RTP port, a test for each: the right counter rises, the call goes on, and the call
//! beside it on the same worker hears and says what it would have without.

mod common;

use std::sync::OnceLock;

use common::*;
use media::{LegKey, LegRemote, LegStats, SessionKey, Source, StreamKey};

const STRANGER: &str = "203.0.113.77:4000";
const OTHER_PHONE: &str = "192.0.2.20:4000";
/// Frames before something is done, and after.
const BEFORE: usize = 25;
const AFTER: usize = 50;
/// The longest of all.
const LONGEST: usize = 300;

/// The call something is done to, and the one beside it.
struct Calls {
    node: Node,
    phone: Phone,
    stream: StreamKey,
    other_session: SessionKey,
    other_leg: LegKey,
    other_phone: Phone,
    other_stream: StreamKey,
    frames: usize,
}

impl Calls {
    fn new() -> Calls {
        let mut node = Node::new();
        let stream = node.open_stream(stream_params(20, 8_000));
        let other_session = node.engine.open_session(node.now).unwrap();
        let other_leg = node.engine.open_leg(node.now, other_session).unwrap();
        let other = remote(address(OTHER_PHONE));
        node.engine.connect_leg(node.now, other_leg, other).unwrap();
        let params = stream_params(20, 8_000);
        let other_stream = node.engine.open_stream(node.now, other_session, params).unwrap();
        node.engine.stream_connected(node.now, other_stream).unwrap();
        node.drain();
        Calls {
            node,
            phone: Phone::new(),
            stream,
            other_session,
            other_leg,
            other_phone: Phone {
                ssrc: 0x0bad_cafe,
                ..Phone::new()
            },
            other_stream,
            frames: 0,
        }
    }

    /// Both phones talk for a while; ours by what `ours` makes of each of its packets.
    fn talk(&mut self, frames: usize, mut ours: impl FnMut(&mut Node, Vec<u8>)) {
        for _ in 0..frames {
            let packet = self.other_phone.tone();
            let source = Source::Rtp {
                leg: self.other_leg,
                from: address(OTHER_PHONE),
            };
            self.node.engine.receive(self.node.now, source, &packet);
            let packet = self.phone.tone();
            ours(&mut self.node, packet);
            if self.frames.is_multiple_of(20) {
                let text = audio(&tone(self.frames * 160, 3_200), 1);
                let source = Source::Stream(self.other_stream);
                self.node.engine.receive(self.node.now, source, text.as_bytes());
            }
            self.frames += 1;
            self.node.run_ms(20);
        }
    }

    fn talk_plainly(&mut self, frames: usize) {
        self.talk(frames, |node, packet| node.rtp(&packet));
    }

    fn stats(&self) -> LegStats {
        self.node.leg_stats()
    }

    /// What the call beside this one has heard and said.
    fn other(&self) -> (Vec<i16>, Vec<Vec<u8>>, LegStats) {
        let messages = self.node.messages.iter();
        let heard = messages
            .filter(|(_, stream, _)| *stream == self.other_stream)
            .filter_map(|(_, _, text)| audio_of(text))
            .flatten()
            .collect();
        let packets = self.node.packets.iter();
        let said = packets
            .filter(|packet| packet.to == address(OTHER_PHONE))
            .map(|packet| packet.payload.clone())
            .collect();
        let stats = self.node.engine.stats(self.other_session).unwrap().legs[0].1;
        (heard, said, stats)
    }

    /// Frames of ours that sounded for the application since `from`.
    fn sounding_since(&self, from: usize) -> usize {
        let messages = self.node.messages[from..].iter();
        messages
            .filter(|(_, stream, _)| *stream == self.stream)
            .filter_map(|(_, _, text)| audio_of(text))
            .filter(|samples| samples.iter().any(|sample| sample.unsigned_abs() > 1_000))
            .count()
    }
}

/// Runs one case: both calls talk, something is done, both talk on.
fn case(act: impl Fn(&mut Calls), check: impl Fn(&LegStats, &LegStats)) {
    case_with(remote(phone_rtp()), act, check);
}

fn case_with(far_end: LegRemote, act: impl Fn(&mut Calls), check: impl Fn(&LegStats, &LegStats)) {
    let mut calls = Calls::new();
    calls.node.connect(far_end);
    calls.talk_plainly(BEFORE);
    let before = calls.stats();
    act(&mut calls);
    let after = calls.stats();
    // A second for what has to be learned anew, and then all is as it was.
    calls.talk_plainly(AFTER);
    let (messages, packets) = (calls.node.messages.len(), calls.node.packets.len());
    calls.talk_plainly(50);
    assert!(calls.sounding_since(messages) >= 45, "the call does not go on");
    let said = calls.node.packets[packets..].iter();
    assert_eq!(
        said.filter(|packet| packet.to == phone_rtp()).count(),
        50,
        "nor do we"
    );
    check(&before, &after);

    let frames = calls.frames;
    let (heard, said, stats) = calls.other();
    let (expected_heard, expected_said) = alone();
    assert!(frames <= LONGEST && heard.len() > frames * 150, "{frames} frames");
    let (expected_heard, expected_said) = (&expected_heard[..heard.len()], &expected_said[..said.len()]);
    assert!(heard == expected_heard, "the other call hears something else");
    assert!(said == expected_said, "the other call says something else");
    assert_eq!(stats.packets_received, frames as u64);
    assert_eq!((stats.malformed, stats.wrong_source, stats.lost), (0, 0, 0));
}

/// What the other call hears and says when nothing is done to ours.
fn alone() -> &'static (Vec<i16>, Vec<Vec<u8>>) {
    static ALONE: OnceLock<(Vec<i16>, Vec<Vec<u8>>)> = OnceLock::new();
    ALONE.get_or_init(|| {
        let mut alone = Calls::new();
        alone.talk(LONGEST, |_, _| {});
        let (heard, said, _) = alone.other();
        (heard, said)
    })
}

/// A case for each name: what datagrams come from where, and the counter that rises by one with each.
macro_rules! datagrams {
    ($($name:ident: $from:expr, $counter:ident, $make:expr;)+) => {$(
        #[test]
        fn $name() {
            let make: fn(&Phone) -> Vec<Vec<u8>> = $make;
            case(
                |calls| {
                    for datagram in make(&calls.phone) {
                        calls.node.rtp_from($from, &datagram);
                    }
                },
                |before, after| {
                    let count = make(&Phone::new()).len() as u64;
                    assert_eq!(after.$counter - before.$counter, count, "{after:?}");
                },
            );
        }
    )+};
}

fn changed(phone: &Phone, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Vec<u8>> {
    let mut packet = phone.with_payload(&[0x55; 160]);
    change(&mut packet);
    vec![packet]
}

fn stranger() -> std::net::SocketAddr {
    address(STRANGER)
}

datagrams! {
    lengths_of_0_to_11_bytes: phone_rtp(), malformed, |_| (0..12).map(|length| vec![0x80; length]).collect();
    version_0_above_the_first_bytes_of_others: phone_rtp(), not_rtp, |phone| changed(phone, |packet| packet[0] = 0x00);
    version_1: phone_rtp(), not_rtp, |phone| changed(phone, |packet| packet[0] = 0x40);
    version_3: phone_rtp(), malformed, |phone| changed(phone, |packet| packet[0] = 0xc0);
    padding_longer_than_the_packet: phone_rtp(), malformed, |phone| changed(phone, |packet| {
        packet[0] |= 0x20;
        packet[171] = 161;
    });
    padding_of_nothing: phone_rtp(), malformed, |phone| changed(phone, |packet| {
        packet[0] |= 0x20;
        packet[171] = 0;
    });
    extension_that_overruns_the_packet: phone_rtp(), malformed, |phone| changed(phone, |packet| {
        packet[0] |= 0x10;
        packet[14..16].copy_from_slice(&[0xff, 0xff]);
    });
    fifteen_contributing_sources_cut_off: phone_rtp(), malformed, |phone| changed(phone, |packet| {
        packet[0] |= 15;
        packet.truncate(71);
    });
    unknown_payload_type: phone_rtp(), unknown_payload_type, |phone| changed(phone, |packet| packet[1] = 96);
    unknown_payload_type_that_changes_with_every_packet: phone_rtp(), unknown_payload_type, |phone| {
        (20..60).flat_map(|number| changed(phone, |packet| packet[1] = number)).collect()
    };
    sixty_four_kilobytes: phone_rtp(), malformed, |phone| vec![phone.with_payload(&[0x55; 65_000])];
    rtcp_of_four_bytes_on_the_rtp_port: phone_rtp(), unknown_payload_type, |_| vec![vec![0x80, 201, 0, 0]];
    stun_on_the_rtp_port: phone_rtp(), not_rtp, |_| {
        vec![[&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat()]
    };
    dtls_on_the_rtp_port: phone_rtp(), not_rtp, |_| {
        vec![vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], vec![20, 254, 253, 0]]
    };
    turn_and_zrtp_on_the_rtp_port: phone_rtp(), not_rtp, |_| vec![vec![0x40, 0, 0, 4, 1, 2, 3, 4], vec![16; 12]];
    a_spray_from_a_third_address_after_the_latch: stranger(), wrong_source, |phone| {
        (0..200).flat_map(|ssrc| (0..2).map(move |n| (ssrc, n)))
            .map(|(ssrc, n)| Phone { ssrc, sequence: n, ..phone.clone() }.with_payload(&[0x10; 160]))
            .collect()
    };
    a_spray_from_a_third_address_with_the_guessed_ssrc: stranger(), wrong_source, |phone| {
        (0..50).map(|n| Phone { sequence: phone.sequence.wrapping_add(n), ..phone.clone() }.with_payload(&[0x10; 160])).collect()
    };
    a_spray_from_the_right_host_but_another_port: address("192.0.2.10:4002"), wrong_source, |phone| {
        (0..50).map(|n| Phone { sequence: phone.sequence.wrapping_add(n), ..phone.clone() }.with_payload(&[0x10; 160])).collect()
    };
}

#[test]
fn a_payload_of_one_byte() {
    case(
        |calls| {
            let packet = calls.phone.say(&[0]);
            calls.node.rtp(&packet);
        },
        |before, after| assert_eq!(after.packets_received - before.packets_received, 1),
    );
}

#[test]
fn a_hundred_duplicates_of_each() {
    case(
        |calls| {
            calls.talk(10, |node, packet| {
                (0..101).for_each(|_| node.rtp(&packet));
            });
        },
        |before, after| {
            assert_eq!(after.duplicate - before.duplicate, 1_000);
            assert_eq!(after.lost, before.lost);
        },
    );
}

#[test]
fn reordering_by_200_ms() {
    case(
        |calls| {
            let mut held: Option<Vec<u8>> = None;
            calls.talk(40, |node, packet| {
                let sequence = u16::from_be_bytes([packet[2], packet[3]]);
                match sequence % 11 {
                    0 => held = Some(packet),
                    10 => {
                        node.rtp(&packet);
                        held.take().into_iter().for_each(|late| node.rtp(&late));
                    }
                    _ => node.rtp(&packet),
                }
            });
        },
        |before, after| {
            assert!(after.reordered - before.reordered >= 3, "{after:?}");
            assert_eq!(after.lost, before.lost, "they came");
        },
    );
}

#[test]
fn ten_times_the_rate() {
    case(
        |calls| {
            let said = calls.phone.clone();
            let mut flood = calls.phone.clone();
            calls.talk(50, |node, _| (0..10).for_each(|_| node.rtp(&flood.tone())));
            calls.phone = Phone {
                said: said.said,
                ..flood
            };
        },
        |before, after| {
            assert_eq!(after.packets_received - before.packets_received, 500);
            assert!(after.overflow + after.late + after.resyncs > 0, "{after:?}");
            assert!(after.buffer_ms < 1_000.0, "no flood is a memory: {after:?}");
        },
    );
}

/// The far end's numbers jump; it goes on from there.
fn jump(sequence: u16, timestamp: u32, ssrc: u32, check: impl Fn(&LegStats, &LegStats)) {
    case(
        |calls| {
            calls.phone.sequence = calls.phone.sequence.wrapping_add(sequence);
            calls.phone.timestamp = calls.phone.timestamp.wrapping_add(timestamp);
            calls.phone.ssrc = calls.phone.ssrc.wrapping_add(ssrc);
            calls.talk_plainly(50);
        },
        check,
    );
}

macro_rules! jumps {
    ($($name:ident: $sequence:expr, $timestamp:expr, $lost:expr, $restarts:expr;)+) => {$(
        #[test]
        fn $name() {
            jump($sequence, $timestamp, 0, |before, after| {
                assert_eq!(after.lost - before.lost, $lost, "{after:?}");
                assert_eq!(after.ssrc_changes, before.ssrc_changes);
                let restarts: std::ops::RangeInclusive<u64> = $restarts;
                assert!(restarts.contains(&(after.resyncs - before.resyncs)), "{after:?}");
            });
        }
    )+};
}

// A jump in which both numbers start anew is counted once. A jump below RFC 3550's MAX_DROPOUT is loss; beyond it the source starts anew, with the second packet that follows.
jumps! {
    the_sequence_number_jumps_by_1: 1, 160, 1, 0..=0;
    the_sequence_number_jumps_by_17: 17, 17 * 160, 17, 0..=1;
    the_sequence_number_jumps_by_100: 100, 100 * 160, 100, 0..=1;
    the_sequence_number_jumps_by_3000: 3_000, 3_000 * 160, 0, 1..=1;
    the_sequence_number_jumps_by_32767: 32_767, 32_767 * 160, 0, 1..=1;
    the_sequence_number_jumps_by_32768: 32_768, 32_768 * 160, 0, 1..=1;
    the_sequence_number_goes_back_by_3000: 62_536, 0, 0, 1..=1;
    the_timestamp_jumps_by_1_packet: 0, 160, 0, 0..=1;
    the_timestamp_jumps_by_17_packets: 0, 17 * 160, 0, 0..=1;
    the_timestamp_jumps_by_100_packets: 0, 100 * 160, 0, 1..=1;
    the_timestamp_jumps_by_3000_packets: 0, 3_000 * 160, 0, 1..=1;
    the_timestamp_jumps_by_half_its_range: 0, 1 << 31, 0, 1..=1;
    the_timestamp_goes_back_by_a_second: 0, 0u32.wrapping_sub(8_000), 0, 0..=1;
}

#[test]
fn the_ssrc_changes() {
    for change in [1, 17, 100, 3_000, 32_767, 32_768] {
        jump(0, 0, change, |before, after| {
            assert_eq!(after.ssrc_changes - before.ssrc_changes, 1);
        });
    }
}

#[test]
fn sequence_number_and_timestamp_wrap_in_the_same_packet() {
    case(
        |calls| {
            // They are brought near their ends first, which is a restart.
            calls.phone.sequence = 65_500;
            calls.phone.timestamp = 0u32.wrapping_sub(36 * 160);
            calls.talk_plainly(20);
            let before = calls.stats();
            calls.talk_plainly(50);
            let after = calls.stats();
            assert!(
                calls.phone.sequence < 100 && calls.phone.timestamp < 100_000,
                "they wrapped"
            );
            assert_eq!((after.lost, after.resyncs), (before.lost, before.resyncs));
        },
        |before, after| assert!(after.resyncs - before.resyncs <= 1),
    );
}

fn spray(calls: &mut Calls, packets: u16, as_the_far_end: bool) {
    let ssrc = if as_the_far_end {
        calls.phone.ssrc
    } else {
        0x6666_6666
    };
    for n in 0..packets {
        let forged = Phone {
            ssrc,
            sequence: calls.phone.sequence.wrapping_add(n),
            timestamp: calls.phone.timestamp.wrapping_add(160 * u32::from(n)),
            ..Phone::new()
        };
        calls
            .node
            .rtp_from(stranger(), &forged.with_payload(&[0x10; 160]));
    }
}

fn nothing_went_to_the_stranger(calls: &Calls) {
    assert!(calls.node.packets.iter().all(|packet| packet.to != stranger()));
    assert!(
        calls
            .node
            .rtcp
            .iter()
            .all(|(_, to, _)| to.ip() != stranger().ip())
    );
}

#[test]
fn a_spray_from_a_third_address_before_the_answer() {
    let mut calls = Calls::new();
    spray(&mut calls, 100, false);
    calls.talk(10, |node, _| node.rtp_from(stranger(), &[0x80; 172]));
    let stats = calls.stats();
    assert_eq!((stats.packets_received, stats.not_receiving), (0, 110));
    calls.node.connect(remote(phone_rtp()));
    calls.talk_plainly(50);
    assert_eq!(calls.stats().packets_received, 50);
    nothing_went_to_the_stranger(&calls);
}

#[test]
fn a_spray_from_a_third_address_in_the_three_seconds_after_the_answer() {
    let mut calls = Calls::new();
    calls.node.connect(remote(phone_rtp()));
    // The far end has not spoken yet, and nothing says that it is behind a NAT.
    for _ in 0..150 {
        spray(&mut calls, 2, false);
        calls.talk(1, |_, _| {});
    }
    let stats = calls.stats();
    assert_eq!((stats.packets_received, stats.wrong_source), (0, 300));
    calls.talk_plainly(50);
    assert_eq!(calls.stats().packets_received, 50);
    nothing_went_to_the_stranger(&calls);
}

#[test]
fn a_spray_from_a_third_address_while_the_far_end_is_learned_behind_a_nat() {
    let mut calls = Calls::new();
    // Signalling came from elsewhere than the description says: an address may prove itself, by packets in sequence.
    calls.node.connect(LegRemote {
        also_from: Some(address("198.51.100.9:1").ip()),
        ..remote(address("10.0.0.1:4000"))
    });
    for n in 0..100u16 {
        // Of four packets no two are of one source and in sequence.
        let forged = Phone {
            ssrc: u32::from(n % 2),
            sequence: n.wrapping_mul(977),
            ..Phone::new()
        };
        calls
            .node
            .rtp_from(stranger(), &forged.with_payload(&[0x10; 160]));
        calls.node.run_ms(5);
    }
    assert_eq!(calls.stats().packets_received, 0);
    let nat = address("198.51.100.9:61000");
    calls.talk(50, |node, packet| node.rtp_from(nat, &packet));
    assert_eq!(calls.stats().packets_received, 50);
    nothing_went_to_the_stranger(&calls);
}

#[test]
fn a_spray_from_a_third_address_during_hold() {
    for as_the_far_end in [false, true] {
        case(
            |calls| {
                let hold = LegRemote {
                    send: false,
                    receive: false,
                    ..remote(phone_rtp())
                };
                calls.node.connect(hold);
                let before = calls.stats();
                for _ in 0..100 {
                    spray(calls, 2, as_the_far_end);
                    calls.talk(1, |_, _| {});
                }
                assert_eq!(calls.stats().packets_received, before.packets_received);
                calls.node.connect(remote(phone_rtp()));
                nothing_went_to_the_stranger(calls);
            },
            |before, after| {
                assert!(
                    after.wrong_source + after.not_receiving > before.wrong_source,
                    "{after:?}"
                )
            },
        );
    }
}

#[test]
fn a_spray_from_a_third_address_at_take_over() {
    use media::record::{HeapStore, RecordStore};

    let mut calls = Calls::new();
    calls.node.connect(remote(phone_rtp()));
    calls.talk_plainly(BEFORE);
    // The records hold the latch: the engine that goes on is as deaf to strangers as the one before.
    calls.node.engine.keep_records(Box::new(HeapStore::new(4)));
    let store = calls.node.engine.record_store().unwrap();
    let mut records = HeapStore::new(4);
    records.node().copy_from_slice(store.node());
    for index in 0..store.slots() {
        let slot = store.slot(index).unwrap();
        records.slot(index).unwrap().copy_from_slice(slot);
    }
    let config = media::EngineConfig::new(8, 0);
    let restored = media::Engine::restore(config, calls.node.now, Box::new(records)).unwrap();
    calls.node.engine = restored.engine;
    spray(&mut calls, 100, false);
    spray(&mut calls, 100, true);
    calls.talk_plainly(50);
    let stats = calls.stats();
    assert_eq!(
        (stats.wrong_source, stats.packets_received),
        (200, (BEFORE + 50) as u64)
    );
    nothing_went_to_the_stranger(&calls);
}

/// A compound of `kind` for the far end's source, and then of a stranger's.
fn rtcp_from_a_third_address(kind: u8) {
    case(
        |calls| {
            let mut report = vec![0x80, 200, 0, 6];
            report.extend_from_slice(&calls.phone.ssrc.to_be_bytes());
            report.extend_from_slice(&[0xff; 20]);
            let mut goodbye = vec![0x80, 201, 0, 1];
            goodbye.extend_from_slice(&calls.phone.ssrc.to_be_bytes());
            goodbye.extend_from_slice(&[0x81, 203, 0, 1]);
            goodbye.extend_from_slice(&calls.phone.ssrc.to_be_bytes());
            let data = if kind == 200 { report } else { goodbye };
            let source = Source::Rtcp {
                leg: calls.node.leg,
                from: stranger(),
            };
            (0..20).for_each(|_| calls.node.engine.receive(calls.node.now, source, &data));
            calls.node.drain();
            nothing_went_to_the_stranger(calls);
        },
        |before, after| {
            assert_eq!(after.wrong_source - before.wrong_source, 20);
            assert_eq!(after.rtcp_received, before.rtcp_received);
        },
    );
}

#[test]
fn rtcp_goodbye_from_a_third_address() {
    rtcp_from_a_third_address(203);
}

#[test]
fn rtcp_sender_report_from_a_third_address() {
    rtcp_from_a_third_address(200);
}

#[test]
fn rtcp_of_four_bytes_on_the_rtcp_port() {
    case(
        |calls| {
            let source = Source::Rtcp {
                leg: calls.node.leg,
                from: phone_rtcp(),
            };
            calls
                .node
                .engine
                .receive(calls.node.now, source, &[0x80, 201, 0, 0]);
        },
        |before, after| assert_eq!(after.malformed - before.malformed, 1),
    );
}

#[test]
fn rtcp_goodbye_of_the_far_end_is_not_the_end_of_the_call() {
    case(
        |calls| {
            let mut goodbye = vec![0x80, 201, 0, 1];
            goodbye.extend_from_slice(&calls.phone.ssrc.to_be_bytes());
            goodbye.extend_from_slice(&[0x81, 203, 0, 1]);
            goodbye.extend_from_slice(&calls.phone.ssrc.to_be_bytes());
            let source = Source::Rtcp {
                leg: calls.node.leg,
                from: phone_rtcp(),
            };
            calls.node.engine.receive(calls.node.now, source, &goodbye);
        },
        |before, after| assert_eq!(after.rtcp_received - before.rtcp_received, 1),
    );
}
