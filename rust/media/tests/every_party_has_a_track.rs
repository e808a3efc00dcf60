//! Tracks: what each party says and is sent, apart and together, to streams; and what streams say to one party alone.

mod common;

use std::net::SocketAddr;

use common::records::*;
use common::*;
use media::stream::longline::Header;
use media::{
    CommandError, Dialect, Direction, Encoding, Engine, EngineConfig, Event, Label, LegKey, RefusedMessage,
    Source, StreamKey, StreamParams, Together,
};

/// What µ-law leaves of these as they are.
const LEVELS: [i16; 3] = [924, 1_884, 3_900];

/// A call of several parties, each saying a level of its own all the time.
struct Room {
    node: Node,
    legs: Vec<(LegKey, SocketAddr, Phone)>,
    /// The number of what is said next.
    next: u32,
}

impl Room {
    fn new(parties: usize) -> Room {
        let mut node = Node::connected();
        let mut legs = vec![(node.leg, phone_rtp(), Phone::new())];
        for number in 1..parties {
            let (leg, phone) = node.add_leg(number as u16);
            legs.push((leg, phone, Phone::new()));
        }
        Room { node, legs, next: 0 }
    }

    fn talk(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            for ((leg, from, phone), level) in self.legs.iter_mut().zip(LEVELS) {
                let packet = phone.say(&[level; 160]);
                let source = Source::Rtp {
                    leg: *leg,
                    from: *from,
                };
                self.node.engine.receive(self.node.now, source, &packet);
            }
            self.node.run_ms(20);
        }
    }

    fn open(&mut self, tracks: &[u8]) -> StreamKey {
        self.node.agree(params(tracks), "{}")
    }

    /// Header and samples of what a stream was sent of one track.
    fn heard(&self, stream: StreamKey, track: u8) -> Vec<(Header, Vec<i16>)> {
        let messages = self
            .node
            .binary_messages
            .iter()
            .filter(|(_, key, _)| *key == stream);
        let parsed = messages.map(|(_, _, message)| {
            let (header, bytes) = Header::parse(message).unwrap();
            (header, samples_of(bytes))
        });
        parsed.filter(|(header, _)| header.track == track).collect()
    }

    /// The last sample of it.
    fn level(&self, stream: StreamKey, track: u8) -> i16 {
        *self.heard(stream, track).last().unwrap().1.last().unwrap()
    }

    fn say(&mut self, stream: StreamKey, track: u8, samples: &[i16]) {
        let mut message = Vec::new();
        Header {
            track,
            sequence: self.next,
            ..Header::default()
        }
        .write(&mut message);
        self.next += 1;
        message.extend_from_slice(&bytes_of(samples));
        let source = Source::StreamBinary(stream);
        self.node.engine.receive(self.node.now, source, &message);
        self.node.drain();
    }

    /// What this party was sent last.
    fn sent_to(&self, party: usize) -> i16 {
        *self.node.sent_to(self.legs[party].1, 0).last().unwrap()
    }
}

fn params(tracks: &[u8]) -> StreamParams {
    StreamParams {
        dialect: Dialect::Longline,
        tracks: tracks.to_vec(),
        ..stream_params(20, 8_000)
    }
}

#[test]
fn each_party_is_heard_alone_and_what_each_is_sent_too() {
    let mut room = Room::new(3);
    let stream = room.open(&[0, 1, 2, 3, 128, 129, 130, 131]);
    room.talk(500);
    room.say(stream, 0, &[500; 4_000]);
    room.talk(300);
    let all: i16 = LEVELS.iter().sum();
    assert_eq!(room.level(stream, 0), all);
    for (party, level) in (1..).zip(LEVELS) {
        assert_eq!(room.level(stream, party), level);
        assert_eq!(
            room.level(stream, 128 + party),
            all - level + 500,
            "not itself, and what is said"
        );
    }
    assert_eq!(room.level(stream, 128), 500);
}

#[test]
fn a_party_that_is_alone_has_both_its_tracks() {
    let mut room = Room::new(1);
    let stream = room.open(&[1, 129]);
    room.talk(500);
    assert_eq!((room.level(stream, 1), room.level(stream, 129)), (LEVELS[0], 0));
    room.say(stream, 0, &[500; 4_000]);
    room.talk(300);
    assert_eq!((room.level(stream, 1), room.level(stream, 129)), (LEVELS[0], 500));
}

