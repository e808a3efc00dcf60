//! Codecs and what belongs to them: G.711, rate conversion, concealment.

pub mod conceal;
pub mod g711;
pub mod resample;

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
}
