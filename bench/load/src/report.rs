//! What a run says: one JSON object, and the same for a person.

use serde_json::{Value, json};

use crate::phones::Heard;

/// With fewer of the frames returned than this, the machine was overloaded: server and floor did not do the same work.
const ENOUGH_RETURNED: f64 = 0.99;

/// One turn of the media server.
pub struct ServerTurn {
    pub heard: Heard,
    /// What it counted of each call.
    pub stats: Vec<Value>,
    /// What it grew by from its start to the end of the turn.
    pub memory_kb: u64,
    /// Workers that carry calls, and all.
    pub workers: (usize, usize),
}

/// All turns for one number of calls.
pub struct Run {
    calls: usize,
    pub server: Vec<ServerTurn>,
    pub floor: Vec<Heard>,
}

impl Run {
    /// A run before its first turn.
    pub fn new(calls: usize) -> Run {
        Run {
            calls,
            server: Vec::new(),
            floor: Vec::new(),
        }
    }

    /// Its figures: CPU, frames and round trips of all turns together.
    pub fn summarise(&self) -> Value {
        let heard: Vec<&Heard> = self.server.iter().map(|turn| &turn.heard).collect();
        let floor: Vec<&Heard> = self.floor.iter().collect();
        let legs: Vec<&Value> = self
            .server
            .iter()
            .flat_map(|turn| &turn.stats)
            .map(|session| &session["legs"]["phone"])
            .collect();
        let mean = |field: &str| {
            legs.iter().filter_map(|leg| leg[field].as_f64()).sum::<f64>() / legs.len().max(1) as f64
        };
        let total = |field: &str| legs.iter().filter_map(|leg| leg[field].as_u64()).sum::<u64>();
        let sum = |field: fn(&Heard) -> u64| heard.iter().map(|heard| field(heard)).sum::<u64>();
        let overloaded = heard
            .iter()
            .chain(&floor)
            .any(|heard| (heard.returned as f64) < ENOUGH_RETURNED * heard.sent as f64);
        let cost = self.cost(&heard);
        let floor_cost = (!floor.is_empty()).then(|| self.cost(&floor));
        let pairs = heard.iter().zip(&floor);
        let ratios: Vec<f64> = pairs
            .map(|(server, floor)| self.cost(&[server]) / self.cost(&[floor]))
            .collect();
        let memory_kb = self.server.iter().map(|turn| turn.memory_kb).max();
        let workers = self.server.last().map_or((0, 0), |turn| turn.workers);
        json!({
            "calls": self.calls,
            "round_trip_ms": quantiles(&heard),
            "floor_round_trip_ms": (!floor.is_empty()).then(|| quantiles(&floor)),
            "jitter_buffer_ms": mean("buffer_ms"),
            "jitter_buffer_target_ms": mean("buffer_target_ms"),
            "frames_sent": sum(|heard| heard.sent),
            "frames_returned": sum(|heard| heard.returned),
            "frames_torn": sum(|heard| heard.torn),
            "packets_lost": total("lost"),
            "packets_late": total("late"),
            "concealed_ms": total("concealed_ms"),
            "us_per_call_s": cost,
            "floor_us_per_call_s": floor_cost,
            "overloaded": overloaded,
            "ratio": floor_cost.filter(|_| !overloaded).map(|floor| cost / floor),
            "ratio_of_turns": ratios,
            "workers_used": workers.0,
            "workers": workers.1,
            "rss_per_call_kb": memory_kb.unwrap_or(0) as f64 / self.calls as f64,
        })
    }

    /// Microseconds of CPU per call-second.
    fn cost(&self, heard: &[&Heard]) -> f64 {
        let cpu: f64 = heard.iter().map(|heard| heard.cpu.as_secs_f64()).sum();
        let elapsed: f64 = heard.iter().map(|heard| heard.elapsed.as_secs_f64()).sum();
        1e6 * cpu / (self.calls as f64 * elapsed)
    }
}

fn quantiles(heard: &[&Heard]) -> Value {
    let mut trips: Vec<u64> = heard
        .iter()
        .flat_map(|heard| &heard.round_trips_us)
        .copied()
        .collect();
    trips.sort_unstable();
    let quantile = |q: f64| {
        let last = trips.len().checked_sub(1)?;
        Some(trips[(q * last as f64).round() as usize] as f64 / 1000.0)
    };
    json!({ "p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99), "max": quantile(1.0) })
}

/// One run as a few lines.
pub fn print(run: &Value) {
    let number = |value: &Value| {
        value
            .as_f64()
            .map_or("–".to_owned(), |value| format!("{value:.1}"))
    };
    let ratio = |value: &Value| {
        value
            .as_f64()
            .map_or("–".to_owned(), |value| format!("{value:.2}"))
    };
    let trip = |trip: &Value| {
        format!(
            "p50 {} ms · p90 {} ms · p99 {} ms · max {} ms",
            number(&trip["p50"]),
            number(&trip["p90"]),
            number(&trip["p99"]),
            number(&trip["max"])
        )
    };
    println!("{} call(s)", run["calls"]);
    println!("  round trip      {}", trip(&run["round_trip_ms"]));
    let rest =
        run["round_trip_ms"]["p50"].as_f64().unwrap_or(0.0) - run["jitter_buffer_ms"].as_f64().unwrap_or(0.0);
    println!(
        "  of which        {} ms jitter buffer (target {} ms) · {rest:.1} ms until the next frame leaves, sockets and application",
        number(&run["jitter_buffer_ms"]),
        number(&run["jitter_buffer_target_ms"])
    );
    println!("  on the floor    {}", trip(&run["floor_round_trip_ms"]));
    println!(
        "  frames          {} sent · {} returned · {} torn · {} lost · {} late",
        run["frames_sent"],
        run["frames_returned"],
        run["frames_torn"],
        run["packets_lost"],
        run["packets_late"]
    );
    let ratios: Vec<String> = run["ratio_of_turns"]
        .as_array()
        .into_iter()
        .flatten()
        .map(ratio)
        .collect();
    println!(
        "  CPU             {} µs per call-second · floor {} µs · ratio {} (turns: {})",
        number(&run["us_per_call_s"]),
        number(&run["floor_us_per_call_s"]),
        ratio(&run["ratio"]),
        ratios.join(", ")
    );
    if run["overloaded"] == json!(true) {
        println!(
            "  overloaded      frames did not return, of the server or the floor: these costs cannot be compared"
        );
    }
    println!(
        "  memory          {} kB per call · workers that carry calls: {} of {}",
        number(&run["rss_per_call_kb"]),
        run["workers_used"],
        run["workers"]
    );
}

/// What the parts of the round trip are.
pub fn explain() {
    println!(
        "\nA round trip is the time from a packet's leaving the phone to the arrival of the packet that carries the same samples:\n\
         the jitter buffer holds a packet until its frame is due, the chunk crosses the socket to the application and back in about a\n\
         millisecond (one tick each way), and then waits for the leg's next frame, at most 20 ms after the one that it came from.\n\
         The floor is the same sockets and sizes on one thread with no processing: the ratio is what counts, for times drift."
    );
}
