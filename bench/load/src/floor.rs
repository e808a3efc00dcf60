//! The floor of a run: `bench/floor`, which does to sockets what the media server does, and nothing else.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::dialect::Dialect;
use crate::process::Process;

/// Starts it with `calls` calls whose messages have the sizes of the dialect's; answers it and the addresses that the
/// phones send to. `message` is the length of a message of the media server.
pub fn start(
    program: &Path,
    calls: usize,
    phone: SocketAddr,
    application: SocketAddr,
    dialect: Dialect,
    message: usize,
) -> Result<(Process, Vec<SocketAddr>)> {
    let audio_at = dialect
        .audio_at(dialect.opcode(), message)
        .ok_or_else(|| Error::other("no message of audio is so short"))?;
    let mut command = Command::new(program);
    for (name, value) in [
        ("--calls", calls),
        ("--message-bytes", message),
        ("--audio-at", audio_at),
        ("--answer-audio-at", dialect.answer().1),
        ("--opcode", usize::from(dialect.opcode())),
    ] {
        command.args([name, &value.to_string()]);
    }
    command
        .args([
            "--phone",
            &phone.to_string(),
            "--application",
            &application.to_string(),
        ])
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
