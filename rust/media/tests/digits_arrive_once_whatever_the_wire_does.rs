//! Digits from one engine to another, over a wire that loses and delays: as events, and as tones where there are none.

mod common;

use common::wire::{Pair, calm, rough};
use common::{Node, Phone, address, remote};
use media::dtmf::{Method, SendDigits};
use media::{Detect, EngineConfig, Event};

const KEYS: &str = "0123456789*#ABCD";

fn pair(weather: common::wire::Weather) -> Pair {
    Pair::new(
        [EngineConfig::new(1, 0), EngineConfig::new(2, 0)],
        [0, 0],
        weather,
    )
}

fn press(node: &mut Node, digits: &str, tone_ms: u32) {
    let digits = SendDigits::new(digits, Some(tone_ms), None).unwrap();
    node.engine.send_digits(node.now, node.leg, &digits).unwrap();
}

fn received(node: &Node) -> Vec<(char, u32, Method)> {
    let digit = |event: &Event| match event {
        Event::DigitReceived {
            digit,
            duration_ms,
            method,
            ..
        } => Some((*digit, *duration_ms, *method)),
        _ => None,
    };
    node.events.iter().filter_map(|(_, event)| digit(event)).collect()
}

fn sent(node: &Node) -> String {
    let digit = |event: &Event| match event {
        Event::DigitSent { sent, .. } => Some(sent.digit),
        _ => None,
    };
    node.events.iter().filter_map(|(_, event)| digit(event)).collect()
}

#[test]
fn a_calm_wire_brings_each_digit_with_its_length() {
    let mut pair = pair(calm(20));
    press(pair.node(0), KEYS, 80);
    pair.run_ms(16 * 180 + 500);
    let expected: Vec<_> = KEYS.chars().map(|key| (key, 80, Method::Event)).collect();
    assert_eq!(received(pair.node(1)), expected);
    assert_eq!(sent(pair.node(0)), KEYS);
}

#[test]
fn a_rough_wire_brings_each_digit_once() {
    for seed in 0..12 {
        let mut pair = pair(rough(seed, 10, 30));
        press(pair.node(0), &KEYS.repeat(4), 100);
        pair.run_ms(64 * 200 + 1_000);
        let keys: String = received(pair.node(1)).iter().map(|digit| digit.0).collect();
        assert_eq!(keys, KEYS.repeat(4), "weather {seed}");
    }
}

#[test]
fn a_press_of_ten_seconds_is_one_digit() {
    let mut pair = pair(rough(3, 10, 20));
    press(pair.node(0), "5", 10_000);
    pair.run_ms(11_000);
    assert_eq!(received(pair.node(1)), [('5', 10_000, Method::Event)]);
}

#[test]
fn an_event_takes_the_number_of_the_audio_it_replaces() {
    let mut node = Node::connected();
    node.run_ms(200);
    press(&mut node, "7", 60);
    node.run_ms(400);
    let packets: Vec<(u16, u32, u8, bool)> = node
        .packets
        .iter()
        .map(|packet| {
            (
                packet.sequence,
                packet.timestamp,
                packet.payload_type,
                packet.marker,
            )
        })
        .collect();
    assert!(
        packets
            .windows(2)
            .all(|pair| pair[1].0 == pair[0].0.wrapping_add(1))
    );
    let events: Vec<_> = packets
        .iter()
        .filter(|packet| packet.2 == common::EVENT_TYPE)
        .collect();
    assert_eq!(
        events.len(),
        5,
        "three frames of the press and two repeats of its end"
    );
    assert!(events.iter().all(|packet| packet.1 == events[0].1) && events[0].3);
    let after = packets
        .iter()
        .skip_while(|packet| packet.2 != common::EVENT_TYPE)
        .find(|packet| packet.2 == 0);
    assert_eq!(after.unwrap().1, events[0].1.wrapping_add(5 * 160));
}

#[test]
fn without_telephone_events_digits_are_tones_and_are_heard() {
    let mut pair = pair(calm(20));
    for end in [0, 1] {
        let node = pair.node(end);
        let far = ["192.0.2.2:6000", "192.0.2.1:5000"][end];
        let mut without = remote(address(far));
        without.telephone_event = None;
        node.connect(without);
        let wanted = Detect {
            inband_dtmf: true,
            ..Detect::default()
        };
        node.engine.detect(node.now, node.leg, wanted).unwrap();
    }
    pair.run_ms(500);
    press(pair.node(0), "159D", 80);
    pair.run_ms(2_000);
    let keys: String = received(pair.node(1)).iter().map(|digit| digit.0).collect();
    assert_eq!(keys, "159D");
    assert!(
        received(pair.node(1))
            .iter()
            .all(|digit| digit.2 == Method::InBand && (60..=100).contains(&digit.1))
    );
}

#[test]
fn a_press_by_event_and_by_tone_is_one_digit() {
    let mut node = Node::connected();
    let wanted = Detect {
        inband_dtmf: true,
        ..Detect::default()
    };
    node.engine.detect(node.now, node.leg, wanted).unwrap();
    let mut phone = Phone::new();
    let mut tone = [0; 160];
    for frame in 0..30u64 {
        if (5..10).contains(&frame) {
            media::dtmf::tones::write(3, 8_000, (frame - 5) * 160, &mut tone);
        } else {
            tone.fill(0);
        }
        node.rtp(&phone.say(&tone));
        if frame == 11 {
            node.rtp(&phone.event(3, true, 800));
        }
        node.run_ms(20);
    }
    assert_eq!(received(&node).len(), 1, "{:?}", received(&node));
}
