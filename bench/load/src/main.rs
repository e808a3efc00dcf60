//! Load on the media server, from outside: phones that send numbered frames over RTP, an application that echoes
//! them over WebSocket, and a stopwatch for what comes back. SIP takes no part: the calls are opened over the control
//! protocol, as `longline serve` opens them.
//!
//! Phones and application run in this process, whose CPU time is not in the figures. G.711 survives the way
//! through linear samples and back bit for bit, so that each frame carries its own number and nothing has to be correlated.

mod app;
mod control;
mod phones;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};

use control::MediaServer;

/// Measures the round trip caller → application → caller, and the CPU that a call costs.
#[derive(Parser)]
struct Args {
    /// Numbers of simultaneous calls to measure, each in a run of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100])]
    calls: Vec<usize>,
    /// How long each run is measured, after two seconds of warming up.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Milliseconds of audio in a stream message.
    #[arg(long, default_value_t = 20)]
    chunk_size: u32,
    /// The media server to measure.
    #[arg(long, default_value = "target/release/longline-media")]
    media_server: PathBuf,
    /// Where the figures are written as JSON.
    #[arg(long, default_value = "bench/results/latest.json")]
    output: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let application = app::start()?;
    let mut runs = Vec::new();
    for &calls in &args.calls {
        eprintln!("measuring {calls} call(s) for {} s …", args.seconds);
        let run = measure(&args, calls, application)?;
        report::print(&run);
        runs.push(run);
    }
    let results = json!({ "chunk_size_ms": args.chunk_size, "seconds": args.seconds, "runs": runs });
    if let Some(folder) = args.output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&args.output, serde_json::to_string_pretty(&results)? + "\n")?;
    report::explain();
    println!("\nwritten to {}", args.output.display());
    Ok(())
}

/// One run: `calls` calls on a media server of their own.
fn measure(
    args: &Args,
    calls: usize,
    application: std::net::SocketAddr,
) -> Result<Value, Box<dyn std::error::Error>> {
    let mut server = MediaServer::start(&args.media_server)?;
    let phones = phones::Phones::new()?;
    let mut ports = Vec::with_capacity(calls);
    for call in 0..calls {
        ports.push(server.open_call(call, phones.address(), application, args.chunk_size)?);
    }
    server.wait_for_streams(calls)?;
    let warm_up = Duration::from_secs(2);
    let heard = phones.run(&ports, warm_up, Duration::from_secs(args.seconds), || {
        server.cpu_time()
    })?;
    let stats = (0..calls)
        .map(|call| server.stats(call))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(report::summarise(calls, args.seconds, &heard, &stats))
}
