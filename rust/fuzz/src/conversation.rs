//! An application of any dialect that says anything, message by message, while its call goes on: what waits has its bound,
//! what is told is bounded by what was asked, and text is UTF-8.
//!
//! ```text
//! dialect, format, then: length and form (2 bytes), frames that pass after it (1), the message
//! ```

use media::stream::dialect::TABLE;
use media::{
    Bounds, Codec, Destination, Engine, EngineConfig, Form, LegRemote, OpusSettings, PayloadTypes, Source,
    StreamKey, StreamParams, StreamStart, TelephoneEvent, Time,
};

use crate::input::Input;

/// What may wait: less than the default, so that the bound is reached.
const PLAYOUT_MS: u32 = 5_000;
/// Messages to the application that one of its own may cause, and a frame, beside the marks and utterances that it may clear.
const ANSWERS: usize = media::playout::MAX_MARKS + media::playout::MAX_UTTERANCES + 64;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut config = EngineConfig::new(1, 0);
    config.limits.playout_ms = PLAYOUT_MS;
    let mut engine = Engine::new(config);
    let mut now = Time::from_millis(1_000);
    let stream = open(&mut engine, now, &mut input);
    drain(&mut engine);
    while !input.is_empty() {
        let length = input.u16();
        let frames = u64::from(input.u8() % 8);
        let message = input.take(usize::from(length & 0x7fff) % 4_000);
        let source = if length & 0x8000 == 0 {
            Source::Stream(stream)
        } else {
            Source::StreamBinary(stream)
        };
        engine.receive(now, source, message);
        drain(&mut engine);
        for _ in 0..frames {
            now = now.plus_millis(20);
            engine.handle_timeout(now);
            drain(&mut engine);
        }
        let stats = engine.stats(stream.session()).expect("it is open");
        // For all, and for the one party there is.
        assert!(stats.streams[0].1.queued_ms <= 2 * u64::from(PLAYOUT_MS));
    }
    engine.close_stream(now, stream).expect("it is open");
    drain(&mut engine);
}

fn open(engine: &mut Engine, now: Time, input: &mut Input<'_>) -> StreamKey {
    let session = engine.open_session(now).expect("the first");
    let leg = engine.open_leg(now, session).expect("the first");
    let remote = LegRemote {
        rtp: ([192, 0, 2, 1], 4_000).into(),
        rtcp: None,
        audio: PayloadTypes::new(&[(0, Codec::Pcmu)]).expect("one"),
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
    engine
        .connect_leg(now, leg, remote)
        .expect("a remote that can be");
    let entry = &TABLE[usize::from(input.u8()) % TABLE.len()];
    let choice = input.u8();
    let format = entry.output[usize::from(choice & 0x7f) % entry.output.len()];
    let words = if choice & 0x80 == 0 { "json" } else { "plain-text" };
    let params = StreamParams {
        dialect: entry.dialect,
        encoding: format.encoding,
        rate_hz: format.rate_hz,
        stream_id: "stream".into(),
        start: StreamStart {
            ids: vec![("control_msg_format".into(), words.into())],
            ..StreamStart::default()
        },
        ..StreamParams::default()
    };
    let stream = engine
        .open_stream(now, session, params)
        .expect("what the table has can be opened");
    engine.stream_connected(now, stream).expect("it is open");
    stream
}

fn drain(engine: &mut Engine) {
    let mut answers = 0;
    while let Some(transmit) = engine.poll_transmit() {
        if let Destination::Stream { form, .. } = transmit.to {
            answers += 1;
            if form == Form::Text {
                assert!(std::str::from_utf8(transmit.payload).is_ok());
            }
        }
    }
    assert!(answers <= ANSWERS, "{answers} answers");
    while engine.poll_event().is_some() {}
}
