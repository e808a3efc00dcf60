//! `longline.v1`: the opening, formats and modes, numbers, what was heard of speech, barge-in, keys, requests and clocks, as
//! docs/reference/longline-v1.md has them.

mod common;

use common::*;
use media::stream::dialect::{Action, Answer};
use media::stream::longline::Header;
use media::{Closing, Dialect, Event, RefusedMessage, Source, StreamKey, StreamParams};
use serde_json::{Value, json};

fn params() -> StreamParams {
    StreamParams {
        dialect: Dialect::Longline,
        ..stream_params(20, 8_000)
    }
}

fn with_stream(hello: &str) -> (Node, StreamKey) {
    let mut node = Node::connected();
    let stream = node.agree(params(), hello);
    (node, stream)
}

/// What was told of playback, clears and marks, in few words.
fn story(node: &Node) -> Vec<String> {
    let told = node.messages.iter().map(|(_, _, text)| {
        let told: Value = serde_json::from_str(text).unwrap();
        let field = |name: &str| told[name].as_str().unwrap_or("null").to_string();
        match told["type"].as_str().unwrap() {
            "mark" => format!("mark {} {}", field("name"), field("outcome")),
            "playback.started" => format!("started {}", field("utterance_id")),
            "playback.finished" => format!(
                "finished {} {} {}",
                field("utterance_id"),
                told["played_ms"],
                field("outcome")
            ),
            "cleared" => format!(
                "cleared {} {}+{} by {}",
                told["generation"],
                told["played_ms"],
                told["dropped_ms"],
                field("by")
            ),
            "paused" => format!(
                "paused {}+{} by {}",
                told["played_ms"],
                told["queued_ms"],
                field("by")
            ),
            "resumed" => format!("resumed by {}", field("by")),
            "error" => format!("error {}", field("code")),
            "queue" => format!("queue {}", field("state")),
            _ => String::new(),
        }
    });
    told.filter(|line| !line.is_empty()).collect()
}

#[test]
fn an_opening_is_start_hello_and_ready_and_audio_begins_then() {
    let mut node = Node::connected();
    let mut opened = params();
    opened.start.from = "+1".into();
    opened.start.to = "+2".into();
    opened.metadata = r#"{"ticket":7}"#.into();
    let stream = node.open_stream(opened);
    let start = &node.told(stream, "start")[0];
    assert_eq!(
        *start,
        json!({
            "type": "start", "protocol": "longline.v1", "account_id": "acc_1", "call_app_id": "va_1",
            "call_id": "cs_1", "stream_id": "ms_1", "from": "+1", "to": "+2", "direction": "outbound",
            "metadata": {"ticket": 7}, "epoch": 1,
            "audio": {"encoding": "pcm_s16le", "rate_hz": 8000, "frame_ms": 20, "mode": "binary"},
            "offers": {
                "encodings": ["pcm_s16le", "mulaw", "alaw", "opus"], "rates_hz": [8000, 16000, 24000, 48000],
                "frame_ms": [10, 20, 30, 40, 50, 60], "modes": ["binary", "json"],
            },
            "tracks": [{"track": 1, "leg_id": "", "role": ""}], "queue_limit_ms": 120_000, "resume": null,
        })
    );
    node.run_ms(200);
    assert!(node.binary_messages.is_empty(), "nothing flows before hello");
    node.message(
        stream,
        r#"{"type":"hello","audio":{"rate_hz":16000},"tracks":[0,1]}"#,
    );
    assert_eq!(
        node.told(stream, "ready")[0],
        json!({
            "type": "ready", "audio": {"encoding": "pcm_s16le", "rate_hz": 16000, "frame_ms": 20, "mode": "binary"},
            "tracks": [0, 1], "received": -1, "generation": 0, "resumed": false,
        })
    );
    node.run_ms(40);
    let headers: Vec<(u8, u32, u64)> = node
        .binary_messages
        .iter()
        .map(|(_, _, bytes)| Header::parse(bytes).unwrap().0)
        .map(|header| (header.track, header.sequence, header.timestamp))
        .collect();
    assert_eq!(headers, [(0, 0, 0), (1, 0, 0), (0, 1, 320), (1, 1, 320)]);
    node.engine.close_stream(node.now, stream).unwrap();
    node.drain();
    assert_eq!(node.told(stream, "stop").len(), 1);
}

