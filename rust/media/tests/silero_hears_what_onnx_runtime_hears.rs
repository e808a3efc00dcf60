//! The plain forward pass of Silero VAD gives the probabilities that ONNX Runtime gives for the same audio.
//!
//! The expected ones are of ONNX Runtime 1.31.1 with `silero_vad_16k_op15.onnx` of silero-vad 6.2.3, over this synthetic
//! voice. The weights are fetched by `scripts/setup.sh --test`; without them there is nothing to test and it says so.

#[path = "common/voice.rs"]
mod voice;
#[path = "common/weights.rs"]
mod weights;

use std::sync::Arc;

use media::vad::silero::{Model, RATE_HZ, Silero, WINDOW};
use media::vad::{Kind, Speech, Vad};
use voice::speech;
use weights::model;

/// Of every sixth window.
const EXPECTED: [f32; 26] = [
    0.00167, 0.005853, 0.004736, 0.004075, 0.003792, 0.003643, 0.833124, 0.988784, 0.992016, 0.98776,
    0.382102, 0.899545, 0.939762, 0.730461, 0.023602, 0.677467, 0.825175, 0.991814, 0.934206, 0.998467,
    0.99669, 0.004394, 0.000472, 0.000472, 0.000473, 0.000441,
];

/// A second of silence, three of a voice, a second of silence.
fn audio() -> Vec<i16> {
    let mut samples = vec![0; RATE_HZ as usize];
    samples.extend(speech(7, RATE_HZ, 3));
    samples.resize(5 * RATE_HZ as usize, 0);
    samples
}

fn probabilities(model: Arc<Model>) -> Vec<f32> {
    let mut silero = Silero::new(model);
    let scaled: Vec<f32> = audio()
        .iter()
        .map(|&sample| f32::from(sample) / 32_768.0)
        .collect();
    let windows = scaled.as_chunks::<WINDOW>().0;
    windows.iter().map(|window| silero.probability(window)).collect()
}

#[test]
fn the_probabilities_are_those_of_the_oracle() {
    let Some(model) = model() else { return };
    let seen = probabilities(model);
    for (n, expected) in EXPECTED.iter().enumerate() {
        let seen = seen[n * 6];
        assert!(
            (seen - expected).abs() < 1e-4,
            "window {}: {seen} is not {expected}",
            n * 6
        );
    }
}

#[test]
fn legs_at_every_rate_hear_the_voice_begin_and_end() {
    let Some(model) = model() else { return };
    for rate_hz in [8_000, 48_000] {
        let second = rate_hz as usize;
        let mut samples = vec![0; second / 2];
        samples.extend(speech(7, rate_hz, 1));
        samples.resize(second * 9 / 4, 0);
        let mut vad = Vad::new(&Kind::Silero(model.clone()), rate_hz).unwrap();
        let frames = samples.chunks(rate_hz as usize / 50).enumerate();
        let told: Vec<(usize, Speech)> = frames
            .filter_map(|(n, frame)| Some((n * 20, vad.push(frame, rate_hz)?)))
            .collect();
        let [
            (started, Speech::Started { .. }),
            (stopped, Speech::Stopped { duration_ms }),
        ] = told[..]
        else {
            panic!("{rate_hz} Hz: {told:?}")
        };
        assert!((500..620).contains(&started), "{rate_hz} Hz: began at {started}");
        assert!(
            (700..1_200).contains(&duration_ms),
            "{rate_hz} Hz: {duration_ms} ms"
        );
        assert!(
            (1_700..2_100).contains(&stopped),
            "{rate_hz} Hz: stopped at {stopped}"
        );
    }
}

#[test]
fn what_is_no_file_of_weights_is_refused_in_words() {
    for (file, word) in [
        (&b"nothing"[..], "first bytes"),
        (b"LLSILER1", "cut off"),
        (b"LLSILER1\x01x\0\0\0\0", "shape"),
    ] {
        let refused = Model::parse(file).unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
}
