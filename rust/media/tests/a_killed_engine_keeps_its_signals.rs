//! An engine is killed at every tick while it sends digits, listens for them and owes marks, and another goes on from its
//! records: each digit is one press at the far end, each press that came is told once, each mark is answered once.

mod common;
#[path = "common/weights.rs"]
mod weights;

use std::collections::HashSet;

use common::records::{Moment, keeping, killed, moments, records_of, restore};
use common::*;
use media::dtmf::{Detector, DigitReceiver, Method, SendDigits, tones};
use media::record::HeapStore;
use media::vad::Kind;
use media::{
    Bounds, Codec, Detect, Dialect, Encoding, EngineConfig, Event, LegRemote, OpusSettings, StreamParams,
    TelephoneEvent,
};

/// A crash is noticed and another engine runs so much later: what was due meanwhile is sent at once...
const OUTAGE_MS: u64 = 47;
/// ...or, after one so long, is not sent.
const LONG_OUTAGE_MS: u64 = 127;

fn press(node: &mut Node, digits: &str, tone_ms: u32, gap_ms: u32) {
    let digits = SendDigits::new(digits, Some(tone_ms), Some(gap_ms)).unwrap();
    node.engine.send_digits(node.now, node.leg, &digits).unwrap();
    node.drain();
}

fn told_sent(node: &Node) -> String {
    let digit = |(_, event): &(_, Event)| match event {
        Event::DigitSent { sent, .. } => Some(sent.digit),
        _ => None,
    };
    node.events.iter().filter_map(digit).collect()
}

fn told_received(node: &Node) -> Vec<(char, Method)> {
    let digit = |(_, event): &(_, Event)| match event {
        Event::DigitReceived { digit, method, .. } => Some((*digit, *method)),
        _ => None,
    };
    node.events.iter().filter_map(digit).collect()
}

fn both(moments: &[Moment]) -> impl Iterator<Item = (&Moment, u64)> {
    moments
        .iter()
        .flat_map(|moment| [OUTAGE_MS, LONG_OUTAGE_MS].map(|outage_ms| (moment, outage_ms)))
}

/// The presses that a far end reads, with their lengths.
fn read(packets: &[SentPacket]) -> Vec<(char, u32)> {
    let mut receiver = DigitReceiver::new(8_000);
    let mut presses = Vec::new();
    for packet in packets {
        let lost_end = receiver.handle_timeout(packet.at);
        presses.extend(lost_end.map(|digit| (digit.digit, digit.duration_ms)));
        if packet.payload_type == EVENT_TYPE {
            let digits = receiver.receive(packet.at, packet.timestamp, &packet.payload);
            let digits = digits.into_iter().flatten();
            presses.extend(digits.map(|digit| (digit.digit, digit.duration_ms)));
        }
    }
    presses
}

#[test]
fn killed_at_every_tick_of_its_digits_each_is_read_once_with_its_length() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    node.run_ms(100);
    let began = node.now;
    press(&mut node, "1w2", 100, 60);
    press(&mut node, "2#", 60, 40);
    let moments = moments(&mut node, 1_100);
    let expected = [('1', 100), ('2', 100), ('2', 60), ('#', 60)];
    assert_eq!(read(&node.packets), expected);
    for (moment, outage_ms) in both(&moments) {
        let at = moment.at;
        let (mut node, _) = killed(&node, began, moment, outage_ms);
        node.run_ms(1_500 - at);
        assert_eq!(read(&node.packets), expected, "killed at {at} ms");
        let of_events = |packet: &&SentPacket| packet.payload_type == EVENT_TYPE;
        let stamps: HashSet<u32> = node
            .packets
            .iter()
            .filter(of_events)
            .map(|packet| packet.timestamp)
            .collect();
        assert_eq!(stamps.len(), 4, "killed at {at} ms: one timestamp for each press");
        let ends = |stamp: u32| {
            let events = node.packets.iter().filter(of_events);
            events
                .filter(|packet| packet.timestamp == stamp && packet.payload[1] & 0x80 != 0)
                .count()
        };
        assert!(
            stamps.iter().all(|stamp| ends(*stamp) == 3),
            "killed at {at} ms: three ends"
        );
        let markers = node
            .packets
            .iter()
            .filter(of_events)
            .filter(|packet| packet.marker)
            .count();
        assert_eq!(markers, 4, "killed at {at} ms: one marker for each press");
        for pair in node.packets.windows(2) {
            let ahead = pair[1].sequence.wrapping_sub(pair[0].sequence);
            assert!((1..=7).contains(&ahead), "killed at {at} ms: a jump of {ahead}");
        }
        assert_eq!(told_sent(&node), "122#", "killed at {at} ms");
    }
}

