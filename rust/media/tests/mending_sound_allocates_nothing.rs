//! Concealment, comfort noise and rate conversion take their memory when they are made.

#[path = "common/counting.rs"]
mod counting;

use counting::ALLOCATIONS;
use media::codec::comfort_noise::ComfortNoise;
use media::codec::conceal::Concealer;
use media::codec::resample::Resampler;

const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

#[test]
fn the_first_gap_the_first_pause_and_the_first_frame_allocate_nothing() {
    for from_hz in RATES {
        let mut concealer = Concealer::new(from_hz);
        let mut noise = ComfortNoise::new(from_hz);
        let mut converters: Vec<(Resampler, Vec<i16>)> = RATES
            .into_iter()
            .filter(|to_hz| *to_hz != from_hz)
            .map(|to_hz| (Resampler::new(from_hz, to_hz).unwrap(), Vec::with_capacity(2_000)))
            .collect();
        let mut frame = vec![0i16; from_hz as usize / 50];
        ALLOCATIONS.set(Some(0));
        let mut sounding = 0;
        for n in 0..200usize {
            match n % 20 {
                0..=11 => {
                    for (at, sample) in frame.iter_mut().enumerate() {
                        *sample = ((at * 37 + n * 11) % 4_001) as i16 - 2_000;
                    }
                    concealer.good(&mut frame);
                    noise.sound(&mut frame);
                }
                12..=15 => {
                    sounding += concealer.conceal(&mut frame);
                    noise.pause(&mut frame);
                }
                16 => assert!(noise.describe(&[50, 90, 130])),
                _ => {
                    concealer.pause(&mut frame);
                    noise.pause(&mut frame);
                }
            }
            for (resampler, out) in &mut converters {
                out.clear();
                resampler.process(&frame, out);
            }
        }
        assert_eq!(ALLOCATIONS.take(), Some(0), "{from_hz} Hz");
        assert_eq!(sounding, 40 * frame.len());
        assert!(
            converters
                .iter()
                .all(|(_, out)| out.iter().any(|&sample| sample != 0))
        );
    }
}
