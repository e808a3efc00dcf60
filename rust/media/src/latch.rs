//! Who may send to a leg: the address of the far end, learned once and then held.
//!
//! A description says where the far end is, but behind a NAT that is not where its packets come from, and a stranger who
//! finds the port must neither be heard nor be sent the call. The rules are one table:
//!
//! | state | the peer | an address that signalling named | another address |
//! |---|---|---|---|
//! | `Waiting` | – | latch | drop |
//! | `Learning` | – | latch | prove |
//! | `Latched` | take | drop | drop |
//! | `Silent` | take | prove | prove |
//!
//! `Learning` is the first [`LEARNING_MS`] after a description when signalling came from another address than the
//! description names: only then is there a NAT to suspect. `Silent`: the peer has sent nothing for [`SILENCE_MS`], as
//! after a NAT has given it another port. To *prove* itself an address sends [`PROOF_PACKETS`] packets of one source,
//! numbered one after the other; in `Silent` they must go on where the peer's ended. Only a description with another
//! address opens the latch again. A leg with SRTP shows its packets here after they are authenticated.

use std::net::{IpAddr, SocketAddr};

use crate::config::LegRemote;
use crate::record::layout::{LegSetup, LegState, leg_state_flags};
use crate::rtp::sequence::MAX_DROPOUT;
use crate::time::Time;

/// How long after a description an address that it does not name may prove itself.
pub const LEARNING_MS: u64 = 3_000;
/// How long the peer must have been silent before another address may prove itself to be it.
pub const SILENCE_MS: u64 = 3_000;
/// Packets in sequence that prove an address.
pub const PROOF_PACKETS: u8 = 5;
/// Addresses that may be proving themselves at once. Rule when full: the one unheard for longest gives way.
pub const MAX_CANDIDATES: usize = 4;
/// The shortest packet time, which bounds how far numbers go on during a silence.
const MIN_PTIME_MS: u64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Learning,
    Latched,
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Peer,
    Announced,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Take,
    Latch,
    Prove,
    Drop,
}

const fn action(state: State, sender: Sender) -> Action {
    match (state, sender) {
        (State::Latched | State::Silent, Sender::Peer) => Action::Take,
        (State::Waiting | State::Learning, Sender::Announced) => Action::Latch,
        (State::Learning, Sender::Other) => Action::Prove,
        (State::Silent, Sender::Announced | Sender::Other) => Action::Prove,
        (State::Waiting | State::Learning, Sender::Peer) => Action::Drop,
        (State::Waiting, Sender::Other) => Action::Drop,
        (State::Latched, Sender::Announced | Sender::Other) => Action::Drop,
    }
}

/// What a valid packet means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It is the peer's.
    Taken,
    /// It is the peer's, whose address is now this one.
    Latched,
    /// Its address has not proved itself.
    Refused,
}

/// The far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where its packets come from, and ours go.
    pub address: SocketAddr,
    /// Its source.
    pub ssrc: u32,
    /// The number of its last packet.
    pub sequence: u16,
    /// When that came.
    pub heard: Time,
}

/// An address that is proving itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    packet: Peer,
    count: u8,
}

/// The address of one leg's far end. Plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latch {
    announced: [Option<IpAddr>; 2],
    learning_until: Option<Time>,
    peer: Option<Peer>,
    candidates: [Option<Candidate>; MAX_CANDIDATES],
    /// A stranger that speaks as the peer's source: told when the peer turns out to be there too.
    suspect: Option<SocketAddr>,
    intruder_told: bool,
}

impl Latch {
    /// Signalling has described the far end, first or anew. The same address again changes nothing.
    pub fn describe(&mut self, now: Time, before: Option<&LegRemote>, remote: &LegRemote) {
        self.announced = [Some(remote.rtp.ip()), remote.also_from].map(|ip| Some(ip?.to_canonical()));
        if before.is_some_and(|before| before.rtp == remote.rtp) {
            return;
        }
        let [described, signalling] = self.announced;
        let is_behind_nat = signalling.is_some_and(|ip| Some(ip) != described);
        self.learning_until = is_behind_nat.then(|| now.plus_millis(LEARNING_MS));
        self.peer = None;
        self.candidates = Default::default();
        self.suspect = None;
    }

    /// The address that is held, if any.
    pub fn address(&self) -> Option<SocketAddr> {
        self.peer.map(|peer| peer.address)
    }

    /// What of it outlives the process; addresses that are proving themselves begin anew.
    pub(crate) fn keep(&self, setup: &mut LegSetup) {
        setup.latched = self.address().into();
        setup.learning_until = self.learning_until.map_or(0, |until| until.0);
    }

    /// What changes with packets.
    pub(crate) fn keep_peer(&self, state: &mut LegState) {
        if let Some(peer) = self.peer {
            (state.peer_ssrc, state.peer_sequence) = (peer.ssrc, peer.sequence);
            state.peer_heard = peer.heard.0;
        }
        if self.intruder_told {
            state.flags |= leg_state_flags::INTRUDER_TOLD;
        }
    }