#[test]
fn tones_that_were_interrupted_are_one_press_to_who_hears_them() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(LegRemote {
        telephone_event: None,
        ..remote(phone_rtp())
    });
    node.run_ms(100);
    let began = node.now;
    press(&mut node, "19", 120, 80);
    let moments = moments(&mut node, 450);
    for (moment, outage_ms) in both(&moments) {
        let at = moment.at;
        let (mut node, _) = killed(&node, began, moment, outage_ms);
        node.run_ms(900 - at);
        let (mut detector, mut heard) = (Detector::new(8_000), Vec::new());
        for pair in node.packets.windows(2) {
            heard.extend(detector.push(&pair[0].samples()).map(|digit| digit.digit));
            // What was not sent is silence to it.
            for _ in 1..pair[1].sequence.wrapping_sub(pair[0].sequence) {
                heard.extend(detector.push(&[0; 160]).map(|digit| digit.digit));
            }
        }
        assert_eq!(heard, ['1', '9'], "killed at {at} ms");
        assert_eq!(told_sent(&node), "19", "killed at {at} ms");
    }
}

/// 20 ms of the tones of a key.
fn tone_of(event: u8, frame: u64) -> Vec<i16> {
    let mut samples = vec![0; 160];
    tones::write(event, 8_000, frame * 160, &mut samples);
    samples
}

#[test]
fn a_press_by_both_roads_is_told_once_and_tones_are_listened_for_as_before() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    let wanted = Detect {
        inband_dtmf: true,
        vad: Kind::Off,
    };
    node.engine.detect(node.now, node.leg, wanted).unwrap();
    let mut phone = Phone::new();
    for _ in 0..10 {
        node.rtp(&phone.silence());
        node.run_ms(20);
    }
    node.rtp(&phone.event(5, true, 800));
    phone.timestamp += 800;
    assert_eq!(told_received(&node), [('5', Method::Event)]);
    let records = records_of(&mut node.engine);
    node.now = node.now.plus_millis(OUTAGE_MS);
    restore(&mut node, records);
    // The tones of the same press leak through; a second later comes a press that is tones alone.
    for (event, frames) in [(5, 5), (255, 45), (7, 6), (255, 10)] {
        for frame in 0..frames {
            let packet = match event {
                255 => phone.silence(),
                event => phone.say(&tone_of(event, frame)),
            };
            node.rtp(&packet);
            node.run_ms(20);
        }
    }
    assert_eq!(
        told_received(&node),
        [('5', Method::Event), ('7', Method::InBand)]
    );
}

#[test]
fn a_voice_that_was_told_to_speak_is_told_to_stop_once() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    let wanted = Detect {
        inband_dtmf: false,
        vad: Kind::Energy,
    };
    node.engine.detect(node.now, node.leg, wanted).unwrap();
    let mut phone = Phone::new();
    let mut hear = |node: &mut Node, is_loud: bool, frames: usize| {
        for _ in 0..frames {
            let packet = if is_loud { phone.tone() } else { phone.silence() };
            node.rtp(&packet);
            node.run_ms(20);
        }
    };
    hear(&mut node, false, 30);
    hear(&mut node, true, 25);
    let records = records_of(&mut node.engine);
    node.now = node.now.plus_millis(OUTAGE_MS);
    restore(&mut node, records);
    hear(&mut node, true, 25);
    hear(&mut node, false, 60);
    let started = node.count_events(|event| matches!(event, Event::SpeechStarted { .. }));
    let stopped = |event: &Event| match event {
        Event::SpeechStopped { duration_ms, .. } => Some(*duration_ms),
        _ => None,
    };
    let stopped: Vec<u32> = node
        .events
        .iter()
        .filter_map(|(_, event)| stopped(event))
        .collect();
    assert_eq!((started, stopped.len()), (1, 1));
    assert!((900..=1_200).contains(&stopped[0]), "{stopped:?}");
}

#[test]
fn who_listens_with_the_network_asks_for_its_weights_until_they_come() {
    let Some(model) = weights::model() else { return };
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    let wanted = Detect {
        inband_dtmf: false,
        vad: Kind::Silero(model),
    };
    node.engine.detect(node.now, node.leg, wanted.clone()).unwrap();
    node.run_ms(100);
    for comes in [false, true, true] {
        let records = records_of(&mut node.engine);
        node.now = node.now.plus_millis(OUTAGE_MS);
        let restored = restore(&mut node, records);
        assert_eq!(restored.without_model, [node.leg]);
        if comes {
            node.engine.detect(node.now, node.leg, wanted.clone()).unwrap();
        }
        node.run_ms(100);
    }
}

