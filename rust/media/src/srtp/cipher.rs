//! The session keys of one direction of SRTP or of SRTCP at work: encrypt, authenticate, and the reverse.
//!
//! Nothing here knows packets that came before: the index is given.

use aes::Aes128Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::key::{Label, MasterKey, RTCP_LABELS, SALT_BYTES};
use super::suite::Suite;
use super::{ENCRYPTED, RTCP_HEADER_BYTES, RTCP_INDEX_BYTES};

/// The longest tag.
const MAX_TAG_BYTES: usize = 16;
/// Blocks of key stream made at once: 20 ms of G.711 need ten.
const BLOCKS: usize = 10;

/// Which of the two protocols.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rtp,
    Rtcp,
}

/// An authentication tag.
pub(super) struct Tag([u8; MAX_TAG_BYTES], usize);

impl Tag {
    pub fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

enum Keyed {
    CounterMode(Box<Aes128Enc>, Box<Hmac<Sha1>>),
    Gcm128(Box<Aes128Gcm>),
    Gcm256(Box<Aes256Gcm>),
}

/// Session keys.
pub(super) struct Cipher {
    kind: Kind,
    keyed: Keyed,
    salt: [u8; SALT_BYTES],
    tag_bytes: usize,
}

impl Cipher {
    pub fn new(kind: Kind, master: &MasterKey) -> Cipher {
        let suite = master.suite();
        let base = if kind == Kind::Rtcp { RTCP_LABELS } else { 0 };
        let mut key = [0; 32];
        let mut mac_key = [0; 20];
        let mut salt = [0; SALT_BYTES];
        master.derive(base + Label::Encryption as u8, &mut key[..suite.key_bytes()]);
        master.derive(base + Label::Authentication as u8, &mut mac_key);
        master.derive(base + Label::Salt as u8, &mut salt[..suite.salt_bytes()]);
        Cipher::from_session_keys(kind, suite, &key, &mac_key, salt)
    }

