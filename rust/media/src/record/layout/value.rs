//! Addresses, payload types, keys and identifiers in a record.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Codec, MAX_ID_BYTES};
use crate::srtp::{MasterKey, Suite};

plain! {
    /// An IP address and port.
    AddressRecord {
        /// IPv4 in the first four bytes.
        ip: [u8; 16],
        /// Port.
        port: u16,
        /// 4, 6, or 0 for none.
        family: u8,
        /// Zero.
        reserved: [u8; 5],
    }

    /// What one payload type means.
    PayloadTypeRecord {
        /// Payload type.
        payload_type: u8,
        /// 0 PCMU, 1 PCMA, 2 G.722, 3 Opus, 4 L16.
        codec: u8,
        /// Zero.
        reserved: u16,
        /// Rate of L16.
        rate_hz: u32,
    }

    /// An SRTP master key and salt.
    KeyRecord {
        /// 0 none; else one more than the place of the suite among all suites.
        suite: u8,
        /// Bytes used.
        length: u8,
        /// Key and salt.
        bytes: [u8; 46],
    }

    /// An identifier of at most 256 bytes of UTF-8.
    IdRecord {
        /// Bytes used.
        length: u16,
        /// Zero.
        reserved: [u8; 6],
        /// UTF-8.
        bytes: [u8; MAX_ID_BYTES],
    }
}

impl From<Option<SocketAddr>> for AddressRecord {
    fn from(address: Option<SocketAddr>) -> AddressRecord {
        let mut record = AddressRecord::default();
        if let Some(address) = address {
            record.port = address.port();
            match address.ip() {
                IpAddr::V4(ip) => {
                    record.ip[..4].copy_from_slice(&ip.octets());
                    record.family = 4;
                }
                IpAddr::V6(ip) => {
                    record.ip = ip.octets();
                    record.family = 6;
                }
            }
        }
        record
    }
}

impl AddressRecord {
    /// The address, if it is one.
    pub fn get(&self) -> Option<SocketAddr> {
        let [a, b, c, d, ..] = self.ip;
        let ip = match self.family {
            4 => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            6 => IpAddr::V6(Ipv6Addr::from(self.ip)),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }
}

impl KeyRecord {
    /// Of a key.
    pub fn new(key: &MasterKey) -> KeyRecord {
        let mut record = KeyRecord::default();
        let bytes = key.key_and_salt();
        record.bytes[..bytes.len()].copy_from_slice(bytes);
        record.length = bytes.len() as u8;
        let place = Suite::ALL.iter().position(|suite| *suite == key.suite());
        record.suite = place.map_or(0, |place| place as u8 + 1);
        record
    }

    /// The key, if it is one.
    pub fn get(&self) -> Option<MasterKey> {
        let suite = Suite::ALL.get(usize::from(self.suite).checked_sub(1)?)?;
        MasterKey::new(*suite, self.bytes.get(..usize::from(self.length))?)
    }
}

impl PayloadTypeRecord {
    /// Of an entry of the table.
    pub fn new(payload_type: u8, codec: Codec) -> PayloadTypeRecord {
        let (codec, rate_hz) = match codec {
            Codec::Pcmu => (0, 0),
            Codec::Pcma => (1, 0),
            Codec::G722 => (2, 0),
            Codec::Opus => (3, 0),
            Codec::L16(rate_hz) => (4, rate_hz),
        };
        PayloadTypeRecord {
            payload_type,
            codec,
            reserved: 0,
            rate_hz,
        }
    }

    /// The entry of the table.
    pub fn get(&self) -> Option<(u8, Codec)> {
        let codec = match self.codec {
            0 => Codec::Pcmu,
            1 => Codec::Pcma,
            2 => Codec::G722,
            3 => Codec::Opus,
            4 if matches!(self.rate_hz, 8_000 | 16_000 | 24_000 | 48_000) => Codec::L16(self.rate_hz),
            _ => return None,
        };
        Some((self.payload_type, codec))
    }
}

impl IdRecord {
    /// Of a text, at most [`MAX_ID_BYTES`] of it.
    pub fn new(text: &str) -> IdRecord {
        let mut record = IdRecord::default();
        let length = text.floor_char_boundary_at(MAX_ID_BYTES);
        record.bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        record.length = length as u16;
        record
    }

    /// The text, if it is one.
    pub fn get(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..usize::from(self.length))?).ok()
    }
}

/// `str::floor_char_boundary`, which this Rust does not have yet.
trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at.min(self.len()))
            .rev()
            .find(|end| self.is_char_boundary(*end))
            .unwrap_or(0)
    }
}
