//! A call in each dialect, message by message, both ways: `tests/golden/<dialect>.jsonl`.
//!
//! A line is what one party does, `ms` after the stream was opened. What the application and the caller do is done; what is
//! told to the application must be there byte by byte, and nothing else. `<160 bytes>` stands for the base64 of so many
//! bytes: of silence to the application, of a tone from it; media in binary messages is written as its length.
//! The page docs/reference/dialects.md shows the same lines.
//!
//! `GOLDEN=write` writes what was told in place of what stands there; look at the difference before you keep it.

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::*;
use media::stream::dialect;
use media::{
    Destination, Dialect, Direction, Encoding, Form, Format, Source, StreamKey, StreamParams, StreamStart,
    Time,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// One line.
#[derive(Deserialize)]
struct Line {
    ms: u64,
    /// Who does it: `application` (told to it), `from_application`, `caller`, `control`.
    #[serde(default)]
    to: String,
    #[serde(default)]
    from: String,
    message: Option<Box<RawValue>>,
    text: Option<String>,
    media: Option<String>,
    key: Option<u8>,
    #[serde(rename = "do")]
    command: Option<String>,
    open: Option<Open>,
}

/// How the stream is opened.
#[derive(Deserialize)]
struct Open {
    encoding: String,
    rate_hz: u32,
    #[serde(default)]
    input_encoding: Option<String>,
    #[serde(default)]
    input_rate_hz: Option<u32>,
    chunk_ms: u32,
    #[serde(default)]
    account_id: String,
    #[serde(default)]
    call_id: String,
    #[serde(default)]
    stream_id: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    parameters: Vec<(String, String)>,
    #[serde(default)]
    ids: Vec<(String, String)>,
}

fn encoding(name: &str) -> Encoding {
    Encoding::named(name).unwrap_or_else(|| panic!("no encoding {name}"))
}

impl Open {
    fn params(self, dialect: Dialect) -> StreamParams {
        let output = Format {
            encoding: encoding(&self.encoding),
            rate_hz: self.rate_hz,
        };
        let has_input = self.input_encoding.is_some() || self.input_rate_hz.is_some();
        StreamParams {
            dialect,
            encoding: output.encoding,
            rate_hz: output.rate_hz,
            input: has_input.then(|| Format {
                encoding: self.input_encoding.as_deref().map_or(output.encoding, encoding),
                rate_hz: self.input_rate_hz.unwrap_or(output.rate_hz),
            }),
            direction: Direction::Both,
            chunk_ms: self.chunk_ms,
            account_id: self.account_id,
            call_app_id: "app".into(),
            call_id: self.call_id,
            stream_id: self.stream_id,
            start: StreamStart {
                from: self.from,
                to: self.to,
                is_inbound: true,
                parameters: self.parameters,
                ids: self.ids,
            },
            metadata: String::new(),
            ..StreamParams::default()
        }
    }
}

/// A sample that is heard, in each encoding.
fn tone_bytes(encoding: Encoding, count: usize) -> Vec<u8> {
    match encoding.bytes_per_sample() {
        1 => vec![0x10; count],
        _ => [0x00, 0x10].into_iter().cycle().take(count).collect(),
    }
}

fn silence_bytes(encoding: Encoding, count: usize) -> Vec<u8> {
    let mut one = Vec::new();
    encoding.append(&[0], &mut one);
    one.into_iter().cycle().take(count).collect()
}

/// The text with each `<n bytes>` in it as base64.
fn filled(text: &str, bytes: impl Fn(usize) -> Vec<u8>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        filled.push_str(before);
        match after
            .split_once(" bytes>")
            .and_then(|(count, after)| Some((count.parse().ok()?, after)))
        {
            Some((count, after)) => {
                filled.push_str(&base64(&bytes(count)));
                rest = after;
            }
            None => {
                filled.push('<');
                rest = after;
            }
        }
    }
    filled + rest
}

fn count_of(media: &str) -> usize {
    media
        .trim_end_matches(" bytes")
        .parse()
        .expect("media is \"160 bytes\"")
}

/// A call and what was told to its application, as lines.
struct Replay {
    node: Node,
    phone: Phone,
    stream: StreamKey,
    started: Time,
    input: Encoding,
    told: Vec<String>,
}

impl Replay {
    fn open(params: StreamParams) -> Replay {
        let mut node = Node::connected();
        let input = params.input_format().encoding;
        let stream = node.engine.open_stream(node.now, node.session, params).unwrap();
        node.engine.stream_connected(node.now, stream).unwrap();
        let started = node.now;
        let mut replay = Replay {
            node,
            phone: Phone::new(),
            stream,
            started,
            input,
            told: Vec::new(),
        };
        replay.take();
        replay
    }

