//! The mixer: the saturating sum of everything the leg is to hear in one frame.

use crate::frame::Frame;
use crate::time::MAX_FRAME_SAMPLES;

/// One frame being summed.
pub(crate) struct Mixer {
    rate_hz: u32,
    sum: [i32; MAX_FRAME_SAMPLES],
    sources: u32,
}

impl Mixer {
    pub fn new(rate_hz: u32) -> Mixer {
        Mixer {
            rate_hz,
            sum: [0; MAX_FRAME_SAMPLES],
            sources: 0,
        }
    }

    /// Adds a source, if it has anything to say.
    pub fn add(&mut self, frame: Option<Frame>) {
        let Some(frame) = frame else { return };
        debug_assert_eq!(frame.rate_hz(), self.rate_hz);
        self.sources += 1;
        for (sum, &sample) in self.sum.iter_mut().zip(frame.samples()) {
            *sum += i32::from(sample);
        }
    }

    /// The frame, or `None` when no source had anything to say.
    pub fn finish(&self) -> Option<Frame> {
        (self.sources > 0).then(|| {
            let mut frame = Frame::silent(self.rate_hz);
            for (sample, sum) in frame.samples_mut().iter_mut().zip(self.sum) {
                *sample = sum.clamp(-32_768, 32_767) as i16;
            }
            frame
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(samples: &[i16]) -> Option<Frame> {
        let mut frame = Frame::silent(8_000);
        frame.samples_mut()[..samples.len()].copy_from_slice(samples);
        Some(frame)
    }

    #[test]
    fn the_sum_saturates_once_at_the_end() {
        let mut mixer = Mixer::new(8_000);
        mixer.add(None);
        assert!(mixer.finish().is_none());
        mixer.add(frame(&[30_000, 30_000, -5]));
        mixer.add(frame(&[10_000, 10_000]));
        mixer.add(frame(&[-20_000; 160]));
        let sum = mixer.finish().unwrap();
        assert_eq!(
            &sum.samples()[..4],
            &[20_000, 20_000, -20_005, -20_000],
            "no clipping on the way"
        );
        mixer.add(frame(&[30_000]));
        assert_eq!(mixer.finish().unwrap().samples()[0], 32_767);
    }
}
