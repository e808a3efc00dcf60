//! The Teler dialect, message by message.

mod common;

use common::*;
use media::stream::dialect::{Audio, Message};
use media::{ChunkId, Event, RefusedMessage, StreamParams};
use serde_json::{Value, json};

fn messages(node: &Node) -> Vec<Value> {
    node.messages
        .iter()
        .map(|(_, _, text)| serde_json::from_str(text).unwrap())
        .collect()
}

#[test]
fn start_is_the_first_message() {
    for rate_hz in [8_000, 16_000] {
        let mut node = Node::connected();
        node.open_stream(stream_params(400, rate_hz));
        node.run_ms(1_000);
        let start = json!({
            "type": "start", "account_id": "acc_1", "call_app_id": "va_1", "call_id": "cs_1", "stream_id": "ms_1",
            "message_id": 1, "data": {"encoding": "audio/l16", "sample_rate": 8000, "channels": 1}
        });
        assert_eq!(messages(&node)[0], start, "8000 whatever is sent");
    }
}

#[test]
fn what_the_application_has_attached_to_the_call_is_in_start_and_nothing_else_is() {
    let mut node = Node::connected();
    let params = StreamParams {
        metadata: r#"{"ticket":7,"who":"É \"x\""}"#.into(),
        ..stream_params(400, 8_000)
    };
    node.open_stream(params);
    node.run_ms(500);
    assert_eq!(
        messages(&node)[0],
        json!({
            "type": "start", "account_id": "acc_1", "call_app_id": "va_1", "call_id": "cs_1", "stream_id": "ms_1",
            "message_id": 1, "metadata": {"ticket": 7, "who": "É \"x\""},
            "data": {"encoding": "audio/l16", "sample_rate": 8000, "channels": 1}
        })
    );
}

#[test]
fn metadata_that_is_no_object_or_too_large_is_refused() {
    let mut node = Node::connected();
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(9_000));
    for metadata in ["[1]", "{", r#"{"a":1},"b":2"#, large.as_str()] {
        let params = StreamParams {
            metadata: metadata.into(),
            ..stream_params(20, 8_000)
        };
        assert!(node.engine.open_stream(node.now, node.session, params).is_err());
    }
}

#[test]
fn nothing_is_sent_before_the_socket_is_there() {
    let mut node = Node::connected();
    let stream = node
        .engine
        .open_stream(node.now, node.session, stream_params(20, 8_000))
        .unwrap();
    node.run_ms(500);
    assert!(node.messages.is_empty());
    node.engine.stream_connected(node.now, stream).unwrap();
    node.engine.stream_connected(node.now, stream).unwrap();
    node.run_ms(100);
    let kinds: Vec<Value> = messages(&node)
        .iter()
        .map(|message| message["type"].clone())
        .collect();
    assert_eq!(kinds, ["start", "audio", "audio", "audio", "audio", "audio"]);
}

#[test]
fn audio_is_continuous_and_numbered() {
    for (chunk_ms, rate_hz) in [
        (20, 8_000),
        (400, 8_000),
        (500, 8_000),
        (800, 16_000),
        (2_000, 16_000),
    ] {
        let mut node = Node::connected();
        node.open_stream(stream_params(chunk_ms, rate_hz));
        node.run_ms(8_000);
        let messages = messages(&node);
        assert_eq!(messages.len() as u32, 1 + 8_000 / chunk_ms, "silence is sent too");
        for (n, message) in messages.iter().enumerate() {
            assert_eq!(message["message_id"], n as u64 + 1);
            assert_eq!(message["stream_id"], "ms_1");
        }
        for message in &messages[1..] {
            let keys: Vec<&String> = message.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["data", "message_id", "stream_id", "type"]);
            let bytes = unbase64(message["data"]["audio_b64"].as_str().unwrap());
            assert_eq!(bytes.len() as u32, rate_hz * 2 * chunk_ms / 1_000);
        }
        assert_eq!(
            node.count_events(|event| matches!(event, Event::StreamFirstAudioSent { .. })),
            1
        );
    }
}

#[test]
fn what_the_caller_says_arrives_in_both_rates() {
    for rate_hz in [8_000usize, 16_000] {
        let mut node = Node::connected();
        node.open_stream(stream_params(20, rate_hz as u32));
        let mut phone = Phone::new();
        for _ in 0..100 {
            node.rtp(&phone.tone());
            node.run_ms(20);
        }
        let heard = node.heard_by_app();
        let second = &heard[heard.len() - rate_hz..];
        // 440 periods in a second, each crossing zero upward once.
        let crossings = second
            .windows(2)
            .filter(|pair| pair[0] < 0 && pair[1] >= 0)
            .count();
        assert!((439..=441).contains(&crossings), "{rate_hz}: {crossings}");
        let peak = second.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((7_700..8_300).contains(&peak), "{rate_hz}: {peak}");
    }
}

