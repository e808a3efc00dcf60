//! Digits, voices and quality, on real packets.

use std::collections::BTreeMap;
use std::time::Duration;

use media::codec::g711::{self, Law};
use media::dtmf::Detector;
use serde_json::{Value, json};

use crate::support::phone::{EVENTS, Packet};
use crate::support::server::Control;
use crate::support::{Phone, Server};

const LEG: fn() -> Value = || json!({"session": "call", "leg": "leg"});

/// A command to the leg.
fn leg(fields: Value) -> Value {
    let mut all = LEG();
    if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
        all.extend(fields);
    }
    all
}

/// The digits that were sent, as they are told: each, its length and road.
fn sent(control: &mut Control, count: usize) -> Vec<(String, u64, String)> {
    (0..count)
        .map(|_| {
            let event = control.event("leg.dtmf_sent");
            assert_eq!(event["leg"], "leg");
            let text = |field: &str| event[field].as_str().unwrap().to_string();
            (
                text("digit"),
                event["duration_ms"].as_u64().unwrap(),
                text("method"),
            )
        })
        .collect()
}

fn numbers_never_go_back(packets: &[Packet]) {
    let steps = packets
        .windows(2)
        .map(|pair| pair[1].sequence.wrapping_sub(pair[0].sequence));
    assert!(steps.into_iter().all(|step| (1..100).contains(&step)));
}

#[test]
fn digits_leave_as_telephone_events_with_updates_and_three_ends() {
    let mut server = Server::start(&[]);
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    phone.speak(Duration::from_millis(100), 0x10);
    control.ok(
        "leg.send_dtmf",
        leg(json!({"digits": "5w#", "tone_ms": 100, "gap_ms": 60})),
    );
    let packets = phone.speak(Duration::from_millis(1_300), 0x10);
    numbers_never_go_back(&packets);
    // RFC 4733 §2.5.1.1: every packet of a press has the timestamp of its beginning.
    let mut presses: BTreeMap<u32, Vec<&Packet>> = BTreeMap::new();
    for packet in packets.iter().filter(|packet| packet.payload_type == EVENTS) {
        presses.entry(packet.timestamp).or_default().push(packet);
    }
    let mut keys: Vec<u8> = presses.values().map(|press| press[0].payload[0]).collect();
    keys.sort_unstable();
    assert_eq!(keys, [5, 11]);
    for press in presses.values() {
        let markers: Vec<bool> = press.iter().map(|packet| packet.marker).collect();
        assert!(markers[0] && !markers[1..].contains(&true), "{markers:?}");
        let told: Vec<(u8, bool, u16)> = press
            .iter()
            .map(|packet| {
                let [key, flags, high, low] = packet.payload[..] else {
                    panic!("{:?}", packet.payload)
                };
                assert_eq!(flags & 0x40, 0, "reserved (§2.3.3)");
                (key, flags & 0x80 != 0, u16::from_be_bytes([high, low]))
            })
            .collect();
        assert!(told.iter().all(|(key, ..)| *key == told[0].0));
        let (updates, ends) = told.split_at(told.len() - 3);
        // A busy machine may keep the server from one or two.
        assert!((2..=4).contains(&updates.len()), "{told:?}");
        assert!(updates.iter().all(|(_, end, duration)| !end && *duration < 800));
        assert!(
            updates.is_sorted_by(|one, next| one.2 < next.2),
            "durations grow: {told:?}"
        );
        assert!(
            ends.iter().all(|(_, end, duration)| *end && *duration == 800),
            "{told:?}"
        );
    }
    let told = sent(control, 2);
    assert_eq!(told[0], ("5".into(), 100, "rfc4733".into()));
    assert_eq!(told[1], ("#".into(), 100, "rfc4733".into()));
    assert!(
        packets.iter().any(|packet| packet.payload_type == 0),
        "audio goes on"
    );
}

#[test]
fn without_telephone_events_digits_leave_as_tones() {
    let mut server = Server::start(&[]);
    let control = &mut server.control;
    let mut phone = Phone::join_with(control, "call", "leg", json!({"telephone_event": null}));
    phone.listen(Duration::from_millis(100));
    control.ok("leg.send_dtmf", leg(json!({"digits": "90D", "tone_ms": 80})));
    let packets = phone.listen(Duration::from_millis(700));
    numbers_never_go_back(&packets);
    assert!(packets.iter().all(|packet| packet.payload_type == 0));
    let mut detector = Detector::new(8_000);
    let keys: String = packets
        .iter()
        .filter_map(|packet| {
            let mut samples = [0; 160];
            g711::decode(Law::Mu, &packet.payload, &mut samples);
            detector.push(&samples)
        })
        .map(|digit| digit.digit)
        .collect();
    assert_eq!(keys, "90D");
    let told = sent(control, 3);
    assert!(
        told.iter()
            .all(|(_, duration_ms, method)| (*duration_ms, method.as_str()) == (80, "inband"))
    );
}

