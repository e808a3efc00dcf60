//! What a run says: one JSON object, and the same for a person.

use serde_json::{Value, json};

use crate::phones::Heard;

/// The figures of one run.
pub fn summarise(calls: usize, seconds: u64, heard: &Heard, stats: &[Value]) -> Value {
    let quantile = |q: f64| {
        let last = heard.round_trips_us.len().checked_sub(1)?;
        Some(heard.round_trips_us[(q * last as f64).round() as usize] as f64 / 1000.0)
    };
    let legs: Vec<&Value> = stats.iter().map(|session| &session["legs"]["phone"]).collect();
    let mean = |field: &str| {
        legs.iter().filter_map(|leg| leg[field].as_f64()).sum::<f64>() / legs.len().max(1) as f64
    };
    let total = |field: &str| legs.iter().filter_map(|leg| leg[field].as_u64()).sum::<u64>();
    let call_seconds = calls as f64 * heard.elapsed.as_secs_f64();
    json!({
        "calls": calls,
        "seconds": seconds,
        "round_trip_ms": { "p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99), "max": quantile(1.0) },
        "jitter_buffer_ms": mean("buffer_ms"),
        "jitter_buffer_target_ms": mean("buffer_target_ms"),
        "frames_sent": heard.sent,
        "frames_returned": heard.returned,
        "frames_torn": heard.torn,
        "packets_lost": total("lost"),
        "packets_late": total("late"),
        "concealed_ms": total("concealed_ms"),
        "cpu_us_per_call_second": heard.cpu.as_micros() as f64 / call_seconds,
    })
}

/// One run as a few lines.
pub fn print(run: &Value) {
    let trip = &run["round_trip_ms"];
    let number = |value: &Value| {
        value
            .as_f64()
            .map_or("–".to_owned(), |value| format!("{value:.1}"))
    };
    println!("{} call(s)", run["calls"]);
    println!(
        "  round trip      p50 {} ms · p90 {} ms · p99 {} ms · max {} ms",
        number(&trip["p50"]),
        number(&trip["p90"]),
        number(&trip["p99"]),
        number(&trip["max"])
    );
    let rest = trip["p50"].as_f64().unwrap_or(0.0) - run["jitter_buffer_ms"].as_f64().unwrap_or(0.0);
    println!(
        "  of which        {} ms jitter buffer (target {} ms) · {rest:.1} ms until the next frame leaves, sockets and application",
        number(&run["jitter_buffer_ms"]),
        number(&run["jitter_buffer_target_ms"])
    );
    println!(
        "  frames          {} sent · {} returned · {} torn · {} lost · {} late",
        run["frames_sent"],
        run["frames_returned"],
        run["frames_torn"],
        run["packets_lost"],
        run["packets_late"]
    );
    println!(
        "  media server    {} µs of CPU per call-second",
        number(&run["cpu_us_per_call_second"])
    );
}

/// What the parts of the round trip are.
pub fn explain() {
    println!(
        "\nA round trip is the time from a packet's leaving the phone to the arrival of the packet that carries the same samples:\n\
         the jitter buffer holds a packet until its frame is due, the chunk crosses the socket to the application and back in about a\n\
         millisecond (one tick each way), and then waits for the leg's next frame, at most 20 ms after the one that it came from."
    );
}
