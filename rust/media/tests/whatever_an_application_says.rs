//! What stands in an application's messages, whichever dialect it speaks: nothing of it ends a call, grows a queue beyond its
//! bound, or goes uncounted, and the speech that comes after it is heard.

mod common;

use common::dialects::{Said, WITH_BASE64, WITH_STREAM_ID, Words, params, words};
use common::*;
use media::{Encoding, Event, RefusedMessage, StreamKey, StreamParams, StreamStats};

/// A call whose application speaks this dialect.
struct Call {
    node: Node,
    stream: StreamKey,
    words: Words,
}

impl Call {
    fn new(words: Words) -> Call {
        let mut node = Node::connected();
        let stream = node.open_stream(params(words.dialect));
        Call { node, stream, words }
    }

    fn say(&mut self, said: &Said) {
        self.node.say(self.stream, said);
    }

    fn stats(&self) -> StreamStats {
        self.node.stream_stats()
    }

    fn refused(&self, reason: RefusedMessage) -> usize {
        self.node.count_events(
            |event| matches!(event, Event::StreamMessageRefused { reason: told, .. } if *told == reason),
        )
    }

    /// What the application says now is heard by the caller.
    #[track_caller]
    fn assert_is_heard(&mut self) {
        let (node, words) = (&mut self.node, &self.words);
        node.say(self.stream, &words.clear());
        node.run_ms(200);
        let before = node.packets.len();
        node.say(self.stream, &words.tone(200));
        node.run_ms(300);
        let heard = node.packets[before..].iter().filter(|packet| !packet.is_silent());
        assert!(heard.count() >= 9, "{} is not heard", words.dialect);
    }
}

/// Everything that JSON can be and cannot be; `@` stands for a whole message that would be understood.
const JSON: &[&str] = &[
    "",
    " ",
    "\n",
    "\u{feff}{}",
    "{",
    "}",
    "[",
    "]",
    "{]",
    "[}",
    "{}",
    "[]",
    "[[]]",
    "[{}]",
    "{{}}",
    "null",
    "true",
    "false",
    "nul",
    "True",
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-0",
    "-",
    "01",
    "1.",
    ".1",
    "1e",
    "1e5",
    "1e999",
    "-1e-999",
    "0x10",
    "12345678901234567890123456789",
    "\"\"",
    "\"",
    "'x'",
    "\"\\\"",
    "\"\\u\"",
    "\"\\ud800\"",
    "\"\\ud800\\udc00\"",
    "\"\\x\"",
    "\"\u{0}\"",
    "\"\t\"",
    "\"\u{7f}\"",
    "\"é\"",
    "{\"\"}",
    "{\"\":}",
    "{:1}",
    "{1:1}",
    "{\"\":1}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1}{\"a\":2}",
    "{\"a\":1}x",
    "{\"a\":1}//",
    "/* */{}",
    "{\"a\":1}\u{0}",
    "{a:1}",
    "{'a':1}",
    "{\"a\":undefined}",
    "{\"a\":1,\"a\":2}",
    "{\"a\":{\"a\":{\"a\":{}}}}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"event\":1}",
    "{\"event\":null}",
    "{\"event\":[]}",
    "{\"event\":{}}",
    "{\"event\":\"\"}",
    "{\"event\":\"nothing\"}",
    "{\"event\":\"MEDIA\"}",
    "{\"event\":\"media\"}",
    "{\"event\":\"media\",\"media\":null}",
    "{\"event\":\"media\",\"media\":[]}",
    "{\"event\":\"media\",\"media\":{}}",
    "{\"event\":\"media\",\"media\":{\"payload\":null}}",
    "{\"event\":\"media\",\"media\":{\"payload\":{}}}",
    "{\"event\":\"media\",\"event\":\"media\"}",
    "{\"event\":\"mark\",\"mark\":7}",
    "{\"event\":\"start\"}",
    "{\"event\":\"stop\"}",
    "{\"event\":\"connected\"}",
    "{\"event\":\"playAudio\"}",
    "{\"event\":\"playAudio\",\"media\":{\"payload\":7}}",
    "{\"event\":\"checkpoint\",\"name\":{}}",
    "{\"type\":1}",
    "{\"type\":\"\"}",
    "{\"type\":\"audio\"}",
    "{\"type\":\"audio\",\"audio_b64\":7}",
    "{\"type\":\"playAudio\"}",
    "{\"type\":\"playAudio\",\"data\":{\"audioContent\":7}}",
    "{\"type\":\"mark\"}",
    "{\"type\":\"mark\",\"data\":\"x\"}",
    "{\"action\":1}",
    "{\"action\":\"\"}",
    "{\"action\":\"notify\",\"payload\":",
    "{\"command\":1}",
    "{\"command\":\"\"}",
    "{\"command\":\"MARK_MEDIA\",\"correlation_id\":7}",
    "{\"command\":{}}",
    "MARK_MEDIA",
    "MARK_MEDIA  ",
    " GET_STATUS ",
    "get_status",
    "HANGUP\u{0}",
    "@@",
    "@,",
    "[@]",
    "{\"a\":@}",
    "@ x",
    "\u{feff}@",
];