#[test]
fn each_track_has_numbers_without_holes_and_one_time_for_all() {
    let mut room = Room::new(2);
    let stream = room.open(&[0, 1, 2]);
    room.talk(1_000);
    for track in [0, 1, 2] {
        for (n, (header, samples)) in (0..).zip(room.heard(stream, track)) {
            assert_eq!((header.sequence, header.timestamp), (n, 160 * u64::from(n)));
            assert_eq!(samples.len(), 160);
        }
    }
}

#[test]
fn what_is_said_to_one_party_is_heard_by_nobody_else() {
    let mut room = Room::new(3);
    let [supervisor, other] = [(); 2].map(|()| room.open(&[0, 130, 128]));
    room.talk(500);
    room.say(supervisor, 2, &[700; 8_000]);
    room.say(supervisor, 0, &[200; 8_000]);
    room.talk(300);
    let all: i16 = LEVELS.iter().sum();
    assert_eq!(room.level(other, 130), all - LEVELS[1] + 900);
    assert_eq!(room.level(other, 128), 200, "not what is for one alone");
    let expected = [200, 900, 200];
    for party in 0..3 {
        let own = i32::from(room.sent_to(party)) - i32::from(all - LEVELS[party]);
        assert!(
            (own - expected[party]).abs() <= 128,
            "party {party} was sent {own}"
        );
    }
}

#[test]
fn speech_to_a_party_that_is_muted_is_heard_and_ends_with_it() {
    let mut room = Room::new(2);
    let stream = room.open(&[0]);
    let mute = media::Mute {
        output: true,
        ..media::Mute::default()
    };
    room.node
        .engine
        .mute_leg(room.node.now, room.legs[1].0, mute)
        .unwrap();
    room.say(stream, 2, &[924; 16_000]);
    room.talk(300);
    assert_eq!(room.sent_to(1), 924);
    let leg = room.legs.pop().unwrap().0;
    room.node.engine.close_leg(room.node.now, leg).unwrap();
    room.talk(100);
    assert_eq!(room.node.stream_stats().queued_ms, 0);
    room.say(stream, 2, &[924; 160]);
    assert_eq!(room.node.stream_stats().unknown_track, 1);
    let refused = |event: &Event| {
        matches!(
            event,
            Event::StreamMessageRefused {
                reason: RefusedMessage::UnknownTrack,
                ..
            }
        )
    };
    assert_eq!(room.node.count_events(refused), 1);
}

#[test]
fn a_party_has_its_number_from_when_it_is_connected_and_nobody_has_it_after() {
    let mut room = Room::new(2);
    let stream = room.open(&[1, 2, 3]);
    room.talk(100);
    let leg = room.legs.pop().unwrap().0;
    room.node.engine.close_leg(room.node.now, leg).unwrap();
    let (leg, phone) = room.node.add_leg(7);
    room.legs.push((leg, phone, Phone::new()));
    room.talk(500);
    assert_eq!(room.level(stream, 3), LEVELS[1]);
    assert!(room.heard(stream, 2).len() <= 5, "it has left");
    let tracks = |kind: &str| -> Vec<u64> {
        let told = room.node.told(stream, kind);
        told.iter().filter_map(|told| told["track"].as_u64()).collect()
    };
    assert_eq!(
        (tracks("track.removed"), tracks("track.added")),
        (vec![2], vec![3])
    );
}

#[test]
fn the_first_leg_is_the_first_party_whoever_is_connected_first() {
    let mut node = Node::new();
    let (leg, phone) = node.add_leg(1);
    let mut room = Room {
        legs: vec![(leg, phone, Phone::new())],
        node,
        next: 0,
    };
    let stream = room.open(&[1, 2]);
    room.talk(500);
    assert_eq!((room.level(stream, 1), room.level(stream, 2)), (0, LEVELS[0]));
    room.node.connect(remote(phone_rtp()));
    room.legs.push((room.node.leg, phone_rtp(), Phone::new()));
    room.talk(500);
    assert_eq!(
        (room.level(stream, 1), room.level(stream, 2)),
        (LEVELS[1], LEVELS[0])
    );
}

