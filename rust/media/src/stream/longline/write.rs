//! What an application is told.

use super::header::{GAP, Header, REPLAY};
use super::{FRAMES_MS, Longline, PROTOCOL};
use crate::Form;
use crate::config::{Dialect, Encoding, Format, StreamParams};
use crate::event::RefusedMessage;
use crate::playout::ChunkId;
use crate::stream::dialect::{self, Answer, AudioFormat, Playback, Ready, Speech, Tell, Utterance};
use crate::stream::ears::Chunk;
use crate::stream::json::Object;
use crate::tracks::Party;

fn id(utterance: &Option<ChunkId>) -> &str {
    utterance.as_ref().map_or("null", ChunkId::as_json)
}

fn message<'a>(kind: &str, out: &'a mut Vec<u8>) -> Object<'a> {
    Object::new(out).text("type", kind)
}

/// `audio` of `start` and `ready`.
fn audio_format(audio: &AudioFormat, object: Object<'_>) {
    object
        .text("encoding", audio.format.encoding.as_str())
        .number("rate_hz", u64::from(audio.format.rate_hz))
        .number("frame_ms", u64::from(audio.frame_ms))
        .text("mode", if audio.is_text { "json" } else { "binary" })
        .end();
}

/// The sequence that was received, −1 for none.
fn received(last: Option<u32>) -> i64 {
    last.map_or(-1, i64::from)
}

fn start(params: &StreamParams, epoch: u32, parties: &[Party], out: &mut Vec<u8>) {
    let audio = AudioFormat {
        format: Format {
            encoding: params.encoding,
            rate_hz: params.rate_hz,
        },
        frame_ms: params.chunk_ms,
        is_text: false,
    };
    let carried = dialect::entry(Dialect::Longline).output;
    let encodings = Encoding::ALL
        .into_iter()
        .filter(|encoding| carried.iter().any(|format| format.encoding == *encoding));
    let rates = [8_000, 16_000, 24_000, 48_000];
    let start = &params.start;
    let direction = if start.is_inbound { "inbound" } else { "outbound" };
    let metadata = if params.metadata.is_empty() {
        "{}"
    } else {
        &params.metadata
    };
    let start_message = message("start", out)
        .text("protocol", PROTOCOL)
        .text("account_id", &params.account_id)
        .text("call_app_id", &params.call_app_id)
        .text("call_id", &params.call_id)
        .text("stream_id", &params.stream_id)
        .text("from", &start.from)
        .text("to", &start.to)
        .text("direction", direction)
        .raw("metadata", metadata)
        .number("epoch", u64::from(epoch))
        .object("audio", |object| audio_format(&audio, object))
        .object("offers", |object| {
            object
                .all("encodings", encodings, |encoding, out| {
                    out.push(b'"');
                    out.extend_from_slice(encoding.as_str().as_bytes());
                    out.push(b'"');
                })
                .numbers("rates_hz", rates)
                .numbers("frame_ms", FRAMES_MS.map(u64::from))
                .raw("modes", r#"["binary","json"]"#)
                .end();
        })
        .all(
            "tracks",
            parties.iter().filter(|party| party.track != 0),
            |party, out| {
                self::party(party, Object::new(out)).end();
            },
        )
        .number("queue_limit_ms", u64::from(params.queue_limit_ms));
    match params.resume.as_ref().filter(|resume| resume.window_ms > 0) {
        None => start_message.raw("resume", "null"),
        Some(resume) => start_message.object("resume", |object| {
            let object = object
                .text("token", resume.key.token(epoch).as_str())
                .number("window_ms", u64::from(resume.window_ms))
                .number("ring_ms", u64::from(resume.ring_ms));
            match &resume.url {
                Some(url) => object.text("url", url),
                None => object.raw("url", "null"),
            }
            .end();
        }),
    }
    .end();
}

fn party<'a>(party: &Party, object: Object<'a>) -> Object<'a> {
    object
        .number("track", u64::from(party.track))
        .text("leg_id", &party.label.leg_id)
        .text("role", &party.label.role)
}

fn ready(ready: &Ready, out: &mut Vec<u8>) {
    message("ready", out)
        .object("audio", |object| audio_format(&ready.audio, object))
        .numbers("tracks", ready.tracks.iter().map(u64::from))
        .signed("received", received(ready.received))
        .number("generation", u64::from(ready.generation))
        .truth("resumed", ready.resumed)
        .end();
}

