//! What all dialects have in common: what a stream tells, what it is asked, and the table of the dialects.
//!
//! A dialect is a codec and nothing else ([`WireFormat`]): it turns what is told into messages, and messages into what is
//! asked. It does not resample, queue, hang up or retry. What a dialect has no message for is not written, and that is all.

use std::borrow::Cow;

use super::ears::{Chunk, Together};
use super::{asterisk, binary, exotel, jambonz, plivo, teler, telnyx, twilio, vonage};
use crate::Form;
use crate::config::{Dialect, Encoding, Format, StreamParams};
use crate::event::RefusedMessage;
use crate::playout::{ChunkId, MarkOutcome};
use crate::time::FRAME_MS;
use crate::tracks::{Party, SAID, TrackSet};

/// What a stream tells its application.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Tell<'a> {
    /// The socket is there.
    Connected,
    /// Which connection of the stream this is, from 1; told before its `Start`.
    Epoch(u32),
    /// What the stream is, and who is there.
    Start(&'a StreamParams, &'a [Party]),
    /// One chunk of what was heard.
    Audio(Chunk<'a>),
    /// Chunks of a track that will never be sent.
    Gap {
        /// Of which.
        track: u8,
        /// The sequence of the first.
        from: u32,
        /// The sequence of the last.
        to: u32,
    },
    /// One more party has a track.
    TrackAdded(&'a Party),
    /// A party has left.
    TrackRemoved(&'a Party),
    /// These are heard now, each in messages of its own.
    Tracks(TrackSet),
    /// What the application asked for was not done.
    Refused(RefusedMessage),
    /// The caller pressed a key.
    Digit {
        /// `0`..`9`, `*`, `#`, `A`..`D`.
        digit: char,
        /// How long.
        duration_ms: u32,
    },
    /// A mark was reached.
    Mark {
        /// Raw JSON, as it came.
        name: &'a str,
        /// How.
        outcome: MarkOutcome,
    },
    /// The queue was cleared, and its marks have been answered.
    Cleared {
        /// How much of the talkspurt was heard.
        played_ms: u64,
        /// How much never will be.
        dropped_ms: u64,
    },
    /// All that was queued was played.
    Drained,
    /// The answer to [`Message::AskEmpty`].
    Empty,
    /// Nine tenths of what may wait do.
    QueueHigh,
    /// It was high, and eight tenths wait, or less.
    QueueLow,
    /// The answer to [`Message::AskStatus`].
    Status {
        /// How much waits.
        queued_ms: u64,
        /// It is high.
        is_high: bool,
        /// Nothing is played.
        is_paused: bool,
    },
    /// The stream is over.
    Stop,
}

/// What an application asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Queue audio as a chunk of this name.
    Audio(Audio<'a>, Option<ChunkId>),
    /// Queue audio that one party alone is to hear; 0: all.
    AudioTo(u8, Audio<'a>),
    /// Hear these tracks too.
    Subscribe(TrackSet),
    /// Do not hear these any more.
    Unsubscribe(TrackSet),
    /// Drop one chunk, queued or playing. `None`: its name is longer than any that is kept.
    Interrupt(Option<ChunkId>),
    /// Drop everything.
    Clear,
    /// Say when all that is queued now has been played. The name is raw JSON, given back as it came.
    Mark(&'a str),
    /// Queue a sound that has a format of its own.
    Play(Play<'a>),
    /// Answer every mark that waits as if what is before it had been cleared, and clear nothing.
    ClearMarks,
    /// Play nothing until [`Message::Resume`], and lose nothing.
    Pause,
    /// Go on.
    Resume,
    /// Tell [`Tell::Status`].
    AskStatus,
    /// Tell [`Tell::Empty`] once, at the next frame for which there is nothing.
    AskEmpty,
    /// Understood, and there is nothing to do.
    Nothing,
}

/// A sound in a format of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play<'a> {
    /// The sound.
    pub audio: Audio<'a>,
    /// What it is; `None`: a WAV file, which says so itself.
    pub format: Option<Format>,
    /// Drop everything before it.
    pub replace: bool,
    /// A mark behind it: raw JSON, given back as it came.
    pub done: Option<&'a str>,
}

/// Samples in the encoding of what comes from the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audio<'a> {
    /// Still in base64.
    Base64(Cow<'a, str>),
    /// As they are.
    Raw(&'a [u8]),
    /// As they are, with the rest of the message before.
    Joined(Vec<u8>),
}

/// The two ways of a wire format, for one stream. In steady state neither allocates.
pub trait WireFormat: Send {
    /// Appends the message that tells this, and says in which form it travels; `None`: the dialect has no such message,
    /// and nothing was written.
    fn write(&mut self, tell: &Tell<'_>, out: &mut Vec<u8>) -> Option<Form>;

    /// Reads one message.
    fn read<'a>(&mut self, form: Form, message: &'a [u8]) -> Result<Message<'a>, RefusedMessage>;

    /// What another process needs to go on.
    fn numbers(&self) -> [u64; 2];

    /// Goes on with these numbers.
    fn resume(&mut self, numbers: [u64; 2]);
}

/// Which tracks a dialect has words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracks {
    /// One, or several summed.
    One,
    /// As [`Tracks::One`], or two as left and right.
    Stereo,
    /// As [`Tracks::One`], or one of what is said and one of what somebody is sent, each in messages of its own.
    BothWays,
    /// Any, each in messages of its own.
    All,
}

impl Tracks {
    /// These can be carried together in this way.
    pub fn carry(self, tracks: &[u8], together: Together) -> bool {
        match (self, together) {
            (Tracks::All, Together::Apart) => !tracks.is_empty(),
            (Tracks::BothWays, Together::Apart) => {
                matches!(*tracks, [_]) || matches!(*tracks, [one, other] if is_sent(one) != is_sent(other))
            }
            (_, Together::Apart) => matches!(tracks, [_]),
            (Tracks::Stereo, Together::Stereo) => matches!(tracks, [_, _]),
            (_, Together::Stereo) => false,
            (tracked, Together::Mixed) => tracked != Tracks::All && !tracks.is_empty(),
        }
    }
}

/// A track of what somebody is sent, or of what is said to all: outbound, as dialects with two tracks call it.
pub const fn is_sent(track: u8) -> bool {
    track >= SAID
}

/// One dialect.
pub struct Entry {
    /// Which.
    pub dialect: Dialect,
    /// What the control protocol calls it.
    pub name: &'static str,
    /// What it can carry to the application.
    pub output: &'static [Format],
    /// What it can carry from it.
    pub input: &'static [Format],
    /// What it says to a format that it cannot carry.
    pub formats: &'static str,
    /// Which tracks it can carry.
    pub tracks: Tracks,
    /// Most that may wait of what the application says, if that is less than elsewhere.
    pub queue_ms: Option<u32>,
    /// Makes its codec for one stream.
    pub make: fn(&StreamParams) -> Box<dyn WireFormat>,
}

const fn pcm(rate_hz: u32) -> Format {
    let encoding = Encoding::PcmS16le;
    Format { encoding, rate_hz }
}

const fn mu_law(rate_hz: u32) -> Format {
    let encoding = Encoding::MuLaw;
    Format { encoding, rate_hz }
}

const fn a_law(rate_hz: u32) -> Format {
    let encoding = Encoding::ALaw;
    Format { encoding, rate_hz }
}

const fn pcm_be(rate_hz: u32) -> Format {
    let encoding = Encoding::PcmS16be;
    Format { encoding, rate_hz }
}

const EVERY_LINEAR: &[Format] = &[pcm(8_000), pcm(16_000), pcm(24_000), pcm(48_000)];

const LINEAR_TO_24: &[Format] = &[pcm(8_000), pcm(16_000), pcm(24_000)];

/// Both byte orders: clients disagree on L16.
const TELNYX: &[Format] = &[
    mu_law(8_000),
    a_law(8_000),
    pcm(8_000),
    pcm(16_000),
    pcm(24_000),
    pcm(48_000),
    pcm_be(8_000),
    pcm_be(16_000),
    pcm_be(24_000),
    pcm_be(48_000),
];

const PLIVO: &[Format] = &[mu_law(8_000), pcm(8_000), pcm(16_000), pcm(24_000)];

const ASTERISK: &[Format] = &[
    mu_law(8_000),
    a_law(8_000),
    pcm(8_000),
    pcm(16_000),
    pcm(24_000),
    pcm(48_000),
];

const EVERY_RATE: &[Format] = &[
    pcm(8_000),
    pcm(16_000),
    pcm(24_000),
    pcm(48_000),
    mu_law(8_000),
    mu_law(16_000),
    mu_law(24_000),
    mu_law(48_000),
];

/// All dialects, each at the place of its number.
pub static TABLE: &[Entry] = &[
    Entry {
        dialect: Dialect::Teler,
        name: "teler",
        output: &[pcm(8_000), pcm(16_000)],
        input: &[pcm(8_000)],
        formats: "teler carries pcm_s16le with a rate_hz of 8000 or 16000, and of 8000 from the application",
        tracks: Tracks::One,
        queue_ms: None,
        make: |params| Box::new(teler::Teler::new(params)),
    },
    Entry {
        dialect: Dialect::Twilio,
        name: "twilio",
        output: &[mu_law(8_000)],
        input: &[mu_law(8_000)],
        formats: "twilio carries mulaw with a rate_hz of 8000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(twilio::Twilio::new(params)),
    },
    Entry {
        dialect: Dialect::Binary,
        name: "binary",
        output: EVERY_RATE,
        input: EVERY_RATE,
        formats: "binary carries pcm_s16le or mulaw with a rate_hz of 8000, 16000, 24000 or 48000",
        tracks: Tracks::All,
        queue_ms: None,
        make: |_| Box::new(binary::Binary),
    },
    Entry {
        dialect: Dialect::Telnyx,
        name: "telnyx",
        output: TELNYX,
        input: TELNYX,
        formats: "telnyx carries mulaw or alaw with a rate_hz of 8000, pcm_s16le or pcm_s16be of 8000, 16000, 24000 or 48000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(telnyx::Telnyx::new(params)),
    },
    Entry {
        dialect: Dialect::Plivo,
        name: "plivo",
        output: PLIVO,
        input: PLIVO,
        formats: "plivo carries mulaw with a rate_hz of 8000, or pcm_s16le of 8000, 16000 or 24000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(plivo::Plivo::new(params)),
    },
    Entry {
        dialect: Dialect::Vonage,
        name: "vonage",
        output: LINEAR_TO_24,
        input: LINEAR_TO_24,
        formats: "vonage carries pcm_s16le with a rate_hz of 8000, 16000 or 24000",
        tracks: Tracks::One,
        queue_ms: None,
        make: |_| Box::new(vonage::Vonage),
    },
    Entry {
        dialect: Dialect::Exotel,
        name: "exotel",
        output: LINEAR_TO_24,
        input: LINEAR_TO_24,
        formats: "exotel carries pcm_s16le with a rate_hz of 8000, 16000 or 24000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(exotel::Exotel::new(params)),
    },
    Entry {
        dialect: Dialect::Asterisk,
        name: "asterisk",
        output: ASTERISK,
        input: ASTERISK,
        formats: "asterisk carries mulaw or alaw with a rate_hz of 8000, or pcm_s16le of 8000, 16000, 24000 or 48000",
        tracks: Tracks::One,
        queue_ms: Some(asterisk::MAX_QUEUED_FRAMES * FRAME_MS),
        make: |params| Box::new(asterisk::Asterisk::new(params)),
    },
    Entry {
        dialect: Dialect::Jambonz,
        name: "jambonz",
        output: EVERY_LINEAR,
        input: EVERY_LINEAR,
        formats: "jambonz carries pcm_s16le with a rate_hz of 8000, 16000, 24000 or 48000",
        tracks: Tracks::Stereo,
        queue_ms: None,
        make: |params| Box::new(jambonz::Jambonz::new(params)),
    },
];

/// The entry of a dialect.
pub fn entry(dialect: Dialect) -> &'static Entry {
    &TABLE[dialect as usize]
}

impl Dialect {
    /// Its application says `hello` on each connection, and its messages have numbers: what one connection lost goes over
    /// the next ([`Uplink`](super::uplink::Uplink)). Streams of other dialects that are dialled again begin anew.
    pub const fn greets(self) -> bool {
        false
    }
}

impl Entry {
    /// The format of audio from the application; `None` when the dialect cannot carry what is asked for, one way or the
    /// other.
    pub fn input_of(&self, params: &StreamParams) -> Option<Format> {
        let output = Format {
            encoding: params.encoding,
            rate_hz: params.rate_hz,
        };
        if !self.output.contains(&output) {
            return None;
        }
        match params.input {
            Some(input) => self.input.contains(&input).then_some(input),
            None if self.input.contains(&output) => Some(output),
            None => self.input.first().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_stands_at_the_place_of_its_number_and_has_a_name_of_its_own() {
        for (at, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.dialect as usize, at);
            assert_eq!(Dialect::named(entry.name), Some(entry.dialect));
        }
        assert_eq!(Dialect::named("morse"), None);
    }
}
