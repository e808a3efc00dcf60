//! After a while nothing is allocated any more: counted by the allocator itself, for this thread.

mod common;
#[path = "common/counting.rs"]
mod counting;
#[path = "common/voice.rs"]
mod voice;
#[path = "common/weights.rs"]
mod weights;

use common::dialects::Said;
use common::secure::*;
use common::*;
use counting::ALLOCATIONS;
use media::codec::encoder::Encoder;
use media::dtmf::{Method, SendDigits, tones};
use media::srtp::Suite;
use media::vad::Kind;
use media::{
    Codec, Detect, Dialect, Event, LegRemote, OpusSettings, RecordingParams, Source, StreamKey, StreamParams,
    Together,
};

const STEREO: RecordingParams = RecordingParams::new(media::Layout::Stereo);

/// Takes everything that came out, looking at all of it and keeping none.
fn discard(node: &mut Node) -> usize {
    let mut bytes = 0;
    while let Some(transmit) = node.engine.poll_transmit() {
        bytes += transmit.payload.len();
    }
    while node.engine.poll_event().is_some() {}
    bytes
}

/// A call that is echoed in a dialect: frames of the phone up, messages of the application down, for 40 s.
fn allocations_of_an_echo(
    params: StreamParams,
    source: fn(StreamKey) -> Source,
    message: &[u8],
) -> Option<u64> {
    let mut node = Node::connected();
    let (leg, from) = (node.leg, phone_rtp());
    let stream = node.open_stream(params);
    let mut phone = Phone::new();
    let mut packet = phone.tone();
    let mut bytes = 0;
    for number in 0..2_000u32 {
        if number == 1_000 {
            ALLOCATIONS.set(Some(0));
        }
        packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
        node.engine.receive(node.now, Source::Rtp { leg, from }, &packet);
        node.engine.receive(node.now, source(stream), message);
        node.now = node.now.plus_millis(20);
        node.engine.handle_timeout(node.now);
        bytes += discard(&mut node);
    }
    let allocations = ALLOCATIONS.take();
    assert!(bytes > 2_000 * (172 + 160), "it did work: {bytes}");
    assert!(node.stream_stats().played_ms > 39_000);
    allocations
}

#[test]
fn the_other_dialects_allocate_nothing_either() {
    for words in dialects::words() {
        let (source, message): (fn(StreamKey) -> Source, Vec<u8>) = match words.tone(20) {
            Said::Text(text) => (Source::Stream, text.into_bytes()),
            Said::Binary(bytes) => (Source::StreamBinary, bytes),
        };
        let params = dialects::params(words.dialect);
        let allocations = allocations_of_an_echo(params, source, &message);
        assert_eq!(allocations, Some(0), "{}", words.dialect);
    }
}

#[test]
fn nor_does_a_bot_that_speaks_at_another_rate_than_it_hears() {
    let media = format!(
        r#"{{"event":"playAudio","media":{{"contentType":"audio/x-l16","sampleRate":24000,"payload":"{}"}}}}"#,
        base64(&[0x10; 960])
    );
    let allocations = allocations_of_an_echo(dialects::params("plivo"), Source::Stream, media.as_bytes());
    assert_eq!(allocations, Some(0));
}

