//! Silero VAD's forward pass (MIT licence, 16 kHz model): STFT as a convolution, four convolutions, an LSTM cell, a sum.
//!
//! A window is 512 new samples after the 64 last ones of the window before; it gives the probability that there is
//! speech in it. The weights are not part of the program: `scripts/fetch_silero.py` makes a file of them, which
//! [`Model::parse`] reads. They are shared; a leg's own state is the LSTM's two vectors and the 64 samples, 1.3 KB.

use std::fmt;
use std::sync::Arc;

use super::Rules;

/// The rate of the audio.
pub const RATE_HZ: u32 = 16_000;
/// Samples of a window.
pub const WINDOW: usize = 512;
/// Samples of the window before that go in front of it.
pub const CONTEXT: usize = 64;
/// A probability that begins speech.
pub const BEGINS: f32 = 0.5;
/// While there is speech, less is enough.
pub const STAYS: f32 = 0.35;
/// A window begins speech; 400 ms without end it.
pub const RULES: Rules = Rules {
    begin: 1,
    end: 13,
    step_ms: WINDOW as u32 * 1_000 / RATE_HZ,
};

/// First bytes of a file of weights.
const MAGIC: &[u8; 8] = b"LLSILER1";
/// Samples of one STFT window and between two.
const STFT: usize = 256;
const HOP: usize = 128;
/// Frequencies of the STFT, and its windows in one of ours.
const BINS: usize = STFT / 2 + 1;
const STEPS: usize = 4;
const HIDDEN: usize = 128;
/// Input with its reflected end.
const PADDED: usize = CONTEXT + WINDOW + 64;
/// Sums kept side by side so that the compiler can use vector instructions.
const LANES: usize = 8;

/// The tensors of the model: name, and length in numbers.
const TENSORS: [(&str, usize); 15] = [
    ("stft.forward_basis_buffer", 2 * BINS * STFT),
    ("encoder.0.reparam_conv.weight", 128 * BINS * 3),
    ("encoder.0.reparam_conv.bias", 128),
    ("encoder.1.reparam_conv.weight", 64 * 128 * 3),
    ("encoder.1.reparam_conv.bias", 64),
    ("encoder.2.reparam_conv.weight", 64 * 64 * 3),
    ("encoder.2.reparam_conv.bias", 64),
    ("encoder.3.reparam_conv.weight", 128 * 64 * 3),
    ("encoder.3.reparam_conv.bias", 128),
    ("decoder.rnn.weight_ih", 4 * HIDDEN * HIDDEN),
    ("decoder.rnn.weight_hh", 4 * HIDDEN * HIDDEN),
    ("decoder.rnn.bias_ih", 4 * HIDDEN),
    ("decoder.rnn.bias_hh", 4 * HIDDEN),
    ("decoder.decoder.2.weight", HIDDEN),
    ("decoder.decoder.2.bias", 1),
];

/// Why a file holds no weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWeights(String);

impl fmt::Display for BadWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadWeights {}

/// One convolution of three taps over time, followed by a rectifier.
#[derive(Debug)]
struct Convolution {
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
    stride: usize,
}

/// The weights, to be shared.
pub struct Model {
    basis: Vec<f32>,
    encoder: [Convolution; 4],
    input_weight: Vec<f32>,
    hidden_weight: Vec<f32>,
    /// Both biases of the cell, summed.
    bias: Vec<f32>,
    out_weight: Vec<f32>,
    out_bias: f32,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Model")
    }
}

impl Model {
    /// Reads a file that `scripts/fetch_silero.py` made: the magic, then each tensor as the length of its name (one byte),
    /// its name, its count of numbers (four bytes) and the numbers (f32); all little-endian, in the order above.
    pub fn parse(file: &[u8]) -> Result<Model, BadWeights> {
        let bad = |why: &str| BadWeights(format!("not Silero weights as fetch_silero.py makes them: {why}"));
        let mut rest = file.strip_prefix(MAGIC).ok_or_else(|| bad("wrong first bytes"))?;
        let mut tensors = Vec::with_capacity(TENSORS.len());
        for (name, count) in TENSORS {
            let cut = || bad(&format!("cut off at {name}"));
            let (&length, after) = rest.split_first().ok_or_else(cut)?;
            let (found, after) = after.split_at_checked(usize::from(length)).ok_or_else(cut)?;
            let (numbers, after) = after.split_first_chunk::<4>().ok_or_else(cut)?;
            if found != name.as_bytes() || u32::from_le_bytes(*numbers) as usize != count {
                return Err(bad(&format!("{name} is missing or has another shape")));
            }
            let (bytes, after) = after.split_at_checked(4 * count).ok_or_else(cut)?;
            let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
            tensors.push(bytes.as_chunks().0.iter().map(number).collect::<Vec<f32>>());
            rest = after;
        }
        if tensors.iter().flatten().any(|number| !number.is_finite()) {
            return Err(bad("a number is not finite"));
        }
        let mut tensors = tensors.into_iter();
        let mut next = || tensors.next().unwrap_or_default();
        let basis = next();
        let mut convolution = |inputs, stride| Convolution {
            weight: next(),
            bias: next(),
            inputs,
            stride,
        };
        let encoder = [
            convolution(BINS, 1),
            convolution(128, 2),
            convolution(64, 2),
            convolution(64, 1),
        ];
        let (input_weight, hidden_weight) = (next(), next());
        let bias = next().iter().zip(next()).map(|(a, b)| a + b).collect();
        let out_weight = next();
        Ok(Model {
            basis,
            encoder,
            input_weight,
            hidden_weight,
            bias,
            out_weight,
            out_bias: next().first().copied().unwrap_or(0.0),
        })
    }
}

