//! A whole engine: datagrams, messages, commands and times as the script says, and beside it a session that nobody
//! touches. At any moment the engine may die and be made again of its records. Nothing panics, every bound holds, the
//! numbers of a source never go back, and the other session sends every frame.

use std::collections::HashMap;
use std::net::SocketAddr;

use media::record::{HeapStore, RecordStore};
use media::srtp::{SrtpParams, SrtpSender, Suite};
use media::{
    Bounds, Codec, CommandError, Destination, Dialect, Encoding, Engine, EngineConfig, LegKey, LegRemote,
    OpusSettings, PayloadTypes, Restored, SessionKey, Source, StreamKey, StreamParams, TelephoneEvent, Time,
};

use crate::input::Input;

/// A longer script says nothing that a shorter one does not.
const MAX_STEPS: usize = 400;
const PLAYOUT_MS: u32 = 2_000;
const SLOTS: u32 = 4;
const RING_BYTES: usize = 16 << 10;

struct Call {
    session: SessionKey,
    leg: LegKey,
    streams: Vec<StreamKey>,
}

struct Bench {
    engine: Engine,
    now: Time,
    /// The last sequence number that each source of each leg sent, and when.
    last: HashMap<(LegKey, u32), (u16, Time)>,
    quiet_frames: u64,
    quiet: LegKey,
    /// Protects as the far end of a leg with keys does.
    far_end: SrtpSender,
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let now = Time::from_millis(10_000);
    let mut engine = Engine::new(config(u64::from(input.u16())));
    engine.keep_records(Box::new(HeapStore::with_ring(SLOTS, RING_BYTES)));
    let quiet = engine.open_session(now).expect("the first session");
    let quiet = engine.open_leg(now, quiet).expect("its leg");
    let mut call = open(&mut engine, now);
    let mut bench = Bench {
        engine,
        now,
        last: HashMap::new(),
        quiet_frames: 0,
        quiet,
        far_end: SrtpSender::new(&keys().receive),
    };
    let connected = bench.engine.connect_leg(now, quiet, remote(0, 0));
    connected.expect("a plain remote");
    // Records are written with the draining that follows every command.
    bench.drain();
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        bench.step(&mut call, &mut input);
        bench.drain();
        bench.check(&call);
    }
    bench.pass(0);
    bench.drain();
    let frames = (bench.now.tick() - 10_000) / 20;
    let skipped = bench
        .engine
        .stats(quiet.session())
        .expect("it is open")
        .skipped_frames;
    assert_eq!(
        bench.quiet_frames + skipped,
        frames,
        "the other session was disturbed"
    );
}

fn config(seed: u64) -> EngineConfig {
    let mut config = EngineConfig::new(seed, 0xe000_0000_0000_0000);
    config.limits.playout_ms = PLAYOUT_MS;
    config
}

fn open(engine: &mut Engine, now: Time) -> Call {
    let session = engine.open_session(now).expect("far from the bound");
    let leg = engine.open_leg(now, session).expect("the first leg");
    Call {
        session,
        leg,
        streams: Vec::new(),
    }
}

fn address(which: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, which & 3], 4_000 + u16::from(which >> 6)))
}

fn audio(flags: u8) -> PayloadTypes {
    let mut types = [
        (0, Codec::Pcmu),
        (9, Codec::G722),
        (96, Codec::Opus),
        (97, Codec::L16(16_000)),
        (8, Codec::Pcma),
    ];
    let count = types.len();
    types.rotate_left(usize::from(flags >> 2) % count);
    PayloadTypes::new(&types).unwrap_or_else(|| unreachable!("five types"))
}

fn keys() -> SrtpParams {
    let suite = Suite::AeadAes128Gcm;
    SrtpParams::new(suite, &[1; 28], &[2; 28]).unwrap_or_else(|| unreachable!("of the right length"))
}

fn remote(flags: u8, more: u8) -> LegRemote {
    LegRemote {
        rtp: address(flags & 1),
        rtcp: (flags & 2 == 0).then(|| address(0x40)),
        audio: audio(flags),
        telephone_event: (flags & 8 == 0).then_some(TelephoneEvent {
            payload_type: 101,
            clock_hz: 8_000,
        }),
        ptime_ms: [20, 10, 30, 60][usize::from(more >> 1 & 3)],
        opus: OpusSettings::default(),
        jitter: Bounds::default(),
        send: flags & 16 == 0,
        receive: flags & 32 == 0,
        rtcp_mux: flags & 64 != 0,
        also_from: (flags & 128 != 0).then(|| address(3).ip()),
        srtp: (more & 1 != 0).then(keys),
    }
}

