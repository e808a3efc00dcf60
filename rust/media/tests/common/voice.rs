//! A voice that no one has: glottal pulses with a gliding pitch through three formants, with pauses and sibilants.
//!
//! It is what detectors of tones and of speech are tested with, in place of recordings.

/// A seeded generator for noise: SplitMix64 as a number of -1..1.
pub struct Noise(pub u64);

impl Noise {
    pub fn sample(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// One formant: a resonance of two poles.
#[derive(Default)]
struct Formant {
    past: [f64; 2],
}

impl Formant {
    fn filter(&mut self, input: f64, hz: f64, width_hz: f64, rate: f64) -> f64 {
        let radius = (-std::f64::consts::PI * width_hz / rate).exp();
        let first = 2.0 * radius * (std::f64::consts::TAU * hz / rate).cos();
        let value = (1.0 - radius) * input + first * self.past[0] - radius * radius * self.past[1];
        self.past = [value, self.past[0]];
        value
    }
}

/// Vowels by their first three formants in hertz.
const VOWELS: [[f64; 3]; 8] = [
    [730.0, 1_090.0, 2_440.0],
    [530.0, 1_840.0, 2_480.0],
    [390.0, 1_990.0, 2_550.0],
    [270.0, 2_290.0, 3_010.0],
    [570.0, 840.0, 2_410.0],
    [440.0, 1_020.0, 2_240.0],
    [300.0, 870.0, 2_240.0],
    [490.0, 1_350.0, 1_690.0],
];

/// Speech of `seconds`, with a peak of about -10 dBFS. Syllables last 80 to 300 ms; one in four is followed by a pause.
pub fn speech(seed: u64, rate_hz: u32, seconds: u32) -> Vec<i16> {
    let rate = f64::from(rate_hz);
    let mut noise = Noise(seed);
    let mut random = move |low: f64, high: f64| low + (high - low) * (noise.sample() + 1.0) / 2.0;
    let mut formants: [Formant; 3] = Default::default();
    let wanted = (seconds * rate_hz) as usize;
    let mut out: Vec<f64> = Vec::with_capacity(wanted);
    let (mut phase, base) = (0.0, random(85.0, 240.0));
    let (mut from, mut pitch_from) = (VOWELS[0], base);
    while out.len() < wanted {
        let to = VOWELS[random(0.0, 7.999) as usize];
        let pitch_to = base * random(0.75, 1.4);
        let length = rate * random(0.08, 0.3);
        for n in 0..length as usize {
            let part = n as f64 / length;
            let glide = |a: f64, b: f64| a + (b - a) * (part * 2.0).min(1.0);
            phase += glide(pitch_from, pitch_to) / rate;
            let pulse = if phase >= 1.0 { 8.0 } else { 0.0 };
            phase %= 1.0;
            let swell = (std::f64::consts::PI * part).sin().sqrt();
            let mut value = pulse + 0.05 * random(-1.0, 1.0);
            let mut sum = 0.0;
            for (n, formant) in formants.iter_mut().enumerate() {
                let hz = glide(from[n], to[n]);
                value = formant.filter(value, hz, 60.0 + 30.0 * n as f64, rate) * 8.0;
                sum += value / (n + 1) as f64;
            }
            out.push(sum * swell);
        }
        if random(0.0, 1.0) < 0.25 {
            let is_sibilant = random(0.0, 1.0) < 0.5;
            let level = if is_sibilant { 0.6 } else { 0.002 };
            for _ in 0..(rate * random(0.04, 0.25)) as usize {
                out.push(level * random(-1.0, 1.0));
            }
        }
        (from, pitch_from) = (to, pitch_to);
    }
    out.truncate(wanted);
    let peak = out.iter().fold(1e-9f64, |peak, sample| peak.max(sample.abs()));
    out.iter()
        .map(|sample| (sample / peak * 10_000.0) as i16)
        .collect()
}