fn playback(utterance: &Option<ChunkId>, track: u8, playback: &Playback, out: &mut Vec<u8>) {
    let of = |object: Object<'_>| {
        let object = object
            .raw("utterance_id", id(utterance))
            .number("track", u64::from(track));
        match *playback {
            Playback::Started { at, waited_ms } => object.number("at", at).number("waited_ms", waited_ms),
            Playback::Progress { played_ms, queued_ms } => object
                .number("played_ms", played_ms)
                .number("queued_ms", queued_ms),
            Playback::Finished { played_ms, outcome } => object
                .number("played_ms", played_ms)
                .text("outcome", outcome.as_str()),
        }
        .end();
    };
    of(match playback {
        Playback::Started { .. } => message("playback.started", out),
        Playback::Progress { .. } => message("playback.progress", out),
        Playback::Finished { .. } => message("playback.finished", out),
    });
}

/// Names of marks and utterances in one `cleared`, in bytes: the rest is told by messages of its own alone.
const MAX_CLEARED_BYTES: usize = 32 << 10;

fn marks(names: &[Box<str>]) -> impl Iterator<Item = &str> {
    let mut bytes = 0;
    names.iter().map(|name| &**name).take_while(move |name| {
        bytes += name.len() + 1;
        bytes <= MAX_CLEARED_BYTES
    })
}

fn utterance(utterance: &Utterance, out: &mut Vec<u8>) {
    Object::new(out)
        .raw("utterance_id", id(&utterance.id))
        .number("played_ms", utterance.played_ms)
        .number("dropped_ms", utterance.dropped_ms)
        .end();
}

/// The code and words of `error`; a type that we do not know is ignored without a word.
fn words(reason: RefusedMessage) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        RefusedMessage::UnknownType => return None,
        RefusedMessage::MalformedJson => (BAD_MESSAGE, "not a JSON object, or nested too deep"),
        RefusedMessage::MalformedBase64 => (BAD_MESSAGE, "the audio is not base64"),
        RefusedMessage::MalformedAudio => (BAD_MESSAGE, "the audio is no packet of its encoding"),
        RefusedMessage::MissingField => (BAD_MESSAGE, "a field is missing, or is not what it may be"),
        RefusedMessage::Binary => (BAD_MESSAGE, "audio is text on this stream"),
        RefusedMessage::BadHeader => (BAD_MESSAGE, "the header of binary audio is wrong"),
        RefusedMessage::LimitReached => ("limit_reached", "too long, or too many"),
        RefusedMessage::NotAllowed => ("not_allowed", "not on this stream, or not now"),
        RefusedMessage::TooLong => (BAD_MESSAGE, "longer than 64 KiB"),
        RefusedMessage::OtherStream => (BAD_MESSAGE, "of another stream"),
        RefusedMessage::WrongFormat => (BAD_MESSAGE, "of another format"),
        RefusedMessage::UnknownTrack => ("unknown_track", "there is no such track"),
    })
}

const BAD_MESSAGE: &str = "bad_message";

fn error_message(code: &str, text: &str, out: &mut Vec<u8>) {
    message("error", out)
        .text("code", code)
        .text("message", text)
        .end();
}

