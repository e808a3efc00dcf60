//! The media server program: it carries the audio of calls and does what control tells it, over a Unix socket.
//!
//! The protocol is specified in `docs/reference/control-protocol.md`. This crate only speaks it: sessions, sockets and
//! threads that carry audio are `runtime`'s, and what is done with audio is `media`'s.

mod args;
mod connection;
mod control;
mod framing;
mod protocol;
mod report;
mod signals;
mod stop;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;

use clap::Parser;
use runtime::node::Node;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

use args::Args;
use control::{Control, Hub};

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = match EnvFilter::try_new(&args.log) {
        Ok(filter) => filter,
        Err(error) => return fail(&format!("--log: {error}")),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("longline-media: {why}");
    ExitCode::FAILURE
}

/// Serve until told to stop.
fn run(args: Args) -> Result<(), String> {
    raise_descriptor_limit();
    forbid_core_dumps();
    let (stopper, stops) = channel();
    stop::on_signals(stopper.clone()).map_err(|error| format!("signals cannot be handled: {error}"))?;
    let hub = Arc::new(Hub::default());
    let mut config = args.node_config();
    config.silero = signals::load_weights(args.silero_weights.as_deref())?;
    let node = Node::start(&config, hub.clone()).map_err(|error| error.to_string())?;
    let control = Control::new(args, Arc::new(node), hub, stopper.clone());
    let listener = control.listen()?;
    if control.args.exit_with_parent {
        stop::on_end_of_input(stopper)
            .map_err(|error| format!("standard input cannot be watched: {error}"))?;
    }
    tracing::info!(workers = control.node.worker_count(), "media server is ready");

    let reason = stops.recv().map_err(|error| error.to_string())?;
    tracing::info!(%reason, "media server stops");
    control.node.shut_down();
    control.hub.end();
    listener.remove();
    Ok(())
}

/// A core dump would hold the keys and the voices of every call.
fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be forbidden");
    }
}

/// A leg takes two descriptors and a stream one: the soft limit of 1024 would be 340 calls.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
