//! Comfort noise (RFC 3389), received: what a pause sounds like.
//!
//! A far end that stops sending in its pauses may describe its background once: a level, and reflection coefficients
//! that give the spectrum. Noise of that kind is then made here until sound comes back. It rises over [`RISE_MS`] while
//! concealment of what was said fades, changes smoothly to a new description, and dies away over [`FALL_MS`] under the first
//! sound.
//!
//! A pause without a description gets the background that was *heard*: the quietest sound of the last seconds, at most
//! [`MOST_ESTIMATED_DBOV`], and its spectrum. Digital silence there makes people ask whether the line is dead, and a detector
//! behind us mistakes the step back to the real background for speech. It is never louder than what was there, so a far
//! end that sends true silence gets true silence.
//!
//! Left out: sending it; and scaling of the spectrum, which RFC 3389 gives for the rate of the payload type and which is
//! used at the rate of the sound.

/// Coefficients that are used; RFC 3389 §3.3 sets no limit, what is sent is at most this.
pub const MAX_ORDER: usize = 12;
/// How long the noise takes to come.
pub const RISE_MS: u32 = 60;
/// How long it takes to go under the first sound.
pub const FALL_MS: u32 = 5;
/// The loudest background that is taken on without having been told.
pub const MOST_ESTIMATED_DBOV: f32 = -50.0;
/// What is never quieter than this is no background but music or a tone: nothing is known of what is behind it.
pub const LOUDEST_BACKGROUND_DBOV: f32 = -40.0;
/// Coefficients of a background that was heard.
const HEARD_ORDER: usize = 4;
/// Noise is made in blocks of so many milliseconds; at each the filter moves towards its target.
const BLOCK_MS: u32 = 5;
/// How much of the way to the target it moves.
const APPROACH: f32 = 0.2;
/// How fast the estimated background rises under louder sound: 1 dB a second in blocks of 20 ms.
const FORGET: f32 = 1.004_6;
/// Of so many pieces of sound, the spectrum of one is looked at: a background does not change its colour in 100 ms.
const LEARN_EVERY: u8 = 5;
/// Sound within 6 dB of the quietest is background, and its spectrum is learnt.
const BACKGROUND: f32 = 4.0;
/// A background that rings more than this is a whistle.
const MOST_REFLECTION: f32 = 0.98;
/// RFC 3389 §3.1: 0 dBov is a square wave at full scale.
const FULL_SCALE: f32 = 32_767.0;

/// Level and spectrum of a noise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Noise {
    /// Root of the mean square.
    level: f32,
    reflections: [f32; MAX_ORDER],
}

const SILENCE: Noise = Noise {
    level: 0.0,
    reflections: [0.0; MAX_ORDER],
};

/// The background of one source.
#[derive(Clone)]
pub struct ComfortNoise {
    rate_hz: u32,
    /// What the far end said; sound after it makes it old.
    described: Option<Noise>,
    /// What was heard: mean square of the quietest sound, and its spectrum.
    floor: Option<f32>,
    heard: [f32; MAX_ORDER],
    /// Pieces of background since the spectrum was looked at.
    unlearnt: u8,
    /// What is made now.
    current: Noise,
    /// How much of it there is, 0 to 1.
    presence: f32,
    /// The filter's memory.
    lattice: [f32; MAX_ORDER + 1],
    state: u64,
}