impl Bench {
    fn step(&mut self, call: &mut Call, input: &mut Input<'_>) {
        let (operation, now) = (input.u8(), self.now);
        match operation % 16 {
            3 => self.die(call, u64::from(operation >> 4) * 7),
            0..=2 => {
                let from = address(input.u8());
                let length = usize::from(input.u8());
                let data = input.take(length);
                self.receive(Source::Rtp { leg: call.leg, from }, data);
            }
            // A valid header, so that what lies behind it is reached.
            4..=5 => {
                let (from, payload_type, sequence) = (address(input.u8()), input.u8(), input.u16());
                let (timestamp, length) = (input.u32(), usize::from(input.u8()));
                let mut packet = vec![0x80, payload_type];
                packet.extend_from_slice(&sequence.to_be_bytes());
                packet.extend_from_slice(&timestamp.to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0, operation >> 6]);
                packet.extend_from_slice(input.take(length));
                if operation % 16 == 5 {
                    self.far_end.protect_rtp(&mut packet, 0).unwrap_or_default();
                }
                self.receive(Source::Rtp { leg: call.leg, from }, &packet);
            }
            6 => {
                let from = address(input.u8());
                let length = usize::from(input.u8());
                let data = input.take(length);
                self.receive(Source::Rtcp { leg: call.leg, from }, data);
            }
            7..=8 => {
                let length = usize::from(input.u16() % 2_000);
                let text = input.take(length);
                if let Some(stream) = call.streams.first().copied() {
                    self.receive(
                        if operation & 0x80 == 0 {
                            Source::Stream(stream)
                        } else {
                            Source::StreamBinary(stream)
                        },
                        text,
                    );
                }
            }
            9..=10 => self.pass(u64::from(input.u8()) % 50),
            11 => self.pass(u64::from(input.u16()) % 5_000),
            12 => {
                let flags = input.u8();
                let remote = remote(flags, operation >> 4);
                let outcome = self.engine.connect_leg(now, call.leg, remote);
                outcome.expect("a remote that can be");
            }
            13 => {
                let (dialect, encoding) = [
                    (Dialect::Teler, Encoding::PcmS16le),
                    (Dialect::Twilio, Encoding::MuLaw),
                    (Dialect::Longline, Encoding::PcmS16le),
                    (Dialect::Longline, Encoding::MuLaw),
                ][usize::from(operation >> 4 & 3)];
                let params = StreamParams {
                    dialect,
                    encoding,
                    chunk_ms: 20 * u32::from(input.u8() % 8),
                    rate_hz: [8_000, 16_000][usize::from(input.u8() & 1)],
                    account_id: "a".into(),
                    call_app_id: "b".into(),
                    call_id: "c".into(),
                    stream_id: "d".into(),
                    ..StreamParams::default()
                };
                match self.engine.open_stream(now, call.session, params) {
                    Ok(stream) => {
                        self.engine.stream_connected(now, stream).expect("it is open");
                        call.streams.push(stream);
                    }
                    Err(error) => assert!(!matches!(error, CommandError::UnknownSession)),
                }
            }
            14 => {
                if let Some(stream) = call.streams.pop() {
                    self.engine.close_stream(now, stream).expect("it is open");
                }
            }
            _ => {
                self.engine.close_session(now, call.session).expect("it is open");
                assert!(
                    self.engine.stats(call.session).is_err(),
                    "an old key names nothing"
                );
                *call = open(&mut self.engine, now);
            }
        }
    }

    fn receive(&mut self, source: Source, data: &[u8]) {
        self.engine.receive(self.now, source, data);
    }

    /// The process dies; after a while another goes on.
    fn die(&mut self, call: &Call, outage_ms: u64) {
        let Some(store) = self.engine.record_store() else {
            unreachable!("records are kept")
        };
        let mut records = HeapStore::with_ring(SLOTS, RING_BYTES);
        records.node().copy_from_slice(store.node());
        for index in 0..store.slots() {
            if let (Some(from), Some(to)) = (store.slot(index), records.slot(index)) {
                to.copy_from_slice(from);
            }
        }
        self.now = self.now.plus_millis(outage_ms);
        // A seed that no process before had: what is drawn from it must not come twice.
        let restored = Engine::restore(config(self.now.0), self.now, Box::new(records));
        let Restored { engine, refused, .. } = restored.unwrap_or_else(|error| panic!("{error}"));
        assert!(refused.is_empty(), "{refused:?}");
        self.engine = engine;
        for stream in &call.streams {
            let connected = self.engine.stream_connected(self.now, *stream);
            connected.expect("streams go on");
        }
    }

    /// The shell comes back so much later: at times it is late.
    fn pass(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
        self.engine.handle_timeout(self.now);
        let next = self.engine.next_timeout().expect("there are sessions");
        assert!(next > self.now || millis == 0, "time went back");
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.engine.poll_transmit() {
            let data = transmit.payload;
            let Destination::Rtp { leg, .. } = transmit.to else {
                continue;
            };
            if (192..=223).contains(&data[1]) {
                continue;
            }
            self.quiet_frames += u64::from(leg == self.quiet);
            let sequence = u16::from_be_bytes([data[2], data[3]]);
            let ssrc = u32::from_be_bytes([data[8], data[9], data[10], data[11]]);
            if let Some((last, at)) = self.last.insert((leg, ssrc), (sequence, self.now))
                && self.now.millis_since(at) < 600_000
            {
                assert!(
                    (1..0x8000).contains(&sequence.wrapping_sub(last)),
                    "a number again"
                );
            }
        }
        let mut events = 0;
        while self.engine.poll_event().is_some() {
            events += 1;
        }
        assert!(events <= 10_000, "{events} events of one step");
    }

    fn check(&self, call: &Call) {
        let stats = self.engine.stats(call.session).expect("it is open");
        for (_, stream) in &stats.streams {
            assert!(stream.queued_ms <= u64::from(PLAYOUT_MS));
        }
        for (_, leg) in &stats.legs {
            assert!(leg.buffer_ms.is_finite() && leg.buffer_ms >= 0.0, "{leg:?}");
            assert!(leg.jitter_ms.is_finite());
        }
        assert!(stats.streams.len() <= media::session::MAX_STREAMS);
        let engine = self.engine.engine_stats();
        assert_eq!(
            (
                engine.failed_sessions,
                engine.stale_inputs,
                engine.events_dropped,
                engine.transmits_dropped
            ),
            (0, 0, 0, 0)
        );
    }
}