    /// What the engine has for the application becomes lines.
    fn take(&mut self) {
        let ms = (self.node.now.0 - self.started.0) / 1_000;
        while let Some(transmit) = self.node.engine.poll_transmit() {
            let Destination::Stream { form, .. } = transmit.to else {
                continue;
            };
            let what = match form {
                Form::Binary => format!(r#""media":"{} bytes""#, transmit.payload.len()),
                Form::Text => {
                    let text = String::from_utf8(transmit.payload.to_vec()).unwrap();
                    if text.starts_with('{') {
                        format!(r#""message":{text}"#)
                    } else {
                        format!(r#""text":"{text}""#)
                    }
                }
            };
            self.told
                .push(format!(r#"{{"ms":{ms},"to":"application",{what}}}"#));
        }
    }

    fn run_to_ms(&mut self, ms: u64) {
        let until = self.started.plus_millis(ms);
        while let Some(due) = self.node.engine.next_timeout().filter(|due| *due <= until) {
            self.node.now = self.node.now.max(due);
            self.node.engine.handle_timeout(self.node.now);
            self.take();
        }
        self.node.now = until;
    }

    fn act(&mut self, line: &Line) {
        if let Some(key) = line.key {
            let packet = self.phone.event(key, true, 800);
            let from = phone_rtp();
            let leg = self.node.leg;
            self.node
                .engine
                .receive(self.node.now, Source::Rtp { leg, from }, &packet);
        } else if line.command.is_some() {
            self.node.engine.close_stream(self.node.now, self.stream).unwrap();
        } else {
            let tone = |count| tone_bytes(self.input, count);
            let (source, bytes) = match (&line.message, &line.text, &line.media) {
                (Some(message), ..) => (
                    Source::Stream(self.stream),
                    filled(message.get(), tone).into_bytes(),
                ),
                (_, Some(text), _) => (Source::Stream(self.stream), text.clone().into_bytes()),
                (.., Some(media)) => (Source::StreamBinary(self.stream), tone(count_of(media))),
                _ => panic!("a line in which nothing is done"),
            };
            self.node.engine.receive(self.node.now, source, &bytes);
        }
        self.take();
    }
}

fn golden(dialect: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{dialect}.jsonl"))
}

/// The lines as they should be, given those that stand there.
fn replay(name: &str, transcript: &str) -> String {
    let dialect = Dialect::named(name).unwrap();
    let mut replay: Option<Replay> = None;
    let mut all = String::new();
    let mut lines: Vec<(&str, Line)> = transcript
        .lines()
        .map(|text| {
            (
                text,
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")),
            )
        })
        .collect();
    let end = lines.last().map_or(0, |(_, line)| line.ms);
    for (text, line) in &mut lines {
        if let Some(open) = line.open.take() {
            replay = Some(Replay::open(open.params(dialect)));
            writeln!(all, "{text}").unwrap();
            continue;
        }
        if line.to == "application" {
            continue;
        }
        let replay = replay.as_mut().expect("the first line opens the stream");
        replay.run_to_ms(line.ms);
        for told in replay.told.drain(..) {
            writeln!(all, "{told}").unwrap();
        }
        assert!(!line.from.is_empty() || line.command.is_some(), "{text}");
        writeln!(all, "{text}").unwrap();
        replay.act(line);
    }
    let mut replay = replay.expect("an empty transcript");
    replay.run_to_ms(end);
    for told in replay.told.drain(..) {
        writeln!(all, "{told}").unwrap();
    }
    all
}

/// As `filled`, line by line, in messages to the application alone.
fn with_silence(transcript: &str, output: Encoding) -> String {
    let lines = transcript.lines().map(|line| {
        if line.contains(r#""to":"application","message""#) {
            filled(line, |count| silence_bytes(output, count)) + "\n"
        } else {
            line.to_owned() + "\n"
        }
    });
    lines.collect()
}

/// The base64 of silence as `<n bytes>`.
fn shortened(transcript: &str, output: Encoding) -> String {
    let mut short = transcript.to_owned();
    for count in [160, 320, 640, 800, 1_600, 3_200] {
        let long = base64(&silence_bytes(output, count));
        short = short.replace(&format!("\"{long}\""), &format!("\"<{count} bytes>\""));
    }
    short
}

#[test]
fn every_dialect_says_what_its_transcript_says() {
    for entry in dialect::TABLE {
        let path = golden(entry.name);
        let Ok(expected) = std::fs::read_to_string(&path) else {
            assert!(
                ["binary", "longline"].contains(&entry.name),
                "{} has no transcript",
                entry.name
            );
            continue;
        };
        let first: Line = serde_json::from_str(expected.lines().next().unwrap()).unwrap();
        let output = encoding(&first.open.expect("the first line opens the stream").encoding);
        let found = replay(entry.name, &expected);
        if std::env::var("GOLDEN").is_ok_and(|value| value == "write") {
            std::fs::write(&path, shortened(&found, output)).unwrap();
            continue;
        }
        let expected = with_silence(&expected, output);
        for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "{} line {}", entry.name, number + 1);
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "{}", entry.name);
    }
}

#[test]
fn the_page_of_the_dialects_shows_lines_of_their_transcripts() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/dialects.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut shown = 0;
    for section in page.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap().to_lowercase();
        let transcript = std::fs::read_to_string(golden(&name)).unwrap();
        let mut lines = transcript.lines();
        for line in section.lines().filter(|line| line.starts_with("{\"ms\"")) {
            assert!(lines.any(|other| other == line), "{name}: {line}");
            shown += 1;
        }
    }
    assert!(shown > 60, "{shown} lines");
}
