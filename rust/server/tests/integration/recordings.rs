//! Recordings in all formats and layouts, of a server that lives and of one that is killed.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Phone, Server};

const LOUD: u8 = 0x10;

fn sealed() -> Value {
    json!({"data_key": STANDARD.encode([7; 32]), "wrapped_key": STANDARD.encode([9; 68])})
}

/// The milliseconds of a WAV, by its header, and whether the header is right.
fn wav_ms(path: &Path) -> (usize, bool) {
    let bytes = std::fs::read(path).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(&bytes[..4], b"RIFF");
    (number(40) / (number(28) / 1_000), number(40) <= bytes.len() - 44)
}

/// The milliseconds of an Ogg file up to its last whole page, and whether that says that it is the last.
fn ogg_ms(path: &Path) -> (u64, bool) {
    let bytes = std::fs::read(path).unwrap();
    let (mut rest, mut last, mut ends) = (&bytes[..], 0, false);
    assert_eq!((&rest[..4], &rest[28..36]), (&b"OggS"[..], &b"OpusHead"[..]));
    while let Some(header) = rest.get(..27) {
        assert_eq!(&header[..4], b"OggS");
        let table = &rest[27..27 + usize::from(header[26])];
        let length = 27 + table.len() + table.iter().map(|size| usize::from(*size)).sum::<usize>();
        let Some(after) = rest.get(length..) else { break };
        last = u64::from_le_bytes(header[6..14].try_into().unwrap());
        ends = header[5] & 4 != 0;
        rest = after;
    }
    (last.saturating_sub(312) / 48, ends)
}

/// The bytes in the whole chunks of a sealed file, and whether one says that it is the last.
fn sealed_bytes(path: &Path) -> (usize, bool) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..9], b"LLSEALED\x01");
    assert_eq!(&bytes[28..96], &[9; 68], "the wrapped key as it was given");
    let (mut rest, mut plain) = (&bytes[96..], 0);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length);
        let size = (length & 0x7fff_ffff) as usize;
        let Some(after) = after.get(size + 16..) else {
            break;
        };
        plain += size;
        rest = after;
        if length >> 31 == 1 {
            return (plain, rest.is_empty());
        }
    }
    (plain, false)
}

#[test]
fn a_killed_server_leaves_files_that_play_in_every_format() {
    let mut server = Server::start(&[]);
    let mut phone = Phone::call(&mut server.control, "call");
    let path = |name: &str| server.dir.join(name);
    for (name, format, encryption) in [
        ("a.wav", "wav", json!(null)),
        ("b.ogg", "ogg", json!(null)),
        ("c.wav.sealed", "wav", sealed()),
        ("d.ogg.sealed", "ogg", sealed()),
    ] {
        let fields = json!({"session": "call", "recording": name, "path": path(name), "format": format, "encryption": encryption});
        server.control.ok("recording.start", fields);
    }
    phone.speak(Duration::from_millis(2_200), LOUD);
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    let (duration, is_right) = wav_ms(&path("a.wav"));
    assert!(is_right && duration >= 1_000, "{duration} ms");
    let (duration, ends) = ogg_ms(&path("b.ogg"));
    assert!(!ends && duration >= 1_000, "{duration} ms");
    let (bytes, ends) = sealed_bytes(&path("c.wav.sealed"));
    assert!(!ends && bytes >= 44 + 32_000, "{bytes} bytes");
    let (bytes, ends) = sealed_bytes(&path("d.ogg.sealed"));
    assert!(!ends && bytes >= 1_000, "{bytes} bytes");
}

#[test]
fn a_finished_recording_says_what_it_is() {
    let mut server = Server::start(&[]);
    let path = server.dir.join("call.ogg");
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    let fields = json!({"session": "call", "recording": "r", "path": path, "format": "ogg", "layout": "mono", "rate_hz": 16_000});
    control.ok("recording.start", fields);
    phone.speak(Duration::from_millis(700), LOUD);
    let stopped = control.ok("recording.stop", json!({"session": "call", "recording": "r"}));
    let (duration, ends) = ogg_ms(&path);
    assert!(ends);
    assert_eq!(stopped["duration_ms"], duration);
    let facts = json!([
        stopped["format"],
        stopped["layout"],
        stopped["channels"],
        stopped["rate_hz"],
        stopped["encrypted"]
    ]);
    assert_eq!(facts, json!(["ogg", "mono", 1, 16_000, false]));
    let finished = control.event("recording.finished");
    assert_eq!(
        (&finished["error"], &finished["tracks"]),
        (&json!(null), &stopped["tracks"])
    );
}

