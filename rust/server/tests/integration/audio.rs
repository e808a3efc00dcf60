//! Audio both ways.

use std::time::Duration;

use serde_json::json;

use crate::support::phone::Packet;
use crate::support::{App, Phone, Server};

const LOUD: u8 = 0x10;

fn audible(packets: &[Packet]) -> usize {
    packets.iter().filter(|packet| !packet.is_silent()).count()
}

#[test]
fn audio_is_echoed_by_the_application() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    control.open_stream("call", "stream", &app.url());
    let echo = app.echo();

    let packets = phone.speak(Duration::from_secs(2), LOUD);
    assert!(packets.len() > 80, "{} packets in 2 s", packets.len());
    assert!(
        audible(&packets) > 60,
        "{} of {} are audible",
        audible(&packets),
        packets.len()
    );
    let loudest = packets
        .iter()
        .flat_map(|packet| &packet.payload)
        .filter(|byte| **byte & 0x7F == LOUD)
        .count();
    assert!(loudest > 60 * 150, "what comes back is what was said");
    let steps: Vec<u16> = packets
        .windows(2)
        .map(|pair| pair[1].sequence.wrapping_sub(pair[0].sequence))
        .collect();
    assert!(
        steps.iter().all(|step| (1..100).contains(step)),
        "numbers never go back"
    );

    for event in [
        "leg.media_started",
        "stream.connected",
        "stream.first_audio_sent",
        "stream.first_audio_received",
        "playout.started",
    ] {
        let event = control.event(event);
        assert_eq!(event["session"], "call");
        assert!(event["at"].as_f64().unwrap() > 1.6e9);
    }
    let stats = control.ok("session.stats", json!({"session": "call"}))["stats"].clone();
    assert!(stats["legs"]["leg"]["packets_received"].as_u64().unwrap() > 80);
    assert!(stats["streams"]["stream"]["messages_received"].as_u64().unwrap() > 60);
    control.ok("session.close", json!({"session": "call"}));
    echo.join().unwrap();
}

#[test]
fn what_the_application_gets_begins_with_start() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let mut phone = Phone::call(&mut server.control, "call");
    server.control.open_stream("call", "stream", &app.url());
    let heard = app.run(|app| {
        let mut socket = app.accept();
        [socket.message().unwrap(), socket.message().unwrap()]
    });
    phone.speak(Duration::from_millis(500), LOUD);
    let [start, audio] = heard.join().unwrap();
    assert_eq!(start["type"], "start");
    assert_eq!(start["stream_id"], "ms_1");
    assert_eq!(audio["type"], "audio");
}

#[test]
fn flooding_app_does_not_disturb_another_call() {
    let mut server = Server::start(&["--workers", "1"]);
    let control = &mut server.control;
    let flooded = App::listen();
    let quiet = App::listen();
    let _bad = Phone::call(control, "bad");
    let mut good = Phone::call(control, "good");
    control.open_stream("bad", "flood", &flooded.url());
    control.open_stream("good", "echo", &quiet.url());
    quiet.echo();
    let flood = flooded.run(|app| {
        let mut socket = app.accept();
        // A second of audio in each message, as fast as the server takes them.
        let message = json!({"type": "audio", "chunk_id": 1, "audio_b64": "AAAA".repeat(5334)}).to_string();
        let mut sent = 0_u64;
        while socket.send_frame(0x81, message.as_bytes()).is_ok() {
            sent += message.len() as u64;
        }
        sent
    });
    good.speak(Duration::from_millis(500), LOUD);

    let packets = good.speak(Duration::from_secs(3), LOUD);
    assert!(packets.len() > 120, "{} packets in 3 s", packets.len());
    assert!(
        audible(&packets) > 100,
        "{} of {} are audible",
        audible(&packets),
        packets.len()
    );
    let mut gaps: Vec<Duration> = packets.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    assert!(median < Duration::from_millis(40), "median gap {median:?}");

    let overflow = control.event("playout.overflow");
    assert_eq!(overflow["session"], "bad");
    control.ok("session.close", json!({"session": "bad"}));
    assert!(flood.join().unwrap() > 10 << 20, "this was no flood");
}

#[test]
fn a_binary_message_is_refused_once_and_counted() {
    let mut server = Server::start(&[]);
    let control = &mut server.control;
    let app = App::listen();
    let _phone = Phone::call(control, "call");
    control.open_stream("call", "stream", &app.url());
    let app = app.run(|app| {
        let mut socket = app.accept();
        for _ in 0..3 {
            socket.send_frame(0x82, b"\x00\x01").unwrap();
        }
        socket.send_frame(0x89, b"are you there").unwrap();
        loop {
            let (opcode, payload) = socket.frame().unwrap();
            if opcode == 10 {
                return payload;
            }
        }
    });
    assert_eq!(app.join().unwrap(), b"are you there");
    assert_eq!(control.event("stream.refused_message")["reason"], "binary");
    assert_eq!(
        control.event_within("stream.refused_message", Duration::from_millis(100)),
        None
    );
    let closed = control.closed("stream");
    assert_eq!(closed["stats"]["binary_messages"], 3);
}
