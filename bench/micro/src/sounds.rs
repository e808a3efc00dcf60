//! What the parts under the dialects cost, a frame of 20 ms each: the resampler at every pair of rates with its delay, base64
//! and JSON; each beside a bare copy of the bytes that go in and come out.

use std::hint::black_box;

use media::codec::opus;
use media::codec::resample::Resampler;
use media::stream::{base64, events};

use crate::measure::{copy_ns, noise, ns, rounded};
use crate::said::said;

const RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

/// Prints a row for each.
pub fn run() {
    for from_hz in RATES_HZ {
        for to_hz in RATES_HZ.into_iter().filter(|&to_hz| to_hz != from_hz) {
            println!("{}", resampling(from_hz, to_hz));
        }
    }
    for bytes in [160, 320, 640, 1_920] {
        println!("{}", encoding(bytes));
        println!("{}", decoding(bytes));
    }
    println!("{}", reading(160));
    opus().into_iter().for_each(|row| println!("{row}"));
}

/// A frame at 48 kHz each way, as a stream has it.
fn opus() -> [serde_json::Value; 2] {
    let (mut encoder, mut decoder) = (
        opus::Encoder::new(opus::Settings::default()),
        opus::Decoder::default(),
    );
    let (samples, mut packet, mut heard) = (noise(48_000), Vec::new(), [0; 5_760]);
    let encode_ns = ns(|| {
        packet.clear();
        encoder.encode(black_box(&samples), &mut packet);
        black_box(&packet);
    });
    let decode_ns = ns(|| {
        assert_eq!(decoder.decode(black_box(&packet), &mut heard), Ok(samples.len()));
        black_box(&heard);
    });
    let copy_ns = rounded(copy_ns(2 * samples.len() + packet.len()));
    [("Opus encode", encode_ns), ("Opus decode", decode_ns)].map(|(part, took)| {
        serde_json::json!({
            "part": part, "bytes": packet.len(), "ns_per_frame": rounded(took), "copy_ns": copy_ns,
        })
    })
}

fn resampling(from_hz: u32, to_hz: u32) -> serde_json::Value {
    let samples = noise(from_hz);
    let mut out = Vec::new();
    let made = Resampler::new(from_hz, to_hz);
    let mut resampler = made.unwrap_or_else(|error| panic!("{error:?}"));
    let took = ns(|| {
        out.clear();
        resampler.process(black_box(&samples), &mut out);
        black_box(&out);
    });
    let bytes = 2 * (samples.len() + (to_hz / 50) as usize);
    serde_json::json!({
        "part": "resampler", "from_hz": from_hz, "to_hz": to_hz, "ns_per_frame": rounded(took),
        "copy_ns": rounded(copy_ns(bytes)), "delay_ms": rounded(delay_ms(from_hz, to_hz)),
    })
}

/// When the middle of an impulse comes out, measured.
fn delay_ms(from_hz: u32, to_hz: u32) -> f64 {
    let mut impulse = vec![0; from_hz as usize / 10];
    impulse[0] = 20_000;
    let mut out = Vec::new();
    if let Ok(mut resampler) = Resampler::new(from_hz, to_hz) {
        resampler.process(&impulse, &mut out);
    }
    let peak = (0..out.len()).max_by_key(|&at| out[at].unsigned_abs());
    peak.unwrap_or_default() as f64 * 1_000.0 / f64::from(to_hz)
}

fn encoding(bytes: usize) -> serde_json::Value {
    let (samples, mut text) = (vec![0xA5u8; bytes], Vec::new());
    let took = ns(|| {
        text.clear();
        base64::append(black_box(&samples), &mut text);
        black_box(&text);
    });
    serde_json::json!({
        "part": "base64 encode", "bytes": bytes, "ns_per_frame": rounded(took),
        "copy_ns": rounded(copy_ns(bytes + text.len())),
    })
}

fn decoding(bytes: usize) -> serde_json::Value {
    let (mut text, mut samples) = (Vec::new(), Vec::new());
    base64::append(&vec![0xA5; bytes], &mut text);
    let took = ns(|| {
        assert!(base64::decode(black_box(&text), &mut samples).is_ok());
        black_box(&samples);
    });
    serde_json::json!({
        "part": "base64 decode", "bytes": bytes, "ns_per_frame": rounded(took),
        "copy_ns": rounded(copy_ns(bytes + text.len())),
    })
}

/// A message of JSON, its audio left in base64.
fn reading(bytes: usize) -> serde_json::Value {
    let message = said("twilio", 0, &vec![0xA5; bytes])
        .map(|(_, message)| message)
        .unwrap_or_default();
    let took = ns(|| {
        assert!(events::parse(black_box(&message), r#""ms_1""#).is_ok());
    });
    serde_json::json!({
        "part": "JSON read", "bytes": message.len(), "ns_per_frame": rounded(took),
        "copy_ns": rounded(copy_ns(message.len())),
    })
}
