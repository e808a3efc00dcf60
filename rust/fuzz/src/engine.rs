//! A whole engine: datagrams, messages, commands and times as the script says, and beside it a session that nobody
//! touches. Nothing panics, every bound holds, numbers never go back, and the other session sends every frame.

use std::collections::HashMap;
use std::net::SocketAddr;

use media::{
    Bounds, Codec, CommandError, Destination, Dialect, Encoding, Engine, EngineConfig, LegKey, LegRemote,
    OpusSettings, PayloadTypes, SessionKey, Source, StreamKey, StreamParams, TelephoneEvent, Time,
};

use crate::input::Input;

/// A longer script says nothing that a shorter one does not.
const MAX_STEPS: usize = 400;
const PLAYOUT_MS: u32 = 2_000;

struct Call {
    session: SessionKey,
    leg: LegKey,
    streams: Vec<StreamKey>,
}

struct Bench {
    engine: Engine,
    now: Time,
    /// The last sequence number that each leg sent, and when.
    last: HashMap<LegKey, (u16, Time)>,
    quiet_frames: u64,
    quiet: LegKey,
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let now = Time::from_millis(10_000);
    let mut config = EngineConfig::new(u64::from(input.u16()), 0xe000_0000_0000_0000);
    config.limits.playout_ms = PLAYOUT_MS;
    let mut engine = Engine::new(config);
    let quiet = engine.open_session(now).expect("the first session");
    let quiet = engine.open_leg(now, quiet).expect("its leg");
    let mut call = open(&mut engine, now);
    let mut bench = Bench {
        engine,
        now,
        last: HashMap::new(),
        quiet_frames: 0,
        quiet,
    };
    let connected = bench.engine.connect_leg(now, quiet, remote(0));
    connected.expect("a plain remote");
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        bench.step(&mut call, &mut input);
        bench.drain();
        bench.check(&call);
    }
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
    let mut types = [(0, Codec::Pcmu), (8, Codec::Pcma)];
    types.rotate_left(usize::from(flags >> 2 & 1));
    PayloadTypes::new(&types).unwrap_or_else(|| unreachable!("two static types"))
}

fn remote(flags: u8) -> LegRemote {
    LegRemote {
        rtp: address(flags & 1),
        rtcp: (flags & 2 == 0).then(|| address(0x40)),
        audio: audio(flags),
        telephone_event: (flags & 8 == 0).then_some(TelephoneEvent {
            payload_type: 101,
            clock_hz: 8_000,
        }),
        ptime_ms: 20,
        opus: OpusSettings::default(),
        jitter: Bounds::default(),
        send: flags & 16 == 0,
        receive: flags & 32 == 0,
        rtcp_mux: flags & 64 != 0,
        also_from: (flags & 128 != 0).then(|| address(3).ip()),
        srtp: None,
    }
}

impl Bench {
    fn step(&mut self, call: &mut Call, input: &mut Input<'_>) {
        let (operation, now) = (input.u8(), self.now);
        match operation % 16 {
            0..=3 => {
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
                if let Some(stream) = call.streams.first() {
                    self.receive(Source::Stream(*stream), text);
                }
            }
            9..=10 => self.pass(u64::from(input.u8()) % 50),
            11 => self.pass(u64::from(input.u16()) % 5_000),
            12 => {
                let flags = input.u8();
                let outcome = self.engine.connect_leg(now, call.leg, remote(flags));
                outcome.expect("a remote that can be");
            }
            13 => {
                let params = StreamParams {
                    dialect: Dialect::Teler,
                    encoding: Encoding::PcmS16le,
                    chunk_ms: 20 * u32::from(input.u8() % 8),
                    rate_hz: [8_000, 16_000][usize::from(input.u8() & 1)],
                    account_id: "a".into(),
                    call_app_id: "b".into(),
                    call_id: "c".into(),
                    stream_id: "d".into(),
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
            if let Some((last, at)) = self.last.insert(leg, (sequence, self.now))
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
                engine.stale_inputs,
                engine.events_dropped,
                engine.transmits_dropped
            ),
            (0, 0, 0)
        );
    }
}
