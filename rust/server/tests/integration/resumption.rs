//! longline.v1 §6: what a lost connection had on its way comes over the next, once, whoever makes that.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::native::{Heard, Told, knock, told};
use crate::support::server::stream_open;
use crate::support::{App, Native, Phone, Server};

const REPLAY: u16 = 1;
const GAP: u16 = 2;

/// A server with a door, a phone that speaks all the time, and an application that listens for the server.
struct House {
    server: Server,
    app: App,
    door: SocketAddr,
}

impl House {
    fn new() -> Self {
        Self::with(&json!({"window_ms": 30_000, "url": "ws://door/"}))
    }

    fn with(resume: &Value) -> Self {
        let mut server = Server::start(&["--stream-listen", "127.0.0.1:0"]);
        let stats = server.control.ok("stats", json!({}));
        let door = stats["listener"]["address"].as_str().unwrap().parse().unwrap();
        let app = App::listen();
        let mut phone = Phone::call(&mut server.control, "call");
        thread::spawn(move || phone.speak(Duration::from_secs(20), 0x10));
        let mut open = stream_open("call", "stream", &app.url());
        open["dialect"] = json!("longline");
        open["rate_hz"] = json!(16_000);
        open["resume"] = resume.clone();
        server.control.ok("stream.open", open);
        Self { server, app, door }
    }

    fn stats(&mut self) -> Value {
        let stats = self
            .server
            .control
            .ok("session.stats", json!({"session": "call"}));
        stats["stats"]["streams"]["stream"].clone()
    }

    fn resumed(&mut self) -> Value {
        self.server.control.event("stream.resumed")
    }
}

/// The `hello` of who has everything up to this frame.
fn after(token: &str, last: &Heard, event: Option<i64>) -> Value {
    let mut resume = json!({"token": token, "received": {"0": last.sequence}});
    if let Some(event) = event {
        resume["event"] = json!(event);
    }
    json!({"resume": resume})
}

/// Each frame follows on the one before it, in number and in position.
#[track_caller]
fn assert_whole(heard: &[Heard]) {
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
        assert_eq!(pair[1].timestamp, pair[0].timestamp + 320);
        assert_eq!(pair[1].bytes, 640);
    }
}

#[test]
fn what_was_said_while_nobody_listened_is_heard_after_it_once_and_in_order() {
    let mut house = House::new();
    let mut first = Native::accept(&house.app, json!({}));
    assert_eq!(first.start["epoch"], 1);
    assert_eq!(first.start["resume"]["window_ms"], 30_000);
    assert_eq!(first.start["resume"]["ring_ms"], 10_000);
    assert_eq!(first.start["resume"]["url"], "ws://door/");
    assert_eq!(first.ready["resumed"], false);
    let mut texts = Vec::new();
    let mut heard = first.hear(20, &mut texts);
    assert_eq!(heard[0].sequence, 0);
    assert!(heard.iter().all(|frame| frame.flags == 0));
    let token = first.token();
    first.vanish();

    let hello = after(&token, &heard[19], None);
    // Half a second in which it does not listen: the connection stands, and hello has not come.
    let socket = house.app.accept();
    thread::sleep(Duration::from_millis(500));
    let mut second = Native::greet(socket, hello);
    assert_eq!(second.start["epoch"], 2);
    assert_ne!(second.token(), token);
    assert_eq!(second.ready["resumed"], true);
    heard.extend(second.hear(60, &mut texts));
    assert_whole(&heard);
    let replayed = heard.iter().filter(|frame| frame.flags == REPLAY).count();
    assert!((20..60).contains(&replayed), "{replayed}");
    assert!(heard[20..20 + replayed].iter().all(|frame| frame.flags == REPLAY));
    assert!(heard[20 + replayed..].iter().all(|frame| frame.flags == 0));
    let resumed = house.resumed();
    assert_eq!(resumed["resumed"], true, "{resumed}");
    let stats = house.stats();
    assert_eq!(
        (&stats["replayed"], &stats["missed"]),
        (&json!(replayed), &json!(0)),
        "{stats}"
    );
    assert!(texts.iter().all(|text| text["type"] != "gap"), "{texts:?}");
}

