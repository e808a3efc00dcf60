//! What one frame of one call costs the engine, without sockets: 20 ms in from the phone, out to the application, in
//! from the application and out to the phone, for each dialect, beside a bare copy of the same bytes.
//!
//! One JSON object a row: `dialect`, `calls` (their state is as cold as so many make it), `ns_per_frame`,
//! `copy_ns_per_frame`. The best of several rounds, since what disturbs a round only adds. Then the messages of each dialect
//! alone, what is under them (resampler, base64, JSON), and what a leg has only when it is asked for: the detectors of digits
//! and voices.
//!
//!     longline-micro [WEIGHTS]          of Silero, by default .setup/silero.weights; without the file it has no row

mod detectors;
mod dialects;
mod measure;
mod said;
mod sounds;

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use media::codec::g711;
use media::rtp::delay::Bounds;
use media::rtp::packet::Packet;
use media::stream::dialect::{Entry, TABLE};
use media::{
    Codec, Engine, EngineConfig, Form, Format, LegKey, LegRemote, OpusSettings, PayloadTypes, Source,
    StreamKey, StreamParams, TelephoneEvent, Time,
};
use said::said;

const ROUNDS: usize = 7;
const FRAMES: usize = 500;
const SAMPLES: usize = 160;
/// As many as a frame has on its four ways.
const COPIED_BYTES: usize = 1_200;

struct Call {
    leg: LegKey,
    stream: StreamKey,
}

fn main() {
    for entry in TABLE {
        for calls in [1, 300] {
            let rounds = (0..ROUNDS).map(|_| round(entry, calls));
            let Some(ns) = rounds.collect::<Option<Vec<f64>>>() else {
                eprintln!(
                    "{} has no row: what its applications say is not known here",
                    entry.name
                );
                break;
            };
            let best = ns.into_iter().min_by(f64::total_cmp).unwrap_or(f64::NAN);
            let row = serde_json::json!({
                "dialect": entry.name, "calls": calls, "ns_per_frame": best.round(),
                "copy_ns_per_frame": measure::copy_ns(COPIED_BYTES).round(),
            });
            println!("{row}");
        }
    }
    dialects::run();
    sounds::run();
    detectors::run();
}

/// Sound with the ups and downs of speech, in frames of 20 ms.
fn speech() -> Vec<[i16; SAMPLES]> {
    (0..FRAMES)
        .map(|frame| {
            let loudness = 12_000.0 * (frame as f32 / 9.0).sin().max(0.01);
            std::array::from_fn(|n| {
                let t = (frame * SAMPLES + n) as f32 / 8_000.0;
                (loudness * ((t * 880.0).sin() + 0.5 * (t * 2_300.0).sin())) as i16
            })
        })
        .collect()
}

/// A frame in the first format of a dialect, of as many samples as that has.
fn message(entry: &Entry, number: usize, samples: &[i16; SAMPLES]) -> Option<(Form, Vec<u8>)> {
    let Format { encoding, rate_hz } = entry.output[0];
    let repeats = rate_hz as usize / 8_000;
    let stretched: Vec<i16> = samples
        .iter()
        .flat_map(|&sample| std::iter::repeat_n(sample, repeats))
        .collect();
    let mut encoded = Vec::new();
    encoding.append(&stretched, &mut encoded);
    said(entry.name, number as u32, &encoded)
}

/// `None`: it is not known what applications of this dialect say.
fn round(entry: &Entry, calls: usize) -> Option<f64> {
    let mut engine = Engine::new(EngineConfig::new(1, 0));
    let start = Time::from_millis(1_000);
    let far: SocketAddr = ([192, 0, 2, 1], 4_000).into();
    let calls: Vec<Call> = (0..calls).map(|_| open(&mut engine, start, far, entry)).collect();
    let speech = speech();
    let packets: Vec<Vec<u8>> = speech
        .iter()
        .enumerate()
        .map(|(n, samples)| packet(n, samples))
        .collect();
    let messages: Vec<(Form, Vec<u8>)> = speech
        .iter()
        .enumerate()
        .map(|(number, samples)| message(entry, number, samples))
        .collect::<Option<_>>()?;
    let began = Instant::now();
    for (n, (packet, message)) in packets.iter().zip(&messages).enumerate() {
        let now = start.plus_millis(20 * n as u64 + 5);
        for call in &calls {
            engine.receive(
                now,
                Source::Rtp {
                    leg: call.leg,
                    from: far,
                },
                packet,
            );
            let source = match message.0 {
                Form::Binary => Source::StreamBinary(call.stream),
                Form::Text => Source::Stream(call.stream),
            };
            engine.receive(now, source, &message.1);
        }
        engine.handle_timeout(start.plus_millis(20 * n as u64 + 20));
        while let Some(transmit) = engine.poll_transmit() {
            black_box(transmit.payload.len());
        }
        while engine.poll_event().is_some() {}
    }
    Some(began.elapsed().as_nanos() as f64 / (FRAMES * calls.len()) as f64)
}

fn open(engine: &mut Engine, now: Time, far: SocketAddr, entry: &Entry) -> Call {
    let mut open = || -> Result<Call, media::CommandError> {
        let session = engine.open_session(now)?;
        let leg = engine.open_leg(now, session)?;
        let Some(audio) = PayloadTypes::new(&[(0, Codec::Pcmu)]) else {
            return Err(media::CommandError::BadParameter("payload types"));
        };
        let remote = LegRemote {
            rtp: far,
            rtcp: None,
            audio,
            telephone_event: Some(TelephoneEvent {
                payload_type: 101,
                clock_hz: 8_000,
            }),
            ptime_ms: 20,
            opus: OpusSettings::default(),
            jitter: Bounds::default(),
            send: true,
            receive: true,
            rtcp_mux: false,
            also_from: None,
            srtp: None,
        };
        engine.connect_leg(now, leg, remote)?;
        let params = StreamParams {
            dialect: entry.dialect,
            encoding: entry.output[0].encoding,
            rate_hz: entry.output[0].rate_hz,
            account_id: "acc_1".into(),
            call_app_id: "va_1".into(),
            call_id: "cs_1".into(),
            stream_id: "ms_1".into(),
            ..StreamParams::default()
        };
        let stream = engine.open_stream(now, session, params)?;
        engine.stream_connected(now, stream)?;
        if entry.dialect.greets() {
            engine.receive(now, Source::Stream(stream), br#"{"type":"hello"}"#);
        }
        Ok(Call { leg, stream })
    };
    open().unwrap_or_else(|error| panic!("the engine takes no call: {error}"))
}

fn packet(frame: usize, samples: &[i16; SAMPLES]) -> Vec<u8> {
    let mut out = Vec::new();
    Packet {
        marker: frame == 0,
        payload_type: 0,
        sequence: frame as u16,
        timestamp: (frame * SAMPLES) as u32,
        ssrc: 7,
        payload: &[],
    }
    .write_header(&mut out);
    g711::encode(g711::Law::Mu, samples, &mut out);
    out
}
