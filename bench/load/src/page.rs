//! Rows for a person: a line as each is measured, and a page of all of them.

use serde_json::Value;

/// What the page shows of a row, and what it calls it.
const COLUMNS: &[(&str, &str)] = &[
    ("dialect", "dialect"),
    ("calls", "calls"),
    ("us_per_call_s", "server, µs"),
    ("floor_us_per_call_s", "floor, µs"),
    ("ratio", "ratio"),
    ("rss_kb_per_call", "RSS a call, kB"),
    ("lost", "lost"),
    ("up_delay_us_p50", "up p50, µs"),
    ("up_delay_us_p99", "up p99"),
    ("up_delay_us_max", "up max"),
    ("down_delay_us_p50", "down p50, µs"),
    ("down_delay_us_p99", "down p99"),
    ("down_delay_us_max", "down max"),
    ("send_jitter_us_p99", "send jitter p99, µs"),
    ("round_trip_us_p50", "round trip p50, µs"),
];

/// One row in a line.
pub fn line(row: &Value) -> String {
    let show = |name: &str| show(&row[name]);
    format!(
        "{:>7} {:>5} calls  server {:>7} µs  floor {:>7} µs  ratio {:>6} {}  user {}  rss {} kB  lost {}  up p99 {} µs  down p99 {} µs  \
         jitter p99 {} µs  round trip {} µs  held up {} µs",
        show("dialect"),
        show("calls"),
        show("us_per_call_s"),
        show("floor_us_per_call_s"),
        show("ratio"),
        row["ratio_of_turns"],
        show("user_share"),
        show("rss_kb_per_call"),
        show("lost"),
        show("up_delay_us_p99"),
        show("down_delay_us_p99"),
        show("send_jitter_us_p99"),
        show("round_trip_us_p50"),
        show("generator_held_up_us_max"),
    )
}

/// All rows as a page in Markdown.
pub fn render(rows: &[Value]) -> String {
    let mut page = String::from(
        "# Load on the media server\n\n\
         Made by `make bench-load`; what the columns mean is in `docs/reference/performance.md`. Costs are CPU, user and system, \
         in µs per call-second. Only the ratio counts: server and floor took turns.\n\n",
    );
    let mut add = |cells: Vec<String>| page.push_str(&format!("| {} |\n", cells.join(" | ")));
    add(COLUMNS.iter().map(|(_, title)| (*title).to_owned()).collect());
    add(COLUMNS.iter().map(|_| "---".to_owned()).collect());
    for row in rows {
        add(COLUMNS.iter().map(|(name, _)| show(&row[*name])).collect());
    }
    page.push_str("\nA row without a ratio was overloaded: fewer than 99 % of the frames came back whole.\n");
    page
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
