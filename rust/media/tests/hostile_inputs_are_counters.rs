//! A bad packet is weather: a counter, never a panic, never the end of a call.

mod common;

use common::*;
use media::rtp::packet::{Malformed, Packet};
use media::rtp::rtcp::Compound;
use media::{LegRemote, Source};
use proptest::prelude::*;

#[test]
fn rtp_that_lies_about_its_length_is_malformed() {
    let good = Phone::new().tone();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Packet::parse(&bytes).map(|packet| packet.payload.len())
    };
    for length in 0..12 {
        assert_eq!(
            with(&|bytes| bytes.truncate(length)),
            Err(Malformed::Truncated),
            "{length} bytes"
        );
    }
    assert_eq!(with(&|bytes| bytes.truncate(12)), Ok(0));
    for version in [0u8, 1, 3] {
        assert_eq!(with(&|bytes| bytes[0] = version << 6), Err(Malformed::Version));
    }
    assert_eq!(
        with(&|bytes| bytes[0] |= 15),
        Ok(100),
        "15 contributing sources are skipped"
    );
    assert_eq!(
        with(&|bytes| {
            bytes[0] |= 15;
            bytes.truncate(71);
        }),
        Err(Malformed::Truncated)
    );
    let padded = |padding: u8| {
        with(&|bytes| {
            bytes[0] |= 0x20;
            *bytes.last_mut().unwrap() = padding;
        })
    };
    assert_eq!((padded(1), padded(160)), (Ok(159), Ok(0)));
    assert_eq!(
        (padded(0), padded(161)),
        (Err(Malformed::Padding), Err(Malformed::Padding))
    );
    assert_eq!(
        with(&|bytes| {
            bytes[0] |= 0x20;
            bytes.truncate(12);
        }),
        Err(Malformed::Padding)
    );
    let extended = |words: u16| {
        with(&|bytes| {
            bytes[0] |= 0x10;
            bytes[14..16].copy_from_slice(&words.to_be_bytes());
        })
    };
    assert_eq!((extended(0), extended(39)), (Ok(156), Ok(0)));
    assert_eq!(
        (extended(40), extended(0xffff)),
        (Err(Malformed::Truncated), Err(Malformed::Truncated))
    );
}

#[test]
fn the_call_goes_on_through_all_of_it() {
    let mut node = Node::connected();
    node.open_stream(stream_params(20, 8_000));
    let mut phone = Phone::new();
    let mut huge = phone.with_payload(&vec![0x55; 65_000]);
    huge[2] = 0x7f;
    let mut unknown = phone.with_payload(&[0; 160]);
    unknown[1] = 96;
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("malformed", vec![]),
        ("malformed", vec![0x80]),
        ("malformed", vec![0x80, 0, 1]),
        ("malformed", vec![0xff; 200]),
        ("malformed", vec![0x60; 172]),
        ("malformed", huge),
        ("unknown_payload_type", unknown),
        ("unknown_payload_type", vec![0x80, 200, 0, 0]),
        (
            "not_rtp",
            [&[0, 1, 0, 0][..], &[0x21, 0x12, 0xa4, 0x42], &[7; 12]].concat(),
        ),
        ("not_rtp", vec![22, 254, 253, 0, 0]),
        ("not_rtp", vec![64; 50]),
        ("not_rtp", vec![16; 50]),
    ];
    for _ in 0..100 {
        node.rtp(&phone.tone());
        for (_, data) in &hostile {
            node.rtp(data);
            node.rtp_from(address("203.0.113.77:4000"), data);
        }
        node.run_ms(20);
    }
    let stats = node.leg_stats();
    let expected = |name| 100 * hostile.iter().filter(|(counter, _)| *counter == name).count() as u64;
    assert_eq!(stats.malformed, expected("malformed"));
    assert_eq!(stats.unknown_payload_type, expected("unknown_payload_type"));
    assert_eq!(stats.not_rtp, expected("not_rtp"));
    assert_eq!(stats.wrong_source, 100 * hostile.len() as u64);
    // The oversized packet has a valid header, so it was received before it was refused.
    assert_eq!(
        (stats.packets_received, stats.lost, stats.concealed_ms),
        (200, 0, 0)
    );
    let sounding = node
        .heard_by_app()
        .iter()
        .filter(|sample| sample.unsigned_abs() > 100)
        .count();
    assert!(sounding > 15_000, "{sounding}");
}

#[test]
fn a_flood_of_false_sources_takes_nobodys_place() {
    let mut node = Node::connected();
    node.open_stream(stream_params(20, 8_000));
    let mut phone = Phone::new();
    for n in 0..200u32 {
        node.rtp(&phone.tone());
        for false_ssrc in 0..5 {
            let forged = Phone {
                ssrc: n * 5 + false_ssrc,
                ..Phone::new()
            };
            node.rtp(&forged.with_payload(&[0x80; 160]));
        }
        node.run_ms(20);
    }
    let stats = node.leg_stats();
    assert_eq!((stats.ssrc_changes, stats.lost, stats.concealed_ms), (0, 0, 0));
}

#[test]
fn rtcp_of_every_wrong_kind_is_a_counter() {
    let mut node = Node::connected();
    let leg = node.leg;
    let wrong: [&[u8]; 7] = [
        &[],
        &[0x80],
        &[0x80, 201, 0, 0],
        &[0x81, 202, 0, 1, 0, 0, 0, 0],
        &[0; 64],
        &[0x80; 4],
        &[0x81, 200, 0, 1, 0, 0, 0, 0],
    ];
    for data in wrong {
        node.engine.receive(
            node.now,
            Source::Rtcp {
                leg,
                from: phone_rtcp(),
            },
            data,
        );
    }
    let stranger = address("203.0.113.1:1");
    node.engine.receive(
        node.now,
        Source::Rtcp { leg, from: stranger },
        &[0x80, 201, 0, 1, 0, 0, 0, 1],
    );
    let stats = node.leg_stats();
    assert_eq!(
        (
            stats.malformed + stats.not_rtp,
            stats.wrong_source,
            stats.rtcp_received
        ),
        (7, 1, 0)
    );
}

