//! Control's way in: the Unix socket, the connections, and what each command does.
//!
//! One connection is attached at a time: the last that said `hello`. It gets the events; the one before it is closed.
//! Without any, sessions go on and events are counted and dropped.

use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use runtime::clock;
use runtime::command::{Action, Command, Refusal, Reply};
use runtime::event::{Notice, Observer};
use runtime::node::Node;
use serde_json::{Value, json};

use crate::args::Args;
use crate::connection::{Connection, Outgoing};
use crate::protocol::{self, Request, VERSION};
use crate::stop::StopReason;
use crate::{framing, report};

/// Connections at once. Rule when full: a further one is closed unread.
const MAX_CONNECTIONS: usize = 8;
/// How long a connection may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptor is left), the time until the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where events go.
#[derive(Default)]
pub struct Hub {
    attached: Mutex<Option<Arc<Connection>>>,
    events_dropped: AtomicU64,
}

impl Hub {
    /// Events go to this connection from now on; the one before is closed.
    fn attach(&self, connection: &Arc<Connection>) {
        let before = self.lock().replace(connection.clone());
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, connection)) {
            before.close();
        }
    }

    /// This connection has ended.
    fn detach(&self, connection: &Arc<Connection>) {
        let mut attached = self.lock();
        if attached
            .as_ref()
            .is_some_and(|attached| Arc::ptr_eq(attached, connection))
        {
            *attached = None;
        }
    }

    /// Let control read what it has not, then close.
    pub fn end(&self) {
        let attached = self.lock().take();
        if let Some(connection) = attached {
            connection.finish();
        }
    }

    /// Tell control. The lock is held for a push into a queue, never for a write.
    fn tell(&self, message: Outgoing) {
        let mut attached = self.lock();
        let is_sent = attached
            .as_ref()
            .is_some_and(|connection| connection.send(message));
        if !is_sent {
            self.events_dropped.fetch_add(1, Ordering::Relaxed);
            if attached.take().is_some() {
                tracing::error!("control does not read its events: its connection is closed");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Hub {
    fn notice(&self, notice: Notice) {
        self.tell(Outgoing::Notice(Box::new(notice)));
    }

    fn worker_died(&self, worker: usize, sessions: Vec<String>, reason: String) {
        let event = report::worker_died(clock::unix_seconds(), worker, &sessions, &reason);
        self.tell(Outgoing::Ready(event));
    }
}

/// All that a command may need.
pub struct Control {
    pub args: Args,
    pub node: Arc<Node>,
    pub hub: Arc<Hub>,
    stopper: Sender<StopReason>,
}

/// The socket file; removed in the end.
pub struct SocketFile(PathBuf);

impl SocketFile {
    /// Remove it.
    pub fn remove(self) {
        let _ = fs::remove_file(self.0);
    }
}

impl Control {
    /// Everything wired together.
    pub fn new(args: Args, node: Arc<Node>, hub: Arc<Hub>, stopper: Sender<StopReason>) -> Arc<Self> {
        Arc::new(Self {
            args,
            node,
            hub,
            stopper,
        })
    }

    /// Listen on the socket and serve each connection on a thread of its own.
    pub fn listen(self: &Arc<Self>) -> Result<SocketFile, String> {
        let path = self.args.socket.clone();
        let listener = bind(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let control = self.clone();
        thread::Builder::new()
            .name("control-listener".into())
            .spawn(move || control.accept(&listener))
            .map_err(|error| error.to_string())?;
        Ok(SocketFile(path))
    }

    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        let open = Arc::new(AtomicUsize::new(0));
        for socket in listener.incoming() {
            let Ok(socket) = socket else {
                thread::sleep(ACCEPT_PAUSE);
                continue;
            };
            if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
                open.fetch_sub(1, Ordering::Relaxed);
                tracing::warn!("a control connection over the limit of {MAX_CONNECTIONS} is closed");
                continue;
            }
            let (control, serving) = (self.clone(), open.clone());
            let serve = move || {
                if let Err(error) = control.serve(&socket) {
                    tracing::warn!(%error, "control connection failed");
                }
                serving.fetch_sub(1, Ordering::Relaxed);
            };
            if let Err(error) = thread::Builder::new().name("control-reader".into()).spawn(serve) {
                open.fetch_sub(1, Ordering::Relaxed);
                tracing::error!(%error, "a control connection cannot be served");
            }
        }
    }

    fn serve(&self, socket: &UnixStream) -> io::Result<()> {
        let connection = Arc::new(Connection::start(socket)?);
        let served = self.read_commands(socket, &connection);
        self.hub.detach(&connection);
        connection.close();
        served
    }

    fn read_commands(&self, socket: &UnixStream, connection: &Arc<Connection>) -> io::Result<()> {
        socket.set_read_timeout(Some(HELLO_TIMEOUT))?;
        let mut reader = BufReader::new(socket);
        let mut body = Vec::new();
        let mut is_greeted = false;
        while framing::read(&mut reader, &mut body)? {
            let numbered = protocol::parse(&body);
            let id = numbered.id;
            match numbered.request {
                Err(refusal) => refuse(connection, id, refusal),
                Ok(Request::Hello { version: VERSION }) => {
                    socket.set_read_timeout(None)?;
                    is_greeted = true;
                    self.hub.attach(connection);
                    connection.send(Outgoing::Ready(report::done(&id, self.greeting())));
                }
                Ok(Request::Hello { version }) => {
                    let why = format!("this server speaks version {VERSION}, not {version}");
                    refuse(connection, id, Refusal::new("bad_request", why));
                }
                Ok(_) if !is_greeted => {
                    refuse(
                        connection,
                        id,
                        Refusal::new("bad_request", "the first command is hello"),
                    );
                }
                Ok(request) => self.perform(connection, id, request),
            }
        }
        Ok(())
    }

    fn greeting(&self) -> Value {
        json!({
            "version": VERSION, "pid": std::process::id(), "workers": self.node.worker_count(),
            "server": concat!("longline-media/", env!("CARGO_PKG_VERSION")),
            "stream_listen": self.node.listener().map(|(address, _)| address.to_string()),
        })
    }

    fn perform(&self, connection: &Arc<Connection>, id: Value, request: Request) {
        let done = |id: &Value, ok: Value| {
            connection.send(Outgoing::Ready(report::done(id, ok)));
        };
        match request {
            Request::Stats {} => {
                let dropped = self.hub.events_dropped.load(Ordering::Relaxed);
                done(&id, report::server(&self.node, dropped));
            }
            Request::Shutdown {} => {
                done(&id, json!({}));
                let _ = self.stopper.send(StopReason::Command);
            }
            Request::DebugPanic { worker, session } => {
                let bad = |why: &str| Refusal::new("bad_request", why);
                match (self.args.debug_commands, worker, session) {
                    (false, _, _) => refuse(connection, id, bad("debug commands are not allowed")),
                    (_, Some(worker), None) if self.node.panic_worker(worker) => done(&id, json!({})),
                    (_, Some(_), None) => refuse(connection, id, bad("there is no such worker")),
                    (_, None, Some(session)) => {
                        let action = Action::BreakSession;
                        let session = session.into_string();
                        self.execute(connection, id, Command { session, action });
                    }
                    _ => refuse(connection, id, bad("debug.panic names a worker or a session")),
                }
            }
            request => match request.into_command() {
                Ok(Some(command)) => self.execute(connection, id, command),
                Ok(None) => {}
                Err(refusal) => refuse(connection, id, refusal),
            },
        }
    }

    fn execute(&self, connection: &Arc<Connection>, id: Value, mut command: Command) {
        if let (Action::StartRecording { file, .. }, Some(dir)) =
            (&mut command.action, &self.args.recordings_dir)
        {
            // An absolute path replaces the directory.
            file.path = dir.join(&file.path);
        }
        let connection = connection.clone();
        let reply = Reply::new(move |outcome| {
            connection.send(Outgoing::Answer(Box::new((id, outcome))));
        });
        self.node.execute(command, reply);
    }
}

fn refuse(connection: &Connection, id: Value, refusal: Refusal) {
    connection.send(Outgoing::Answer(Box::new((id, Err(refusal)))));
}

/// Bind the socket for its owner alone. A file left by a server that is no more is removed; one in use is not.
fn bind(path: &PathBuf) -> io::Result<UnixListener> {
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file that is not a socket",
            ));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another server listens there",
            ));
        }
        fs::remove_file(path)?;
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
