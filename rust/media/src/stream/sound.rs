//! Sounds of another format than the stream's: decoded, and brought to its rate.
//!
//! An application that speaks at another rate than the stream was opened for does so message by message, so the filter goes
//! on from one to the next while the rate stays. A WAV file is a sound by itself.

use crate::codec::resample::{Resampler, resample};
use crate::config::Format;
use crate::event::RefusedMessage;
use crate::wav;

/// What a sound may have. Rule: another is refused. (A filter between two rates that have little in common is large.)
pub const RATES_HZ: [u32; 9] = [
    8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000,
];
/// Memory kept for the next sound, in samples.
const KEPT_SAMPLES: usize = 1 << 14;

/// Where sounds are converted.
#[derive(Default)]
pub(super) struct Sound {
    /// Between these two rates.
    filter: Option<(u32, u32, Resampler)>,
    decoded: Vec<i16>,
    converted: Vec<i16>,
}

impl Sound {
    /// Converts one sound; `None`: a WAV file.
    pub fn convert(
        &mut self,
        bytes: &[u8],
        format: Option<Format>,
        to_hz: u32,
    ) -> Result<(), RefusedMessage> {
        self.converted.clear();
        self.converted.shrink_to(KEPT_SAMPLES);
        let wrong = |_| RefusedMessage::WrongFormat;
        let Some(format) = format else {
            let (rate_hz, samples) = wav::samples(bytes).map_err(|_| RefusedMessage::WrongFormat)?;
            check_rate(rate_hz)?;
            self.converted = resample(&samples, rate_hz, to_hz).map_err(wrong)?;
            return Ok(());
        };
        check_rate(format.rate_hz)?;
        let from_hz = format.rate_hz;
        let count = bytes.len() / format.encoding.bytes_per_sample();
        self.decoded.resize(count, 0);
        self.decoded.shrink_to(KEPT_SAMPLES);
        format.encoding.decode(bytes, &mut self.decoded);
        if from_hz == to_hz {
            std::mem::swap(&mut self.decoded, &mut self.converted);
            return Ok(());
        }
        if !matches!(&self.filter, Some((from, to, _)) if (*from, *to) == (from_hz, to_hz)) {
            let filter = Resampler::new(from_hz, to_hz).map_err(wrong)?;
            self.filter = Some((from_hz, to_hz, filter));
        }
        if let Some((.., filter)) = &mut self.filter {
            filter.process(&self.decoded, &mut self.converted);
        }
        Ok(())
    }

    /// What was converted last.
    pub fn samples(&self) -> &[i16] {
        &self.converted
    }
}

fn check_rate(rate_hz: u32) -> Result<(), RefusedMessage> {
    let is_known = RATES_HZ.contains(&rate_hz);
    is_known.then_some(()).ok_or(RefusedMessage::WrongFormat)
}
