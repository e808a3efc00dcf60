//! The control side of a run: starts the media server, opens calls, reads statistics.
//! The protocol is `docs/reference/control-protocol.md`.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::Process;

/// A media server of our own, ended with this value.
pub struct MediaServer {
    /// The program itself.
    pub process: Process,
    socket: UnixStream,
    next_id: u64,
    /// Streams that have connected so far: their events arrive between the answers.
    connected: usize,
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
            connected: 0,
            folder,
        };
        server.command("hello", json!({ "version": 1 }))?;
        Ok(server)
    }

    /// Opens a call between `phone` and `application`; answers the address that the phone sends to.
    pub fn open_call(
        &mut self,
        call: usize,
        phone: SocketAddr,
        application: SocketAddr,
        chunk_ms: u32,
    ) -> Result<SocketAddr> {
        let session = format!("call-{call}");
        let opened = self.command("leg.open", json!({ "session": session, "leg": "phone" }))?;
        self.command(
            "leg.connect",
            json!({
                "session": session, "leg": "phone", "rtp": phone.to_string(), "rtcp": null, 
                "payload_types": [{"payload_type": 0, "codec": "PCMU"}], "telephone_event": null, "direction": "sendrecv", "rtcp_mux": false,
            }),
        )?;
        self.command(
            "stream.open",
            json!({
                "session": session, "stream": "echo", "url": format!("ws://{application}/{call}"), "dialect": "teler",
                "chunk_ms": chunk_ms, "rate_hz": 8000, "account_id": "acc_bench", "call_app_id": "va_bench",
                "call_id": format!("cs_{call}"), "stream_id": format!("ms_{call}"),
            }),
        )?;
        let address = opened["rtp"].as_str().unwrap_or_default();
        address
            .parse()
            .map_err(|_| Error::new(ErrorKind::InvalidData, format!("not an address: {opened}")))
    }

    /// Waits until every stream has reached the application.
    pub fn wait_for_streams(&mut self, streams: usize) -> Result<()> {
        while self.connected < streams {
            let message = self.read()?;
            self.note(&message)?;
        }
        Ok(())
    }

    /// What the media server counted of one call.
    pub fn stats(&mut self, call: usize) -> Result<Value> {
        let mut ok = self.command("session.stats", json!({ "session": format!("call-{call}") }))?;
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

    fn command(&mut self, name: &str, mut fields: Value) -> Result<Value> {
        self.next_id += 1;
        fields["id"] = json!(self.next_id);
        fields["cmd"] = json!(name);
        let body = serde_json::to_vec(&fields)?;
        self.socket
            .write_all(&u32::try_from(body.len()).map_err(Error::other)?.to_be_bytes())?;
        self.socket.write_all(&body)?;
        loop {
            let mut message = self.read()?;
            if message["re"] == json!(self.next_id) {
                return match message.get("error") {
                    Some(error) => Err(Error::other(format!("{name}: {error}"))),
                    None => Ok(message["ok"].take()),
                };
            }
            self.note(&message)?;
        }
    }

    fn note(&mut self, message: &Value) -> Result<()> {
        match message["event"].as_str() {
            Some("stream.connected") => self.connected += 1,
            Some("stream.closed") => return Err(Error::other(format!("a stream was closed: {message}"))),
            _ => {}
        }
        Ok(())
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
