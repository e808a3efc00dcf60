//! A clock that runs too fast or too slow: the sample clock of a far end.

/// Maps true time to the time of a clock that is off by some parts per million, and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// How much faster than true time it runs.
    pub ppm: i64,
}

impl Clock {
    /// A clock that is `ppm` parts per million fast (negative: slow).
    pub const fn new(ppm: i64) -> Clock {
        Clock { ppm }
    }

    /// What this clock shows at the true time `micros`.
    pub const fn local(self, micros: u64) -> u64 {
        (micros as i128 * (1_000_000 + self.ppm as i128) / 1_000_000) as u64
    }

    /// The first true time at which this clock shows `local` or more.
    pub const fn true_micros(self, local: u64) -> u64 {
        let rate = 1_000_000 + self.ppm as i128;
        ((local as i128 * 1_000_000 + rate - 1) / rate) as u64
    }
}
