//! longline.v1 §6 in virtual time: connections are lost at any moment, with whatever was on its way both ways, and yet every
//! frame is heard once, or told as a gap; what is sent again is played once; an event is told once.

mod common;

use std::collections::BTreeMap;

use common::*;
use media::stream::longline::Header;
use media::stream::token::TokenKey;
use media::stream::uplink::ResumeParams;
use media::{Closing, Dialect, Event, Source, StreamKey, StreamParams};
use serde_json::{Value, json};

const REPLAY: u16 = 1;
const GAP: u16 = 2;

fn params(ring_ms: u32) -> StreamParams {
    StreamParams {
        dialect: Dialect::Longline,
        resume: Some(ResumeParams {
            window_ms: 60_000,
            ring_ms,
            key: TokenKey::new(7, [5; 32]),
            ..ResumeParams::default()
        }),
        ..stream_params(20, 8_000)
    }
}

/// A generator of chances; what they are is all that a seed decides.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// An application with a memory, and what it has of a stream.
#[derive(Default)]
struct App {
    /// The token of the last `start` that it had, and of the one before this connection.
    token: Option<String>,
    resumes_with: Option<String>,
    is_ready: bool,
    frames: BTreeMap<u32, Vec<u8>>,
    last: Option<u32>,
    gaps: Vec<(u32, u32)>,
    replayed: usize,
    events: Vec<u64>,
    marks: Vec<String>,
    /// What it has said and not seen acknowledged; the number of the next.
    said: Vec<(u32, bool)>,
    next: u32,
}

struct Call {
    node: Node,
    stream: StreamKey,
    /// One that never loses its connection.
    witness: StreamKey,
    phone: Phone,
    number: usize,
    app: App,
    is_connected: bool,
}

impl Call {
    fn new(ring_ms: u32) -> Call {
        let mut node = Node::connected();
        let witness = node.agree(params(10_000), "{}");
        let stream = node.open_stream(params(ring_ms));
        let mut call = Call {
            node,
            stream,
            witness,
            phone: Phone::new(),
            number: 0,
            app: App::default(),
            is_connected: true,
        };
        call.deliver(usize::MAX);
        call
    }

    /// Say hello on the present connection.
    fn greet(&mut self) {
        let mut hello = json!({"type": "hello"});
        if let Some(token) = &self.app.resumes_with {
            let last = self.app.last.map_or(-1, i64::from);
            let event = self.app.events.last().map_or(-1, |&event| event as i64);
            hello["resume"] = json!({"token": token, "received": {"0": last}, "event": event});
        }
        self.node.message(self.stream, &hello.to_string());
        self.deliver(usize::MAX);
    }

    /// So many frames of 20 ms, in each of which the phone says something that it says nowhere else.
    fn run(&mut self, frames: u64) {
        for _ in 0..frames {
            let samples = tone(self.number * 37, 160);
            self.number += 1;
            let packet = self.phone.say(&samples);
            self.node.rtp(&packet);
            self.node.run_ms(20);
        }
    }

    /// What has come from the server goes to the application, but for what comes after the first `limit` messages: that is lost
    /// with the socket.
    fn deliver(&mut self, limit: usize) {
        let texts = std::mem::take(&mut self.node.messages);
        let audio = std::mem::take(&mut self.node.binary_messages);
        let mut all: Vec<(u64, Result<String, Vec<u8>>)> = Vec::new();
        let ours = |key: StreamKey| key == self.stream;
        all.extend(
            texts
                .into_iter()
                .filter(|text| ours(text.1))
                .map(|(at, _, text)| (at.0, Ok(text))),
        );
        for (at, key, bytes) in audio {
            match key == self.witness {
                true => self.node.binary_messages.push((at, key, bytes)),
                false => all.push((at.0, Err(bytes))),
            }
        }
        all.sort_by_key(|(at, _)| *at);
        for (_, message) in all.into_iter().take(limit) {
            match message {
                Ok(text) => self.app.read(&serde_json::from_str(&text).unwrap()),
                Err(bytes) => self.app.hear(&bytes),
            }
        }
    }

    fn lose(&mut self, in_flight: usize) {
        let waiting = self.node.messages.len() + self.node.binary_messages.len();
        self.deliver(waiting.saturating_sub(in_flight));
        self.node
            .engine
            .stream_disconnected(self.node.now, self.stream)
            .unwrap();
        self.node.drain();
        (self.is_connected, self.app.is_ready) = (false, false);
    }

    fn reconnect(&mut self) {
        self.node
            .engine
            .stream_connected(self.node.now, self.stream)
            .unwrap();
        self.node.drain();
        self.is_connected = true;
    }

