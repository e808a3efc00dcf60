//! Keys, and a far end whose packets are protected.

use media::srtp::{MasterKey, SrtpParams, SrtpReceiver, SrtpSender, Suite};

use super::*;

/// Key and salt of a suite: bytes that differ by `seed`.
pub fn master(suite: Suite, seed: u8) -> MasterKey {
    let length = suite.key_bytes() + suite.salt_bytes();
    let bytes: Vec<u8> = (0..length)
        .map(|n| seed.wrapping_mul(31).wrapping_add(n as u8))
        .collect();
    MasterKey::new(suite, &bytes).unwrap()
}

/// The far end with SRTP: its packets are protected by key `seed`, ours by `seed + 1`.
pub fn secure_remote(suite: Suite, seed: u8) -> LegRemote {
    LegRemote {
        srtp: Some(SrtpParams {
            send: master(suite, seed + 1),
            receive: master(suite, seed),
        }),
        ..remote(phone_rtp())
    }
}

/// A phone behind SRTP.
pub struct SecurePhone {
    pub phone: Phone,
    pub sender: SrtpSender,
    pub receiver: SrtpReceiver,
}

impl SecurePhone {
    pub fn new(suite: Suite, seed: u8) -> SecurePhone {
        SecurePhone {
            phone: Phone::new(),
            sender: SrtpSender::new(&master(suite, seed)),
            receiver: SrtpReceiver::new(&master(suite, seed + 1)),
        }
    }

    pub fn tone(&mut self) -> Vec<u8> {
        let mut packet = self.phone.tone();
        self.sender.protect_rtp(&mut packet, 0).unwrap();
        packet
    }

    /// What a packet of the node's says to this phone.
    pub fn hear(&mut self, sent: &SentPacket) -> Option<Vec<u8>> {
        let mut bytes = sent.bytes();
        let length = self.receiver.unprotect_rtp(&mut bytes).ok()?;
        Some(bytes[12..length].to_vec())
    }
}

/// A receiver report of `ssrc`, compound enough to be valid.
pub fn empty_report(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
}
