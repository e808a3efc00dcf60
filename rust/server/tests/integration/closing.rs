//! Every way in which a stream can end, and that each is told once, with its reason.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::accept_of;
use crate::support::server::stream_open;
use crate::support::{App, Phone, Server, Socket};

/// How a stream to this application ends.
fn end_of(server: &mut Server, app: impl FnOnce(App) + Send + 'static) -> Value {
    let listening = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    server.control.open_stream("call", "stream", &listening.url());
    let thread = listening.run(app);
    let closed = server.control.closed("stream");
    thread.join().unwrap();
    server.control.ok("session.close", json!({"session": "call"}));
    closed
}

fn end_of_url(server: &mut Server, url: &str) -> Value {
    let _phone = Phone::call(&mut server.control, "call");
    server.control.open_stream("call", "stream", url);
    let closed = server.control.closed("stream");
    server.control.ok("session.close", json!({"session": "call"}));
    closed
}

#[track_caller]
fn assert_end(closed: &Value, reason: &str, code: Value, detail: &str) {
    assert_eq!(closed["reason"], reason, "{closed}");
    assert_eq!(closed["code"], code, "{closed}");
    assert!(
        closed["detail"].as_str().unwrap_or_default().contains(detail),
        "{closed}"
    );
}

/// Answer the request with these bytes, `{accept}` replaced by the right answer to the key.
fn answer(app: &App, text: &str) -> TcpStream {
    let mut tcp = app.accept_tcp();
    let mut head = vec![0; 4096];
    let length = tcp.read(&mut head).unwrap();
    let accept = accept_of(&String::from_utf8_lossy(&head[..length]));
    tcp.write_all(text.replace("{accept}", &accept).as_bytes())
        .unwrap();
    tcp
}

#[test]
fn a_refused_connection() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = end_of_url(&mut Server::start(&[]), &format!("ws://{free}/"));
    assert_end(&closed, "connect_refused", Value::Null, &free.to_string());
}

#[test]
fn a_name_without_an_address() {
    let closed = end_of_url(&mut Server::start(&[]), "ws://no-such-host.invalid/");
    assert_end(&closed, "dns_failed", Value::Null, "");
}

