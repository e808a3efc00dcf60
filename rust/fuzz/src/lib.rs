//! What is fuzzed: a function for each parser that reads bytes of strangers, and one that drives a whole engine.
//!
//! A target takes any bytes and panics when something that must hold does not: beside "no panic" each states what its
//! parser promises. `make fuzz TARGET=rtp SECONDS=60` runs one under libFuzzer (`libfuzzer/`, a workspace of its own);
//! `cargo test` replays the corpus, so that what was found stays found.

mod conversation;
mod demux;
mod dialects;
mod engine;
mod input;
mod ogg;
mod payload;
mod rtcp;
mod rtp;
mod srtp;
mod telephone_event;
mod wav;
mod websocket;

type Target = fn(&[u8]);

const TARGETS: &[(&str, Target)] = &[
    ("conversation", conversation::run),
    ("demux", demux::run),
    ("dialects", dialects::run),
    ("engine", engine::run),
    ("ogg", ogg::run),
    ("payload", payload::run),
    ("rtcp", rtcp::run),
    ("rtp", rtp::run),
    ("srtp", srtp::run),
    ("telephone_event", telephone_event::run),
    ("wav", wav::run),
    ("websocket", websocket::run),
];

/// The target of this name.
pub fn find(name: &str) -> Option<fn(&[u8])> {
    TARGETS
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, target)| *target)
}

/// The names of all targets.
pub fn names() -> Vec<&'static str> {
    TARGETS.iter().map(|(name, _)| *name).collect()
}
