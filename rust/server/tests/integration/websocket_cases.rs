//! What an application can do wrong on its WebSocket, a test for each kind. Every one has the same oracle: the stream ends
//! with the reason and the code that are right (or goes on), it is told once, and a call beside it, on the same worker, hears
//! its application all the while.
//!
//! A token that is used twice, and one that fences another, are in `resumption`.
//!
//! Beside these: an application that stops reading, one that answers no ping, and one that goes without a close frame are in
//! `closing`; a flood of audio is in `audio`; what stands in messages is tried against the engine, in virtual time
//! (`rust/media/tests/whatever_an_application_says.rs`).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::accept_of;
use crate::support::native::{Told, knock, told};
use crate::support::server::stream_open;
use crate::support::{App, Native, Phone, Server, Socket};

const LOUD: u8 = 0x10;

/// A worker with two calls: one whose application misbehaves, and its neighbour, whose application echoes.
struct Neighbours {
    server: Server,
    neighbour: Phone,
}

impl Neighbours {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Self {
        let mut server = Server::start(&[&["--workers", "1"], arguments].concat());
        let app = App::listen();
        let neighbour = Phone::call(&mut server.control, "neighbour");
        server.control.open_stream("neighbour", "echo", &app.url());
        app.echo();
        server.control.event("stream.connected");
        Self { server, neighbour }
    }

    /// How a stream to this application ends.
    fn end_of(&mut self, app: impl FnOnce(App) + Send + 'static) -> Value {
        let control = &mut self.server.control;
        let listening = App::listen();
        let _phone = Phone::call(control, "call");
        control.open_stream("call", "stream", &listening.url());
        let thread = listening.run(app);
        let closed = control.event("stream.closed");
        thread.join().unwrap();
        control.ok("session.close", json!({"session": "call"}));
        closed
    }

    /// These bytes, sent once the WebSocket is open, end the stream with this code.
    #[track_caller]
    fn assert_violation(&mut self, bytes: Vec<u8>, code: u16, detail: &str) {
        let closed = self.end_of(move |app| {
            let mut socket = app.accept();
            let _ = socket.send_raw(&bytes);
            assert_eq!(socket.close_code(), Some(code));
        });
        let reason = if code == 1009 {
            "message_too_big"
        } else {
            "protocol_error"
        };
        assert_end(&closed, reason, json!(code), detail);
    }

    /// The neighbour is as well as ever, and no end was told twice.
    #[track_caller]
    fn assert_undisturbed(mut self) {
        let packets = self.neighbour.speak(Duration::from_millis(800), LOUD);
        let audible = packets.iter().filter(|packet| !packet.is_silent()).count();
        assert!(audible > 15, "{audible} of {} packets are audible", packets.len());
        assert_eq!(
            self.server.control.event_within("stream.closed", Duration::ZERO),
            None
        );
    }
}

#[track_caller]
fn assert_end(closed: &Value, reason: &str, code: Value, detail: &str) {
    assert_eq!(closed["reason"], reason, "{closed}");
    assert_eq!(closed["code"], code, "{closed}");
    let found = closed["detail"].as_str().unwrap_or_default();
    assert!(found.contains(detail), "{closed}");
}

/// Answer the upgrade with these bytes, `{accept}` replaced by the right answer to the key.
fn answer(app: &App, text: &str) -> TcpStream {
    let mut tcp = app.accept_tcp();
    let mut head = vec![0; 4096];
    let length = tcp.read(&mut head).unwrap();
    let accept = accept_of(&String::from_utf8_lossy(&head[..length]));
    // Who is refused in the middle closes while we write.
    let _ = tcp.write_all(text.replace("{accept}", &accept).as_bytes());
    tcp
}

/// Pass over frames until the pong of this payload.
fn await_pong(socket: &mut Socket, wanted: &[u8]) {
    loop {
        let (opcode, payload) = socket.frame().expect("the stream has ended");
        if opcode == 10 && payload == wanted {
            return;
        }
    }
}

