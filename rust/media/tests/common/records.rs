//! Records as another process finds them, and an engine that goes on with them.

use media::record::{FIXED_BYTES, HeapStore, RecordStore};
use media::{Engine, EngineConfig, Restored, RestoredSession};

use super::Node;

/// Small rings: tests copy them.
pub const RING: usize = 24 << 10;

/// The records as they are at this moment: what another process would find.
pub fn records_of(engine: &mut Engine) -> HeapStore {
    let store = engine.record_store().expect("records are kept");
    let slots = store.slots();
    let bytes = store.slot(0).map_or(0, |slot| slot.len());
    let mut copy = HeapStore::with_ring(slots, bytes - FIXED_BYTES);
    copy.node().copy_from_slice(store.node());
    for index in 0..slots {
        let bytes = store.slot(index).unwrap();
        copy.slot(index).unwrap().copy_from_slice(bytes);
    }
    copy
}

/// A node that keeps records.
pub fn keeping(config: EngineConfig) -> Node {
    let mut node = Node::with(config);
    node.engine.keep_records(Box::new(HeapStore::with_ring(4, RING)));
    node
}

/// Another process goes on with what one has left behind. Keys stay what they were.
pub fn restore(node: &mut Node, records: HeapStore) -> RestoredSession {
    let config = EngineConfig::new(99, 0xe000_0000_0000_0000);
    let Restored {
        engine,
        mut sessions,
        refused,
    } = Engine::restore(config, node.now, Box::new(records)).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!((sessions.len(), sessions[0].session), (1, node.session));
    assert_eq!(sessions[0].legs, [node.leg]);
    assert!(sessions[0].audio_is_whole);
    node.engine = engine;
    node.drain();
    for (stream, _) in &sessions[0].streams {
        node.engine.stream_connected(node.now, *stream).unwrap();
    }
    node.drain();
    sessions.remove(0)
}

/// A call that is killed at a moment of it, and what it had sent by then.
pub struct Moment {
    /// Since its begin, in milliseconds.
    pub at: u64,
    records: HeapStore,
    sent: [usize; 3],
}

/// Lets the call run and notes every tick as a [`Moment`]; each frame's before and after it was run.
pub fn moments(node: &mut Node, millis: u64) -> Vec<Moment> {
    let (start, mut moments) = (node.now, Vec::new());
    for at in 0..millis {
        node.now = start.plus_millis(at);
        for due in [false, true] {
            if due {
                node.engine.handle_timeout(node.now);
                node.drain();
            }
            if due || at % 20 == 0 {
                moments.push(Moment {
                    at,
                    records: records_of(&mut node.engine),
                    sent: [node.packets.len(), node.messages.len(), node.events.len()],
                });
            }
        }
    }
    moments
}

/// The call of `before`, killed at this moment, as it has gone on `outage_ms` later.
pub fn killed(before: &Node, began: media::Time, moment: &Moment, outage_ms: u64) -> (Node, RestoredSession) {
    let mut node = Node::new();
    let [packets, messages, events] = moment.sent;
    node.packets = before.packets[..packets].to_vec();
    node.messages = before.messages[..messages].to_vec();
    node.events = before.events[..events].to_vec();
    node.now = began.plus_millis(moment.at + outage_ms);
    (node.session, node.leg) = (before.session, before.leg);
    let restored = restore(&mut node, moment.records.clone());
    (node, restored)
}