#[test]
fn each_party_of_a_conference_has_a_file_and_hears_the_other() {
    let mut server = Server::start(&[]);
    let path = server.dir.join("call.wav");
    let control = &mut server.control;
    let mut first = Phone::call(control, "call");
    let fields = json!({"session": "call", "recording": "r", "path": path, "layout": "parties", "encryption": sealed()});
    control.ok("recording.start", fields);
    first.listen(Duration::from_millis(300));
    let mut second = Phone::join(control, "call", "second");
    let talking = std::thread::spawn(move || second.speak(Duration::from_millis(1_500), LOUD));
    let heard = first.listen(Duration::from_millis(1_500));
    talking.join().unwrap();
    assert!(heard.iter().filter(|packet| !packet.is_silent()).count() > 40);
    assert_eq!(control.event("speaker.changed")["leg"], "second");

    let closed = control.ok("leg.close", json!({"session": "call", "leg": "second"}));
    assert!(closed["stats"]["packets_received"].as_u64().unwrap() > 40);
    assert_eq!(
        control.refused("leg.close", json!({"session": "call", "leg": "second"})),
        "unknown_leg"
    );
    let report = control.ok("recording.stop", json!({"session": "call", "recording": "r"}));
    let tracks = report["tracks"].as_array().unwrap();
    let names: Vec<&str> = tracks
        .iter()
        .map(|track| track["track"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["streams", "leg", "second"]);
    let lengths: Vec<u64> = tracks
        .iter()
        .map(|track| track["duration_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(lengths[0], lengths[1]);
    assert!(
        lengths[0] >= lengths[2] && lengths[2] >= 1_500,
        "time in each file is time of the recording: {lengths:?}"
    );
    assert_eq!(
        (&report["encrypted"], &report["channels"]),
        (&json!(true), &json!(1))
    );
    for (track, file) in tracks
        .iter()
        .zip(["call.streams.wav", "call.leg1.wav", "call.leg2.wav"])
    {
        assert_eq!(track["path"], server.dir.join(file).to_str().unwrap());
        let (bytes, ends) = sealed_bytes(&server.dir.join(file));
        assert!(ends);
        assert_eq!(bytes as u64, 44 + 16 * track["duration_ms"].as_u64().unwrap());
    }
}

#[test]
fn a_muted_leg_is_silent_in_the_recording() {
    let mut server = Server::start(&[]);
    let path = server.dir.join("call.wav");
    let control = &mut server.control;
    let mut phone = Phone::call(control, "call");
    control.ok(
        "leg.mute",
        json!({"session": "call", "leg": "leg", "in": true, "out": false}),
    );
    control.ok(
        "recording.start",
        json!({"session": "call", "recording": "r", "path": path}),
    );
    phone.speak(Duration::from_millis(500), LOUD);
    control.ok("recording.stop", json!({"session": "call", "recording": "r"}));
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 10_000 && bytes[44..].iter().all(|byte| *byte == 0));
}

#[test]
fn what_a_recording_cannot_be_is_refused_and_keys_are_not_repeated() {
    let mut server = Server::start(&[]);
    let _phone = Phone::call(&mut server.control, "call");
    let key = STANDARD.encode([7; 31]);
    for (field, value) in [
        ("format", json!("mp3")),
        ("layout", json!("quad")),
        ("rate_hz", json!(44_100)),
        ("encryption", json!(key)),
        ("encryption", json!({"data_key": key, "wrapped_key": "AA=="})),
    ] {
        let mut fields = json!({"session": "call", "recording": "r", "path": server.dir.join("r.wav")});
        fields[field] = value;
        let id = server.control.send("recording.start", fields);
        let answer = server.control.answer(id);
        assert_eq!(answer["error"]["code"], "bad_request", "{field}");
        assert!(!answer.to_string().contains(&key), "{answer}");
    }
}