#[test]
fn json_of_every_kind_is_a_message_or_a_refusal() {
    for words in words() {
        let mut call = Call::new(words);
        let good = match call.words.clear() {
            Said::Text(text) => text,
            Said::Binary(_) => unreachable!("clear is text in every dialect"),
        };
        for text in JSON {
            call.say(&Said::Text(text.replace('@', &good)));
        }
        let stats = call.stats();
        assert_eq!(stats.messages_received, JSON.len() as u64);
        let refused = stats.malformed_json + stats.missing_field + stats.unknown_type;
        assert!(
            refused > JSON.len() as u64 / 2,
            "{}: {stats:?}",
            call.words.dialect
        );
        call.assert_is_heard();
    }
}

#[test]
fn json_that_is_deep_or_is_no_utf8_is_refused() {
    for words in words() {
        let mut call = Call::new(words);
        let deep = format!("{}{}", "{\"a\":[".repeat(5_000), "]}".repeat(5_000));
        for bytes in [
            deep.as_bytes(),
            b"{\"event\":\"\xff\"}",
            b"\xc0\x80",
            &[b'['; 60_000],
        ] {
            call.node
                .engine
                .receive(call.node.now, media::Source::Stream(call.stream), bytes);
        }
        call.node.drain();
        let stats = call.stats();
        let refused = stats.malformed_json + stats.too_long;
        assert_eq!(refused, 4, "{}: {stats:?}", call.words.dialect);
        call.assert_is_heard();
    }
}

#[test]
fn base64_junk_is_refused() {
    const JUNK: &[&str] = &[
        "?",
        "====",
        "=",
        "A===",
        "AA=A=",
        "AAAA====",
        "A A A A",
        "AAA\\n",
        "AA-_",
        "ÿÿÿÿ",
        "data:audio/wav;base64,AAAA",
        "%2B",
        "AAAA\\u0000",
    ];
    for words in words()
        .into_iter()
        .filter(|words| WITH_BASE64.contains(&words.dialect))
    {
        let mut call = Call::new(words);
        for junk in JUNK {
            call.say(&call.words.payload(junk));
        }
        let stats = call.stats();
        assert!(stats.malformed_base64 >= 10, "{}: {stats:?}", call.words.dialect);
        assert_eq!(call.refused(RefusedMessage::MalformedBase64), 1, "told once");
        call.assert_is_heard();
    }
}

#[test]
fn audio_of_odd_length_loses_half_a_sample_and_no_more() {
    for words in words() {
        let mut call = Call::new(words);
        call.say(&call.words.bytes(&[0x10; 321]));
        let stats = call.stats();
        let input = params(call.words.dialect).encoding.bytes_per_sample() as u64;
        // Asterisk drops what is left after the last whole frame.
        let whole = if call.words.dialect == "asterisk" {
            320
        } else {
            321
        };
        assert_eq!(stats.queued_ms, whole / input / 8, "{}", call.words.dialect);
        call.say(&call.words.bytes(&[]));
        call.say(&call.words.bytes(&[0x10]));
        call.assert_is_heard();
    }
}

