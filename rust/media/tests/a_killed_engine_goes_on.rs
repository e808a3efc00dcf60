//! An engine is killed at every tick of a scripted call and made again from its records: what the far end and the
//! application receive is what they would have received, but for the outage.

mod common;

use std::collections::HashSet;

use common::records::{RING, keeping, records_of, restore};
use common::*;
use media::codec::g711::{self, Law};
use media::record::{HeapStore, RecordStore};
use media::{Encoding, Engine, EngineConfig, Event, Format, Source, StreamKey, StreamParams, Time};

/// Length of the call.
const CALL_MS: u64 = 1_000;
/// A crash is noticed and another engine runs so much later.
const OUTAGE_MS: u64 = 47;
/// What arrives at a millisecond of the script, whoever is there to take it.
#[derive(Clone)]
struct Script {
    phone: Phone,
    stream: StreamKey,
}

impl Script {
    fn arrive(&mut self, at: u64, node: Option<&mut Node>) {
        let mut datagrams = Vec::new();
        match at {
            // A digit: its end comes three times, and all three within an outage leave its lost end.
            300..400 if at % 20 == 3 => datagrams.push(self.phone.event(5, false, (at - 283) as u16 * 8)),
            400..460 if at % 20 == 3 => {
                datagrams.push(self.phone.event(5, true, 960));
                if at > 440 {
                    self.phone.timestamp += 1_440;
                }
            }
            _ if at % 20 == 3 => datagrams.push(self.phone.tone()),
            _ => {}
        }
        let Some(node) = node else { return };
        for datagram in datagrams {
            node.rtp(&datagram);
        }
        let stream = self.stream;
        match at {
            // Two long sentences, cleared in the middle; then three chunks, one of them interrupted.
            50 => node.message(stream, &audio(&sentence(1, 3_000), 1)),
            110 => node.message(stream, &audio(&sentence(2, 3_000), 2)),
            350 => node.message(stream, r#"{"type":"clear"}"#),
            500 => node.message(stream, &audio(&sentence(3, 1_600), 3)),
            501 => node.message(stream, &audio(&sentence(4, 1_600), 4)),
            502 => node.message(stream, &audio(&sentence(5, 1_600), 5)),
            560 => node.message(stream, r#"{"type":"interrupt","chunk_id":4}"#),
            _ => {}
        }
    }
}

/// Noise of which no two frames are alike, nor like one of another sentence; nowhere silent.
fn sentence(which: u64, count: usize) -> Vec<i16> {
    let mut state = which;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(which | 1);
        (state >> 51) as i16 + 100
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// The call at the moment of a crash.
struct Moment {
    at: u64,
    records: HeapStore,
    script: Script,
    packets: usize,
    events: usize,
}

/// Runs the script undisturbed, and notes every moment at which it may be killed: before and after what is due.
fn undisturbed() -> (Node, Vec<Moment>) {
    let mut node = Node::with(EngineConfig::new(7, 0xe000_0000_0000_0000));
    node.engine.keep_records(Box::new(HeapStore::with_ring(1, RING)));
    node.connect(remote(phone_rtp()));
    let stream = node.open_stream(stream_params(20, 8_000));
    let mut script = Script {
        phone: Phone::new(),
        stream,
    };
    let (start, mut moments) = (node.now, Vec::new());
    for at in 0..CALL_MS {
        node.now = start.plus_millis(at);
        script.arrive(at, Some(&mut node));
        for due in [false, true] {
            if due {
                node.engine.handle_timeout(node.now);
                node.drain();
            }
            if is_worth_killing_at(at) && (due || at % 20 == 0) {
                moments.push(Moment {
                    at,
                    records: records_of(&mut node.engine),
                    script: script.clone(),
                    packets: node.packets.len(),
                    events: node.events.len(),
                });
            }
        }
    }
    (node, moments)
}

/// Every tick; without optimisation every tick at which much happens, and every seventh of the others, which is not
/// always the same part of a frame.
fn is_worth_killing_at(at: u64) -> bool {
    let much = [45..65, 105..125, 300..310, 345..365, 395..470, 497..505, 555..570];
    at > 10 && (!cfg!(debug_assertions) || at.is_multiple_of(7) || much.iter().any(|span| span.contains(&at)))
}

/// The call as it goes on from a moment, with nobody there for the time of the outage.
fn killed(before: &Node, moment: Moment) -> Node {
    let mut node = Node::new();
    node.packets = before.packets[..moment.packets].to_vec();
    node.events = before.events[..moment.events].to_vec();
    node.now = Time::from_millis(10_000 + moment.at + OUTAGE_MS);
    (node.session, node.leg) = (before.session, before.leg);
    let mut script = moment.script;
    (moment.at + 1..moment.at + OUTAGE_MS).for_each(|at| script.arrive(at, None));
    let restored = restore(&mut node, moment.records);
    let params = restored.streams.iter().map(|(_, params)| params);
    let opened = StreamParams {
        input: Some(Format {
            encoding: Encoding::PcmS16le,
            rate_hz: 8_000,
        }),
        ..stream_params(20, 8_000)
    };
    assert!(params.eq([&opened]));
    let start = node.now;
    // So long that all has been played, however late.
    for at in moment.at + OUTAGE_MS..CALL_MS + OUTAGE_MS {
        node.now = start.plus_millis(at - moment.at - OUTAGE_MS);
        script.arrive(at, Some(&mut node));
        node.engine.handle_timeout(node.now);
        node.drain();
    }
    node
}

fn digits(node: &Node) -> Vec<char> {
    let digit = |(_, event): &(Time, Event)| match event {
        Event::DigitReceived { digit, .. } => Some(*digit),
        _ => None,
    };
    node.events.iter().filter_map(digit).collect()
}

/// The sound the far end heard, without silence.
fn heard(packets: &[SentPacket]) -> Vec<u8> {
    packets
        .iter()
        .flat_map(|packet| packet.payload.iter().copied())
        .filter(|code| *code != 0xff)
        .collect()
}

#[test]
fn killed_at_every_tick_it_repeats_and_loses_nothing_but_the_outage() {
    let (before, moments) = undisturbed();
    assert_eq!(digits(&before), ['5']);
    let reference = heard(&before.packets);
    assert!(reference.len() > 5_000, "{} samples of sound", reference.len());
    let cleared = codes(&[sentence(1, 3_000), sentence(2, 3_000)]);
    for moment in moments {
        let at = moment.at;
        let node = killed(&before, moment);
        for pair in node.packets.windows(2) {
            let ahead = pair[1].sequence.wrapping_sub(pair[0].sequence);
            assert!((1..=4).contains(&ahead), "killed at {at} ms: a jump of {ahead}");
            let elapsed = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert_eq!(elapsed, u32::from(ahead) * 160, "killed at {at} ms");
        }
        let numbers: HashSet<u16> = node.packets.iter().map(|packet| packet.sequence).collect();
        assert_eq!(
            numbers.len(),
            node.packets.len(),
            "killed at {at} ms: a number again"
        );
        let first = &before.packets[0];
        let same = |packet: &SentPacket| (packet.ssrc, packet.to) == (first.ssrc, phone_rtp());
        assert!(node.packets.iter().all(same), "killed at {at} ms");
        // Sound waits through the outage, and goes on with the very sample that was not heard yet. What a message in the
        // outage would have said is not said; here the tests of it are those of the sentences that came.
        let got = heard(&node.packets);
        let outage = at + 1..at + OUTAGE_MS;
        let lost = |message: u64| outage.contains(&message);
        if ![50, 110, 350, 500, 501, 502, 560].into_iter().any(lost) {
            let until_clear = if at < 350 && at + OUTAGE_MS > 50 {
                fewer(&got, &cleared)
            } else {
                0
            };
            let (tail, expected_tail) = (after_clear(&got), after_clear(&reference));
            if !(500..=560).contains(&at) {
                assert_eq!(tail, expected_tail, "killed at {at} ms: after the clear");
            }
            assert!(
                until_clear <= (OUTAGE_MS as usize + 20) * 8,
                "killed at {at} ms: {until_clear}"
            );
        }
        let mut sounding = HashSet::new();
        for packet in node.packets.iter().filter(|packet| packet.payload[159] != 0xff) {
            assert!(
                sounding.insert(&packet.payload),
                "killed at {at} ms: a frame twice"
            );
        }
        assert_eq!(digits(&node), ['5'], "killed at {at} ms");
        let first_packets = node.count_events(|event| matches!(event, Event::LegFirstPacket { .. }));
        assert_eq!(first_packets, 1, "killed at {at} ms");
        let first_audio = node.count_events(|event| matches!(event, Event::StreamFirstAudioReceived { .. }));
        assert_eq!(first_audio, 1, "killed at {at} ms");
    }
}

fn codes(sentences: &[Vec<i16>]) -> Vec<u8> {
    let mut codes = Vec::new();
    sentences
        .iter()
        .for_each(|sentence| g711::encode(Law::Mu, sentence, &mut codes));
    codes
}

/// By how many samples less than before the clear was heard of a sentence; what was heard of it is its beginning.
fn fewer(got: &[u8], sentence: &[u8]) -> usize {
    let same = got.iter().zip(sentence).take_while(|(a, b)| a == b).count();
    // Undisturbed: from 60 ms on, 300 ms of it.
    2_400usize.saturating_sub(same)
}

/// What was heard from the first sample of the third sentence on.
fn after_clear(got: &[u8]) -> &[u8] {
    let third = codes(&[sentence(3, 100)]);
    let at = got.windows(100).position(|window| window == third);
    at.map_or(&[], |at| &got[at..])
}

#[test]
fn a_record_that_is_torn_foreign_or_none_is_refused_alone_with_a_reason() {
    use media::record::RecordError;
    use media::record::layout::{MAJOR, RING_OFFSET, STATE_OFFSET};

    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    let others: Vec<_> = (0..3)
        .map(|_| {
            let session = node.engine.open_session(node.now).unwrap();
            let leg = node.engine.open_leg(node.now, session).unwrap();
            node.engine
                .connect_leg(node.now, leg, remote(phone_rtp()))
                .unwrap();
            session
        })
        .collect();
    node.drain();
    node.run_ms(500);
    let mut records = records_of(&mut node.engine);
    // One is foreign, of one both states are torn, one is rubbish.
    let foreign = records.slot(0).unwrap();
    foreign[8..10].copy_from_slice(&(MAJOR + 1).to_ne_bytes());
    let torn = records.slot(1).unwrap();
    for byte in (STATE_OFFSET..RING_OFFSET).step_by(40) {
        torn[byte] ^= 0x10;
    }
    records.slot(2).unwrap()[..8].copy_from_slice(b"rubbish!");
    let now = node.now.plus_millis(100);
    let mut restored = Engine::restore(EngineConfig::new(8, 0), now, Box::new(records)).unwrap();
    assert_eq!(
        restored.refused,
        [
            (0, RecordError::ForeignVersion(MAJOR + 1)),
            (1, RecordError::Torn("state")),
            (2, RecordError::NotARecord),
        ]
    );
    assert_eq!(restored.sessions.len(), 1);
    assert_eq!(restored.sessions[0].session, others[2]);
    assert!(restored.engine.stats(others[2]).is_ok());
    assert!(restored.engine.stats(node.session).is_err());
    assert!(restored.engine.stats(others[0]).is_err());
    let again = restored.engine.open_session(now).unwrap();
    assert!(again != others[0] && again != others[1] && again != node.session);
}

#[test]
fn one_torn_copy_costs_nothing() {
    use media::record::layout::{SETUP_OFFSET, STATE_BYTES, STATE_OFFSET};

    for copy in 0..2 {
        let mut node = keeping(EngineConfig::new(7, 0));
        node.connect(remote(phone_rtp()));
        node.run_ms(200);
        let mut records = records_of(&mut node.engine);
        let slot = records.slot(0).unwrap();
        let state = STATE_OFFSET + copy * STATE_BYTES;
        assert!(state > SETUP_OFFSET);
        slot[state + 70] ^= 1;
        let now = node.now.plus_millis(40);
        let restored = Engine::restore(EngineConfig::new(8, 0), now, Box::new(records)).unwrap();
        assert!(restored.refused.is_empty(), "{:?}", restored.refused);
        assert_eq!(restored.sessions.len(), 1);
    }
}

#[test]
fn any_single_changed_byte_is_refused_or_harmless() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    let stream = node.open_stream(stream_params(20, 8_000));
    node.message(stream, &audio(&tone(0, 800), 1));
    node.run_ms(60);
    let records = records_of(&mut node.engine);
    let now = node.now.plus_millis(40);
    for at in (0..media::record::FIXED_BYTES + 2_000).step_by(11) {
        let mut changed = records.clone();
        changed.slot(0).unwrap()[at] ^= 0x55;
        let restored = Engine::restore(EngineConfig::new(8, 0), now, Box::new(changed)).unwrap();
        assert_eq!(restored.sessions.len() + restored.refused.len(), 1, "byte {at}");
        let mut engine = restored.engine;
        for frame in 1..4 {
            engine.handle_timeout(now.plus_millis(frame * 20));
            while engine.poll_transmit().is_some() {}
        }
    }
}

#[test]
fn the_node_tick_alone_holds_the_numbers_of_all() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    node.run_ms(200);
    let before = node.packets.len();
    // The tick was reserved, and the process died before a packet left.
    let mut records = records_of(&mut node.engine);
    let ahead = node.now.plus_millis(20);
    let end = media::record::NODE_BYTES;
    records.node()[end - 8..].copy_from_slice(&ahead.tick().to_ne_bytes());
    let restored = Engine::restore(EngineConfig::new(8, 0), ahead, Box::new(records)).unwrap();
    node.engine = restored.engine;
    node.now = ahead;
    node.run_ms(20);
    let last = &node.packets[before - 1];
    assert_eq!(node.packets.len(), before + 1);
    assert_eq!(node.packets[before].sequence.wrapping_sub(last.sequence), 2);
}

#[test]
fn a_closed_session_leaves_nothing_in_its_slot() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    node.run_ms(200);
    node.engine.close_session(node.now, node.session).unwrap();
    let mut records = records_of(&mut node.engine);
    let slot = records.slot(0).unwrap();
    let left = slot[..media::record::FIXED_BYTES]
        .iter()
        .filter(|byte| **byte != 0)
        .count();
    assert_eq!(left, 1, "but the generation of the next key");
    let restored = Engine::restore(EngineConfig::new(8, 0), node.now, Box::new(records)).unwrap();
    assert_eq!((restored.sessions.len(), restored.refused.len()), (0, 0));
    let mut engine = restored.engine;
    assert_ne!(
        engine.open_session(node.now).unwrap(),
        node.session,
        "an old key names nothing new"
    );
}