#[test]
fn a_press_of_the_phone_is_told_once() {
    let mut server = Server::start(&[]);
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    phone.listen(Duration::from_millis(100));
    for key in [7, 7, 10] {
        phone.press(key);
        phone.listen(Duration::from_millis(60));
    }
    let digits: Vec<Value> = (0..3).map(|_| control.event("leg.digit")).collect();
    let told: Vec<&Value> = digits.iter().map(|event| &event["digit"]).collect();
    assert_eq!(told, ["7", "7", "*"]);
    assert!(
        digits
            .iter()
            .all(|event| event["duration_ms"] == 60 && event["method"] == "rfc4733")
    );
    assert_eq!(
        control.event_within("leg.digit", Duration::from_millis(300)),
        None
    );
}

#[test]
fn a_voice_is_told_when_it_begins_and_when_it_is_over() {
    let mut server = Server::start(&[]);
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    control.ok("leg.detect", leg(json!({"vad": "energy"})));
    phone.listen(Duration::from_millis(300));
    phone.speak(Duration::from_millis(500), 0x10);
    phone.listen(Duration::from_millis(700));
    let started = control.event("leg.speech_started");
    let stopped = control.event("leg.speech_stopped");
    assert_eq!((&started["leg"], &stopped["leg"]), (&json!("leg"), &json!("leg")));
    let level_db = started["level_db"].as_f64().unwrap();
    assert!((-20.0..0.0).contains(&level_db), "{level_db}");
    assert_eq!(started["probability"], Value::Null);
    let [began, over] = [&started, &stopped].map(|event| event["at_ms"].as_u64().unwrap());
    let spoke_ms = stopped["duration_ms"].as_u64().unwrap();
    assert!((400..=800).contains(&spoke_ms), "{spoke_ms} ms");
    assert!(began < over && over - began >= spoke_ms, "{began} {over}");
    // Off again: nothing is told of another word.
    control.ok("leg.detect", leg(json!({})));
    phone.speak(Duration::from_millis(200), 0x10);
    assert_eq!(
        control.event_within("leg.speech_started", Duration::from_millis(100)),
        None
    );
}

#[test]
fn what_cannot_be_listened_for_or_sent_is_refused() {
    let mut server = Server::start(&[]);
    let control = &mut server.control;
    control.ok("leg.open", LEG());
    let digits = |digits: &str| leg(json!({"digits": digits}));
    for (command, fields, code) in [
        ("leg.detect", leg(json!({"vad": "silero"})), "no_weights"),
        ("leg.detect", leg(json!({"vad": "loud"})), "bad_request"),
        (
            "leg.detect",
            json!({"session": "call", "leg": "other"}),
            "unknown_leg",
        ),
        ("leg.send_dtmf", digits("1"), "bad_request"), // it is not connected
        ("leg.send_dtmf", digits(""), "bad_request"),
        ("leg.send_dtmf", digits("1 2"), "bad_request"),
        (
            "leg.send_dtmf",
            leg(json!({"digits": "1", "tone_ms": 39})),
            "bad_request",
        ),
    ] {
        assert_eq!(
            control.refused(command, fields.clone()),
            code,
            "{command} {fields}"
        );
    }
    let _phone = Phone::call(control, "other");
    let full = json!({"session": "other", "leg": "leg", "digits": "1".repeat(100)});
    control.ok("leg.send_dtmf", full.clone());
    assert_eq!(control.refused("leg.send_dtmf", full), "limit_reached");
}

#[test]
fn quality_is_told_at_its_interval_and_in_the_final_stats() {
    let mut server = Server::start(&[]);
    let control = &mut server.control;
    let mut phone = Phone::join_with(control, "call", "leg", json!({"quality_interval_ms": 1_000}));
    phone.speak(Duration::from_millis(2_300), 0x10);
    phone.lose(3);
    phone.speak(Duration::from_millis(300), 0x10);
    let told: Vec<Value> = (0..2)
        .map(|_| control.event("leg.quality")["quality"].clone())
        .collect();
    // A packet counts when 64 newer ones have come: none does in the first second.
    assert_eq!(told[0]["heard"]["packets"], Value::Null);
    let heard = &told[1]["heard"];
    let packets = heard["packets"].as_u64().unwrap();
    assert!((10..=80).contains(&packets), "{packets} packets");
    assert_eq!(
        (&heard["loss_pct"], &heard["scored_by"]),
        (&json!(0.0), &json!("measured"))
    );
    assert!(heard["mos_lq"].as_f64().unwrap() > 3.5, "{heard}");
    for quality in &told {
        assert!(quality["interval_ms"].as_u64().unwrap() >= 900, "{quality}");
        // The phone sends no RTCP: nothing is known of the round trip, nor of what it hears.
        for unknown in [
            &quality["round_trip_ms"],
            &quality["heard"]["mos_cq"],
            &quality["sent"]["mos_lq"],
        ] {
            assert_eq!(*unknown, Value::Null, "{quality}");
        }
    }
    let closed = control.ok("session.close", json!({"session": "call"}));
    let total = &closed["stats"]["legs"]["leg"]["quality"];
    assert!(total["interval_ms"].as_u64().unwrap() >= 2_000, "{total}");
    let heard = &total["heard"];
    let (packets, loss_pct) = (
        heard["packets"].as_f64().unwrap(),
        heard["loss_pct"].as_f64().unwrap(),
    );
    assert!(packets > 80.0, "{total}");
    assert!(
        (loss_pct - 300.0 / packets).abs() < 0.1,
        "three are lost: {total}"
    );
    let mos = heard["mos_lq"].as_f64().unwrap();
    assert!((2.5..4.39).contains(&mos), "{total}");
}
