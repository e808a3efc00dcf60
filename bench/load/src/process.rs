//! A program of a run, ended with its value, and what the kernel knows of it; and who runs on which core.

use std::io::{Error, Result};
use std::path::Path;
use std::process::{Child, Command};

use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of what is measured.
pub const MEASURED_CORE: usize = 0;
/// The core of everything else, when there is another.
pub const OWN_CORE: usize = 1;

/// Moves this thread, and what it starts from now on, to a core; says so when there is no such core.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(error) = sched_setaffinity(None, &set) {
        eprintln!("not pinned to core {core}: {error}");
    }
}

/// A child process.
pub struct Process(pub Child);

impl Process {
    /// Starts `command`, which is for `program`, on the measured core.
    pub fn start(program: &Path, command: &mut Command) -> Result<Process> {
        pin(MEASURED_CORE);
        let child = command
            .spawn()
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", program.display())));
        pin(OWN_CORE);
        Ok(Process(child?))
    }

    /// CPU time of all its threads so far, user and system, in nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let nanoseconds = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let line = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            line.split(' ').next()?.parse::<u64>().ok()
        });
        nanoseconds.sum()
    }

    /// How much of its CPU time was spent outside the kernel.
    pub fn user_share(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        // Fields 14 and 15; the second is a name that may have spaces, in brackets.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = after_name.split_whitespace().skip(11);
        let mut next = || {
            fields
                .next()
                .and_then(|field| field.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        let (user, system) = (next(), next());
        user / (user + system).max(1.0)
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
