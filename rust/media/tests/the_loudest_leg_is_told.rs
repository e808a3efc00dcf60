//! Of several legs the one that speaks is told, once for each change; a session with one leg tells nothing.

mod common;

use common::*;
use media::{Event, LegKey, Source};

/// Two legs speak at these amplitudes for so long.
fn talk(node: &mut Node, legs: &mut [(LegKey, std::net::SocketAddr, Phone)], levels: [i16; 2], ms: u64) {
    for _ in 0..ms / 20 {
        for ((leg, from, phone), level) in legs.iter_mut().zip(levels) {
            let samples: Vec<i16> = (0..160)
                .map(|n| if n / 10 % 2 == 0 { level } else { -level })
                .collect();
            let packet = phone.say(&samples);
            let source = Source::Rtp {
                leg: *leg,
                from: *from,
            };
            node.engine.receive(node.now, source, &packet);
        }
        node.run_ms(20);
    }
}

fn speakers(node: &Node) -> Vec<Option<LegKey>> {
    let speaker = |event: &Event| match event {
        Event::SpeakerChanged { leg, .. } => Some(*leg),
        _ => None,
    };
    node.events
        .iter()
        .filter_map(|(_, event)| speaker(event))
        .collect()
}

#[test]
fn each_change_is_told_once() {
    let mut node = Node::connected();
    let (second, phone) = node.add_leg(1);
    let first = node.leg;
    let mut legs = [(first, phone_rtp(), Phone::new()), (second, phone, Phone::new())];
    talk(&mut node, &mut legs, [6_000, 0], 2_000);
    talk(&mut node, &mut legs, [0, 6_000], 2_000);
    talk(&mut node, &mut legs, [0, 0], 3_000);
    talk(&mut node, &mut legs, [6_000, 0], 1_000);
    assert_eq!(speakers(&node), [Some(first), Some(second), None, Some(first)]);
    node.engine.close_leg(node.now, second).unwrap();
    node.drain();
    assert_eq!(speakers(&node).last(), Some(&None), "the conference is over");
}

#[test]
fn a_single_leg_has_no_speaker() {
    let mut node = Node::connected();
    let mut legs = [(node.leg, phone_rtp(), Phone::new())];
    talk(&mut node, &mut legs, [6_000, 0], 2_000);
    assert_eq!(speakers(&node), []);
}
