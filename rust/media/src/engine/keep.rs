//! An engine's records, written and read: [`crate::record`] says what and when.

use std::sync::Arc;

use zerocopy::{FromBytes, IntoBytes};

use super::{Engine, Place};
use crate::config::{EngineConfig, StreamParams};
use crate::context::Context;
use crate::error::CommandError;
use crate::key::{LegKey, PlaybackKey, RecordingKey, SessionKey, StreamKey};
use crate::record::layout::{MAJOR, MINOR, NODE_MAGIC, NodeRecord};
use crate::record::{NODE_BYTES, RecordError, RecordStore};
use crate::session::Session;
use crate::session::keep::{next_generation, wipe};
use crate::time::Time;

/// Where the records are, and whose are behind.
pub(super) struct Records {
    store: Box<dyn RecordStore>,
    behind: Vec<u32>,
    is_behind: Vec<bool>,
}

impl Records {
    /// Something of the session at this index has changed.
    pub fn touch(&mut self, index: u32) {
        if self.is_behind.len() <= index as usize {
            self.is_behind.resize(index as usize + 1, false);
        }
        if let Some(is_behind) = self.is_behind.get_mut(index as usize)
            && !std::mem::replace(is_behind, true)
        {
            self.behind.push(index);
        }
    }

    /// Writes the record of one session.
    pub fn keep(&mut self, index: u32, session: &mut Session) {
        if let Some(is_behind) = self.is_behind.get_mut(index as usize) {
            *is_behind = false;
        }
        if let Some(slot) = self.store.slot(index) {
            session.keep(slot);
        }
    }

    /// Frames due up to this tick may be sent from now on.
    pub fn reserve(&mut self, tick: u64) {
        let node = self.store.node();
        if let Some(end) = node.get_mut(NODE_BYTES - size_of::<u64>()..NODE_BYTES) {
            end.copy_from_slice(&tick.to_ne_bytes());
        }
    }

    /// Whether there is a slot for this session.
    pub fn has_slot(&mut self, index: u32) -> bool {
        self.store.slot(index).is_some()
    }

    /// The session has gone; who comes next in its place has this generation.
    pub fn wipe(&mut self, index: u32, generation: u32) {
        if let Some(slot) = self.store.slot(index) {
            wipe(slot, generation);
        }
    }
}

/// An engine that goes on where another ended.
pub struct Restored {
    /// It runs; the records are kept up to date in the same store.
    pub engine: Engine,
    /// Its sessions. All keys are those of before.
    pub sessions: Vec<RestoredSession>,
    /// Slots whose records were not taken, and why.
    pub refused: Vec<(u32, RecordError)>,
}

/// A session that goes on, and what it wants of its caller.
#[derive(Clone, Debug)]
pub struct RestoredSession {
    /// Its key.
    pub session: SessionKey,
    /// Its legs: they send and listen, if somebody carries their packets.
    pub legs: Vec<LegKey>,
    /// Those of them whose voices the network has listened for: bring its weights again, by [`Engine::detect`].
    pub without_model: Vec<LegKey>,
    /// Its streams: open their sockets again, then [`Engine::stream_connected`].
    pub streams: Vec<(StreamKey, StreamParams)>,
    /// Its recordings, and how much of each was made. What the store says was made may not have reached the disk.
    pub recordings: Vec<(RecordingKey, u64)>,
    /// Its playbacks: they are silent until [`Engine::resume_playback`] brings their samples.
    pub playbacks: Vec<RestoredPlayback>,
    /// All that was queued for playout and kept is there.
    pub audio_is_whole: bool,
}

/// A playback whose samples are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoredPlayback {
    /// Its key.
    pub playback: PlaybackKey,
    /// Who alone hears it; `None`: all.
    pub to: Option<LegKey>,
    /// The next sample.
    pub(crate) at: u64,
    /// Times still to be played, this one included.
    pub(crate) left: u32,
}

impl Engine {
    /// Keeps records from now on, of the sessions that are open and of those to come.
    pub fn keep_records(&mut self, mut store: Box<dyn RecordStore>) {
        let node = NodeRecord {
            magic: NODE_MAGIC,
            major: MAJOR,
            minor: MINOR,
            reserved: 0,
            tick: self.done_tick,
        };
        if let Some(room) = store.node().get_mut(..NODE_BYTES) {
            room.copy_from_slice(node.as_bytes());
        }
        let mut records = Records {
            store,
            behind: Vec::new(),
            is_behind: Vec::new(),
        };
        for (index, place) in self.places.iter().enumerate() {
            if place.session.is_some() {
                records.touch(index as u32);
            }
        }
        self.records = Some(records);
        self.catch_up();
    }

