//! L16: linear samples of 16 bits in network byte order (RFC 3551 §4.5.11), mono.

/// Appends `samples` to `out`.
pub fn encode(samples: &[i16], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * samples.len(), 0);
    for (bytes, sample) in out[start..].as_chunks_mut().0.iter_mut().zip(samples) {
        *bytes = sample.to_be_bytes();
    }
}

/// Decodes as many samples as `out` has room for; an odd byte at the end is left out.
pub fn decode(payload: &[u8], out: &mut [i16]) {
    for (sample, bytes) in out.iter_mut().zip(payload.as_chunks().0) {
        *sample = i16::from_be_bytes(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_as_they_were_and_lie_big_end_first() {
        let samples = [0, 1, -1, 0x1234, i16::MIN, i16::MAX];
        let mut payload = vec![9];
        encode(&samples, &mut payload);
        assert_eq!(payload[..9], [9, 0, 0, 0, 1, 0xff, 0xff, 0x12, 0x34]);
        let mut back = [0; 6];
        decode(&payload[1..], &mut back);
        assert_eq!(back, samples);
    }
}
