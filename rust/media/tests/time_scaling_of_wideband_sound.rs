//! The delay is corrected in sound of any rate, by whole periods and without a step.

mod common;

use common::far_end::*;
use common::payload_types;
use media::{Bounds, Codec};
use netem::Link;

/// Runs for so long; returns the corrections made while somebody spoke, in milliseconds.
fn corrected_in_sound_ms(line: &mut Line, millis: u64) -> u64 {
    let frame = line.rate_hz as usize / 50;
    let mut in_sound = 0;
    for _ in 0..millis / 20 {
        let before = line.inserted_ms() + line.dropped_ms();
        line.run_ms(20);
        let corrected = line.inserted_ms() + line.dropped_ms() - before;
        let heard = line.heard.as_ref().unwrap();
        let level: u64 = heard[heard.len() - frame..]
            .iter()
            .map(|sample| u64::from(sample.unsigned_abs()))
            .sum();
        if level > 500 * frame as u64 {
            in_sound += corrected;
        }
    }
    in_sound
}

fn largest_step(samples: &[i16]) -> i32 {
    let steps = samples
        .windows(2)
        .map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
    steps.max().unwrap()
}

#[test]
fn delay_is_added_and_taken_away_in_sound_without_a_step() {
    for (payload_type, codec) in [
        (9, Codec::G722),
        (97, Codec::L16(16_000)),
        (98, Codec::L16(48_000)),
        (96, Codec::Opus),
    ] {
        let sending = Sending {
            codec,
            payload_type,
            ptime_ms: 20,
        };
        let audio = payload_types(&[(payload_type, codec)]);
        let mut line = Line::new(Link::default(), 0, 1, sending);
        line.rate_hz = codec.rate_hz();
        line.heard = Some(Vec::new());
        // To where the voice is.
        line.run_ms(4_400);
        let step = largest_step(line.heard.as_ref().unwrap());
        assert_eq!((line.inserted_ms(), line.dropped_ms()), (0, 0), "{codec:?}");
        line.receiver.connect(Bounds::new(120, 200).unwrap(), &audio);
        let lengthened = corrected_in_sound_ms(&mut line, 8_000);
        assert!(line.inserted_ms() >= 80, "{codec:?}: {}", line.inserted_ms());
        line.receiver.connect(Bounds::default(), &audio);
        let shortened = corrected_in_sound_ms(&mut line, 8_000);
        assert!(line.dropped_ms() >= 80, "{codec:?}: {}", line.dropped_ms());
        assert!(
            lengthened >= 10 && shortened >= 10,
            "{codec:?}: {lengthened} and {shortened} ms in sound"
        );
        assert_eq!(line.concealed_ms(), 0, "{codec:?}");
        let scaled = largest_step(line.heard.as_ref().unwrap());
        assert!(scaled <= step + step / 4, "{codec:?}: {scaled}, {step} before");
    }
}
