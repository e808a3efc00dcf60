//! Twilio Media Streams, message by message, against transcripts of the vendor's documentation.

mod common;

use common::*;
use media::stream::dialect::{Audio, Message};
use media::stream::events;
use media::{Dialect, Encoding, Event, RefusedMessage, StreamKey, StreamParams};

fn params() -> StreamParams {
    StreamParams {
        dialect: Dialect::Twilio,
        encoding: Encoding::MuLaw,
        account_id: "AC0".into(),
        call_id: "CA0".into(),
        stream_id: "MZ0".into(),
        ..stream_params(20, 8_000)
    }
}

fn with_stream() -> (Node, StreamKey) {
    let mut node = Node::connected();
    let stream = node.open_stream(params());
    (node, stream)
}

fn texts(node: &Node) -> Vec<&str> {
    node.messages.iter().map(|(_, _, text)| text.as_str()).collect()
}

fn media(codes: &[u8]) -> String {
    let payload = base64(codes);
    format!(r#"{{"event":"media","streamSid":"MZ0","media":{{"payload":"{payload}"}}}}"#)
}

fn mark(name: &str) -> String {
    format!(r#"{{"event":"mark","streamSid":"MZ0","mark":{{"name":"{name}"}}}}"#)
}

/// The names of the marks answered so far.
fn marks(node: &Node) -> Vec<String> {
    let values = texts(node)
        .into_iter()
        .map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
    values
        .filter(|value| value["event"] == "mark")
        .map(|value| value["mark"]["name"].as_str().unwrap().to_string())
        .collect()
}

#[test]
fn a_stream_from_connected_to_stop() {
    let (mut node, stream) = with_stream();
    node.run_ms(40);
    node.message(stream, &mark("m"));
    let mut phone = Phone::new();
    node.rtp(&phone.event(5, true, 800));
    node.engine.close_stream(node.now, stream).unwrap();
    node.drain();
    let silence = base64(&[0xff; 160]);
    let first = format!(
        r#"{{"event":"media","sequenceNumber":"2","streamSid":"MZ0","media":{{"track":"inbound","chunk":"1","timestamp":"0","payload":"{silence}"}}}}"#
    );
    let second = first
        .replace(r#""2""#, r#""3""#)
        .replace(r#""chunk":"1""#, r#""chunk":"2""#)
        .replace(r#""timestamp":"0""#, r#""timestamp":"20""#);
    let expected = [
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
        concat!(
            r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ0","start":{"accountSid":"AC0","streamSid":"MZ0","#,
            r#""callSid":"CA0","tracks":["inbound"],"customParameters":{},"#,
            r#""mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}"#
        ),
        &first,
        &second,
        r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZ0","mark":{"name":"m"}}"#,
        r#"{"event":"dtmf","streamSid":"MZ0","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"5"}}"#,
        r#"{"event":"stop","sequenceNumber":"6","streamSid":"MZ0","stop":{"accountSid":"AC0","callSid":"CA0"}}"#,
    ];
    assert_eq!(texts(&node), expected);
}

#[test]
fn mu_law_of_the_application_is_what_the_caller_gets() {
    let (mut node, stream) = with_stream();
    let codes: Vec<u8> = (0..160).map(|n| 0x10 | (n % 16) as u8).collect();
    node.message(stream, &media(&codes));
    node.run_ms(60);
    assert!(node.packets.iter().any(|packet| packet.payload == codes));
}

#[test]
fn a_mark_returns_when_what_was_before_it_has_been_played() {
    let (mut node, stream) = with_stream();
    node.message(stream, &mark("nothing is queued"));
    assert_eq!(marks(&node), ["nothing is queued"]);
    node.message(stream, &media(&[0x10; 8_000]));
    node.message(stream, &mark("one second"));
    node.message(stream, &media(&[0x10; 160]));
    node.message(stream, &mark("and a frame"));
    node.run_ms(980);
    assert_eq!(marks(&node).len(), 1);
    node.run_ms(20);
    assert_eq!(marks(&node)[1..], ["one second"]);
    node.run_ms(20);
    assert_eq!(marks(&node)[2..], ["and a frame"]);
}

#[test]
fn clear_returns_every_mark_at_once_and_in_order() {
    let (mut node, stream) = with_stream();
    node.message(stream, &media(&[0x10; 8_000]));
    node.message(stream, &mark("a"));
    node.message(stream, &media(&[0x10; 8_000]));
    node.message(stream, &mark("b"));
    node.run_ms(200);
    node.message(stream, r#"{"event":"clear","streamSid":"MZ0"}"#);
    assert_eq!(marks(&node), ["a", "b"]);
    assert_eq!(
        node.count_events(|event| matches!(event, Event::PlayoutCleared { played_ms: 200, .. })),
        1
    );
    // Nothing of the old marks is left for what comes next.
    node.message(stream, &media(&[0x10; 160]));
    node.message(stream, &mark("c"));
    node.run_ms(60);
    assert_eq!(marks(&node), ["a", "b", "c"]);
}

#[test]
fn clients_as_they_are_get_through() {
    // A mark without a name, no streamSid, an event that is not ours, two seconds in one message.
    let (mut node, stream) = with_stream();
    node.message(stream, r#"{"event":"mark","streamSid":"MZ0","mark":{}}"#);
    assert_eq!(marks(&node), [""]);
    node.message(
        stream,
        &media(&[0x10; 16_000]).replace(r#""streamSid":"MZ0","#, ""),
    );
    assert_eq!(node.stream_stats().queued_ms, 2_000);
    node.message(stream, r#"{"event":"keepalive"}"#);
    assert_eq!(node.stream_stats().unknown_type, 1);
}

#[test]
fn what_is_no_message_is_refused_by_its_kind() {
    for (text, reason) in [
        ("", RefusedMessage::MalformedJson),
        ("[]", RefusedMessage::MalformedJson),
        ("{}", RefusedMessage::MissingField),
        (r#"{"event":7}"#, RefusedMessage::MissingField),
        (r#"{"event":"media"}"#, RefusedMessage::MissingField),
        (r#"{"event":"media","media":7}"#, RefusedMessage::MissingField),
        (
            r#"{"event":"media","media":{"payload":7}}"#,
            RefusedMessage::MissingField,
        ),
        (r#"{"event":"mark"}"#, RefusedMessage::MissingField),
        (r#"{"event":"start"}"#, RefusedMessage::UnknownType),
    ] {
        assert_eq!(events::parse(text.as_bytes(), r#""MZ0""#), Err(reason), "{text}");
    }
    let escaped = r#"{"event":"media","media":{"payload":"\/\/8="}}"#;
    assert_eq!(
        events::parse(escaped.as_bytes(), r#""MZ0""#),
        Ok(Message::Audio(Audio::Base64("//8=".into()), None))
    );
}

#[test]
fn marks_have_bounds() {
    let (mut node, stream) = with_stream();
    node.message(stream, &media(&[0x10; 160]));
    node.message(stream, &mark(&"x".repeat(media::playout::MAX_MARK_BYTES)));
    assert_eq!(node.stream_stats().refused_marks, 1, "too long");
    for _ in 0..media::playout::MAX_MARKS {
        node.message(stream, &mark("x"));
    }
    assert_eq!(node.stream_stats().refused_marks, 1);
    node.message(stream, &mark("x"));
    assert_eq!(node.stream_stats().refused_marks, 2, "one too many");
    let refused = RefusedMessage::LimitReached;
    assert_eq!(
        node.count_events(
            |event| matches!(event, Event::StreamMessageRefused { reason, .. } if *reason == refused)
        ),
        1
    );
}

#[test]
fn a_stream_in_linear_samples_says_so_and_keeps_its_time() {
    let mut node = Node::connected();
    node.open_stream(StreamParams {
        encoding: Encoding::PcmS16le,
        rate_hz: 16_000,
        ..params()
    });
    node.run_ms(60);
    assert!(
        texts(&node)[1]
            .contains(r#""mediaFormat":{"encoding":"audio/x-L16","sampleRate":16000,"channels":1}"#)
    );
    assert!(texts(&node)[4].contains(r#""chunk":"3","timestamp":"40""#));
    for (encoding, rate_hz) in [
        (Encoding::MuLaw, 16_000),
        (Encoding::ALaw, 8_000),
        (Encoding::PcmS16le, 48_000),
    ] {
        let params = StreamParams {
            encoding,
            rate_hz,
            ..params()
        };
        assert!(node.engine.open_stream(node.now, node.session, params).is_err());
    }
}

#[test]
fn what_the_application_has_attached_to_the_call_is_custom_parameters() {
    let mut node = Node::connected();
    let metadata = r#"{"who":"Ann","ticket":7,"tags":["a"]}"#.into();
    node.open_stream(StreamParams { metadata, ..params() });
    node.run_ms(40);
    assert!(texts(&node)[1].contains(r#""customParameters":{"tags":"[\"a\"]","ticket":"7","who":"Ann"},"#));
}
