//! WAV files: reading any file ends in samples or a refusal, and a header that was written is read.

use media::wav;

use crate::input::Input;

pub fn run(data: &[u8]) {
    if let Ok(samples) = wav::parse(data) {
        // The lowest rate that is read is 8 kHz or below: what comes out is bounded by the file.
        assert!(samples.len() <= data.len() * 48);
    }
    let mut input = Input(data);
    let (stereo, rate_hz) = (
        input.u8() & 1,
        [8_000, 16_000, 24_000, 48_000][usize::from(input.u8() & 3)],
    );
    let pcm = &input.0[..input.0.len() & !3];
    let mut file = wav::header(1 + u16::from(stereo), rate_hz, pcm.len() as u32).to_vec();
    file.extend_from_slice(pcm);
    let samples = wav::parse(&file).expect("our own header");
    if rate_hz == 8_000 {
        assert_eq!(samples.len(), pcm.len() / if stereo == 1 { 4 } else { 2 });
    }
}