#[test]
fn killed_at_every_tick_each_mark_is_answered_once_and_in_its_place() {
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(remote(phone_rtp()));
    let stream = node.open_stream(StreamParams {
        dialect: Dialect::Twilio,
        encoding: Encoding::MuLaw,
        ..stream_params(20, 8_000)
    });
    let media = |code: u8, samples: usize| {
        let payload = base64(&vec![code; samples]);
        format!(r#"{{"event":"media","streamSid":"ms_1","media":{{"payload":"{payload}"}}}}"#)
    };
    let mark = |name: &str| format!(r#"{{"event":"mark","streamSid":"ms_1","mark":{{"name":"{name}"}}}}"#);
    let began = node.now;
    for (code, name) in [(0x11, "a"), (0x22, "b"), (0x33, "c")] {
        node.message(stream, &media(code, 1_000));
        node.message(stream, &mark(name));
    }
    let moments = moments(&mut node, 420);
    for moment in &moments {
        let at = moment.at;
        let (mut node, _) = killed(&node, began, moment, OUTAGE_MS);
        node.run_ms(600 - at);
        let names = |text: &str| {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            message["mark"]["name"].as_str().map(str::to_owned)
        };
        let answers: Vec<_> = node
            .messages
            .iter()
            .filter_map(|(when, _, text)| Some((*when, names(text)?)))
            .collect();
        let order: String = answers.iter().map(|(_, name)| &**name).collect();
        assert_eq!(order, "abc", "killed at {at} ms");
        // Each is answered with the frame in which the last of the audio before it was sent.
        for ((when, name), code) in answers.iter().zip([0x11, 0x22, 0x33]) {
            let last = node.packets.iter().rfind(|packet| packet.payload.contains(&code));
            assert_eq!(
                last.map(|packet| packet.at),
                Some(*when),
                "killed at {at} ms: {name}"
            );
        }
    }
}

#[test]
fn what_signalling_and_commands_have_said_is_kept_whole() {
    use media::record::RecordStore;
    use media::record::layout::{LegSetup, SETUP_BYTES, SETUP_OFFSET, Setup};
    use zerocopy::FromBytes;

    let setup_of = |records: &mut HeapStore| {
        let slot = records.slot(0).unwrap();
        let copies = [0, 1].map(|copy| {
            let bytes = &slot[SETUP_OFFSET + copy * SETUP_BYTES..];
            let (setup, rest) = Setup::read_from_prefix(bytes).unwrap();
            (setup.generation, LegSetup::read_from_prefix(rest).unwrap().0)
        });
        copies
            .into_iter()
            .max_by_key(|(generation, _)| *generation)
            .unwrap()
            .1
    };
    let mut node = keeping(EngineConfig::new(7, 0));
    node.connect(LegRemote {
        rtp: phone_rtp(),
        rtcp: Some(phone_rtcp()),
        audio: payload_types(&[(111, Codec::Opus), (0, Codec::Pcmu), (97, Codec::L16(16_000))]),
        telephone_event: Some(TelephoneEvent {
            payload_type: 102,
            clock_hz: 48_000,
        }),
        ptime_ms: 40,
        opus: OpusSettings {
            bitrate_bps: 17_000,
            fec: false,
            dtx: true,
        },
        jitter: Bounds::new(30, 210).unwrap(),
        send: true,
        receive: false,
        rtcp_mux: true,
        also_from: Some("198.51.100.7".parse().unwrap()),
        srtp: common::secure::secure_remote(media::srtp::Suite::ALL[3], 3).srtp,
    });
    node.engine.report_quality(node.now, node.leg, 4_000).unwrap();
    node.run_ms(100);
    let mut records = records_of(&mut node.engine);
    let kept = setup_of(&mut records);
    let quality = |kept: &LegSetup| (kept.quality_interval_ms, kept.jitter_min_ms, kept.jitter_max_ms);
    assert_eq!(quality(&kept), (4_000, 30, 210));
    assert_eq!(
        (kept.opus_bitrate_bps, kept.ptime_ms, kept.audio_used),
        (17_000, 40, 3)
    );
    node.now = node.now.plus_millis(OUTAGE_MS);
    restore(&mut node, records);
    assert_eq!(setup_of(&mut records_of(&mut node.engine)), kept);
    node.run_ms(9_000);
    let told = node.count_events(|event| matches!(event, Event::LegQuality { .. }));
    assert_eq!(told, 2, "every four seconds");
}