    /// The records, if they are kept.
    pub fn record_store(&mut self) -> Option<&mut dyn RecordStore> {
        self.records.as_mut().map(|records| &mut *records.store as _)
    }

    /// Writes what is behind: nothing that was made of it can have left yet.
    pub(super) fn catch_up(&mut self) {
        let Some(records) = &mut self.records else { return };
        if records.behind.is_empty() {
            return;
        }
        records.reserve(self.done_tick);
        while let Some(index) = records.behind.pop() {
            let place = self.places.get_mut(index as usize);
            let is_behind = records.is_behind.get(index as usize) == Some(&true);
            if let Some(session) = place.and_then(|place| place.session.as_deref_mut())
                && is_behind
            {
                records.keep(index, session);
            }
            if let Some(is_behind) = records.is_behind.get_mut(index as usize) {
                *is_behind = false;
            }
        }
    }

    /// Makes an engine of the records that another one has kept. It must have ended: who goes on with its numbers while
    /// it sends breaks both. A record that cannot be taken is refused alone, its slot is wiped.
    ///
    /// # Errors
    ///
    /// The node's record is none, or of another major version: then nothing can be taken.
    pub fn restore(
        config: EngineConfig,
        now: Time,
        mut store: Box<dyn RecordStore>,
    ) -> Result<Restored, RecordError> {
        let node = store.node();
        let (node, _) = NodeRecord::read_from_prefix(node).map_err(|_| RecordError::NotARecord)?;
        if node.magic != NODE_MAGIC {
            return Err(RecordError::NotARecord);
        }
        if node.major != MAJOR {
            return Err(RecordError::ForeignVersion(node.major));
        }
        if node.tick > now.tick() {
            return Err(RecordError::Impossible("tick of the node"));
        }
        let mut engine = Engine::new(config);
        engine.done_tick = node.tick;
        let (mut sessions, mut refused) = (Vec::new(), Vec::new());
        for index in 0..store.slots() {
            let Some(slot) = store.slot(index) else { continue };
            let mut place = Place {
                generation: next_generation(slot),
                session: None,
            };
            let mut context = Context {
                outbox: &mut engine.outbox,
                events: &mut engine.events,
                random: &mut engine.random,
                scratch: &mut engine.scratch,
                config: &engine.config,
            };
            let restored = Session::restored(index, now, node.tick, slot, &mut context);

            match restored {
                Ok(Some(restored)) => {
                    sessions.push(RestoredSession {
                        session: restored.session.key(),
                        playbacks: playbacks(restored.session.key(), &restored.playbacks),
                        audio_is_whole: restored.audio_is_whole,
                        ..restored.session.describe()
                    });
                    place.generation = restored.session.key().generation;
                    engine.phases[restored.session.phase()].push(index);
                    place.session = Some(Box::new(restored.session));
                    engine.stats.sessions += 1;
                }
                Ok(None) => engine.free.push(index),
                Err(error) => {
                    place.generation = place.generation.wrapping_add(1);
                    wipe(slot, place.generation);
                    refused.push((index, error));
                    engine.free.push(index);
                }
            }
            engine.places.push(place);
        }
        engine.keep_records(store);
        Ok(Restored {
            engine,
            sessions,
            refused,
        })
    }

    /// Brings the samples of a playback that was restored; it goes on where it was.
    pub fn resume_playback(
        &mut self,
        _now: Time,
        restored: &RestoredPlayback,
        samples: Arc<[i16]>,
    ) -> Result<(), CommandError> {
        let key = restored.playback;
        let place = self.places.get_mut(key.session.index as usize);
        let session = place
            .filter(|place| place.generation == key.session.generation)
            .and_then(|place| place.session.as_deref_mut())
            .ok_or(CommandError::UnknownPlayback)?;
        session.resume_playback(restored, samples)?;
        if let Some(records) = &mut self.records {
            records.touch(key.session.index);
        }
        Ok(())
    }
}

fn playbacks(session: SessionKey, kept: &[crate::record::layout::PlaybackState]) -> Vec<RestoredPlayback> {
    let restored = kept.iter().map(|kept| RestoredPlayback {
        playback: PlaybackKey {
            session,
            serial: kept.serial,
        },
        to: (kept.leg != 0).then_some(LegKey {
            session,
            serial: kept.leg,
        }),
        at: kept.at,
        left: kept.left,
    });
    restored.collect()
}
