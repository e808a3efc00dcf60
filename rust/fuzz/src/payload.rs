//! Payloads of every codec and comfort noise: any bytes are sound of the length they claim, or refused.

use media::codec::comfort_noise::ComfortNoise;
use media::codec::decoder::Decoder;
use media::codec::{Codec, MAX_PACKET_SAMPLES};

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let codec = [
        Codec::Pcmu,
        Codec::Pcma,
        Codec::G722,
        Codec::Opus,
        Codec::L16(16_000),
    ][usize::from(input.u8() % 5)];
    let mut decoder = Decoder::new(codec);
    let mut noise = ComfortNoise::new(8_000);
    let mut out = [0i16; MAX_PACKET_SAMPLES];
    for _ in 0..20 {
        if input.is_empty() {
            return;
        }
        let control = input.u8();
        let length = usize::from(input.u8()) << (control & 2);
        let payload = input.take(length);
        match control >> 6 {
            0 => {
                if noise.describe(payload) {
                    noise.sound(&mut out[..160]);
                }
            }
            1 => {
                assert!(decoder.decode_fec(payload, &mut out[..320]) <= 320);
            }
            2 => {
                assert!(decoder.conceal(&mut out[..320]) <= 320);
            }
            _ => {
                if let Ok(count) = decoder.decode(payload, &mut out) {
                    let claimed = codec.duration(payload).map(|clocks| {
                        u64::from(clocks) * u64::from(codec.rate_hz()) / u64::from(codec.clock_hz())
                    });
                    assert_eq!(claimed, Some(count as u64), "{codec:?}");
                }
            }
        }
    }
}
