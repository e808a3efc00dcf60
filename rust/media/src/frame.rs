//! A frame: 20 ms of samples at some rate, the unit in which sound moves through a session.

use crate::codec::resample::Resampler;
use crate::time::{MAX_FRAME_SAMPLES, frame_samples};

/// 20 ms of mono samples.
#[derive(Clone)]
pub struct Frame {
    rate_hz: u32,
    samples: [i16; MAX_FRAME_SAMPLES],
}

impl Frame {
    /// A frame of silence at a rate of at most [`MAX_RATE_HZ`](crate::MAX_RATE_HZ).
    pub fn silent(rate_hz: u32) -> Frame {
        debug_assert!(frame_samples(rate_hz) <= MAX_FRAME_SAMPLES);
        Frame {
            rate_hz,
            samples: [0; MAX_FRAME_SAMPLES],
        }
    }

    /// Samples per second.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Its samples: a fiftieth of the rate.
    pub fn samples(&self) -> &[i16] {
        &self.samples[..frame_samples(self.rate_hz)]
    }

    /// Its samples, to be written.
    pub fn samples_mut(&mut self) -> &mut [i16] {
        &mut self.samples[..frame_samples(self.rate_hz)]
    }
}

/// Frames of one rate made frames of another; costs nothing when the two are the same.
pub(crate) struct Converter {
    from_hz: u32,
    to_hz: u32,
    work: Option<Box<Work>>,
}

/// What conversion needs.
struct Work {
    resampler: Resampler,
    converted: Vec<i16>,
    out: Frame,
    /// The last frame has left something in the filter.
    ringing: bool,
}

impl Converter {
    /// Between two of 8000, 16000, 24000 and 48000 Hz.
    pub fn new(from_hz: u32, to_hz: u32) -> Converter {
        let resampler = (from_hz != to_hz)
            .then(|| Resampler::new(from_hz, to_hz).ok())
            .flatten();
        let work = resampler.map(|resampler| {
            Box::new(Work {
                resampler,
                converted: Vec::with_capacity(2 * frame_samples(to_hz)),
                out: Frame::silent(to_hz),
                ringing: false,
            })
        });
        Converter { from_hz, to_hz, work }
    }

    /// Between other rates from now on; what it has of the old ones is dropped if they are others indeed.
    pub fn retune(&mut self, from_hz: u32, to_hz: u32) {
        if (from_hz, to_hz) != (self.from_hz, self.to_hz) {
            *self = Converter::new(from_hz, to_hz);
        }
    }

    /// The frame at the other rate. Nothing stays nothing, once the end of what was has rung out.
    pub fn convert<'a>(&'a mut self, frame: Option<&'a Frame>) -> Option<&'a Frame> {
        let Some(work) = &mut self.work else { return frame };
        let sounding = frame.is_some();
        if !sounding && !work.ringing {
            return None;
        }
        work.ringing = sounding;
        work.converted.clear();
        match frame {
            Some(frame) => work.resampler.process(frame.samples(), &mut work.converted),
            None => {
                let silence = Frame::silent(self.from_hz);
                work.resampler.process(silence.samples(), &mut work.converted);
            }
        }
        let out = work.out.samples_mut();
        let count = work.converted.len().min(out.len());
        out[..count].copy_from_slice(&work.converted[..count]);
        out[count..].fill(0);
        Some(&work.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_rates_gives_whole_frames() {
        let rates = [8_000, 16_000, 24_000, 48_000];
        for (from, to) in rates.into_iter().flat_map(|from| rates.map(|to| (from, to))) {
            let mut converter = Converter::new(from, to);
            for _ in 0..5 {
                let mut frame = Frame::silent(from);
                frame.samples_mut().fill(1_000);
                let out = converter.convert(Some(&frame)).unwrap();
                assert_eq!(out.samples().len(), to as usize / 50);
            }
            let mut frame = Frame::silent(from);
            frame.samples_mut().fill(1_000);
            let last = converter.convert(Some(&frame)).unwrap();
            let end = *last.samples().last().unwrap();
            assert!((i32::from(end) - 1_000).abs() < 5, "{from} to {to}: {end}");
        }
    }

    #[test]
    fn what_ends_rings_out_once() {
        let mut converter = Converter::new(8_000, 16_000);
        let mut frame = Frame::silent(8_000);
        frame.samples_mut().fill(1_000);
        assert!(converter.convert(None).is_none());
        assert!(converter.convert(Some(&frame)).is_some());
        let tail = converter.convert(None).unwrap();
        assert!(tail.samples()[0] > 500 && *tail.samples().last().unwrap() == 0);
        assert!(converter.convert(None).is_none());
    }
}
