//! What may be played, and what is recorded.

use media::codec::g711;
use media::wav::{HEADER_BYTES, WavError, header, parse};

struct File {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
    data: Vec<u8>,
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        let mut out = header(self.channels, self.rate_hz, self.data.len() as u32).to_vec();
        out[20..22].copy_from_slice(&self.tag.to_le_bytes());
        out[34..36].copy_from_slice(&self.bits.to_le_bytes());
        out.extend_from_slice(&self.data);
        out
    }
}

fn pcm16(channels: u16, rate_hz: u32, samples: &[i16]) -> File {
    File {
        tag: 1,
        channels,
        rate_hz,
        bits: 16,
        data: samples.iter().flat_map(|s| s.to_le_bytes()).collect(),
    }
}

#[test]
fn what_is_recorded_can_be_played() {
    let samples: Vec<i16> = (-800..800).map(|n| n * 20).collect();
    assert_eq!(parse(&pcm16(1, 8_000, &samples).bytes()).unwrap(), samples);
    assert_eq!(header(2, 8_000, 32_000).len(), HEADER_BYTES);
    assert_eq!(&header(2, 8_000, 32_000)[4..8], &32_036u32.to_le_bytes());
    assert_eq!(
        &header(2, 8_000, 32_000)[28..34],
        &[0, 125, 0, 0, 4, 0],
        "32000 bytes a second, 4 a frame"
    );
}

#[test]
fn stereo_is_mixed_down() {
    let file = pcm16(
        2,
        8_000,
        &[1_000, 3_000, -32_768, -32_768, 32_767, 32_767, 100, -100],
    );
    assert_eq!(parse(&file.bytes()).unwrap(), [2_000, -32_768, 32_767, 0]);
}

#[test]
fn every_coding_that_is_promised_is_read() {
    let eight = File {
        tag: 1,
        channels: 1,
        rate_hz: 8_000,
        bits: 8,
        data: vec![0, 128, 255],
    };
    assert_eq!(parse(&eight.bytes()).unwrap(), [-32_768, 0, 127 << 8]);
    for (tag, decode) in [(7, g711::mu_law_decode as fn(u8) -> i16), (6, g711::a_law_decode)] {
        let file = File {
            tag,
            channels: 1,
            rate_hz: 8_000,
            bits: 8,
            data: (0..=255).collect(),
        };
        assert_eq!(
            parse(&file.bytes()).unwrap(),
            (0..=255).map(decode).collect::<Vec<i16>>()
        );
    }
    // WAVE_FORMAT_EXTENSIBLE hides the tag in the sub-format.
    let plain = pcm16(1, 8_000, &[5, 6, 7]).bytes();
    let mut extensible = plain[..16].to_vec();
    extensible.extend_from_slice(&40u32.to_le_bytes());
    extensible.extend_from_slice(&0xfffeu16.to_le_bytes());
    extensible.extend_from_slice(&plain[22..36]);
    extensible.extend_from_slice(&[22, 0, 16, 0, 4, 0, 0, 0, 1, 0]);
    extensible.extend_from_slice(&[0; 14]);
    extensible.extend_from_slice(&plain[36..]);
    assert_eq!(parse(&extensible).unwrap(), [5, 6, 7]);
}

#[test]
fn any_rate_becomes_8_khz() {
    for rate_hz in [
        4_000u32, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000,
    ] {
        for channels in [1, 2] {
            let samples = vec![1_234i16; rate_hz as usize * usize::from(channels) / 2];
            let played = parse(&pcm16(channels, rate_hz, &samples).bytes()).unwrap();
            assert!(played.len().abs_diff(4_000) <= 1, "{rate_hz}: {}", played.len());
            assert!(
                played[1_000..3_000].iter().all(|s| (1_230..=1_238).contains(s)),
                "{rate_hz}"
            );
        }
    }
}

#[test]
fn other_chunks_are_skipped_with_their_padding() {
    let plain = pcm16(1, 8_000, &[1, 2, 3]).bytes();
    let mut file = plain[..12].to_vec();
    file.extend_from_slice(b"LIST\x03\0\0\0abc\0");
    file.extend_from_slice(&plain[12..36]);
    file.extend_from_slice(b"fact\x04\0\0\0\x03\0\0\0");
    file.extend_from_slice(&plain[36..]);
    file.extend_from_slice(b"id3 junk");
    assert_eq!(parse(&file).unwrap(), [1, 2, 3]);
}

#[test]
fn a_file_cut_off_is_played_as_far_as_it_goes() {
    let mut file = pcm16(1, 8_000, &[1, 2, 3, 4]).bytes();
    file.truncate(file.len() - 3);
    assert_eq!(parse(&file).unwrap(), [1, 2]);
    file[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(parse(&file).unwrap(), [1, 2]);
}

#[test]
fn what_cannot_be_played_is_refused_with_its_reason() {
    let good = pcm16(1, 8_000, &[0; 10]);
    for length in 0..HEADER_BYTES {
        assert!(
            matches!(parse(&good.bytes()[..length]), Err(WavError::NotWave(_))),
            "{length} bytes"
        );
    }
    assert_eq!(
        parse(b"ID3\x03not a wav file").unwrap_err().to_string(),
        "not a WAV file: no RIFF/WAVE header"
    );
    let refused = |file: File| parse(&file.bytes()).unwrap_err().to_string();
    assert!(refused(pcm16(3, 8_000, &[0; 9])).contains("3 channels"));
    assert!(refused(pcm16(0, 8_000, &[0; 9])).contains("0 channels"));
    assert!(refused(pcm16(1, 0, &[0; 9])).contains("0 Hz"));
    assert!(refused(pcm16(1, 400_000, &[0; 9])).contains("400000 Hz"));
    let float = File {
        tag: 3,
        channels: 1,
        rate_hz: 8_000,
        bits: 32,
        data: vec![0; 8],
    };
    assert!(refused(float).contains("format 3 with 32 bits"));
    let deep = File {
        tag: 1,
        channels: 1,
        rate_hz: 8_000,
        bits: 24,
        data: vec![0; 9],
    };
    assert!(refused(deep).contains("format 1 with 24 bits"));
}

#[test]
fn every_single_changed_byte_is_survived() {
    let good = pcm16(2, 16_000, &[100; 40]).bytes();
    for at in 0..HEADER_BYTES {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut file = good.clone();
            file[at] = value;
            if let Ok(samples) = parse(&file) {
                assert!(samples.len() <= 200);
            }
        }
    }
}
