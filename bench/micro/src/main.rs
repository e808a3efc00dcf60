//! What one frame of one call costs the engine, without sockets: 20 ms in from the phone, out to the application, in
//! from the application and out to the phone, for each dialect, beside a bare copy of the same bytes.
//!
//! One JSON object a row: `dialect`, `calls` (their state is as cold as so many make it), `ns_per_frame`,
//! `copy_ns_per_frame`. The best of several rounds, since what disturbs a round only adds. Then what a leg has only when it
//! is asked for: the detectors of digits and voices.
//!
//!     longline-micro [WEIGHTS]          of Silero, by default .setup/silero.weights; without the file it has no row

mod detectors;

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media::codec::g711;
use media::rtp::delay::Bounds;
use media::rtp::packet::Packet;
use media::{
    Codec, Dialect, Encoding, Engine, EngineConfig, LegKey, LegRemote, OpusSettings, PayloadTypes, Source,
    StreamKey, StreamParams, TelephoneEvent, Time,
};

const ROUNDS: usize = 7;
const FRAMES: usize = 500;
const SAMPLES: usize = 160;

struct Call {
    leg: LegKey,
    stream: StreamKey,
}

fn main() {
    for dialect in [Dialect::Teler, Dialect::Twilio, Dialect::Binary] {
        for calls in [1, 300] {
            let ns = (0..ROUNDS)
                .map(|_| round(dialect, calls))
                .min_by(f64::total_cmp)
                .unwrap_or(f64::NAN);
            let row = serde_json::json!({
                "dialect": format!("{dialect:?}").to_lowercase(), "calls": calls, "ns_per_frame": ns.round(),
                "copy_ns_per_frame": copy().round(),
            });
            println!("{row}");
        }
    }
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

/// The message that carries a frame from the application.
fn message(dialect: Dialect, frame: usize, samples: &[i16; SAMPLES]) -> Vec<u8> {
    let pcm: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    match dialect {
        Dialect::Teler => format!(
            r#"{{"type":"audio","audio_b64":"{}","chunk_id":{frame}}}"#,
            STANDARD.encode(pcm)
        )
        .into_bytes(),
        Dialect::Twilio => {
            let mut codes = Vec::new();
            g711::encode(g711::Law::Mu, samples, &mut codes);
            format!(
                r#"{{"event":"media","streamSid":"ms_1","media":{{"payload":"{}"}}}}"#,
                STANDARD.encode(codes)
            )
            .into_bytes()
        }
        Dialect::Binary => [&[0; 16][..], &pcm].concat(),
    }
}

fn round(dialect: Dialect, calls: usize) -> f64 {
    let mut engine = Engine::new(EngineConfig::new(1, 0));
    let start = Time::from_millis(1_000);
    let far: SocketAddr = ([192, 0, 2, 1], 4_000).into();
    let calls: Vec<Call> = (0..calls)
        .map(|_| open(&mut engine, start, far, dialect))
        .collect();
    let speech = speech();
    let packets: Vec<Vec<u8>> = speech
        .iter()
        .enumerate()
        .map(|(n, samples)| packet(n, samples))
        .collect();
    let messages: Vec<Vec<u8>> = speech
        .iter()
        .enumerate()
        .map(|(n, samples)| message(dialect, n, samples))
        .collect();
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
            let source = match dialect {
                Dialect::Binary => Source::StreamBinary(call.stream),
                Dialect::Teler | Dialect::Twilio => Source::Stream(call.stream),
            };
            engine.receive(now, source, message);
        }
        engine.handle_timeout(start.plus_millis(20 * n as u64 + 20));
        while let Some(transmit) = engine.poll_transmit() {
            black_box(transmit.payload.len());
        }
        while engine.poll_event().is_some() {}
    }
    began.elapsed().as_nanos() as f64 / (FRAMES * calls.len()) as f64
}

fn open(engine: &mut Engine, now: Time, far: SocketAddr, dialect: Dialect) -> Call {
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
            dialect,
            chunk_ms: 20,
            encoding: if dialect == Dialect::Twilio {
                Encoding::MuLaw
            } else {
                Encoding::PcmS16le
            },
            rate_hz: 8_000,
            account_id: "acc_1".into(),
            call_app_id: "va_1".into(),
            call_id: "cs_1".into(),
            stream_id: "ms_1".into(),
            ..StreamParams::default()
        };
        let stream = engine.open_stream(now, session, params)?;
        engine.stream_connected(now, stream)?;
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

/// A bare copy of as many bytes as a frame has on its four ways.
fn copy() -> f64 {
    let (from, mut to) = ([7u8; 1_200], [0u8; 1_200]);
    let began = Instant::now();
    for _ in 0..100_000 {
        to.copy_from_slice(black_box(&from));
        black_box(&to);
    }
    began.elapsed().as_nanos() as f64 / 100_000.0
}
