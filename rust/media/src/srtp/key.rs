//! Master keys, and the session keys derived from them (RFC 3711 §4.3; RFC 6188 §3 for 256 bits).

use std::fmt;

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc};

use super::suite::Suite;

/// The longest key and salt of any suite.
const MAX_BYTES: usize = 46;
/// The salt the key derivation works with.
pub(super) const SALT_BYTES: usize = 14;

/// What a session key is for (RFC 3711 §4.3.1, §4.3.2); SRTCP's labels are three higher.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// What SRTCP's labels are above SRTP's.
pub(super) const RTCP_LABELS: u8 = 3;

/// A master key and its salt, one after the other as SDES writes them. It is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    bytes: [u8; MAX_BYTES],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MasterKey({}, redacted)", self.suite.name())
    }
}

impl MasterKey {
    /// A key of `suite` from key ‖ salt; `None` when they have another length.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<MasterKey> {
        let mut bytes = [0; MAX_BYTES];
        let length = suite.key_bytes() + suite.salt_bytes();
        if key_and_salt.len() != length {
            return None;
        }
        bytes[..length].copy_from_slice(key_and_salt);
        Some(MasterKey { suite, bytes })
    }

    /// The suite it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Key ‖ salt, to be kept where secrets are kept.
    pub fn key_and_salt(&self) -> &[u8] {
        &self.bytes[..self.suite.key_bytes() + self.suite.salt_bytes()]
    }

    /// Fills `out` with the session key of this label: the key stream of AES in counter mode over the label and salt.
    pub(super) fn derive(&self, label: u8, out: &mut [u8]) {
        let (key, salt) = self.key_and_salt().split_at(self.suite.key_bytes());
        // RFC 7714 §11 (erratum 4938): a salt of 96 bits is multiplied by 2^16, that is, filled up with zeros.
        let mut block = [0u8; 16];
        block[..salt.len()].copy_from_slice(salt);
        // The key derivation rate is zero, so the index is too and only the label is left.
        block[7] ^= label;
        for (n, part) in out.chunks_mut(16).enumerate() {
            let mut stream = Array(block);
            stream[14..].copy_from_slice(&(n as u16).to_be_bytes());
            if key.len() == 32 {
                let Ok(aes) = Aes256Enc::new_from_slice(key) else {
                    return;
                };
                aes.encrypt_block(&mut stream);
            } else {
                let Ok(aes) = Aes128Enc::new_from_slice(key) else {
                    return;
                };
                aes.encrypt_block(&mut stream);
            }
            part.copy_from_slice(&stream[..part.len()]);
        }
    }
}

/// What signalling has settled about SRTP: one suite, and a key for each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SrtpParams {
    /// For what we send.
    pub send: MasterKey,
    /// For what comes.
    pub receive: MasterKey,
}

impl SrtpParams {
    /// Both keys as key ‖ salt; `None` when one of them has another length than the suite wants.
    pub fn new(suite: Suite, send: &[u8], receive: &[u8]) -> Option<SrtpParams> {
        Some(SrtpParams {
            send: MasterKey::new(suite, send)?,
            receive: MasterKey::new(suite, receive)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::unhex;
    use super::*;

    #[test]
    fn session_keys_are_those_of_rfc_3711_b_3() {
        let master = unhex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::new(Suite::AesCm128HmacSha1_80, &master).unwrap();
        for (label, expected) in [
            (Label::Encryption, "C61E7A93744F39EE10734AFE3FF7A087"),
            (Label::Salt, "30CBBC08863D8C85D49DB34A9AE1"),
            // RFC 3711 B.3 prints 94 octets of it; HMAC-SHA1 takes 20.
            (
                Label::Authentication,
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4 8F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578E\
                 F7227098 6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F\
                 34DB60DB DFB2",
            ),
        ] {
            let expected = unhex(expected);
            let mut derived = vec![0; expected.len()];
            master.derive(label as u8, &mut derived);
            assert_eq!(derived, expected);
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let secret = [0xabu8; 30];
        let params = SrtpParams::new(Suite::AesCm128HmacSha1_32, &secret, &secret).unwrap();
        let printed = format!("{params:?} {params:#?}").to_lowercase();
        assert!(printed.contains("redacted"));
        assert!(!printed.contains("171") && !printed.contains("ab, ") && !printed.contains("abab"));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for suite in Suite::ALL {
            let right = suite.key_bytes() + suite.salt_bytes();
            for length in [0, right - 1, right + 1, 64] {
                assert!(MasterKey::new(suite, &vec![1; length]).is_none());
            }
            assert_eq!(
                MasterKey::new(suite, &vec![1; right])
                    .unwrap()
                    .key_and_salt()
                    .len(),
                right
            );
        }
    }
}
