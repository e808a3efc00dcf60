//! Faults of the server itself.

use std::time::Duration;

use serde_json::json;

use crate::support::{App, Phone, Server, Socket};

#[test]
fn worker_panic_ends_only_its_sessions() {
    let mut server = Server::start(&["--workers", "2", "--debug-commands"]);
    let recording = server.dir.join("call.wav");
    let control = &mut server.control;
    // The least loaded worker gets the next session: one each.
    let mut phones = [Phone::call(control, "first"), Phone::call(control, "second")];
    let apps = [App::listen(), App::listen()];
    for (session, app) in ["first", "second"].iter().zip(&apps) {
        control.open_stream(session, "stream", &app.url());
    }
    let echoes = apps.map(App::echo);
    control.ok(
        "recording.start",
        json!({"session": "first", "recording": "r", "path": recording}),
    );
    phones[0].speak(Duration::from_millis(1500), 0x10);

    control.ok("debug.panic", json!({"worker": 0}));
    let died = control.event("worker.died");
    assert_eq!(died["worker"], 0);
    assert_eq!(died["sessions"], json!(["first"]));
    assert!(died["reason"].as_str().unwrap().contains("debug.panic"));
    assert!(died.get("session").is_none());

    let finished = control.event("recording.finished");
    assert!(finished["error"].as_str().unwrap().contains("worker"));
    assert!(finished["duration_ms"].as_u64().unwrap() >= 500);

    // The other call goes on, the lost one is unknown, and the worker takes new ones.
    let packets = phones[1].speak(Duration::from_secs(1), 0x10);
    let audible = packets.iter().filter(|packet| !packet.is_silent()).count();
    assert!(audible > 25, "{audible} of {} are audible", packets.len());
    assert_eq!(
        control.refused("session.stats", json!({"session": "first"})),
        "unknown_session"
    );
    let mut again = Phone::call(control, "first");
    assert!(again.listen(Duration::from_millis(500)).len() > 15);
    let stats = control.ok("stats", json!({}));
    assert_eq!(stats["workers"][0]["deaths"], 1);
    assert_eq!(stats["workers"][0]["sessions"], 1);
    assert_eq!(stats["workers"][1]["deaths"], 0);

    for session in ["first", "second"] {
        control.ok("session.close", json!({"session": session}));
    }
    for echo in echoes {
        echo.join().unwrap();
    }
}

#[test]
fn a_fault_in_a_session_ends_that_session_alone() {
    let mut server = Server::start(&["--workers", "1", "--debug-commands"]);
    let recording = server.dir.join("call.wav");
    let control = &mut server.control;
    let mut phones = [Phone::call(control, "broken"), Phone::call(control, "whole")];
    let apps = [App::listen(), App::listen()];
    for (session, app) in ["broken", "whole"].iter().zip(&apps) {
        control.open_stream(session, "stream", &app.url());
    }
    let echoes = apps.map(App::echo);
    control.ok(
        "recording.start",
        json!({"session": "broken", "recording": "r", "path": recording}),
    );
    phones[0].speak(Duration::from_millis(700), 0x10);
    control.ok("debug.panic", json!({"session": "broken"}));

    let closed = control.event("stream.closed");
    assert_eq!(
        (&closed["reason"], &closed["code"]),
        (&json!("session_failed"), &json!(1011))
    );
    let failed = control.event("session.failed");
    assert_eq!(failed["session"], "broken");
    assert_eq!(failed["reason"], "broken on purpose");
    let finished = control.event("recording.finished");
    assert!(finished["duration_ms"].as_u64().unwrap() >= 500);

    let packets = phones[1].speak(Duration::from_secs(1), 0x10);
    let audible = packets.iter().filter(|packet| !packet.is_silent()).count();
    assert!(audible > 25, "{audible} of {} are audible", packets.len());
    assert_eq!(
        control.refused("session.stats", json!({"session": "broken"})),
        "unknown_session"
    );
    let stats = control.ok("stats", json!({}));
    assert_eq!(
        (&stats["workers"][0]["deaths"], &stats["workers"][0]["sessions"]),
        (&json!(0), &json!(1))
    );
    // Its name and its ports are free again.
    let mut again = Phone::call(control, "broken");
    assert!(again.listen(Duration::from_millis(500)).len() > 15);

    for session in ["broken", "whole"] {
        control.ok("session.close", json!({"session": session}));
    }
    for echo in echoes {
        echo.join().unwrap();
    }
}

#[test]
fn breaking_things_needs_permission() {
    let mut server = Server::start(&[]);
    assert_eq!(
        server.control.refused("debug.panic", json!({"worker": 0})),
        "bad_request"
    );
    let mut server = Server::start(&["--debug-commands", "--workers", "1"]);
    assert_eq!(
        server.control.refused("debug.panic", json!({"worker": 1})),
        "bad_request"
    );
}

#[test]
fn calls_that_come_and_go_leave_nothing_behind() {
    const CALLS: usize = 60;
    let mut server = Server::start(&["--workers", "2"]);
    let tone = server.dir.join("tone.wav");
    std::fs::write(
        &tone,
        [&media::wav::header(1, 8000, 16_000)[..], &[7; 16_000]].concat(),
    )
    .unwrap();
    let before = server.control.ok("stats", json!({}))["rtp_ports_free"].clone();
    let app = App::listen();
    let url = app.url();
    let app = app.run(|app| {
        let serve = |number: usize, mut socket: Socket| match number % 4 {
            0 => socket.echo(),
            1 => drop(socket.close(b"\x03\xe8")),
            2 => drop(socket.message()),
            _ => drop(socket.send_raw(b"\xff\xff")),
        };
        let threads = (0..CALLS).map(|number| {
            // A session may be closed before its stream was upgraded.
            let socket = app.try_accept();
            std::thread::spawn(move || socket.map_or((), |socket| serve(number, socket)))
        });
        threads
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });

    let control = &mut server.control;
    for number in 0..CALLS {
        let session = format!("call-{number}");
        let _phone = Phone::call(control, &session);
        control.open_stream(&session, "stream", &url);
        let path = server.dir.join(format!("{number}.wav"));
        control.ok(
            "recording.start",
            json!({"session": session, "recording": "r", "path": path}),
        );
        control.ok(
            "playback.start",
            json!({"session": session, "playback": "p", "path": tone, "repeat": 1}),
        );
        if number % 3 == 0 {
            control.event("stream.connected");
        }
        if number >= 20 {
            control.ok(
                "session.close",
                json!({"session": format!("call-{}", number - 20)}),
            );
        }
    }
    for number in CALLS - 20..CALLS {
        control.ok("session.close", json!({"session": format!("call-{number}")}));
    }

    let mut closed = Vec::new();
    while let Some(event) = control.event_within("stream.closed", Duration::from_millis(300)) {
        closed.push(event["session"].as_str().unwrap().to_string());
    }
    assert_eq!(closed.len(), CALLS, "every stream is told to be over, once");
    closed.sort_unstable();
    closed.dedup();
    assert_eq!(closed.len(), CALLS, "and each of them");
    assert_eq!(control.event_within("worker.died", Duration::ZERO), None);
    let stats = control.ok("stats", json!({}));
    assert_eq!(
        (&stats["sessions"], &stats["rtp_ports_free"]),
        (&json!([]), &before)
    );
    for worker in stats["workers"].as_array().unwrap() {
        assert_eq!((&worker["sessions"], &worker["streams"]), (&json!(0), &json!(0)));
    }
    drop(server);
    app.join().unwrap();
}
