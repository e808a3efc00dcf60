//! Recordings and playbacks.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::{App, Phone, Server};

const LOUD: u8 = 0x10;

/// The samples of a stereo WAV, left and right, after a look at its header.
fn read_stereo(path: &Path) -> (Vec<i16>, Vec<i16>) {
    let bytes = std::fs::read(path).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(
        (&bytes[..4], &bytes[8..16], &bytes[36..40]),
        (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..])
    );
    assert_eq!(number(4) as usize, bytes.len() - 8, "the size in the header");
    assert_eq!(number(40) as usize, bytes.len() - 44, "the size of the data");
    assert_eq!(
        (bytes[22], number(24), bytes[34]),
        (2, 8000, 16),
        "stereo, 8 kHz, 16 bits"
    );
    let sample = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]);
    let frames = bytes[44..].chunks(4);
    frames
        .map(|frame| (sample(&frame[..2]), sample(&frame[2..])))
        .unzip()
}

fn loud(samples: &[i16]) -> usize {
    samples
        .iter()
        .filter(|sample| sample.unsigned_abs() > 1000)
        .count()
}

/// A WAV of a loud square wave.
fn write_tone(path: &Path, milliseconds: u32) {
    let samples = 8 * milliseconds;
    let mut bytes = media::wav::header(1, 8000, samples * 2).to_vec();
    for index in 0..samples {
        let sample: i16 = if index / 8 % 2 == 0 { 8000 } else { -8000 };
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_recording_is_a_playable_wav_at_any_moment() {
    let mut server = Server::start(&[]);
    let path = server.dir.join("call.wav");
    let control = &mut server.control;
    let app = App::listen();
    let mut phone = Phone::call(control, "call");
    control.open_stream("call", "stream", &app.url());
    app.echo();
    control.ok(
        "recording.start",
        json!({"session": "call", "recording": "r", "path": path}),
    );
    phone.speak(Duration::from_millis(1700), LOUD);
    let (left, _) = read_stereo(&path);
    assert!(
        left.len() >= 8 * 500,
        "{} samples on the disk after 1.7 s",
        left.len()
    );
    phone.speak(Duration::from_millis(500), LOUD);

    let stopped = control.ok("recording.stop", json!({"session": "call", "recording": "r"}));
    let (left, right) = read_stereo(&path);
    assert_eq!(stopped["duration_ms"], left.len() / 8);
    assert_eq!(stopped["bytes"], std::fs::metadata(&path).unwrap().len());
    assert!((1500..3500).contains(&(left.len() / 8)), "{} ms", left.len() / 8);
    assert!(loud(&left) > 8000, "the caller is on the left");
    assert!(loud(&right) > 6000, "the application is on the right");
    let finished = control.event("recording.finished");
    assert_eq!(finished["error"], json!(null));
    assert_eq!(finished["duration_ms"], stopped["duration_ms"]);
    assert_eq!(finished["path"], path.to_str().unwrap());
}

#[test]
fn a_session_that_closes_completes_its_recordings_before_it_answers() {
    let mut server = Server::start(&[]);
    let path = server.dir.join("short.wav");
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    control.ok(
        "recording.start",
        json!({"session": "call", "recording": "r", "path": path}),
    );
    phone.speak(Duration::from_millis(200), LOUD);
    control.ok("session.close", json!({"session": "call"}));
    let finished = control
        .event_within("recording.finished", Duration::ZERO)
        .expect("told before the answer");
    assert!(finished["duration_ms"].as_u64().unwrap() >= 100);
    assert!(!read_stereo(&path).0.is_empty());
}

#[test]
fn a_recording_that_cannot_be_made_is_a_bad_file() {
    let mut server = Server::start(&[]);
    let _phone = Phone::call(&mut server.control, "call");
    let fields = json!({"session": "call", "recording": "r", "path": "/no/such/dir/r.wav"});
    assert_eq!(server.control.refused("recording.start", fields), "bad_file");
    assert_eq!(
        server
            .control
            .refused("recording.stop", json!({"session": "call", "recording": "r"})),
        "unknown_recording"
    );
}

#[test]
fn a_relative_recording_goes_to_its_directory() {
    let dir = std::env::temp_dir().join(format!("longline-recordings-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut server = Server::start(&["--recordings-dir", dir.to_str().unwrap()]);
    let _phone = Phone::call(&mut server.control, "call");
    server.control.ok(
        "recording.start",
        json!({"session": "call", "recording": "r", "path": "r.wav"}),
    );
    let fields = json!({"session": "call", "recording": "r", "path": "r.wav"});
    assert_eq!(
        server.control.refused("recording.start", fields),
        "already_exists"
    );
    server
        .control
        .ok("recording.stop", json!({"session": "call", "recording": "r"}));
    assert!(dir.join("r.wav").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_file_is_played_as_often_as_asked() {
    let mut server = Server::start(&[]);
    let path = server.dir.join("tone.wav");
    write_tone(&path, 400);
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    let fields = json!({"session": "call", "playback": "p", "path": path, "repeat": 2});
    assert_eq!(control.ok("playback.start", fields)["duration_ms"], 400);
    let packets = phone.listen(Duration::from_millis(1500));
    let audible = packets.iter().filter(|packet| !packet.is_silent()).count();
    assert!(
        (35..=42).contains(&audible),
        "800 ms are 40 packets, not {audible}"
    );
    let finished = control.event("playback.finished");
    assert_eq!(
        (&finished["playback"], &finished["reason"]),
        (&json!("p"), &json!("completed"))
    );
    assert_eq!(
        control.refused("playback.stop", json!({"session": "call", "playback": "p"})),
        "unknown_playback"
    );
}

#[test]
fn a_file_for_one_leg_is_heard_by_it_alone() {
    let mut server = Server::start(&[]);
    let path = server.dir.join("tone.wav");
    write_tone(&path, 400);
    let control = &mut server.control;
    let (mut first, mut second) = (
        Phone::join(control, "call", "first"),
        Phone::join(control, "call", "second"),
    );
    let fields =
        |leg: &str| json!({"session": "call", "playback": "p", "path": path, "repeat": 1, "leg": leg});
    assert_eq!(control.refused("playback.start", fields("nobody")), "unknown_leg");
    control.ok("playback.start", fields("second"));
    let audible = second
        .listen(Duration::from_millis(1000))
        .iter()
        .filter(|packet| !packet.is_silent())
        .count();
    assert!(
        (15..=22).contains(&audible),
        "400 ms are 20 packets, not {audible}"
    );
    assert_eq!(control.event("playback.finished")["reason"], "completed");
    let heard = first.listen(Duration::from_millis(100));
    assert!(heard.iter().all(|packet| packet.is_silent()));
}

#[test]
fn a_playback_is_stopped() {
    let mut server = Server::start(&[]);
    let path = server.dir.join("tone.wav");
    write_tone(&path, 5000);
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    let fields = json!({"session": "call", "playback": "p", "path": path, "repeat": 1});
    control.ok("playback.start", fields.clone());
    assert_eq!(control.refused("playback.start", fields), "already_exists");
    phone.listen(Duration::from_millis(300));
    control.ok("playback.stop", json!({"session": "call", "playback": "p"}));
    assert_eq!(control.event("playback.finished")["reason"], "stopped");
    phone.listen(Duration::from_millis(100));
    assert!(
        phone
            .listen(Duration::from_millis(300))
            .iter()
            .all(|packet| packet.is_silent())
    );
}

#[test]
fn what_cannot_be_played_is_a_bad_file() {
    let mut server = Server::start(&[]);
    let text = server.dir.join("text.wav");
    std::fs::write(&text, "this is no audio").unwrap();
    let _phone = Phone::call(&mut server.control, "call");
    for path in [text.to_str().unwrap(), "/no/such/file.wav", "/dev/zero"] {
        let fields = json!({"session": "call", "playback": "p", "path": path, "repeat": 1});
        assert_eq!(
            server.control.refused("playback.start", fields),
            "bad_file",
            "{path}"
        );
    }
}