#[test]
fn ten_minutes_of_audio_in_a_second_is_an_overflow() {
    let mut node = Node::connected();
    let stream = node.open_stream(stream_params(20, 8_000));
    let second = audio(&tone(0, 8_000), 1);
    for _ in 0..600 {
        node.message(stream, &second);
    }
    assert_eq!(
        (node.stream_stats().queued_ms, node.stream_stats().overflow_ms),
        (120_000, 480_000)
    );
    node.message(stream, r#"{"type":"clear"}"#);
    // The tiniest chunks have a bound too.
    for _ in 0..media::playout::MAX_CHUNKS + 100 {
        node.message(stream, r#"{"type":"audio","audio_b64":"AQA="}"#);
    }
    assert_eq!(
        node.stream_stats().queued_ms,
        media::playout::MAX_CHUNKS as u64 / 8
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        // The same cases every time.
        rng_seed: proptest::test_runner::RngSeed::Fixed(4_475),
        ..ProptestConfig::with_cases(512)
    })]

    #[test]
    fn rtp_is_what_was_written(
        marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
        payload in proptest::collection::vec(any::<u8>(), 0..500),
    ) {
        let packet = Packet { marker, payload_type, sequence, timestamp, ssrc, payload: &payload };
        let mut bytes = Vec::new();
        packet.write_header(&mut bytes);
        bytes.extend_from_slice(&payload);
        prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
    }

    #[test]
    fn padding_extension_and_sources_do_not_change_the_payload(
        sources in 0u8..16, words in proptest::option::of(0u16..20), padding in proptest::option::of(1u8..=255),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = Vec::new();
        Packet { marker: false, payload_type: 0, sequence: 1, timestamp: 2, ssrc: 3, payload: &[] }.write_header(&mut bytes);
        bytes[0] |= sources;
        bytes.resize(12 + 4 * usize::from(sources), 0xcc);
        if let Some(words) = words {
            bytes[0] |= 0x10;
            bytes.extend_from_slice(&[0xbe, 0xde]);
            bytes.extend_from_slice(&words.to_be_bytes());
            bytes.resize(bytes.len() + 4 * usize::from(words), 0xee);
        }
        bytes.extend_from_slice(&payload);
        if let Some(padding) = padding {
            bytes[0] |= 0x20;
            bytes.resize(bytes.len() + usize::from(padding), padding);
        }
        prop_assert_eq!(Packet::parse(&bytes).map(|packet| packet.payload), Ok(&payload[..]));
    }

    #[test]
    fn rtcp_of_any_bytes_is_read_without_a_panic(
        mut data in proptest::collection::vec(any::<u8>(), 0..200), packet_type in 200u8..208, words in 0u8..50,
    ) {
        if data.len() >= 4 {
            data[0] = 0x80 | data[0] & 0x3f;
            data[1] = packet_type;
            data[2] = 0;
            data[3] = words;
        }
        if let Ok(compound) = Compound::parse(&data) {
            prop_assert!(compound.count() >= 1);
        }
    }

    #[test]
    fn an_engine_survives_any_bytes_from_anywhere(
        inputs in proptest::collection::vec(
            (0u8..6, proptest::collection::vec(any::<u8>(), 0..300), 0u64..200, any::<u16>(), any::<u32>()), 1..60),
        rtcp_mux: bool,
    ) {
        let mut node = Node::new();
        node.connect(LegRemote { rtcp_mux, ..remote(phone_rtp()) });
        let stream = node.open_stream(stream_params(20, 16_000));
        let mut phone = Phone::new();
        for (kind, mut data, wait_ms, sequence, timestamp) in inputs {
            match kind {
                0 => node.rtp(&data),
                1 => node.rtp(&phone.tone()),
                2 => {
                    // Valid framing, wild numbers, any payload.
                    phone.sequence = sequence;
                    phone.timestamp = timestamp;
                    node.rtp(&phone.with_payload(&data));
                }
                3 => {
                    if data.len() > 3 {
                        data[0] = 0x80 | data[0] & 0x3f;
                        data[1] = 200 + data[1] % 5;
                    }
                    let leg = node.leg;
                    node.engine.receive(node.now, Source::Rtcp { leg, from: phone_rtcp() }, &data);
                }
                4 => node.engine.receive(node.now, Source::Stream(stream), &data),
                _ => {
                    let text = format!(r#"{{"type":"audio","audio_b64":"{}","chunk_id":{sequence}}}"#, base64(&data));
                    node.message(stream, &text);
                    if timestamp % 3 == 0 {
                        node.message(stream, &format!(r#"{{"type":"interrupt","chunk_id":{sequence}}}"#));
                    }
                }
            }
            if wait_ms % 7 == 0 { node.stall_ms(wait_ms) } else { node.run_ms(wait_ms) }
            let stats = node.leg_stats();
            prop_assert!((10..=200).contains(&stats.buffer_target_ms));
        }
    }

    #[test]
    fn what_is_decoded_was_encoded(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..8)) {
        let joined: String = parts.iter().map(|part| base64(part)).collect();
        let mut decoded = vec![1, 2, 3];
        media::stream::base64::decode(joined.as_bytes(), &mut decoded).unwrap();
        prop_assert_eq!(decoded, parts.concat());
    }
}
