//! Sound as Opus in Ogg, on the recorder's thread: one encoder a channel, a page a block.

use media::ogg::{OpusPages, PRE_SKIP, SILENT_PACKET};
use opus::{Application, Bitrate, Channels, Encoder};

/// How hard libopus tries, of 0 to 10: half the work of 10, and as good to the ear for speech.
const COMPLEXITY: i32 = 5;
/// The longest packet of one frame (RFC 6716 §3.2.1, R2).
const MAX_PACKET_BYTES: usize = 1_275;
const VENDOR: &str = concat!("longline ", env!("CARGO_PKG_VERSION"));

/// One file's encoders and pages.
pub struct OpusSound {
    channels: Vec<Channel>,
    pages: OpusPages,
    rate_hz: u32,
}

struct Channel {
    encoder: Encoder,
    frame: Vec<i16>,
    packet: Vec<u8>,
    /// The last frame was silence, and the encoder has heard it: more of it needs no encoder.
    is_silent: bool,
}

impl OpusSound {
    /// For so many channels at a rate of libopus (8000, 12000, 16000, 24000, 48000 Hz).
    pub fn new(channels: u8, rate_hz: u32, serial: u32) -> Result<Self, String> {
        let channels = (0..channels)
            .map(|_| Channel::new(rate_hz))
            .collect::<Result<Vec<_>, _>>();
        let channels = channels.map_err(|error| format!("no Opus encoder: {error}"))?;
        Ok(Self {
            pages: OpusPages::new(serial, channels.len() as u8),
            channels,
            rate_hz,
        })
    }

    fn frame_samples(&self) -> usize {
        self.rate_hz as usize / 50
    }

    /// What the file begins with.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.pages.write_headers(self.rate_hz, VENDOR, out);
    }

    /// Append whole frames of silence, then the whole frames of these (s16le, interleaved), as whole pages.
    pub fn append(&mut self, silence: u64, samples: &[u8], out: &mut Vec<u8>) {
        for _ in 0..silence / self.frame_samples() as u64 {
            self.push(&[], out);
        }
        for frame in samples.chunks_exact(2 * self.channels.len() * self.frame_samples()) {
            self.push(frame, out);
        }
        self.pages.flush(out);
    }

    fn push(&mut self, interleaved: &[u8], out: &mut Vec<u8>) {
        let (count, stride) = (self.frame_samples(), 2 * self.channels.len());
        for (number, channel) in self.channels.iter_mut().enumerate() {
            let places = interleaved.chunks_exact(stride).map(|all| &all[2 * number..]);
            channel.frame.clear();
            channel
                .frame
                .extend(places.map(|place| i16::from_le_bytes([place[0], place[1]])));
            channel.frame.resize(count, 0);
            channel.encode();
        }
        match &self.channels[..] {
            [only] => self.pages.push(&[&only.packet], out),
            [left, right, ..] => self.pages.push(&[&left.packet, &right.packet], out),
            [] => {}
        }
    }

    /// The end of a file of so many samples of each channel.
    pub fn finish(&mut self, samples: u64, out: &mut Vec<u8>) {
        // What the encoder has held back comes out.
        self.channels
            .iter_mut()
            .for_each(|channel| channel.is_silent = false);
        self.push(&[], out);
        let at_48_khz = samples * u64::from(media::ogg::GRANULE_RATE_HZ) / u64::from(self.rate_hz);
        self.pages.finish(at_48_khz, out);
    }
}

impl Channel {
    fn new(rate_hz: u32) -> opus::Result<Self> {
        let mut encoder = Encoder::new(rate_hz, Channels::Mono, Application::Voip)?;
        encoder.set_bitrate(Bitrate::Bits(match rate_hz {
            0..=8_000 => 16_000,
            8_001..=16_000 => 24_000,
            _ => 32_000,
        }))?;
        encoder.set_complexity(COMPLEXITY)?;
        debug_assert_eq!(
            encoder.get_lookahead()? as u32 * media::ogg::GRANULE_RATE_HZ / rate_hz,
            u32::from(PRE_SKIP)
        );
        Ok(Self {
            encoder,
            frame: Vec::new(),
            packet: Vec::new(),
            is_silent: false,
        })
    }

