//! Legs: their sockets and what comes from them.

use media::{Label, LegKey, Source, Time};

use super::{Worker, count};
use crate::command::{Answer, Family, Outcome, Refusal};
use crate::poller::Token;
use crate::udp::LegSockets;

/// Datagrams read of one socket in one tick when more than one waits. Rule: the rest waits in the kernel, whose buffer
/// is bounded, until the next tick.
const MAX_BURST: usize = 8;

/// A leg and its sockets.
pub struct Leg {
    pub key: LegKey,
    pub session: String,
    pub name: String,
    pub sockets: LegSockets,
    /// The number of the tick in which RTP was last read, to see a backlog.
    last_read_tick: u64,
}

impl Worker<'_> {
    /// Open a leg in a session that is there; a session made for it is the caller's to close when this fails.
    pub(super) fn open_leg(
        &mut self,
        now: Time,
        session: &str,
        name: String,
        family: Option<Family>,
        label: Label,
    ) -> Outcome {
        let entry = self.sessions.get_mut(session).ok_or_else(no_session)?;
        if entry.legs.contains_key(&name) {
            return Err(Refusal::new(
                "already_exists",
                format!("the session has a leg {name}"),
            ));
        }
        let random = &mut self.random;
        let ports = self.shell.services.ports.of(family);
        let ports =
            ports.ok_or_else(|| Refusal::new("no_address", "there is no RTP address of that family"))?;
        let sockets = ports.open(now, || u64::from_ne_bytes(random.take()));
        let sockets = sockets.ok_or_else(|| Refusal::new("no_ports", "no pair of RTP ports is free"))?;
        let key = self.engine.open_leg(now, entry.key)?;
        if let Err(error) = self.engine.label_leg(key, label) {
            self.engine.close_leg(now, key)?;
            return Err(error.into());
        }
        let ssrc = self.engine.leg_ssrc(key)?;
        let (rtp, rtcp) = (sockets.rtp_address, sockets.rtcp_address);
        let leg = Leg {
            key,
            session: session.to_string(),
            name: name.clone(),
            sockets,
            last_read_tick: 0,
        };
        let index = self.legs.insert(leg) as u32;
        let sockets = &self.legs[index as usize].sockets;
        let poller = &self.shell.poller;
        let added = poller.add(&sockets.rtp, Token::Rtp(index), false);
        let added = added.and_then(|()| poller.add(&sockets.rtcp, Token::Rtcp(index), false));
        if let Err(error) = added {
            self.legs.remove(index as usize);
            self.engine.close_leg(now, key)?;
            return Err(Refusal::new("internal", error.to_string()));
        }
        self.leg_of.insert(key, index);
        entry.legs.insert(name, index);
        Ok(Answer::LegOpened { rtp, rtcp, ssrc })
    }

    /// One datagram of a leg; several when the tick before had one too, for then a burst waits.
    pub(super) fn receive_rtp(&mut self, now: Time, index: u32) {
        let Some(leg) = self.legs.get_mut(index as usize) else {
            return;
        };
        let is_backlog = now.tick() <= leg.last_read_tick + 1;
        leg.last_read_tick = now.tick();
        for _ in 0..if is_backlog { MAX_BURST } else { 1 } {
            let Ok((length, from)) = leg.sockets.rtp.recv_from(&mut self.datagram[..]) else {
                return;
            };
            self.engine
                .receive(now, Source::Rtp { leg: leg.key, from }, &self.datagram[..length]);
        }
    }

    /// One datagram of a leg's RTCP socket.
    pub(super) fn receive_rtcp(&mut self, now: Time, index: u32) {
        let Some(leg) = self.legs.get(index as usize) else {
            return;
        };
        if let Ok((length, from)) = leg.sockets.rtcp.recv_from(&mut self.datagram[..]) {
            self.engine
                .receive(now, Source::Rtcp { leg: leg.key, from }, &self.datagram[..length]);
        }
    }

    /// Forget a leg whose engine side is closed; its ports go to rest.
    pub(super) fn remove_leg(&mut self, index: u32) {
        if let Some(leg) = self.legs.try_remove(index as usize) {
            self.leg_of.remove(&leg.key);
        }
    }
}

/// One datagram out. A full socket buffer or a missing route is weather: counted, never more.
pub fn send(
    leg: Option<&Leg>,
    is_rtp: bool,
    to: std::net::SocketAddr,
    payload: &[u8],
    failed: &std::sync::atomic::AtomicU64,
) {
    let Some(leg) = leg else { return };
    let socket = if is_rtp {
        &leg.sockets.rtp
    } else {
        &leg.sockets.rtcp
    };
    if socket.send_to(payload, to).is_err() {
        count(failed);
    }
}

pub fn no_session() -> Refusal {
    media::CommandError::UnknownSession.into()
}
