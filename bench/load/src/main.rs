//! Load on the media server, from outside: phones that send numbered frames over RTP, an application that echoes
//! them over WebSocket, and a stopwatch for what comes back. SIP takes no part: the calls are opened over the control
//! protocol, as `longline serve` opens them.
//!
//! Phones and application run in this process, whose CPU time is not in the figures. G.711 survives the way
//! through linear samples and back bit for bit, so that each frame carries its own number and nothing has to be correlated.
//!
//! CPU times drift with the machine and its neighbours. So the same load is put on the floor (`bench/floor`: the same
//! sockets and sizes without any processing) in turns with the media server, and what counts is the ratio.

mod app;
mod control;
mod floor;
mod phones;
mod process;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};

use app::Application;
use control::MediaServer;
use phones::Heard;
use report::{Run, ServerTurn};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How often server and floor take turns in a run.
const TURNS: usize = 2;
/// Before each measurement.
const WARM_UP: Duration = Duration::from_secs(2);
/// The floor makes a message of every packet.
const FLOOR_CHUNK_MS: u32 = 20;

/// Measures the round trip caller → application → caller, and the CPU that a call costs.
#[derive(Parser)]
struct Args {
    /// Numbers of simultaneous calls to measure, each in a run of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100])]
    calls: Vec<usize>,
    /// How long each of a run's four turns (server, floor, server, floor) is measured, after two seconds of warming up.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Milliseconds of audio in a stream message; the floor is measured for 20 only.
    #[arg(long, default_value_t = FLOOR_CHUNK_MS)]
    chunk_size: u32,
    /// The media server to measure.
    #[arg(long, default_value = "target/release/longline-media")]
    media_server: PathBuf,
    /// Its worker threads [default: what it starts by itself].
    #[arg(long)]
    workers: Option<usize>,
    /// The floor to measure it against.
    #[arg(long, default_value = "target/release/longline-floor")]
    floor: PathBuf,
    /// Where the figures are written as JSON.
    #[arg(long, default_value = "bench/results/latest.json")]
    output: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let application = Application::start()?;
    let mut runs = Vec::new();
    for &calls in &args.calls {
        eprintln!(
            "measuring {calls} call(s), {TURNS} × {} s of server and floor each …",
            args.seconds
        );
        let mut run = Run::new(calls);
        for _ in 0..TURNS {
            run.server.push(server_turn(&args, calls, &application)?);
            if args.chunk_size == FLOOR_CHUNK_MS {
                run.floor.push(floor_turn(&args, calls, &application)?);
            }
        }
        let run = run.summarise();
        report::print(&run);
        runs.push(run);
    }
    let results =
        json!({ "chunk_size_ms": args.chunk_size, "seconds": args.seconds, "turns": TURNS, "runs": runs });
    if let Some(folder) = args.output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&args.output, serde_json::to_string_pretty(&results)? + "\n")?;
    report::explain();
    println!("\nwritten to {}", args.output.display());
    Ok(())
}

/// `calls` calls on a media server of their own.
fn server_turn(args: &Args, calls: usize, application: &Application) -> Result<ServerTurn> {
    let mut server = MediaServer::start(&args.media_server, args.workers)?;
    let empty_kb = server.process.resident_kb()?;
    let phones = phones::Phones::new()?;
    let mut ports = Vec::with_capacity(calls);
    for call in 0..calls {
        ports.push(server.open_call(call, phones.address(), application.address, args.chunk_size)?);
    }
    server.wait_for_streams(calls)?;
    let heard = phones.run(&ports, WARM_UP, Duration::from_secs(args.seconds), || {
        server.process.cpu_time()
    })?;
    let stats = (0..calls)
        .map(|call| server.stats(call))
        .collect::<std::io::Result<Vec<Value>>>()?;
    Ok(ServerTurn {
        heard,
        stats,
        memory_kb: server.process.resident_kb()?.saturating_sub(empty_kb),
        workers: server.workers()?,
    })
}

/// The same on the floor.
fn floor_turn(args: &Args, calls: usize, application: &Application) -> Result<Heard> {
    let message = application
        .sample()
        .ok_or("no message has reached the application")?;
    let phones = phones::Phones::new()?;
    let (process, ports) = floor::start(
        &args.floor,
        calls,
        phones.address(),
        application.address,
        &message,
    )?;
    phones
        .run(&ports, WARM_UP, Duration::from_secs(args.seconds), || {
            process.cpu_time()
        })
        .map_err(Into::into)
}
