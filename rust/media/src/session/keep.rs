//! A session's record, written and read: [`crate::record`] says what and when.

use std::sync::Arc;

use zerocopy::{FromBytes, IntoBytes};

use super::{MAX_PLAYBACKS, Session};
use crate::conference::Conference;
use crate::config::Limits;
use crate::context::Context;
use crate::engine::{RestoredPlayback, RestoredSession};
use crate::error::CommandError;
use crate::key::{LegKey, RecordingKey, SessionKey, StreamKey};
use crate::leg::{KeptLeg, Leg};
use crate::playback::Playback;
use crate::record::RecordError;
use crate::record::copies::{Reader, Writer, which};
use crate::record::layout::{
    LegSetup, LegState, MAJOR, MINOR, PlaybackState, RING_OFFSET, RecordingState, SETUP_BYTES, SETUP_OFFSET,
    SLOT_MAGIC, STATE_BYTES, STATE_OFFSET, Setup, SignalsSetup, SlotHeader, State, StreamSetup, StreamState,
};
use crate::record::ring::{Cursor, Entry, Ring, entries};
use crate::recording::Recording;
use crate::stream::Stream;
use crate::time::{FRAME_TICKS, Time};
use crate::tracks::Party;

/// How far the record of a session has followed it.
#[derive(Default)]
pub(super) struct Keeper {
    setup_generation: u64,
    state_generation: u64,
    /// What the setup was last written for: serial, legs, streams, rate.
    written_for: (u32, usize, usize, u32),
    cursor: Cursor,
}

/// A slot's parts.
struct Parts {
    setup: Setup,
    legs: Vec<LegSetup>,
    streams: Vec<StreamSetup>,
    signals: Vec<SignalsSetup>,
    state: State,
    leg_states: Vec<LegState>,
    stream_states: Vec<StreamState>,
    recordings: Vec<RecordingState>,
    playbacks: Vec<PlaybackState>,
}

fn setup_copy(generation: u64) -> std::ops::Range<usize> {
    let start = SETUP_OFFSET + which(generation) * SETUP_BYTES;
    start..start + SETUP_BYTES
}

fn state_copy(generation: u64) -> std::ops::Range<usize> {
    let start = STATE_OFFSET + which(generation) * STATE_BYTES;
    start..start + STATE_BYTES
}

/// The slot belongs to nobody; the key of who had it names nothing any more.
pub(crate) fn wipe(slot: &mut [u8], generation: u32) {
    slot[..RING_OFFSET].fill(0);
    let header = SlotHeader {
        session_generation: generation,
        ..SlotHeader::default()
    };
    slot[..size_of::<SlotHeader>()].copy_from_slice(header.as_bytes());
}

/// The generation that the next session in this slot has at least.
pub(crate) fn next_generation(slot: &[u8]) -> u32 {
    let header = SlotHeader::read_from_prefix(slot).map(|(header, _)| header);
    header.map_or(0, |header| header.session_generation)
}

impl Session {
    /// Brings the record up to date.
    pub fn keep(&mut self, slot: &mut [u8]) {
        if slot.len() <= RING_OFFSET {
            return;
        }
        let (fixed, ring) = slot.split_at_mut(RING_OFFSET);
        if self.keeper.setup_generation == 0 {
            self.begin(fixed, ring.len());
        }
        let mut stale = false;
        for leg in &mut self.legs {
            stale |= leg.take_setup_changed();
        }
        for stream in &mut self.streams {
            stale |= stream.take_setup_changed();
        }
        let now_for = (
            self.next_serial,
            self.legs.len(),
            self.streams.len(),
            self.rate_hz,
        );
        if stale || self.keeper.setup_generation == 0 || self.keeper.written_for != now_for {
            self.keeper.written_for = now_for;
            self.write_setup(fixed);
        }
        self.write_state(fixed, ring);
    }

    fn begin(&self, fixed: &mut [u8], ring_bytes: usize) {
        fixed.fill(0);
        let header = SlotHeader {
            magic: SLOT_MAGIC,
            major: MAJOR,
            minor: MINOR,
            ring_offset: RING_OFFSET as u32,
            ring_bytes: ring_bytes as u64,
            session_generation: self.key.generation,
            reserved: 0,
        };
        fixed[..size_of::<SlotHeader>()].copy_from_slice(header.as_bytes());
    }

    fn write_setup(&mut self, fixed: &mut [u8]) {
        self.keeper.setup_generation += 1;
        let generation = self.keeper.setup_generation;
        let mut writer = Writer::new::<Setup>(&mut fixed[setup_copy(generation)]);
        for (leg, party) in self.legs.iter().zip(&self.parties) {
            writer.put(&LegSetup {
                number: party.number,
                track: party.track,
                ..leg.keep_setup()
            });
        }
        self.streams
            .iter()
            .for_each(|stream| writer.put(&stream.keep_setup()));
        let mut signals = 0;
        for kept in self.legs.iter().filter_map(Leg::keep_signals) {
            writer.put(&kept);
            signals += 1;
        }
        let header = Setup {
            generation,
            checksum: 0,
            tick0: self.tick0,
            session_generation: self.key.generation,
            serial: self.next_serial,
            rate_hz: self.rate_hz,
            legs: self.legs.len() as u8,
            streams: self.streams.len() as u8,
            signals,
            numbered: self.numbered,
        };
        writer.finish(header, |header, sum| header.checksum = sum);
    }

