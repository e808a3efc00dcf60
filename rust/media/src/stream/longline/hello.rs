//! `hello`: what the application wants. What cannot be read is said in words.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Encoding;
use crate::stream::barge_in::DECIDE_MS;
use crate::stream::dialect::{Hello, Resume, Wish};

/// The bounds of `progress_ms`, when it is not zero.
const PROGRESS_MS: std::ops::RangeInclusive<u32> = 20..=10_000;
const DEFAULT_PROGRESS_MS: u32 = 200;
const DEFAULT_DECIDE_MS: u32 = 2_000;
const DEFAULT_LIVE_MS: u32 = 200;

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    audio: Option<Audio<'a>>,
    #[serde(default)]
    tracks: Option<Vec<u8>>,
    #[serde(default)]
    progress_ms: Option<u32>,
    #[serde(default)]
    speech: Option<bool>,
    #[serde(borrow, default)]
    barge_in: Option<BargeIn<'a>>,
    #[serde(default)]
    queue_limit_ms: Option<u32>,
    #[serde(default)]
    live: Option<bool>,
    #[serde(default)]
    live_ms: Option<u32>,
    #[serde(default)]
    generations: Option<bool>,
    #[serde(borrow, default)]
    resume: Option<ResumeFields<'a>>,
}

#[derive(Deserialize)]
struct Audio<'a> {
    #[serde(borrow, default)]
    encoding: Option<Cow<'a, str>>,
    #[serde(default)]
    rate_hz: Option<u32>,
    #[serde(default)]
    frame_ms: Option<u32>,
    #[serde(borrow, default)]
    mode: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct BargeIn<'a> {
    #[serde(borrow)]
    mode: Cow<'a, str>,
    #[serde(default)]
    decide_ms: Option<u32>,
}

#[derive(Deserialize)]
struct ResumeFields<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(default)]
    received: BTreeMap<u8, i64>,
    #[serde(default)]
    event: Option<i64>,
}

impl Audio<'_> {
    fn wish(self) -> Result<Wish, &'static str> {
        let encoding = self.encoding.map(|name| Encoding::named(&name));
        let encoding = encoding.map(|known| known.ok_or("encoding is none that there is"));
        let is_text = self.mode.map(|mode| match mode.as_ref() {
            "binary" => Ok(false),
            "json" => Ok(true),
            _ => Err("mode is neither binary nor json"),
        });
        Ok(Wish {
            encoding: encoding.transpose()?,
            rate_hz: self.rate_hz,
            frame_ms: self.frame_ms,
            is_text: is_text.transpose()?,
        })
    }
}

/// Reads it.
pub(super) fn read(text: &str) -> Result<Box<Hello>, &'static str> {
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|_| "a field of hello has another type than it may have")?;
    let progress_ms = fields.progress_ms.unwrap_or(DEFAULT_PROGRESS_MS);
    if progress_ms != 0 && !PROGRESS_MS.contains(&progress_ms) {
        return Err("progress_ms is 0, or 20 to 10000");
    }
    let decide_ms = match fields.barge_in {
        None => None,
        Some(BargeIn { mode, .. }) if mode != "local" => return Err("the mode of barge_in is local"),
        Some(BargeIn { decide_ms, .. }) => Some(decide_ms.unwrap_or(DEFAULT_DECIDE_MS)),
    };
    if decide_ms.is_some_and(|millis| !DECIDE_MS.contains(&millis)) {
        return Err("decide_ms is 100 to 10000");
    }
    let live_ms = fields.live_ms.unwrap_or(DEFAULT_LIVE_MS);
    if live_ms == 0 || fields.queue_limit_ms == Some(0) {
        return Err("live_ms and queue_limit_ms are more than 0");
    }
    let resume = fields.resume.map(|resume| Resume {
        token: resume.token.into_owned(),
        received: resume.received.into_iter().collect(),
        event: resume.event,
    });
    Ok(Box::new(Hello {
        audio: fields.audio.map_or(Ok(Wish::default()), Audio::wish)?,
        tracks: fields.tracks,
        progress_ms,
        speech: fields.speech.unwrap_or(false),
        decide_ms,
        queue_limit_ms: fields.queue_limit_ms,
        live_ms: fields.live.unwrap_or(false).then_some(live_ms),
        generations: fields.generations.unwrap_or(false),
        resume,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_hello_has_the_defaults() {
        let hello = read("{}").unwrap();
        assert_eq!(
            (hello.progress_ms, hello.speech, hello.decide_ms, hello.live_ms),
            (200, false, None, None)
        );
        assert_eq!(
            (hello.tracks, hello.resume, hello.audio),
            (None, None, Wish::default())
        );
    }

    #[test]
    fn what_cannot_be_is_said_in_words() {
        for (text, words) in [
            (r#"{"progress_ms":19}"#, "progress_ms"),
            (r#"{"progress_ms":-1}"#, "another type"),
            (r#"{"barge_in":{"mode":"remote"}}"#, "barge_in"),
            (r#"{"barge_in":{"mode":"local","decide_ms":99}}"#, "decide_ms"),
            (r#"{"audio":{"encoding":"mp3"}}"#, "encoding"),
            (r#"{"audio":{"mode":"xml"}}"#, "mode"),
            (r#"{"live":true,"live_ms":0}"#, "live_ms"),
            (r#"{"tracks":[256]}"#, "another type"),
            (r#"{"resume":{}}"#, "another type"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }

    #[test]
    fn what_was_received_of_a_track_is_a_number() {
        let hello = read(r#"{"resume":{"token":"t","received":{"0":7,"1":-1,"2":4294967295}}}"#).unwrap();
        let resume = hello.resume.unwrap();
        assert_eq!(resume.token, "t");
        assert_eq!(resume.received, [(0, 7), (1, -1), (2, i64::from(u32::MAX))]);
    }
}
