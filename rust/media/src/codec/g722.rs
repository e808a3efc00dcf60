//! G.722 at 64 kbit/s (ITU-T G.722, mode 1): sound of 16 kHz in two bands of adaptive differential codes.
//!
//! Two samples are one byte: two bits for the band above 4 kHz, six for the band below. The names of the blocks and
//! tables are those of the recommendation. Leaves out modes 2 and 3 (which RTP has no payload type for) and the
//! recommendation's appendices III and IV (concealment).

/// Zero section of a band's predictor.
const ZEROS: usize = 6;
/// Samples the quadrature mirror filter looks at.
const QMF_TAPS: usize = 24;
/// Bounds of the logarithmic scale factors NBL and NBH.
const MAX_LOG_LOW: i32 = 18_432;
const MAX_LOG_HIGH: i32 = 22_528;
/// Decision level of the two-bit quantiser.
const HIGH_LEVEL: i32 = 564;

/// Decision levels of the six-bit quantiser.
#[rustfmt::skip]
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// What the low band adapts to: four of the six bits.
#[rustfmt::skip]
const QM4: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
];
/// What the low band sounds like: all six bits.
#[rustfmt::skip]
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
/// Steps of the logarithmic scale factors.
const WL: [i32; 16] = [
    -60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
];
const WH: [i32; 4] = [798, -214, 798, -214];
/// The antilogarithm: 2048 times the powers of two in steps of 1/32.
#[rustfmt::skip]
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
const QMF: [i32; QMF_TAPS / 2] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// One band: its predictor and the scale of its quantiser.
#[derive(Clone, Debug)]
struct Band {
    /// Prediction of the next sample, and the part of it from the zeros.
    s: i32,
    sz: i32,
    /// Reconstructed and partially reconstructed signals, newest first.
    r: [i32; 2],
    p: [i32; 2],
    /// Coefficients of the poles and the zeros.
    a: [i32; 2],
    b: [i32; ZEROS],
    /// Quantised differences, newest first.
    d: [i32; ZEROS],
    /// The scale factor and its logarithm.
    det: i32,
    nb: i32,
}

impl Band {
    fn new(det: i32) -> Band {
        Band {
            s: 0,
            sz: 0,
            r: [0; 2],
            p: [0; 2],
            a: [0; 2],
            b: [0; ZEROS],
            d: [0; ZEROS],
            det,
            nb: 0,
        }
    }

    /// Blocks 3 (LOGSCL and SCALEL, LOGSCH and SCALEH): the scale follows the code.
    fn scale(&mut self, step: i32, max: i32, shift: i32) {
        self.nb = (((self.nb * 127) >> 7) + step).clamp(0, max);
        let mantissa = ILB[(self.nb >> 6 & 31) as usize];
        let exponent = shift - (self.nb >> 11);
        let linear = if exponent < 0 {
            mantissa << -exponent
        } else {
            mantissa >> exponent
        };
        self.det = linear << 2;
    }

