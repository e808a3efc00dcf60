//! The orderly end of the program, whoever asks for it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{App, Phone, Server};

fn stop(how: impl FnOnce(&mut Server)) {
    let mut server = Server::start(&[]);
    let recording = server.dir.join("call.wav");
    let app = App::listen();
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    control.open_stream("call", "stream", &app.url());
    let app = app.run(|app| app.accept().close_code());
    control.event("stream.connected");
    control.ok(
        "recording.start",
        json!({"session": "call", "recording": "r", "path": recording}),
    );
    phone.speak(Duration::from_millis(300), 0x10);

    let start = Instant::now();
    how(&mut server);
    assert!(server.exit_status().success());
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        start.elapsed()
    );
    assert_eq!(app.join().unwrap(), Some(1001));
    let closed = server.control.event("stream.closed");
    assert_eq!(
        (&closed["reason"], &closed["code"]),
        (&json!("closed_by_control"), &json!(1001))
    );
    let finished = server.control.event("recording.finished");
    assert_eq!(finished["error"], json!(null));
    assert_eq!(finished["bytes"], std::fs::metadata(&recording).unwrap().len());
    assert!(!server.socket().exists());
}

#[test]
fn the_end_of_its_input_stops_it_in_order() {
    stop(|server| drop(server.child.stdin.take()));
}

#[test]
fn a_signal_stops_it_in_order() {
    stop(|server| {
        let pid = rustix::process::Pid::from_child(&server.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    });
}

#[test]
fn a_command_stops_it_in_order() {
    stop(|server| drop(server.control.ok("shutdown", json!({}))));
}

#[test]
fn a_server_that_was_suspended_while_idle_serves_again() {
    use rustix::process::{Pid, Signal, kill_process};
    let mut server = Server::start(&["--workers", "1"]);
    let pid = Pid::from_child(&server.child);
    // signal(7): this interrupts epoll_wait, for which an idle worker has no deadline.
    kill_process(pid, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    kill_process(pid, Signal::CONT).unwrap();
    let mut phone = Phone::call(&mut server.control, "call");
    assert!(phone.listen(Duration::from_millis(500)).len() > 15);
}