#[test]
fn a_name_is_resolved_and_every_address_tried() {
    // "localhost" is ::1 as well where there is IPv6; the application listens on 127.0.0.1 only.
    let mut server = Server::start(&[]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    server
        .control
        .open_stream("call", "stream", &format!("ws://localhost:{}/", app.port()));
    let app = app.run(|app| app.accept().message().unwrap());
    assert!(
        server.control.event("stream.connected")["connect_ms"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert_eq!(app.join().unwrap()["type"], "start");
}

#[test]
fn an_answer_with_another_status() {
    let closed = end_of(&mut Server::start(&[]), |app| {
        answer(&app, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    });
    assert_end(&closed, "http_status", Value::Null, "403 Forbidden");
}

#[test]
fn an_upgrade_that_breaks_the_rules() {
    // Two ways of the many in `websocket_cases`.
    let mut server = Server::start(&[]);
    for (text, detail) in [("SSH-2.0-OpenSSH_9.9\r\n", "not HTTP"), ("", "before the answer")] {
        let closed = end_of(&mut server, move |app| drop(answer(&app, text)));
        assert_end(&closed, "bad_upgrade", Value::Null, detail);
    }
}

#[test]
fn a_connection_that_is_never_made_times_out() {
    let mut server = Server::start(&["--stream-connect-timeout", "0.7"]);

    let start = Instant::now();
    let closed = end_of(&mut server, |app| {
        let mut tcp = app.accept_tcp();
        let _ = tcp.read_to_end(&mut Vec::new());
    });
    assert_end(&closed, "connect_timeout", Value::Null, "upgrade");
    assert!(start.elapsed() >= Duration::from_millis(650));

    let mute = App::listen();
    let closed = end_of_url(&mut server, &format!("wss://127.0.0.1:{}/", mute.port()));
    assert_end(&closed, "connect_timeout", Value::Null, "TLS");

    let (_listener, _waiting, port) = full_backlog();
    let closed = end_of_url(&mut server, &format!("ws://127.0.0.1:{port}/"));
    assert_end(&closed, "connect_timeout", Value::Null, "TCP");
}

/// A port that answers no SYN: its queue of connections is full and nobody accepts.
fn full_backlog() -> (rustix::fd::OwnedFd, Vec<rustix::fd::OwnedFd>, u16) {
    use rustix::net::{
        AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with,
    };
    let open = || {
        socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::NONBLOCK,
            None,
        )
        .unwrap()
    };
    let listener = open();
    bind(&listener, &"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let address: std::net::SocketAddr = getsockname(&listener).unwrap().try_into().unwrap();
    let waiting = (0..4).map(|_| {
        let socket = open();
        let _ = connect(&socket, &address);
        socket
    });
    (listener, waiting.collect(), address.port())
}

#[test]
fn the_application_closes_in_order() {
    let mut server = Server::start(&[]);
    for (payload, code, detail) in [
        (&b"\x03\xe8"[..], 1000, ""),
        (b"\x03\xf3agent failed", 1011, "agent failed"),
        (b"\x10\xe1", 4321, ""),
        (b"", 1005, ""),
    ] {
        let echoed = move |app: App| {
            let mut socket = app.accept();
            let expected = (code != 1005).then_some(code);
            assert_eq!(socket.close(payload), expected, "the close frame is echoed");
        };
        assert_end(&end_of(&mut server, echoed), "closed_by_app", json!(code), detail);
    }
}

#[test]
fn the_connection_ends_without_a_close_frame() {
    let mut server = Server::start(&[]);
    let ends: [fn(Socket); 3] = [
        |socket| drop(socket),
        |mut socket| socket.send_raw(b"\x81\x05he").unwrap(),
        |socket| {
            // A reset instead of an orderly end.
            rustix::net::sockopt::set_socket_linger(&socket.tcp, Some(Duration::ZERO)).unwrap();
        },
    ];
    for end in ends {
        let closed = end_of(&mut server, move |app| end(app.accept()));
        assert_end(&closed, "connection_lost", Value::Null, "without a close frame");
    }
}

#[test]
fn the_application_breaks_the_protocol() {
    // One way of the many in `websocket_cases`.
    let closed = end_of(&mut Server::start(&[]), |app| {
        let mut socket = app.accept();
        socket.send_raw(b"\xC1\x00").unwrap();
        assert_eq!(socket.close_code(), Some(1002));
    });
    assert_end(&closed, "protocol_error", json!(1002), "reserved bit");
}

#[test]
fn a_message_over_the_limit() {
    let mut server = Server::start(&[]);
    let closed = end_of(&mut server, |app| {
        let mut socket = app.accept();
        let _ = socket.send_frame(0x81, &vec![b' '; (1 << 20) + 1]);
        assert_eq!(socket.close_code(), Some(1009));
    });
    assert_end(&closed, "message_too_big", json!(1009), "1 MiB");

    let closed = end_of(&mut server, |app| {
        let mut socket = app.accept();
        socket.send_frame(0x81, &vec![b' '; 1 << 20]).unwrap();
        socket.close(b"\x03\xe8");
    });
    assert_end(&closed, "closed_by_app", json!(1000), "");
}

#[test]
fn an_application_that_stops_reading() {
    let mut server = Server::start(&["--stream-stall-timeout", "4"]);
    let app = App::listen();
    rustix::net::sockopt::set_socket_recv_buffer_size(&app.listener, 4096).unwrap();
    let _phone = Phone::call(&mut server.control, "call");
    let mut fields = stream_open("call", "stream", &app.url());
    fields["rate_hz"] = json!(16000);
    server.control.ok("stream.open", fields);
    let _idle = app.accept();
    // The buffers of two kernels fill first, then two seconds of audio wait, then some are dropped.
    let closed = server
        .control
        .event_within("stream.closed", Duration::from_secs(40))
        .unwrap();
    assert_end(&closed, "app_stalled", Value::Null, "took nothing");
    assert!(closed["stats"]["send_dropped"].as_u64().unwrap() > 0, "{closed}");
}

#[test]
fn an_application_that_answers_no_ping() {
    let mut server = Server::start(&["--stream-ping-interval", "0.3"]);
    let closed = end_of(&mut server, |app| {
        let mut socket = app.accept();
        assert_eq!(socket.close_code(), Some(1008));
    });
    assert_end(&closed, "ping_timeout", Value::Null, "ping");
}

#[test]
fn an_application_that_only_answers_pings_lives() {
    let mut server = Server::start(&["--stream-ping-interval", "0.1"]);
    let app = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    server.control.open_stream("call", "stream", &app.url());
    let app = app.run(|app| {
        let mut socket = app.accept();
        let mut pings = 0;
        while let Some((opcode, payload)) = socket.frame() {
            if opcode == 9 {
                pings += 1;
                socket.send_frame(0x8A, &payload).unwrap();
            }
        }
        pings
    });
    assert_eq!(
        server
            .control
            .event_within("stream.closed", Duration::from_millis(1500)),
        None
    );
    server
        .control
        .ok("stream.close", json!({"session": "call", "stream": "stream"}));
    assert!(app.join().unwrap() > 3);
}

#[test]
fn control_closes_the_stream_or_its_session() {
    let mut server = Server::start(&[]);
    for command in ["stream.close", "session.close"] {
        let app = App::listen();
        let _phone = Phone::call(&mut server.control, "call");
        server.control.open_stream("call", "stream", &app.url());
        let app = app.run(|app| app.accept().close_code());
        server.control.event("stream.connected");
        let answered = server
            .control
            .ok(command, json!({"session": "call", "stream": "stream"}));
        assert!(answered["stats"].is_object());
        let closed = server
            .control
            .event_within("stream.closed", Duration::ZERO)
            .expect("told before the answer");
        assert_end(&closed, "closed_by_control", json!(1000), "");
        assert_eq!(app.join().unwrap(), Some(1000));
        if command == "stream.close" {
            server.control.ok("session.close", json!({"session": "call"}));
        }
    }
}

#[test]
fn a_stream_that_is_still_dialled_can_be_closed() {
    let mut server = Server::start(&[]);
    let mute = App::listen();
    let _phone = Phone::call(&mut server.control, "call");
    server.control.open_stream("call", "stream", &mute.url());
    server
        .control
        .ok("stream.close", json!({"session": "call", "stream": "stream"}));
    assert_end(
        &server.control.closed("stream"),
        "closed_by_control",
        Value::Null,
        "",
    );
}