impl ComfortNoise {
    /// For sound at this rate.
    pub fn new(rate_hz: u32) -> ComfortNoise {
        ComfortNoise {
            rate_hz,
            described: None,
            floor: None,
            heard: SILENCE.reflections,
            unlearnt: LEARN_EVERY - 1,
            current: SILENCE,
            presence: 0.0,
            lattice: [0.0; MAX_ORDER + 1],
            // Noise of the same seed is as good as any: nobody compares two calls.
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Takes the payload of a comfort noise packet; `false` when it is none.
    pub fn describe(&mut self, payload: &[u8]) -> bool {
        let Some((&level, coefficients)) = payload.split_first() else {
            return false;
        };
        let mut noise = SILENCE;
        // RFC 3389 §3.1: the top bit is reserved, the level is below full scale in dB.
        noise.level = from_db(-f32::from(level & 0x7f));
        for (reflection, &code) in noise.reflections.iter_mut().zip(coefficients) {
            // RFC 3389 §3.2; 255 is reserved, and would make a filter that runs away.
            let k = 258.0 * (f32::from(code) - 127.0) / 32_768.0;
            *reflection = k.clamp(-MOST_REFLECTION, MOST_REFLECTION);
        }
        self.described = Some(noise);
        true
    }

    /// Sound is there: the noise dies away under it, and the background is learnt from it.
    pub fn sound(&mut self, samples: &mut [i16]) {
        self.described = None;
        if samples.is_empty() {
            return;
        }
        self.learn(samples);
        if self.presence > 0.0 {
            let fall = -1_000.0 / (FALL_MS * self.rate_hz) as f32;
            self.mix(samples, fall);
        }
    }

    /// There is no sound: noise is added to `samples`, which hold silence or what is left of the sound before.
    pub fn pause(&mut self, samples: &mut [i16]) {
        let target = self.target();
        let block = (BLOCK_MS * self.rate_hz / 1_000) as usize;
        let rise = 1_000.0 / (RISE_MS * self.rate_hz) as f32;
        for part in samples.chunks_mut(block.max(1)) {
            if self.presence <= 0.0 {
                self.current = target;
            }
            let current = &mut self.current;
            current.level += APPROACH * (target.level - current.level);
            for (reflection, wanted) in current.reflections.iter_mut().zip(target.reflections) {
                *reflection += APPROACH * (wanted - *reflection);
            }
            self.mix(part, rise);
        }
    }

    fn target(&self) -> Noise {
        self.described.unwrap_or(Noise {
            level: self
                .floor
                .map(f32::sqrt)
                .filter(|level| *level <= from_db(LOUDEST_BACKGROUND_DBOV))
                .map_or(0.0, |level| level.min(from_db(MOST_ESTIMATED_DBOV))),
            reflections: self.heard,
        })
    }

    fn mix(&mut self, samples: &mut [i16], slope: f32) {
        let reflections = self.current.reflections;
        let cosines = reflections.map(|k| (1.0 - k * k).sqrt());
        let order = reflections
            .iter()
            .rposition(|k| *k != 0.0)
            .map_or(0, |last| last + 1);
        for sample in samples {
            self.presence = (self.presence + slope).clamp(0.0, 1.0);
            // The normalised lattice: each stage is a rotation, so that noise of variance 1 keeps it whatever the spectrum,
            // also while the spectrum changes.
            let mut forward = self.white();
            for stage in (0..order).rev() {
                let (k, c, backward) = (reflections[stage], cosines[stage], self.lattice[stage]);
                self.lattice[stage + 1] = c * backward + k * forward;
                forward = c * forward - k * backward;
            }
            self.lattice[0] = forward;
            let sum = f32::from(*sample) + (forward * self.current.level * self.presence).round();
            // The cast saturates.
            *sample = sum as i16;
        }
    }

    /// Nearly Gaussian, of variance 1: the sum of four uniform numbers.
    fn white(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let sum: i32 = (0..4)
            .map(|lane| i32::from((self.state >> (16 * lane)) as u16))
            .sum();
        // Each has the variance 65536²/12.
        (sum - 2 * 65_535) as f32 * (3.0f32.sqrt() / 65_536.0)
    }

    fn learn(&mut self, samples: &[i16]) {
        let energy = correlation(samples, 0) / samples.len() as f32;
        let floor = match self.floor {
            Some(floor) => energy.min(floor * FORGET + 0.01),
            None => energy,
        };
        self.floor = Some(floor);
        if energy > floor * BACKGROUND || energy < 1.0 || samples.len() < 16 * HEARD_ORDER {
            return;
        }
        self.unlearnt += 1;
        if self.unlearnt < LEARN_EVERY {
            return;
        }
        self.unlearnt = 0;
        for (heard, reflection) in self.heard.iter_mut().zip(reflections(samples)) {
            *heard += APPROACH * (reflection - *heard);
        }
    }
}

fn from_db(dbov: f32) -> f32 {
    FULL_SCALE * 10f32.powf(dbov / 20.0)
}

/// In whole numbers, since the compiler may reorder their sum and use vector instructions.
fn correlation(samples: &[i16], lag: usize) -> f32 {
    samples[lag..]
        .iter()
        .zip(samples)
        .map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b)))
        .sum::<i64>() as f32
}

