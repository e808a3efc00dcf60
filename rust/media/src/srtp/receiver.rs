//! What comes, authenticated and decrypted: the sources of one far end under one master key.
//!
//! A source (SSRC) is remembered only when a packet of it has been authenticated, and is never forgotten under the same
//! key: else what it has sent could be replayed after it has given way to another.

use super::cipher::{Cipher, Kind};
use super::index::{ReplayWindow, estimate};
use super::key::MasterKey;
use super::{ENCRYPTED, RTCP_HEADER_BYTES, RTCP_INDEX_BYTES, rtcp_ssrc, rtp_header};

/// Sources under one key. Rule when full: another one is refused as if it were not authentic.
pub const MAX_SOURCES: usize = 16;
/// With a tag of fewer bytes only one rollover counter is tried: each trial helps a forger.
const MIN_TAG_BYTES_TO_GUESS: usize = 10;
/// One turn of the sequence number.
const CYCLE: u64 = 1 << 16;

/// Why a packet was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too short, or its header says more than there is.
    Malformed,
    /// Its tag is wrong, it is not encrypted, or there are too many sources.
    Unauthentic,
    /// Its index was seen before, or is too old to know.
    Replayed,
}

/// One source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// Which.
    pub ssrc: u32,
    /// RTP indices. Of a window in which none is seen, `newest` is a hint where they may go on.
    pub rtp: ReplayWindow,
    /// RTCP indices.
    pub rtcp: ReplayWindow,
}

/// What is not derived from the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveState {
    /// The sources that have been authenticated; `count` of them.
    pub sources: [SourceState; MAX_SOURCES],
    /// How many.
    pub count: usize,
}

/// Authenticates and decrypts what comes.
pub struct SrtpReceiver {
    rtp: Cipher,
    rtcp: Cipher,
    state: ReceiveState,
}

impl SrtpReceiver {
    /// A receiver that has heard nobody.
    pub fn new(key: &MasterKey) -> SrtpReceiver {
        SrtpReceiver::restore(key, ReceiveState::default())
    }

    /// A receiver that goes on.
    pub fn restore(key: &MasterKey, state: ReceiveState) -> SrtpReceiver {
        SrtpReceiver {
            rtp: Cipher::new(Kind::Rtp, key),
            rtcp: Cipher::new(Kind::Rtcp, key),
            state,
        }
    }

    /// What is to be kept.
    pub fn state(&self) -> ReceiveState {
        self.state
    }

    /// What is kept under a new key: where each source may go on. RFC 3711 §3.3.1 keeps the rollover counter over a
    /// change of keys, many implementations begin at zero: the first packet shows which.
    pub fn hints(&self) -> ReceiveState {
        let mut state = self.state;
        for source in &mut state.sources[..state.count] {
            source.rtp.seen = 0;
            source.rtcp = ReplayWindow::default();
        }
        state
    }

    /// Authenticates and decrypts one RTP packet in place; returns its length without the tag.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let length = packet
            .len()
            .checked_sub(self.rtp.tag_bytes())
            .ok_or(Refused::Malformed)?;
        let (packet, tag) = packet.split_at_mut(length);
        let (ssrc, sequence, payload) = rtp_header(packet).ok_or(Refused::Malformed)?;
        let known = self.find(ssrc);
        let window = known.map_or(ReplayWindow::default(), |at| self.state.sources[at].rtp);
        let nearest = match known {
            Some(_) => estimate(window.newest, sequence),
            None => u64::from(sequence),
        };
        // A duplicate costs no cryptography: it is known by its number alone.
        if window.is_known(nearest) {
            return Err(Refused::Replayed);
        }
        let is_hint = known.is_some() && window.seen == 0 && self.rtp.tag_bytes() >= MIN_TAG_BYTES_TO_GUESS;
        let others = [
            Some(u64::from(sequence)),
            nearest.checked_add(CYCLE),
            nearest.checked_sub(CYCLE),
        ];
        let others = others.into_iter().flatten().filter(|_| is_hint);
        let index = std::iter::once(nearest)
            .chain(others)
            .find(|index| self.rtp.open(ssrc, *index, packet, payload, tag));
        let index = index.ok_or(Refused::Unauthentic)?;
        self.state.sources[self.take(known, ssrc)?].rtp.note(index);
        Ok(length)
    }

    /// Authenticates and decrypts one RTCP compound in place; returns its length without index and tag.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let tag_bytes = self.rtcp.tag_bytes();
        let length = packet
            .len()
            .checked_sub(tag_bytes + RTCP_INDEX_BYTES)
            .filter(|length| *length >= RTCP_HEADER_BYTES)
            .ok_or(Refused::Malformed)?;
        let (packet, end) = packet.split_at_mut(length);
        let (word, tag) = if self.rtcp.is_aead() {
            let (tag, word) = end.split_at(tag_bytes);
            (word, tag)
        } else {
            end.split_at(RTCP_INDEX_BYTES)
        };
        let word = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        let ssrc = rtcp_ssrc(packet).ok_or(Refused::Malformed)?;
        // Who sends in the clear what was to be encrypted is not who we agreed with.
        if word & ENCRYPTED == 0 {
            return Err(Refused::Unauthentic);
        }
        let index = u64::from(word & !ENCRYPTED);
        let known = self.find(ssrc);
        if known.is_some_and(|at| self.state.sources[at].rtcp.is_known(index)) {
            return Err(Refused::Replayed);
        }
        if !self.rtcp.open(ssrc, index, packet, RTCP_HEADER_BYTES, tag) {
            return Err(Refused::Unauthentic);
        }
        self.state.sources[self.take(known, ssrc)?].rtcp.note(index);
        Ok(length)
    }

    fn find(&self, ssrc: u32) -> Option<usize> {
        let sources = &self.state.sources[..self.state.count];
        sources.iter().position(|source| source.ssrc == ssrc)
    }

    /// The place of a source that has just been authenticated.
    fn take(&mut self, known: Option<usize>, ssrc: u32) -> Result<usize, Refused> {
        if let Some(at) = known {
            return Ok(at);
        }
        let at = self.state.count;
        let source = self.state.sources.get_mut(at).ok_or(Refused::Unauthentic)?;
        source.ssrc = ssrc;
        self.state.count += 1;
        Ok(at)
    }
}
