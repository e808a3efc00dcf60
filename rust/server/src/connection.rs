//! One connection of control: a bounded queue toward it, and the thread that writes it.
//!
//! Whoever has something to tell never waits: when the queue is full, control does not read, and the connection is closed.

use std::io::{self, BufWriter, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use runtime::command::Outcome;
use runtime::event::Notice;
use serde_json::Value;

use crate::{framing, report};

/// Answers and events that may wait for control. Rule when full: the connection is closed.
pub const MAX_WAITING: usize = 16_384;
/// How long control may take over its last frames when the server stops.
const LAST_WRITE: Duration = Duration::from_millis(500);

/// A frame to be; made into JSON on the connection's own thread.
pub enum Outgoing {
    /// The answer of a session, to a number.
    Answer(Box<(Value, Outcome)>),
    /// An answer or event that is ready.
    Ready(Value),
    /// An event of a session.
    Notice(Box<Notice>),
    /// The last of all.
    End,
}

/// A connection as seen by those who tell.
pub struct Connection {
    outgoing: SyncSender<Outgoing>,
    socket: UnixStream,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Start writing to a socket.
    pub fn start(socket: &UnixStream) -> io::Result<Self> {
        let (outgoing, waiting) = sync_channel(MAX_WAITING);
        let writing = socket.try_clone()?;
        let writer = thread::Builder::new()
            .name("control-writer".into())
            .spawn(move || {
                if let Err(error) = write_all(&writing, &waiting) {
                    tracing::warn!(%error, "control connection cannot be written");
                    let _ = writing.shutdown(Shutdown::Both);
                }
            })?;
        Ok(Self {
            outgoing,
            socket: socket.try_clone()?,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Queue a frame. False: control does not read; the connection is closed and of no more use.
    pub fn send(&self, message: Outgoing) -> bool {
        let is_sent = self.outgoing.try_send(message).is_ok();
        if !is_sent {
            self.close();
        }
        is_sent
    }

    /// Close at once; the thread that reads it sees the end.
    pub fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Write what waits, within `LAST_WRITE` for each write, then close.
    pub fn finish(&self) {
        let _ = self.socket.set_write_timeout(Some(LAST_WRITE));
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.send(Outgoing::End)
            && let Some(writer) = writer
        {
            let _ = writer.join();
        }
        self.close();
    }
}

/// Write frames as they come; flush when none waits.
fn write_all(socket: &UnixStream, waiting: &Receiver<Outgoing>) -> io::Result<()> {
    let mut writer = BufWriter::new(socket);
    while let Ok(first) = waiting.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            let value = match message {
                Outgoing::Answer(answer) => report::answer(&answer.0, &answer.1),
                Outgoing::Ready(value) => value,
                Outgoing::Notice(notice) => report::notice(&notice),
                Outgoing::End => return writer.flush(),
            };
            framing::write(&mut writer, &value)?;
            next = waiting.try_recv().ok();
        }
        writer.flush()?;
    }
    Ok(())
}