    fn write_state(&mut self, fixed: &mut [u8], ring: &mut [u8]) {
        let Keeper {
            cursor,
            state_generation,
            setup_generation,
            ..
        } = &mut self.keeper;
        *state_generation += 1;
        let generation = *state_generation;
        let mut writer = Writer::new::<State>(&mut fixed[state_copy(generation)]);
        self.legs.iter().for_each(|leg| writer.put(&leg.keep_state()));
        for stream in &mut self.streams {
            writer.put(&stream.keep_state(&mut Ring::new(ring, cursor)));
        }
        let first = self.streams.iter().filter_map(Stream::first_kept).min();
        cursor.head = first.unwrap_or(cursor.tail);
        for (key, recording) in &self.recordings {
            writer.put(&recording.keep(key.serial));
        }
        for (key, playback) in &self.playbacks {
            writer.put(&playback.keep(key.serial));
        }
        let speaker = self
            .conference
            .as_ref()
            .and_then(|conference| conference.speaker());
        let header = State {
            generation,
            checksum: 0,
            setup_generation: *setup_generation,
            late_frames: self.late_frames,
            skipped_frames: self.skipped_frames,
            ring_head: cursor.head,
            ring_tail: cursor.tail,
            legs: self.legs.len() as u8,
            streams: self.streams.len() as u8,
            recordings: self.recordings.len() as u8,
            playbacks: self.playbacks.len() as u8,
            speaker: speaker.map_or(0, |leg| leg.serial),
        };
        writer.finish(header, |header, sum| header.checksum = sum);
        cursor.published = cursor.head;
    }

    /// The session of a slot, as it was; `None` when the slot is not in use. Frames due up to `node_tick` may have been
    /// sent.
    pub fn restored(
        index: u32,
        now: Time,
        node_tick: u64,
        slot: &[u8],
        context: &mut Context<'_>,
    ) -> Result<Option<Restored>, RecordError> {
        let Some(parts) = read(slot)? else {
            return Ok(None);
        };
        let Parts { setup, state, .. } = &parts;
        if setup.tick0 > now.tick() || !matches!(setup.rate_hz, 8_000 | 16_000 | 24_000 | 48_000) {
            return Err(RecordError::Impossible("tick or rate"));
        }
        let key = SessionKey {
            index,
            generation: setup.session_generation,
        };
        let mut session = Session::new(key, Time::from_tick(setup.tick0));
        session.next_serial = setup.serial;
        session.numbered = setup.numbered;
        session.rate_hz = setup.rate_hz;
        session.next_frame = node_tick.saturating_sub(setup.tick0) / FRAME_TICKS + 1;
        session.late_frames = state.late_frames;
        session.skipped_frames = state.skipped_frames;
        for (leg, state) in parts.legs.iter().zip(&parts.leg_states) {
            if leg.frame0 > session.next_frame {
                return Err(RecordError::Impossible("frame of a leg"));
            }
            let key = LegKey {
                session: key,
                serial: leg.serial,
            };
            let kept = KeptLeg {
                setup: leg,
                signals: parts.signals.iter().find(|kept| kept.leg == leg.serial),
                state,
            };
            session
                .legs
                .push(Leg::restored(key, setup.tick0, now, kept, context)?);
            session.parties.push(Party {
                // Who it is, control tells again.
                track: leg.track,
                ..Party::new(key, leg.number)
            });
        }
        let (entries, is_whole) = entries(&slot[RING_OFFSET..], state.ring_head, state.ring_tail);
        session.restore_streams(&parts, &entries, &context.config.limits)?;
        for recording in &parts.recordings {
            let key = RecordingKey {
                session: key,
                serial: recording.serial,
            };
            session
                .recordings
                .push((key, Recording::restored(recording, session.rate_hz)?));
        }
        if session.legs.len() > 1 {
            let mut conference = Conference::new(session.legs.len());
            let speaker = session
                .legs
                .iter()
                .map(Leg::key)
                .find(|leg| leg.serial == state.speaker);
            conference.resume(speaker);
            session.conference = Some(Box::new(conference));
        }
        session.settle_rate();
        session.keeper = Keeper {
            setup_generation: setup.generation,
            state_generation: state.generation,
            written_for: Default::default(),
            cursor: Cursor {
                head: state.ring_head,
                tail: state.ring_tail,
                published: state.ring_head,
            },
        };
        Ok(Some(Restored {
            session,
            playbacks: parts.playbacks,
            audio_is_whole: is_whole,
        }))
    }

    /// Its key.
    pub fn key(&self) -> SessionKey {
        self.key
    }

