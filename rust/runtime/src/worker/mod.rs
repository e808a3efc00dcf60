//! A worker: one thread, one engine, one epoll, and all sockets of its sessions.
//!
//! Its turn: sleep to the next tick, take what is ready, run the frames that are due, hand on what the engine made,
//! write each socket once. With nothing due and nothing ready it blocks. A panic ends its sessions and nothing else:
//! the thread goes on with a new engine and empty tables.

mod arrivals;
mod commands;
mod dialling;
mod files;
mod legs;
mod mailbox;
mod outage;
mod redial;
mod relay;
mod stream;
mod streams;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};

use media::vad::silero::Model;
use media::{Engine, EngineConfig, LegKey, PlaybackKey, RecordingKey, SessionKey, StreamKey, Time};
use rustls::ClientConfig;
use slab::Slab;

use crate::clock;
use crate::event::{Event, Notice, Observer};
use crate::key_map::KeyMap;
use crate::listener::Directory;
use crate::loader::Loader;
use crate::node::{StreamTimeouts, WorkerReport};
use crate::placement::Placement;
use crate::poller::{Poller, Token};
use crate::recorder::Recorder;
use crate::resolver::Resolver;
use crate::transport::Scratch;
use crate::udp::RtpPorts;
use crate::websocket::mask::RandomPool;

pub use mailbox::{Mailbox, Task};

use files::{Playback, Recording};
use legs::Leg;
use stream::StreamSocket;

/// Tasks done in one turn; the rest waits for the next, so that a burst of commands delays no frame.
const MAX_TASKS: usize = 64;
/// How often the deadlines of streams are looked at, in milliseconds. They are seconds long.
const SWEEP_MS: u64 = 50;
/// A deadline nearer than half a tick is slept to; epoll waits in whole milliseconds.
const NEAR_US: u64 = clock::TICK_US / 2;
/// A turn that begins this long after its frames were due counts as late, in microseconds.
const LATE_US: u64 = 5_000;
/// The largest datagram a leg receives; what is longer is no RTP of a telephone and is cut off.
const MAX_DATAGRAM_BYTES: usize = 2048;

/// What a worker needs of its node. All of it is for sharing.
#[derive(Clone)]
pub struct Services {
    pub observer: Arc<dyn Observer>,
    pub placement: Arc<Placement>,
    pub ports: Arc<RtpPorts>,
    pub tls: Arc<ClientConfig>,
    pub resolver: Resolver,
    pub loader: Loader,
    pub recorder: Recorder,
    pub timeouts: StreamTimeouts,
    /// Where the listener finds the streams that applications come for.
    pub directory: Arc<Directory>,
    /// Silero's weights, for all legs.
    pub silero: Option<Arc<Model>>,
}

/// What a worker counts, for all to read. Written by the worker alone.
#[derive(Default)]
pub struct Metrics {
    /// Sessions open now.
    pub sessions: AtomicU64,
    /// Streams open or being dialled now.
    pub streams: AtomicU64,
    /// Turns taken.
    pub ticks: AtomicU64,
    /// Turns that began more than `LATE_US` after their frames were due.
    pub late_ticks: AtomicU64,
    /// Datagrams the kernel did not take.
    pub send_failed: AtomicU64,
    /// Times the worker died and was replaced.
    pub deaths: AtomicU64,
}

