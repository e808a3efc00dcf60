//! Which worker a session lives on. Touched when a session comes or goes and for every command, never for a packet.
//!
//! A worker wakes for every tick that has work, whatever the work is: two half-empty workers cost more than a full one.
//! So one is filled to [`FILL_SESSIONS`] before the next is used; when all are, the one with the fewest gets the next.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sessions that a worker gets before the next worker gets its first: about a quarter of a core, and half of a tick at
/// the worst phase, so that a session waits for its neighbours no longer than for the tick.
pub const FILL_SESSIONS: usize = 250;

/// The sessions of the node by name.
pub struct Placement {
    table: Mutex<Table>,
}

struct Table {
    workers: HashMap<String, usize>,
    /// Sessions of each worker.
    loads: Vec<usize>,
}

impl Placement {
    /// No sessions on so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            table: Mutex::new(Table {
                workers: HashMap::new(),
                loads: vec![0; workers],
            }),
        }
    }

    /// The worker of a session.
    pub fn find(&self, session: &str) -> Option<usize> {
        self.lock().workers.get(session).copied()
    }

    /// The worker of a session, and whether the session is new: then it is placed.
    pub fn find_or_place(&self, session: &str) -> (usize, bool) {
        let mut table = self.lock();
        if let Some(worker) = table.workers.get(session) {
            return (*worker, false);
        }
        let worker = table.place();
        table.add(session, worker);
        (worker, true)
    }

    /// A session was made on a worker.
    pub fn confirm(&self, session: &str, worker: usize) {
        let mut table = self.lock();
        if !table.workers.contains_key(session) {
            table.add(session, worker);
        }
    }

    /// A session is gone.
    pub fn remove(&self, session: &str) {
        let mut table = self.lock();
        if let Some(worker) = table.workers.remove(session) {
            table.loads[worker] -= 1;
        }
    }

    /// A worker is gone; returns the sessions it had.
    pub fn remove_worker(&self, worker: usize) -> Vec<String> {
        let mut table = self.lock();
        let gone = table
            .workers
            .extract_if(|_, place| *place == worker)
            .map(|(session, _)| session)
            .collect();
        table.loads[worker] = 0;
        gone
    }

    /// All sessions.
    pub fn sessions(&self) -> Vec<String> {
        self.lock().workers.keys().cloned().collect()
    }

    /// The table is whole even if a thread died while it held it: nothing in here panics half-way.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The first worker that is not full, or else the one with the fewest.
    fn place(&self) -> usize {
        let mut loads = self.loads.iter().enumerate();
        let open = loads.find(|(_, load)| **load < FILL_SESSIONS);
        let least = || self.loads.iter().enumerate().min_by_key(|(_, load)| **load);
        open.or_else(least).map_or(0, |(worker, _)| worker)
    }

    fn add(&mut self, session: &str, worker: usize) {
        self.workers.insert(session.to_string(), worker);
        self.loads[worker] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(workers: usize, sessions: usize) -> Placement {
        let placement = Placement::new(workers);
        for number in 0..sessions {
            placement.find_or_place(&number.to_string());
        }
        placement
    }

    #[test]
    fn a_session_stays_where_it_is_until_it_is_gone() {
        let placement = Placement::new(2);
        assert_eq!(placement.find_or_place("a"), (0, true));
        assert_eq!(placement.find_or_place("a"), (0, false));
        assert_eq!(placement.find("a"), Some(0));
        placement.remove("a");
        assert_eq!(placement.find("a"), None);
    }

    #[test]
    fn a_worker_is_filled_before_the_next_is_used() {
        let placement = filled(2, FILL_SESSIONS);
        assert_eq!(placement.find_or_place("next"), (1, true));
        placement.remove("0");
        assert_eq!(placement.find_or_place("in its place"), (0, true));
        assert_eq!(placement.find_or_place("after that"), (1, true));
    }

    #[test]
    fn full_workers_share_what_is_over() {
        let placement = filled(2, 2 * FILL_SESSIONS);
        assert_eq!(placement.find_or_place("a"), (0, true));
        assert_eq!(placement.find_or_place("b"), (1, true));
        placement.remove("b");
        assert_eq!(placement.find_or_place("c"), (1, true));
    }

    #[test]
    fn a_dead_worker_gives_up_its_sessions_only() {
        let placement = filled(2, FILL_SESSIONS + 2);
        let on_zero = placement.remove_worker(0);
        assert_eq!(on_zero.len(), FILL_SESSIONS);
        assert!(on_zero.iter().all(|name| placement.find(name).is_none()));
        assert_eq!(placement.sessions().len(), 2);
        placement.confirm("e", 0);
        assert_eq!(placement.find_or_place("f"), (0, true));
    }
}
