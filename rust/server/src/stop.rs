//! Why the program stops: a signal, a command, or the end of its standard input.

use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Why the program stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// SIGTERM or SIGINT.
    Signal(i32),
    /// The command `shutdown`.
    Command,
    /// The end of standard input: whoever started us has gone.
    EndOfInput,
}

impl fmt::Display for StopReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(SIGTERM) => formatter.write_str("SIGTERM"),
            Self::Signal(_) => formatter.write_str("SIGINT"),
            Self::Command => formatter.write_str("shutdown command"),
            Self::EndOfInput => formatter.write_str("standard input ended"),
        }
    }
}

/// Stop at SIGTERM or SIGINT.
pub fn on_signals(stopper: Sender<StopReason>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if stopper.send(StopReason::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Stop when standard input ends; what comes on it is ignored.
pub fn on_end_of_input(stopper: Sender<StopReason>) -> io::Result<()> {
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut ignored = [0; 256];
        let mut input = io::stdin().lock();
        loop {
            match input.read(&mut ignored) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        // The receiver is gone only when the program stops already.
        let _ = stopper.send(StopReason::EndOfInput);
    })?;
    Ok(())
}