    fn from_session_keys(
        kind: Kind,
        suite: Suite,
        key: &[u8; 32],
        mac_key: &[u8; 20],
        salt: [u8; SALT_BYTES],
    ) -> Cipher {
        let mut short = [0; 16];
        short.copy_from_slice(&key[..16]);
        let keyed = match suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                let mut padded = Array([0; 64]);
                padded[..20].copy_from_slice(mac_key);
                // RFC 2104 §2: a key shorter than a block is filled up with zeros.
                Keyed::CounterMode(
                    Box::new(Aes128Enc::new(&Array(short))),
                    Box::new(Hmac::new(&padded)),
                )
            }
            Suite::AeadAes128Gcm => Keyed::Gcm128(Box::new(Aes128Gcm::new(&Array(short)))),
            Suite::AeadAes256Gcm => Keyed::Gcm256(Box::new(Aes256Gcm::new(&Array(*key)))),
        };
        let tag_bytes = match kind {
            Kind::Rtp => suite.rtp_tag_bytes(),
            Kind::Rtcp => suite.rtcp_tag_bytes(),
        };
        Cipher {
            kind,
            keyed,
            salt,
            tag_bytes,
        }
    }

    pub fn tag_bytes(&self) -> usize {
        self.tag_bytes
    }

    /// The tag stands before the SRTCP index (RFC 7714 §9.3), not after it (RFC 3711 §3.4).
    pub fn is_aead(&self) -> bool {
        !matches!(self.keyed, Keyed::CounterMode(..))
    }

    /// Encrypts what follows the first `clear` bytes of `packet`; returns the tag of all of it.
    pub fn seal(&self, ssrc: u32, index: u64, packet: &mut [u8], clear: usize) -> Tag {
        let trailer = self.trailer(index);
        let mut tag = Tag([0; MAX_TAG_BYTES], self.tag_bytes);
        match &self.keyed {
            Keyed::CounterMode(aes, mac) => {
                apply_key_stream(aes, self.counter(ssrc, index), &mut packet[clear..]);
                tag.0 = authenticate(mac, packet, trailer);
            }
            Keyed::Gcm128(gcm) => tag.0 = self.seal_aead(&**gcm, ssrc, index, packet, clear),
            Keyed::Gcm256(gcm) => tag.0 = self.seal_aead(&**gcm, ssrc, index, packet, clear),
        }
        tag
    }

    /// Checks the tag in constant time, then decrypts. `false`, and nothing is changed, when the tag is another one.
    pub fn open(&self, ssrc: u32, index: u64, packet: &mut [u8], clear: usize, tag: &[u8]) -> bool {
        match &self.keyed {
            Keyed::CounterMode(aes, mac) => {
                let expected = authenticate(mac, packet, self.trailer(index));
                let is_right = bool::from(expected[..self.tag_bytes].ct_eq(tag));
                if is_right {
                    apply_key_stream(aes, self.counter(ssrc, index), &mut packet[clear..]);
                }
                is_right
            }
            Keyed::Gcm128(gcm) => self.open_aead(&**gcm, ssrc, index, packet, clear, tag),
            Keyed::Gcm256(gcm) => self.open_aead(&**gcm, ssrc, index, packet, clear, tag),
        }
    }

    /// What is authenticated beside the packet: the rollover counter, or the E bit and the SRTCP index.
    fn trailer(&self, index: u64) -> [u8; RTCP_INDEX_BYTES] {
        match self.kind {
            Kind::Rtp => ((index >> 16) as u32).to_be_bytes(),
            Kind::Rtcp => (index as u32 | ENCRYPTED).to_be_bytes(),
        }
    }

    /// RFC 3711 §4.1.1: salt · 2^16 ⊕ SSRC · 2^64 ⊕ index · 2^16.
    fn counter(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let mut counter = [0; 16];
        counter[..SALT_BYTES].copy_from_slice(&self.salt);
        exclusive_or(&mut counter[4..8], &ssrc.to_be_bytes());
        exclusive_or(&mut counter[8..14], &index.to_be_bytes()[2..]);
        counter
    }

    /// RFC 7714 §8.1, §9.1: two zero bytes, SSRC and the index of 48 bits, ⊕ the salt.
    fn nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.salt[..12]);
        exclusive_or(&mut nonce[2..6], &ssrc.to_be_bytes());
        exclusive_or(&mut nonce[6..12], &index.to_be_bytes()[2..]);
        nonce
    }

    fn seal_aead<A>(
        &self,
        gcm: &A,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        clear: usize,
    ) -> [u8; MAX_TAG_BYTES]
    where
        A: AeadInOut<NonceSize = aes_gcm::aead::consts::U12, TagSize = aes_gcm::aead::consts::U16>,
    {
        let nonce = Array(self.nonce(ssrc, index));
        let (head, body) = packet.split_at_mut(clear);
        let mut beside = [0; RTCP_HEADER_BYTES + RTCP_INDEX_BYTES];
        let associated = self.associated(head, index, &mut beside);
        // It fails only for messages of more than 2^36 bytes.
        let sealed = gcm.encrypt_inout_detached(&nonce, associated, body.into());
        sealed.map_or([0; MAX_TAG_BYTES], |tag| tag.0)
    }

    fn open_aead<A>(
        &self,
        gcm: &A,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        clear: usize,
        tag: &[u8],
    ) -> bool
    where
        A: AeadInOut<NonceSize = aes_gcm::aead::consts::U12, TagSize = aes_gcm::aead::consts::U16>,
    {
        let Ok(tag) = <[u8; MAX_TAG_BYTES]>::try_from(tag) else {
            return false;
        };
        let nonce = Array(self.nonce(ssrc, index));
        let (head, body) = packet.split_at_mut(clear);
        let mut beside = [0; RTCP_HEADER_BYTES + RTCP_INDEX_BYTES];
        let associated = self.associated(head, index, &mut beside);
        gcm.decrypt_inout_detached(&nonce, associated, body.into(), &Array(tag))
            .is_ok()
    }

    /// RFC 7714 §8.2: the RTP header; §9.2: the RTCP header and the word with the index.
    fn associated<'a>(
        &self,
        head: &'a [u8],
        index: u64,
        beside: &'a mut [u8; RTCP_HEADER_BYTES + RTCP_INDEX_BYTES],
    ) -> &'a [u8] {
        match self.kind {
            Kind::Rtp => head,
            Kind::Rtcp => {
                let (header, word) = beside.split_at_mut(RTCP_HEADER_BYTES);
                header.copy_from_slice(&head[..RTCP_HEADER_BYTES]);
                word.copy_from_slice(&self.trailer(index));
                beside
            }
        }
    }
}

