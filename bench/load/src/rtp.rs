//! Packets that carry their own number as sound: G.711 survives the way through linear samples and back bit for bit, so
//! that nothing has to be correlated.

/// RTP without extensions (RFC 3550 §5.1).
pub const HEADER: usize = 12;
/// 20 ms of µ-law.
pub const SAMPLES: usize = 160;
/// One packet.
pub type Packet = [u8; HEADER + SAMPLES];
/// µ-law codes 0x10 to 0x1F carry one hexadecimal digit each: loud, far from silence, and exact through linear samples.
const DIGIT_BASE: u8 = 0x10;

/// Writes the packet of frame `number`: payload type 0 (RFC 3551), its number over and over.
pub fn write(packet: &mut Packet, number: u32, ssrc: u32) {
    packet[0] = 0x80;
    packet[1] = 0;
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&number.wrapping_mul(SAMPLES as u32).to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    let mut digits = [0; 8];
    for (index, digit) in digits.iter_mut().enumerate() {
        *digit = DIGIT_BASE | ((number >> (28 - 4 * index)) & 0xF) as u8;
    }
    for part in packet[HEADER..].chunks_mut(8) {
        part.copy_from_slice(&digits);
    }
}

/// The number in µ-law codes, if the first eight hold one.
pub fn number(codes: &[u8]) -> Option<u32> {
    let digits = codes.get(..8)?;
    digits.iter().all(|byte| byte & 0xF0 == DIGIT_BASE).then(|| {
        digits
            .iter()
            .fold(0, |number, byte| number << 4 | u32::from(byte & 0xF))
    })
}

/// The number in a whole frame that nothing has torn.
pub fn whole_number(codes: &[u8]) -> Option<u32> {
    let number = number(codes)?;
    codes.chunks(8).all(|part| part == &codes[..8]).then_some(number)
}

/// The µ-law code of a sample of a frame that carries a number: digits are all of the segment next to the loudest.
pub fn code(sample: i16) -> u8 {
    // Segment 6, negative: -(((step << 3) + 132) << 6) + 132 (ITU-T G.711).
    let step = ((132 - i32::from(sample)) / 64 - 132) / 8;
    DIGIT_BASE | (15 - step.clamp(0, 15)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_goes_and_comes_back() {
        let mut packet = [0; HEADER + SAMPLES];
        write(&mut packet, 0x0123_cdef, 1);
        assert_eq!(whole_number(&packet[HEADER..]), Some(0x0123_cdef));
        packet[100] ^= 1;
        assert_eq!(whole_number(&packet[HEADER..]), None);
    }

    #[test]
    fn a_digit_is_known_by_its_sample() {
        for digit in 0..16 {
            let step = 15 - i32::from(digit);
            let sample = 132 - (((step << 3) + 132) << 6);
            assert_eq!(code(sample as i16), DIGIT_BASE | digit);
        }
    }
}
