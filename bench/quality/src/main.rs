//! Speech through a bad network and into receivers: ours, and those it is compared with. `quality.py` scores the files.
//!
//! A far end with a clock of its own sends G.711 packets of 20 ms through [`netem`]; every contender gets the same packets
//! at the same times and plays a frame every 20 ms of true time. The speech is sent over and over for `--warmup-s`,
//! so that buffers have learnt the network, and once more: that pass is written out.

mod fixed;
mod ours;
mod wire;

use std::path::{Path, PathBuf};

use clap::Parser;
use netem::{Clumps, Jitter, Link, Loss, Reordering};

use fixed::{Filling, FixedBuffer};
use wire::Wire;

/// Samples in a packet and in a frame.
const FRAME: usize = 160;
/// One in microseconds.
const FRAME_US: u64 = 20_000;

/// Sends speech through a bad network and writes what each contender makes of it.
#[derive(Parser)]
struct Args {
    /// Speech: a WAV file; it is played at 8 kHz, at most at half of full scale.
    #[arg(long)]
    speech: PathBuf,
    /// Directory for what was heard: `<contender>.raw`, `reference.raw`, and `fixed60.mask` (a byte a frame, 1: missing).
    #[arg(long)]
    out: Option<PathBuf>,
    /// A preset of netem; what follows replaces parts of it.
    #[arg(long, default_value = "perfect")]
    network: String,
    /// Packets lost, in per cent.
    #[arg(long)]
    loss_pct: Option<f64>,
    /// Mean length of a burst of loss, in packets; 1: each packet by itself.
    #[arg(long, default_value_t = 1.0)]
    burst: f64,
    /// Mean extra delay in milliseconds, exponential.
    #[arg(long)]
    jitter_ms: Option<f64>,
    /// Packets that come 50 ms later than in their turn, in per cent.
    #[arg(long)]
    reorder_pct: Option<f64>,
    /// A clump of up to 100 ms every so many milliseconds.
    #[arg(long)]
    clumps_ms: Option<u64>,
    /// How fast the far end's clock runs.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    drift_ppm: i64,
    /// Seed of the weather.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// When in a packet's 20 ms the frames are played, in milliseconds.
    #[arg(long, default_value_t = 1)]
    phase_ms: u64,
    /// Seconds before the pass that is written.
    #[arg(long, default_value_t = 20)]
    warmup_s: u64,
    /// Delays of the fixed buffers, in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "60")]
    fixed_ms: Vec<u64>,
}

impl Args {
    fn link(&self) -> Result<Link, String> {
        let mut link = Link::named(&self.network).ok_or_else(|| format!("no network {}", self.network))?;
        if let Some(loss) = self.loss_pct {
            link.loss = match loss / 100.0 {
                rate if self.burst > 1.0 => Loss::bursts(rate, self.burst),
                rate => Loss::Random(rate),
            };
        }
        if let Some(jitter) = self.jitter_ms {
            link.jitter = Jitter::Exponential {
                mean_us: (jitter * 1_000.0) as u64,
            };
            // Exponential delays of single packets, as the literature draws them, overtake each other.
            link.overtaking = true;
        }
        if let Some(every) = self.clumps_ms {
            link.clumps = Some(Clumps {
                every_us: every * 1_000,
                min_us: 30_000,
                max_us: 100_000,
            });
        }
        if let Some(reorder) = self.reorder_pct {
            link.reordering = Some(Reordering {
                probability: reorder / 100.0,
                by_us: 50_000,
            });
        }
        Ok(link)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut speech = media::wav::parse(&std::fs::read(&args.speech)?).map_err(|error| error.to_string())?;
    let peak = speech.iter().map(|sample| sample.unsigned_abs()).max();
    let peak = i32::from(peak.unwrap_or(0).max(1));
    for sample in &mut speech {
        *sample = (i32::from(*sample) * 16_384 / peak) as i16;
    }
    // Half a second of silence, so that passes do not touch.
    speech.resize((speech.len() + 4_000).next_multiple_of(FRAME), 0);
    let passes = 1 + (args.warmup_s * 8_000).div_ceil(speech.len() as u64);
    let link = args.link()?;
    let wire = Wire::new(link, args.drift_ppm, args.seed, &speech, passes);
    let written_from = wire.sent_us((passes - 1) * (speech.len() / FRAME) as u64) - FRAME_US;
    let heard = (speech.len() / FRAME) as u64 + 20;

    // Frames due at `phase + 20 n`; the first that is written is due at or after the pass begins.
    let phase_us = args.phase_ms * 1_000;
    let first = (written_from.saturating_sub(phase_us)).div_ceil(FRAME_US);
    let frames = first + heard;
    let ticks = (0..frames).map(|n| phase_us + n * FRAME_US);

    let ours = ours::hear(&wire, ticks.clone());
    let mut outputs = vec![("ours".to_owned(), ours.samples)];
    for &delay_ms in &args.fixed_ms {
        let buffer = FixedBuffer::play(&wire, ticks.clone(), delay_ms * 1_000);
        outputs.push((format!("fixed{delay_ms}"), buffer.fill(Filling::Conceal)));
        if delay_ms == 60 {
            outputs.push(("zero".to_owned(), buffer.fill(Filling::Zero)));
            outputs.push(("repeat".to_owned(), buffer.fill(Filling::Repeat)));
            if let Some(out) = &args.out {
                let mask: Vec<u8> = buffer
                    .frames
                    .iter()
                    .map(|frame| u8::from(frame.is_none()))
                    .collect();
                std::fs::write(out.join("fixed60.mask"), &mask[first as usize..])?;
            }
        }
    }
    let from = first as usize * FRAME;
    if let Some(out) = &args.out {
        write(&out.join("reference.raw"), &wire.reference)?;
        for (name, samples) in &outputs {
            write(&out.join(format!("{name}.raw")), &samples[from..])?;
        }
    }
    println!(
        "{}",
        serde_json::json!({
            "hours": frames as f64 * 20.0 / 3_600_000.0,
            "way_ms": link.delay_us as f64 / 1_000.0,
            "offset_ms": (phase_us + first * FRAME_US - written_from) as f64 / 1_000.0,
            "lost": wire.lost,
            "concealments": ours.concealments,
            "needless_concealments": ours.needless,
            "counters": ours.counters,
        })
    );
    Ok(())
}

fn write(path: &Path, samples: &[i16]) -> std::io::Result<()> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::fs::write(path, bytes)
}