#[test]
fn identifiers_are_escaped() {
    let mut node = Node::connected();
    let params = StreamParams {
        stream_id: "a\"b\\c\u{1}é".into(),
        ..stream_params(20, 8_000)
    };
    node.open_stream(params);
    node.run_ms(20);
    for message in messages(&node) {
        assert_eq!(message["stream_id"], "a\"b\\c\u{1}é");
    }
}

/// What 100 ms of a level sounds like on the leg after `text` with `{}` replaced by its base64.
fn played_ms(template: &str) -> u64 {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    node.message(stream, &template.replace("{}", &base64(&bytes_of(&[3_000; 800]))));
    node.run_ms(500);
    let sounding = node.packets.iter().filter(|packet| !packet.is_silent());
    let samples: Vec<i16> = sounding.flat_map(|packet| packet.samples()).collect();
    assert!(
        samples.iter().all(|sample| (2_900..3_100).contains(sample)),
        "{template}"
    );
    assert_eq!(node.stream_stats().played_ms, samples.len() as u64 / 8);
    node.stream_stats().played_ms
}

#[test]
fn audio_is_taken_at_top_level_and_under_data() {
    for template in [
        r#"{"type":"audio","audio_b64":"{}","chunk_id":1}"#,
        r#"{"type":"audio","audio_b64":"{}","chunk_id":"one"}"#,
        r#"{"type":"audio","audio_b64":"{}"}"#,
        r#"{"chunk_id":null,"audio_b64":"{}","more":{"nested":[1,2,{"deep":true}]},"type":"audio"}"#,
        r#"{"type":"audio","data":{"audio_b64":"{}","chunk_id":1}}"#,
        r#"{"type":"audio","chunk_id":7,"data":{"audio_b64":"{}"}}"#,
        r#" { "type" : "audio" , "audio_b64" : "{}" } "#,
        r#"{"type":"audio","audio_b64":"{}","data":"not an object"}"#,
        r#"{"type":"audio","audio_b64":"{}","chunk_id":{"an":"object"}}"#,
    ] {
        assert_eq!(played_ms(template), 100, "{template}");
    }
}

