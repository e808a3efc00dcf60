//! One row of the table: all turns for one dialect and one number of calls, as one JSON object.
//! Its fields are defined in `docs/reference/performance.md`.

use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::generator::Figures;

/// With fewer of the frames returned than this, server and floor did not do the same work.
const ENOUGH_RETURNED: f64 = 0.99;

/// One turn of the media server.
pub struct ServerTurn {
    pub figures: Figures,
    /// What it counted of some of the calls.
    pub stats: Vec<Value>,
    /// What it grew by from its start to the end of the turn.
    pub memory_kb: u64,
    /// How much of its CPU time was its own, and not the kernel's.
    pub user: f64,
    /// Workers that carried calls, and all.
    pub workers: (usize, usize),
}

/// All turns of one row.
pub struct Row {
    dialect: Dialect,
    calls: usize,
    server: Vec<ServerTurn>,
    floor: Vec<Figures>,
    broken: usize,
}

impl Row {
    /// A row before its first turn.
    pub fn new(dialect: Dialect, calls: usize) -> Row {
        Row {
            dialect,
            calls,
            server: Vec::new(),
            floor: Vec::new(),
            broken: 0,
        }
    }

    /// A turn of the server; `None`: it broke down.
    pub fn add_server(&mut self, turn: Option<ServerTurn>) {
        self.broken += usize::from(turn.is_none());
        self.server.extend(turn);
    }

    /// A turn of the floor; `None`: it broke down.
    pub fn add_floor(&mut self, turn: Option<Figures>) {
        self.broken += usize::from(turn.is_none());
        self.floor.extend(turn);
    }

    /// The length of the server's messages, which the floor's shall have too.
    pub fn message_bytes(&self) -> Option<usize> {
        let longest = self.server.iter().map(|turn| turn.figures.message_bytes).max();
        longest.filter(|bytes| *bytes > 0)
    }

    /// Its figures.
    pub fn summarise(&self) -> Value {
        let server: Vec<&Figures> = self.server.iter().map(|turn| &turn.figures).collect();
        let floor: Vec<&Figures> = self.floor.iter().collect();
        let (cost, floor_cost) = (self.cost(&server), self.cost(&floor));
        let returned = |figures: &Figures| figures.returned as f64 >= ENOUGH_RETURNED * figures.sent as f64;
        let overloaded = self.broken > 0 || !server.iter().chain(&floor).all(|figures| returned(figures));
        let ratios: Vec<Option<f64>> = server
            .iter()
            .zip(&floor)
            .map(|(server, floor)| Some(round(self.cost(&[server])? / self.cost(&[floor])?, 3)))
            .collect();
        let sum = |field: fn(&Figures) -> u64| server.iter().map(|figures| field(figures)).sum::<u64>();
        let stats: Vec<&Value> = self.server.iter().flat_map(|turn| &turn.stats).collect();
        let mean = |field: &str| {
            let values = stats
                .iter()
                .filter_map(|stats| stats["legs"]["phone"][field].as_f64());
            round(values.sum::<f64>() / stats.len().max(1) as f64, 1)
        };
        let memory_kb = self.server.iter().map(|turn| turn.memory_kb).max();
        let workers = self.server.last().map_or((0, 0), |turn| turn.workers);
        let ratio = cost.zip(floor_cost).filter(|_| !overloaded);
        let user = self.server.iter().map(|turn| turn.user).sum::<f64>() / self.server.len().max(1) as f64;
        let mut row = Map::new();
        let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
        put("dialect", json!(self.dialect.name()));
        put("calls", json!(self.calls));
        put("us_per_call_s", json!(cost));
        put("floor_us_per_call_s", json!(floor_cost));
        put("ratio", json!(ratio.map(|(cost, floor)| round(cost / floor, 3))));
        put("ratio_of_turns", json!(ratios));
        put("overloaded", json!(overloaded));
        put("user_share", json!(round(user, 3)));
        put(
            "rss_kb_per_call",
            json!(round(memory_kb.unwrap_or(0) as f64 / self.calls as f64, 1)),
        );
        put("sent", json!(sum(|figures| figures.sent)));
        put(
            "lost",
            json!(sum(|figures| figures.sent.saturating_sub(figures.returned))),
        );
        for (name, of) in DELAYS {
            for (quantile, value) in quantiles(&server, *of) {
                put(&format!("{name}_{quantile}"), value);
            }
        }
        for (name, of) in FLOOR_DELAYS {
            for (quantile, value) in quantiles(&floor, *of) {
                put(&format!("floor_{name}_{quantile}"), value);
            }
        }
        put("jitter_buffer_ms", json!(mean("buffer_ms")));
        put("workers_used", json!(workers.0));
        put("workers", json!(workers.1));
        put("message_bytes", json!(self.message_bytes()));
        let held_up = server
            .iter()
            .chain(&floor)
            .map(|figures| figures.held_up_us)
            .max();
        put("generator_held_up_us_max", json!(held_up));
        Value::Object(row)
    }

    /// Microseconds of CPU per call-second.
    fn cost(&self, turns: &[&Figures]) -> Option<f64> {
        let cpu: u64 = turns.iter().map(|figures| figures.cpu_ns).sum();
        let elapsed: u64 = turns.iter().map(|figures| figures.elapsed_ns).sum();
        (elapsed > 0).then(|| round(1e6 * cpu as f64 / (self.calls as f64 * elapsed as f64), 1))
    }
}

type Delay = (&'static str, fn(&Figures) -> &[u32]);

const DELAYS: &[Delay] = &[
    ("up_delay_us", |figures| &figures.up_delay),
    ("down_delay_us", |figures| &figures.down_delay),
    ("send_jitter_us", |figures| &figures.send_jitter),
    ("up_total_us", |figures| &figures.up_total),
    ("down_total_us", |figures| &figures.down_total),
    ("round_trip_us", |figures| &figures.round_trip),
];
const FLOOR_DELAYS: &[Delay] = &[
    ("up_delay_us", |figures| &figures.up_delay),
    ("down_delay_us", |figures| &figures.down_delay),
    ("round_trip_us", |figures| &figures.round_trip),
];

fn quantiles(turns: &[&Figures], of: fn(&Figures) -> &[u32]) -> [(&'static str, Value); 3] {
    let mut all: Vec<u32> = turns.iter().flat_map(|figures| of(figures)).copied().collect();
    all.sort_unstable();
    let quantile = |q: f64| {
        let last = all.len().checked_sub(1)?;
        Some(all[(q * last as f64).round() as usize])
    };
    [
        ("p50", json!(quantile(0.5))),
        ("p99", json!(quantile(0.99))),
        ("max", json!(quantile(1.0))),
    ]
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