#[test]
fn every_format_and_length_of_frame_goes_both_ways() {
    let mut formats = vec![("mulaw", 8_000), ("alaw", 8_000), ("opus", 48_000)];
    formats.extend([8_000, 16_000, 24_000, 48_000].map(|rate_hz| ("pcm_s16le", rate_hz)));
    for (name, rate_hz) in formats {
        for frame_ms in [10, 20, 30, 40, 50, 60] {
            let what = format!("{name} at {rate_hz}, {frame_ms} ms");
            if name == "opus" && matches!(frame_ms, 30 | 50) {
                continue;
            }
            echo(name, rate_hz, frame_ms, &what);
        }
    }
}

fn loud(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (sum / samples.len() as f64).sqrt()
}

/// The application says back what it hears: the tone that the phone says is heard there with its loudness.
fn echo(name: &str, rate_hz: u64, frame_ms: u64, what: &str) {
    let audio = format!(r#""encoding":"{name}","rate_hz":{rate_hz},"frame_ms":{frame_ms}"#);
    let (mut node, stream) = with_stream(&format!(r#"{{"audio":{{{audio}}}}}"#));
    let mut phone = Phone::new();
    let mut echoed = 0;
    for _ in 0..150 {
        node.rtp(&phone.tone());
        node.run_ms(20);
        while let Some((_, _, message)) = node.binary_messages.get(echoed).cloned() {
            let (header, audio) = Header::parse(&message).unwrap();
            assert_eq!(u64::from(header.sequence), echoed as u64);
            let position = echoed as u64 * frame_ms * rate_hz / 1_000;
            assert_eq!(header.timestamp, position, "{what}");
            node.say_binary(stream, header.sequence, audio);
            echoed += 1;
        }
    }
    assert!(
        (echoed as u64).abs_diff(3_000 / frame_ms) <= 2,
        "{what}: {echoed}"
    );
    let heard: Vec<i16> = node.packets[100..].iter().flat_map(SentPacket::samples).collect();
    assert!((loud(&heard) - 5_657.0).abs() < 500.0, "{what}: {}", loud(&heard));
    let stats = node.stream_stats();
    assert_eq!((stats.malformed_audio, stats.repeated), (0, 0), "{what}");
    assert!(stats.queued_ms <= 180, "{what}: {}", stats.queued_ms);
}

#[test]
fn audio_is_text_in_mode_json_both_ways() {
    let (mut node, stream) = with_stream(r#"{"audio":{"mode":"json","encoding":"mulaw"}}"#);
    node.run_ms(40);
    assert!(node.binary_messages.is_empty());
    let silence = base64(&[0xff; 160]);
    assert_eq!(
        node.told(stream, "audio"),
        [0, 1].map(|n| json!({
            "type": "audio", "track": 0, "flags": 0, "sequence": n, "timestamp": 160 * n, "audio": silence,
        }))
    );
    let said = base64(&[0x10; 160]);
    for _ in 0..2 {
        node.message(
            stream,
            &format!(r#"{{"type":"audio","sequence":0,"audio":"{said}"}}"#),
        );
    }
    assert_eq!(node.stream_stats().queued_ms, 20, "the second was the same one");
    assert_eq!(node.stream_stats().repeated, 1);
}

/// Why connections are to be closed.
fn closing(node: &Node) -> Vec<Closing> {
    let causes = node.events.iter().filter_map(|(_, event)| match event {
        Event::StreamClosing { why, .. } => Some(*why),
        _ => None,
    });
    causes.collect()
}

#[test]
fn what_cannot_be_agreed_on_is_an_error_and_ends_the_connection() {
    for hello in [
        r#"{"type":"hello","audio":{"encoding":"mulaw","rate_hz":16000}}"#,
        r#"{"type":"hello","audio":{"encoding":"opus","frame_ms":30}}"#,
        r#"{"type":"hello","audio":{"frame_ms":15}}"#,
        r#"{"type":"hello","tracks":[2]}"#,
        r#"{"type":"hello","progress_ms":5}"#,
        r#"{"type":"clear"}"#,
    ] {
        let mut node = Node::connected();
        let stream = node.open_stream(params());
        node.message(stream, hello);
        assert_eq!(node.told(stream, "error")[0]["code"], "bad_message", "{hello}");
        assert!(matches!(closing(&node)[..], [Closing::BadHello(_)]), "{hello}");
        node.run_ms(200);
        assert!(node.told(stream, "ready").is_empty() && node.binary_messages.is_empty());
    }
}

#[test]
fn a_number_counts_once_and_what_has_none_is_taken_as_it_comes() {
    let (mut node, stream) = with_stream("{}");
    for sequence in [0, 1, 1, 0, 2] {
        node.say_binary(stream, sequence, &[1; 320]);
    }
    assert_eq!(node.stream_stats().queued_ms, 60);
    for number in [3, 3, 4] {
        node.message(
            stream,
            &format!(r#"{{"type":"mark","name":"m","sequence":{number}}}"#),
        );
    }
    node.message(stream, r#"{"type":"mark","name":"m"}"#);
    node.run_ms(400);
    assert_eq!(node.told(stream, "mark").len(), 3);
    assert_eq!(node.told(stream, "ack").last().unwrap()["received"], 4);
    assert_eq!(node.told(stream, "ack").len(), 1, "told once");
    assert_eq!(node.stream_stats().repeated, 3);
}

#[test]
fn speech_that_was_cleared_never_comes_back() {
    let (mut node, stream) = with_stream(r#"{"generations":true}"#);
    let frame = |sequence: u32, generation: u16| {
        let mut message = Vec::new();
        Header {
            sequence,
            flags: generation << 8 | 1,
            ..Header::default()
        }
        .write(&mut message);
        message.extend_from_slice(&[1; 320]);
        message
    };
    let say = |node: &mut Node, sequence, generation| {
        let message = frame(sequence, generation);
        node.engine
            .receive(node.now, Source::StreamBinary(stream), &message);
        node.drain();
    };
    say(&mut node, 0, 0);
    node.message(stream, r#"{"type":"clear","sequence":1}"#);
    say(&mut node, 2, 0);
    assert_eq!(node.stream_stats().queued_ms, 0, "it was said before the clear");
    say(&mut node, 3, 1);
    assert_eq!(node.stream_stats().queued_ms, 20);
    assert_eq!(node.stream_stats().stale, 1);

    // Who does not use generations leaves them at zero.
    let (mut node, stream) = with_stream("{}");
    node.message(stream, r#"{"type":"clear"}"#);
    node.say_binary(stream, 0, &[1; 320]);
    assert_eq!(node.stream_stats().queued_ms, 20);
}

#[test]
fn what_was_heard_is_told_of_each_utterance() {
    let (mut node, stream) = with_stream(r#"{"progress_ms":100}"#);
    let tone = bytes_of(&tone(0, 4_000));
    node.message(stream, r#"{"type":"speak","utterance_id":"a","sequence":0}"#);
    node.say_binary(stream, 1, &tone);
    node.message(stream, r#"{"type":"mark","name":"half","sequence":2}"#);
    node.message(stream, r#"{"type":"speak","utterance_id":"b","sequence":3}"#);
    node.say_binary(stream, 4, &tone);
    node.message(stream, r#"{"type":"mark","name":"end","sequence":5}"#);
    node.message(stream, r#"{"type":"speak.end","sequence":6}"#);
    node.run_ms(700);
    node.message(stream, r#"{"type":"clear","sequence":7}"#);
    node.run_ms(100);
    assert_eq!(
        story(&node),
        [
            "started a",
            "mark half played",
            "finished a 500 played",
            "started b",
            "mark end cleared",
            "finished b 200 cleared",
            "cleared 1 200+300 by application",
        ]
    );
    let cleared = &node.told(stream, "cleared")[0];
    assert_eq!(cleared["marks"], json!(["end"]));
    assert_eq!(
        cleared["utterances"],
        json!([{"utterance_id": "b", "played_ms": 200, "dropped_ms": 300}])
    );
    let progress: Vec<(String, u64, u64)> = node
        .told(stream, "playback.progress")
        .iter()
        .map(|told| {
            (
                told["utterance_id"].as_str().unwrap().to_string(),
                told["played_ms"].as_u64().unwrap(),
                told["queued_ms"].as_u64().unwrap(),
            )
        })
        .collect();
    for (at, (id, played_ms, queued_ms)) in progress.iter().enumerate() {
        let before = if id == "a" { 0 } else { 500 };
        assert_eq!(played_ms + before + queued_ms, 1_000);
        assert!(
            (played_ms + before).abs_diff(100 * at as u64 + 80) <= 20,
            "{progress:?}"
        );
    }
    assert_eq!(progress.len(), 7);
    // What must not be lost is numbered in one count.
    let events: Vec<u64> = node
        .messages
        .iter()
        .filter_map(|(_, _, text)| serde_json::from_str::<Value>(text).unwrap()["event"].as_u64())
        .collect();
    assert_eq!(events, (0..7).collect::<Vec<u64>>());
}

#[test]
fn speech_without_an_utterance_has_no_name_and_ends_with_the_queue() {
    let (mut node, stream) = with_stream("{}");
    node.say_binary(stream, 0, &bytes_of(&tone(0, 1_600)));
    node.run_ms(400);
    assert_eq!(
        story(&node),
        ["started null", "finished null 200 played", "queue drained"]
    );
    node.message(stream, r#"{"type":"speak","utterance_id":"a"}"#);
    node.message(stream, r#"{"type":"speak.end"}"#);
    assert_eq!(
        story(&node).last().unwrap(),
        "finished a 0 played",
        "nothing was said"
    );
}

#[test]
fn one_utterance_is_interrupted_and_the_rest_goes_on() {
    let (mut node, stream) = with_stream("{}");
    let tone = bytes_of(&tone(0, 4_000));
    for (at, name) in ["a", "b", "c"].iter().enumerate() {
        node.message(stream, &format!(r#"{{"type":"speak","utterance_id":"{name}"}}"#));
        node.say_binary(stream, at as u32, &tone);
    }
    node.message(stream, r#"{"type":"speak.end"}"#);
    node.run_ms(100);
    node.message(stream, r#"{"type":"interrupt","utterance_id":"b"}"#);
    node.message(stream, r#"{"type":"interrupt","utterance_id":"nobody"}"#);
    node.run_ms(1_000);
    assert_eq!(
        story(&node),
        [
            "started a",
            "finished b 0 cleared",
            "finished a 500 played",
            "started c",
            "finished c 500 played",
            "queue drained"
        ]
    );
    assert_eq!(node.stream_stats().unknown_chunk, 1);
}

#[test]
fn pause_stops_speech_within_a_frame_and_resume_goes_on_with_what_was_not_heard() {
    let (mut node, stream) = with_stream("{}");
    node.say_binary(stream, 0, &bytes_of(&tone(0, 16_000)));
    node.run_ms(507);
    let before = node.packets.len();
    node.message(stream, r#"{"type":"pause","sequence":1}"#);
    node.run_ms(1_000);
    let held = &node.packets[before..];
    assert_eq!(held.len(), 50);
    assert!(held[1..].iter().all(SentPacket::is_silent), "one frame at most");
    node.message(stream, r#"{"type":"resume","sequence":2}"#);
    node.run_ms(1_600);
    assert_eq!(
        story(&node),
        [
            "started null",
            "paused 500+1500 by application",
            "resumed by application",
            "finished null 2000 played",
            "queue drained"
        ]
    );
    let after: Vec<i16> = node.packets[before + 50..]
        .iter()
        .flat_map(SentPacket::samples)
        .take(12_000)
        .collect();
    let expected = tone(4_000, 12_000);
    for (at, (heard, said)) in after.iter().zip(&expected).enumerate().skip(32) {
        assert!(heard.abs_diff(*said) < 400, "{at}: {heard} {said}");
    }
}

#[test]
fn how_full_the_queue_is_is_told_when_it_matters() {
    let (mut node, stream) = with_stream(r#"{"queue_limit_ms":1000}"#);
    let second = bytes_of(&tone(0, 8_000));
    node.say_binary(stream, 0, &second[..14_400]);
    node.say_binary(stream, 1, &second);
    node.say_binary(stream, 2, &second);
    node.run_ms(2_000);
    assert_eq!(
        story(&node),
        [
            "queue high",
            "queue overflow",
            "started null",
            "queue low",
            "finished null 1000 played",
            "queue drained"
        ]
    );
    assert_eq!(node.told(stream, "queue")[1]["dropped_ms"], 900);
}

#[test]
fn the_backlog_of_a_live_sender_never_becomes_delay() {
    let (mut node, stream) = with_stream(r#"{"live":true}"#);
    let mut sequence = 0;
    // A stall of a second, and all of it at once.
    for burst in [1, 1, 1, 50, 1, 1, 1] {
        for _ in 0..burst {
            node.say_binary(stream, sequence, &bytes_of(&tone(160 * sequence as usize, 160)));
            sequence += 1;
        }
        assert!(node.stream_stats().queued_ms <= 200);
        node.run_ms(20);
    }
    assert!(node.stream_stats().overflow_ms >= 780);
}

/// A phone that is silent, then talks from a moment on; packets come `phase` after each frame.
fn barge_in(phase_ms: u64, hello: &str, offset: usize) -> (Node, StreamKey, u64) {
    let (mut node, stream) = with_stream(hello);
    node.say_binary(stream, 0, &bytes_of(&tone(0, 8 * 20_000)));
    let mut phone = Phone::new();
    let mut began_at = 0;
    node.run_ms(phase_ms);
    for packet in 0..150 {
        let mut samples = vec![0; 160];
        if packet == 100 {
            samples[offset..].copy_from_slice(&tone(0, 160 - offset));
            // The packet is sent when its last sample is there.
            began_at = node.now.0 / 1_000 - 20 + offset as u64 / 8;
        } else if packet > 100 {
            samples = tone(160 * packet, 160);
        }
        let said = phone.say(&samples);
        node.rtp(&said);
        node.run_ms(20);
    }
    (node, stream, began_at)
}

/// From the first voiced sample, as it was spoken, to the last packet that is not silent.
fn stopped_after_ms(node: &Node, began_at: u64) -> u64 {
    let last = node.packets.iter().rfind(|packet| !packet.is_silent()).unwrap();
    last.at.0 / 1_000 - began_at
}

#[test]
fn local_barge_in_stops_speech_within_sixty_milliseconds_of_the_first_voiced_sample() {
    let mut worst = 0;
    for phase_ms in 0..20 {
        for offset in [0, 24, 48, 64, 80, 100, 120, 150] {
            let hello = r#"{"speech":true,"barge_in":{"mode":"local","decide_ms":10000}}"#;
            let (node, stream, began_at) = barge_in(phase_ms, hello, offset);
            let stopped = stopped_after_ms(&node, began_at);
            worst = worst.max(stopped);
            let started = node.told(stream, "speech.started");
            assert_eq!(started.len(), 1, "phase {phase_ms}, offset {offset}");
            assert_eq!(
                (&started[0]["track"], &started[0]["paused"]),
                (&json!(1), &json!(true))
            );
            let paused = &node.told(stream, "paused")[0];
            assert_eq!(paused["by"], "barge_in");
        }
    }
    println!("at most {worst} ms");
    assert!(worst <= 60, "{worst} ms");
}

#[test]
fn a_voice_is_told_at_its_place_and_without_barge_in_speech_goes_on() {
    let (node, stream, _) = barge_in(3, r#"{"speech":true,"audio":{"rate_hz":16000}}"#, 0);
    let started = &node.told(stream, "speech.started")[0];
    assert_eq!(started["paused"], false);
    assert!(!node.packets.last().unwrap().is_silent());
    // Where it is in the audio of the track.
    let heard: Vec<i16> = node
        .binary_messages
        .iter()
        .flat_map(|(_, _, bytes)| samples_of(Header::parse(bytes).unwrap().1))
        .collect();
    let onset = heard.iter().position(|sample| sample.abs() > 500).unwrap() as u64;
    let at = started["at"].as_u64().unwrap();
    assert!(at.abs_diff(onset) <= 16 * 6, "{at} for {onset}");
    assert!((-20..=-10).contains(&started["level_db"].as_i64().unwrap()));
}

#[test]
fn without_a_word_speech_goes_on_and_with_one_it_is_as_the_application_says() {
    let hello = r#"{"barge_in":{"mode":"local","decide_ms":300}}"#;
    let (node, _, began_at) = barge_in(5, hello, 0);
    let told = story(&node);
    assert_eq!(told[2], "resumed by timeout", "{told:?}");
    let resumed = node
        .messages
        .iter()
        .find(|(_, _, text)| text.contains(r#""type":"resumed""#));
    let after = resumed.unwrap().0.0 / 1_000 - began_at;
    assert!((320..=380).contains(&after), "{after}");
    assert!(!node.packets.last().unwrap().is_silent());

    let hello = r#"{"barge_in":{"mode":"local","decide_ms":10000}}"#;
    let (mut node, stream, _) = barge_in(5, hello, 0);
    node.message(stream, r#"{"type":"clear"}"#);
    node.say_binary(stream, 1, &bytes_of(&tone(0, 1_600)));
    node.run_ms(400);
    let told = story(&node);
    assert!(told[1].starts_with("paused"), "{told:?}");
    assert!(told[3].starts_with("cleared"), "{told:?}");
    assert_eq!(
        told[4..],
        ["started null", "finished null 200 played", "queue drained"]
    );
}

#[test]
fn ten_minutes_of_comfort_noise_pause_nothing() {
    let (mut node, stream) = with_stream(r#"{"speech":true,"barge_in":{"mode":"local"},"progress_ms":0}"#);
    let mut phone = Phone::new();
    let mut state = 1u32;
    let tone = bytes_of(&tone(0, 8 * 1_000));
    for frame in 0..10 * 60 * 50u32 {
        if frame % 50 == 0 {
            node.say_binary(stream, frame / 50, &tone);
        }
        // Levels of a line, each for a minute: about -70 to -35 dB of full scale.
        let loudness = [12, 40, 90, 180, 350, 600][(frame / 3_000 % 6) as usize];
        let samples: Vec<i16> = (0..160)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (i32::from((state >> 16) as i16) * loudness / 32_768) as i16
            })
            .collect();
        let packet = phone.say(&samples);
        node.rtp(&packet);
        node.run_ms(20);
        node.packets.clear();
        node.binary_messages.clear();
    }
    let steps = node.told(stream, "speech.started").len();
    assert_eq!(node.told(stream, "paused").len(), 0, "{steps} voices");
}

#[test]
fn keys_go_both_ways_and_requests_go_to_control() {
    let (mut node, stream) = with_stream("{}");
    let mut phone = Phone::new();
    node.run_ms(40);
    node.rtp(&phone.event(11, true, 800));
    assert_eq!(
        node.told(stream, "dtmf"),
        [json!({"type": "dtmf", "track": 1, "digit": "#", "duration_ms": 100, "at": 320, "event": 0})]
    );
    node.message(
        stream,
        r##"{"type":"send_dtmf","digits":"12#","track":1,"sequence":0}"##,
    );
    node.message(
        stream,
        r#"{"type":"transfer","request_id":"t-1","target":"sip:a@b"}"#,
    );
    let turn = r#"{"type":"turn","number":1,"sequence":1}"#;
    node.message(stream, turn);
    node.message(stream, turn);
    let long = "x".repeat(41_000);
    node.message(
        stream,
        &format!(r#"{{"type":"turn","number":2,"caller":"{long}","sequence":2}}"#),
    );
    node.message(stream, r#"{"type":"hangup","reason":"done"}"#);
    let asked: Vec<(Option<&str>, Action, bool)> = node
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::StreamRequest {
                request_id,
                action,
                fields,
                leg,
                ..
            } => {
                let fields: Value = serde_json::from_str(fields).unwrap();
                assert_eq!(fields["type"], action.as_str());
                Some((request_id.as_deref(), *action, leg.is_some()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        asked,
        [
            (None, Action::SendDigits, true),
            (Some(r#""t-1""#), Action::Transfer, false),
            (None, Action::NoteTurn, false),
            (None, Action::Hangup, false)
        ],
        "a turn that is told again is kept once, one that is too long is not kept"
    );
    assert_eq!(node.told(stream, "error")[0]["code"], "limit_reached");
    let refused = Answer {
        request_id: Some(r#""t-1""#),
        error: Some(("transfer_in_progress", "one at a time")),
        fields: "{}",
    };
    node.engine.answer_stream(node.now, stream, refused).unwrap();
    let done = Answer {
        request_id: Some(r#""t-2""#),
        error: None,
        fields: r#"{"recording_id":"r"}"#,
    };
    node.engine.answer_stream(node.now, stream, done).unwrap();
    let nameless = Answer {
        request_id: None,
        ..refused
    };
    node.engine.answer_stream(node.now, stream, nameless).unwrap();
    node.drain();
    assert_eq!(
        node.told(stream, "result"),
        [
            json!({
                "type": "result", "event": 1, "request_id": "t-1", "ok": false,
                "error": {"code": "transfer_in_progress", "message": "one at a time"},
            }),
            json!({"type": "result", "event": 2, "request_id": "t-2", "ok": true, "recording_id": "r"}),
        ]
    );
    assert_eq!(node.told(stream, "error")[1]["code"], "transfer_in_progress");
}

#[test]
fn clocks_and_pings_are_told_and_answered() {
    let (mut node, stream) = with_stream("{}");
    node.run_ms(20);
    let ping = node.told(stream, "ping")[0].clone();
    node.run_ms(40);
    node.message(stream, &format!(r#"{{"type":"pong","id":{}}}"#, ping["id"]));
    node.message(stream, r#"{"type":"ping","id":"x\u00e9","at":17}"#);
    node.run_ms(10_000);
    let pong = &node.told(stream, "pong")[0];
    assert_eq!((&pong["id"], &pong["at"]), (&json!("xé"), &json!(17)));
    let clocks = node.told(stream, "clock");
    assert_eq!(clocks.len(), 2);
    assert_eq!(
        (&clocks[0]["rtt_ms"], &clocks[1]["rtt_ms"]),
        (&Value::Null, &json!(40))
    );
    let between = |field: &str| clocks[1][field].as_u64().unwrap() - clocks[0][field].as_u64().unwrap();
    assert_eq!((between("at"), between("samples")), (10_000, 80_000));
}

#[test]
fn stop_ends_the_stream_in_order() {
    let (mut node, stream) = with_stream("{}");
    node.message(stream, r#"{"type":"stop"}"#);
    assert_eq!(closing(&node), [Closing::Stopped]);
}

#[test]
fn a_wrong_message_is_answered_and_costs_nothing_else() {
    let (mut node, stream) = with_stream(r#"{"audio":{"encoding":"opus"}}"#);
    node.say_binary(stream, 0, &[0xff; 2]);
    node.say_binary(stream, 1, &[]);
    for text in [
        "{",
        r#"{"type":"speak"}"#,
        r#"{"type":"speak","utterance_id":""}"#,
        r#"{"type":"speak","utterance_id":"é"}"#,
        r#"{"type":"mark","name":7}"#,
        r#"{"type":"audio","audio":"?"}"#,
        r#"{"type":"hello"}"#,
        r#"{"type":"subscribe","tracks":[9]}"#,
        r#"{"type":"clear","track":-1}"#,
        r#"{"type":"transfer","target":"sip:a@b"}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"whatever","of":"later"}"#,
    ] {
        node.message(stream, text);
    }
    let long = format!(r#"{{"type":"mark","name":"{}"}}"#, "x".repeat(70_000));
    node.message(stream, &long);
    let codes: Vec<Value> = node
        .told(stream, "error")
        .iter()
        .map(|told| told["code"].clone())
        .collect();
    let bad = "bad_message";
    assert_eq!(
        codes,
        [
            bad,
            bad,
            bad,
            bad,
            bad,
            bad,
            bad,
            bad,
            "not_allowed",
            "unknown_track",
            bad,
            bad,
            bad,
            bad
        ],
        "the unknown type is ignored"
    );
    let stats = node.stream_stats();
    assert_eq!(
        (stats.malformed_audio, stats.unknown_type, stats.malformed_json),
        (2, 1, 1)
    );
    node.say_binary(stream, 2, &opus_packet());
    assert_eq!(node.stream_stats().queued_ms, 20);
    assert!(
        node.count_events(|event| matches!(
            event,
            Event::StreamMessageRefused {
                reason: RefusedMessage::MalformedAudio,
                ..
            }
        )) == 1
    );
}

fn opus_packet() -> Vec<u8> {
    let mut encoder = media::codec::opus::Encoder::new(media::OpusSettings::default());
    let mut packet = Vec::new();
    encoder.encode(&[100; 960], &mut packet);
    packet
}

#[test]
fn what_was_agreed_and_said_outlives_the_process() {
    let mut node = Node::new();
    node.engine
        .keep_records(Box::new(media::record::HeapStore::new(1)));
    node.connect(remote(phone_rtp()));
    let stream = node.agree(
        params(),
        r#"{"audio":{"rate_hz":16000,"mode":"json"},"generations":true}"#,
    );
    node.message(stream, r#"{"type":"clear","sequence":0}"#);
    node.message(stream, r#"{"type":"speak","utterance_id":"a","sequence":1}"#);
    let tone: Vec<i16> = tone(0, 16_000);
    let said = base64(&bytes_of(&tone));
    let text = format!(r#"{{"type":"audio","generation":1,"sequence":2,"audio":"{said}"}}"#);
    node.message(stream, &text);
    node.run_ms(200);
    node.message(stream, r#"{"type":"pause","sequence":3}"#);
    node.run_ms(200);
    let records = records::records_of(&mut node.engine);
    node.now = node.now.plus_millis(100);
    records::restore(&mut node, records);
    node.message(stream, r#"{"type":"hello"}"#);
    let ready = node.told(stream, "ready").last().unwrap().clone();
    assert_eq!(ready["audio"]["rate_hz"], 16_000);
    assert_eq!((&ready["received"], &ready["generation"]), (&json!(3), &json!(1)));
    assert_eq!(ready["audio"]["mode"], "json");
    node.message(stream, &text);
    assert_eq!(node.stream_stats().queued_ms, 800, "it was said before");
    node.message(stream, r#"{"type":"resume","sequence":4}"#);
    node.message(stream, r#"{"type":"speak.end","sequence":5}"#);
    node.run_ms(1_000);
    let finished = node.told(stream, "playback.finished").last().unwrap().clone();
    assert_eq!(
        (&finished["utterance_id"], &finished["played_ms"]),
        (&json!("a"), &json!(1_000))
    );
}

#[test]
fn how_long_what_is_heard_has_waited_is_told_with_what_is_played() {
    for rate_hz in [8_000, 16_000] {
        let (mut node, stream) = with_stream(&format!(r#"{{"audio":{{"rate_hz":{rate_hz}}}}}"#));
        let mut phone = Phone::new();
        node.run_ms(7);
        for _ in 0..100 {
            node.rtp(&phone.say(&[1_000; 160]));
            node.run_ms(20);
        }
        let waited_ms = node.leg_stats().buffer_ms.round() as u64;
        assert!((1..=22).contains(&waited_ms), "{waited_ms}");
        node.say_binary(stream, 0, &bytes_of(&tone(0, 800)));
        node.run_ms(40);
        let told = &node.told(stream, "playback.started")[0];
        let resampling_ms = if rate_hz == 8_000 { 0 } else { 3 };
        assert_eq!(told["waited_ms"], waited_ms + resampling_ms, "{rate_hz}");
    }
}