/// The reflection coefficients of what was heard (Levinson and Durbin).
fn reflections(samples: &[i16]) -> [f32; HEARD_ORDER] {
    let likeness: [f32; HEARD_ORDER + 1] = std::array::from_fn(|lag| correlation(samples, lag));
    let mut filter = [0.0f32; HEARD_ORDER + 1];
    filter[0] = 1.0;
    let mut error = likeness[0] * 1.001 + 1.0;
    let mut found = [0.0; HEARD_ORDER];
    for m in 1..=HEARD_ORDER {
        let sum: f32 = (0..m).map(|n| filter[n] * likeness[m - n]).sum();
        let k = (-sum / error).clamp(-MOST_REFLECTION, MOST_REFLECTION);
        let before = filter;
        for n in 1..=m {
            filter[n] = before[n] + k * before[m - n];
        }
        error *= 1.0 - k * k;
        found[m - 1] = k;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

    fn noise(noise: &mut ComfortNoise, millis: u32) -> Vec<i16> {
        let mut samples = vec![0; (millis * noise.rate_hz / 1_000) as usize];
        for frame in samples.chunks_mut((noise.rate_hz / 50) as usize) {
            noise.pause(frame);
        }
        samples
    }

    fn dbov(samples: &[i16]) -> f32 {
        20.0 * ((correlation(samples, 0) / samples.len() as f32).sqrt() / FULL_SCALE).log10()
    }

    fn hiss(rate_hz: u32, dbov: u8) -> Vec<i16> {
        let mut source = ComfortNoise::new(rate_hz);
        source.describe(&[dbov]);
        noise(&mut source, 3_000).split_off(rate_hz as usize)
    }

    #[test]
    fn the_level_is_the_one_described_at_every_rate_and_with_every_spectrum() {
        for rate_hz in RATES {
            for payload in [&[40u8][..], &[50, 60], &[60, 30, 170, 110, 127, 140]] {
                let mut comfort = ComfortNoise::new(rate_hz);
                assert!(comfort.describe(payload));
                let got = dbov(&noise(&mut comfort, 3_000)[rate_hz as usize..]);
                let wanted = -f32::from(payload[0]);
                assert!((got - wanted).abs() < 1.0, "{rate_hz} Hz, {payload:?}: {got}");
            }
        }
    }

    #[test]
    fn the_spectrum_is_the_one_described() {
        for k in [-0.7f32, 0.0, 0.5] {
            let code = (127.0 + k * 32_768.0 / 258.0).round() as u8;
            let mut comfort = ComfortNoise::new(8_000);
            comfort.describe(&[40, code]);
            let made = noise(&mut comfort, 4_000);
            let found = reflections(&made[8_000..]);
            // A low-pass background has a first coefficient below zero.
            assert!((found[0] - k).abs() < 0.05, "{k}: {found:?}");
            assert!(found[1..].iter().all(|other| other.abs() < 0.05), "{found:?}");
        }
    }

    #[test]
    fn the_noise_comes_and_changes_and_goes_without_a_step() {
        let mut comfort = ComfortNoise::new(8_000);
        comfort.describe(&[30]);
        let made = noise(&mut comfort, 200);
        let rise = made.len() / 40;
        assert!(dbov(&made[..rise]) < dbov(&made[made.len() / 2..]) - 15.0);
        comfort.describe(&[60]);
        let softer = noise(&mut comfort, 400);
        assert!(dbov(&softer[..80]) > -40.0 && dbov(&softer[2_400..]) < -55.0);
        comfort.describe(&[30]);
        noise(&mut comfort, 200);
        let mut sound = vec![0; 160];
        comfort.sound(&mut sound);
        assert!(dbov(&sound[..20]) > -40.0);
        assert!(sound[41..].iter().all(|&sample| sample == 0), "gone after 5 ms");
    }

    #[test]
    fn a_pause_that_nobody_described_sounds_as_what_was_there_before() {
        for rate_hz in RATES {
            let mut comfort = ComfortNoise::new(rate_hz);
            for mut frame in hiss(rate_hz, 62)
                .chunks_exact((rate_hz / 50) as usize)
                .map(<[i16]>::to_vec)
            {
                comfort.sound(&mut frame);
            }
            for n in 0..50 {
                let mut speech: Vec<i16> = (0..rate_hz / 50)
                    .map(|at| (((n * 37 + at) % 50) as i16 - 25) * 400)
                    .collect();
                comfort.sound(&mut speech);
            }
            let got = dbov(&noise(&mut comfort, 1_000)[rate_hz as usize / 2..]);
            assert!((-66.0..-59.0).contains(&got), "{rate_hz} Hz: {got}");
        }
    }

    #[test]
    fn true_silence_stays_silence_and_loud_sound_is_no_background() {
        let mut comfort = ComfortNoise::new(8_000);
        assert_eq!(noise(&mut comfort, 100), vec![0; 800], "nothing heard yet");
        for _ in 0..100 {
            comfort.sound(&mut [0; 160]);
        }
        assert_eq!(noise(&mut comfort, 100), vec![0; 800]);
        for (level, most) in [(20, -90.0), (44, MOST_ESTIMATED_DBOV + 1.0)] {
            let mut comfort = ComfortNoise::new(8_000);
            for frame in hiss(8_000, level).as_chunks::<160>().0 {
                comfort.sound(&mut frame.clone());
            }
            let got = dbov(&noise(&mut comfort, 1_000)[4_000..]);
            assert!(got < most, "{level}: {got}");
        }
    }

    #[test]
    fn a_description_holds_until_sound_comes() {
        let mut comfort = ComfortNoise::new(8_000);
        comfort.describe(&[30]);
        assert!(dbov(&noise(&mut comfort, 400)[1_600..]) > -32.0);
        comfort.sound(&mut [0; 160]);
        assert!(noise(&mut comfort, 400).iter().all(|&sample| sample == 0));
    }

    #[test]
    fn garbage_makes_no_howl() {
        let mut comfort = ComfortNoise::new(8_000);
        assert!(!comfort.describe(&[]));
        for code in [0, 254, 255] {
            assert!(comfort.describe(&[[0x80 | 40].as_slice(), &[code; 200]].concat()));
            let level = dbov(&noise(&mut comfort, 2_000));
            assert!(level < -25.0, "{code}: {level}");
        }
    }
}
