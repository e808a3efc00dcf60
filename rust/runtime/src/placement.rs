//! Which worker a session lives on. Touched when a session comes or goes and for every command, never for a packet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

    /// The worker of a session, and whether the session is new: then it goes to the worker with the fewest.
    pub fn find_or_place(&self, session: &str) -> (usize, bool) {
        let mut table = self.lock();
        if let Some(worker) = table.workers.get(session) {
            return (*worker, false);
        }
        let least = table.loads.iter().enumerate().min_by_key(|(_, load)| **load);
        let worker = least.map_or(0, |(worker, _)| worker);
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
    fn add(&mut self, session: &str, worker: usize) {
        self.workers.insert(session.to_string(), worker);
        self.loads[worker] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stays_where_it_is_and_a_new_one_goes_to_the_least_loaded() {
        let placement = Placement::new(2);
        let (first, is_new) = placement.find_or_place("a");
        assert!(is_new);
        assert_eq!(placement.find_or_place("a"), (first, false));
        assert_ne!(placement.find_or_place("b").0, first);
        placement.remove("a");
        assert_eq!(placement.find("a"), None);
        assert_eq!(placement.find_or_place("c"), (first, true));
    }

    #[test]
    fn a_dead_worker_gives_up_its_sessions_only() {
        let placement = Placement::new(2);
        for name in ["a", "b", "c", "d"] {
            placement.find_or_place(name);
        }
        let on_zero = placement.remove_worker(0);
        assert_eq!(on_zero.len(), 2);
        assert!(on_zero.iter().all(|name| placement.find(name).is_none()));
        assert_eq!(placement.sessions().len(), 2);
        placement.confirm("e", 0);
        assert_eq!(placement.find_or_place("f"), (0, true));
    }
}
