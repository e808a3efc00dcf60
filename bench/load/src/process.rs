//! A program of a run, ended with its value, and what the kernel knows of it.

use std::io::{Error, Result};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// A child process.
pub struct Process(pub Child);

impl Process {
    /// Starts `command`, which is for `program`.
    pub fn start(program: &Path, command: &mut Command) -> Result<Process> {
        let child = command
            .spawn()
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", program.display())))?;
        Ok(Process(child))
    }

    /// CPU time of all its threads so far.
    pub fn cpu_time(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let nanoseconds = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let line = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            line.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Memory it holds now, in kB.
    pub fn resident_kb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .ok_or_else(|| Error::other("the kernel tells no VmRSS"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
