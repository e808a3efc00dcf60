//! A conference: each leg hears all but himself; streams hear the legs, and all legs hear streams and playbacks.

mod common;

use std::net::SocketAddr;

use common::*;
use media::codec::g711::{self, Law};
use media::session::MAX_LEGS;
use media::{CommandError, Event, LegKey, LegRemote, Mute, PlaybackEnd, Source};

/// A conference of so many, each saying a level of its own all the time.
struct Room {
    node: Node,
    legs: Vec<(LegKey, SocketAddr, Phone, i16)>,
}

/// What µ-law makes of a level.
fn quantized(level: i32) -> i16 {
    let mut payload = Vec::new();
    g711::encode(Law::Mu, &[level as i16], &mut payload);
    let mut samples = [0];
    g711::decode(Law::Mu, &payload, &mut samples);
    samples[0]
}

fn room(levels: &[i16]) -> Room {
    let mut node = Node::connected();
    let mut legs = vec![(node.leg, phone_rtp(), Phone::new(), quantized(levels[0].into()))];
    for (number, level) in (1..).zip(&levels[1..]) {
        let (leg, phone) = node.add_leg(number);
        legs.push((leg, phone, Phone::new(), quantized((*level).into())));
    }
    Room { node, legs }
}

impl Room {
    fn talk(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            for (leg, from, phone, level) in &mut self.legs {
                let packet = phone.say(&[*level; 160]);
                let source = Source::Rtp {
                    leg: *leg,
                    from: *from,
                };
                self.node.engine.receive(self.node.now, source, &packet);
            }
            self.node.run_ms(20);
        }
    }

    /// The level that one of them was sent last.
    fn heard_by(&self, number: usize) -> i16 {
        *self.node.sent_to(self.legs[number].1, 0).last().unwrap()
    }

    fn level(&self, number: usize) -> i32 {
        self.legs[number].3.into()
    }
}

#[test]
fn two_legs_hear_each_other_bit_by_bit() {
    let mut room = room(&[12_000, -31_000]);
    room.talk(1_000);
    assert_eq!(i32::from(room.heard_by(0)), room.level(1));
    assert_eq!(i32::from(room.heard_by(1)), room.level(0));
}

#[test]
fn each_of_three_hears_the_other_two() {
    let mut room = room(&[1_000, 2_000, 4_000]);
    room.talk(1_000);
    for own in 0..3 {
        let others: i32 = (0..3).filter(|n| *n != own).map(|n| room.level(n)).sum();
        assert_eq!(room.heard_by(own), quantized(others), "leg {own}");
    }
}

#[test]
fn loud_voices_together_are_turned_down_and_not_cut_off() {
    let mut room = room(&[32_000, 32_000, -500]);
    room.talk(1_000);
    assert!(room.heard_by(2) > 31_000, "two at full scale");
    let third = room.node.sent_to(room.legs[0].1, 40);
    assert_eq!(
        third[0],
        quantized(room.level(1) + room.level(2)),
        "one at full scale is as it was"
    );
}

#[test]
fn sixteen_take_part_and_a_seventeenth_does_not() {
    let mut room = room(&[100; MAX_LEGS]);
    let more = room.node.engine.open_leg(room.node.now, room.node.session);
    assert_eq!(more, Err(CommandError::LimitReached("legs of a session")));
    room.talk(600);
    for own in 0..MAX_LEGS {
        assert_eq!(room.heard_by(own), quantized(15 * room.level(own)));
    }
}

#[test]
fn streams_hear_all_legs_and_all_legs_hear_streams_and_playbacks() {
    let mut room = room(&[1_000, 2_000, 4_000]);
    let stream = room.node.open_stream(stream_params(20, 8_000));
    room.talk(500);
    room.node.message(stream, &audio(&[500; 8_000], 1));
    let samples = vec![250; 8_000].into();
    room.node
        .engine
        .start_playback(room.node.now, room.node.session, samples, 1)
        .unwrap();
    room.talk(500);
    let all: i32 = (0..3).map(|n| room.level(n)).sum();
    assert_eq!(
        i32::from(*room.node.heard_by_app().last().unwrap()),
        all,
        "and not what it said itself"
    );
    for own in 0..3 {
        assert_eq!(room.heard_by(own), quantized(all - room.level(own) + 750));
    }
}

#[test]
fn a_leg_on_hold_neither_speaks_nor_is_sent_anything() {
    let mut room = room(&[1_000, 2_000, 4_000]);
    room.talk(500);
    let (leg, phone, ..) = room.legs[2];
    let hold = LegRemote {
        send: false,
        receive: false,
        ..remote(phone)
    };
    room.node.engine.connect_leg(room.node.now, leg, hold).unwrap();
    let before = room.node.sent_to(phone, 0).len();
    room.talk(500);
    assert_eq!(room.node.sent_to(phone, 0).len(), before);
    assert_eq!(i32::from(room.heard_by(0)), room.level(1));
}

