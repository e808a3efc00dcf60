//! Opus (RFC 6716, RFC 7587) by libopus: mono, 48 kHz, voice.
//!
//! In-band FEC: each packet carries, at a lower quality, what was in the one before ([`Decoder::decode_fec`]). DTX: in
//! silence the encoder has nothing to say for most packets; what is then sent is the first byte alone, which RFC 6716
//! §3.1 calls a frame that is not transmitted. It costs nineteen twentieths less, keeps the numbers of packets whole
//! (RFC 3550: a number for each packet sent) and the way through a NAT open.

use opus::{Application, Bitrate, Channels};

use super::decoder::BadPayload;
use crate::time::MAX_RATE_HZ;

/// The longest payload: three frames of 20 ms, each as long as RFC 6716 §3.2.1 allows, and what tells them apart.
pub const MAX_PAYLOAD_BYTES: usize = 3 * 1_275 + 7;
/// Samples in 2.5 ms, which every frame is a multiple of.
pub const STEP_SAMPLES: usize = 120;
/// The longest sound of a packet (RFC 6716 §3.2.5, R5).
const MAX_DURATION: u32 = 120 * 48;
/// How hard libopus tries, of 0 to 10. A second of a voice at 32 kbit/s with FEC costs 4 ms of a core at 1, 9 at 3, 11 at
/// 5 and 13 at 10; decoding it costs 2.
const COMPLEXITY: i32 = 5;
/// The loss that FEC is sized for. Without a figure libopus leaves FEC out.
const EXPECTED_LOSS_PERCENT: i32 = 10;
/// A payload this short says nothing that a decoder would miss.
const DTX_BYTES: usize = 2;

/// How an encoder is set: what the far end asks for in `a=fmtp` (RFC 7587 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Average rate: 6000..=510000 bit/s.
    pub bitrate_bps: u32,
    /// Send what repairs the loss of single packets.
    pub fec: bool,
    /// Send next to nothing in silence.
    pub dtx: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            bitrate_bps: 32_000,
            fec: true,
            dtx: false,
        }
    }
}

/// How long the sound of a payload is, in samples of 48 kHz, as its first one or two bytes say (RFC 6716 §3.1).
pub fn duration(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let configuration = toc >> 3;
    let frame = match configuration {
        // SILK, hybrid, CELT.
        0..12 => [480, 960, 1_920, 2_880][usize::from(configuration & 3)],
        12..16 => [480, 960][usize::from(configuration & 1)],
        _ => [120, 240, 480, 960][usize::from(configuration & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1)? & 63),
    };
    Some(frame * frames).filter(|duration| (1..=MAX_DURATION).contains(duration))
}

/// One direction of one call, from payloads to samples.
#[derive(Debug)]
pub struct Decoder {
    inner: opus::Decoder,
}

impl Default for Decoder {
    fn default() -> Decoder {
        let inner = opus::Decoder::new(MAX_RATE_HZ, Channels::Mono);
        Decoder {
            inner: inner.expect("libopus makes a decoder unless memory is out"),
        }
    }
}

impl Decoder {
    /// Decodes a payload to `out`, which has room for its duration; returns the samples.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, BadPayload> {
        self.inner.decode(payload, out, false).map_err(|_| BadPayload)
    }

    /// Fills `out` with what may have been said: whole steps of [`STEP_SAMPLES`]; returns the samples.
    pub fn conceal(&mut self, out: &mut [i16]) -> usize {
        let whole = out.len() / STEP_SAMPLES * STEP_SAMPLES;
        self.inner.decode(&[], &mut out[..whole], false).unwrap_or(0)
    }

    /// Fills `out`, as long as what is missing, with what `next`, the payload after it, says of its last part.
    pub fn decode_fec(&mut self, next: &[u8], out: &mut [i16]) -> usize {
        let whole = out.len() / STEP_SAMPLES * STEP_SAMPLES;
        self.inner.decode(next, &mut out[..whole], true).unwrap_or(0)
    }
}

/// One direction of one call, from samples to payloads.
#[derive(Debug)]
pub struct Encoder {
    inner: opus::Encoder,
    dtx: bool,
}

impl Encoder {
    /// An encoder for voice.
    pub fn new(settings: Settings) -> Encoder {
        let inner = opus::Encoder::new(MAX_RATE_HZ, Channels::Mono, Application::Voip);
        let mut inner = inner.expect("libopus makes an encoder unless memory is out");
        let bitrate = settings.bitrate_bps.clamp(6_000, 510_000) as i32;
        let loss = if settings.fec { EXPECTED_LOSS_PERCENT } else { 0 };
        // Each can only refuse a value out of its range.
        let set = [
            inner.set_bitrate(Bitrate::Bits(bitrate)),
            inner.set_complexity(COMPLEXITY),
            inner.set_inband_fec(settings.fec),
            inner.set_packet_loss_perc(loss),
            inner.set_dtx(settings.dtx),
        ];
        debug_assert!(set.iter().all(Result::is_ok), "{set:?}");
        Encoder {
            inner,
            dtx: settings.dtx,
        }
    }

