//! How samples stand in a message, before base64 if there is any.

use crate::codec::g711::{a_law_decode, a_law_encode, mu_law_decode, mu_law_encode};

/// An encoding of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Linear, 16 bits, little-endian.
    PcmS16le,
    /// G.711 µ-law, at whatever rate.
    MuLaw,
    /// G.711 A-law.
    ALaw,
    /// Linear, 16 bits, big-endian: RFC 2586's L16.
    PcmS16be,
    /// Opus (RFC 6716), a packet a message. It has no samples of its own: [`codec::opus`](crate::codec::opus) makes them.
    Opus,
}

impl Encoding {
    /// Each, at the place of its number.
    pub const ALL: [Encoding; 5] = [
        Encoding::PcmS16le,
        Encoding::MuLaw,
        Encoding::ALaw,
        Encoding::PcmS16be,
        Encoding::Opus,
    ];

    /// The encoding of this name.
    pub fn named(name: &str) -> Option<Encoding> {
        Encoding::ALL
            .into_iter()
            .find(|encoding| encoding.as_str() == name)
    }

    /// The word that the control protocol and our own dialect use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Encoding::PcmS16le => "pcm_s16le",
            Encoding::MuLaw => "mulaw",
            Encoding::ALaw => "alaw",
            Encoding::PcmS16be => "pcm_s16be",
            Encoding::Opus => "opus",
        }
    }

    /// Bytes of one sample; of Opus, the least that one can be.
    pub const fn bytes_per_sample(self) -> usize {
        match self {
            Encoding::PcmS16le | Encoding::PcmS16be => 2,
            Encoding::MuLaw | Encoding::ALaw | Encoding::Opus => 1,
        }
    }

    /// Appends samples; nothing for Opus.
    pub fn append(self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Encoding::PcmS16le => append_pairs(samples, i16::to_le_bytes, out),
            Encoding::PcmS16be => append_pairs(samples, i16::to_be_bytes, out),
            Encoding::MuLaw => out.extend(samples.iter().map(|&sample| mu_law_encode(sample))),
            Encoding::ALaw => out.extend(samples.iter().map(|&sample| a_law_encode(sample))),
            Encoding::Opus => {}
        }
    }

    /// Decodes as many whole samples as `out` has room for; half a sample at the end is ignored. Returns how many.
    pub fn decode(self, bytes: &[u8], out: &mut [i16]) -> usize {
        match self {
            Encoding::PcmS16le => {
                for (sample, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *sample = i16::from_le_bytes([pair[0], pair[1]]);
                }
            }
            Encoding::PcmS16be => {
                for (sample, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *sample = i16::from_be_bytes([pair[0], pair[1]]);
                }
            }
            Encoding::MuLaw => {
                for (sample, &code) in out.iter_mut().zip(bytes) {
                    *sample = mu_law_decode(code);
                }
            }
            Encoding::ALaw => {
                for (sample, &code) in out.iter_mut().zip(bytes) {
                    *sample = a_law_decode(code);
                }
            }
            Encoding::Opus => return 0,
        }
        out.len().min(bytes.len() / self.bytes_per_sample())
    }
}

fn append_pairs(samples: &[i16], bytes: impl Fn(i16) -> [u8; 2], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * samples.len(), 0);
    for (pair, sample) in out[start..].chunks_exact_mut(2).zip(samples) {
        pair.copy_from_slice(&bytes(*sample));
    }
}
