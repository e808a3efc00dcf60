//! The mixer: one sum of all who speak in a frame, of which each listener gets all but himself.
//!
//! Sixteen voices of 16 bits need 20: nothing is cut off on the way, and the listener's [`Limiter`] makes the end fit.

use crate::frame::Frame;
use crate::limiter::Limiter;
use crate::time::{MAX_FRAME_SAMPLES, frame_samples};

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

    /// Adds a source.
    pub fn add(&mut self, frame: &Frame) {
        debug_assert_eq!(frame.rate_hz(), self.rate_hz);
        self.sources += 1;
        for (sum, &sample) in self.sum.iter_mut().zip(frame.samples()) {
            *sum += i32::from(sample);
        }
    }

    /// The sum of all sources, or `None` when there was none.
    pub fn all(&self, limiter: &mut Limiter) -> Option<Frame> {
        (self.sources > 0).then(|| self.fit(&self.sum, limiter))
    }

    /// The sum of all sources but this one, or `None` when there was no other.
    pub fn all_but(&self, own: &Frame, limiter: &mut Limiter) -> Option<Frame> {
        (self.sources > 1).then(|| {
            let mut others = self.sum;
            for (sum, &sample) in others.iter_mut().zip(own.samples()) {
                *sum -= i32::from(sample);
            }
            self.fit(&others, limiter)
        })
    }

    fn fit(&self, sum: &[i32], limiter: &mut Limiter) -> Frame {
        let mut frame = Frame::silent(self.rate_hz);
        limiter.limit(&sum[..frame_samples(self.rate_hz)], frame.samples_mut());
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(samples: &[i16]) -> Frame {
        let mut frame = Frame::silent(8_000);
        frame.samples_mut()[..samples.len()].copy_from_slice(samples);
        frame
    }

    #[test]
    fn nothing_is_cut_off_on_the_way() {
        let (mut mixer, mut limiter) = (Mixer::new(8_000), Limiter::default());
        assert!(mixer.all(&mut limiter).is_none());
        mixer.add(&frame(&[30_000, 30_000, -5]));
        mixer.add(&frame(&[10_000, 10_000]));
        mixer.add(&frame(&[-20_000; 160]));
        let sum = mixer.all(&mut limiter).unwrap();
        assert_eq!(&sum.samples()[..4], &[20_000, 20_000, -20_005, -20_000]);
    }

    #[test]
    fn a_listener_hears_all_but_himself() {
        let mut mixer = Mixer::new(8_000);
        let voices = [frame(&[100; 160]), frame(&[-32_768; 160]), frame(&[32_767; 160])];
        voices.iter().for_each(|voice| mixer.add(voice));
        for (own, expected) in [(0, -1), (1, 32_767), (2, -32_668)] {
            let heard = mixer.all_but(&voices[own], &mut Limiter::default()).unwrap();
            assert!((i32::from(heard.samples()[80]) - expected).abs() <= 1);
        }
    }

    #[test]
    fn who_is_alone_hears_nothing() {
        let mut mixer = Mixer::new(8_000);
        let own = frame(&[100; 160]);
        mixer.add(&own);
        assert!(mixer.all_but(&own, &mut Limiter::default()).is_none());
    }
}