    /// Numbered speech, or a mark; `is_lost`: it does not come to the server.
    fn say(&mut self, is_mark: bool, is_lost: bool) {
        let number = self.app.next;
        self.app.next += 1;
        self.app.said.push((number, is_mark));
        if self.is_connected && self.app.is_ready && !is_lost {
            self.send(number, is_mark, 0);
        }
    }

    fn send(&mut self, number: u32, is_mark: bool, flags: u16) {
        if is_mark {
            let mark = json!({"type": "mark", "name": number.to_string(), "sequence": number});
            return self.node.message(self.stream, &mark.to_string());
        }
        let mut message = Vec::new();
        Header {
            flags,
            sequence: number,
            ..Header::default()
        }
        .write(&mut message);
        message.extend_from_slice(&bytes_of(&tone(0, 160)));
        let source = Source::StreamBinary(self.stream);
        self.node.engine.receive(self.node.now, source, &message);
        self.node.drain();
    }

    /// Say again what the server has not had.
    fn say_again(&mut self, received: i64) {
        self.app.said.retain(|(number, _)| i64::from(*number) > received);
        for (number, is_mark) in self.app.said.clone() {
            self.send(number, is_mark, REPLAY);
        }
    }

    fn heard_by_witness(&self) -> BTreeMap<u32, Vec<u8>> {
        let own = self
            .node
            .binary_messages
            .iter()
            .filter(|(_, key, _)| *key == self.witness);
        own.map(|(_, _, bytes)| {
            let (header, audio) = Header::parse(bytes).unwrap();
            (header.sequence, audio.to_vec())
        })
        .collect()
    }
}