    /// Appends the payload of 10, 20, 40 or 60 ms; nothing for any other length.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + super::MAX_SENT_BYTES as usize, 0);
        let length = self.inner.encode(samples, &mut out[start..]).unwrap_or(0);
        let quiet = self.dtx && length <= DTX_BYTES;
        out.truncate(start + if quiet { length.min(1) } else { length });
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const FRAME: usize = 960;

    /// A voice, roughly: a buzz whose pitch and level move.
    fn voice(frames: usize) -> Vec<i16> {
        (0..frames * FRAME)
            .map(|n| {
                let seconds = n as f64 / 48_000.0;
                let pitch = TAU * (140.0 * seconds - 2.0 * (seconds * 20.0).cos());
                let buzz: f64 = (1..20).map(|k| (pitch * f64::from(k)).sin() / f64::from(k)).sum();
                (6_000.0 * buzz * (0.6 + 0.4 * (seconds * 25.0).sin())) as i16
            })
            .collect()
    }

    fn energy(samples: &[i16]) -> f64 {
        samples.iter().map(|&sample| f64::from(sample).powi(2)).sum()
    }

    #[test]
    fn the_first_bytes_tell_the_duration() {
        for (payload, samples) in [
            (&[0b0000_0000u8][..], Some(480)),
            (&[0b0001_1000, 1, 2], Some(2_880)),
            (&[0b0110_1000, 1], Some(960)),
            (&[0b1000_0000, 1], Some(120)),
            (&[0b1111_1001, 1, 2], Some(1_920)),
            (&[0b1111_1011, 0b1000_0011, 1], Some(2_880)),
            (&[0b1111_1011, 48], None),
            (&[0b1111_1011, 0], None),
            (&[0b1111_1011], None),
            (&[], None),
        ] {
            assert_eq!(duration(payload), samples, "{payload:?}");
        }
    }

    #[test]
    fn the_next_packet_repairs_what_was_lost_better_than_guessing_does() {
        let sound = voice(100);
        let (mut plain, mut repaired) = (0.0, 0.0);
        let mut encoder = Encoder::new(Settings::default());
        let packets: Vec<Vec<u8>> = sound
            .chunks(FRAME)
            .map(|frame| {
                let mut payload = Vec::new();
                encoder.encode(frame, &mut payload);
                payload
            })
            .collect();
        let (mut whole, mut guess, mut fec) = (Decoder::default(), Decoder::default(), Decoder::default());
        for n in 0..packets.len() - 1 {
            let [mut right, mut guessed, mut mended] = [[0; FRAME]; 3];
            whole.decode(&packets[n], &mut right).unwrap();
            if n % 10 == 9 {
                assert_eq!(guess.conceal(&mut guessed), FRAME);
                assert_eq!(fec.decode_fec(&packets[n + 1], &mut mended), FRAME);
                let error = |samples: &[i16]| {
                    let differences = samples.iter().zip(&right).map(|(a, b)| a.saturating_sub(*b));
                    energy(&differences.collect::<Vec<_>>()) / energy(&right)
                };
                plain += error(&guessed);
                repaired += error(&mended);
            } else {
                guess.decode(&packets[n], &mut guessed).unwrap();
                fec.decode(&packets[n], &mut mended).unwrap();
            }
        }
        assert!(repaired < plain / 2.0, "{repaired} {plain}");
    }

    #[test]
    fn silence_costs_one_byte_a_packet_with_dtx_and_the_numbers_go_on() {
        let settings = Settings {
            dtx: true,
            ..Settings::default()
        };
        let mut encoder = Encoder::new(settings);
        let mut decoder = Decoder::default();
        let mut bytes = 0;
        for n in 0..150 {
            let mut payload = Vec::new();
            encoder.encode(&[0; FRAME], &mut payload);
            assert_eq!(duration(&payload), Some(FRAME as u32));
            assert_eq!(decoder.decode(&payload, &mut [0; FRAME]), Ok(FRAME));
            if n >= 50 {
                bytes += payload.len();
            }
        }
        assert!((100..1_000).contains(&bytes), "{bytes} in 100 packets");
    }

    #[test]
    fn garbage_is_refused_and_leaves_the_decoder_usable() {
        let mut decoder = Decoder::default();
        let mut state = 7u32;
        let mut refused = 0;
        for length in (0..400).cycle().take(4_000) {
            let payload: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            refused += u32::from(decoder.decode(&payload, &mut [0; 5_760]).is_err());
        }
        assert!(refused > 100, "{refused}");
        let mut payload = Vec::new();
        Encoder::new(Settings::default()).encode(&[0; FRAME], &mut payload);
        assert_eq!(decoder.decode(&payload, &mut [0; FRAME]), Ok(FRAME));
    }

    #[test]
    fn a_length_that_is_no_opus_frame_makes_nothing() {
        let mut payload = Vec::new();
        Encoder::new(Settings::default()).encode(&[0; 961], &mut payload);
        assert!(payload.is_empty());
    }
}