fn exclusive_or(bytes: &mut [u8], with: &[u8]) {
    for (byte, with) in bytes.iter_mut().zip(with) {
        *byte ^= with;
    }
}

/// HMAC-SHA1 of the packet and the trailer; what is left of it is zero.
fn authenticate(mac: &Hmac<Sha1>, packet: &[u8], trailer: [u8; 4]) -> [u8; MAX_TAG_BYTES] {
    let mut mac = mac.clone();
    mac.update(packet);
    mac.update(&trailer);
    let whole = mac.finalize().into_bytes();
    let mut tag = [0; MAX_TAG_BYTES];
    tag.copy_from_slice(&whole[..MAX_TAG_BYTES]);
    tag
}

/// AES in counter mode; the last two bytes of `counter` count blocks (RFC 3711 §4.1.1: at most 2^16 of them).
fn apply_key_stream(aes: &Aes128Enc, counter: [u8; 16], data: &mut [u8]) {
    for (n, part) in data.chunks_mut(16 * BLOCKS).enumerate() {
        let mut blocks = [Array(counter); BLOCKS];
        for (m, block) in blocks.iter_mut().enumerate() {
            block[14..].copy_from_slice(&((n * BLOCKS + m) as u16).to_be_bytes());
        }
        let used = part.len().div_ceil(16);
        aes.encrypt_blocks(&mut blocks[..used]);
        for (bytes, block) in part.chunks_mut(16).zip(&blocks) {
            exclusive_or(bytes, block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::unhex;
    use super::*;

    #[test]
    fn the_key_stream_is_that_of_rfc_3711_b_2() {
        let key: [u8; 16] = unhex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
        let counter: [u8; 16] = unhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
        let mut stream = vec![0; 0xff03 * 16];
        apply_key_stream(&Aes128Enc::new(&Array(key)), counter, &mut stream);
        for (block, expected) in [
            (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
            (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
            (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
            (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
            (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
            (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
        ] {
            assert_eq!(stream[block * 16..][..16], unhex(expected), "block {block:#x}");
        }
    }

    /// RFC 7714 §16 and §17 give session keys, not master keys.
    fn gcm(kind: Kind, suite: Suite) -> Cipher {
        let key = std::array::from_fn(|n| n as u8);
        let mut salt = [0; SALT_BYTES];
        salt[..12].copy_from_slice(b"Quid pro quo");
        Cipher::from_session_keys(kind, suite, &key, &[0; 20], salt)
    }

    #[test]
    fn sealed_rtp_is_that_of_rfc_7714_16() {
        let plain = unhex(
            "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320646976697361\
                           20696e207061727465732074726573",
        );
        for (suite, expected) in [
            (
                Suite::AeadAes128Gcm,
                "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a\
                 51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
            ),
            (
                Suite::AeadAes256Gcm,
                "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a02\
                 76ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
            ),
        ] {
            let (cipher, expected) = (gcm(Kind::Rtp, suite), unhex(expected));
            let mut packet = plain.clone();
            let tag = cipher.seal(0x5501_a0b2, 0xf17b, &mut packet, 12);
            assert_eq!([&packet[..], tag.bytes()].concat(), expected);
            assert!(cipher.open(0x5501_a0b2, 0xf17b, &mut packet, 12, tag.bytes()));
            assert_eq!(packet, plain);
        }
    }

    #[test]
    fn sealed_rtcp_is_that_of_rfc_7714_17() {
        let plain = unhex(
            "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                           deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
        );
        for (suite, expected) in [
            (
                Suite::AeadAes128Gcm,
                "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda\
                 4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade",
            ),
            (
                Suite::AeadAes256Gcm,
                "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be\
                 8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be",
            ),
        ] {
            let (cipher, expected) = (gcm(Kind::Rtcp, suite), unhex(expected));
            let mut packet = plain.clone();
            let tag = cipher.seal(0x4d61_7273, 0x5d4, &mut packet, 8);
            assert_eq!([&packet[..], tag.bytes()].concat(), expected);
            assert!(!cipher.open(0x4d61_7273, 0x5d5, &mut packet, 8, tag.bytes()));
            assert!(cipher.open(0x4d61_7273, 0x5d4, &mut packet, 8, tag.bytes()));
            assert_eq!(packet, plain);
        }
    }
}
