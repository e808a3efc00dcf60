//! What the parts of a session share of their engine while they work: where packets and events go, and chance.

use std::collections::VecDeque;

use crate::config::EngineConfig;
use crate::event::Event;
use crate::outbox::Outbox;
use crate::random::Random;

/// Events waiting to be taken, of all sessions. Rule when full: the newest is dropped and counted.
pub const MAX_EVENTS: usize = 65_536;

/// Events waiting to be taken.
#[derive(Default)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    /// Dropped at the bound.
    pub dropped: u64,
}

impl Events {
    pub fn push(&mut self, event: Event) {
        if self.queue.len() < MAX_EVENTS {
            self.queue.push_back(event);
        } else {
            self.dropped += 1;
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// One that waits.
    pub fn get(&self, at: usize) -> Option<&Event> {
        self.queue.get(at)
    }

    pub fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }
}

/// What a session may use of its engine while it works.
pub(crate) struct Context<'a> {
    pub outbox: &'a mut Outbox,
    pub events: &'a mut Events,
    pub random: &'a mut Random,
    /// For audio between base64 and the queue.
    pub scratch: &'a mut Vec<u8>,
    pub config: &'a EngineConfig,
}
