//! The control side of a run: starts the media server, opens calls, reads statistics.
//! The protocol is `docs/reference/control-protocol.md`.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clock;
use crate::dialect::Dialect;
use crate::process::Process;

/// Calls opened in one round of 20 ms.
const PHASE_ROUND: usize = 100;
/// The least delay of the jitter buffers: what is measured is the cost of calls, and a generator that is held up for less
/// than this on its busy core is no network to adapt to.
const JITTER_MIN_MS: u32 = 60;
/// Calls whose commands wait for answers at once.
const BATCH: usize = 250;

fn session(call: usize) -> String {
    format!("call-{call}")
}

/// A media server of our own, ended with this value.
pub struct MediaServer {
    /// The program itself.
    pub process: Process,
    socket: UnixStream,
    next_id: u64,
    folder: std::path::PathBuf,
}

impl MediaServer {
    /// Starts the program, with so many workers or as many as it thinks fit, and shakes hands with it.
    pub fn start(program: &Path, workers: Option<usize>) -> Result<MediaServer> {
        let folder = std::env::temp_dir().join(format!("longline-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("media.sock");
        let mut command = Command::new(program);
        command
            .arg("--socket")
            .arg(&path)
            .args(["--rtp-address", "127.0.0.1", "--rtp-ports", "20000-29999"])
            .args(["--exit-with-parent", "--log", "warn"])
            .args(workers.map(|workers| format!("--workers={workers}")))
            .stdin(Stdio::piped());
        let process = Process::start(program, &mut command)?;
        let deadline = Instant::now() + Duration::from_secs(5);
        let socket = loop {
            match UnixStream::connect(&path) {
                Ok(socket) => break socket,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut server = MediaServer {
            process,
            socket,
            next_id: 0,
            folder,
        };
        server.command("hello", json!({ "version": 2 }))?;
        Ok(server)
    }

    /// Opens calls between `phone` and `application`; answers the addresses that the phone sends to. They are opened over
    /// time, since a session's frames fall on the tick of its birth: so their phases are spread as the packets' are.
    pub fn open_calls(
        &mut self,
        calls: usize,
        phone: SocketAddr,
        application: SocketAddr,
        dialect: Dialect,
    ) -> Result<Vec<SocketAddr>> {
        let mut addresses = Vec::with_capacity(calls);
        let first = clock::now();
        for call in 0..calls {
            // So many rounds of 20 ms as make room for the answers, each over all phases.
            let round = (call / PHASE_ROUND) as u64 * clock::FRAME_NS;
            let phase = (call % PHASE_ROUND) as u64 * clock::FRAME_NS / calls.min(PHASE_ROUND) as u64;
            clock::sleep_until(first + round + phase);
            self.send("leg.open", json!({ "session": session(call), "leg": "phone" }))?;
        }
        for call in 0..calls {
            let opened = self.answer("leg.open")?;
            let address = opened["rtp"].as_str().unwrap_or_default();
            addresses.push(
                address
                    .parse()
                    .map_err(|_| Error::new(ErrorKind::InvalidData, format!("call {call}: {opened}")))?,
            );
        }
        for first in (0..calls).step_by(BATCH) {
            let batch = first..calls.min(first + BATCH);
            for call in batch.clone() {
                self.send(
                    "leg.connect",
                    json!({
                        "session": session(call), "leg": "phone", "rtp": phone.to_string(), "rtcp": null,
                        "payload_types": [{"payload_type": 0, "codec": "PCMU"}], "telephone_event": null,
                        "jitter": {"min_ms": JITTER_MIN_MS, "max_ms": 200},
                        "direction": "sendrecv", "rtcp_mux": false,
                    }),
                )?;
                self.send(
                    "stream.open",
                    json!({
                        "session": session(call), "stream": "echo", "url": format!("ws://{application}/{call}"),
                        "dialect": dialect.name(), "chunk_ms": 20, "rate_hz": 8000, "account_id": "acc_bench",
                        "call_app_id": "va_bench", "call_id": format!("cs_{call}"), "stream_id": format!("ms_{call}"),
                    }),
                )?;
            }
            for _ in batch {
                self.answer("leg.connect")?;
                self.answer("stream.open")?;
            }
        }
        Ok(addresses)
    }

    /// What the media server counted of one call.
    pub fn stats(&mut self, call: usize) -> Result<Value> {
        let mut ok = self.command("session.stats", json!({ "session": session(call) }))?;
        Ok(ok["stats"].take())
    }

    /// How many of its workers carry calls, and how many there are.
    pub fn workers(&mut self) -> Result<(usize, usize)> {
        let stats = self.command("stats", json!({}))?;
        let workers = stats["workers"].as_array().map_or(&[][..], Vec::as_slice);
        let busy = workers
            .iter()
            .filter(|worker| worker["sessions"].as_u64() > Some(0));
        Ok((busy.count(), workers.len()))
    }

    fn command(&mut self, name: &str, fields: Value) -> Result<Value> {
        self.send(name, fields)?;
        self.answer(name)
    }

    fn send(&mut self, name: &str, mut fields: Value) -> Result<()> {
        self.next_id += 1;
        fields["id"] = json!(self.next_id);
        fields["cmd"] = json!(name);
        let body = serde_json::to_vec(&fields)?;
        let length = u32::try_from(body.len()).map_err(Error::other)?;
        self.socket
            .write_all(&[&length.to_be_bytes()[..], &body].concat())
    }

    /// The next answer: those of sessions on one worker come in order.
    fn answer(&mut self, name: &str) -> Result<Value> {
        loop {
            let mut message = self.read()?;
            if message.get("re").is_some() {
                return match message.get("error") {
                    Some(error) => Err(Error::other(format!("{name}: {error}"))),
                    None => Ok(message["ok"].take()),
                };
            }
            if message["event"] == "stream.closed" {
                return Err(Error::other(format!("a stream was closed: {message}")));
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.socket.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}

impl Drop for MediaServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
