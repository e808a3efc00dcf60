//! A session: the legs, streams, playbacks and recordings of one call, and the way of one frame through them.
//!
//! Each part is owned by its session and found by a linear search, since there are few. A frame goes
//! legs → streams and recordings, and streams and playbacks → mixer → legs and recordings. Several legs also hear each
//! other ([`Conference`]).

pub(crate) mod keep;
mod legs;
mod playbacks;
mod recordings;
mod running;
mod said;
mod streams;

pub(crate) use said::with_asides;

use crate::conference::Conference;
use crate::context::Context;
use crate::event::{Event, PlaybackEnd};
use crate::frame::Frame;
use crate::key::{LegKey, PlaybackKey, RecordingKey, SessionKey};
use crate::leg::Leg;
use crate::limiter::Limiter;
use crate::playback::Playback;
use crate::recording::Recording;
use crate::stats::SessionStats;
use crate::stream::Stream;
use crate::time::{FRAME_TICKS, RATE_HZ, Time};
use crate::tracks::Party;
use crate::voices::Voices;

/// Legs of one session. Rule for all four: more are refused.
pub const MAX_LEGS: usize = 16;
/// Streams of one session.
pub const MAX_STREAMS: usize = 8;
/// Playbacks of one session.
pub const MAX_PLAYBACKS: usize = 8;
/// Recordings of one session.
pub const MAX_RECORDINGS: usize = 4;
/// The rates a recording may have: those of Opus, and of what a session can be at.
pub const RECORDING_RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];
/// A frame this late is skipped, an earlier one is sent at once.
pub const MAX_LATENESS_MS: u64 = 60;

/// One session.
pub(crate) struct Session {
    key: SessionKey,
    tick0: u64,
    /// The rate of the frames inside: the highest of what the legs send.
    rate_hz: u32,
    /// The next frame to be run.
    next_frame: u64,
    next_serial: u32,
    legs: Vec<Leg>,
    /// One for each leg, in the same order.
    parties: Vec<Party>,
    /// The last number that was given to a leg.
    numbered: u8,
    /// There is one while there is more than one leg.
    conference: Option<Box<Conference>>,
    streams: Vec<Stream>,
    playbacks: Vec<(PlaybackKey, Playback)>,
    recordings: Vec<(RecordingKey, Recording)>,
    /// Of what streams and playbacks say together.
    limiter: Limiter,
    /// What playbacks and streams say in this frame to one leg alone. At most [`MAX_PLAYBACKS`], and one of each stream to
    /// each leg; kept for its room.
    asides: Vec<(LegKey, Frame)>,
    /// Who is listened to for a stream that wants to know when a voice begins.
    voices: Voices,
    late_frames: u64,
    skipped_frames: u64,
    /// Set by tests: the next frame panics.
    pub is_broken: bool,
    keeper: keep::Keeper,
}

impl Session {
    pub fn new(key: SessionKey, now: Time) -> Session {
        Session {
            key,
            tick0: now.tick(),
            rate_hz: RATE_HZ,
            next_frame: 1,
            next_serial: 0,
            legs: Vec::with_capacity(1),
            parties: Vec::with_capacity(1),
            numbered: 0,
            conference: None,
            streams: Vec::new(),
            playbacks: Vec::new(),
            recordings: Vec::new(),
            limiter: Limiter::default(),
            asides: Vec::new(),
            voices: Voices::default(),
            late_frames: 0,
            skipped_frames: 0,
            is_broken: false,
            keeper: keep::Keeper::default(),
        }
    }

    /// The tick modulo a frame at which its frames are due.
    pub fn phase(&self) -> usize {
        (self.tick0 % FRAME_TICKS) as usize
    }

    fn take_serial(&mut self) -> u32 {
        self.next_serial += 1;
        self.next_serial
    }

    fn due(&self, frame: u64) -> Time {
        Time::from_tick(self.tick0 + frame * FRAME_TICKS)
    }

    /// The rate follows what the legs send; everything at the edges converts.
    fn settle_rate(&mut self) {
        self.rate_hz = self
            .legs
            .iter()
            .filter_map(Leg::rate_hz)
            .max()
            .unwrap_or(RATE_HZ)
            .max(RATE_HZ);
        let rate_hz = self.rate_hz;
        self.legs.iter_mut().for_each(|leg| leg.set_rate(rate_hz));
        self.streams
            .iter_mut()
            .for_each(|stream| stream.set_rate(rate_hz));
        self.playbacks
            .iter_mut()
            .for_each(|(_, playback)| playback.set_rate(rate_hz));
        self.recordings
            .iter_mut()
            .for_each(|(_, recording)| recording.set_rate(rate_hz));
    }

    /// The rate of the frames inside.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub fn stats(&self) -> SessionStats {
        SessionStats {
            duration_ms: (self.next_frame - 1) * FRAME_TICKS,
            late_frames: self.late_frames,
            skipped_frames: self.skipped_frames,
            legs: self.legs.iter().map(|leg| (leg.key(), leg.stats())).collect(),
            streams: self
                .streams
                .iter()
                .map(|stream| (stream.key(), stream.stats()))
                .collect(),
        }
    }

    pub fn close(mut self, now: Time, context: &mut Context<'_>) -> SessionStats {
        let stats = SessionStats {
            duration_ms: now.millis_since(self.due(0)),
            ..self.stats()
        };
        self.legs.iter_mut().for_each(|leg| leg.close(now, context));
        self.streams
            .iter_mut()
            .for_each(|stream| stream.stop(context.outbox));
        for (playback, _) in self.playbacks {
            context.events.push(Event::PlaybackFinished {
                playback,
                reason: PlaybackEnd::Stopped,
            });
        }
        stats
    }
}