/// The network of one leg.
pub struct Silero {
    model: Arc<Model>,
    hidden: [f32; HIDDEN],
    cell: [f32; HIDDEN],
    context: [f32; CONTEXT],
}

impl Silero {
    /// One that has heard nothing.
    pub fn new(model: Arc<Model>) -> Silero {
        Silero {
            model,
            hidden: [0.0; HIDDEN],
            cell: [0.0; HIDDEN],
            context: [0.0; CONTEXT],
        }
    }

    /// The probability of speech in the next 512 samples of -1..1.
    pub fn probability(&mut self, window: &[f32; WINDOW]) -> f32 {
        let mut input = [0.0; PADDED];
        input[..CONTEXT].copy_from_slice(&self.context);
        input[CONTEXT..CONTEXT + WINDOW].copy_from_slice(window);
        // Reflected, without the last sample itself.
        let end = CONTEXT + WINDOW;
        for n in 0..PADDED - end {
            input[end + n] = input[end - 2 - n];
        }
        self.context.copy_from_slice(&window[WINDOW - CONTEXT..]);

        let model = &*self.model;
        let mut spectrum = [0.0; BINS * STEPS];
        for step in 0..STEPS {
            let part = &input[step * HOP..step * HOP + STFT];
            for bin in 0..BINS {
                let real = dot(part, &model.basis[bin * STFT..][..STFT]);
                let imaginary = dot(part, &model.basis[(BINS + bin) * STFT..][..STFT]);
                spectrum[bin * STEPS + step] = (real * real + imaginary * imaginary).sqrt();
            }
        }
        let (mut first, mut second, mut third, mut encoded) =
            ([0.0; 128 * STEPS], [0.0; 64 * 2], [0.0; 64], [0.0; HIDDEN]);
        model.encoder[0].run(&spectrum, STEPS, &mut first);
        model.encoder[1].run(&first, STEPS, &mut second);
        model.encoder[2].run(&second, 2, &mut third);
        model.encoder[3].run(&third, 1, &mut encoded);
        self.remember(&encoded);
        let rectified = self.hidden.map(|value| value.max(0.0));
        sigmoid(dot(&rectified, &self.model.out_weight) + self.model.out_bias)
    }

    /// The LSTM cell; gates in the order input, forget, cell, output.
    fn remember(&mut self, encoded: &[f32; HIDDEN]) {
        let model = &*self.model;
        let mut gates = [0.0; 4 * HIDDEN];
        for (n, gate) in gates.iter_mut().enumerate() {
            let row = n * HIDDEN..(n + 1) * HIDDEN;
            *gate = dot(encoded, &model.input_weight[row.clone()])
                + dot(&self.hidden, &model.hidden_weight[row])
                + model.bias[n];
        }
        for n in 0..HIDDEN {
            let [input, forget, cell, output] = [0, 1, 2, 3].map(|gate| gates[gate * HIDDEN + n]);
            self.cell[n] = sigmoid(forget) * self.cell[n] + sigmoid(input) * cell.tanh();
            self.hidden[n] = sigmoid(output) * self.cell[n].tanh();
        }
    }
}

/// Most numbers that one output of a convolution is made of.
const MAX_PATCH: usize = BINS * 3;

impl Convolution {
    /// `input` is `inputs` rows of `steps`; `out` becomes rows of as many steps as the stride leaves.
    fn run(&self, input: &[f32], steps: usize, out: &mut [f32]) {
        let mut patch = [0.0; MAX_PATCH];
        let patch = &mut patch[..self.inputs * 3];
        let outs = steps.div_ceil(self.stride);
        for at in 0..outs {
            let centre = at * self.stride;
            for (row, taps) in patch.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let row = &input[row * steps..(row + 1) * steps];
                let before = centre.checked_sub(1).map_or(0.0, |before| row[before]);
                *taps = [before, row[centre], row.get(centre + 1).copied().unwrap_or(0.0)];
            }
            for (n, bias) in self.bias.iter().enumerate() {
                let weight = &self.weight[n * patch.len()..(n + 1) * patch.len()];
                out[n * outs + at] = (dot(patch, weight) + bias).max(0.0);
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}