#[test]
fn what_the_ring_has_lost_is_a_gap() {
    let mut house = House::with(&json!({"window_ms": 30_000, "ring_ms": 200}));
    let mut first = Native::accept(&house.app, json!({}));
    let last = *first.hear(5, &mut Vec::new()).last().unwrap();
    assert_eq!(first.start["resume"]["url"], Value::Null);
    let token = first.token();
    first.vanish();
    let socket = house.app.accept();
    thread::sleep(Duration::from_millis(600));
    let mut second = Native::greet(socket, after(&token, &last, None));
    let mut texts = Vec::new();
    let heard = second.hear(15, &mut texts);
    let gap = texts.iter().find(|text| text["type"] == "gap").unwrap();
    assert_eq!(
        (&gap["track"], &gap["from"]),
        (&json!(0), &json!(last.sequence + 1))
    );
    assert_eq!(gap["to"], heard[0].sequence - 1);
    assert_eq!(heard[0].flags, REPLAY | GAP);
    assert!(heard[1..].iter().all(|frame| frame.flags & GAP == 0));
    assert_whole(&heard);
    let missed = house.stats()["missed"].as_u64().unwrap();
    assert_eq!(missed, u64::from(heard[0].sequence - 1 - last.sequence));
}

#[test]
fn an_application_that_has_lost_its_memory_begins_with_the_present() {
    let house = House::new();
    let mut first = Native::accept(&house.app, json!({}));
    let last = *first.hear(5, &mut Vec::new()).last().unwrap();
    first.vanish();
    let socket = house.app.accept();
    thread::sleep(Duration::from_millis(300));
    let mut second = Native::greet(socket, json!({}));
    assert_eq!(second.ready["resumed"], false);
    let mut texts = Vec::new();
    let heard = second.hear(5, &mut texts);
    assert!(
        heard[0].sequence > last.sequence + 5 && heard[0].flags == GAP,
        "{:?}",
        heard[0]
    );
    assert!(texts.iter().any(|text| text["type"] == "gap"), "{texts:?}");
}

#[test]
fn speech_that_is_sent_again_is_heard_once_and_marks_are_answered_once() {
    let mut house = House::new();
    let mut first = Native::accept(&house.app, json!({}));
    (0..40).for_each(|number| first.say(number, 0));
    first
        .socket
        .send_json(&json!({"type": "mark", "name": "end", "sequence": 40}))
        .unwrap();
    first.text("playback.started");
    let mut texts = Vec::new();
    let last = *first.hear(3, &mut texts).last().unwrap();
    let token = first.token();
    first.vanish();
    // It is played to its end while nobody is connected.
    let socket = house.app.accept();
    thread::sleep(Duration::from_millis(1_200));
    let mut second = Native::greet(socket, after(&token, &last, Some(0)));
    assert_eq!(second.ready["received"], 40);
    (30..45).for_each(|number| second.say(number, REPLAY));
    let mark = second.text("mark");
    assert_eq!(
        (&mark["name"], &mark["outcome"]),
        (&json!("end"), &json!("played")),
        "{mark}"
    );
    assert!(mark["event"].as_u64().unwrap() > 0, "{mark}");
    thread::sleep(Duration::from_millis(300));
    let stats = house.stats();
    // Number 40 was the mark: 40 frames before it and 4 after it have been heard, and 11 had come before.
    assert_eq!(stats["played_ms"], 44 * 20, "{stats}");
}

#[test]
fn who_comes_by_the_door_takes_the_stream_and_fences_who_had_it() {
    let mut house = House::new();
    let mut first = Native::accept(&house.app, json!({}));
    let mut texts = Vec::new();
    let mut heard = first.hear(10, &mut texts);
    let token = first.token();

    let mut second = Native::come(house.door, &token, after(&token, &heard[9], None));
    assert_eq!(
        (&second.start["epoch"], &second.ready["resumed"]),
        (&json!(2), &json!(true))
    );
    heard.extend(second.hear(20, &mut texts));
    assert_whole(&heard);
    let code = loop {
        match told(&mut first.socket) {
            Some(Told::Close(code)) => break code,
            Some(_) => {}
            None => panic!("not told why"),
        }
    };
    assert_eq!(code, 4409);
    assert_eq!(
        house.server.control.event("stream.disconnected")["reason"],
        "fenced"
    );
    assert_eq!(house.resumed()["dialled_in"], true);

    // A token is good for one connection.
    assert!(
        knock(house.door, &token)
            .err()
            .unwrap()
            .starts_with("HTTP/1.1 401 ")
    );
    // Speech of a dialled connection is masked, and heard.
    (0..5).for_each(|number| second.say(number, 0));
    second.text("playback.finished");

    // And when that one is lost, the server dials.
    let token = second.token();
    let last = *second.hear(1, &mut texts).last().unwrap();
    second.vanish();
    let third = Native::accept(&house.app, after(&token, &last, None));
    assert_eq!(third.start["epoch"], 3);
    let resumed = house.resumed();
    assert_eq!(
        (&resumed["dialled_in"], &resumed["resumed"]),
        (&json!(false), &json!(true))
    );
    let _ = third.start;
}

