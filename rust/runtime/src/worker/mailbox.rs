//! What reaches a worker from other threads: a bounded channel and a wake-up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::command::{Command, Reply};
use crate::listener::Arrival;
use crate::poller::Waker;
use crate::recorder::FileId;

/// Tasks that may wait for a worker. Rule when full: a command is refused, a helper thread waits.
pub const MAX_WAITING: usize = 4096;

/// Something for a worker to do at its next tick.
pub enum Task {
    /// A command of control.
    Execute(Box<Command>, Reply),
    /// The resolver's answer for a stream's socket.
    Resolved {
        /// Which socket.
        socket: SocketId,
        /// The addresses, or why there are none.
        resolved: Result<Vec<SocketAddr>, String>,
    },
    /// The loader's answer for a playback.
    Loaded {
        /// Its session.
        session: String,
        /// Its name.
        playback: String,
        /// The load it belongs to; a name may be used again.
        serial: u64,
        /// The samples.
        loaded: Result<Arc<[i16]>, String>,
    },
    /// The recorder's answer for a recording.
    FileOpened {
        /// Its session.
        session: String,
        /// Its name.
        recording: String,
        /// Its file.
        file: FileId,
        /// Whether the file was made.
        opened: Result<(), String>,
    },
    /// An application has come by itself.
    Arrived(Box<Arrival>),
    /// Close everything and end.
    Shutdown,
    /// Panic, for tests of what then happens.
    Panic,
}

/// A stream's socket, never mistaken for its successor at the same index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketId {
    /// Where in the table.
    pub index: u32,
    /// Never used twice.
    pub serial: u64,
}

/// The way to one worker.
#[derive(Clone)]
pub struct Mailbox {
    tasks: SyncSender<Task>,
    waker: Waker,
}

impl Mailbox {
    /// A mailbox and its other end.
    pub fn new(waker: Waker) -> (Self, Receiver<Task>) {
        let (tasks, receiver) = sync_channel(MAX_WAITING);
        (Self { tasks, waker }, receiver)
    }

    /// Post without waiting; a task for which there is no room comes back.
    pub fn try_post(&self, task: Task) -> Result<(), Task> {
        let posted = self.tasks.try_send(task).map_err(|error| match error {
            TrySendError::Full(task) | TrySendError::Disconnected(task) => task,
        });
        self.waker.wake();
        posted
    }

    /// Post, waiting for room: for helper threads, never for a worker. A worker that has ended gets nothing.
    pub fn post(&self, task: Task) {
        if self.tasks.send(task).is_ok() {
            self.waker.wake();
        }
    }

    /// Wake the worker: there is more to do than fits in one tick.
    pub fn wake(&self) {
        self.waker.wake();
    }
}