impl Metrics {
    /// All of it, now.
    pub fn report(&self) -> WorkerReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkerReport {
            sessions: read(&self.sessions),
            streams: read(&self.streams),
            ticks: read(&self.ticks),
            late_ticks: read(&self.late_ticks),
            send_failed: read(&self.send_failed),
            deaths: read(&self.deaths),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One session: its engine key, and what its names mean.
struct Session {
    key: SessionKey,
    legs: HashMap<String, u32>,
    streams: HashMap<String, u32>,
    playbacks: HashMap<String, Playback>,
    recordings: HashMap<String, Recording>,
}

/// What outlives a panic: the thread's own things.
struct Shell {
    number: usize,
    poller: Poller,
    tasks: Receiver<Task>,
    mailbox: Mailbox,
    metrics: Arc<Metrics>,
    services: Services,
    is_shutting_down: bool,
}

/// What a panic ends.
struct Worker<'a> {
    shell: &'a mut Shell,
    engine: Engine,
    random: RandomPool,
    sessions: HashMap<String, Session>,
    legs: Slab<Leg>,
    leg_of: KeyMap<LegKey, u32>,
    streams: Slab<StreamSocket>,
    stream_of: KeyMap<StreamKey, u32>,
    /// Streams that applications may come for, by the handles of their tokens.
    handles: HashMap<u64, u32>,
    /// Session and name of each playback.
    playback_of: KeyMap<PlaybackKey, (String, String)>,
    recording_of: KeyMap<RecordingKey, files::Buffer>,
    /// Streams that have something to write in this turn.
    dirty: Vec<u32>,
    scratch: Scratch,
    datagram: Box<[u8; MAX_DATAGRAM_BYTES]>,
    next_serial: u64,
    next_sweep: Time,
}

/// Start a worker's thread.
pub fn spawn(
    number: usize,
    services: Services,
    metrics: Arc<Metrics>,
) -> std::io::Result<(Mailbox, JoinHandle<()>)> {
    let poller = Poller::new()?;
    let (mailbox, tasks) = Mailbox::new(poller.waker());
    let mut shell = Shell {
        number,
        poller,
        tasks,
        mailbox: mailbox.clone(),
        metrics,
        services,
        is_shutting_down: false,
    };
    let thread = thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || supervise(&mut shell))?;
    Ok((mailbox, thread))
}

/// Run workers one after the other until one ends in order.
fn supervise(shell: &mut Shell) {
    loop {
        let ended = catch_unwind(AssertUnwindSafe(|| Worker::new(shell).run()));
        let reason = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => media::panic_message(&*panic),
        };
        bury(shell, reason);
        if shell.is_shutting_down {
            return;
        }
    }
}

/// Tell that the worker died: of its sessions and recordings, and of every command that still waited.
fn bury(shell: &mut Shell, reason: String) {
    tracing::error!(worker = shell.number, reason, "worker died and is replaced");
    while let Ok(task) = shell.tasks.try_recv() {
        shell.is_shutting_down |= matches!(task, Task::Shutdown);
    }
    count(&shell.metrics.deaths);
    shell.metrics.sessions.store(0, Ordering::Relaxed);
    shell.metrics.streams.store(0, Ordering::Relaxed);
    shell.services.recorder.abandon(shell.number);
    shell.services.directory.remove_worker(shell.number);
    let sessions = shell.services.placement.remove_worker(shell.number);
    shell
        .services
        .observer
        .worker_died(shell.number, sessions, reason);
}

impl<'a> Worker<'a> {
    fn new(shell: &'a mut Shell) -> Self {
        let mut random = RandomPool::new();
        let seed = u64::from_ne_bytes(random.take());
        Self {
            shell,
            engine: Engine::new(EngineConfig::new(seed, clock::ntp_at_zero())),
            random,
            sessions: HashMap::new(),
            legs: Slab::new(),
            leg_of: KeyMap::default(),
            streams: Slab::new(),
            stream_of: KeyMap::default(),
            handles: HashMap::new(),
            playback_of: KeyMap::default(),
            recording_of: KeyMap::default(),
            dirty: Vec::new(),
            scratch: Scratch::new(),
            datagram: Box::new([0; MAX_DATAGRAM_BYTES]),
            next_serial: 0,
            next_sweep: Time(0),
        }
    }

    /// Take turns until shut down. An error is one of epoll, after which nothing can be served.
    fn run(&mut self) -> std::io::Result<()> {
        // A predecessor may have died with a wake-up taken but its tasks not done.
        self.shell.mailbox.wake();
        while !(self.shell.is_shutting_down && self.streams.is_empty()) {
            self.wait()?;
            self.turn();
        }
        Ok(())
    }

