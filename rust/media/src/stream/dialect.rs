//! What all dialects have in common: what a stream tells, what it is asked, and the table of the dialects.
//!
//! A dialect is a codec and nothing else ([`WireFormat`]): it turns what is told into messages, and messages into what is
//! asked. It does not resample, queue, hang up or retry. What a dialect has no message for is not written, and that is all.

use std::borrow::Cow;

use super::barge_in::By;
use super::ears::{Chunk, Together};
use super::{asterisk, exotel, jambonz, longline, plivo, teler, telnyx, twilio, vonage};
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
    /// What was agreed on.
    Ready(Ready),
    /// What the application asked for was not done.
    Refused(RefusedMessage),
    /// What the application wants cannot be, in words.
    NotAgreed(&'a str),
    /// A party pressed a key.
    Digit {
        /// `0`..`9`, `*`, `#`, `A`..`D`.
        digit: char,
        /// How long.
        duration_ms: u32,
        /// Which party.
        track: u8,
        /// When, as a position of the tracks.
        at: u64,
    },
    /// A key was pressed for the application.
    DigitSent {
        /// Which.
        digit: char,
        /// How many are still to come.
        left: usize,
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
        /// Whose will it was.
        by: By,
        /// Clears so far.
        generation: u32,
        /// The marks that were cleared, as raw JSON.
        marks: &'a [Box<str>],
        /// The utterances that were not over.
        utterances: &'a [Utterance],
    },
    /// What becomes of an utterance.
    Playback {
        /// Its name.
        id: Option<ChunkId>,
        /// Who hears it.
        track: u8,
        /// What.
        playback: Playback,
    },
    /// The last number of the application's messages that has come.
    Received(u32),
    /// Speech is held.
    Paused {
        /// How much of the utterance was heard.
        played_ms: u64,
        /// How much waits.
        queued_ms: u64,
        /// Whose will it was.
        by: By,
    },
    /// Speech goes on.
    Resumed {
        /// Whose will it was.
        by: By,
    },
    /// A party begins to talk, or has stopped.
    Speech {
        /// Which.
        track: u8,
        /// When, as a position of the tracks.
        at: u64,
        /// What.
        speech: Speech,
    },
    /// How full the queue is has changed.
    Queue {
        /// How.
        level: Level,
        /// What waits.
        queued_ms: u64,
        /// What did not fit.
        dropped_ms: Option<u64>,
    },
    /// A moment by the wall clock and in the tracks.
    Clock {
        /// Unix milliseconds.
        unix_ms: u64,
        /// The position of the tracks.
        at: u64,
        /// How long the last ping took.
        rtt_ms: Option<u64>,
    },
    /// A ping of ours.
    Ping {
        /// Its number.
        id: u32,
        /// Unix milliseconds.
        unix_ms: u64,
    },
    /// The answer to a ping of the application.
    Pong {
        /// Raw JSON, as it came.
        id: &'a str,
        /// Raw JSON, as it came.
        at: Option<&'a str>,
        /// Unix milliseconds.
        unix_ms: u64,
    },
    /// What came of a request.
    Answer(Answer<'a>),
    /// All that was queued was played.
    Drained,
    /// The answer to [`Message::AskEmpty`].
    Empty,
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

/// How audio travels both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// Encoding and rate.
    pub format: Format,
    /// Sound of a message to the application.
    pub frame_ms: u32,
    /// As text.
    pub is_text: bool,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// How audio travels.
    pub audio: AudioFormat,
    /// What is heard.
    pub tracks: TrackSet,
    /// The last number of the application's messages that has come.
    pub received: Option<u32>,
    /// Clears so far.
    pub generation: u32,
    /// The application goes on where it was.
    pub resumed: bool,
}

/// What becomes of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playback {
    /// Its first sample left, at this position of the tracks.
    Started {
        /// Samples.
        at: u64,
    },
    /// It is being played.
    Progress {
        /// Heard of it.
        played_ms: u64,
        /// All that waits.
        queued_ms: u64,
    },
    /// It is over.
    Finished {
        /// Heard of it.
        played_ms: u64,
        /// How.
        outcome: MarkOutcome,
    },
}

/// What was heard of an utterance that was cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// Its name.
    pub id: Option<ChunkId>,
    /// Heard.
    pub played_ms: u64,
    /// Never to be heard.
    pub dropped_ms: u64,
}

/// A voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// It begins.
    Started {
        /// How loud, in dB of full scale.
        level_db: i32,
        /// Speech was paused for it.
        paused: bool,
    },
    /// It has ended.
    Stopped {
        /// How long it was.
        duration_ms: u32,
    },
}

/// How full a queue is, when that is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Full: something was dropped.
    Overflow,
    /// Empty in the middle of speech.
    Underrun,
    /// At nine tenths.
    High,
    /// Back at eight tenths.
    Low,
}

impl Level {
    /// The word that the native dialect uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Overflow => "overflow",
            Level::Underrun => "underrun",
            Level::High => "high",
            Level::Low => "low",
        }
    }
}

/// What came of a request to control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Raw JSON, as the application gave it. `None`: it has given none, and is told of an error alone.
    pub request_id: Option<&'a str>,
    /// Code and words, when it was not done.
    pub error: Option<(&'a str, &'a str)>,
    /// What else there is to say: a JSON object, or nothing.
    pub fields: &'a str,
}

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

impl Tell<'_> {
    /// It must not be lost with a socket.
    pub fn is_event(&self) -> bool {
        match self {
            Tell::Playback { playback, .. } => !matches!(playback, Playback::Progress { .. }),
            Tell::TrackAdded(_)
            | Tell::TrackRemoved(_)
            | Tell::Digit { .. }
            | Tell::DigitSent { .. }
            | Tell::Mark { .. }
            | Tell::Cleared { .. }
            | Tell::Paused { .. }
            | Tell::Resumed { .. }
            | Tell::Speech { .. }
            | Tell::Answer(Answer {
                request_id: Some(_), ..
            }) => true,
            _ => false,
        }
    }
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
