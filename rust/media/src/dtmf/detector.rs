//! Tones in the audio, detected (ITU-T Q.24) by Goertzel's algorithm, at any rate.
//!
//! A block is 12.75 ms, and one ends every half of that. It holds a digit when one tone of each group stands out of its group, both are loud enough, the
//! twist between them is allowed, and together they are nearly all of the block's power: speech that happens on two of
//! the frequencies has a voice around them, which is what keeps it from being heard as a digit (talk-off). A digit
//! begins with four such blocks in a row and ends with four that are not: 40 ms are always taken (Q.24), 23 ms never, and
//! a dropout of 5 ms does not make two presses of one.

use super::digit_of;
use super::receiver::Digit;
use super::tones::{HIGH_HZ, KEYPAD, LOW_HZ, amplitude};

/// Samples of a block at 8 kHz.
const BLOCK_AT_8_KHZ: u32 = 102;
/// Blocks in a row that begin a digit, and that end it.
const BLOCKS: u32 = 4;
/// The weaker tone is at least this: Q.24 asks for -25 dBm (AT&T), and a line may add attenuation to that.
const MIN_DBM0: f64 = -29.0;
/// The high tone may be stronger than the low one by this: Q.24 has 4 to 6 dB, and each tone leaks 2 dB into the other.
const TWIST_HIGH_DB: f64 = 8.0;
/// The low tone may be stronger than the high one by this: Q.24 has 8 dB (AT&T), and 2 dB as above.
const TWIST_LOW_DB: f64 = 10.0;
/// A tone stands out of its group by this factor of power (8 dB).
const STANDS_OUT: f32 = 6.3;
/// Both tones together are this much of the power of the block. A pair 1.5 % off its frequencies is still above.
const MIN_SHARE: f32 = 0.72;

/// Goertzel's two last values of each frequency, and the power so far, of one block.
#[derive(Clone, Debug, Default)]
struct Block {
    last: [f32; 8],
    before_last: [f32; 8],
    energy: f32,
    filled: u32,
}

/// Finds digits in the audio of one leg.
#[derive(Clone, Debug)]
pub struct Detector {
    rate_hz: u32,
    /// Samples of a block.
    length: u32,
    coefficients: [f32; 8],
    /// Two blocks, half a block apart; the first is the one that ends next.
    blocks: [Block; 2],
    /// What the last block held, and blocks in a row that held it.
    candidate: Option<u8>,
    in_a_row: u32,
    pressed: Option<Pressed>,
}

/// A digit whose tones are there.
#[derive(Clone, Copy, Debug)]
struct Pressed {
    event: u8,
    /// Half blocks it has lasted.
    halves: u32,
    /// Half blocks since it was last there.
    absent: u32,
}

impl Detector {
    /// A detector of audio at `rate_hz`.
    pub fn new(rate_hz: u32) -> Detector {
        let mut coefficients = [0.0; 8];
        for (coefficient, hz) in coefficients.iter_mut().zip(LOW_HZ.into_iter().chain(HIGH_HZ)) {
            *coefficient = (2.0 * (std::f64::consts::TAU * hz / f64::from(rate_hz)).cos()) as f32;
        }
        let length = (BLOCK_AT_8_KHZ * rate_hz / 8_000).max(2);
        let half_full = Block {
            filled: length / 2,
            ..Block::default()
        };
        Detector {
            rate_hz,
            length,
            coefficients,
            blocks: [half_full, Block::default()],
            candidate: None,
            in_a_row: 0,
            pressed: None,
        }
    }

    /// The rate of the audio it takes.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Takes up to 20 ms of audio. A digit is told when its tones have ended.
    pub fn push(&mut self, samples: &[i16]) -> Option<Digit> {
        let mut told = None;
        let mut rest = samples;
        while !rest.is_empty() {
            let count = rest.len().min((self.length - self.blocks[0].filled) as usize);
            let (part, after) = rest.split_at(count);
            for block in &mut self.blocks {
                block.filter(&self.coefficients, part);
            }
            if self.blocks[0].filled == self.length {
                let held = self.blocks[0].digit(&self.coefficients);
                self.blocks[0] = Block::default();
                self.blocks.swap(0, 1);
                told = self.follow(held).or(told);
            }
            rest = after;
        }
        told
    }

    fn follow(&mut self, held: Option<u8>) -> Option<Digit> {
        let goes_on = held == self.candidate;
        self.in_a_row = if goes_on {
            self.in_a_row.saturating_add(1)
        } else {
            1
        };
        self.candidate = held;
        let is_steady = held.is_some() && self.in_a_row >= BLOCKS;
        let mut told = None;
        if let Some(pressed) = &mut self.pressed {
            if held == Some(pressed.event) {
                pressed.halves = pressed.halves.saturating_add(pressed.absent + 1);
                pressed.absent = 0;
                return None;
            }
            pressed.absent += 1;
            if pressed.absent < BLOCKS {
                return None;
            }
            let Pressed { event, halves, .. } = *pressed;
            told = Some(Digit {
                digit: digit_of(event),
                duration_ms: self.millis(halves),
            });
            self.pressed = None;
        }
        if let Some(event) = held.filter(|_| is_steady) {
            let halves = self.in_a_row + 1;
            self.pressed = Some(Pressed {
                event,
                halves,
                absent: 0,
            });
        }
        told
    }

    fn millis(&self, halves: u32) -> u32 {
        (u64::from(halves) * u64::from(self.length) * 500 / u64::from(self.rate_hz)) as u32
    }
}

impl Block {
    fn filter(&mut self, coefficients: &[f32; 8], samples: &[i16]) {
        for &sample in samples {
            let sample = f32::from(sample);
            self.energy += sample * sample;
            for (n, coefficient) in coefficients.iter().enumerate() {
                let value = sample + coefficient * self.last[n] - self.before_last[n];
                self.before_last[n] = self.last[n];
                self.last[n] = value;
            }
        }
        self.filled += samples.len() as u32;
    }

    /// The digit it holds, by its event number.
    fn digit(&self, coefficients: &[f32; 8]) -> Option<u8> {
        let mut power = [0.0f32; 8];
        for (n, power) in power.iter_mut().enumerate() {
            let (a, b) = (self.last[n], self.before_last[n]);
            *power = a * a + b * b - coefficients[n] * a * b;
        }
        let (row, low) = standing_out(&power[..4])?;
        let (column, high) = standing_out(&power[4..])?;
        // A sine of amplitude a has a power of (a N / 2)² here, and an energy of a² N / 2.
        let half = self.filled as f32 / 2.0;
        let floor = amplitude(MIN_DBM0) as f32 * half;
        let is_digit = low.min(high) >= floor * floor
            && high <= low * ratio(TWIST_HIGH_DB)
            && low <= high * ratio(TWIST_LOW_DB)
            && low + high >= MIN_SHARE * half * self.energy;
        is_digit.then(|| KEYPAD[row][column])
    }
}

/// The strongest of a group, when it stands out.
fn standing_out(group: &[f32]) -> Option<(usize, f32)> {
    let (at, &strongest) = group.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let others = group.iter().enumerate().filter(|(other, _)| *other != at);
    (strongest > 0.0
        && others
            .into_iter()
            .all(|(_, &power)| power * STANDS_OUT <= strongest))
    .then_some((at, strongest))
}

fn ratio(db: f64) -> f32 {
    10f64.powf(db / 10.0) as f32
}
