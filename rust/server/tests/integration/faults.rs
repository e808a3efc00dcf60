//! Faults of the server itself.

use std::time::Duration;

use serde_json::json;

use crate::support::{App, Phone, Server};

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
