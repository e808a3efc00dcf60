//! The mixer: the saturating sum of everything the leg is to hear in one frame.

use crate::time::FRAME_SAMPLES;

/// One frame being summed.
pub(crate) struct Mixer {
    sum: [i32; FRAME_SAMPLES],
    sources: u32,
}

impl Mixer {
    pub fn new() -> Mixer {
        Mixer {
            sum: [0; FRAME_SAMPLES],
            sources: 0,
        }
    }

    /// Adds a source; one shorter than a frame is followed by silence.
    pub fn add(&mut self, samples: &[i16]) {
        if samples.is_empty() {
            return;
        }
        self.sources += 1;
        for (sum, &sample) in self.sum.iter_mut().zip(samples) {
            *sum += i32::from(sample);
        }
    }

    /// The frame, or `None` when no source had anything to say.
    pub fn finish(&self) -> Option<[i16; FRAME_SAMPLES]> {
        (self.sources > 0).then(|| self.sum.map(|sum| sum.clamp(-32_768, 32_767) as i16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_all_sources_is_clipped_once() {
        let mut mixer = Mixer::new();
        assert!(mixer.finish().is_none());
        mixer.add(&[]);
        assert!(mixer.finish().is_none());
        mixer.add(&[30_000, 30_000, -5]);
        mixer.add(&[10_000, 10_000]);
        mixer.add(&[-20_000; FRAME_SAMPLES]);
        let frame = mixer.finish().unwrap();
        assert_eq!(
            &frame[..4],
            &[20_000, 20_000, -20_005, -20_000],
            "no clipping on the way"
        );
        mixer.add(&[30_000]);
        assert_eq!(mixer.finish().unwrap()[0], 32_767);
    }
}
