//! The binary dialect: bytes of the header, every rate and encoding, marks with their outcome.

mod common;

use common::*;
use media::stream::binary::{self, Header};
use media::{Dialect, Encoding, RefusedMessage, Source, StreamKey, StreamParams};

fn params(encoding: Encoding, rate_hz: u32) -> StreamParams {
    StreamParams {
        dialect: Dialect::Binary,
        encoding,
        ..stream_params(20, rate_hz)
    }
}

fn with_stream(encoding: Encoding, rate_hz: u32) -> (Node, StreamKey) {
    let mut node = Node::connected();
    let stream = node.open_stream(params(encoding, rate_hz));
    (node, stream)
}

fn message(samples: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    Header::default().write(&mut message);
    message.extend_from_slice(samples);
    message
}

fn send(node: &mut Node, stream: StreamKey, message: &[u8]) {
    node.engine
        .receive(node.now, Source::StreamBinary(stream), message);
    node.drain();
}

#[test]
fn a_stream_from_start_to_stop() {
    let (mut node, stream) = with_stream(Encoding::PcmS16le, 8_000);
    node.run_ms(40);
    let mut phone = Phone::new();
    node.rtp(&phone.event(11, true, 800));
    node.engine.close_stream(node.now, stream).unwrap();
    node.drain();
    let texts: Vec<&str> = node.messages.iter().map(|(_, _, text)| text.as_str()).collect();
    let start = concat!(
        r#"{"type":"start","version":1,"account_id":"acc_1","call_app_id":"va_1","call_id":"cs_1","stream_id":"ms_1","#,
        r#""encoding":"pcm_s16le","rate_hz":8000,"channels":1,"chunk_ms":20,"tracks":["caller"]}"#
    );
    let digit = r##"{"type":"dtmf","track":0,"digit":"#"}"##;
    assert_eq!(texts, [start, digit, r#"{"type":"stop"}"#]);
    let audio: Vec<&Vec<u8>> = node.binary_messages.iter().map(|(_, _, bytes)| bytes).collect();
    assert_eq!(
        audio[0][..16],
        [0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        audio[1][..16],
        [0x10, 0, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 0, 0, 0, 0]
    );
    assert!(audio.iter().all(|bytes| bytes.len() == 16 + 320));
}

#[test]
fn a_header_reads_back() {
    let header = Header {
        track: 3,
        flags: 0x1234,
        sequence: 0x89ab_cdef,
        timestamp: 0x0123_4567_89ab_cdef,
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    bytes.extend_from_slice(&[1, 2, 3]);
    assert_eq!(Header::parse(&bytes), Some((header, &[1, 2, 3][..])));
    assert_eq!(Header::parse(&bytes[..15]), None);
}

#[test]
fn every_rate_and_encoding_goes_both_ways() {
    for encoding in [Encoding::PcmS16le, Encoding::MuLaw] {
        for rate_hz in [8_000, 16_000, 24_000, 48_000] {
            let (mut node, stream) = with_stream(encoding, rate_hz);
            let frame = rate_hz as usize / 50;
            let mut phone = Phone::new();
            for n in 0..50 {
                node.rtp(&phone.tone());
                let said: Vec<i16> = (n * frame..(n + 1) * frame)
                    .map(|at| {
                        let turns = 440.0 * at as f64 / f64::from(rate_hz);
                        (8_000.0 * (std::f64::consts::TAU * turns).sin()) as i16
                    })
                    .collect();
                let mut bytes = Vec::new();
                encoding.append(&said, &mut bytes);
                send(&mut node, stream, &message(&bytes));
                node.run_ms(20);
            }
            let what = format!("{} at {rate_hz}", encoding.as_str());
            let (header, up) = Header::parse(&node.binary_messages[45].2).unwrap();
            assert_eq!((header.sequence, header.timestamp), (45, 45 * frame as u64));
            let mut heard = vec![0; frame];
            assert_eq!(encoding.decode(up, &mut heard), frame, "{what}");
            let loud = |samples: &[i16]| {
                let sum: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
                (sum / samples.len() as f64).sqrt()
            };
            assert!((loud(&heard) - 5_657.0).abs() < 400.0, "{what}: {}", loud(&heard));
            let said = loud(&node.packets[45].samples());
            assert!((said - 5_657.0).abs() < 400.0, "{what}: {said}");
            assert!(node.stream_stats().queued_ms <= 40, "{what}");
        }
    }
}

#[test]
fn a_mark_says_whether_it_was_played_or_cleared() {
    let (mut node, stream) = with_stream(Encoding::MuLaw, 16_000);
    for name in [r#""a""#, "7"] {
        send(&mut node, stream, &message(&[0x10; 16_000]));
        node.message(stream, &format!(r#"{{"type":"mark","name":{name}}}"#));
    }
    node.run_ms(1_500);
    node.message(stream, r#"{"type":"clear"}"#);
    let answers: Vec<&str> = node.messages[1..]
        .iter()
        .map(|(_, _, text)| text.as_str())
        .collect();
    assert_eq!(
        answers,
        [
            r#"{"type":"mark","name":"a","outcome":"played"}"#,
            r#"{"type":"mark","name":7,"outcome":"cleared"}"#
        ]
    );
    assert_eq!(node.stream_stats().played_ms, 1_500);
    assert_eq!(node.stream_stats().cleared_ms, 500);
}

#[test]
fn a_header_that_is_none_is_refused_and_counted() {
    let (mut node, stream) = with_stream(Encoding::PcmS16le, 8_000);
    let good = message(&[1; 320]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for bad in [vec![], good[..15].to_vec(), changed(0, 0x20), changed(0, 0x11)] {
        assert_eq!(binary::parse_audio(&bad), Err(RefusedMessage::BadHeader));
        send(&mut node, stream, &bad);
    }
    assert_eq!(node.stream_stats().bad_header, 4);
    // Flags mean nothing yet, and half a sample is left out.
    send(&mut node, stream, &changed(2, 0xff)[..16 + 319]);
    let stats = node.stream_stats();
    assert_eq!((stats.bad_header, stats.queued_ms), (4, 19));
}

#[test]
fn text_that_is_no_message_is_refused_by_its_kind() {
    for (text, reason) in [
        ("{", RefusedMessage::MalformedJson),
        ("{}", RefusedMessage::MissingField),
        (r#"{"type":"mark"}"#, RefusedMessage::MissingField),
        (r#"{"type":"audio"}"#, RefusedMessage::UnknownType),
    ] {
        assert_eq!(binary::parse_text(text.as_bytes()), Err(reason), "{text}");
    }
}

#[test]
fn what_the_application_has_attached_to_the_call_is_in_start() {
    let mut node = Node::connected();
    let metadata = r#"{"ticket":7}"#.into();
    node.open_stream(StreamParams {
        metadata,
        ..params(Encoding::PcmS16le, 8_000)
    });
    node.run_ms(40);
    let (_, _, start) = &node.messages[0];
    assert!(start.contains(r#""stream_id":"ms_1","metadata":{"ticket":7},"encoding""#));
}
