//! A stream that loses its connection: the call stays, the application is dialled again, and in the end it is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::stream_open;
use crate::support::{App, Phone, Server, Socket};

/// Open a stream that is resumed for so long, with these further fields.
fn open(server: &mut Server, url: &str, window_ms: u32, fields: &Value) {
    let mut open = stream_open("call", "stream", url);
    open["resume"] = json!({"window_ms": window_ms});
    for (name, value) in fields.as_object().unwrap() {
        open[name] = value.clone();
    }
    server.control.ok("stream.open", open);
}

/// The connection ends without a word.
fn drop_it(socket: Socket) {
    socket.tcp.shutdown(std::net::Shutdown::Both).unwrap();
}

fn started(app: &App) -> Socket {
    let mut socket = app.accept();
    assert_eq!(socket.message().unwrap()["type"], "start");
    socket
}

#[test]
fn a_lost_connection_is_made_again_at_once_and_the_stream_goes_on() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    open(&mut server, &app.url(), 30_000, &json!({}));
    let first = started(&app);
    server.control.event("stream.connected");
    drop_it(first);
    let disconnected = server.control.event("stream.disconnected");
    assert_eq!(disconnected["reason"], "connection_lost", "{disconnected}");
    assert_eq!(disconnected["window_ms"], 30_000);
    let mut second = started(&app);
    let resumed = server.control.event("stream.resumed");
    assert_eq!(resumed["epoch"], 2, "{resumed}");
    assert_eq!(
        (&resumed["tries"], &resumed["dialled_in"]),
        (&json!(1), &json!(false))
    );
    // Teler has no way to say what came through: it begins anew.
    assert_eq!(resumed["resumed"], false);
    assert!(second.message().is_some(), "audio flows");
    let report = server
        .control
        .ok("stream.close", json!({"session": "call", "stream": "stream"}));
    assert_eq!(report["stats"]["connections"], 2, "{report}");
    assert_eq!(
        server.control.event_within("stream.connected", Duration::ZERO),
        None
    );
}

#[test]
fn an_application_that_restarts_is_waited_for() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let port = app.port();
    let _phone = Phone::call(&mut server.control, "call");
    open(&mut server, &app.url(), 30_000, &json!({}));
    let mut socket = started(&app);
    // RFC 6455 §7.4.1: "1001 indicates that an endpoint is going away".
    assert_eq!(socket.close(&[0x03, 0xE9]), Some(1001));
    assert_eq!(server.control.event("stream.disconnected")["code"], 1001);
    drop((socket, app));
    std::thread::sleep(Duration::from_millis(300));
    let app = App::on(TcpListener::bind(("127.0.0.1", port)).unwrap());
    started(&app);
    let resumed = server.control.event("stream.resumed");
    assert!(resumed["tries"].as_u64().unwrap() >= 2, "{resumed}");
    assert!(resumed["outage_ms"].as_u64().unwrap() >= 300, "{resumed}");
}

#[test]
fn a_close_with_1000_ends_the_stream() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    open(&mut server, &app.url(), 30_000, &json!({}));
    assert_eq!(started(&app).close(&[0x03, 0xE8]), Some(1000));
    let closed = server.control.closed("stream");
    assert_eq!(
        (&closed["reason"], &closed["code"]),
        (&json!("closed_by_app"), &json!(1000))
    );
    assert_eq!(
        server.control.event_within("stream.disconnected", Duration::ZERO),
        None
    );
}

#[test]
fn a_stream_ends_when_its_window_has_passed_and_not_before() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    open(&mut server, &app.url(), 700, &json!({}));
    drop_it(started(&app));
    drop(app);
    server.control.event("stream.disconnected");
    let lost = Instant::now();
    let closed = server.control.closed("stream");
    assert!(
        lost.elapsed() > Duration::from_millis(600),
        "{:?}",
        lost.elapsed()
    );
    assert_eq!(closed["reason"], "window_passed");
    let detail = closed["detail"].as_str().unwrap();
    assert!(detail.contains("tries; the last: 127.0.0.1"), "{detail}");
    assert_eq!(
        server.control.event_within("stream.disconnected", Duration::ZERO),
        None
    );
}

#[test]
fn a_stream_that_waits_for_its_application_is_closed_by_control() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    open(&mut server, &app.url(), 30_000, &json!({}));
    drop_it(started(&app));
    drop(app);
    server.control.event("stream.disconnected");
    server.control.ok("session.close", json!({"session": "call"}));
    assert_eq!(
        server.control.event("stream.closed")["reason"],
        "closed_by_control"
    );
}