/// Audio both ways in every format and mode, with progress, acknowledgements, voices and utterances.
#[test]
fn longline_allocates_nothing_either() {
    for (audio, hello) in [
        (vec![0x10; 320], r#"{"speech":true}"#),
        (
            vec![0x10; 160],
            r#"{"audio":{"encoding":"alaw"},"progress_ms":20}"#,
        ),
        (
            vec![0x10; 960],
            r#"{"audio":{"rate_hz":24000,"frame_ms":10},"generations":true}"#,
        ),
        (
            vec![0x10; 320],
            r#"{"audio":{"mode":"json","frame_ms":60},"barge_in":{"mode":"local"}}"#,
        ),
    ] {
        let params = StreamParams {
            dialect: Dialect::Longline,
            ..stream_params(20, 8_000)
        };
        let mut node = Node::connected();
        let (leg, from) = (node.leg, phone_rtp());
        let stream = node.agree(params, hello);
        let mut phone = Phone::new();
        let mut packet = phone.tone();
        let mut message = [vec![0; 16], audio].concat();
        message[0] = 0x10;
        let mut bytes = 0;
        for number in 0..2_000u32 {
            if number == 1_000 {
                ALLOCATIONS.set(Some(0));
            }
            packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
            message[4..8].copy_from_slice(&number.to_le_bytes());
            node.engine.receive(node.now, Source::Rtp { leg, from }, &packet);
            node.engine
                .receive(node.now, Source::StreamBinary(stream), &message);
            node.now = node.now.plus_millis(20);
            node.engine.handle_timeout(node.now);
            bytes += discard(&mut node);
        }
        assert_eq!(ALLOCATIONS.take(), Some(0), "{hello}");
        assert!(bytes > 2_000 * 300, "it did work: {bytes}");
        assert!(node.stream_stats().played_ms > 20_000, "{hello}");
    }
}

#[test]
fn a_call_in_steady_state_allocates_nothing() {
    for (chunk_ms, rate_hz) in [(20, 8_000), (400, 8_000), (800, 16_000)] {
        let mut node = Node::connected();
        // Records are part of it.
        let store = media::record::HeapStore::new(1);
        node.engine.keep_records(Box::new(store));
        let (leg, from) = (node.leg, phone_rtp());
        let stream = node.open_stream(stream_params(chunk_ms, rate_hz));
        node.engine
            .start_recording(node.now, node.session, STEREO)
            .unwrap();
        // A second of packets with loss, disorder, duplicates and digits; used again and again with new numbers.
        let mut phone = Phone::new();
        let mut packets: Vec<Vec<u8>> = (0..50).map(|_| phone.tone()).collect();
        let text = audio(&tone(0, 4_000), 7);
        let nested = format!(
            r#"{{"type":"audio","data":{{"audio_b64":"{}","chunk_id":"a"}}}}"#,
            base64(&[9; 320])
        );
        let mut bytes = 0;
        for second in 0..40u32 {
            if second == 20 {
                ALLOCATIONS.set(Some(0));
            }
            for n in 0..50usize {
                let number = second * 50 + n as u32;
                let packet = &mut packets[n];
                packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
                packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
                if n != 17 {
                    node.engine
                        .receive(node.now, Source::Rtp { leg, from }, &packets[n]);
                }
                if n == 23 {
                    node.engine
                        .receive(node.now, Source::Rtp { leg, from }, &packets[20]);
                    node.engine
                        .receive(node.now, Source::Rtp { leg, from }, b"\x16\xfe\xfd");
                }
                match n {
                    0 => node
                        .engine
                        .receive(node.now, Source::Stream(stream), text.as_bytes()),
                    30..36 => node
                        .engine
                        .receive(node.now, Source::Stream(stream), nested.as_bytes()),
                    40 => node.engine.receive(
                        node.now,
                        Source::Stream(stream),
                        br#"{"type":"interrupt","chunk_id":7}"#,
                    ),
                    41 => node
                        .engine
                        .receive(node.now, Source::Stream(stream), br#"{"type":"clear"}"#),
                    42 => {
                        node.engine
                            .receive(node.now, Source::Stream(stream), br#"{"type":"what","x":[1]}"#)
                    }
                    _ => {}
                }
                node.now = node.now.plus_millis(20);
                node.engine.handle_timeout(node.now);
                bytes += discard(&mut node);
            }
        }
        let allocations = ALLOCATIONS.take();
        assert!(bytes > 40 * 50 * (172 + 640 + 200), "it did work: {bytes}");
        let stats = node.leg_stats();
        assert!(
            stats.lost >= 39 && stats.duplicate >= 39 && stats.rtcp_sent > 3,
            "{stats:?}"
        );
        assert_eq!(allocations, Some(0), "{chunk_ms} ms at {rate_hz} Hz");
    }
}

#[test]
fn nor_does_one_with_srtp() {
    for suite in Suite::ALL {
        let mut node = Node::new();
        node.connect(secure_remote(suite, 1));
        let (leg, from) = (node.leg, phone_rtp());
        let mut phone = SecurePhone::new(suite, 1);
        let packets: Vec<Vec<u8>> = (0..1_000).map(|_| phone.tone()).collect();
        let mut bytes = 0;
        for (n, packet) in packets.iter().enumerate() {
            if n == 500 {
                ALLOCATIONS.set(Some(0));
            }
            for data in [&packet[..], &packet[..], &packet[..50]] {
                node.engine.receive(node.now, Source::Rtp { leg, from }, data);
            }
            node.now = node.now.plus_millis(20);
            node.engine.handle_timeout(node.now);
            bytes += discard(&mut node);
        }
        let allocations = ALLOCATIONS.take();
        assert!(
            bytes > 1_000 * (172 + suite.rtp_tag_bytes()),
            "it did work: {bytes}"
        );
        let stats = node.leg_stats();
        assert_eq!((stats.packets_received, stats.srtp_replayed), (1_000, 2_000));
        assert!(stats.rtcp_sent > 2);
        assert_eq!(allocations, Some(0), "{suite:?}");
    }
}

#[test]
fn a_conference_in_steady_state_allocates_nothing() {
    let mut node = Node::connected();
    let mut legs = vec![(node.leg, phone_rtp(), Phone::new())];
    for number in 1..3 {
        let (leg, phone) = node.add_leg(number);
        legs.push((leg, phone, Phone::new()));
    }
    let stream = node.open_stream(stream_params(20, 8_000));
    for layout in [media::Layout::Stereo, media::Layout::Mono, media::Layout::Parties] {
        let params = RecordingParams::new(layout);
        node.engine
            .start_recording(node.now, node.session, params)
            .unwrap();
    }
    let text = audio(&tone(0, 8_000), 7);
    let packets: Vec<Vec<u8>> = (0..250).map(|_| legs[0].2.tone()).collect();
    let mut bytes = 0;
    for second in 0..20u32 {
        if second == 10 {
            ALLOCATIONS.set(Some(0));
        }
        node.engine
            .receive(node.now, Source::Stream(stream), text.as_bytes());
        for n in 0..50usize {
            // Now one speaks, now another, now all.
            for (at, (leg, from, _)) in legs.iter().enumerate() {
                let mut packet = [0; 172];
                packet.copy_from_slice(&packets[n + 60 * at]);
                let number = second * 50 + n as u32;
                packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
                packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
                if second % 4 != at as u32 {
                    let source = Source::Rtp {
                        leg: *leg,
                        from: *from,
                    };
                    node.engine.receive(node.now, source, &packet);
                }
            }
            node.now = node.now.plus_millis(20);
            node.engine.handle_timeout(node.now);
            bytes += discard(&mut node);
        }
    }
    let allocations = ALLOCATIONS.take();
    assert!(
        bytes > 20 * 50 * (3 * 172 + 640 + 320 + 4 * 320),
        "it did work: {bytes}"
    );
    assert_eq!(allocations, Some(0));
}

/// Every party apart and both ways, in stereo, and summed; a whisper to one of them in every frame.
#[test]
fn nor_do_its_tracks() {
    let mut node = Node::connected();
    node.engine
        .keep_records(Box::new(media::record::HeapStore::new(1)));
    let legs = [(node.leg, phone_rtp()), node.add_leg(1), node.add_leg(2)];
    let longline = StreamParams {
        dialect: Dialect::Longline,
        tracks: vec![0, 1, 2, 3, 128, 129, 130, 131],
        ..stream_params(20, 8_000)
    };
    let stream = node.agree(longline, r#"{"audio":{"rate_hz":16000}}"#);
    for (together, tracks) in [(Together::Stereo, vec![1, 129]), (Together::Mixed, vec![0, 128])] {
        node.open_stream(StreamParams {
            dialect: Dialect::Jambonz,
            tracks,
            together,
            ..stream_params(20, 8_000)
        });
    }
    let mut packets = legs.map(|_| Phone::new().tone());
    let mut message = vec![0x10; 16 + 640];
    message[1..16].fill(0);
    let mut bytes = 0;
    for number in 0..2_000u32 {
        if number == 1_000 {
            ALLOCATIONS.set(Some(0));
        }
        for (packet, (leg, from)) in packets.iter_mut().zip(legs) {
            packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
            node.engine.receive(node.now, Source::Rtp { leg, from }, packet);
        }
        message[1] = 2 * (number % 2) as u8;
        message[4..8].copy_from_slice(&number.to_le_bytes());
        node.engine
            .receive(node.now, Source::StreamBinary(stream), &message);
        node.now = node.now.plus_millis(20);
        node.engine.handle_timeout(node.now);
        bytes += discard(&mut node);
    }
    assert_eq!(ALLOCATIONS.take(), Some(0));
    assert!(bytes > 2_000 * (3 * 172 + 8 * 656), "it did work: {bytes}");
    assert!(node.stream_stats().played_ms > 39_000);
}

#[test]
fn nor_does_any_codec_at_any_packet_time() {
    for (codec, ptime_ms) in [
        (Codec::G722, 20),
        (Codec::G722, 60),
        (Codec::Opus, 20),
        (Codec::Opus, 60),
        (Codec::L16(16_000), 10),
    ] {
        let mut node = Node::new();
        node.connect(LegRemote {
            audio: payload_types(&[(96, codec)]),
            ptime_ms,
            ..remote(phone_rtp())
        });
        let (leg, from) = (node.leg, phone_rtp());
        let stream = node.open_stream(stream_params(20, 16_000));
        let text = audio(&tone(0, 8_000), 1);
        let mut encoder = Encoder::new(codec, OpusSettings::default());
        let mut phone = Phone {
            payload_type: 96,
            ..Phone::new()
        };
        let samples: Vec<i16> = tone(0, codec.rate_hz() as usize / 50);
        let packets: Vec<Vec<u8>> = (0..600)
            .map(|_| {
                let mut payload = Vec::new();
                encoder.encode(&samples, &mut payload);
                let packet = phone.with_payload(&payload);
                phone.sequence = phone.sequence.wrapping_add(1);
                phone.timestamp += codec.clock_hz() / 50;
                packet
            })
            .collect();
        let mut bytes = 0;
        for (n, packet) in packets.iter().enumerate() {
            if n == 400 {
                ALLOCATIONS.set(Some(0));
            }
            if n % 50 == 0 {
                node.engine
                    .receive(node.now, Source::Stream(stream), text.as_bytes());
            }
            if n % 17 != 3 {
                node.engine.receive(node.now, Source::Rtp { leg, from }, packet);
            }
            node.now = node.now.plus_millis(20);
            node.engine.handle_timeout(node.now);
            bytes += discard(&mut node);
        }
        let allocations = ALLOCATIONS.take();
        let stats = node.leg_stats();
        assert!(stats.lost > 30 && stats.concealed_ms > 0, "{codec:?} {stats:?}");
        assert!(bytes > 600 * 640, "it did work: {bytes}");
        assert_eq!(allocations, Some(0), "{codec:?} at {ptime_ms} ms");
    }
}

/// What was told of signals.
#[derive(Debug, Default)]
struct Told {
    digits_sent: usize,
    digits_received: usize,
    voices: usize,
    qualities: usize,
}

impl Told {
    /// Takes everything that came out, counting the events.
    fn take(&mut self, node: &mut Node) {
        while node.engine.poll_transmit().is_some() {}
        while let Some(event) = node.engine.poll_event() {
            match event {
                Event::DigitSent { .. } => self.digits_sent += 1,
                Event::DigitReceived { .. } => self.digits_received += 1,
                Event::SpeechStarted { .. } => self.voices += 1,
                Event::LegQuality { .. } => self.qualities += 1,
                _ => {}
            }
        }
    }
}

/// Digits go both ways by one road while a voice is listened for and the quality is told every second, for 20 s.
fn allocations_of_signals(road: Method, vad: Kind) -> (Option<u64>, Told) {
    let mut node = Node::new();
    let by_event = remote(phone_rtp());
    node.connect(match road {
        Method::Event => by_event,
        Method::InBand => LegRemote {
            telephone_event: None,
            ..by_event
        },
    });
    let (leg, from) = (node.leg, phone_rtp());
    let inband_dtmf = road == Method::InBand;
    node.engine
        .detect(node.now, leg, Detect { inband_dtmf, vad })
        .unwrap();
    node.engine.report_quality(node.now, leg, 1_000).unwrap();
    let digits = SendDigits::new(&"159D".repeat(25), None, None).unwrap();
    node.engine.send_digits(node.now, leg, &digits).unwrap();

    // Each second: 300 ms of a voice, soon a press of 100 ms, and silence until the voice is over.
    let mut phone = Phone::new();
    let mut voice = voice::speech(5, 8_000, 20);
    for second in voice.chunks_mut(8_000) {
        second[2_400..].fill(0);
        if inband_dtmf {
            tones::write(5, 8_000, 0, &mut second[2_880..3_680]);
        }
    }
    let packets: Vec<Vec<u8>> = voice
        .chunks(160)
        .enumerate()
        .flat_map(|(n, samples)| {
            let audio = phone.say(samples);
            let press = (!inband_dtmf && n % 50 == 35).then(|| phone.event(5, true, 800));
            [Some(audio), press]
        })
        .flatten()
        .collect();
    let mut told = Told::default();
    let mut frames = 0;
    for packet in &packets {
        node.engine.receive(node.now, Source::Rtp { leg, from }, packet);
        if packet[1] == EVENT_TYPE {
            continue;
        }
        node.now = node.now.plus_millis(20);
        node.engine.handle_timeout(node.now);
        told.take(&mut node);
        frames += 1;
        if frames == 500 {
            told = Told::default();
            ALLOCATIONS.set(Some(0));
        }
    }
    (ALLOCATIONS.take(), told)
}

/// A report of quality, at most one a second, travels in a box of its own; nothing else may be allocated.
#[test]
fn nor_do_digits_and_voices_both_ways() {
    let detectors = [Some(Kind::Energy), weights::model().map(Kind::Silero)];
    for vad in detectors.into_iter().flatten() {
        for road in [Method::Event, Method::InBand] {
            let (allocations, told) = allocations_of_signals(road, vad.clone());
            let case = format!("{vad:?} {road:?} {told:?}");
            assert!(told.digits_sent >= 49 && told.digits_received >= 9, "{case}");
            assert!(told.voices >= 3 && told.qualities >= 9, "{case}");
            assert_eq!(allocations, Some(told.qualities as u64), "{case}");
        }
    }
}