#[test]
fn playbacks_and_recordings_go_on_where_they_were() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    let samples: std::sync::Arc<[i16]> = sentence(9, 1_600).into();
    let playback = node
        .engine
        .start_playback(node.now, node.session, samples.clone(), 2)
        .unwrap();
    node.drain();
    node.run_ms(100);
    let first = heard(&node.packets);
    let records = records_of(&mut node.engine);
    let restored = Engine::restore(EngineConfig::new(8, 0), node.now, Box::new(records)).unwrap();
    node.engine = restored.engine;
    let waiting = restored.sessions[0].playbacks[0];
    assert_eq!(waiting.playback, playback);
    node.engine
        .resume_playback(node.now, &waiting, samples.clone())
        .unwrap();
    node.run_ms(600);
    let twice: Vec<i16> = samples.iter().chain(samples.iter()).copied().collect();
    let mut expected = Vec::new();
    g711::encode(Law::Mu, &twice, &mut expected);
    assert!(first.len() >= 600);
    assert_eq!(
        heard(&node.packets),
        expected
            .into_iter()
            .filter(|code| *code != 0xff)
            .collect::<Vec<_>>()
    );
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlaybackFinished { .. })),
        1
    );
}

#[test]
fn a_store_without_room_keeps_nobody_and_says_so() {
    let mut engine = Engine::new(EngineConfig::new(1, 0));
    engine.keep_records(Box::new(HeapStore::new(1)));
    let now = Time::from_millis(1_000);
    engine.open_session(now).unwrap();
    let second = engine.open_session(now).unwrap();
    let leg = engine.open_leg(now, second).unwrap();
    engine.connect_leg(now, leg, remote(phone_rtp())).unwrap();
    let from = phone_rtp();
    engine.receive(now, Source::Rtp { leg, from }, &Phone::new().tone());
    assert_eq!(engine.engine_stats().unkept_sessions, 1);
}

