//! Load on the media server, from outside: phones that send numbered frames over RTP, an application that echoes them over
//! WebSocket, and a stopwatch. SIP takes no part: calls are opened over the control protocol, as `longline serve` does.
//!
//! Phones and application run in this process on a core of its own; its CPU time is not in the figures. CPU times drift
//! with the machine and its neighbours. So the same load is put on the floor (`bench/floor`: the same sockets and sizes
//! without any processing) in turns with the media server, and what counts is the ratio.

mod app;
mod clock;
mod control;
mod dialect;
mod floor;
mod generator;
mod page;
mod process;
mod row;
mod rtp;

use std::io::Write;
use std::path::PathBuf;

use clap::Parser;

use app::Door;
use control::MediaServer;
use dialect::Dialect;
use generator::{Figures, Generator, Subject};
use row::{Row, ServerTurn};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Frames in a second.
const FRAMES_PER_S: u32 = 50;
/// Before each measurement: the jitter buffers settle, the first use of memory is over.
const WARM_UP_S: u32 = 1;

/// Measures what calls cost the media server, beside what they cost the floor.
#[derive(Parser)]
struct Args {
    /// Numbers of simultaneous calls to measure, each in a row of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 500, 1000, 2000])]
    calls: Vec<usize>,
    /// Dialects to measure, each in rows of its own.
    #[arg(long, value_delimiter = ',', default_values = ["teler", "twilio", "longline"])]
    dialects: Vec<Dialect>,
    /// How often server and floor take turns in a row.
    #[arg(long, default_value_t = 2)]
    turns: usize,
    /// How many seconds each turn is measured.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// The media server to measure.
    #[arg(long, default_value = "target/release/longline-media")]
    media_server: PathBuf,
    /// Its worker threads [default: what it starts by itself on one core].
    #[arg(long)]
    workers: Option<usize>,
    /// The floor to measure it against.
    #[arg(long, default_value = "target/release/longline-floor")]
    floor: PathBuf,
    /// Where the rows are written, one JSON object a line; a page is written beside it.
    #[arg(long, default_value = "bench/results/load.jsonl")]
    output: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    process::pin(process::OWN_CORE);
    if let Some(folder) = args.output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut output = std::fs::File::create(&args.output)?;
    let mut rows = Vec::new();
    for &calls in &args.calls {
        for &dialect in &args.dialects {
            let row = measure(&args, dialect, calls)?.summarise();
            writeln!(output, "{row}")?;
            println!("{}", page::line(&row));
            rows.push(row);
        }
    }
    let page = args.output.with_extension("md");
    std::fs::write(&page, page::render(&rows))?;
    println!("\nwritten to {} and {}", args.output.display(), page.display());
    Ok(())
}

/// Turns of server and floor for one row. A turn that breaks down is told, and left out.
fn measure(args: &Args, dialect: Dialect, calls: usize) -> Result<Row> {
    let mut row = Row::new(dialect, calls);
    for turn in 0..args.turns {
        // Server, floor, floor, server: a drift of the machine hits both.
        let first = turn % 2 == 0;
        if first {
            row.add_server(told(server_turn(args, dialect, calls)));
        }
        if let Some(message) = row.message_bytes() {
            row.add_floor(told(floor_turn(args, dialect, calls, message)));
        }
        if !first {
            row.add_server(told(server_turn(args, dialect, calls)));
        }
    }
    Ok(row)
}

fn told<T>(turn: Result<T>) -> Option<T> {
    turn.inspect_err(|error| eprintln!("a turn broke down: {error}"))
        .ok()
}

/// `calls` calls on a media server of their own.
fn server_turn(args: &Args, dialect: Dialect, calls: usize) -> Result<ServerTurn> {
    let door = Door::open()?;
    let udp = Generator::phones()?;
    let mut server = MediaServer::start(&args.media_server, args.workers)?;
    let empty_kb = server.process.resident_kb()?;
    let addresses = server.open_calls(calls, udp.local_addr()?, door.address, dialect)?;
    let sockets = door.take(calls)?;
    let mut generator = Generator::new(Subject::Server, dialect, udp, &addresses, sockets)?;
    let figures = generator.run(WARM_UP_S * FRAMES_PER_S, args.seconds * FRAMES_PER_S, || {
        server.process.cpu_ns()
    })?;
    // The connections are still open: the server counts them, and closes no stream.
    let memory_kb = server.process.resident_kb()?.saturating_sub(empty_kb);
    let user = server.process.user_share();
    let mut stats = Vec::new();
    for call in (0..calls).step_by((calls / 100).max(1)) {
        stats.push(server.stats(call)?);
    }
    Ok(ServerTurn {
        figures,
        stats,
        memory_kb,
        user,
        workers: server.workers()?,
    })
}

/// The same on the floor.
fn floor_turn(args: &Args, dialect: Dialect, calls: usize, message: usize) -> Result<Figures> {
    let door = Door::open()?;
    let udp = Generator::phones()?;
    let (process, addresses) = floor::start(
        &args.floor,
        calls,
        udp.local_addr()?,
        door.address,
        dialect,
        message,
    )?;
    let sockets = door.take(calls)?;
    let mut generator = Generator::new(Subject::Floor, dialect, udp, &addresses, sockets)?;
    let warm_up = WARM_UP_S * FRAMES_PER_S;
    Ok(generator.run(warm_up, args.seconds * FRAMES_PER_S, || process.cpu_ns())?)
}