#[test]
fn the_door_is_open_while_the_server_dials_in_vain() {
    let mut house = House::new();
    let mut first = Native::accept(&house.app, json!({}));
    let last = *first.hear(2, &mut Vec::new()).last().unwrap();
    let token = first.token();
    house.app = App::listen();
    first.vanish();
    house.server.control.event("stream.disconnected");
    thread::sleep(Duration::from_millis(200));
    let mut second = Native::come(house.door, &token, after(&token, &last, None));
    let heard = second.hear(20, &mut Vec::new());
    assert_eq!(heard[0].sequence, last.sequence + 1);
    assert_whole(&heard);
    assert_eq!(house.resumed()["dialled_in"], true);
}

#[test]
fn a_wrong_token_is_turned_away_and_the_stream_waits_for_the_right_one() {
    let mut house = House::new();
    let mut first = Native::accept(&house.app, json!({}));
    let last = *first.hear(2, &mut Vec::new()).last().unwrap();
    let token = first.token();
    first.vanish();
    let mut wrong = house.app.accept();
    let own = wrong.message().unwrap()["resume"]["token"]
        .as_str()
        .unwrap()
        .to_string();
    wrong
        .send_json(&json!({"type": "hello", "resume": {"token": own, "received": {}}}))
        .unwrap();
    assert_eq!(wrong.close_code(), Some(4401));
    let second = Native::accept(&house.app, after(&token, &last, None));
    assert_eq!(second.start["epoch"], 3);
    assert_eq!(house.resumed()["epoch"], 3);
}

#[test]
fn an_application_that_does_not_say_hello_has_no_stream() {
    let mut house = House::new();
    let mut socket = house.app.accept();
    assert_eq!(socket.close_code(), Some(4408));
    let closed = house.server.control.closed("stream");
    assert_eq!(
        (&closed["reason"], &closed["code"]),
        (&json!("bad_hello"), &json!(4408))
    );
}

#[test]
fn an_application_that_does_not_read_is_told_what_it_has_missed() {
    let mut house = House::with(&json!({"window_ms": 30_000, "ring_ms": 200}));
    // As much as the kernel takes, and the queue behind it, is soon full.
    let hello = json!({"audio": {"encoding": "pcm_s16le", "rate_hz": 48_000, "frame_ms": 10}, "tracks": [0, 1, 128, 129]});
    let mut app = Native::accept(&house.app, hello);
    let deadline = std::time::Instant::now() + Duration::from_secs(15);
    thread::sleep(Duration::from_secs(3));
    let mut texts = Vec::new();
    while house.stats()["missed"].as_u64() == Some(0) {
        assert!(std::time::Instant::now() < deadline, "{}", house.stats());
        thread::sleep(Duration::from_millis(200));
        if std::time::Instant::now() + Duration::from_secs(10) > deadline {
            app.hear(200, &mut texts);
        }
    }
    let mut all = app.hear(400, &mut texts);
    let gaps = || texts.iter().filter(|text| text["type"] == "gap");
    assert!(gaps().count() > 0);
    all.retain(|frame| frame.track == 0);
    assert_eq!(house.stats()["send_dropped"], 0);
}

#[test]
fn stop_and_a_close_with_1000_end_the_stream() {
    for way in ["stop", "close"] {
        let mut house = House::new();
        let mut app = Native::accept(&house.app, json!({}));
        match way {
            "stop" => app.socket.send_json(&json!({"type": "stop"})).unwrap(),
            _ => app.socket.send_frame(0x88, &1000_u16.to_be_bytes()).unwrap(),
        }
        assert_eq!(app.socket.close_code(), Some(1000), "{way}");
        let closed = house.server.control.closed("stream");
        assert_eq!(closed["reason"], "closed_by_app", "{way}: {closed}");
    }
}
