//! The node: its workers and helpers, and the way of a command to the worker of its session.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use media::vad::silero::Model;

use crate::command::{Action, Command, Refusal, Reply};
use crate::event::Observer;
use crate::listener::{Directory, ListenConfig, Listener, ListenerReport};
use crate::loader::Loader;
use crate::placement::Placement;
use crate::recorder::Recorder;
use crate::resolver::Resolver;
use crate::tls::{self, TlsConfigError};
use crate::udp::RtpPorts;
use crate::worker::{self, Mailbox, Metrics, Services, Task};

/// How a node is made.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Threads that carry sessions.
    pub workers: usize,
    /// The local addresses of legs; the first is for legs that name no family.
    pub rtp_addresses: Vec<IpAddr>,
    /// The ports of all legs.
    pub rtp_ports: RangeInclusive<u16>,
    /// Certificate authorities beside the system's, PEM.
    pub ca_files: Vec<PathBuf>,
    /// Silero's weights, if there are any.
    pub silero: Option<Arc<Model>>,
    /// The patience of streams.
    pub timeouts: StreamTimeouts,
    /// Where applications may dial in.
    pub stream_listen: Option<ListenConfig>,
}

/// How long a stream waits for its application, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamTimeouts {
    /// For the connection, TLS and the upgrade together.
    pub connect_ms: u64,
    /// For the application to take anything of what waits for it.
    pub stall_ms: u64,
    /// Between two pings; two without an answer are enough.
    pub ping_ms: u64,
}

impl Default for StreamTimeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            stall_ms: 10_000,
            ping_ms: 15_000,
        }
    }
}

/// Why a node cannot start.
#[derive(Debug)]
pub enum StartError {
    /// A CA file is of no use.
    Tls(TlsConfigError),
    /// A thread or an epoll cannot be made.
    Io(io::Error),
    /// The address for applications that dial in cannot be used.
    Listen(io::Error),
    /// The range of ports holds no pair.
    NoPorts,
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(formatter),
            Self::Io(error) => write!(formatter, "a thread cannot be started: {error}"),
            Self::Listen(error) => write!(formatter, "applications cannot dial in: {error}"),
            Self::NoPorts => {
                formatter.write_str("the range of RTP ports holds no even port and the one after it")
            }
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a worker has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// Sessions open now.
    pub sessions: u64,
    /// Streams open or being dialled now.
    pub streams: u64,
    /// Turns taken.
    pub ticks: u64,
    /// Turns that began more than 5 ms after frames were due.
    pub late_ticks: u64,
    /// Datagrams the kernel did not take.
    pub send_failed: u64,
    /// Times it died and was replaced.
    pub deaths: u64,
}

/// A running node.
pub struct Node {
    mailboxes: Vec<Mailbox>,
    metrics: Vec<Arc<Metrics>>,
    placement: Arc<Placement>,
    ports: Arc<RtpPorts>,
    listener: Option<Listener>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    is_shutting_down: AtomicBool,
}

impl Node {
    /// Start all threads.
    pub fn start(config: &NodeConfig, observer: Arc<dyn Observer>) -> Result<Self, StartError> {
        let ports = Arc::new(RtpPorts::new(&config.rtp_addresses, &config.rtp_ports));
        if ports.available() == 0 {
            return Err(StartError::NoPorts);
        }
        let placement = Arc::new(Placement::new(config.workers));
        let (recorder, recorder_thread) = Recorder::start(observer.clone())?;
        let directory = Arc::new(Directory::default());
        let services = Services {
            observer,
            placement: placement.clone(),
            ports: ports.clone(),
            tls: tls::client_config(&config.ca_files).map_err(StartError::Tls)?,
            resolver: Resolver::start()?,
            loader: Loader::start()?,
            recorder,
            timeouts: config.timeouts,
            directory: directory.clone(),
            silero: config.silero.clone(),
        };
        let metrics: Vec<Arc<Metrics>> = (0..config.workers).map(|_| Arc::default()).collect();
        let mut mailboxes = Vec::new();
        let mut threads = Vec::new();
        for (number, metrics) in metrics.iter().enumerate() {
            let (mailbox, thread) = worker::spawn(number, services.clone(), metrics.clone())?;
            mailboxes.push(mailbox);
            threads.push(thread);
        }
        let listener = match &config.stream_listen {
            Some(listen) => Some(start_listener(listen, directory, mailboxes.clone())?),
            None => None,
        };
        // The recorder ends when the last worker has let go of it: it is joined last.
        threads.push(recorder_thread);
        Ok(Self {
            mailboxes,
            metrics,
            placement,
            ports,
            listener,
            threads: threads.into(),
            is_shutting_down: AtomicBool::new(false),
        })
    }

    /// Give a command to the worker of its session. The reply comes on a worker's thread, in the order of the commands
    /// of one session but for those that wait for a file.
    pub fn execute(&self, command: Command, reply: Reply) {
        if self.is_shutting_down.load(Ordering::Relaxed) {
            return reply.send(Err(Refusal::new(
                "shutting_down",
                "the media server is shutting down",
            )));
        }
        let (worker, is_new) = match command.action {
            Action::OpenLeg { .. } => self.placement.find_or_place(&command.session),
            _ => match self.placement.find(&command.session) {
                Some(worker) => (worker, false),
                None => return reply.send(Err(media::CommandError::UnknownSession.into())),
            },
        };
        let task = Task::Execute(Box::new(command), reply);
        if let Err(Task::Execute(command, reply)) = self.mailboxes[worker].try_post(task) {
            if is_new {
                self.placement.remove(&command.session);
            }
            reply.send(Err(Refusal::new(
                "limit_reached",
                "too many commands wait for the worker",
            )));
        }
    }

    /// Make a worker panic, for tests. False: there is no such worker.
    pub fn panic_worker(&self, worker: usize) -> bool {
        self.mailboxes
            .get(worker)
            .is_some_and(|mailbox| mailbox.try_post(Task::Panic).is_ok())
    }

    /// How many workers there are.
    pub fn worker_count(&self) -> usize {
        self.mailboxes.len()
    }

    /// What each worker has seen.
    pub fn workers(&self) -> Vec<WorkerReport> {
        let report = |metrics: &Arc<Metrics>| metrics.report();
        self.metrics.iter().map(report).collect()
    }

    /// Where applications may dial in, and what has come of it.
    pub fn listener(&self) -> Option<(SocketAddr, ListenerReport)> {
        let listener = self.listener.as_ref()?;
        Some((listener.address(), listener.report()))
    }

    /// The names of all sessions.
    pub fn sessions(&self) -> Vec<String> {
        self.placement.sessions()
    }

    /// Pairs of ports that legs could get now.
    pub fn free_port_pairs(&self) -> usize {
        self.ports.available()
    }

    /// Refuse commands from now on, close everything with 1001, and return when all recordings are complete and all
    /// threads have ended: about a second when an application does not answer.
    pub fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Relaxed);
        if let Some(listener) = &self.listener {
            listener.stop();
        }
        for mailbox in &self.mailboxes {
            mailbox.post(Task::Shutdown);
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread had panicked");
            }
        }
    }
}

fn start_listener(
    config: &ListenConfig,
    directory: Arc<Directory>,
    mailboxes: Vec<Mailbox>,
) -> Result<Listener, StartError> {
    let tls = config.tls.as_ref();
    let tls = tls.map(|(certificate, key)| tls::server_config(certificate, key));
    let tls = tls.transpose().map_err(StartError::Tls)?;
    Listener::start(config.address, tls, directory, mailboxes).map_err(StartError::Listen)
}