    /// A packet of the frame.
    fn encode(&mut self) {
        let was_silent = std::mem::replace(&mut self.is_silent, self.frame.iter().all(|sample| *sample == 0));
        self.packet.clear();
        if !(was_silent && self.is_silent) {
            self.packet.resize(MAX_PACKET_BYTES, 0);
            let length = self.encoder.encode(&self.frame, &mut self.packet).unwrap_or(0);
            self.packet.truncate(length);
        }
        // RFC 6716 §3.1: two channels share a packet only if each is one frame, which 20 ms are.
        if self.packet.first().is_none_or(|toc| toc & 3 != 0) {
            self.packet.clear();
            self.packet.extend_from_slice(&SILENT_PACKET);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

    /// So many seconds: a tone on the left, silence on the right.
    fn tone(rate_hz: u32, seconds: usize, channels: usize) -> Vec<u8> {
        let sample = |n: usize| {
            let angle = std::f64::consts::TAU * 400.0 * n as f64 / f64::from(rate_hz);
            (8_000.0 * angle.sin()) as i16
        };
        (0..rate_hz as usize * seconds)
            .flat_map(|n| {
                (0..channels)
                    .flat_map(move |channel| (if channel == 0 { sample(n) } else { 0 }).to_le_bytes())
            })
            .collect()
    }

    /// The packets of all pages after the headers, and the position of the last page.
    fn packets(file: &[u8]) -> (Vec<Vec<u8>>, u64) {
        let (mut rest, mut packets, mut packet, mut last) = (file, Vec::new(), Vec::new(), 0);
        while let Some(header) = rest.get(..27) {
            let table = &rest[27..27 + usize::from(header[26])];
            last = u64::from_le_bytes(header[6..14].try_into().unwrap());
            let mut at = 27 + table.len();
            for size in table.iter().map(|size| usize::from(*size)) {
                packet.extend_from_slice(&rest[at..at + size]);
                at += size;
                if size < 255 {
                    packets.push(std::mem::take(&mut packet));
                }
            }
            rest = &rest[at..];
        }
        packets.drain(..2);
        (packets, last)
    }

    #[test]
    fn what_a_decoder_makes_of_it_is_what_was_said_at_the_same_time() {
        for rate_hz in RATES_HZ {
            let mut sound = OpusSound::new(1, rate_hz, 7).unwrap();
            let mut file = Vec::new();
            sound.begin(&mut file);
            let said = tone(rate_hz, 1, 1);
            sound.append(u64::from(rate_hz), &said, &mut file);
            sound.finish(2 * u64::from(rate_hz), &mut file);
            let (packets, last) = packets(&file);
            assert_eq!(last, 96_000 + u64::from(PRE_SKIP));

            let mut decoder = opus::Decoder::new(48_000, Channels::Mono).unwrap();
            let mut heard = Vec::new();
            for packet in packets {
                let mut frame = [0; 960];
                assert_eq!(decoder.decode(&packet, &mut frame, false).unwrap(), 960);
                heard.extend_from_slice(&frame);
            }
            let heard = &heard[usize::from(PRE_SKIP)..last as usize];
            let energy = |samples: &[i16]| {
                samples
                    .iter()
                    .map(|sample| f64::from(*sample).powi(2))
                    .sum::<f64>()
            };
            let before = energy(&heard[..47_000]) / 47_000.0;
            let during = energy(&heard[48_000..]) / 48_000.0;
            assert!(before < 100.0, "{rate_hz}: {before}");
            assert!((0.8..1.2).contains(&(during / 3.2e7)), "{rate_hz}: {during}");
        }
    }

    #[test]
    fn the_channels_share_nothing() {
        let mut sound = OpusSound::new(2, 8_000, 7).unwrap();
        let mut file = Vec::new();
        sound.begin(&mut file);
        sound.append(0, &tone(8_000, 1, 2), &mut file);
        sound.finish(8_000, &mut file);
        for packet in &packets(&file).0[5..50] {
            assert_eq!(
                packet[packet.len() - 3..],
                SILENT_PACKET,
                "the right is silent, and costs nothing"
            );
            assert!(packet.len() > 12, "the left is not: {}", packet.len());
        }
    }
}
