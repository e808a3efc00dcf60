//! What the messages of each dialect cost, one frame of 20 ms each way: samples to message, and message to samples.
//!
//! One JSON object a row: `dialect`, its first format, and of each way the bytes of the message and nanoseconds;
//! `copy_ns` is a bare copy of the samples as they stand in the message.

use std::hint::black_box;

use media::stream::base64;
use media::stream::dialect::{Audio, Entry, Message, TABLE, Tell};
use media::stream::ears::Chunk;
use media::{Format, StreamParams};

use crate::measure::{copy_ns, noise, ns, rounded};
use crate::said::said;

/// Prints a row for each dialect.
pub fn run() {
    TABLE.iter().filter_map(row).for_each(|row| println!("{row}"));
}

fn row(entry: &Entry) -> Option<serde_json::Value> {
    let Format { encoding, rate_hz } = entry.output[0];
    let params = StreamParams {
        dialect: entry.dialect,
        encoding,
        rate_hz,
        stream_id: "ms_1".into(),
        ..StreamParams::default()
    };
    let mut wire = (entry.make)(&params);
    let samples = noise(rate_hz);
    let (mut encoded, mut out) = (Vec::new(), Vec::new());
    let (mut sequence, mut timestamp) = (0, 0);
    let to_app_ns = ns(|| {
        encoded.clear();
        out.clear();
        encoding.append(black_box(&samples), &mut encoded);
        let chunk = Chunk {
            track: 0,
            sequence,
            timestamp,
            encoded: &encoded,
            is_replay: false,
            is_after_gap: false,
        };
        black_box(wire.write(&Tell::Audio(chunk), &mut out));
        sequence += 1;
        timestamp += samples.len() as u64;
    });
    let (form, message) = said(entry.name, 0, &encoded)?;
    let (mut scratch, mut heard) = (Vec::new(), vec![0; samples.len()]);
    let from_app_ns = ns(|| {
        let audio = match wire.read(form, black_box(&message)) {
            Ok(Message::Audio(audio, _) | Message::AudioTo(_, audio)) => audio,
            other => panic!("{}: {other:?}", entry.name),
        };
        let bytes = match audio {
            Audio::Base64(text) => {
                let decoded = base64::decode(text.as_bytes(), &mut scratch);
                assert!(decoded.is_ok());
                &scratch[..]
            }
            Audio::Raw(bytes) => bytes,
            Audio::Joined(ref bytes) => bytes,
        };
        assert_eq!(encoding.decode(bytes, &mut heard), samples.len());
        black_box(&heard);
    });
    Some(serde_json::json!({
        "dialect": entry.name, "encoding": encoding.as_str(), "rate_hz": rate_hz,
        "to_app_bytes": out.len(), "to_app_ns": rounded(to_app_ns),
        "from_app_bytes": message.len(), "from_app_ns": rounded(from_app_ns),
        "copy_bytes": encoded.len(), "copy_ns": rounded(copy_ns(encoded.len())),
    }))
}