    /// Block 4: takes the quantised difference `d` and predicts the next sample.
    fn adapt(&mut self, d: i32) {
        // RECONS, PARREC
        let r = saturate(self.s + d);
        let p = saturate(self.sz + d);
        // UPPOL2
        let same = |one: i32, other: i32| (one < 0) == (other < 0);
        let wd = saturate(self.a[0] << 2);
        let wd = (if same(p, self.p[0]) { -wd } else { wd }).min(32_767);
        let wd = (wd >> 7) + if same(p, self.p[1]) { 128 } else { -128 };
        let a2 = (wd + ((self.a[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1
        let wd = if same(p, self.p[0]) { 192 } else { -192 };
        let bound = saturate(15_360 - a2);
        let a1 = saturate(wd + ((self.a[0] * 32_640) >> 15)).clamp(-bound, bound);
        // UPZERO
        let wd = if d == 0 { 0 } else { 128 };
        for (b, &old) in self.b.iter_mut().zip(&self.d) {
            let step = if same(old, d) { wd } else { -wd };
            *b = saturate(step + ((*b * 32_640) >> 15));
        }
        // DELAYA
        self.d.copy_within(..ZEROS - 1, 1);
        self.d[0] = d;
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];
        self.a = [a1, a2];
        // FILTEP, FILTEZ, PREDIC
        let tap = |coefficient: i32, value: i32| (coefficient * saturate(2 * value)) >> 15;
        let sp = saturate(tap(a1, self.r[0]) + tap(a2, self.r[1]));
        self.sz = saturate(self.b.iter().zip(&self.d).map(|(&b, &d)| tap(b, d)).sum());
        self.s = saturate(sp + self.sz);
    }
}

/// The two bands, which encoder and decoder move in the same way.
#[derive(Clone, Debug)]
struct Bands {
    low: Band,
    high: Band,
}

impl Bands {
    fn new() -> Bands {
        Bands {
            low: Band::new(32),
            high: Band::new(8),
        }
    }

    /// Blocks 2, 3 and 4 of both bands for one code.
    fn adapt(&mut self, low_code: usize, high_code: usize) {
        let quarter = low_code >> 2;
        let d = (self.low.det * QM4[quarter]) >> 15;
        self.low.scale(WL[quarter], MAX_LOG_LOW, 8);
        self.low.adapt(d);
        let d = (self.high.det * QM2[high_code]) >> 15;
        self.high.scale(WH[high_code], MAX_LOG_HIGH, 10);
        self.high.adapt(d);
    }
}

/// One direction of one call, from samples to bytes.
#[derive(Clone, Debug)]
pub struct Encoder {
    bands: Bands,
    history: [i32; QMF_TAPS],
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder {
            bands: Bands::new(),
            history: [0; QMF_TAPS],
        }
    }
}

impl Encoder {
    /// Appends one byte for every two samples of 16 kHz; an odd one at the end is left out.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.as_chunks().0.iter().map(|pair| self.encode_pair(*pair)));
    }

    fn encode_pair(&mut self, pair: [i16; 2]) -> u8 {
        self.history.copy_within(2.., 0);
        self.history[QMF_TAPS - 2] = i32::from(pair[0]);
        self.history[QMF_TAPS - 1] = i32::from(pair[1]);
        let (odd, even) = split(&self.history);
        let low = quantise_low((even + odd) >> 14, &self.bands.low);
        let high = quantise_high((even - odd) >> 14, &self.bands.high);
        self.bands.adapt(usize::from(low), usize::from(high));
        high << 6 | low
    }
}

/// The two sums of the quadrature mirror filter.
fn split(history: &[i32; QMF_TAPS]) -> (i32, i32) {
    let (mut one, mut other) = (0, 0);
    for (n, &[first, second]) in history.as_chunks().0.iter().enumerate() {
        one += first * QMF[n];
        other += second * QMF[QMF_TAPS / 2 - 1 - n];
    }
    (one, other)
}

/// Blocks 1L: SUBTRA, QUANTL.
fn quantise_low(sample: i32, band: &Band) -> u8 {
    let error = saturate(sample - band.s);
    let magnitude = if error < 0 { -(error + 1) } else { error };
    let level = Q6.partition_point(|&level| (level * band.det) >> 12 <= magnitude) as u8;
    // The codes of the levels, from the smallest to the largest: 61 down to 32, and 63, 62, 31 down to 4.
    match (error < 0, level) {
        (false, _) => 61 - level,
        (true, 0 | 1) => 63 - level,
        (true, _) => 33 - level,
    }
}

/// Blocks 1H: SUBTRA, QUANTH.
fn quantise_high(sample: i32, band: &Band) -> u8 {
    let error = saturate(sample - band.s);
    let magnitude = if error < 0 { -(error + 1) } else { error };
    let is_large = magnitude >= (HIGH_LEVEL * band.det) >> 12;
    match (error < 0, is_large) {
        (true, false) => 1,
        (true, true) => 0,
        (false, false) => 3,
        (false, true) => 2,
    }
}

/// One direction of one call, from bytes to samples.
#[derive(Clone, Debug)]
pub struct Decoder {
    bands: Bands,
    history: [i32; QMF_TAPS],
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            bands: Bands::new(),
            history: [0; QMF_TAPS],
        }
    }
}

