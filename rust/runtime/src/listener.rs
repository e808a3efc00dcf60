//! Applications that come by themselves to go on with their streams (longline.v1 §6): one thread accepts them, does TLS, reads
//! their requests, and hands each to the worker that has the stream its token names.
//!
//! What comes in is anybody's. At most [`MAX_PENDING`] connections are here at once, [`MAX_PENDING_OF_ONE`] of one address, each for
//! [`PATIENCE_MS`] and [`MAX_REQUEST_BYTES`](crate::websocket::acceptance::MAX_REQUEST_BYTES); what is over a bound is closed
//! and counted. Nothing is made for a stream until its token has been found right.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use media::Time;
use media::stream::token::handle_of;
use rustls::ServerConfig;
use slab::Slab;

use crate::clock;
use crate::poller::{Poller, Ready, Token, Waker};
use crate::tcp;
use crate::transport::{Received, Scratch, Transport};
use crate::websocket::acceptance::{Reader, Refused, Request};
use crate::websocket::send_queue::SendQueue;
use crate::worker::{Mailbox, Task};

/// Connections whose request has not been read.
pub const MAX_PENDING: usize = 256;
/// Of those, from one address.
pub const MAX_PENDING_OF_ONE: usize = 32;
/// How long a request may take, TLS included.
pub const PATIENCE_MS: u64 = 5_000;
/// Connections accepted in one turn.
const MAX_ACCEPTED: usize = 64;
/// How often old connections are looked for.
const SWEEP_MS: u64 = 250;
/// How long nothing is accepted when there are no descriptors.
const PAUSE_MS: u64 = 100;

/// Where applications may dial in.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// The local address.
    pub address: SocketAddr,
    /// Certificates and key, PEM; `None`: without TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// What the listener has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerReport {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests given to a worker.
    pub handed_on: u64,
    /// Turned away with an answer: no handshake, or no token that is known.
    pub refused: u64,
    /// Closed at a bound: too many, or too slow.
    pub dropped: u64,
}

#[derive(Default)]
struct Metrics {
    accepted: AtomicU64,
    handed_on: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Which worker has the stream of a token's handle. One entry for each stream that is resumed.
#[derive(Default)]
pub(crate) struct Directory {
    workers: Mutex<HashMap<u64, usize>>,
}

impl Directory {
    /// A stream of this worker may be resumed. False: another has this handle.
    pub fn add(&self, handle: u64, worker: usize) -> bool {
        let mut workers = self.lock();
        let is_new = !workers.contains_key(&handle);
        if is_new {
            workers.insert(handle, worker);
        }
        is_new
    }

    /// It may not any more.
    pub fn remove(&self, handle: u64) {
        self.lock().remove(&handle);
    }

    /// A worker is gone, and its streams are.
    pub fn remove_worker(&self, worker: usize) {
        self.lock().retain(|_, of| *of != worker);
    }

    fn worker(&self, handle: u64) -> Option<usize> {
        self.lock().get(&handle).copied()
    }

    /// The table is whole even if a thread died while it held it.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An application at the door, with its request.
pub(crate) struct Arrival {
    /// The handle of its token.
    pub handle: u64,
    /// What it asked for.
    pub request: Request,
    /// Its connection.
    pub transport: Transport,
}

impl Arrival {
    /// Turn it away, as far as that is possible without waiting.
    pub fn refuse(mut self, why: Refused) {
        refuse(&mut self.transport, why);
    }
}

fn refuse(transport: &mut Transport, why: Refused) {
    let mut queue = SendQueue::new(20);
    queue.push_raw(why.answer().as_bytes());
    let _ = transport.write(&mut queue);
    transport.end();
}

/// The listener's thread.
pub(crate) struct Listener {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Pending {
    from: IpAddr,
    deadline: Time,
    transport: Transport,
    reader: Reader,
    /// Records of TLS alone pass through it.
    queue: SendQueue,
}

struct Door {
    socket: TcpListener,
    poller: Poller,
    tls: Option<Arc<ServerConfig>>,
    pending: Slab<Pending>,
    directory: Arc<Directory>,
    mailboxes: Vec<Mailbox>,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    scratch: Scratch,
    closed_until: Time,
}

impl Listener {
    /// Listen, and hand on to these workers.
    pub fn start(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        directory: Arc<Directory>,
        mailboxes: Vec<Mailbox>,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let poller = Poller::new()?;
        poller.add(&socket, Token::Listener, false)?;
        let (metrics, stop): (Arc<Metrics>, Arc<AtomicBool>) = Default::default();
        let waker = poller.waker();
        let mut door = Door {
            socket,
            poller,
            tls,
            pending: Slab::new(),
            directory,
            mailboxes,
            metrics: metrics.clone(),
            stop: stop.clone(),
            scratch: Scratch::new(),
            closed_until: Time(0),
        };
        let thread = thread::Builder::new()
            .name("listener".into())
            .spawn(move || door.run())?;
        Ok(Self {
            address,
            metrics,
            stop,
            waker,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen.
    pub fn report(&self) -> ListenerReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ListenerReport {
            accepted: read(&self.metrics.accepted),
            handed_on: read(&self.metrics.handed_on),
            refused: read(&self.metrics.refused),
            dropped: read(&self.metrics.dropped),
        }
    }

    /// Accept nobody any more, and return when the thread has ended.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the listener had panicked");
        }
    }
}

impl Door {
    fn run(&mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let timeout = (!self.pending.is_empty()).then_some(SWEEP_MS);
            if let Err(error) = self.poller.wait(timeout) {
                tracing::error!(%error, "nobody can dial in any more");
                return;
            }
            let now = clock::now();
            let mut position = 0;
            while let Some(ready) = self.poller.ready(position) {
                position += 1;
                match ready.token {
                    Token::Wake => self.poller.clear_wake(),
                    Token::Stream(index) => self.serve(index, ready),
                    _ => {}
                }
            }
            // New sockets come last: they may get the place of one that the list still names.
            self.accept(now);
            self.sweep(now);
        }
    }

