//! What applications count on beyond the messages themselves, dialect by dialect: the behaviours that were seen when
//! applications as they are were run against the platforms that they were written for.

mod common;

use common::dialects::{Said, Words, params, words};
use common::*;
use media::codec::resample::resample;
use media::stream::dialect::Action;
use media::{
    Closing, Destination, Encoding, EngineConfig, Event, Form, Format, StreamKey, StreamParams, StreamStart,
};
use serde_json::Value;

/// A call whose application speaks some dialect, and all it was told, in order.
struct Call {
    node: Node,
    stream: StreamKey,
}

impl Call {
    fn open(params: StreamParams) -> Call {
        let mut node = Node::connected();
        let stream = node.open_stream(params);
        Call { node, stream }
    }

    fn of(dialect: &str) -> Call {
        Call::open(params(dialect))
    }

    fn text(&mut self, text: &str) {
        self.node.message(self.stream, text);
    }

    fn binary(&mut self, bytes: &[u8]) {
        self.node.say(self.stream, &Said::Binary(bytes.to_vec()));
    }

    /// The text messages since the last time, but for media.
    fn told(&mut self) -> Vec<String> {
        let told = self.node.messages.drain(..).map(|(_, _, text)| text);
        told.filter(|text| !text.contains(r#""event":"media""#) && !text.contains(r#""type":"audio""#))
            .collect()
    }

    /// What the caller hears in this time.
    fn heard(&mut self, millis: u64) -> Vec<i16> {
        let before = self.node.packets.len();
        self.node.run_ms(millis);
        let packets = &self.node.packets[before..];
        packets.iter().flat_map(SentPacket::samples).collect()
    }

    fn queued_ms(&self) -> u64 {
        self.node.stream_stats().queued_ms
    }

    /// What control was asked for.
    fn requests(&self) -> Vec<(Action, String)> {
        let asked = self.node.events.iter().filter_map(|(_, event)| match event {
            Event::StreamRequest { action, fields, .. } => Some((*action, fields.clone())),
            _ => None,
        });
        asked.collect()
    }

    fn refusals(&self) -> usize {
        self.node
            .count_events(|event| matches!(event, Event::StreamMessageRefused { .. }))
    }
}

fn loudness(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

/// How much of this is a tone of this pitch: 1 is all.
fn purity(samples: &[i16], rate_hz: f64, pitch_hz: f64) -> f64 {
    let angle = |n: usize| std::f64::consts::TAU * pitch_hz * n as f64 / rate_hz;
    let (mut real, mut imaginary, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let sample = f64::from(*sample);
        real += sample * angle(n).cos();
        imaginary += sample * angle(n).sin();
        all += sample * sample;
    }
    2.0 * (real * real + imaginary * imaginary) / (all * samples.len() as f64)
}

fn sine(rate_hz: u32, pitch_hz: f64, millis: usize) -> Vec<i16> {
    let rate = f64::from(rate_hz);
    (0..rate_hz as usize / 1_000 * millis)
        .map(|n| (8_000.0 * (std::f64::consts::TAU * pitch_hz * n as f64 / rate).sin()) as i16)
        .collect()
}

fn encoded(encoding: Encoding, samples: &[i16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoding.append(samples, &mut bytes);
    bytes
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

mod all {
    use super::*;

    fn each(then: impl Fn(Call, Words)) {
        for words in words() {
            then(Call::of(words.dialect), words);
        }
    }

    #[test]
    fn a_clear_with_nothing_to_clear_is_no_mistake() {
        each(|mut call, words| {
            call.told();
            call.node.say(call.stream, &words.clear());
            let told: &[&str] = match words.dialect {
                "plivo" => &[r#"{"sequenceNumber":1,"streamId":"ms_1","event":"clearedAudio"}"#],
                "vonage" => &[r#"{"event":"websocket:cleared"}"#],
                _ => &[],
            };
            assert_eq!(call.told(), told, "{}", words.dialect);
            assert_eq!(call.refusals(), 0);
        });
    }

    #[test]
    fn messages_of_any_length_are_one_speech() {
        each(|mut call, words| {
            for millis in [20, 2_000, 40, 500] {
                call.node.say(call.stream, &words.tone(millis));
            }
            assert_eq!(call.queued_ms(), 2_560, "{}", words.dialect);
            let heard = call.heard(2_560);
            let silent = heard
                .chunks(160)
                .filter(|frame| frame.iter().all(|sample| sample.unsigned_abs() < 100));
            assert!(silent.count() <= 2, "{}", words.dialect);
        });
    }

    #[test]
    fn a_minute_may_wait_and_is_cleared_within_a_frame() {
        each(|mut call, words| {
            if words.dialect == "asterisk" {
                return;
            }
            for _ in 0..60 {
                call.node.say(call.stream, &words.tone(1_000));
            }
            assert_eq!(call.queued_ms(), 60_000, "{}", words.dialect);
            assert!(loudness(&call.heard(500)) > 1_000.0);
            call.node.say(call.stream, &words.clear());
            assert_eq!(call.queued_ms(), 0);
            // The ramp of 4 ms, and then nothing.
            let heard = call.heard(40);
            assert!(loudness(&heard[40..]) < 10.0, "{}", words.dialect);
        });
    }

    #[test]
    fn silence_is_sent_and_its_timestamps_rise() {
        each(|mut call, words| {
            // The phone sends nothing at all.
            call.node.run_ms(2_000);
            let texts = call.node.messages.iter().map(|(.., text)| text);
            let texts: Vec<Value> = texts
                .filter(|text| text.starts_with('{'))
                .map(|text| json(text))
                .collect();
            let times: Vec<u64> = texts
                .iter()
                .filter_map(|message| message["media"]["timestamp"].as_str()?.parse().ok())
                .collect();
            let chunks = match words.dialect {
                "teler" => texts.iter().filter(|message| message["type"] == "audio").count(),
                "vonage" | "asterisk" | "jambonz" => call.node.binary_messages.len(),
                _ => {
                    let expected: Vec<u64> = (0..100).map(|n| n * 20).collect();
                    assert_eq!(times, expected, "{}", words.dialect);
                    times.len()
                }
            };
            assert_eq!(chunks, 100, "{}", words.dialect);
        });
    }

    #[test]
    fn marks_without_a_name_and_messages_without_a_stream_are_taken() {
        for (dialect, mark) in [
            ("twilio", r#"{"event":"mark","mark":{}}"#),
            ("telnyx", r#"{"event":"mark","mark":{}}"#),
            ("exotel", r#"{"event":"mark","mark":{}}"#),
            ("plivo", r#"{"event":"checkpoint"}"#),
            ("vonage", r#"{"action":"notify"}"#),
            ("jambonz", r#"{"type":"mark","data":{}}"#),
            ("asterisk", "MARK_MEDIA"),
        ] {
            let mut call = Call::of(dialect);
            call.told();
            call.text(mark);
            assert_eq!(call.told().len(), 1, "{dialect}");
            assert_eq!(call.refusals(), 0, "{dialect}");
        }
    }

    #[test]
    fn an_event_that_nobody_knows_ends_nothing() {
        each(|mut call, words| {
            for text in [
                r#"{"event":"keepalive"}"#,
                r#"{"type":"keepalive"}"#,
                r#"{"action":"keepalive"}"#,
                "KEEPALIVE",
            ] {
                call.text(text);
            }
            call.node.say(call.stream, &words.tone(100));
            assert!(loudness(&call.heard(120)) > 1_000.0, "{}", words.dialect);
        });
    }

    #[test]
    fn another_process_counts_on() {
        for (dialect, number) in [
            ("twilio", "sequenceNumber"),
            ("telnyx", "sequence_number"),
            ("exotel", "sequence_number"),
            ("plivo", "sequenceNumber"),
        ] {
            let mut node = records::keeping(EngineConfig::new(7, 0));
            node.connect(remote(phone_rtp()));
            node.open_stream(params(dialect));
            node.run_ms(200);
            let found = records::records_of(&mut node.engine);
            records::restore(&mut node, found);
            node.run_ms(200);
            let messages: Vec<Value> = node.messages.iter().map(|(.., text)| json(text)).collect();
            let whole = |value: &Value| match value {
                Value::String(text) => text.parse().ok(),
                other => other.as_i64(),
            };
            let numbers: Vec<i64> = messages
                .iter()
                .filter_map(|message| whole(&message[number]))
                .collect();
            let expected: Vec<i64> = (numbers[0]..).take(numbers.len()).collect();
            assert_eq!(numbers, expected, "{dialect}");
            let times = messages
                .iter()
                .filter_map(|message| whole(&message["media"]["timestamp"]));
            assert_eq!(
                times.collect::<Vec<i64>>(),
                (0..20).map(|n| n * 20).collect::<Vec<i64>>()
            );
        }
    }

    #[test]
    fn keys_are_pressed_where_the_dialect_has_a_word_for_it() {
        for (dialect, text, fields) in [
            (
                "twilio",
                r#"{"event":"dtmf","dtmf":{"digit":"5"}}"#,
                r#"{"digit":"5"}"#,
            ),
            (
                "telnyx",
                r#"{"event":"dtmf","dtmf":{"digits":"12#"}}"#,
                r#"{"digits":"12#"}"#,
            ),
            (
                "plivo",
                r#"{"event":"sendDTMF","dtmf":"12"}"#,
                r#"{"event":"sendDTMF","dtmf":"12"}"#,
            ),
        ] {
            let mut call = Call::of(dialect);
            call.text(text);
            assert_eq!(
                call.requests(),
                [(Action::SendDigits, fields.to_owned())],
                "{dialect}"
            );
            assert_eq!(call.refusals(), 0);
        }
        let mut call = Call::of("twilio");
        call.text(r#"{"event":"dtmf"}"#);
        call.text(r#"{"event":"dtmf","dtmf":"5"}"#);
        assert_eq!(call.node.stream_stats().missing_field, 2);
    }

    #[test]
    fn what_the_caller_says_stands_in_the_encoding_that_was_opened() {
        for dialect in ["telnyx", "plivo", "exotel", "vonage", "asterisk", "jambonz"] {
            let entry = media::stream::dialect::entry(media::Dialect::named(dialect).unwrap());
            for &Format { encoding, rate_hz } in entry.output {
                let mut node = Node::connected();
                let stream = StreamParams {
                    encoding,
                    rate_hz,
                    ..params(dialect)
                };
                node.open_stream(stream);
                let mut phone = Phone::new();
                for _ in 0..50 {
                    node.rtp(&phone.tone());
                    node.run_ms(20);
                }
                let payload = |text: &String| {
                    let message: Value = serde_json::from_str(text).unwrap_or_default();
                    Some(unbase64(message["media"]["payload"].as_str()?))
                };
                let texts = node.messages.iter().filter_map(|(.., text)| payload(text));
                let binaries = node.binary_messages.iter().map(|(.., bytes)| bytes.clone());
                let bytes: Vec<u8> = texts.chain(binaries).flatten().collect();
                let mut samples = vec![0; bytes.len() / encoding.bytes_per_sample()];
                encoding.decode(&bytes, &mut samples);
                let late = &samples[samples.len() / 2..];
                let purity = purity(late, f64::from(rate_hz), 440.0);
                assert!(purity > 0.98, "{dialect} {encoding:?} {rate_hz}: {purity}");
            }
        }
    }
}

mod telnyx {
    use super::*;

    fn both_ways(output: (Encoding, u32), input: (Encoding, u32)) -> Call {
        Call::open(StreamParams {
            encoding: output.0,
            rate_hz: output.1,
            input: Some(Format {
                encoding: input.0,
                rate_hz: input.1,
            }),
            ..params("telnyx")
        })
    }

    fn say(call: &mut Call, bytes: &[u8]) {
        call.text(&format!(
            r#"{{"event":"media","media":{{"payload":"{}"}}}}"#,
            base64(bytes)
        ));
    }

    #[test]
    fn a_call_in_a_law_and_a_bot_in_another_codec_understand_each_other() {
        for (encoding, rate_hz) in [
            (Encoding::MuLaw, 8_000),
            (Encoding::PcmS16be, 16_000),
            (Encoding::PcmS16le, 24_000),
        ] {
            let mut call = both_ways((Encoding::ALaw, 8_000), (encoding, rate_hz));
            let start = json(&call.told()[1]);
            assert_eq!(start["start"]["media_format"]["encoding"], "PCMA");
            say(&mut call, &encoded(encoding, &sine(rate_hz, 440.0, 400)));
            let heard = call.heard(400);
            let purity = purity(&heard[800..2_400], 8_000.0, 440.0);
            assert!(purity > 0.99, "{encoding:?}: {purity}");
        }
    }

    #[test]
    fn the_wrong_byte_order_is_noise_so_it_is_chosen() {
        let mut call = both_ways((Encoding::MuLaw, 8_000), (Encoding::PcmS16be, 8_000));
        say(&mut call, &encoded(Encoding::PcmS16le, &sine(8_000, 440.0, 400)));
        let heard = call.heard(400);
        assert!(purity(&heard[800..2_400], 8_000.0, 440.0) < 0.5);
    }

    #[test]
    fn a_message_without_effect_is_answered_with_its_code() {
        let mut call = Call::of("telnyx");
        call.told();
        for (text, code) in [
            ("{", 100_003),
            (r#"{"event":"media"}"#, 100_003),
            (r#"{"event":"media","media":{"payload":"?"}}"#, 100_004),
            (r#"{"event":"dance"}"#, 100_002),
        ] {
            call.text(text);
            let told = call.told();
            let error = json(&told[0]);
            assert_eq!(error["event"], "error");
            assert_eq!(error["stream_id"], "ms_1");
            assert_eq!(error["payload"]["code"], code, "{text}");
        }
    }

    #[test]
    fn start_says_who_calls_whom_and_what_state_the_client_keeps() {
        let mut call = Call::open(StreamParams {
            start: StreamStart {
                from: "+1".into(),
                to: "+2".into(),
                ids: vec![("client_state".into(), "c3RhdGU=".into())],
                parameters: vec![("a".into(), "b".into())],
                ..StreamStart::default()
            },
            ..params("telnyx")
        });
        let start = &json(&call.told()[1])["start"];
        assert_eq!((&start["from"], &start["to"]), (&"+1".into(), &"+2".into()));
        assert_eq!(start["client_state"], "c3RhdGU=");
        assert_eq!(start["call_session_id"], start["call_control_id"]);
        assert_eq!(start["custom_parameters"]["a"], "b");
    }
}

mod plivo {
    use super::*;

    fn play(call: &mut Call, content_type: &str, rate: &str, bytes: &[u8]) {
        call.text(&format!(
            r#"{{"event":"playAudio","media":{{"contentType":"{content_type}","sampleRate":{rate},"payload":"{}"}}}}"#,
            base64(bytes)
        ));
    }

    #[test]
    fn there_is_neither_connected_nor_stop() {
        let mut call = Call::of("plivo");
        call.node.run_ms(40);
        call.node.engine.close_stream(call.node.now, call.stream).unwrap();
        call.node.drain();
        let told = call.told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(json(&told[0])["event"], "start");
    }

    #[test]
    fn every_message_is_typed_as_the_sdk_wants_it() {
        let mut call = Call::of("plivo");
        let mut phone = Phone::new();
        call.node.run_ms(20);
        call.node.rtp(&phone.event(5, true, 800));
        call.text(r#"{"event":"checkpoint","name":"a"}"#);
        call.text(r#"{"event":"clearAudio"}"#);
        let messages: Vec<Value> = call.node.messages.iter().map(|(.., text)| json(text)).collect();
        for (number, message) in messages.iter().enumerate() {
            assert_eq!(message["sequenceNumber"], number, "{message}");
            match message["event"].as_str().unwrap() {
                "start" => {
                    assert!(message["start"]["mediaFormat"]["sampleRate"].is_number());
                    assert!(message["extra_headers"].is_string());
                }
                "media" => {
                    assert!(message["media"]["timestamp"].is_string());
                    assert!(message["media"]["chunk"].is_number());
                    assert!(message["extra_headers"].is_string());
                }
                "dtmf" => assert!(message["dtmf"]["timestamp"].is_string()),
                "playedStream" => assert_eq!(message["name"], "a"),
                "clearedAudio" => assert_eq!(message["streamId"], "ms_1"),
                other => panic!("the SDK knows no {other}"),
            }
        }
        assert_eq!(messages.len(), 5);
    }

    #[test]
    fn a_checkpoint_that_was_cleared_is_not_answered() {
        let mut call = Call::of("plivo");
        call.told();
        play(&mut call, "audio/x-mulaw", "8000", &[0x10; 8_000]);
        call.text(r#"{"event":"checkpoint","streamId":"ms_1","name":"a"}"#);
        call.node.run_ms(100);
        call.text(r#"{"event":"clearAudio","streamId":"ms_1"}"#);
        call.node.run_ms(2_000);
        let told = call.told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("clearedAudio"));
    }

    #[test]
    fn a_payload_of_another_rate_is_heard_at_its_pitch() {
        for (rate_hz, chunk_ms) in [
            (8_000, 20),
            (16_000, 20),
            (24_000, 40),
            (44_100, 500),
            (48_000, 20),
        ] {
            let mut call = Call::of("plivo");
            let sound = sine(rate_hz, 440.0, 500);
            let chunk = rate_hz as usize * chunk_ms / 1_000;
            for part in sound.chunks(chunk) {
                play(
                    &mut call,
                    "audio/x-l16",
                    &rate_hz.to_string(),
                    &encoded(Encoding::PcmS16le, part),
                );
            }
            let heard = call.heard(480);
            let purity = purity(&heard[800..3_200], 8_000.0, 440.0);
            assert!(purity > 0.99, "{rate_hz}: {purity}");
            assert_eq!(call.refusals(), 0);
        }
    }

    #[test]
    fn the_rate_may_be_a_text_and_stand_in_the_type() {
        let mut call = Call::of("plivo");
        let tone = encoded(Encoding::PcmS16le, &sine(16_000, 440.0, 100));
        play(&mut call, "audio/x-l16", "\"16000\"", &tone);
        assert_eq!(call.queued_ms(), 100);
        call.text(&format!(
            r#"{{"event":"playAudio","media":{{"contentType":"audio/x-l16;rate=16000","payload":"{}"}}}}"#,
            base64(&tone)
        ));
        assert_eq!(call.queued_ms(), 200);
        assert_eq!(call.refusals(), 0);
    }

    #[test]
    fn a_format_that_nobody_can_play_is_refused() {
        let mut call = Call::of("plivo");
        for (content_type, rate) in [
            ("audio/mpeg", "8000"),
            ("audio/x-l16", "0"),
            ("audio/x-l16", "-8000"),
            ("audio/x-l16", "44101"),
            ("audio/x-l16", "4294967296"),
            ("audio/x-l16;rate=fast", "8000"),
        ] {
            play(&mut call, content_type, rate, &[0; 320]);
        }
        assert_eq!(call.node.stream_stats().wrong_format, 6);
        assert_eq!(call.queued_ms(), 0);
    }
}

mod vonage {
    use super::*;

    #[test]
    fn parameters_are_fields_of_the_first_message_and_cannot_take_its_own() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut call = Call::open(StreamParams {
            start: StreamStart {
                parameters: vec![
                    pair("caller", "+1"),
                    pair("event", "websocket:dtmf"),
                    pair("content-type", "text/plain"),
                ],
                ..StreamStart::default()
            },
            ..params("vonage")
        });
        assert_eq!(
            call.told(),
            [r#"{"event":"websocket:connected","content-type":"audio/l16;rate=8000","caller":"+1"}"#]
        );
    }

    #[test]
    fn a_notify_follows_the_audio_before_it_and_is_lost_with_it() {
        let mut call = Call::of("vonage");
        call.told();
        call.binary(&encoded(Encoding::PcmS16le, &sine(8_000, 440.0, 200)));
        call.text(r#"{"action":"notify","payload":{"n":[1,{"a":null}]}}"#);
        call.node.run_ms(180);
        assert!(call.told().is_empty());
        call.node.run_ms(40);
        assert_eq!(
            call.told(),
            [r#"{"event":"websocket:notify","payload":{"n":[1,{"a":null}]}}"#]
        );
        call.binary(&encoded(Encoding::PcmS16le, &sine(8_000, 440.0, 200)));
        call.text(r#"{"action":"notify","payload":{"n":2}}"#);
        call.text(r#"{"action":"clear"}"#);
        call.node.run_ms(400);
        assert_eq!(call.told(), [r#"{"event":"websocket:cleared"}"#]);
    }
}

mod exotel {
    use super::*;

    #[test]
    fn every_number_is_a_text() {
        fn no_numbers(value: &Value) -> bool {
            match value {
                Value::Number(_) => false,
                Value::Array(items) => items.iter().all(no_numbers),
                Value::Object(fields) => fields.values().all(no_numbers),
                _ => true,
            }
        }
        let mut call = Call::of("exotel");
        let mut phone = Phone::new();
        call.node.run_ms(40);
        call.node.rtp(&phone.event(5, true, 800));
        call.text(r#"{"event":"mark","mark":{"name":"a"}}"#);
        call.node.engine.close_stream(call.node.now, call.stream).unwrap();
        call.node.drain();
        assert_eq!(call.node.messages.len(), 7);
        for (.., text) in &call.node.messages {
            assert!(no_numbers(&json(text)), "{text}");
        }
    }
}

mod jambonz {
    use super::*;

    fn play(call: &mut Call, kind: &str, rate_hz: u32, more: &str, bytes: &[u8]) {
        call.text(&format!(
            r#"{{"type":"playAudio","data":{{"audioContent":"{}","audioContentType":"{kind}","sampleRate":{rate_hz}{more}}}}}"#,
            base64(bytes)
        ));
    }

    #[test]
    fn the_first_message_is_text_and_audio_comes_after_it() {
        let mut node = Node::connected();
        let stream = node
            .engine
            .open_stream(node.now, node.session, params("jambonz"))
            .unwrap();
        node.engine.stream_connected(node.now, stream).unwrap();
        let first = node.engine.poll_transmit().unwrap();
        assert!(matches!(
            first.to,
            Destination::Stream {
                form: Form::Text,
                may_drop: false,
                ..
            }
        ));
        let metadata = json(std::str::from_utf8(first.payload).unwrap());
        assert_eq!(
            (&metadata["sampleRate"], &metadata["mixType"]),
            (&8_000.into(), &"mono".into())
        );
        assert_eq!(metadata["callSid"], "cs_1");
    }

    #[test]
    fn samples_of_minus_one_are_sound_and_no_mark() {
        let mut call = Call::of("jambonz");
        call.told();
        call.text(r#"{"type":"mark","data":{"name":"before"}}"#);
        assert_eq!(call.told().len(), 1);
        call.binary(&[0xff; 3_200]);
        call.node.run_ms(300);
        assert!(call.told().is_empty());
    }

    #[test]
    fn a_mark_is_played_or_cleared_and_never_both() {
        let mut call = Call::of("jambonz");
        call.told();
        let tone = encoded(Encoding::PcmS16le, &sine(8_000, 440.0, 200));
        call.binary(&tone);
        call.text(r#"{"type":"mark","data":{"name":"a"}}"#);
        call.node.run_ms(240);
        call.binary(&tone);
        call.text(r#"{"type":"mark","data":{"name":"b"}}"#);
        call.text(r#"{"type":"clearMarks"}"#);
        call.text(r#"{"type":"mark","data":{"name":"c"}}"#);
        call.node.run_ms(40);
        assert!(call.queued_ms() > 100, "speech goes on when marks are cleared");
        call.text(r#"{"type":"killAudio"}"#);
        call.node.run_ms(400);
        let outcomes: Vec<String> = call
            .told()
            .iter()
            .map(|text| json(text)["data"].clone())
            .map(|data| format!("{} {}", data["name"], data["event"]))
            .collect();
        assert_eq!(
            outcomes,
            [r#""a" "playout""#, r#""b" "cleared""#, r#""c" "cleared""#]
        );
    }

    #[test]
    fn a_sound_cuts_off_what_plays_unless_it_may_queue() {
        let mut call = Call::of("jambonz");
        call.told();
        let sound = encoded(Encoding::PcmS16le, &sine(16_000, 440.0, 1_000));
        play(&mut call, "raw", 16_000, r#","id":1"#, &sound);
        play(&mut call, "raw", 16_000, r#","id":"2","queuePlay":true"#, &sound);
        assert!(call.queued_ms() > 1_950);
        assert!(call.told().is_empty());
        play(&mut call, "raw", 16_000, r#","id":"3","queuePlay":false"#, &sound);
        assert_eq!(call.queued_ms() / 10, 100);
        let done = |id: &str| format!(r#"{{"type":"playDone","data":{{"id":{id}}}}}"#);
        assert_eq!(call.told(), [done("1"), done(r#""2""#)]);
        let heard = call.heard(1_100);
        assert!(purity(&heard[800..7_000], 8_000.0, 440.0) > 0.99);
        assert_eq!(call.told(), [done(r#""3""#)]);
        play(&mut call, "raw", 16_000, "", &[]);
        assert_eq!(call.told(), [r#"{"type":"playDone","data":{}}"#]);
    }

    #[test]
    fn a_disconnect_ends_the_stream_and_not_the_call() {
        let mut call = Call::of("jambonz");
        call.text(r#"{"type":"disconnect"}"#);
        let told = |event: &Event| {
            matches!(
                event,
                Event::StreamClosing {
                    why: Closing::Stopped,
                    ..
                }
            )
        };
        assert_eq!(call.node.count_events(told), 1);
        assert!(call.requests().is_empty());
    }

    #[test]
    fn a_wav_file_is_played_at_the_rate_that_it_has() {
        let mut call = Call::of("jambonz");
        let samples = sine(24_000, 440.0, 400);
        let mut file = media::wav::header(1, 24_000, 2 * samples.len() as u32).to_vec();
        file.extend(encoded(Encoding::PcmS16le, &samples));
        play(&mut call, "wav", 8_000, "", &file);
        let heard = call.heard(360);
        assert!(purity(&heard[800..2_400], 8_000.0, 440.0) > 0.99);
        play(&mut call, "wav", 8_000, "", b"RIFF");
        play(&mut call, "mp3", 8_000, "", &file);
        assert_eq!(call.node.stream_stats().wrong_format, 2);
    }
}

mod asterisk {
    use super::*;

    const FRAME: usize = 160;

    fn with_json() -> Call {
        let mut call = Call::open(StreamParams {
            start: StreamStart {
                parameters: vec![("control_msg_format".into(), "json".into())],
                ..StreamStart::default()
            },
            ..params("asterisk")
        });
        call.told();
        call
    }

    fn frames(count: usize) -> Vec<u8> {
        vec![0x10; FRAME * count]
    }

    #[test]
    fn events_are_plain_text_unless_they_are_json() {
        let mut call = Call::of("asterisk");
        assert_eq!(
            call.told(),
            [
                "MEDIA_START connection_id:ms_1 channel:WebSocket/ms_1 channel_id:cs_1 format:ulaw optimal_frame_size:160 ptime:20"
            ]
        );
        let mut phone = Phone::new();
        call.node.rtp(&phone.event(5, true, 800));
        call.text("GET_STATUS");
        call.text("MARK_MEDIA a b");
        call.text("STOP_MEDIA_BUFFERING");
        assert_eq!(
            call.told(),
            [
                "DTMF_END digit:5 channel_id:cs_1",
                "STATUS channel_id:cs_1 queue_length:0 xon_level:800 xoff_level:900 queue_full:false bulk_media:false media_paused:false",
                "MEDIA_MARK_PROCESSED a b",
                "MEDIA_BUFFERING_COMPLETED",
            ]
        );
    }

    #[test]
    fn formats_have_asterisks_names_and_sizes() {
        for (encoding, rate_hz, name, size) in [
            (Encoding::MuLaw, 8_000, "ulaw", 160),
            (Encoding::ALaw, 8_000, "alaw", 160),
            (Encoding::PcmS16le, 8_000, "slin", 320),
            (Encoding::PcmS16le, 16_000, "slin16", 640),
            (Encoding::PcmS16le, 48_000, "slin48", 1_920),
        ] {
            let mut call = Call::open(StreamParams {
                encoding,
                rate_hz,
                ..params("asterisk")
            });
            let told = call.told();
            assert!(
                told[0].contains(&format!("format:{name} optimal_frame_size:{size} ptime:20")),
                "{told:?}"
            );
        }
    }

    #[test]
    fn senders_are_stopped_at_900_frames_and_go_on_below_800() {
        let mut call = Call::of("asterisk");
        call.told();
        call.text("START_MEDIA_BUFFERING");
        call.binary(&frames(899));
        assert!(call.told().is_empty());
        call.binary(&frames(1));
        assert_eq!(call.told(), ["MEDIA_XOFF"]);
        call.binary(&frames(200));
        assert_eq!(call.queued_ms(), 20_000, "what is beyond 1000 frames is dropped");
        call.text("GET_STATUS");
        assert!(
            call.told()[0]
                .contains("queue_length:1000 xon_level:800 xoff_level:900 queue_full:true bulk_media:true")
        );
        call.node.run_ms(3_900);
        assert!(call.told().is_empty(), "XOFF is told once");
        call.node.run_ms(140);
        assert_eq!(call.told(), ["MEDIA_XON"]);
        call.binary(&frames(110));
        assert_eq!(call.told(), ["MEDIA_XOFF"]);
        call.text("FLUSH_MEDIA");
        assert_eq!(call.told(), ["MEDIA_XON"]);
    }

    #[test]
    fn a_command_of_more_than_128_bytes_is_ignored() {
        let mut call = Call::of("asterisk");
        call.told();
        let command = |length: usize| format!("MARK_MEDIA {}", "x".repeat(length - 11));
        call.text(&command(128));
        assert_eq!(call.told().len(), 1);
        call.text(&command(129));
        assert!(call.told().is_empty());
        assert_eq!(call.node.stream_stats().too_long, 1);
    }

    #[test]
    fn what_is_no_whole_frame_is_dropped_but_for_buffering() {
        let mut call = Call::of("asterisk");
        call.binary(&[0x10; 500]);
        assert_eq!(call.queued_ms(), 60);
        call.text("FLUSH_MEDIA");
        call.text("START_MEDIA_BUFFERING");
        call.binary(&[0x10; 500]);
        call.binary(&[0x10; 300]);
        call.text("STOP_MEDIA_BUFFERING");
        assert_eq!(call.queued_ms(), 100);
        call.text("FLUSH_MEDIA");
        // A flush ends the buffering as well.
        call.text("START_MEDIA_BUFFERING");
        call.text("FLUSH_MEDIA");
        call.binary(&[0x10; 500]);
        assert_eq!(call.queued_ms(), 60);
    }

    #[test]
    fn samples_that_messages_cut_in_two_are_joined() {
        let mut call = Call::open(StreamParams {
            encoding: Encoding::PcmS16le,
            ..params("asterisk")
        });
        let sound = encoded(Encoding::PcmS16le, &sine(8_000, 440.0, 500));
        call.text("START_MEDIA_BUFFERING");
        for part in sound.chunks(1_001) {
            call.binary(part);
        }
        call.text("STOP_MEDIA_BUFFERING");
        assert_eq!(call.queued_ms(), 500);
        let heard = call.heard(500);
        assert!(purity(&heard[800..3_200], 8_000.0, 440.0) > 0.99);
    }

    #[test]
    fn another_process_goes_on_with_what_is_buffered() {
        let mut node = records::keeping(EngineConfig::new(7, 0));
        node.connect(remote(phone_rtp()));
        let stream = node.open_stream(StreamParams {
            start: StreamStart {
                parameters: vec![("control_msg_format".into(), "json".into())],
                ..StreamStart::default()
            },
            ..params("asterisk")
        });
        node.message(stream, r#"{"command":"REPORT_QUEUE_DRAINED"}"#);
        node.message(stream, r#"{"command":"START_MEDIA_BUFFERING"}"#);
        node.say(stream, &Said::Binary(vec![0x10; 500]));
        node.run_ms(20);
        let found = records::records_of(&mut node.engine);
        records::restore(&mut node, found);
        node.say(stream, &Said::Binary(vec![0x10; 300]));
        node.message(stream, r#"{"command":"STOP_MEDIA_BUFFERING"}"#);
        node.run_ms(200);
        let mut call = Call { node, stream };
        let told = call.told();
        let [_, _, buffered, drained] = &told[..] else {
            panic!("{told:?}")
        };
        assert!(buffered.contains("MEDIA_BUFFERING_COMPLETED") && drained.contains("QUEUE_DRAINED"));
        assert_eq!(call.node.stream_stats().played_ms, 100);
    }

    #[test]
    fn marks_and_completions_are_told_when_heard_and_not_when_flushed() {
        let mut call = with_json();
        call.text(r#"{"command":"START_MEDIA_BUFFERING"}"#);
        call.binary(&frames(10));
        call.text(r#"{"command":"MARK_MEDIA","correlation_id":"a"}"#);
        call.text(r#"{"command":"STOP_MEDIA_BUFFERING"}"#);
        call.node.run_ms(240);
        assert_eq!(
            call.told(),
            [
                r#"{"event":"MEDIA_MARK_PROCESSED","channel_id":"cs_1","correlation_id":"a"}"#,
                r#"{"event":"MEDIA_BUFFERING_COMPLETED","channel_id":"cs_1","correlation_id":""}"#,
            ]
        );
        call.binary(&frames(10));
        call.text(r#"{"command":"MARK_MEDIA","correlation_id":"b"}"#);
        call.text(r#"{"command":"FLUSH_MEDIA"}"#);
        call.node.run_ms(400);
        assert!(call.told().is_empty());
    }

    #[test]
    fn a_pause_keeps_what_waits() {
        let mut call = Call::of("asterisk");
        call.told();
        call.binary(&frames(50));
        call.node.run_ms(200);
        call.text("PAUSE_MEDIA");
        let waiting = call.queued_ms();
        assert!(loudness(&call.heard(500)[40..]) < 10.0);
        assert_eq!(call.queued_ms(), waiting);
        call.text("GET_STATUS");
        assert!(call.told()[0].ends_with("media_paused:true"));
        call.text("CONTINUE_MEDIA");
        assert!(loudness(&call.heard(100)) > 1_000.0);
    }

    #[test]
    fn an_empty_queue_is_told_once_to_who_asked() {
        let mut call = Call::of("asterisk");
        call.told();
        call.text("REPORT_QUEUE_DRAINED");
        call.binary(&frames(5));
        call.node.run_ms(100);
        assert!(call.told().is_empty());
        call.node.run_ms(40);
        assert_eq!(call.told(), ["QUEUE_DRAINED"]);
        call.binary(&frames(5));
        call.node.run_ms(400);
        assert!(call.told().is_empty());
        call.text("REPORT_QUEUE_DRAINED");
        call.node.run_ms(20);
        assert_eq!(
            call.told(),
            ["QUEUE_DRAINED"],
            "of a queue that is empty already as well"
        );
    }

    #[test]
    fn a_hangup_is_a_request_to_control() {
        let mut call = Call::of("asterisk");
        call.text("HANGUP");
        assert_eq!(call.requests(), [(Action::Hangup, "{}".to_owned())]);
    }

    #[test]
    fn text_that_is_no_json_is_an_error_in_json() {
        let mut call = with_json();
        call.text("MARK_MEDIA");
        assert_eq!(
            call.told(),
            [r#"{"event":"ERROR","channel_id":"cs_1","error_text":"Unable to parse JSON command"}"#]
        );
        call.text(r#"{"command":"DANCE"}"#);
        assert!(call.told().is_empty());
        call.text(r#"{"command":"ANSWER"}"#);
        assert!(call.told().is_empty());
        assert_eq!(call.node.stream_stats().unknown_type, 1);
    }
}

#[test]
fn the_filter_between_rates_is_the_one_that_was_measured() {
    // What `purity` accepts is what a conversion in one piece gives.
    let sound = resample(&sine(24_000, 440.0, 500), 24_000, 8_000).unwrap();
    assert!(purity(&sound[800..3_200], 8_000.0, 440.0) > 0.99);
}
