//! G.711: µ-law and A-law, by table in both directions.
//!
//! The decoding tables are the definition (ITU-T G.711 tables 1 and 2, scaled to 16 bits). The encoding tables hold one
//! code per step of the finest segment, so they are small enough to stay in the cache beside everything else.

/// One of the two companding laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law.
    Mu,
    /// A-law.
    A,
}

/// The µ-law code of a zero sample.
pub const MU_LAW_SILENCE: u8 = 0xff;
/// The A-law code of the smallest positive sample (A-law has no zero).
pub const A_LAW_SILENCE: u8 = 0xd5;

/// µ-law is defined on 14 bits: magnitudes in steps of four.
const MU_STEPS: usize = 8_193;
/// A-law is defined on 13 bits: magnitudes in steps of eight.
const A_STEPS: usize = 4_096;
const MU_BIAS: i32 = 132;
const MU_CLIP: i32 = 32_635;

static MU_DECODE: [i16; 256] = mu_decode_table();
static A_DECODE: [i16; 256] = a_decode_table();
static MU_ENCODE: [u8; MU_STEPS] = mu_encode_table();
static A_ENCODE: [u8; A_STEPS] = a_encode_table();

const fn mu_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = !(code as u8);
        let segment = (bits >> 4) & 7;
        let step = (bits & 15) as i32;
        let magnitude = (((step << 3) + MU_BIAS) << segment) - MU_BIAS;
        table[code] = if bits & 0x80 != 0 { -magnitude } else { magnitude } as i16;
        code += 1;
    }
    table
}

const fn a_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = (code as u8) ^ 0x55;
        let segment = (bits >> 4) & 7;
        let step = ((bits & 15) as i32) << 4;
        let magnitude = if segment == 0 {
            step + 8
        } else {
            (step + 0x108) << (segment - 1)
        };
        table[code] = if bits & 0x80 != 0 { magnitude } else { -magnitude } as i16;
        code += 1;
    }
    table
}

/// Codes of positive samples, by magnitude in steps of four; a negative sample has bit 7 clear.
const fn mu_encode_table() -> [u8; MU_STEPS] {
    let mut table = [0; MU_STEPS];
    let mut index = 0;
    while index < MU_STEPS {
        let magnitude = (index as i32) << 2;
        let biased = (if magnitude > MU_CLIP { MU_CLIP } else { magnitude }) + MU_BIAS;
        let segment = 31 - biased.leading_zeros() as i32 - 7;
        let step = (biased >> (segment + 3)) & 15;
        table[index] = !((segment << 4 | step) as u8);
        index += 1;
    }
    table
}

/// Codes of positive samples, by magnitude in steps of eight; a negative sample has bit 7 flipped.
const fn a_encode_table() -> [u8; A_STEPS] {
    let mut table = [0; A_STEPS];
    let mut index = 0;
    while index < A_STEPS {
        let segment = if index < 32 {
            0
        } else {
            31 - (index as u32).leading_zeros() as usize - 4
        };
        let shift = if segment < 2 { 1 } else { segment };
        let step = (index >> shift) & 15;
        table[index] = (segment << 4 | step) as u8 ^ 0xd5;
        index += 1;
    }
    table
}

/// One sample to µ-law.
pub fn mu_law_encode(sample: i16) -> u8 {
    let code = MU_ENCODE[usize::from(sample.unsigned_abs() >> 2)];
    if sample < 0 { code & 0x7f } else { code }
}

/// One sample to A-law.
pub fn a_law_encode(sample: i16) -> u8 {
    let sign = (sample >> 15) as u16;
    let code = A_ENCODE[usize::from((sample as u16 ^ sign) >> 3)];
    code ^ (sign as u8 & 0x80)
}

/// One sample from µ-law.
pub fn mu_law_decode(code: u8) -> i16 {
    MU_DECODE[usize::from(code)]
}

/// One sample from A-law.
pub fn a_law_decode(code: u8) -> i16 {
    A_DECODE[usize::from(code)]
}

/// Appends the codes of `samples` to `out`.
pub fn encode(law: Law, samples: &[i16], out: &mut Vec<u8>) {
    match law {
        Law::Mu => out.extend(samples.iter().map(|&sample| mu_law_encode(sample))),
        Law::A => out.extend(samples.iter().map(|&sample| a_law_encode(sample))),
    }
}