#[test]
fn ten_minutes_of_audio_in_a_second_is_an_overflow_that_is_told_once() {
    for words in words() {
        let mut call = Call::new(words);
        for _ in 0..600 {
            call.say(&call.words.tone(1_000));
        }
        let stats = call.stats();
        let limit = if call.words.dialect == "asterisk" {
            20_000
        } else {
            120_000
        };
        assert_eq!(stats.queued_ms, limit, "{}", call.words.dialect);
        assert_eq!(stats.overflow_ms, 600_000 - limit, "{}", call.words.dialect);
        let told = |event: &Event| matches!(event, Event::PlayoutOverflow { .. });
        assert_eq!(call.node.count_events(told), 1);
        call.assert_is_heard();
    }
}

#[test]
fn a_storm_of_clears_costs_nothing_but_answers() {
    for words in words() {
        let mut call = Call::new(words);
        call.say(&call.words.tone(1_000));
        call.node.run_ms(100);
        for _ in 0..10_000 {
            call.say(&call.words.clear());
        }
        let told = |event: &Event| matches!(event, Event::PlayoutCleared { .. });
        assert!(call.node.count_events(told) <= 2, "{}", call.words.dialect);
        assert_eq!(call.stats().queued_ms, 0);
        call.assert_is_heard();
        for _ in 0..1_000 {
            call.say(&call.words.tone(20));
            call.say(&call.words.clear());
        }
        assert_eq!(call.stats().queued_ms, 0);
        call.assert_is_heard();
    }
}

#[test]
fn a_message_for_another_stream_is_refused() {
    for words in words()
        .into_iter()
        .filter(|words| WITH_STREAM_ID.contains(&words.dialect))
    {
        let mut call = Call::new(words);
        call.say(&call.words.with_stream("another"));
        let stats = call.stats();
        assert_eq!(
            (stats.other_stream, stats.queued_ms),
            (1, 0),
            "{}",
            call.words.dialect
        );
        assert_eq!(call.refused(RefusedMessage::OtherStream), 1);
        // Named right, named emptily and not named at all.
        for (number, id) in ["ms_1", "", "null"].into_iter().enumerate() {
            call.say(&call.words.with_stream(id));
            assert_eq!(
                call.stats().queued_ms,
                20 * (number as u64 + 1),
                "{}",
                call.words.dialect
            );
        }
        call.assert_is_heard();
    }
}

#[test]
fn an_application_that_only_listens_is_refused_whatever_it_says() {
    for words in words() {
        let direction = media::Direction::Listen;
        let mut node = Node::connected();
        let stream = node.open_stream(StreamParams {
            direction,
            ..params(words.dialect)
        });
        node.say(stream, &words.tone(1_000));
        node.say(stream, &words.clear());
        let stats = node.stream_stats();
        assert_eq!((stats.queued_ms, stats.not_allowed), (0, 2), "{}", words.dialect);
    }
}

#[test]
fn samples_are_what_they_were_in_every_encoding() {
    for encoding in Encoding::ALL {
        // Packets have no samples of their own.
        if encoding == Encoding::Opus {
            continue;
        }
        let samples: Vec<i16> = (-64..64).map(|n| n * 500).collect();
        let (mut bytes, mut back) = (Vec::new(), vec![0; samples.len()]);
        encoding.append(&samples, &mut bytes);
        assert_eq!(encoding.decode(&bytes, &mut back), samples.len());
        for (sample, back) in samples.iter().zip(&back) {
            // A logarithmic code keeps four bits of a sample's size.
            let error = (i32::from(*sample) - i32::from(*back)).abs();
            assert!(
                error <= i32::from(sample.unsigned_abs()) / 16 + 16,
                "{encoding:?} {sample} {back}"
            );
        }
    }
}
