//! What we send, protected: one SSRC under one master key.

use super::cipher::{Cipher, Kind};
use super::index::next_above;
use super::key::MasterKey;
use super::{ENCRYPTED, RTCP_HEADER_BYTES, rtcp_ssrc, rtp_header};

/// RFC 3711 §9.2: packets of one master key.
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

/// The master key has protected as many packets as it may, or this number, or it is no packet. It must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotProtected;

/// What is not derived from the key. An index is noted before its packet can be sent, so that who goes on from here
/// repeats none: two packets of one index would give their contents away, and under GCM the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendState {
    /// The source of the last RTP packet. Another one begins with rollover counter zero.
    pub ssrc: u32,
    /// The index of the last RTP packet: rollover counter and sequence number.
    pub last_rtp: Option<u64>,
    /// The index of the last RTCP packet.
    pub last_rtcp: u32,
    /// RTP packets protected with this key.
    pub packets: u64,
}

/// Protects what we send.
pub struct SrtpSender {
    rtp: Cipher,
    rtcp: Cipher,
    state: SendState,
}

impl SrtpSender {
    /// A sender that starts with rollover counter zero.
    pub fn new(key: &MasterKey) -> SrtpSender {
        SrtpSender::restore(key, SendState::default())
    }

    /// A sender that goes on. Packets may have been sent since `state` was noted, fewer than 65536: the sequence number
    /// of the next one says how many.
    pub fn restore(key: &MasterKey, state: SendState) -> SrtpSender {
        SrtpSender {
            rtp: Cipher::new(Kind::Rtp, key),
            rtcp: Cipher::new(Kind::Rtcp, key),
            state,
        }
    }

    /// What is to be kept.
    pub fn state(&self) -> SendState {
        self.state
    }

    /// Protects the RTP packet that begins at `start` and ends `out`. On an error `out` is as it was.
    pub fn protect_rtp(&mut self, out: &mut Vec<u8>, start: usize) -> Result<(), NotProtected> {
        let packet = out.get_mut(start..).ok_or(NotProtected)?;
        let (ssrc, sequence, payload) = rtp_header(packet).ok_or(NotProtected)?;
        let last = self.state.last_rtp.filter(|_| self.state.ssrc == ssrc);
        let index = match last {
            Some(last) => next_above(last, sequence).ok_or(NotProtected)?,
            None => u64::from(sequence),
        };
        if index > MAX_RTP_INDEX {
            return Err(NotProtected);
        }
        self.state.ssrc = ssrc;
        self.state.last_rtp = Some(index);
        self.state.packets += 1;
        let tag = self.rtp.seal(ssrc, index, packet, payload);
        out.extend_from_slice(tag.bytes());
        Ok(())
    }

    /// Protects the RTCP compound that begins at `start` and ends `out`. On an error `out` is as it was.
    pub fn protect_rtcp(&mut self, out: &mut Vec<u8>, start: usize) -> Result<(), NotProtected> {
        let packet = out.get_mut(start..).ok_or(NotProtected)?;
        let ssrc = rtcp_ssrc(packet).ok_or(NotProtected)?;
        let index = self.state.last_rtcp + 1;
        if index > MAX_RTCP_INDEX {
            return Err(NotProtected);
        }
        self.state.last_rtcp = index;
        let word = (index | ENCRYPTED).to_be_bytes();
        let tag = self.rtcp.seal(ssrc, u64::from(index), packet, RTCP_HEADER_BYTES);
        if self.rtcp.is_aead() {
            out.extend_from_slice(tag.bytes());
            out.extend_from_slice(&word);
        } else {
            out.extend_from_slice(&word);
            out.extend_from_slice(tag.bytes());
        }
        Ok(())
    }
}