#[test]
fn srtp_goes_on_under_the_same_key_and_uses_no_index_again() {
    use media::srtp::{SrtpParams, SrtpReceiver, SrtpSender, Suite};
    use media::{Destination, LegRemote};

    for suite in Suite::ALL {
        let length = if suite == Suite::AeadAes256Gcm { 44 } else { 30 };
        let length = if suite == Suite::AeadAes128Gcm { 28 } else { length };
        let keys = SrtpParams::new(suite, &vec![1; length], &vec![2; length]).unwrap();
        let mut config = EngineConfig::new(7, 0);
        // Over the wrap of the sequence number, where the rollover counter is what counts.
        config.numbering = Some(media::Numbering {
            ssrc: 9,
            sequence: 65_500,
            timestamp: 0,
        });
        let mut node = Node::with(config);
        node.engine.keep_records(Box::new(HeapStore::with_ring(1, RING)));
        node.connect(LegRemote {
            srtp: Some(keys),
            ..remote(phone_rtp())
        });
        let mut far_sender = SrtpSender::new(&keys.receive);
        let mut far_receiver = SrtpReceiver::new(&keys.send);
        let mut phone = Phone::new();
        let (mut sent, mut heard) = (0, 0);
        for frame in 0..120u64 {
            let mut packet = phone.tone();
            far_sender.protect_rtp(&mut packet, 0).unwrap();
            let source = Source::Rtp {
                leg: node.leg,
                from: phone_rtp(),
            };
            node.engine.receive(node.now, source, &packet);
            node.now = node.now.plus_millis(20);
            node.engine.handle_timeout(node.now);
            while let Some(transmit) = node.engine.poll_transmit() {
                let mut data = transmit.payload.to_vec();
                match transmit.to {
                    Destination::Rtp { .. } => {
                        // The far end's own replay list is the judge: an index that is used again is refused.
                        far_receiver.unprotect_rtp(&mut data).unwrap();
                        heard += 1;
                    }
                    Destination::Rtcp { .. } => {
                        far_receiver.unprotect_rtcp(&mut data).unwrap();
                    }
                    _ => {}
                }
            }
            sent += 1;
            if frame % 7 == 3 {
                let records = records_of(&mut node.engine);
                restore(&mut node, records);
                // What was heard before is known.
                node.engine.receive(node.now, source, &packet);
            }
        }
        let stats = node.leg_stats();
        assert_eq!((heard, stats.packets_received), (sent, 120), "{suite:?}");
        assert_eq!(stats.srtp_auth_failed, 0, "{suite:?}");
    }
}