#[test]
fn a_muted_leg_listens_and_a_deafened_one_is_sent_silence() {
    let mut room = room(&[1_000, 2_000, 4_000]);
    let (muted, deaf) = (room.legs[1].0, room.legs[2].0);
    let (input, output) = (true, true);
    room.node
        .engine
        .mute_leg(room.node.now, muted, Mute { input, output: false })
        .unwrap();
    room.node
        .engine
        .mute_leg(room.node.now, deaf, Mute { input: false, output })
        .unwrap();
    room.talk(1_000);
    assert_eq!(
        i32::from(room.heard_by(0)),
        room.level(2),
        "the muted is not heard"
    );
    assert_eq!(
        room.heard_by(1),
        quantized(room.level(0) + room.level(2)),
        "and hears"
    );
    assert!(room.heard_by(2).unsigned_abs() <= 8);
    room.node
        .engine
        .mute_leg(room.node.now, muted, Mute::default())
        .unwrap();
    room.talk(500);
    assert_eq!(room.heard_by(0), quantized(room.level(1) + room.level(2)));
}

#[test]
fn when_all_but_one_have_left_it_is_a_call_again() {
    let mut room = room(&[1_000, 2_000, 4_000]);
    room.talk(500);
    for _ in 0..2 {
        let (leg, phone, ..) = room.legs.remove(0);
        room.node.engine.close_leg(room.node.now, leg).unwrap();
        room.node.drain();
        let before = room.node.sent_to(phone, 0).len();
        room.talk(500);
        assert_eq!(
            room.node.sent_to(phone, 0).len(),
            before,
            "who has left is sent nothing"
        );
    }
    assert!(room.heard_by(0).unsigned_abs() <= 8, "nobody is left to be heard");
    let stream = room.node.open_stream(stream_params(20, 8_000));
    room.node.message(stream, &audio(&[500; 8_000], 1));
    room.talk(500);
    assert_eq!(
        i32::from(*room.node.heard_by_app().last().unwrap()),
        room.level(0)
    );
    assert_eq!(room.heard_by(0), quantized(500));
}

#[test]
fn a_playback_for_one_leg_is_heard_by_it_alone_even_when_it_is_deaf() {
    let mut room = room(&[1_000, 2_000, 4_000]);
    room.node.open_stream(stream_params(20, 8_000));
    let whom = room.legs[1].0;
    room.talk(500);
    let (input, output) = (true, true);
    room.node
        .engine
        .mute_leg(room.node.now, whom, Mute { input, output })
        .unwrap();
    let samples: std::sync::Arc<[i16]> = vec![250; 8_000].into();
    room.node
        .engine
        .start_playback_to(room.node.now, whom, samples.clone(), 1)
        .unwrap();
    room.talk(500);
    assert_eq!(room.heard_by(1), quantized(250), "and nothing of the others");
    assert_eq!(i32::from(room.heard_by(0)), room.level(2));
    let others = room.level(0) + room.level(2);
    assert_eq!(i32::from(*room.node.heard_by_app().last().unwrap()), others);
    room.node
        .engine
        .mute_leg(room.node.now, whom, Mute::default())
        .unwrap();
    room.talk(300);
    assert_eq!(
        room.heard_by(1),
        quantized(others + 250),
        "together with the others"
    );
    room.talk(500);
    assert_eq!(room.heard_by(1), quantized(others), "it is over after a second");
}

#[test]
fn a_playback_for_a_leg_ends_with_it_and_there_is_none_for_one_that_has_gone() {
    let mut room = room(&[1_000, 2_000]);
    let (whom, ..) = room.legs[1];
    let samples: std::sync::Arc<[i16]> = vec![250; 8_000].into();
    let playback = room
        .node
        .engine
        .start_playback_to(room.node.now, whom, samples.clone(), 9)
        .unwrap();
    room.talk(200);
    room.legs.pop();
    room.node.engine.close_leg(room.node.now, whom).unwrap();
    room.node.drain();
    let stopped = Event::PlaybackFinished {
        playback,
        reason: PlaybackEnd::Stopped,
    };
    assert!(room.node.events.iter().any(|(_, event)| *event == stopped));
    let late = room
        .node
        .engine
        .start_playback_to(room.node.now, whom, samples, 1);
    assert_eq!(late, Err(CommandError::UnknownLeg));
}

#[test]
fn a_playback_for_the_only_leg_is_heard() {
    let mut node = Node::connected();
    let samples: std::sync::Arc<[i16]> = vec![4_000; 1_600].into();
    node.engine
        .start_playback_to(node.now, node.leg, samples, 1)
        .unwrap();
    node.run_ms(100);
    assert_eq!(*node.sent_to(phone_rtp(), 0).last().unwrap(), quantized(4_000));
}
