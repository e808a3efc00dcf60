//! Control's connection: greetings, refusals, and connections that come, go, or do not read.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::{Control, spawn, stream_open};
use crate::support::{App, Phone, Server};

#[test]
fn a_connection_begins_with_hello() {
    let server = Server::start(&["--workers", "3"]);
    let mut control = Control::connect(&server.socket());
    assert_eq!(control.refused("stats", json!({})), "bad_request");
    assert_eq!(control.refused("hello", json!({"version": 1})), "bad_request");
    assert_eq!(control.refused("stats", json!({})), "bad_request");
    let hello = control.ok("hello", json!({"version": 2}));
    assert_eq!(hello["workers"], 3);
    assert_eq!(hello["pid"], server.child.id());
    assert!(hello["server"].as_str().unwrap().starts_with("longline-media/"));
    let stats = control.ok("stats", json!({}));
    assert_eq!(stats["workers"].as_array().unwrap().len(), 3);
    assert_eq!(stats["sessions"], json!([]));
}

#[test]
fn what_is_wrong_with_a_command_is_told_by_code() {
    let mut server = Server::start(&[]);
    let control = &mut server.control;
    let _phone = Phone::call(control, "call");
    let call = json!({"session": "call"});
    let with = |field: &str, value: &str| {
        let mut fields = call.clone();
        fields[field] = json!(value);
        fields
    };
    let stranger = json!({"session": "nobody"});
    for (command, fields, code) in [
        ("session.stats", stranger.clone(), "unknown_session"),
        ("session.close", stranger, "unknown_session"),
        ("stream.close", with("stream", "x"), "unknown_stream"),
        ("playback.stop", with("playback", "x"), "unknown_playback"),
        ("recording.stop", with("recording", "x"), "unknown_recording"),
        ("leg.open", with("leg", "leg"), "already_exists"),
        ("leg.open", with("leg", ""), "bad_request"),
        ("leg.fly", call.clone(), "bad_request"),
        (
            "stream.open",
            stream_open("nobody", "s", "ws://127.0.0.1/"),
            "unknown_session",
        ),
        (
            "stream.open",
            stream_open("call", "s", "http://127.0.0.1/"),
            "bad_request",
        ),
    ] {
        assert_eq!(
            control.refused(command, fields.clone()),
            code,
            "{command} {fields}"
        );
    }
    let mut fields = stream_open("call", "s", "ws://127.0.0.1/");
    fields["chunk_ms"] = json!(30);
    assert_eq!(control.refused("stream.open", fields), "bad_request");
    let connect = json!({"session": "call", "leg": "other", "rtp": "127.0.0.1:4000", "rtcp": null, 
        "payload_types": [{"payload_type": 0, "codec": "PCMU"}], "telephone_event": null, "direction": "sendrecv"});
    assert_eq!(control.refused("leg.connect", connect), "unknown_leg");
}

#[test]
fn a_frame_that_is_no_command_is_answered_to_null() {
    let mut server = Server::start(&[]);
    server.control.send_raw(b"{}");
    let id = server.control.send("stats", json!({}));
    // The answer without a number comes first; the helper that expects numbers would not take it.
    let answers = [raw_answer(&mut server.control), raw_answer(&mut server.control)];
    assert_eq!(answers[0]["re"], Value::Null);
    assert_eq!(answers[0]["error"]["code"], "bad_request");
    assert_eq!(answers[1]["re"], id);
}

