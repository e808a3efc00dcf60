//! The sixteen pairs of tones (ITU-T Q.23), made at any rate.
//!
//! Levels: -10 dBm0 for the low tone and -8 dBm0 for the high one, 2 dB above it to make up for the line, as terminals do
//! (ETSI ES 201 235-2). A sine of full scale is +3.17 dBm0 (ITU-T G.711).

use std::f64::consts::TAU;

/// The low group in hertz: rows of the keypad.
pub const LOW_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// The high group in hertz: columns of the keypad.
pub const HIGH_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// Event numbers (RFC 4733 §3.2) by row and column.
pub const KEYPAD: [[u8; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];
/// Level of the low tone.
pub const LOW_DBM0: f64 = -10.0;
/// Level of the high tone.
pub const HIGH_DBM0: f64 = -8.0;
/// Level of a sine of full scale.
const FULL_SCALE_DBM0: f64 = 3.17;

/// The two frequencies of an event number of 0..=15.
pub fn frequencies(event: u8) -> Option<(f64, f64)> {
    KEYPAD.iter().enumerate().find_map(|(row, keys)| {
        let column = keys.iter().position(|&key| key == event)?;
        Some((LOW_HZ[row], HIGH_HZ[column]))
    })
}

/// Peak of a sine of `dbm0`, in samples of 16 bits.
pub fn amplitude(dbm0: f64) -> f64 {
    f64::from(i16::MAX) * 10f64.powf((dbm0 - FULL_SCALE_DBM0) / 20.0)
}

/// Writes samples `first..` of the tones of an event; an event that has none is silence.
///
/// The phase is a function of the sample's number, so that frames join without a click.
pub fn write(event: u8, rate_hz: u32, first: u64, samples: &mut [i16]) {
    let Some((low_hz, high_hz)) = frequencies(event) else {
        samples.fill(0);
        return;
    };
    let (low, high) = (amplitude(LOW_DBM0), amplitude(HIGH_DBM0));
    let step = TAU / f64::from(rate_hz);
    for (at, sample) in (first..).zip(samples) {
        let time = at as f64 * step;
        *sample = (low * (low_hz * time).sin() + high * (high_hz * time).sin()).round() as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_pair() {
        assert_eq!(frequencies(5), Some((770.0, 1336.0)));
        assert_eq!(frequencies(0), Some((941.0, 1336.0)));
        assert_eq!(frequencies(15), Some((941.0, 1633.0)));
        assert_eq!(frequencies(16), None);
        let mut seen: Vec<u8> = KEYPAD.into_iter().flatten().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..16).collect::<Vec<u8>>());
    }

    #[test]
    fn frames_join_and_stay_below_full_scale() {
        let mut whole = [0; 480];
        write(11, 24_000, 0, &mut whole);
        let mut parts = [0; 480];
        write(11, 24_000, 0, &mut parts[..160]);
        write(11, 24_000, 160, &mut parts[160..]);
        assert_eq!(whole, parts);
        let peak = whole.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((12_000..17_000).contains(&peak), "{peak}");
    }
}
