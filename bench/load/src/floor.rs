//! The floor of a run: `bench/floor`, which does to sockets what the media server does, and nothing else.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::Process;

/// Starts it with `calls` calls; answers it and the addresses that the phones send to.
pub fn start(
    program: &Path,
    calls: usize,
    phone: SocketAddr,
    application: SocketAddr,
    message: &str,
) -> Result<(Process, Vec<SocketAddr>)> {
    let mut command = Command::new(program);
    command
        .args(["--calls", &calls.to_string(), "--phone", &phone.to_string()])
        .args(["--application", &application.to_string(), "--message", message])
        .stdout(Stdio::piped());
    let mut process = Process::start(program, &mut command)?;
    let stdout = process.0.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
    let mut addresses = Vec::with_capacity(calls);
    for line in BufReader::new(stdout).lines().take(calls) {
        addresses.push(line?.parse().map_err(Error::other)?);
    }
    if addresses.len() < calls {
        return Err(Error::other("the floor has ended"));
    }
    Ok((process, addresses))
}
