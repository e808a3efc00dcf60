//! From payloads to samples, in any codec.

use super::{Codec, g711, g722, l16, opus};

/// A payload that is none of its codec, or longer than the room for it. A counter, and a gap to be concealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPayload;

/// The decoder of one source. G.722 and Opus remember what went before, so packets come in their order.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    state: State,
}

#[derive(Debug)]
enum State {
    G711(g711::Law),
    G722(Box<g722::Decoder>),
    Opus(opus::Decoder),
    L16,
}

impl Decoder {
    /// A decoder at its beginning.
    pub fn new(codec: Codec) -> Decoder {
        let state = match codec {
            Codec::Pcmu => State::G711(g711::Law::Mu),
            Codec::Pcma => State::G711(g711::Law::A),
            Codec::G722 => State::G722(Box::default()),
            Codec::Opus => State::Opus(opus::Decoder::default()),
            Codec::L16(_) => State::L16,
        };
        Decoder { codec, state }
    }

    /// What it decodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Decodes a payload to `out`, at the codec's rate; returns the samples. [`MAX_PACKET_SAMPLES`] is room enough for
    /// every payload that is not longer than [`MAX_PTIME_MS`].
    ///
    /// [`MAX_PACKET_SAMPLES`]: super::MAX_PACKET_SAMPLES
    /// [`MAX_PTIME_MS`]: super::MAX_PTIME_MS
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, BadPayload> {
        let clocks = self.codec.duration(payload).ok_or(BadPayload)? as usize;
        let count = clocks * (self.codec.rate_hz() / self.codec.clock_hz()) as usize;
        let out = out.get_mut(..count).ok_or(BadPayload)?;
        match &mut self.state {
            State::G711(law) => g711::decode(*law, payload, out),
            State::G722(decoder) => decoder.decode(payload, out),
            State::Opus(decoder) => return decoder.decode(payload, out),
            State::L16 => l16::decode(payload, out),
        }
        Ok(count)
    }

    /// The codec fills gaps itself: [`Decoder::conceal`] and [`Decoder::decode_fec`] do something.
    pub fn conceals(&self) -> bool {
        matches!(self.state, State::Opus(_))
    }

    /// Fills `out` with what may have been said; returns the samples, which are fewer when `out` is no multiple of
    /// 2.5 ms, and none when the codec leaves concealment to others.
    pub fn conceal(&mut self, out: &mut [i16]) -> usize {
        match &mut self.state {
            State::Opus(decoder) => decoder.conceal(out),
            _ => 0,
        }
    }

    /// Fills `out`, as long as the gap, from the payload that follows the gap (and is to be decoded after it); returns
    /// the samples, as [`Decoder::conceal`] does.
    pub fn decode_fec(&mut self, next: &[u8], out: &mut [i16]) -> usize {
        match &mut self.state {
            State::Opus(decoder) => decoder.decode_fec(next, out),
            _ => 0,
        }
    }
}