    /// What its caller has to know of it.
    pub fn describe(&self) -> RestoredSession {
        RestoredSession {
            session: self.key,
            legs: self.legs.iter().map(Leg::key).collect(),
            without_model: self
                .legs
                .iter()
                .filter(|leg| leg.lacks_model())
                .map(Leg::key)
                .collect(),
            streams: self
                .streams
                .iter()
                .map(|stream| (stream.key(), stream.params().clone()))
                .collect(),
            recordings: self
                .recordings
                .iter()
                .map(|(key, recording)| (*key, recording.duration_ms()))
                .collect(),
            playbacks: Vec::new(),
            audio_is_whole: true,
        }
    }

    /// Goes on with a playback whose samples were brought again.
    pub fn resume_playback(
        &mut self,
        restored: &RestoredPlayback,
        samples: Arc<[i16]>,
    ) -> Result<(), CommandError> {
        let key = restored.playback;
        if let Some(leg) = restored.to {
            self.leg(leg)?;
        }
        if self.playbacks.iter().any(|(other, _)| *other == key) {
            return Err(CommandError::BadParameter("this playback goes on already"));
        }
        if self.playbacks.len() >= MAX_PLAYBACKS {
            return Err(CommandError::LimitReached("playbacks of a session"));
        }
        let playback = Playback::resumed(restored.to, samples, restored.at, restored.left, self.rate_hz);
        self.playbacks.push((key, playback));
        Ok(())
    }

    fn restore_streams(
        &mut self,
        parts: &Parts,
        entries: &[Entry],
        limits: &Limits,
    ) -> Result<(), RecordError> {
        for kept in parts.streams.iter().zip(&parts.stream_states) {
            let key = StreamKey {
                session: self.key,
                serial: kept.0.serial,
            };
            let stream = Stream::restored(key, kept, entries, limits, self.rate_hz)?;
            self.streams.push(stream);
        }
        Ok(())
    }
}

/// A session as it was, and what it cannot bring by itself.
pub(crate) struct Restored {
    pub session: Session,
    pub playbacks: Vec<PlaybackState>,
    pub audio_is_whole: bool,
}

fn read(slot: &[u8]) -> Result<Option<Parts>, RecordError> {
    let (header, _) = SlotHeader::read_from_prefix(slot).map_err(|_| RecordError::NotARecord)?;
    if header.magic == [0; 8] {
        return Ok(None);
    }
    if header.magic != SLOT_MAGIC {
        return Err(RecordError::NotARecord);
    }
    if header.major != MAJOR {
        return Err(RecordError::ForeignVersion(header.major));
    }
    if header.ring_offset as usize != RING_OFFSET
        || header.ring_bytes != (slot.len() - RING_OFFSET.min(slot.len())) as u64
    {
        return Err(RecordError::Impossible("size of the slot"));
    }
    let newest = [0, 1]
        .into_iter()
        .filter_map(|copy| read_state(&slot[state_copy(copy)]))
        .max_by_key(|(state, ..)| state.generation)
        .ok_or(RecordError::Torn("state"))?;
    let (state, leg_states, stream_states, recordings, playbacks) = newest;
    let (setup, legs, streams, signals) = read_setup(&slot[setup_copy(state.setup_generation)])
        .filter(|(setup, ..)| setup.generation == state.setup_generation)
        .ok_or(RecordError::Torn("setup"))?;
    if (setup.legs, setup.streams) != (state.legs, state.streams) {
        return Err(RecordError::Impossible("count of legs or streams"));
    }
    Ok(Some(Parts {
        setup,
        legs,
        streams,
        signals,
        state,
        leg_states,
        stream_states,
        recordings,
        playbacks,
    }))
}

type StateParts = (
    State,
    Vec<LegState>,
    Vec<StreamState>,
    Vec<RecordingState>,
    Vec<PlaybackState>,
);

/// One copy of a state, if it is whole.
fn read_state(bytes: &[u8]) -> Option<StateParts> {
    let (header, mut reader) = Reader::new::<State>(bytes)?;
    let legs = reader.take_all(usize::from(header.legs))?;
    let streams = reader.take_all(usize::from(header.streams))?;
    let recordings = reader.take_all(usize::from(header.recordings))?;
    let playbacks = reader.take_all(usize::from(header.playbacks))?;
    let unsigned = State {
        checksum: 0,
        ..header
    };
    let is_whole = header.generation > 0 && reader.is_whole(&unsigned, header.checksum);
    is_whole.then_some((header, legs, streams, recordings, playbacks))
}

type SetupParts = (Setup, Vec<LegSetup>, Vec<StreamSetup>, Vec<SignalsSetup>);

/// One copy of a setup, if it is whole.
fn read_setup(bytes: &[u8]) -> Option<SetupParts> {
    let (header, mut reader) = Reader::new::<Setup>(bytes)?;
    let legs = reader.take_all(usize::from(header.legs))?;
    let streams = reader.take_all(usize::from(header.streams))?;
    let signals = reader.take_all(usize::from(header.signals))?;
    let unsigned = Setup {
        checksum: 0,
        ..header
    };
    let is_whole = header.generation > 0 && reader.is_whole(&unsigned, header.checksum);
    is_whole.then_some((header, legs, streams, signals))
}