fn raw_answer(control: &mut Control) -> Value {
    use std::io::Read;
    control
        .socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut length = [0; 4];
    control.socket.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    control.socket.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn without_a_free_pair_of_ports_a_leg_is_refused_and_leaves_no_session() {
    // Two pairs that no other run of this test uses.
    let first = 18_200 + std::process::id() % 400 * 4;
    let mut server = Server::start(&["--rtp-ports", &format!("{first}-{}", first + 3)]);
    let control = &mut server.control;
    for session in ["one", "two"] {
        control.ok("leg.open", json!({"session": session, "leg": "leg"}));
    }
    assert_eq!(
        control.refused("leg.open", json!({"session": "three", "leg": "leg"})),
        "no_ports"
    );
    assert_eq!(
        control.refused("session.stats", json!({"session": "three"})),
        "unknown_session"
    );
    control.ok("session.close", json!({"session": "one"}));
    control.ok("leg.open", json!({"session": "three", "leg": "leg"}));
    assert_eq!(control.ok("stats", json!({}))["rtp_ports_free"], 0);
}

#[test]
fn a_leg_gets_an_address_of_the_family_it_asks_for() {
    let rtp = |control: &mut Control, leg: &str, family: &str| {
        control.ok("leg.open", json!({"session": "s", "leg": leg, "family": family}))["rtp"].to_string()
    };
    let mut both = Server::start(&["--rtp-address", "127.0.0.1", "--rtp-address", "::1"]);
    assert!(rtp(&mut both.control, "six", "ipv6").starts_with("\"[::1]:"));
    assert!(rtp(&mut both.control, "four", "ipv4").starts_with("\"127.0.0.1:"));
    let any = both.control.ok("leg.open", json!({"session": "s", "leg": "any"}));
    assert!(any["rtp"].to_string().starts_with("\"127.0.0.1:"));
    let mut one = Server::start(&[]);
    let refused = one
        .control
        .refused("leg.open", json!({"session": "s", "leg": "l", "family": "ipv6"}));
    assert_eq!(refused, "no_address");
}

#[test]
fn sessions_outlive_a_connection_and_a_new_one_takes_over() {
    let mut server = Server::start(&[]);
    let app = App::listen();
    let mut phone = Phone::call(&mut server.control, "call");
    server.control.open_stream("call", "stream", &app.url());
    app.echo();
    server.control.event("stream.connected");
    drop(std::mem::replace(
        &mut server.control,
        Control::connect(&server.dir.join("control.sock")),
    ));
    let audible = phone
        .speak(Duration::from_secs(1), 0x10)
        .iter()
        .filter(|packet| !packet.is_silent())
        .count();
    assert!(audible > 25, "{audible} packets are audible without control");

    server.control.ok("hello", json!({"version": 2}));
    let stats = server.control.ok("stats", json!({}));
    assert_eq!(stats["sessions"], json!(["call"]));
    assert!(stats["events_dropped"].as_u64().unwrap() > 0);

    // A second one takes over while the first is there: the first is closed, events go to the second.
    let mut second = Control::greeted(&server.socket());
    assert!(server.control.is_closed_by_server());
    second.ok("stream.close", json!({"session": "call", "stream": "stream"}));
    assert_eq!(second.event("stream.closed")["reason"], "closed_by_control");
}

#[test]
fn control_that_does_not_read_is_closed_and_delays_no_audio() {
    use std::io::Write;
    let mut server = Server::start(&["--workers", "1"]);
    let app = App::listen();
    let mut phone = Phone::call(&mut server.control, "call");
    server.control.open_stream("call", "stream", &app.url());
    app.echo();
    server.control.event("stream.connected");

    let mut mute = Control::greeted(&server.socket());
    let body = json!({"id": 1, "cmd": "session.stats", "session": "call"}).to_string();
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(body.as_bytes());
    let flood = std::thread::spawn(move || {
        mute.socket
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let start = Instant::now();
        while mute.socket.write_all(&frame).is_ok() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "the connection is never closed"
            );
        }
    });
    let packets = phone.speak(Duration::from_secs(2), 0x10);
    assert!(packets.len() > 80, "{} packets in 2 s", packets.len());
    flood.join().unwrap();
    let mut control = Control::greeted(&server.socket());
    assert_eq!(control.ok("stats", json!({}))["sessions"], json!(["call"]));
}

#[test]
fn the_socket_is_private_and_a_stale_one_is_replaced() {
    let mut server = Server::start(&[]);
    let socket = server.socket();
    assert_eq!(
        std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );

    // Another server does not take a socket that is in use.
    let mut second = spawn(&socket, &[]);
    assert!(!second.wait().unwrap().success());
    server.control.ok("stats", json!({}));

    // A socket whose server was killed is nobody's.
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert!(socket.exists());
    server.child = spawn(&socket, &[]);
    Control::greeted(&socket);
}

#[test]
fn wrong_arguments_are_refused_in_words() {
    for (arguments, word) in [
        (
            &["--rtp-ports", "20001-20001", "--socket", "/tmp/unused"][..],
            "no even port",
        ),
        (
            &["--ca-file", "/no/such.pem", "--socket", "/tmp/unused"],
            "/no/such.pem",
        ),
        (&["--socket", "/no/such/dir/socket"], "/no/such/dir/socket"),
        (&["--socket", "/tmp/unused", "--log", "a=b=c"], "--log"),
        (&["--workers", "none"], "1 to 256"),
        (
            &["--silero-weights", "/no/such.weights", "--socket", "/tmp/unused"],
            "/no/such.weights",
        ),
        (&[], "--socket"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_longline-media"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(!output.status.success());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(word), "{arguments:?}: {told}");
    }
}