impl Decoder {
    /// Decodes to two samples of 16 kHz for every byte, as many as `out` has room for.
    pub fn decode(&mut self, codes: &[u8], out: &mut [i16]) {
        for (pair, &code) in out.as_chunks_mut().0.iter_mut().zip(codes) {
            *pair = self.decode_pair(code);
        }
    }

    fn decode_pair(&mut self, code: u8) -> [i16; 2] {
        let (low, high) = (usize::from(code & 63), usize::from(code >> 6));
        let bands = &self.bands;
        // Blocks 5 and 6: RECONS, LIMIT.
        let limit = |value: i32| value.clamp(-16_384, 16_383);
        let rlow = limit(bands.low.s + ((bands.low.det * QM6[low]) >> 15));
        let rhigh = limit(bands.high.s + ((bands.high.det * QM2[high]) >> 15));
        self.bands.adapt(low, high);
        self.history.copy_within(2.., 0);
        self.history[QMF_TAPS - 2] = rlow + rhigh;
        self.history[QMF_TAPS - 1] = rlow - rhigh;
        let (second, first) = split(&self.history);
        [saturate(first >> 11) as i16, saturate(second >> 11) as i16]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Noise, loud and quiet in turn, and a square wave: every scale factor and every clamp is met.
    fn signal() -> Vec<i16> {
        let mut state = 1u32;
        (0..16_000)
            .map(|n: usize| {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
                let noise = (state >> 15 & 0xffff) as i32 - 32_768;
                let amplitude = [0, 64, 1024, 8, 32_768, 4_096, 1, 16_384][n / 400 % 8];
                let square = if n / 16 % 2 == 1 { 2_000 } else { -2_000 };
                let square = if n / 3_200 % 2 == 1 { square } else { 0 };
                saturate(((noise * amplitude) >> 15) + square) as i16
            })
            .collect()
    }

    /// The values are those of libg722 1.2.8, which passes the test sequences of the recommendation.
    #[test]
    fn bytes_and_samples_are_those_of_another_implementation() {
        let mut codes = Vec::new();
        Encoder::default().encode(&signal(), &mut codes);
        assert_eq!(
            (codes.len(), fnv(codes.iter().copied())),
            (8_000, 0x9b5c_7149_6574_ec16)
        );
        let hash = |codes: &[u8]| {
            let mut samples = vec![0; 2 * codes.len()];
            Decoder::default().decode(codes, &mut samples);
            fnv(samples.iter().flat_map(|sample| sample.to_le_bytes()))
        };
        assert_eq!(hash(&codes), 0x912d_e32e_88de_3e9c);
        // Codes that no encoder would send one after the other.
        let wild: Vec<u8> = (0..8_000u32).map(|n| (n * 197 + (n >> 3) * 31) as u8).collect();
        assert_eq!(hash(&wild), 0xa311_42d7_a91d_947b);
    }

    #[test]
    fn a_tone_in_either_band_comes_back() {
        for hz in [1_000.0, 5_000.0f64] {
            let tone = |n: usize| (8_000.0 * (n as f64 * hz / 16_000.0 * std::f64::consts::TAU).sin()) as i16;
            let samples: Vec<i16> = (0..3_200).map(tone).collect();
            let mut codes = Vec::new();
            Encoder::default().encode(&samples, &mut codes);
            let mut back = vec![0; samples.len()];
            Decoder::default().decode(&codes, &mut back);
            // The two filters together delay by 22 samples.
            let noise: f64 = (400..3_200)
                .map(|n| f64::from(back[n]) - f64::from(samples[n - 22]))
                .map(|error| error * error)
                .sum();
            let signal: f64 = samples[400..]
                .iter()
                .map(|&sample| f64::from(sample).powi(2))
                .sum();
            let ratio_db = 10.0 * (signal / noise).log10();
            assert!(ratio_db > 15.0, "{hz} Hz: {ratio_db} dB");
        }
    }
}