/// Appends the message that tells this.
pub(super) fn write(tell: &Tell<'_>, wire: &Longline, out: &mut Vec<u8>) -> Option<Form> {
    match *tell {
        Tell::Start(params, parties) => start(params, wire.epoch, parties, out),
        Tell::Ready(ref told) => ready(told, out),
        Tell::Audio(ref chunk) => return Some(audio(chunk, wire.is_text, out)),
        Tell::TrackAdded(who) => party(who, message("track.added", out)).end(),
        Tell::TrackRemoved(who) => message("track.removed", out)
            .number("track", u64::from(who.track))
            .end(),
        Tell::Gap { track, from, to } => message("gap", out)
            .number("track", u64::from(track))
            .number("from", u64::from(from))
            .number("to", u64::from(to))
            .end(),
        Tell::Tracks(tracks) => message("tracks", out)
            .numbers("tracks", tracks.iter().map(u64::from))
            .end(),
        Tell::Digit {
            digit,
            duration_ms,
            track,
            at,
        } => message("dtmf", out)
            .number("track", u64::from(track))
            .text("digit", digit.encode_utf8(&mut [0; 4]))
            .number("duration_ms", u64::from(duration_ms))
            .number("at", at)
            .end(),
        Tell::DigitSent { digit, left } => message("dtmf.sent", out)
            .text("digit", digit.encode_utf8(&mut [0; 4]))
            .number("left", left as u64)
            .end(),
        Tell::Mark { name, outcome } => message("mark", out)
            .raw("name", name)
            .text("outcome", outcome.as_str())
            .end(),
        Tell::Cleared {
            played_ms,
            dropped_ms,
            by,
            generation,
            marks: names,
            utterances,
        } => message("cleared", out)
            .number("generation", u64::from(generation))
            .number("played_ms", played_ms)
            .number("dropped_ms", dropped_ms)
            .all("marks", marks(names), |name, out| {
                out.extend_from_slice(name.as_bytes());
            })
            .all(
                "utterances",
                utterances.iter().take(MAX_CLEARED_UTTERANCES),
                utterance,
            )
            .text("by", by.as_str())
            .end(),
        Tell::Playback {
            ref id,
            track,
            playback: ref told,
        } => playback(id, track, told, out),
        Tell::Received(number) => message("ack", out).number("received", u64::from(number)).end(),
        Tell::Paused {
            played_ms,
            queued_ms,
            by,
        } => message("paused", out)
            .number("played_ms", played_ms)
            .number("queued_ms", queued_ms)
            .text("by", by.as_str())
            .end(),
        Tell::Resumed { by } => message("resumed", out).text("by", by.as_str()).end(),
        Tell::Speech {
            track,
            at,
            speech: Speech::Started { level_db, paused },
        } => message("speech.started", out)
            .number("track", u64::from(track))
            .number("at", at)
            .signed("level_db", i64::from(level_db))
            .truth("paused", paused)
            .end(),
        Tell::Speech {
            track,
            at,
            speech: Speech::Stopped { duration_ms },
        } => message("speech.stopped", out)
            .number("track", u64::from(track))
            .number("at", at)
            .number("duration_ms", u64::from(duration_ms))
            .end(),
        Tell::Queue {
            level,
            queued_ms,
            dropped_ms,
        } => message("queue", out)
            .text("state", level.as_str())
            .number("queued_ms", queued_ms)
            .number_if("dropped_ms", dropped_ms)
            .end(),
        Tell::Drained => message("queue", out)
            .text("state", "drained")
            .number("queued_ms", 0)
            .end(),
        Tell::Clock { unix_ms, at, rtt_ms } => message("clock", out)
            .number("at", unix_ms)
            .number("samples", at)
            .number_if("rtt_ms", rtt_ms)
            .end(),
        Tell::Ping { id, unix_ms } => message("ping", out)
            .number("id", u64::from(id))
            .number("at", unix_ms)
            .end(),
        Tell::Pong { id, at, unix_ms } => {
            let pong = message("pong", out).raw("id", id);
            let pong = match at {
                Some(at) => pong.raw("at", at),
                None => pong,
            };
            pong.number("server_at", unix_ms).end();
        }
        Tell::Answer(Answer {
            request_id: None,
            error,
            ..
        }) => {
            let (code, text) = error?;
            error_message(code, text, out);
        }
        Tell::Answer(Answer {
            request_id: Some(request_id),
            error,
            fields,
        }) => {
            let result = message("result", out)
                .raw("request_id", request_id)
                .truth("ok", error.is_none());
            match error {
                Some((code, text)) => result.object("error", |object| {
                    object.text("code", code).text("message", text).end();
                }),
                None => result,
            }
            .members(fields)
            .end();
        }
        Tell::Refused(reason) => {
            let (code, text) = words(reason)?;
            error_message(code, text, out);
        }
        Tell::NotAgreed(why) => error_message(BAD_MESSAGE, why, out),
        Tell::Stop => message("stop", out).text("reason", "closed").end(),
        _ => return None,
    }
    Some(Form::Text)
}

/// Utterances in one `cleared`: as many as fit.
const MAX_CLEARED_UTTERANCES: usize = 200;

/// Appends audio behind its header, or in JSON with the fields of it.
fn audio(chunk: &Chunk<'_>, is_text: bool, out: &mut Vec<u8>) -> Form {
    let header = Header {
        track: chunk.track,
        flags: if chunk.is_replay { REPLAY } else { 0 } | if chunk.is_after_gap { GAP } else { 0 },
        sequence: chunk.sequence,
        timestamp: chunk.timestamp,
    };
    if is_text {
        message("audio", out)
            .number("track", u64::from(header.track))
            .number("flags", u64::from(header.flags))
            .number("sequence", u64::from(header.sequence))
            .number("timestamp", header.timestamp)
            .base64("audio", chunk.encoded)
            .end();
        return Form::Text;
    }
    header.write(out);
    out.extend_from_slice(chunk.encoded);
    Form::Binary
}
