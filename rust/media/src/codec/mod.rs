//! Codecs and what belongs to them: G.711, G.722, Opus, L16, rate conversion, concealment.

pub mod comfort_noise;
pub mod conceal;
pub mod decoder;
pub mod encoder;
pub mod g711;
pub mod g722;
pub mod l16;
pub mod opus;
pub mod resample;

/// The longest sound in one packet, in and out; session descriptions announce it as `maxptime`.
pub const MAX_PTIME_MS: u32 = 60;
/// The longest payload of all codecs: 60 ms of L16 at 48 kHz. It needs more than one Ethernet frame, but is valid.
pub const MAX_PAYLOAD_BYTES: usize = Codec::L16(crate::time::MAX_RATE_HZ).max_payload_bytes();
/// The most samples that a packet of [`MAX_PTIME_MS`] decodes to.
pub const MAX_PACKET_SAMPLES: usize = (MAX_PTIME_MS * (crate::time::MAX_RATE_HZ / 1_000)) as usize;

/// The longest payload that is sent: with its headers it fits into one Ethernet frame.
const MAX_SENT_BYTES: u32 = 1_400;

/// The codecs a leg may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722: sound of 16 kHz on a clock of 8 kHz (RFC 3551 §4.5.2).
    G722,
    /// Opus (RFC 6716, RFC 7587).
    Opus,
    /// Linear samples of 16 bits, big-endian, at this rate (RFC 3551 §4.5.11).
    L16(u32),
}

impl Codec {
    /// The RTP clock.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
            Codec::Opus => 48_000,
            Codec::L16(rate_hz) => rate_hz,
        }
    }

    /// The companding law, for G.711.
    pub const fn law(self) -> Option<g711::Law> {
        match self {
            Codec::Pcmu => Some(g711::Law::Mu),
            Codec::Pcma => Some(g711::Law::A),
            Codec::G722 | Codec::Opus | Codec::L16(_) => None,
        }
    }

    /// The rate of its samples.
    pub const fn rate_hz(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8_000,
            Codec::G722 => 16_000,
            Codec::Opus => 48_000,
            Codec::L16(rate_hz) => rate_hz,
        }
    }

    /// How long the sound of a payload is, on the RTP clock; `None` when it is no payload of this codec.
    ///
    /// RFC 3551 §4.5 by length, Opus by its table of contents (RFC 6716 §3.1). What it says of Opus is what the sender
    /// claims: the decoder may still find the payload malformed.
    pub fn duration(self, payload: &[u8]) -> Option<u32> {
        let length = payload.len() as u32;
        match self {
            _ if payload.is_empty() => None,
            // A byte of G.722 is two samples, but one tick of its clock.
            Codec::Pcmu | Codec::Pcma | Codec::G722 => Some(length),
            Codec::L16(_) => length.is_multiple_of(2).then_some(length / 2),
            Codec::Opus => opus::duration(payload),
        }
    }

    /// The packet time we send with when the far end prefers `wanted_ms`: what the codec can do and a packet of the
    /// network can hold, no longer than wanted if there is such.
    pub fn packet_ms(self, wanted_ms: u32) -> u32 {
        let wanted_ms = wanted_ms.clamp(10, MAX_PTIME_MS) / 10 * 10;
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => wanted_ms,
            // RFC 6716 §2.1.4: frames of 10, 20, 40 and 60 ms.
            Codec::Opus => [60, 40, 20].into_iter().find(|&ms| ms <= wanted_ms).unwrap_or(10),
            Codec::L16(rate_hz) => wanted_ms.min(MAX_SENT_BYTES / (rate_hz / 1_000 * 2) / 10 * 10),
        }
    }

    /// The longest payload of [`MAX_PTIME_MS`]: what is longer is malformed.
    pub const fn max_payload_bytes(self) -> usize {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => MAX_PTIME_MS as usize * 8,
            Codec::L16(rate_hz) => (MAX_PTIME_MS * (rate_hz / 1_000) * 2) as usize,
            Codec::Opus => opus::MAX_PAYLOAD_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_lasts_as_long_as_its_codec_says() {
        assert_eq!(Codec::Pcmu.duration(&[0; 160]), Some(160));
        assert_eq!(Codec::G722.duration(&[0; 160]), Some(160));
        assert_eq!(Codec::L16(16_000).duration(&[0; 640]), Some(320));
        assert_eq!(Codec::L16(8_000).duration(&[0; 33]), None, "half a sample");
        for codec in [Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16(8_000)] {
            assert_eq!(codec.duration(&[]), None);
            assert!(codec.max_payload_bytes() <= MAX_PAYLOAD_BYTES);
        }
    }

    #[test]
    fn a_packet_time_is_what_is_wanted_or_the_nearest_that_can_be() {
        for (codec, wanted_ms, ms) in [
            (Codec::Pcmu, 30, 30),
            (Codec::Pcmu, 35, 30),
            (Codec::G722, 1, 10),
            (Codec::G722, 200, 60),
            (Codec::Opus, 10, 10),
            (Codec::Opus, 30, 20),
            (Codec::Opus, 50, 40),
            (Codec::L16(8_000), 60, 60),
            (Codec::L16(16_000), 60, 40),
            (Codec::L16(48_000), 20, 10),
        ] {
            assert_eq!(codec.packet_ms(wanted_ms), ms, "{codec:?} {wanted_ms}");
        }
    }

    #[test]
    fn every_codec_gives_back_the_samples_of_every_packet_time() {
        for codec in [
            Codec::Pcmu,
            Codec::Pcma,
            Codec::G722,
            Codec::Opus,
            Codec::L16(24_000),
        ] {
            let mut encoder = encoder::Encoder::new(codec, opus::Settings::default());
            let mut decoder = decoder::Decoder::new(codec);
            for ptime_ms in [10, 20, 40, 60] {
                let count = (codec.rate_hz() / 1_000 * ptime_ms) as usize;
                let mut payload = Vec::new();
                encoder.encode(&vec![1_000; count], &mut payload);
                let clocks = codec.clock_hz() / 1_000 * ptime_ms;
                assert_eq!(codec.duration(&payload), Some(clocks), "{codec:?}");
                assert!(payload.len() <= codec.max_payload_bytes());
                let mut out = [0; MAX_PACKET_SAMPLES];
                assert_eq!(decoder.decode(&payload, &mut out), Ok(count));
                assert_eq!(
                    decoder.decode(&payload, &mut out[..count - 1]),
                    Err(decoder::BadPayload),
                    "no room"
                );
            }
        }
    }
}