    /// Goes on, after signalling's description was given again.
    pub(crate) fn resume(&mut self, setup: &LegSetup, state: &LegState) {
        self.learning_until = (setup.learning_until > 0).then_some(Time(setup.learning_until));
        self.peer = setup.latched.get().map(|address| Peer {
            address,
            ssrc: state.peer_ssrc,
            sequence: state.peer_sequence,
            heard: Time(state.peer_heard),
        });
        self.intruder_told = state.flags & leg_state_flags::INTRUDER_TOLD != 0;
    }

    /// Whether it is worth looking at a packet from there.
    pub fn admits(&self, now: Time, from: SocketAddr) -> bool {
        action(self.state(now), self.sender(from)) != Action::Drop
    }

    /// Whether control packets may come from there: from the peer's host, whose port is another one unless RTP and RTCP
    /// share it.
    pub fn admits_rtcp(&self, from: SocketAddr, is_shared_port: bool) -> bool {
        let host = from.ip().to_canonical();
        match self.peer {
            Some(peer) if is_shared_port => peer.address == from,
            Some(peer) => peer.address.ip().to_canonical() == host,
            None => self.announced.contains(&Some(host)),
        }
    }

    /// A valid packet came: authentic if there is SRTP, of a payload type that is negotiated.
    pub fn learn(&mut self, now: Time, from: SocketAddr, ssrc: u32, sequence: u16) -> Learned {
        let packet = Peer {
            address: from,
            ssrc,
            sequence,
            heard: now,
        };
        let is_proved = match action(self.state(now), self.sender(from)) {
            Action::Take => {
                self.peer = Some(packet);
                return Learned::Taken;
            }
            Action::Latch => true,
            Action::Prove => self.prove(packet),
            Action::Drop => false,
        };
        if !is_proved {
            return Learned::Refused;
        }
        self.peer = Some(packet);
        self.candidates = Default::default();
        self.suspect = None;
        Learned::Latched
    }

    /// A packet of this source was refused. `true`, once in the life of the leg: there is an intruder.
    pub fn suspect(&mut self, from: SocketAddr, ssrc: Option<u32>) -> bool {
        let is_as_peer = self.peer.is_some_and(|peer| Some(peer.ssrc) == ssrc);
        if is_as_peer {
            // It may be the peer behind a NAT that has moved it: then the old address is silent from now on.
            self.suspect = Some(from);
            return false;
        }
        !std::mem::replace(&mut self.intruder_told, true)
    }

    /// The suspect that spoke as the peer while the peer is there itself; once in the life of the leg.
    pub fn take_intruder(&mut self) -> Option<SocketAddr> {
        let suspect = self.suspect.take()?;
        (!std::mem::replace(&mut self.intruder_told, true)).then_some(suspect)
    }

    fn state(&self, now: Time) -> State {
        match self.peer {
            Some(peer) if now.millis_since(peer.heard) >= SILENCE_MS => State::Silent,
            Some(_) => State::Latched,
            None if self.learning_until.is_some_and(|until| now < until) => State::Learning,
            None => State::Waiting,
        }
    }

    fn sender(&self, from: SocketAddr) -> Sender {
        if self.peer.is_some_and(|peer| peer.address == from) {
            Sender::Peer
        } else if self.announced.contains(&Some(from.ip().to_canonical())) {
            Sender::Announced
        } else {
            Sender::Other
        }
    }

    /// One more packet of an address that would be the peer's. `true` when that is proved.
    fn prove(&mut self, packet: Peer) -> bool {
        if self.peer.is_some_and(|peer| !goes_on(&peer, &packet)) {
            return false;
        }
        let found = self
            .candidates
            .iter()
            .position(|slot| slot.is_some_and(|candidate| candidate.packet.address == packet.address));
        let at = found.unwrap_or_else(|| self.oldest_candidate());
        let count = match (found, self.candidates[at]) {
            (Some(_), Some(Candidate { packet: last, count }))
                if last.ssrc == packet.ssrc && last.sequence.wrapping_add(1) == packet.sequence =>
            {
                count + 1
            }
            _ => 1,
        };
        self.candidates[at] = Some(Candidate { packet, count });
        count >= PROOF_PACKETS
    }

    fn oldest_candidate(&self) -> usize {
        let heard = |slot: &Option<Candidate>| slot.map(|candidate| candidate.packet.heard);
        let oldest = self
            .candidates
            .iter()
            .enumerate()
            .min_by_key(|(_, slot)| heard(slot));
        oldest.map_or(0, |(at, _)| at)
    }
}

/// The packet may be the peer's after its silence: the same source, a number it can have reached by now.
fn goes_on(peer: &Peer, packet: &Peer) -> bool {
    let ahead = u64::from(packet.sequence.wrapping_sub(peer.sequence));
    let reachable = u64::from(MAX_DROPOUT) + packet.heard.millis_since(peer.heard) / MIN_PTIME_MS;
    peer.ssrc == packet.ssrc && (1..=reachable).contains(&ahead)
}
