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
}
