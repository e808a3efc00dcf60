//! The program under test and a control connection to it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A running server; killed and its directory removed in the end.
pub struct Server {
    pub child: Child,
    pub dir: PathBuf,
    pub control: Control,
}

impl Server {
    /// Start with these further arguments and say hello.
    pub fn start(arguments: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("longline-media-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let child = spawn(&dir.join("control.sock"), arguments);
        let control = Control::greeted(&dir.join("control.sock"));
        Self { child, dir, control }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// Wait until the program has exited.
    pub fn exit_status(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the server does not exit");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The program on a socket of its own.
pub fn spawn(socket: &Path, arguments: &[&str]) -> Child {
    let mut all = vec!["--exit-with-parent", "--log", "error"];
    if !arguments.contains(&"--rtp-ports") {
        all.extend(["--rtp-ports", "10000-17999"]);
    }
    Command::new(env!("CARGO_BIN_EXE_longline-media"))
        .arg("--socket")
        .arg(socket)
        .args(all)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A control connection.
pub struct Control {
    pub socket: UnixStream,
    next_id: u64,
    events: VecDeque<Value>,
}

impl Control {
    /// Connect, as soon as the server listens.
    pub fn connect(path: &Path) -> Self {
        let start = Instant::now();
        let socket = loop {
            match UnixStream::connect(path) {
                Ok(socket) => break socket,
                Err(error) => assert!(start.elapsed() < PATIENCE, "the server does not listen: {error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Self {
            socket,
            next_id: 0,
            events: VecDeque::new(),
        }
    }

    /// Connect and say hello.
    pub fn greeted(path: &Path) -> Self {
        let mut control = Self::connect(path);
        control.ok("hello", json!({"version": 2}));
        control
    }

    /// Send a command; returns its number.
    pub fn send(&mut self, name: &str, mut fields: Value) -> u64 {
        self.next_id += 1;
        fields["id"] = json!(self.next_id);
        fields["cmd"] = json!(name);
        self.send_raw(fields.to_string().as_bytes());
        self.next_id
    }

    pub fn send_raw(&mut self, body: &[u8]) {
        let mut frame = (body.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        self.socket.write_all(&frame).unwrap();
    }

    /// The answer to a command, whole.
    pub fn answer(&mut self, id: u64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.read(deadline).expect("no answer");
            if message.get("event").is_some() {
                self.events.push_back(message);
            } else {
                assert_eq!(message["re"], id);
                return message;
            }
        }
    }

    /// Do a command that must succeed.
    #[track_caller]
    pub fn ok(&mut self, name: &str, fields: Value) -> Value {
        let id = self.send(name, fields);
        let answer = self.answer(id);
        assert!(answer.get("ok").is_some(), "{name}: {answer}");
        answer["ok"].clone()
    }

    /// Do a command that must fail; the error's code.
    #[track_caller]
    pub fn refused(&mut self, name: &str, fields: Value) -> String {
        let id = self.send(name, fields);
        let answer = self.answer(id);
        assert!(
            !answer["error"]["message"].as_str().unwrap_or_default().is_empty(),
            "{name}: {answer}"
        );
        answer["error"]["code"].as_str().unwrap().to_string()
    }

    /// The next event of this name; events of other names stay for later.
    #[track_caller]
    pub fn event(&mut self, name: &str) -> Value {
        self.event_within(name, PATIENCE)
            .unwrap_or_else(|| panic!("no {name}; there are {:?}", self.events))
    }

    /// The same with another patience; `None` when it does not come.
    pub fn event_within(&mut self, name: &str, patience: Duration) -> Option<Value> {
        let deadline = Instant::now() + patience;
        if let Some(position) = self.events.iter().position(|event| event["event"] == name) {
            return self.events.remove(position);
        }
        while let Some(message) = self.read(deadline) {
            if message["event"] == name {
                return Some(message);
            }
            self.events.push_back(message);
        }
        None
    }

    /// One frame; `None` when none comes in time or the connection has ended.
    fn read(&mut self, deadline: Instant) -> Option<Value> {
        let mut length = [0; 4];
        self.read_exact(&mut length, deadline)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.read_exact(&mut body, Instant::now() + PATIENCE)?;
        Some(serde_json::from_slice(&body).unwrap())
    }

    fn read_exact(&mut self, buffer: &mut [u8], deadline: Instant) -> Option<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = deadline
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.socket.read(&mut buffer[filled..]) {
                Ok(0) => return None,
                Ok(count) => filled += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= deadline && filled == 0 {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
        Some(())
    }

    /// Whether the server has closed the connection.
    pub fn is_closed_by_server(&mut self) -> bool {
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        !matches!(self.socket.read_to_end(&mut rest),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Open a stream of 20 ms chunks to a URL.
    #[track_caller]
    pub fn open_stream(&mut self, session: &str, stream: &str, url: &str) {
        self.ok("stream.open", stream_open(session, stream, url));
    }

    /// The end of a stream, and that there is no second one.
    #[track_caller]
    pub fn closed(&mut self, stream: &str) -> Value {
        let event = self.event("stream.closed");
        assert_eq!(event["stream"], stream);
        assert!(event["stats"]["send_dropped"].is_u64());
        let session = event["session"].as_str().unwrap();
        assert_eq!(
            self.refused("stream.close", json!({"session": session, "stream": stream})),
            "unknown_stream"
        );
        assert_eq!(
            self.event_within("stream.closed", Duration::from_millis(100)),
            None
        );
        event
    }
}

/// The fields of `stream.open`.
pub fn stream_open(session: &str, stream: &str, url: &str) -> Value {
    json!({"session": session, "stream": stream, "url": url, "dialect": "teler", "chunk_ms": 20,
           "rate_hz": 8000, "account_id": "acc_1", "call_app_id": "va_1", "call_id": "cs_1", "stream_id": "ms_1"})
}