#[test]
fn all_urls_are_tried_and_control_may_name_others() {
    let mut server = Server::start(&[]);
    let (one, two, three) = (App::listen(), App::listen(), App::listen());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _phone = Phone::call(&mut server.control, "call");
    let others = json!({"alternatives": [{"url": one.url()}, {"url": two.url()}]});
    open(&mut server, &format!("ws://{nobody}/"), 30_000, &others);
    let socket = started(&one);
    assert!(server.control.event("stream.connected")["connect_ms"].is_number());
    drop(one);
    drop_it(socket);
    let socket = started(&two);
    server.control.event("stream.resumed");
    let urls =
        json!({"session": "call", "stream": "stream", "urls": [{"url": three.url(), "addresses": null}]});
    server.control.ok("stream.urls", urls);
    drop_it(socket);
    started(&three);
    let resumed = server.control.event("stream.resumed");
    assert_eq!(resumed["epoch"], 3, "{resumed}");
    drop(two);
}

#[test]
fn the_next_url_is_tried_when_one_turns_the_stream_away() {
    let mut server = Server::start(&[]);
    let (one, two) = (App::listen(), App::listen());
    let _phone = Phone::call(&mut server.control, "call");
    let others = json!({"alternatives": [{"url": two.url()}], "resume": null});
    open(&mut server, &one.url(), 0, &others);
    let mut tcp = one.accept_tcp();
    let mut head = [0; 1024];
    let length = tcp.read(&mut head).unwrap();
    assert!(head[..length].starts_with(b"GET "));
    tcp.write_all(b"HTTP/1.1 503 Busy\r\n\r\n").unwrap();
    started(&two);
    server.control.event("stream.connected");
}

#[test]
fn queued_speech_is_heard_while_nobody_is_connected() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let mut phone = Phone::call(&mut server.control, "call");
    open(&mut server, &app.url(), 30_000, &json!({}));
    let mut socket = started(&app);
    use base64::Engine as _;
    let samples: Vec<u8> = [0x00, 0x20, 0x00, 0xE0].repeat(2 * 8_000);
    let audio = base64::engine::general_purpose::STANDARD.encode(samples);
    let speech = json!({"type": "audio", "audio_b64": audio, "chunk_id": 1});
    socket.send_json(&speech).unwrap();
    server.control.event("playout.started");
    drop_it(socket);
    drop(app);
    server.control.event("stream.disconnected");
    let packets = phone.speak(Duration::from_secs(1), 0x10);
    let audible = packets.iter().filter(|packet| !packet.is_silent()).count();
    assert!(audible > 30, "{audible} of {} are audible", packets.len());
}

#[test]
fn noise_is_heard_while_nobody_is_connected_and_no_longer() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let mut phone = Phone::call(&mut server.control, "call");
    let mut fields = stream_open("call", "stream", &app.url());
    fields["resume"] = json!({"window_ms": 30_000, "comfort": "noise"});
    server.control.ok("stream.open", fields);
    let audible = |phone: &mut Phone| {
        let packets = phone.speak(Duration::from_secs(1), 0x10);
        packets.iter().filter(|packet| !packet.is_silent()).count()
    };
    let socket = started(&app);
    assert_eq!(audible(&mut phone), 0);
    let port = app.port();
    drop_it(socket);
    drop(app);
    server.control.event("stream.disconnected");
    let heard = audible(&mut phone);
    assert!(heard > 40, "{heard}");
    let app = App::on(TcpListener::bind(("127.0.0.1", port)).unwrap());
    let _socket = started(&app);
    server.control.event("stream.resumed");
    phone.listen(Duration::from_millis(200));
    assert_eq!(audible(&mut phone), 0);
}

#[test]
fn a_window_of_zero_is_no_window() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    open(&mut server, &app.url(), 0, &json!({}));
    drop_it(started(&app));
    assert_eq!(server.control.closed("stream")["reason"], "connection_lost");
}

#[test]
fn windows_rings_and_urls_have_bounds() {
    let mut server = Server::start(&[]);
    let _phone = Phone::call(&mut server.control, "call");
    for (field, value) in [
        ("resume", json!({"window_ms": 3_600_001})),
        ("resume", json!({"window_ms": 1, "ring_ms": 60_001})),
        ("resume", json!({"window_ms": 1, "comfort": "music"})),
        ("resume", json!({"window_ms": 1, "url": "x".repeat(2_084)})),
        ("alternatives", json!(vec![json!({"url": "ws://app/"}); 8])),
        ("alternatives", json!([{"url": "http://app/"}])),
        ("alternatives", json!([{"url": "ws://app/", "addresses": []}])),
    ] {
        let mut open = stream_open("call", "stream", "ws://127.0.0.1:1/");
        open[field] = value;
        assert_eq!(
            server.control.refused("stream.open", open),
            "bad_request",
            "{field}"
        );
    }
}