#[test]
fn bad_and_doubled_upgrade_headers_are_a_bad_upgrade() {
    let mut calls = Neighbours::new();
    let status = "HTTP/1.1 101 Switching Protocols\r\n";
    let (upgrade, connection) = ("Upgrade: websocket\r\n", "Connection: Upgrade\r\n");
    let accept = "Sec-WebSocket-Accept: {accept}\r\n";
    for (head, detail) in [
        (format!("{status}{connection}{accept}"), "Upgrade: websocket"),
        (
            format!("{status}Upgrade: h2c\r\n{connection}{accept}"),
            "Upgrade: websocket",
        ),
        (format!("{status}{upgrade}{accept}"), "Connection: Upgrade"),
        (
            format!("{status}{upgrade}Connection: close\r\n{accept}"),
            "Connection: Upgrade",
        ),
        (
            format!("{status}{upgrade}{connection}{accept}{accept}"),
            "more than one Sec-WebSocket-Accept",
        ),
        (
            format!("{status}{upgrade}{connection}{accept}Bad\0Name: x\r\n"),
            "not HTTP",
        ),
        (
            format!("{status}{upgrade}{connection}{accept}{}", "X: y\r\n".repeat(65)),
            "64 header fields",
        ),
        (
            format!("{status}{upgrade}{connection}X: {}", "y".repeat(17 << 10)),
            "16 KiB",
        ),
        (format!("HTTP/2 101\r\n{upgrade}{connection}{accept}"), "not HTTP"),
    ] {
        let closed = calls.end_of(move |app| drop(answer(&app, &format!("{head}\r\n"))));
        assert_end(&closed, "bad_upgrade", Value::Null, detail);
    }
    calls.assert_undisturbed();
}

#[test]
fn a_wrong_accept_is_a_bad_upgrade() {
    let mut calls = Neighbours::new();
    for accept in ["", "{accept}x", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "\u{e9}"] {
        let text = format!(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let closed = calls.end_of(move |app| drop(answer(&app, &text)));
        assert_end(&closed, "bad_upgrade", Value::Null, "Sec-WebSocket-Accept");
    }
    calls.assert_undisturbed();
}

#[test]
fn a_masked_frame_from_the_application_is_refused() {
    let mut calls = Neighbours::new();
    calls.assert_violation(b"\x81\x82\x01\x02\x03\x04ab".to_vec(), 1002, "masked");
    calls.assert_violation(b"\x82\x80\x00\x00\x00\x00".to_vec(), 1002, "masked");
    calls.assert_undisturbed();
}

#[test]
fn every_frame_of_ours_is_masked() {
    let mut calls = Neighbours::with(&["--stream-ping-interval", "0.2"]);
    calls.end_of(|app| {
        let mut socket = app.accept();
        socket.send_frame(0x89, b"?").unwrap();
        let mut kinds = Vec::new();
        // `frame` asserts the mask.
        while !kinds.contains(&8) {
            let (opcode, payload) = socket.frame().unwrap();
            if opcode == 9 && kinds.contains(&1) {
                socket.send_frame(0x8A, &payload).unwrap();
                socket.send_frame(0x88, b"\x03\xe8").unwrap();
            }
            kinds.push(opcode);
        }
        for kind in [1, 9, 10] {
            assert!(kinds.contains(&kind), "{kinds:?}");
        }
    });
}

#[test]
fn reserved_bits_are_refused() {
    let mut calls = Neighbours::new();
    for bit in [0x40, 0x20, 0x10] {
        calls.assert_violation(vec![0x81 | bit, 0], 1002, "reserved bit");
    }
    calls.assert_undisturbed();
}

#[test]
fn reserved_opcodes_are_refused() {
    let mut calls = Neighbours::new();
    for opcode in [3, 7, 0xB, 0xF] {
        calls.assert_violation(vec![0x80 | opcode, 0], 1002, "opcode");
    }
    calls.assert_undisturbed();
}

#[test]
fn fragmented_control_frames_are_refused() {
    let mut calls = Neighbours::new();
    for opcode in [8, 9, 0xA] {
        calls.assert_violation(vec![opcode, 0], 1002, "fragmented");
    }
    calls.assert_undisturbed();
}

#[test]
fn control_frames_of_more_than_125_bytes_are_refused() {
    let mut calls = Neighbours::new();
    for opcode in [8, 9, 0xA] {
        let frame = [&[0x80 | opcode, 126, 0, 126][..], &[b' '; 126]].concat();
        calls.assert_violation(frame, 1002, "125");
    }
    calls.assert_violation(vec![0x89, 127, 0, 0, 0, 0, 0, 1, 0, 0], 1002, "125");
    calls.assert_undisturbed();
}

#[test]
fn interleaved_fragments_are_refused_and_control_frames_between_them_are_not() {
    let mut calls = Neighbours::new();
    calls.assert_violation(b"\x01\x01a\x81\x01b".to_vec(), 1002, "inside");
    calls.assert_violation(b"\x01\x01a\x02\x01b".to_vec(), 1002, "inside");
    calls.assert_violation(b"\x80\x00".to_vec(), 1002, "continues no message");
    let closed = calls.end_of(|app| {
        let mut socket = app.accept();
        socket.send_raw(b"\x01\x08{\"type\":").unwrap();
        socket.send_frame(0x89, b"between").unwrap();
        await_pong(&mut socket, b"between");
        socket.send_raw(b"\x00\x00\x80\x08\"clear\"}").unwrap();
        socket.close(b"\x03\xe8");
    });
    assert_end(&closed, "closed_by_app", json!(1000), "");
    assert_eq!(closed["stats"]["messages_received"], 1);
    assert_eq!(closed["stats"]["malformed_json"], 0);
    calls.assert_undisturbed();
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let mut calls = Neighbours::new();
    for bytes in [
        &b"\x81\x01\xff"[..],
        b"\x81\x02\xc0\x80",
        b"\x81\x03\xed\xa0\x80",
        b"\x81\x04\xf4\x90\x80\x80",
        b"\x81\x02\xe2\x82",
        b"\x01\x01\xe2\x80\x02\x28\xa1",
        b"\x88\x03\x03\xe8\xff",
    ] {
        calls.assert_violation(bytes.to_vec(), 1007, "UTF-8");
    }
    calls.assert_undisturbed();
}

#[test]
fn close_codes_that_never_go_over_the_wire_are_refused() {
    let mut calls = Neighbours::new();
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535] {
        let frame = [&[0x88, 2][..], &code.to_be_bytes()].concat();
        calls.assert_violation(frame, 1002, "close code");
    }
    calls.assert_violation(b"\x88\x01\x03".to_vec(), 1002, "half a code");
    for code in [1000_u16, 3000, 4999] {
        let closed = calls.end_of(move |app| {
            assert_eq!(app.accept().close(&code.to_be_bytes()), Some(code));
        });
        assert_end(&closed, "closed_by_app", json!(code), "");
    }
    calls.assert_undisturbed();
}

