//! A session: the legs, streams, playbacks and recordings of one call, and the way of one frame through them.
//!
//! Each part is owned by its session and found by a linear search, since there are few. A frame goes
//! legs → streams and recordings, and streams and playbacks → mixer → legs and recordings. Several legs also hear each
//! other ([`Conference`]).

pub(crate) mod keep;
mod running;
mod said;
mod streams;

pub(crate) use said::with_asides;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::codec::{Codec, MAX_PTIME_MS};
use crate::conference::Conference;
use crate::config::{LegRemote, MAX_ID_BYTES, Mute, RecordingParams};
use crate::context::Context;
use crate::error::CommandError;
use crate::event::{Event, PlaybackEnd};
use crate::frame::Frame;
use crate::key::{LegKey, PlaybackKey, RecordingKey, SessionKey};
use crate::leg::Leg;
use crate::limiter::Limiter;
use crate::playback::Playback;
use crate::recording::Recording;
use crate::stats::{LegStats, SessionStats};
use crate::stream::Stream;
use crate::time::{FRAME_TICKS, RATE_HZ, Time};
use crate::tracks::{Label, MAX_PARTY, Party};
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

    // Legs.

    pub fn open_leg(&mut self, context: &mut Context<'_>) -> Result<LegKey, CommandError> {
        if self.legs.len() >= MAX_LEGS {
            return Err(CommandError::LimitReached("legs of a session"));
        }
        let key = LegKey {
            session: self.key,
            serial: self.take_serial(),
        };
        let config = context.config;
        self.legs.push(Leg::new(
            key,
            self.tick0,
            config.numbering,
            config.ntp_at_zero,
            context.random,
        ));
        let number = if self.numbered < MAX_PARTY {
            self.numbered + 1
        } else {
            0
        };
        self.numbered = self.numbered.max(number);
        self.parties.push(Party::new(key, number));
        match &mut self.conference {
            Some(conference) => conference.join(),
            None if self.legs.len() > 1 => {
                self.conference = Some(Box::new(Conference::new(self.legs.len())));
            }
            None => {}
        }
        Ok(key)
    }

    pub fn leg(&self, key: LegKey) -> Result<&Leg, CommandError> {
        self.legs
            .iter()
            .find(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)
    }

    pub fn leg_mut(&mut self, key: LegKey) -> Result<&mut Leg, CommandError> {
        self.legs
            .iter_mut()
            .find(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)
    }

    pub fn connect_leg(
        &mut self,
        now: Time,
        key: LegKey,
        remote: LegRemote,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        if remote
            .telephone_event
            .is_some_and(|event| event.payload_type > 127)
        {
            return Err(CommandError::BadParameter("payload_type must be 0 to 127"));
        }
        let rate = |codec: Codec| matches!(codec.rate_hz(), 8_000 | 16_000 | 24_000 | 48_000);
        if !remote.audio.entries().iter().all(|(_, codec)| rate(*codec)) {
            return Err(CommandError::BadParameter(
                "rate_hz must be 8000, 16000, 24000 or 48000",
            ));
        }
        if !(10..=MAX_PTIME_MS).contains(&remote.ptime_ms) {
            return Err(CommandError::BadParameter("ptime_ms must be 10 to 60"));
        }
        self.leg_mut(key)?.connect(now, remote, context);
        self.settle_rate();
        self.admit_party(key, context);
        Ok(())
    }

    /// What applications are told of a leg. One that has its number already is not told of again.
    pub fn label_leg(&mut self, key: LegKey, label: Label) -> Result<(), CommandError> {
        if label.leg_id.len().max(label.role.len()) > MAX_ID_BYTES {
            return Err(CommandError::BadParameter(
                "an identifier is longer than 256 bytes",
            ));
        }
        let party = self.parties.iter_mut().find(|party| party.leg == key);
        party.ok_or(CommandError::UnknownLeg)?.label = label;
        Ok(())
    }

    /// A leg that is connected is a party.
    fn admit_party(&mut self, key: LegKey, context: &mut Context<'_>) {
        let party = self.parties.iter_mut().find(|party| party.leg == key);
        let Some(party) = party.filter(|party| party.track != party.number) else {
            return;
        };
        party.track = party.number;
        for stream in &mut self.streams {
            stream.party_came(party, context);
        }
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

    pub fn close_leg(
        &mut self,
        now: Time,
        key: LegKey,
        context: &mut Context<'_>,
    ) -> Result<LegStats, CommandError> {
        let at = self
            .legs
            .iter()
            .position(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)?;
        let mut leg = self.legs.remove(at);
        leg.close(now, context);
        let party = self.parties.remove(at);
        self.voices.forget(key);
        for stream in &mut self.streams {
            stream.party_left(&party, context);
        }
        for (_, recording) in &mut self.recordings {
            recording.forget(key);
        }
        self.playbacks.retain(|(playback, of)| {
            let stays = of.to() != Some(key);
            if !stays {
                context.events.push(Event::PlaybackFinished {
                    playback: *playback,
                    reason: PlaybackEnd::Stopped,
                });
            }
            stays
        });
        self.leave_conference(at, key, context);
        self.settle_rate();
        Ok(leg.stats())
    }

    /// The last but one to leave ends the conference. Nobody is told to speak who has gone.
    fn leave_conference(&mut self, at: usize, leg: LegKey, context: &mut Context<'_>) {
        let Some(conference) = &mut self.conference else {
            return;
        };
        let speaker = conference.speaker();
        let ends = self.legs.len() < 2;
        if speaker.is_some() && (ends || speaker == Some(leg)) {
            context.events.push(Event::SpeakerChanged {
                session: self.key,
                leg: None,
            });
        }
        if ends {
            self.conference = None;
        } else {
            conference.leave(at, leg);
        }
    }

    pub fn mute_leg(&mut self, key: LegKey, mute: Mute) -> Result<(), CommandError> {
        self.leg_mut(key)?.set_mute(mute);
        Ok(())
    }

    /// Takes a datagram from the RTP socket of a leg.
    pub fn receive_rtp(
        &mut self,
        now: Time,
        leg: LegKey,
        from: SocketAddr,
        data: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let told = context.events.len();
        self.leg_mut(leg)?.receive_rtp(now, from, data, context);
        self.tell_digits(told, context);
        Ok(())
    }

    // Playbacks and recordings.

    pub fn start_playback(
        &mut self,
        to: Option<LegKey>,
        samples: Arc<[i16]>,
        repeat: u32,
    ) -> Result<PlaybackKey, CommandError> {
        if let Some(leg) = to {
            self.leg(leg)?;
        }
        if self.playbacks.len() >= MAX_PLAYBACKS {
            return Err(CommandError::LimitReached("playbacks of a session"));
        }
        let key = PlaybackKey {
            session: self.key,
            serial: self.take_serial(),
        };
        self.playbacks
            .push((key, Playback::new(to, samples, repeat, self.rate_hz)));
        Ok(key)
    }

    pub fn stop_playback(&mut self, key: PlaybackKey, context: &mut Context<'_>) -> Result<(), CommandError> {
        let at = self
            .playbacks
            .iter()
            .position(|(other, _)| *other == key)
            .ok_or(CommandError::UnknownPlayback)?;
        self.playbacks.swap_remove(at);
        context.events.push(Event::PlaybackFinished {
            playback: key,
            reason: PlaybackEnd::Stopped,
        });
        Ok(())
    }

    /// The rate of the frames inside.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub fn start_recording(&mut self, params: RecordingParams) -> Result<RecordingKey, CommandError> {
        if !RECORDING_RATES_HZ.contains(&params.rate_hz) {
            return Err(CommandError::BadParameter(
                "rate_hz of a recording must be 8000, 16000, 24000 or 48000",
            ));
        }
        if self.recordings.len() >= MAX_RECORDINGS {
            return Err(CommandError::LimitReached("recordings of a session"));
        }
        let key = RecordingKey {
            session: self.key,
            serial: self.take_serial(),
        };
        self.recordings
            .push((key, Recording::new(params.layout, params.rate_hz, self.rate_hz)));
        Ok(key)
    }

    pub fn stop_recording(&mut self, key: RecordingKey) -> Result<u64, CommandError> {
        let at = self
            .recordings
            .iter()
            .position(|(other, _)| *other == key)
            .ok_or(CommandError::UnknownRecording)?;
        Ok(self.recordings.swap_remove(at).1.duration_ms())
    }

    // The whole.

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