    fn accept(&mut self, now: Time) {
        if now < self.closed_until {
            return;
        }
        for _ in 0..MAX_ACCEPTED {
            match self.socket.accept() {
                Ok((socket, from)) => {
                    count(&self.metrics.accepted);
                    if let Err(error) = self.admit(now, socket, from.ip().to_canonical()) {
                        count(&self.metrics.dropped);
                        tracing::debug!(%error, "an application at the door is lost");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A connection that was gone before it was accepted is nobody's fault; without descriptors, each try
                // would fail alike.
                Err(error) => {
                    tracing::warn!(%error, "nobody can dial in for a moment");
                    self.closed_until = now.plus_millis(PAUSE_MS);
                    thread::sleep(std::time::Duration::from_millis(PAUSE_MS));
                    return;
                }
            }
        }
        // The poller is level-triggered: the rest is told again.
    }

    fn admit(&mut self, now: Time, socket: std::net::TcpStream, from: IpAddr) -> io::Result<()> {
        let of_one = self.pending.iter().filter(|(_, pending)| pending.from == from);
        if self.pending.len() >= MAX_PENDING || of_one.count() >= MAX_PENDING_OF_ONE {
            return Err(io::Error::other("too many are here already"));
        }
        tcp::prepare(&socket)?;
        let index = self.pending.vacant_key() as u32;
        self.poller.add(&socket, Token::Stream(index), false)?;
        let mut transport = Transport::new(socket);
        if let Some(config) = &self.tls {
            transport.secure_as_server(config).map_err(io::Error::other)?;
        }
        self.pending.insert(Pending {
            from,
            deadline: now.plus_millis(PATIENCE_MS),
            transport,
            reader: Reader::default(),
            queue: SendQueue::new(20),
        });
        Ok(())
    }

    fn serve(&mut self, index: u32, ready: Ready) {
        let Self { pending, scratch, .. } = self;
        let Some(one) = pending.get_mut(index as usize) else {
            return;
        };
        if !ready.is_readable {
            return self.flush(index);
        }
        let asked = match one.transport.read(scratch) {
            Ok(Received::Nothing) => return,
            Ok(Received::Data(data)) => one.reader.receive(data),
            Ok(Received::End) | Err(_) => {
                count(&self.metrics.dropped);
                pending.remove(index as usize);
                return;
            }
        };
        match asked {
            Ok(None) => self.flush(index),
            Ok(Some(request)) => self.hand_on(index, request),
            Err(why) => {
                count(&self.metrics.refused);
                refuse(&mut self.pending.remove(index as usize).transport, why);
            }
        }
    }

    /// Write what TLS has to say.
    fn flush(&mut self, index: u32) {
        let Some(one) = self.pending.get_mut(index as usize) else {
            return;
        };
        let done = one.transport.write(&mut one.queue);
        let watched = done.and_then(|written| {
            let (socket, token) = (&one.transport.socket, Token::Stream(index));
            self.poller.modify(socket, token, written.is_blocked)
        });
        if watched.is_err() {
            count(&self.metrics.dropped);
            self.pending.remove(index as usize);
        }
    }

    fn hand_on(&mut self, index: u32, request: Request) {
        let mut one = self.pending.remove(index as usize);
        // What TLS has still to say of its handshake is written by whoever goes on.
        let found = handle_of(&request.token)
            .and_then(|handle| Some((handle, self.directory.worker(handle)?)))
            .and_then(|(handle, worker)| Some((handle, self.mailboxes.get(worker)?)));
        let Some((handle, mailbox)) = found else {
            count(&self.metrics.refused);
            return refuse(&mut one.transport, Refused::Unauthorized);
        };
        if self.poller.remove(&one.transport.socket).is_err() {
            return count(&self.metrics.dropped);
        }
        let arrival = Arrival {
            handle,
            request,
            transport: one.transport,
        };
        match mailbox.try_post(Task::Arrived(Box::new(arrival))) {
            Ok(()) => count(&self.metrics.handed_on),
            Err(task) => {
                count(&self.metrics.dropped);
                if let Task::Arrived(arrival) = task {
                    arrival.refuse(Refused::Busy);
                }
            }
        }
    }

    fn sweep(&mut self, now: Time) {
        let metrics = &self.metrics;
        self.pending.retain(|_, one| {
            let is_late = now >= one.deadline;
            if is_late {
                count(&metrics.dropped);
            }
            !is_late
        });
    }
}