#[test]
fn impossible_lengths_are_refused_at_their_header() {
    let mut calls = Neighbours::new();
    let of = |length: u64| [&[0x82, 127][..], &length.to_be_bytes()].concat();
    calls.assert_violation(of(1 << 63), 1002, "highest bit");
    calls.assert_violation(of(u64::MAX), 1002, "highest bit");
    calls.assert_violation(of((1 << 63) - 1), 1009, "1 MiB");
    calls.assert_violation(of((1 << 20) + 1), 1009, "1 MiB");
    calls.assert_violation(of(65_535), 1002, "shortest");
    calls.assert_violation(b"\x81\x7E\x00\x05hello".to_vec(), 1002, "shortest");
    calls.assert_undisturbed();
}

#[test]
fn a_flood_of_pings_is_answered_as_far_as_there_is_room() {
    let mut calls = Neighbours::new();
    let closed = calls.end_of(|app| {
        let mut socket = app.accept();
        let mut flood = Vec::new();
        for number in 0..20_000_u32 {
            flood.extend_from_slice(&[0x89, 4]);
            flood.extend_from_slice(&number.to_be_bytes());
        }
        socket.send_raw(&flood).unwrap();
        // A ping may find no room for its pong; once the flood is over, one is answered again.
        loop {
            match socket.frame().expect("the stream has ended") {
                (10, payload) if payload == b"and now" => break,
                (1, _) => socket.send_frame(0x89, b"and now").unwrap(),
                _ => {}
            }
        }
        socket.close(b"\x03\xe8");
    });
    assert_end(&closed, "closed_by_app", json!(1000), "");
    calls.assert_undisturbed();
}

#[test]
fn compression_that_nobody_offered_is_refused() {
    let mut calls = Neighbours::new();
    let closed = calls.end_of(|app| {
        let text = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
                    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        drop(answer(&app, text));
    });
    assert_end(&closed, "bad_upgrade", Value::Null, "extension");
    // A megabyte of zeros in eleven bytes would be longer than this in the end; it is not even looked at.
    let bomb = b"\xC1\x0B\xEC\xC1\x01\x01\x00\x00\x00\x80\x90\xFE\xAF".to_vec();
    calls.assert_violation(bomb, 1002, "reserved bit");
    calls.assert_undisturbed();
}

#[test]
fn a_slow_reader_gets_whole_messages_in_order() {
    let mut calls = Neighbours::new();
    let closed = calls.end_of(|app| {
        rustix::net::sockopt::set_socket_recv_buffer_size(&app.listener, 4096).unwrap();
        let mut socket = app.accept();
        thread::sleep(Duration::from_millis(600));
        let mut last = 0;
        for _ in 0..30 {
            let id = socket.message().unwrap()["message_id"].as_u64().unwrap();
            assert!(id > last, "{id} after {last}");
            last = id;
        }
        socket.close(b"\x03\xe8");
    });
    assert_end(&closed, "closed_by_app", json!(1000), "");
    calls.assert_undisturbed();
}

