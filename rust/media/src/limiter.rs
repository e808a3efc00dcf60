//! The limiter: a sum of voices made to fit 16 bits by turning it down, not by cutting its peaks off.
//!
//! One gain for each listener. It falls as far as the loudest sample of a frame asks, within the first 2.5 ms of that
//! frame, and rises again slowly. A frame is looked at as a whole since it is there as a whole: no sound is delayed for it.
//! What fits passes bit by bit while the gain is 1, so that one talker alone is never touched.

/// The loudest sample that 16 bits hold on both sides.
const CEILING: f32 = 32_767.0;
/// The gain rises by this factor a frame: from a half to all in half a second.
const RISE: f32 = 1.03;
/// The part of a frame in which the gain falls.
const FALL_PART: usize = 8;

/// One listener's gain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter { gain: 1.0 }
    }
}

impl Limiter {
    /// Makes `sum` fit into `out`, which is as long.
    pub fn limit(&mut self, sum: &[i32], out: &mut [i16]) {
        let fitting = gain_for(sum);
        if fitting >= 1.0 && self.gain >= 1.0 {
            for (out, &sum) in out.iter_mut().zip(sum) {
                *out = sum as i16;
            }
            return;
        }
        let (start, end, ramp) = if fitting < self.gain {
            let ramp = (sum.len() / FALL_PART).max(1);
            (self.gain.min(gain_for(&sum[..ramp])), fitting, ramp)
        } else {
            (self.gain, fitting.min(self.gain * RISE), sum.len())
        };
        // Both ends of a ramp fit all of the samples under it, and so does everything between.
        let step = (end - start) / ramp as f32;
        for (n, (out, &sum)) in out.iter_mut().zip(sum).enumerate() {
            let gain = if n < ramp { start + step * n as f32 } else { end };
            *out = (sum as f32 * gain) as i16;
        }
        self.gain = end;
    }
}

/// The gain at which all of these fit: 1 when they do as they are.
fn gain_for(sum: &[i32]) -> f32 {
    // -32768 fits as it is.
    let peak = sum.iter().fold(0, |peak: i32, &sum| peak.max(sum ^ (sum >> 31)));
    (CEILING / (peak as f32).max(1.0)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 160;

    fn sine(hz: f32, amplitude: f32, frame: usize) -> Vec<f32> {
        (0..FRAME)
            .map(|n| amplitude * (std::f32::consts::TAU * hz * (frame * FRAME + n) as f32 / 8_000.0).sin())
            .collect()
    }

    /// The sum of two full-scale voices for so many frames, and what becomes of it.
    fn two_voices(limiter: &mut Limiter, frames: std::ops::Range<usize>) -> Vec<(Vec<i32>, Vec<i16>)> {
        frames
            .map(|frame| {
                let voices = (sine(437.0, 32_767.0, frame), sine(1_013.0, 32_767.0, frame));
                let sum: Vec<i32> = voices
                    .0
                    .iter()
                    .zip(&voices.1)
                    .map(|(a, b)| (a + b) as i32)
                    .collect();
                let mut out = vec![0; FRAME];
                limiter.limit(&sum, &mut out);
                (sum, out)
            })
            .collect()
    }

    #[test]
    fn what_fits_passes_bit_by_bit() {
        let mut limiter = Limiter::default();
        let sum: Vec<i32> = (0..FRAME as i32)
            .map(|n| if n % 2 == 0 { 32_767 } else { -32_768 })
            .collect();
        let mut out = [0; FRAME];
        limiter.limit(&sum, &mut out);
        assert!(out.iter().zip(&sum).all(|(&out, &sum)| i32::from(out) == sum));
    }

    #[test]
    fn two_voices_at_full_scale_are_turned_down_and_not_distorted() {
        let mut limiter = Limiter::default();
        let (mut error, mut energy) = (0.0, 0.0);
        for (sum, out) in two_voices(&mut limiter, 0..100) {
            // The best gain for the frame; what differs from it is distortion.
            let dot: f64 = sum
                .iter()
                .zip(&out)
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum();
            let power: f64 = sum.iter().map(|&a| f64::from(a) * f64::from(a)).sum();
            let gain = dot / power;
            assert!((0.45..=0.7).contains(&gain), "{gain}");
            for (&sum, &out) in sum.iter().zip(&out) {
                error += (f64::from(out) - gain * f64::from(sum)).powi(2);
                energy += f64::from(out).powi(2);
            }
        }
        let decibels = 10.0 * (energy / error).log10();
        assert!(decibels > 35.0, "{decibels} dB of signal to distortion");
    }

    #[test]
    fn a_peak_at_the_edge_of_a_frame_does_not_wrap_or_clip_in_a_row() {
        let mut limiter = Limiter::default();
        let mut out = [0; FRAME];
        limiter.limit(&[20_000; FRAME], &mut out);
        limiter.limit(&[524_272; FRAME], &mut out);
        assert!(
            out.iter().all(|&out| (32_700..=32_767).contains(&out)),
            "sixteen talkers, from the first sample"
        );
        limiter.limit(&[20_000; FRAME], &mut out);
        assert!(out[0] < 2_000, "the gain rises slowly");
    }

    #[test]
    fn the_gain_is_back_in_two_seconds_and_then_exact() {
        let mut limiter = Limiter::default();
        let mut out = [0; FRAME];
        limiter.limit(&[131_068; FRAME], &mut out);
        for _ in 0..50 {
            limiter.limit(&[1_000; FRAME], &mut out);
        }
        assert_eq!(out, [1_000; FRAME]);
    }
}
