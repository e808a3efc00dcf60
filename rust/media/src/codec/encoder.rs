//! From samples to payloads, in any codec.

use super::{Codec, g711, g722, l16, opus};

/// The encoder of what one leg is sent.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    state: State,
}

#[derive(Debug)]
enum State {
    G711(g711::Law),
    G722(Box<g722::Encoder>),
    Opus(opus::Encoder),
    L16,
}

impl Encoder {
    /// An encoder at its beginning. The settings are for Opus alone.
    pub fn new(codec: Codec, settings: opus::Settings) -> Encoder {
        let state = match codec {
            Codec::Pcmu => State::G711(g711::Law::Mu),
            Codec::Pcma => State::G711(g711::Law::A),
            Codec::G722 => State::G722(Box::default()),
            Codec::Opus => State::Opus(opus::Encoder::new(settings)),
            Codec::L16(_) => State::L16,
        };
        Encoder { codec, state }
    }

    /// What it encodes to.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the payload of `samples`, at the codec's rate, to `out`. Opus takes 10, 20, 40 or 60 ms at once.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match &mut self.state {
            State::G711(law) => g711::encode(*law, samples, out),
            State::G722(encoder) => encoder.encode(samples, out),
            State::Opus(encoder) => encoder.encode(samples, out),
            State::L16 => l16::encode(samples, out),
        }
    }

    /// Appends the payload of so many samples of silence.
    pub fn encode_silence(&mut self, count: usize, out: &mut Vec<u8>) {
        match &mut self.state {
            // These have a code for it.
            State::G711(law) => out.resize(out.len() + count, g711::silence(*law)),
            State::L16 => out.resize(out.len() + 2 * count, 0),
            // These remember, and have to hear it.
            State::G722(_) | State::Opus(_) => {
                let silence = [0; super::MAX_PACKET_SAMPLES];
                self.encode(&silence[..count.min(silence.len())], out);
            }
        }
    }
}