#[test]
fn a_writer_of_one_byte_at_a_time_is_understood() {
    let mut calls = Neighbours::with(&["--stream-ping-interval", "0.2"]);
    let closed = calls.end_of(|app| {
        let mut socket = app.accept();
        // Longer than three pings, none of which can be answered within a frame: a byte is a sign of life as well.
        for byte in b"\x81\x10{\"type\":\"clear\"}\x88\x02\x03\xe8" {
            socket.send_raw(&[*byte]).unwrap();
            thread::sleep(Duration::from_millis(40));
        }
        assert_eq!(socket.close_code(), Some(1000));
    });
    assert_end(&closed, "closed_by_app", json!(1000), "");
    assert_eq!(closed["stats"]["messages_received"], 1);
    calls.assert_undisturbed();
}

#[test]
fn half_a_frame_and_then_nothing_is_a_ping_timeout() {
    let mut calls = Neighbours::with(&["--stream-ping-interval", "0.2"]);
    let closed = calls.end_of(|app| {
        let mut socket = app.accept();
        socket.send_raw(b"\x81\x7E\x01\x00{").unwrap();
        assert_eq!(socket.close_code(), Some(1008));
    });
    assert_end(&closed, "ping_timeout", Value::Null, "ping");
}

#[test]
fn a_stream_that_nobody_opened_cannot_be_closed() {
    let mut calls = Neighbours::new();
    let control = &mut calls.server.control;
    for (session, stream, code) in [
        ("neighbour", "none", "unknown_stream"),
        ("none", "echo", "unknown_session"),
    ] {
        let fields = json!({"session": session, "stream": stream});
        assert_eq!(control.refused("stream.close", fields), code);
    }
    let app = App::listen();
    let again = stream_open("neighbour", "echo", &app.url());
    assert_eq!(control.refused("stream.open", again), "already_exists");
    calls.assert_undisturbed();
}

/// A server with a door, and an application that has a stream there by the server's dialling.
fn with_door() -> (Server, App, Native, std::net::SocketAddr) {
    let mut server = Server::start(&["--stream-listen", "127.0.0.1:0"]);
    let control = &mut server.control;
    let door = control.ok("stats", json!({}))["listener"]["address"].clone();
    let app = App::listen();
    let _phone = Phone::call(control, "call");
    let mut open = stream_open("call", "stream", &app.url());
    open["dialect"] = json!("longline");
    open["rate_hz"] = json!(16_000);
    open["resume"] = json!({"window_ms": 30_000, "url": "ws://door/"});
    control.ok("stream.open", open);
    let native = Native::accept(&app, json!({}));
    (server, app, native, door.as_str().unwrap().parse().unwrap())
}

#[test]
fn an_unmasked_frame_of_an_application_that_has_come_is_refused() {
    let (mut server, _app, first, door) = with_door();
    let mut socket = knock(door, &first.token()).unwrap();
    // As only a server may send it.
    socket.send_raw(b"\x81\x10{\"type\":\"hello\"}").unwrap();
    assert_eq!(socket.close_code(), Some(1002));
    // Whoever had the stream before is none the worse, or dialled again.
    assert_eq!(
        server
            .control
            .event_within("stream.closed", Duration::from_millis(300)),
        None
    );
    let stats = server.control.ok("session.stats", json!({"session": "call"}));
    assert!(stats["stats"]["streams"]["stream"].is_object());
}

#[test]
fn of_two_who_resume_at_once_one_has_the_stream() {
    let (mut server, _app, first, door) = with_door();
    let token = first.token();
    let hello = json!({"type": "hello", "resume": {"token": token, "received": {"0": 0}}});
    let come = || {
        let (token, hello) = (token.clone(), hello.clone());
        thread::spawn(move || {
            let Ok(mut socket) = knock(door, &token) else {
                return (false, None);
            };
            let _ = socket.send_json(&hello);
            let mut is_ready = false;
            loop {
                match told(&mut socket) {
                    Some(Told::Text(text)) if text["type"] == "ready" => is_ready = true,
                    Some(Told::Audio(_)) if is_ready => return (true, Some(socket)),
                    Some(Told::Close(_)) | None => return (false, None),
                    Some(_) => {}
                }
            }
        })
    };
    let both = [come(), come()].map(|thread| thread.join().unwrap());
    let winners = both.iter().filter(|(has_stream, _)| *has_stream).count();
    assert_eq!(winners, 1);
    let (_, socket) = both.into_iter().find(|(has_stream, _)| *has_stream).unwrap();
    assert!(matches!(
        told(&mut socket.unwrap()),
        Some(Told::Audio(_) | Told::Text(_))
    ));
    assert_eq!(server.control.event_within("stream.closed", Duration::ZERO), None);
}