#[test]
fn a_stream_that_listens_is_not_heard() {
    let mut room = Room::new(1);
    let listening = StreamParams {
        direction: Direction::Listen,
        ..params(&[1])
    };
    let stream = room.node.agree(listening, "{}");
    room.say(stream, 0, &[500; 4_000]);
    room.node.message(stream, r#"{"type":"clear"}"#);
    room.talk(300);
    assert_eq!(room.sent_to(0), 0);
    assert_eq!(room.level(stream, 1), LEVELS[0]);
    assert_eq!(room.node.stream_stats().not_allowed, 2);
}

#[test]
fn three_streams_of_one_call_each_hear_their_own() {
    let mut room = Room::new(2);
    let agent = room.open(&[0]);
    let transcriber = room.open(&[1, 2]);
    let supervisor = room.open(&[129]);
    room.talk(500);
    room.say(agent, 0, &[500; 8_000]);
    room.say(supervisor, 1, &[700; 8_000]);
    room.talk(300);
    assert_eq!(room.level(agent, 0), LEVELS[0] + LEVELS[1]);
    assert_eq!(room.level(transcriber, 1), LEVELS[0]);
    assert_eq!(room.level(transcriber, 2), LEVELS[1]);
    assert_eq!(room.level(supervisor, 129), LEVELS[1] + 500 + 700);
}

#[test]
fn a_dialect_of_one_track_takes_no_two() {
    let mut room = Room::new(1);
    let more = StreamParams {
        tracks: vec![1, 129],
        ..stream_params(20, 8_000)
    };
    let outcome = room
        .node
        .engine
        .open_stream(room.node.now, room.node.session, more.clone());
    assert!(matches!(outcome, Err(CommandError::BadParameter(_))));
    let summed = StreamParams {
        together: Together::Mixed,
        ..more
    };
    let stream = room.node.open_stream(summed);
    room.node.message(stream, &audio(&[500; 8_000], 1));
    room.talk(500);
    assert_eq!(*room.node.heard_by_app().last().unwrap(), LEVELS[0] + 500);
}

#[test]
fn twilio_tells_the_two_ways_apart() {
    let mut room = Room::new(1);
    let stream = room.node.open_stream(StreamParams {
        dialect: Dialect::Twilio,
        encoding: Encoding::MuLaw,
        tracks: vec![1, 129],
        ..stream_params(20, 8_000)
    });
    room.talk(60);
    let texts: Vec<&str> = room.node.messages.iter().map(|(_, _, text)| &text[..]).collect();
    assert!(
        texts[1].contains(r#""tracks":["inbound","outbound"]"#),
        "{}",
        texts[1]
    );
    let medias: Vec<serde_json::Value> = texts[2..]
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let told: Vec<[&str; 4]> = medias
        .iter()
        .map(|message| {
            let media = &message["media"];
            [
                &media["track"],
                &media["chunk"],
                &media["timestamp"],
                &message["sequenceNumber"],
            ]
            .map(|value| value.as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told[..4],
        [
            ["inbound", "1", "0", "2"],
            ["outbound", "1", "0", "3"],
            ["inbound", "2", "20", "4"],
            ["outbound", "2", "20", "5"],
        ]
    );
    let _ = stream;
}

#[test]
fn jambonz_has_two_tracks_as_left_and_right_or_as_one_sum() {
    let mut room = Room::new(1);
    let [stereo, mixed] = [Together::Stereo, Together::Mixed].map(|together| {
        room.node.open_stream(StreamParams {
            dialect: Dialect::Jambonz,
            together,
            ..params(&[1, 129])
        })
    });
    let source = Source::StreamBinary(mixed);
    let said = bytes_of(&[500; 8_000]);
    room.node.engine.receive(room.node.now, source, &said);
    room.talk(500);
    let last = |stream: StreamKey| {
        let mut messages = room.node.binary_messages.iter().rev();
        let (_, _, message) = messages.find(|(_, key, _)| *key == stream).unwrap();
        samples_of(message)
    };
    let samples = last(stereo);
    assert_eq!(
        (samples.len(), &samples[..4]),
        (320, &[LEVELS[0], 500, LEVELS[0], 500][..])
    );
    let samples = last(mixed);
    assert_eq!((samples.len(), samples[0]), (160, LEVELS[0] + 500));
    let told = |word: &str| room.node.messages.iter().any(|(_, _, text)| text.contains(word));
    assert!(told(r#""mixType":"stereo""#) && told(r#""mixType":"mixed""#));
}

#[test]
fn telnyx_plivo_and_exotel_name_the_two_ways_too() {
    for dialect in [Dialect::Telnyx, Dialect::Plivo, Dialect::Exotel] {
        let mut room = Room::new(1);
        let format = media::stream::dialect::entry(dialect).output[0];
        room.node.open_stream(StreamParams {
            dialect,
            encoding: format.encoding,
            rate_hz: format.rate_hz,
            direction: Direction::Listen,
            ..params(&[1, 129])
        });
        room.talk(60);
        for way in ["inbound", "outbound"] {
            let track = format!(r#""track":"{way}""#);
            let named = room
                .node
                .messages
                .iter()
                .filter(|(_, _, text)| text.contains(&track));
            assert_eq!(named.count(), 3, "{dialect:?} {way}");
        }
    }
}

#[test]
fn tracks_are_subscribed_and_left_while_people_talk() {
    let mut room = Room::new(2);
    let stream = room.open(&[0]);
    room.talk(500);
    room.node
        .message(stream, r#"{"type":"subscribe","tracks":[2,129]}"#);
    room.talk(300);
    room.node
        .message(stream, r#"{"type":"unsubscribe","tracks":[0,2]}"#);
    room.talk(300);
    room.node
        .message(stream, r#"{"type":"subscribe","tracks":[2,7]}"#);
    room.talk(300);
    let tracks: Vec<serde_json::Value> = room.node.told(stream, "tracks");
    let told: Vec<String> = tracks
        .iter()
        .map(|message| message["tracks"].to_string())
        .collect();
    assert_eq!(told, ["[0,2,129]", "[129]", "[2,129]"]);
    let errors = room.node.told(stream, "error");
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["code"], "unknown_track", "7 is nobody");
    let first = |track: u8| room.heard(stream, track)[0].0;
    assert_eq!(
        (first(2).sequence, first(2).timestamp),
        (0, 4_000),
        "at the next frame, in the time of all"
    );
    let second = room.heard(stream, 2);
    let resumed = second
        .iter()
        .position(|(header, _)| header.timestamp == 4_000 + 600 * 8)
        .unwrap();
    assert_eq!(
        u32::try_from(resumed).unwrap(),
        second[resumed].0.sequence,
        "without a hole in the numbers"
    );
    assert_eq!(room.heard(stream, 0).len(), 40);
    assert_eq!(room.level(stream, 129), LEVELS[1]);
}

#[test]
fn who_comes_and_goes_is_told_with_leg_and_role() {
    let mut room = Room::new(1);
    let stream = room.open(&[0]);
    let leg = room
        .node
        .engine
        .open_leg(room.node.now, room.node.session)
        .unwrap();
    let label = Label {
        leg_id: "cl_7".into(),
        role: "dial_target".into(),
    };
    room.node.engine.label_leg(leg, label).unwrap();
    room.talk(100);
    assert!(room.node.told(stream, "track.added").is_empty(), "it only rings");
    room.node
        .engine
        .connect_leg(room.node.now, leg, remote(address("192.0.2.10:7000")))
        .unwrap();
    room.talk(100);
    let added = room.node.told(stream, "track.added");
    assert_eq!(added.len(), 1);
    assert_eq!(
        (&added[0]["track"], &added[0]["leg_id"], &added[0]["role"]),
        (&2.into(), &"cl_7".into(), &"dial_target".into())
    );
    let later = room.open(&[0]);
    let parties = room.node.told(later, "start")[0]["tracks"].clone();
    assert_eq!(parties[1]["leg_id"], "cl_7");
    room.node.engine.close_leg(room.node.now, leg).unwrap();
    room.talk(100);
    assert_eq!(room.node.told(stream, "track.removed")[0]["track"], 2);
}

#[test]
fn an_application_of_any_dialect_may_speak_to_one_party_alone() {
    let mut room = Room::new(2);
    let stream = room.node.open_stream(StreamParams {
        speak_to: 2,
        ..stream_params(20, 8_000)
    });
    room.talk(500);
    room.node.message(stream, &audio(&[924; 8_000], 1));
    room.talk(300);
    assert_eq!(room.sent_to(0), LEVELS[1]);
    let whispered = i32::from(room.sent_to(1)) - i32::from(LEVELS[0]);
    assert!((whispered - 924).abs() < 64, "{whispered}");
    room.node.message(stream, r#"{"type":"clear"}"#);
    room.talk(100);
    assert_eq!(room.sent_to(1), LEVELS[0]);
    let leg = room.legs.pop().unwrap().0;
    room.node.engine.close_leg(room.node.now, leg).unwrap();
    room.node.message(stream, &audio(&[924; 8_000], 1));
    room.talk(100);
    assert_eq!(room.sent_to(0), 0, "nobody else hears it");
    let wrong = StreamParams {
        speak_to: 1,
        ..params(&[0])
    };
    let outcome = room
        .node
        .engine
        .open_stream(room.node.now, room.node.session, wrong);
    assert!(matches!(outcome, Err(CommandError::BadParameter(_))));
}

#[test]
fn a_dialect_without_parties_tells_keys_of_those_whom_it_hears() {
    let mut room = Room::new(2);
    let twilio = |tracks: &[u8]| StreamParams {
        dialect: Dialect::Twilio,
        encoding: Encoding::MuLaw,
        ..params(tracks)
    };
    let streams = [&[0][..], &[1], &[2], &[1, 129]].map(|tracks| room.node.open_stream(twilio(tracks)));
    room.talk(100);
    let (leg, from, mut phone) = room.legs.remove(0);
    let pressed = (1..=4)
        .map(|n| phone.event(5, n == 4, n * 400))
        .collect::<Vec<_>>();
    for packet in pressed {
        room.node
            .engine
            .receive(room.node.now, Source::Rtp { leg, from }, &packet);
        room.node.run_ms(50);
    }
    let told = streams.map(|stream| {
        let digits = room
            .node
            .messages
            .iter()
            .filter(|(_, key, text)| *key == stream && text.contains("dtmf"));
        digits.count()
    });
    assert_eq!(told, [1, 1, 0, 1]);
}

#[test]
fn parties_and_the_numbers_of_their_tracks_outlive_the_process() {
    let config = EngineConfig::new(7, 0xe000_0000_0000_0000);
    let mut node = keeping(config.clone());
    node.connect(remote(phone_rtp()));
    let other = node.add_leg(1);
    let mut room = Room {
        legs: vec![
            (node.leg, phone_rtp(), Phone::new()),
            (other.0, other.1, Phone::new()),
        ],
        node,
        next: 0,
    };
    let stream = room.node.open_stream(StreamParams {
        dialect: Dialect::Twilio,
        encoding: Encoding::MuLaw,
        ..params(&[2, 130])
    });
    room.talk(500);
    let records = records_of(&mut room.node.engine);
    let restored = Engine::restore(config, room.node.now, Box::new(records)).unwrap();
    assert_eq!(restored.sessions[0].streams[0].1.tracks, [2, 130]);
    room.node.engine = restored.engine;
    room.node.messages.clear();
    room.node.engine.stream_connected(room.node.now, stream).unwrap();
    room.talk(500);
    let first = |way: &str| {
        let mut texts = room.node.messages.iter().map(|(_, _, text)| text);
        let track = format!(r#""track":"{way}""#);
        let text = texts.find(|text| text.contains(&track)).unwrap();
        let message: serde_json::Value = serde_json::from_str(text).unwrap();
        message["media"]["chunk"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        [first("inbound"), first("outbound")],
        ["26", "26"],
        "25 were sent"
    );
    room.node.add_leg(2);
    let later = room.node.agree(params(&[0]), "{}");
    let parties = room.node.told(later, "start")[0]["tracks"].clone();
    let numbers: Vec<u64> = parties
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|party| party["track"].as_u64())
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_label_that_is_too_long_is_refused() {
    let mut node = Node::new();
    let label = Label {
        leg_id: "x".repeat(257),
        role: String::new(),
    };
    assert!(matches!(
        node.engine.label_leg(node.leg, label),
        Err(CommandError::BadParameter(_))
    ));
}