    /// Sleep to the next tick, so that all that is ready by then is served together; then, if nothing is due or ready,
    /// wait until something is. Two system calls a tick under load.
    fn wait(&mut self) -> std::io::Result<()> {
        clock::sleep_until(clock::next_tick(clock::now()));
        loop {
            let now = clock::now();
            let deadline = self.deadline();
            if let Some(near) = deadline.filter(|deadline| deadline.micros_since(now) < NEAR_US) {
                if near > now {
                    clock::sleep_until(near);
                }
                self.shell.poller.wait(Some(0))?;
                return Ok(());
            }
            // Rounded to the nearest millisecond: what is left of an early end is less than `NEAR_US`.
            let left_ms = deadline.map(|deadline| (deadline.micros_since(now) + NEAR_US) / clock::TICK_US);
            if self.shell.poller.wait(left_ms)? {
                return Ok(());
            }
        }
    }

    /// When the next turn must be taken, whatever comes. Sessions have frames all the time; streams that outlive theirs
    /// have only the sweep.
    fn deadline(&self) -> Option<Time> {
        let sweep = (!self.streams.is_empty()).then_some(self.next_sweep);
        self.engine.next_timeout().or(sweep)
    }

    fn turn(&mut self) {
        let now = clock::now();
        self.count_tick(now);
        self.serve_ready(now);
        self.engine.handle_timeout(now);
        self.relay(now);
        if now >= self.next_sweep {
            self.next_sweep = Time::from_tick(now.tick() + SWEEP_MS);
            self.sweep_streams(now);
        }
        self.flush_dirty(now);
    }

    fn count_tick(&self, now: Time) {
        let metrics = &self.shell.metrics;
        count(&metrics.ticks);
        if self
            .engine
            .next_timeout()
            .is_some_and(|due| now.micros_since(due) > LATE_US)
        {
            count(&metrics.late_ticks);
        }
        metrics
            .sessions
            .store(self.sessions.len() as u64, Ordering::Relaxed);
        metrics
            .streams
            .store(self.stream_of.len() as u64, Ordering::Relaxed);
    }

    /// Read every socket that is ready. Tasks come last: they open sockets, and a new socket may get the place of one
    /// that this very list still names.
    fn serve_ready(&mut self, now: Time) {
        let mut has_tasks = false;
        let mut position = 0;
        while let Some(ready) = self.shell.poller.ready(position) {
            position += 1;
            match ready.token {
                Token::Wake => has_tasks = true,
                // Another thread's.
                Token::Listener => {}
                Token::Rtp(index) => self.receive_rtp(now, index),
                Token::Rtcp(index) => self.receive_rtcp(now, index),
                Token::Stream(index) => self.serve_stream(now, index, ready),
            }
        }
        if has_tasks {
            self.shell.poller.clear_wake();
            self.perform_tasks(now);
        }
    }

    fn perform_tasks(&mut self, now: Time) {
        for _ in 0..MAX_TASKS {
            let Ok(task) = self.shell.tasks.try_recv() else {
                return;
            };
            match task {
                Task::Execute(command, reply) => self.execute(now, *command, reply),
                Task::Resolved { socket, resolved } => self.resolved(now, socket, resolved),
                Task::Loaded {
                    session,
                    playback,
                    serial,
                    loaded,
                } => {
                    self.playback_loaded(now, &session, &playback, serial, loaded);
                }
                Task::FileOpened {
                    session,
                    recording,
                    file,
                    opened,
                } => {
                    self.recording_opened(now, &session, &recording, file, opened);
                }
                Task::Arrived(arrival) => self.arrived(now, *arrival),
                Task::Shutdown => self.shut_down(now),
                Task::Panic => panic!("asked for by debug.panic"),
            }
        }
        self.shell.mailbox.wake();
    }

    fn tell(&self, session: &str, event: Event) {
        let notice = Notice {
            session: session.to_string(),
            at: clock::unix_seconds(),
            event,
        };
        self.shell.services.observer.notice(notice);
    }

    fn new_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }
}
