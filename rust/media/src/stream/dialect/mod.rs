//! What all dialects have in common: what a stream tells ([`Tell`]), what it is asked ([`Message`]), and the table of the
//! dialects ([`TABLE`]).
//!
//! A dialect is a codec and nothing else ([`WireFormat`]): it turns what is told into messages, and messages into what is
//! asked. It does not resample, queue, hang up or retry. What a dialect has no message for is not written, and that is all.

mod tell;

use std::borrow::Cow;

use super::ears::Together;
use super::{asterisk, exotel, jambonz, longline, plivo, teler, telnyx, twilio, vonage};
use crate::Form;
use crate::config::{Dialect, Encoding, Format, StreamParams};
use crate::event::RefusedMessage;
use crate::playout::ChunkId;
use crate::time::FRAME_MS;
use crate::tracks::{SAID, TrackSet};
pub use tell::{Answer, AudioFormat, Level, Playback, Ready, Speech, Tell, Utterance};

/// What an application wants, before anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// How audio is to travel.
    pub audio: Wish,
    /// What to hear; `None`: as the stream was opened.
    pub tracks: Option<Vec<u8>>,
    /// How often to tell what has been played; 0: never.
    pub progress_ms: u32,
    /// Tell voices.
    pub speech: bool,
    /// Pause speech when a party begins to talk, and wait so long for a word.
    pub decide_ms: Option<u32>,
    /// At most so much may wait.
    pub queue_limit_ms: Option<u32>,
    /// The application is a live sender, with so much backlog at most.
    pub live_ms: Option<u32>,
    /// Its audio carries generations.
    pub generations: bool,
    /// It knows the stream.
    pub resume: Option<Resume>,
}

/// What is wanted of a format; the rest stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How each sample is written.
    pub encoding: Option<Encoding>,
    /// Samples in a second.
    pub rate_hz: Option<u32>,
    /// Sound of a message.
    pub frame_ms: Option<u32>,
    /// As text.
    pub is_text: Option<bool>,
}

/// What an application has of a stream that it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Of the last `start`.
    pub token: String,
    /// The last sequence of each track; a negative one: none.
    pub received: Vec<(u8, i64)>,
    /// The last event; a negative one: none.
    pub event: Option<i64>,
}

/// What control is asked to do with the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End it.
    Hangup,
    /// Connect it with somebody else.
    Transfer,
    /// Record it.
    StartRecording,
    /// Do not record it any more.
    StopRecording,
    /// Press keys.
    SendDigits,
}

impl Action {
    /// The word that the native dialect and the control protocol use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Hangup => "hangup",
            Action::Transfer => "transfer",
            Action::StartRecording => "record.start",
            Action::StopRecording => "record.stop",
            Action::SendDigits => "send_dtmf",
        }
    }
}

/// What stands around a message, in a dialect that has such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its number.
    pub number: Option<u32>,
    /// The generation of audio, modulo 256.
    pub generation: Option<u8>,
    /// Whom it concerns: 0 all parties, else one; `None`: it does not say.
    pub to: Option<u8>,
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
    /// What it wants, or why that cannot be read.
    Hello(Result<Box<Hello>, &'static str>),
    /// What follows is this utterance.
    Speak(ChunkId),
    /// The utterance is complete.
    SpeakEnd,
    /// Drop this utterance, queued or playing.
    InterruptUtterance(ChunkId),
    /// Control is asked for something.
    Request {
        /// What the application calls it, as raw JSON.
        id: Option<&'a str>,
        /// What is to be done.
        action: Action,
        /// A JSON object that has the particulars.
        fields: &'a str,
    },
    /// The stream is over.
    Stop,
    /// A ping, to be answered.
    Ping {
        /// Raw JSON.
        id: &'a str,
        /// Raw JSON.
        at: Option<&'a str>,
    },
    /// The answer to the ping of this number.
    Pong(u32),
}

impl Message<'_> {
    /// It changes what is heard, and is done once though it is said twice.
    pub fn is_numbered(&self) -> bool {
        match self {
            Message::Request { action, .. } => *action == Action::SendDigits,
            Message::Hello(_)
            | Message::Subscribe(_)
            | Message::Unsubscribe(_)
            | Message::Stop
            | Message::Ping { .. }
            | Message::Pong(_) => false,
            _ => true,
        }
    }

    /// A stream that only listens may say it too.
    pub fn is_for_listeners(&self) -> bool {
        !self.is_numbered() && !matches!(self, Message::Request { .. })
    }
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

    /// What stood around the message that was read last.
    fn about(&self) -> About {
        About::default()
    }

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

const TWILIO: &[Format] = &[mu_law(8_000), pcm(8_000), pcm(16_000), pcm(24_000)];

const PLIVO: &[Format] = &[mu_law(8_000), pcm(8_000), pcm(16_000), pcm(24_000)];

const ASTERISK: &[Format] = &[
    mu_law(8_000),
    a_law(8_000),
    pcm(8_000),
    pcm(16_000),
    pcm(24_000),
    pcm(48_000),
];

const LONGLINE: &[Format] = &[
    pcm(8_000),
    pcm(16_000),
    pcm(24_000),
    pcm(48_000),
    mu_law(8_000),
    a_law(8_000),
    Format {
        encoding: Encoding::Opus,
        rate_hz: 48_000,
    },
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
        output: TWILIO,
        input: TWILIO,
        formats: "twilio carries mulaw with a rate_hz of 8000, or pcm_s16le of 8000, 16000 or 24000",
        tracks: Tracks::BothWays,
        queue_ms: None,
        make: |params| Box::new(twilio::Twilio::new(params)),
    },
    Entry {
        dialect: Dialect::Longline,
        name: "longline",
        output: LONGLINE,
        input: LONGLINE,
        formats: "longline carries pcm_s16le with a rate_hz of 8000, 16000, 24000 or 48000, mulaw and alaw of 8000, and opus of 48000",
        tracks: Tracks::All,
        queue_ms: None,
        make: |_| Box::new(longline::Longline::default()),
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
        matches!(self, Dialect::Longline)
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