#[test]
fn escapes_in_strings_are_understood() {
    assert_eq!(played_ms(r#"{"type":"\u0061udio","audio_b64":"{}"}"#), 100);
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    let base64 = base64(&[0xff; 1_600]).replace('/', r"\/");
    assert!(base64.contains('\\'));
    node.message(stream, &format!(r#"{{"type":"audio","audio_b64":"{base64}"}}"#));
    assert_eq!(node.stream_stats().queued_ms, 100);
}

#[test]
fn base64_strings_joined_with_their_padding_are_all_decoded() {
    let parts: Vec<Vec<u8>> = [1_600usize, 1_601, 1_603, 2, 1_600, 1_594]
        .map(|n| vec![n as u8; n])
        .into();
    let joined: String = parts.iter().map(|part| base64(part)).collect();
    assert!(
        joined.trim_end_matches('=').contains('='),
        "padding in the middle"
    );
    let mut decoded = Vec::new();
    media::stream::base64::decode(joined.as_bytes(), &mut decoded).unwrap();
    assert_eq!(decoded, parts.concat());

    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    node.message(
        stream,
        &format!(r#"{{"type":"audio","audio_b64":"{joined}","chunk_id":0}}"#),
    );
    assert_eq!(node.stream_stats().queued_ms, 500);
}

#[test]
fn odd_and_empty_audio_is_taken_quietly() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    for bytes in [0usize, 1, 3, 321] {
        node.message(
            stream,
            &format!(r#"{{"type":"audio","audio_b64":"{}"}}"#, base64(&vec![1; bytes])),
        );
    }
    node.message(stream, r#"{"type":"audio","audio_b64":"AAA"}"#);
    node.message(stream, r#"{"type":"audio","audio_b64":"AAB"}"#);
    let stats = node.stream_stats();
    assert_eq!(
        (
            stats.malformed_base64,
            stats.malformed_json,
            stats.messages_received
        ),
        (0, 0, 6)
    );
    node.run_ms(200);
    assert_eq!(node.stream_stats().queued_ms, 0);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::StreamFirstAudioReceived { .. })),
        1
    );
}

#[test]
fn what_cannot_be_used_is_counted_and_told_once_a_kind() {
    let deep = format!(r#"{{"type":"clear","x":{}{}}}"#, "[".repeat(17), "]".repeat(17));
    let cases: [(&str, RefusedMessage); 18] = [
        ("", RefusedMessage::MalformedJson),
        ("{", RefusedMessage::MalformedJson),
        ("[]", RefusedMessage::MalformedJson),
        (r#"["audio"]"#, RefusedMessage::MalformedJson),
        ("null", RefusedMessage::MalformedJson),
        (r#"{"type":"clear"} trailing"#, RefusedMessage::MalformedJson),
        (
            r#"{"type":"audio","audio_b64":"AAAA}"#,
            RefusedMessage::MalformedJson,
        ),
        (&deep, RefusedMessage::MalformedJson),
        (
            r#"{"type":"audio","audio_b64":"!!!!"}"#,
            RefusedMessage::MalformedBase64,
        ),
        (
            r#"{"type":"audio","audio_b64":"A"}"#,
            RefusedMessage::MalformedBase64,
        ),
        (
            r#"{"type":"audio","audio_b64":"===="}"#,
            RefusedMessage::MalformedBase64,
        ),
        (
            r#"{"type":"audio","audio_b64":"AA==="}"#,
            RefusedMessage::MalformedBase64,
        ),
        (r#"{"type":"audio"}"#, RefusedMessage::MissingField),
        (r#"{"type":"audio","audio_b64":7}"#, RefusedMessage::MissingField),
        (r#"{"audio_b64":"AAAA"}"#, RefusedMessage::MissingField),
        (r#"{"type":"interrupt"}"#, RefusedMessage::MissingField),
        (r#"{"type":"mark","name":"x"}"#, RefusedMessage::UnknownType),
        (r#"{"type":"","data":null}"#, RefusedMessage::UnknownType),
    ];
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    for (text, reason) in &cases {
        assert_eq!(
            media::stream::teler::parse(text.as_bytes()).and_then(|message| match message {
                Message::Audio(Audio::Base64(text), _) => {
                    media::stream::base64::decode(text.as_bytes(), &mut Vec::new())
                }
                _ => Ok(()),
            }),
            Err(*reason),
            "{text}"
        );
        node.message(stream, text);
    }
    let stats = node.stream_stats();
    let counted = [
        stats.malformed_json,
        stats.malformed_base64,
        stats.missing_field,
        stats.unknown_type,
    ];
    assert_eq!(counted, [8, 4, 4, 2]);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::StreamMessageRefused { .. })),
        4
    );
    assert_eq!(
        media::stream::teler::parse(&[0xff, 0xfe]),
        Err(RefusedMessage::MalformedJson),
        "not UTF-8"
    );
}

#[test]
fn nesting_is_counted_outside_strings_only() {
    let brackets = "[".repeat(100);
    let text = format!(r#"{{"type":"clear","note":"{brackets}\"{brackets}"}}"#);
    assert_eq!(media::stream::teler::parse(text.as_bytes()), Ok(Message::Clear));
    let flat = format!(r#"{{"type":"clear","x":[{}]}}"#, vec!["[]"; 100].join(","));
    assert_eq!(media::stream::teler::parse(flat.as_bytes()), Ok(Message::Clear));
}

#[test]
fn a_chunk_id_is_kept_as_it_was_written() {
    assert_eq!(ChunkId::new(r#""x-7""#).unwrap().as_json(), r#""x-7""#);
    assert!(ChunkId::new(&"x".repeat(media::playout::MAX_CHUNK_ID_BYTES + 1)).is_none());
}

#[test]
fn a_full_queue_drops_the_newest_and_says_so_once_an_episode() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    let ten_seconds = audio(&tone(0, 80_000), 1);
    for _ in 0..14 {
        node.message(stream, &ten_seconds);
    }
    assert_eq!(
        (node.stream_stats().queued_ms, node.stream_stats().overflow_ms),
        (120_000, 20_000)
    );
    assert_eq!(
        node.count_events(|event| matches!(
            event,
            Event::PlayoutOverflow {
                dropped_ms: 10_000,
                ..
            }
        )),
        1
    );
    node.run_ms(5_000);
    node.message(stream, &ten_seconds);
    assert_eq!(node.stream_stats().overflow_ms, 25_000, "half of it found room");
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutOverflow { .. })),
        1,
        "the same episode"
    );
    node.run_ms(30_000);
    for _ in 0..4 {
        node.message(stream, &ten_seconds);
    }
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutOverflow { .. })),
        2
    );
}

#[test]
fn parameters_out_of_range_are_refused() {
    let mut node = Node::connected();
    for params in [
        stream_params(0, 8_000),
        stream_params(30, 8_000),
        stream_params(2_020, 8_000),
        stream_params(20, 44_100),
        StreamParams {
            call_id: "x".repeat(257),
            ..stream_params(20, 8_000)
        },
    ] {
        let refused = node
            .engine
            .open_stream(node.now, node.session, params.clone())
            .unwrap_err();
        assert_eq!(refused.code(), "bad_request", "{params:?}");
    }
}