impl App {
    fn read(&mut self, told: &Value) {
        if let Some(event) = told["event"].as_u64() {
            assert!(
                self.events.last().is_none_or(|last| event == last + 1),
                "{told} after {:?}",
                self.events.last()
            );
            self.events.push(event);
        }
        match told["type"].as_str().unwrap() {
            "start" => {
                self.resumes_with = self.token.take();
                self.token = Some(told["resume"]["token"].as_str().unwrap().into());
            }
            "ready" => {
                assert_eq!(told["resumed"], self.resumes_with.is_some());
                self.is_ready = true;
            }
            "gap" => {
                let number = |name: &str| told[name].as_u64().unwrap() as u32;
                self.gaps.push((number("from"), number("to")));
            }
            "mark" => {
                assert_eq!(told["outcome"], "played");
                self.marks.push(told["name"].as_str().unwrap().into());
            }
            _ => {}
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let (header, audio) = Header::parse(bytes).unwrap();
        let expected = self.last.map_or(0, |last| last + 1);
        let after_gap = self.gaps.last().is_some_and(|(_, to)| header.sequence == to + 1);
        assert!(
            header.sequence == expected || after_gap,
            "{} after {expected}",
            header.sequence
        );
        assert_eq!(header.flags & GAP != 0, header.sequence != expected);
        assert_eq!(header.timestamp, u64::from(header.sequence) * 160);
        self.replayed += usize::from(header.flags & REPLAY != 0);
        assert!(
            self.frames.insert(header.sequence, audio.to_vec()).is_none(),
            "heard twice"
        );
        self.last = Some(header.sequence);
    }
}

#[test]
fn every_frame_is_heard_once_whatever_is_lost_with_a_connection() {
    for seed in 0..12 {
        let mut chance = Chance(seed);
        let mut call = Call::new(10_000);
        call.greet();
        for _ in 0..40 {
            for _ in 0..=chance.below(40) {
                call.run(1);
                let (is_mark, is_lost) = (chance.below(10) == 0, false);
                call.say(is_mark, is_lost);
                call.deliver(usize::MAX);
            }
            // The last that the application says is lost with the socket, and so is what it was told.
            for _ in 0..chance.below(5) {
                call.say(chance.below(4) == 0, true);
                call.run(1);
            }
            call.lose(chance.below(12) as usize);
            call.run(chance.below(150));
            // A connection that stands and falls before hello, or before it is answered.
            for _ in 0..chance.below(3) {
                call.reconnect();
                call.deliver(chance.below(2) as usize);
                call.run(chance.below(20));
                call.lose(usize::MAX);
                call.run(chance.below(40));
            }
            call.reconnect();
            call.deliver(usize::MAX);
            call.run(chance.below(10));
            call.node.events.clear();
            let stream = call.stream;
            let is_ours = |(_, key, text): &(_, StreamKey, String)| *key == stream && !text.contains("start");
            assert_eq!(
                call.node.messages.iter().find(|told| is_ours(told)),
                None,
                "nothing before hello"
            );
            let token = call.app.resumes_with.clone();
            let last = call.app.last.map_or(-1, i64::from);
            let event = call.app.events.last().map_or(-1, |&event| event as i64);
            let hello =
                json!({"type": "hello", "resume": {"token": token, "received": {"0": last}, "event": event}});
            call.node.message(call.stream, &hello.to_string());
            let ready = call.node.told(call.stream, "ready");
            let received =
                ready.first().unwrap_or_else(|| panic!("seed {seed}: no ready"))["received"].as_i64();
            call.deliver(usize::MAX);
            call.say_again(received.unwrap());
        }
        call.run(100);
        call.deliver(usize::MAX);
        let said = call.app.next;
        let stats = call.node.engine.stats(call.node.session).unwrap();
        let (_, stats) = stats
            .streams
            .into_iter()
            .find(|(key, _)| *key == call.stream)
            .unwrap();
        let heard = call.heard_by_witness();
        assert!(call.app.gaps.is_empty(), "seed {seed}: {:?}", call.app.gaps);
        assert_eq!(call.app.frames.len(), heard.len(), "seed {seed}");
        assert!(
            call.app.frames == heard,
            "seed {seed}: not what the witness heard"
        );
        assert!(call.app.replayed > 500, "{}", call.app.replayed);
        let marks = call.app.marks.len() as u64;
        assert_eq!(
            stats.played_ms,
            (u64::from(said) - marks) * 20,
            "seed {seed}: speech is heard once"
        );
        assert!(
            call.app
                .marks
                .is_sorted_by_key(|name| name.parse::<u32>().unwrap())
        );
        assert_eq!(stats.missed, 0);
    }
}

#[test]
fn what_a_short_ring_has_lost_is_told_exactly() {
    for seed in 0..6 {
        let mut chance = Chance(seed);
        let mut call = Call::new(400);
        call.greet();
        for _ in 0..30 {
            call.run(5 + chance.below(20));
            call.lose(chance.below(8) as usize);
            call.run(chance.below(60));
            call.reconnect();
            call.deliver(usize::MAX);
            call.greet();
        }
        call.run(30);
        call.deliver(usize::MAX);
        let heard = call.heard_by_witness();
        let mut whole = call.app.frames.clone();
        for &(from, to) in &call.app.gaps {
            for number in from..=to {
                assert!(
                    whole.insert(number, heard[&number].clone()).is_none(),
                    "told as lost, and heard"
                );
            }
        }
        assert!(!call.app.gaps.is_empty());
        assert!(whole == heard, "seed {seed}");
    }
}

#[test]
fn a_token_is_good_for_one_ready_and_no_other_stream() {
    let mut call = Call::new(10_000);
    call.greet();
    call.run(5);
    call.deliver(usize::MAX);
    let last = i64::from(call.app.last.unwrap());
    let first = call.app.token.clone().unwrap();
    let mut hello = |token: &str, received: i64| {
        call.lose(0);
        call.reconnect();
        call.node.events.clear();
        let hello = json!({"type": "hello", "resume": {"token": token, "received": {"0": received}}});
        call.node.message(call.stream, &hello.to_string());
        call.node.events.iter().find_map(|(_, event)| match event {
            Event::StreamClosing { why, .. } => Some(*why),
            _ => None,
        })
    };
    assert_eq!(hello("", -1), Some(Closing::WrongToken));
    let forged = format!("{}0", &first[..first.len() - 1]);
    let forged = if forged == first {
        format!("{}1", &first[..first.len() - 1])
    } else {
        forged
    };
    assert_eq!(hello(&forged, -1), Some(Closing::WrongToken));
    assert_eq!(
        hello(TokenKey::new(7, [6; 32]).token(1).as_str(), -1),
        Some(Closing::WrongToken)
    );
    assert!(matches!(hello(&first, 10_000), Some(Closing::BadHello(_))));
    assert_eq!(hello(&first, last), None);
    assert_eq!(hello(&first, last), Some(Closing::WrongToken), "it was used");
}

#[test]
fn an_hour_of_outages_leaves_the_memory_where_it_was() {
    let mut call = Call::new(1_000);
    call.greet();
    for _ in 0..200 {
        call.run(30);
        call.lose(0);
        call.run(120);
        call.reconnect();
        call.deliver(usize::MAX);
        call.greet();
        call.node.binary_messages.clear();
        call.app.frames.clear();
    }
    let stats = call.node.engine.engine_stats();
    assert_eq!((stats.events_dropped, stats.transmits_dropped), (0, 0));
}
