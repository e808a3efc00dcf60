//! The tokens that resume a stream (longline.v1 §6): one for each connection, and no memory of any.
//!
//! A token is the stream's handle, the epoch it was told in, and an HMAC-SHA1 of both under the stream's own key, in
//! hexadecimal. Which epochs are still good is the stream's to say; who has a token of one can make no other.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Bytes of the HMAC that are kept: 128 bits, which nobody guesses.
const MAC_BYTES: usize = 16;
const HANDLE_DIGITS: usize = 16;
const EPOCH_DIGITS: usize = 8;
/// How long every token is.
pub const TOKEN_LENGTH: usize = HANDLE_DIGITS + EPOCH_DIGITS + 2 * MAC_BYTES;

/// What a stream's tokens are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenKey {
    /// Names the stream on its node; not secret.
    pub handle: u64,
    secret: [u8; 32],
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TokenKey({:016x})", self.handle)
    }
}

/// One token, as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; TOKEN_LENGTH]);

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token")
    }
}

impl Token {
    /// Its text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TokenKey {
    /// A key of bytes that nobody can foretell; the handle is unique on the node.
    pub fn new(handle: u64, secret: [u8; 32]) -> TokenKey {
        TokenKey { handle, secret }
    }

    /// The token of an epoch.
    pub fn token(&self, epoch: u32) -> Token {
        let mut token = [0; TOKEN_LENGTH];
        let (handle, rest) = token.split_at_mut(HANDLE_DIGITS);
        let (number, mac) = rest.split_at_mut(EPOCH_DIGITS);
        hex(&self.handle.to_be_bytes(), handle);
        hex(&epoch.to_be_bytes(), number);
        hex(&self.mac(epoch), mac);
        Token(token)
    }

    /// The epoch of a token of ours; `None` for any other text.
    pub fn epoch_of(&self, text: &str) -> Option<u32> {
        let epoch = number(text.get(HANDLE_DIGITS..HANDLE_DIGITS + EPOCH_DIGITS)?)? as u32;
        let expected = self.token(epoch);
        let is_right = bool::from(expected.0.as_slice().ct_eq(text.as_bytes()));
        is_right.then_some(epoch)
    }

    fn mac(&self, epoch: u32) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        // A key of any length is one.
        if let Ok(mut hash) = Hmac::<Sha1>::new_from_slice(&self.secret) {
            hash.update(b"longline.v1 resume");
            hash.update(&self.handle.to_be_bytes());
            hash.update(&epoch.to_be_bytes());
            mac.copy_from_slice(&hash.finalize().into_bytes()[..MAC_BYTES]);
        }
        mac
    }
}

/// The handle that a text would have if it were a token: where to ask whether it is.
pub fn handle_of(text: &str) -> Option<u64> {
    if text.len() != TOKEN_LENGTH {
        return None;
    }
    number(text.get(..HANDLE_DIGITS)?)
}

/// Lower-case hexadecimal, and nothing else.
fn number(digits: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits
        .bytes()
        .all(is_digit)
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

fn hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_its_stream_and_epoch_alone() {
        let key = TokenKey::new(7, [1; 32]);
        let token = key.token(3);
        assert_eq!(key.epoch_of(token.as_str()), Some(3));
        assert_eq!(handle_of(token.as_str()), Some(7));
        assert_ne!(key.token(4).as_str()[24..], token.as_str()[24..]);
        for other in [TokenKey::new(7, [2; 32]), TokenKey::new(8, [1; 32])] {
            assert_eq!(other.epoch_of(token.as_str()), None);
        }
    }

    #[test]
    fn a_text_that_differs_anywhere_is_no_token() {
        let key = TokenKey::new(u64::MAX, [1; 32]);
        let token = key.token(u32::MAX);
        for position in 0..TOKEN_LENGTH {
            let mut text = token.as_str().as_bytes().to_vec();
            for byte in [b'0', b'F', b'g', b'+', 0] {
                text[position] = byte;
                let changed = std::str::from_utf8(&text).unwrap();
                assert_eq!(key.epoch_of(changed).is_some(), changed == token.as_str());
            }
        }
        for text in [
            "",
            "0",
            &token.as_str()[1..],
            &format!("{}0", token.as_str()),
            &"ä".repeat(28),
        ] {
            assert_eq!(key.epoch_of(text), None);
        }
        assert_eq!(handle_of(&"+".repeat(TOKEN_LENGTH)), None);
    }

    #[test]
    fn a_log_shows_no_secret() {
        assert_eq!(
            format!("{:?}", TokenKey::new(7, [9; 32])),
            "TokenKey(0000000000000007)"
        );
    }
}