/// Decodes as many codes as `out` has room for.
pub fn decode(law: Law, codes: &[u8], out: &mut [i16]) {
    let table = match law {
        Law::Mu => &MU_DECODE,
        Law::A => &A_DECODE,
    };
    for (sample, &code) in out.iter_mut().zip(codes) {
        *sample = table[usize::from(code)];
    }
}

/// The code of silence.
pub const fn silence(law: Law) -> u8 {
    match law {
        Law::Mu => MU_LAW_SILENCE,
        Law::A => A_LAW_SILENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The encoder of the definition: of all codes, one whose value is nearest.
    fn nearest(sample: i16, decode: fn(u8) -> i16) -> i32 {
        (0..=255)
            .map(|code| (i32::from(sample) - i32::from(decode(code))).abs())
            .min()
            .unwrap()
    }

    #[test]
    fn known_values_of_the_definition() {
        assert_eq!(mu_law_decode(0x00), -32_124);
        assert_eq!(mu_law_decode(0x80), 32_124);
        assert_eq!(mu_law_decode(0xff), 0);
        assert_eq!(mu_law_decode(0x7f), 0);
        assert_eq!(a_law_decode(0xd5), 8);
        assert_eq!(a_law_decode(0x55), -8);
        assert_eq!(a_law_decode(0xaa), 32_256);
        assert_eq!(a_law_decode(0x2a), -32_256);
        assert_eq!(mu_law_encode(0), MU_LAW_SILENCE);
        assert_eq!(a_law_encode(0), A_LAW_SILENCE);
    }

    #[test]
    fn every_code_survives_the_round_trip() {
        for code in 0..=255u8 {
            assert_eq!(
                mu_law_decode(mu_law_encode(mu_law_decode(code))),
                mu_law_decode(code),
                "µ {code:#x}"
            );
            assert_eq!(a_law_encode(a_law_decode(code)), code, "A {code:#x}");
        }
    }

    #[test]
    fn every_sample_gets_a_code_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let mu = (i32::from(sample) - i32::from(mu_law_decode(mu_law_encode(sample)))).abs();
            let a = (i32::from(sample) - i32::from(a_law_decode(a_law_encode(sample)))).abs();
            // Decision values at the seams of segments are not midpoints, and lie on a grid of 4 (µ) and 8 (A).
            let magnitude = i32::from(sample.unsigned_abs());
            assert!(mu <= nearest_bound(magnitude + MU_BIAS, 4), "µ {sample}: {mu}");
            assert!(a <= nearest_bound(magnitude, 8), "A {sample}: {a}");
        }
        for sample in (i16::MIN..=i16::MAX).step_by(97) {
            let mu = (i32::from(sample) - i32::from(mu_law_decode(mu_law_encode(sample)))).abs();
            let a = (i32::from(sample) - i32::from(a_law_decode(a_law_encode(sample)))).abs();
            let slack = i32::from(sample.unsigned_abs()) / 64 + 8;
            assert!(mu <= nearest(sample, mu_law_decode) + slack, "µ {sample}");
            assert!(a <= nearest(sample, a_law_decode) + slack, "A {sample}");
        }
    }

    /// Half a step of the segment a magnitude is in (sixteen steps per octave), and the grid.
    fn nearest_bound(magnitude: i32, grid: i32) -> i32 {
        let clipped = (magnitude - 32_768).max(0) + if magnitude > 32_256 { 650 } else { 0 };
        magnitude / 32 + grid + clipped
    }

    #[test]
    fn blocks_are_the_samples_one_by_one() {
        let samples = [0, 1, -1, 1_000, -1_000, i16::MAX, i16::MIN];
        for law in [Law::Mu, Law::A] {
            let mut codes = Vec::new();
            encode(law, &samples, &mut codes);
            let mut back = [0; 7];
            decode(law, &codes, &mut back);
            for (sample, decoded) in samples.iter().zip(back) {
                assert!(
                    (i32::from(*sample) - i32::from(decoded)).abs() <= 650,
                    "{law:?} {sample} {decoded}"
                );
                assert!(*sample == 0 || decoded == 0 || (*sample < 0) == (decoded < 0));
            }
            assert_eq!(codes[0], silence(law));
        }
    }
}
