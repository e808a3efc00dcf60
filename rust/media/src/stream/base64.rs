//! Audio as base64 (RFC 4648 §4), both ways.
//!
//! What is well-formed goes through vector instructions. What real applications send besides is read at leisure: several
//! pieces joined with their padding, missing padding, bits behind the end.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};
use base64_simd::STANDARD;

use crate::event::RefusedMessage;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Appends `bytes` as base64.
pub fn append(bytes: &[u8], out: &mut Vec<u8>) {
    STANDARD.encode_append(bytes, out);
}

/// Decodes base64, or several pieces of it joined each with its padding, into `out`, which is emptied first.
pub fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), RefusedMessage> {
    out.clear();
    if STANDARD.decode_append(text, out).is_ok() {
        return Ok(());
    }
    out.clear();
    // Nearly always it is one piece, with padding only at its end.
    decode_piece(text, out).or_else(|_| decode_pieces(text, out))
}

fn decode_pieces(mut rest: &[u8], out: &mut Vec<u8>) -> Result<(), RefusedMessage> {
    out.clear();
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'=').unwrap_or(rest.len());
        let padding = rest[end..].iter().take_while(|&&byte| byte == b'=').count();
        decode_piece(&rest[..end], out)?;
        // More padding than a piece can have is not base64; none at the start of a piece either.
        if padding > 2 || (end == 0 && padding > 0) {
            return Err(RefusedMessage::MalformedBase64);
        }
        rest = &rest[end + padding..];
    }
    Ok(())
}

fn decode_piece(piece: &[u8], out: &mut Vec<u8>) -> Result<(), RefusedMessage> {
    let start = out.len();
    out.resize(start + piece.len().div_ceil(4) * 3, 0);
    let written = LENIENT
        .decode_slice(piece, &mut out[start..])
        .map_err(|_| RefusedMessage::MalformedBase64)?;
    out.truncate(start + written);
    Ok(())
}
