//! RTCP of a leg (RFC 3550 §6): what the far end reports, what it is told, and BYE.

use std::net::SocketAddr;

use super::Leg;
use crate::Destination;
use crate::context::Context;
use crate::outbox::Outbox;
use crate::random::Random;
use crate::rtp::report::{Extended, Sent};
use crate::rtp::rtcp::Compound;
use crate::rtp::{Datagram, classify};
use crate::time::{FRAME_TICKS, Time};

impl Leg {
    /// Takes a datagram from the RTCP socket.
    pub fn receive_rtcp(&mut self, now: Time, from: SocketAddr, data: &[u8], context: &mut Context<'_>) {
        if self.remote.is_none() {
            self.stats.not_receiving += 1;
        } else if !self.latch.admits_rtcp(from, false) {
            self.refuse_source(from, None, context);
        } else if classify(data) == Datagram::Other {
            self.stats.not_rtp += 1;
        } else {
            self.take_compound(now, data, context);
        }
    }

    pub(super) fn take_compound(&mut self, now: Time, data: &[u8], context: &mut Context<'_>) {
        let Some(srtp) = &mut self.srtp else {
            return self.read_compound(now, data);
        };
        let mut plain = std::mem::take(context.scratch);
        plain.clear();
        plain.extend_from_slice(data);
        match srtp.receiver.unprotect_rtcp(&mut plain) {
            Ok(length) => self.read_compound(now, &plain[..length]),
            Err(refused) => self.count_refused(refused),
        }
        *context.scratch = plain;
    }

    fn read_compound(&mut self, now: Time, data: &[u8]) {
        match Compound::parse(data) {
            Ok(compound) => {
                self.stats.rtcp_received += 1;
                let clock_hz = self.sender.timeline().clock_hz;
                self.reporter.receive(now, self.sent(now), clock_hz, compound);
            }
            Err(_) => self.stats.malformed += 1,
        }
    }

    /// Sends an RTCP report when one is due.
    pub fn report(&mut self, now: Time, random: &mut Random, outbox: &mut Outbox) {
        self.keep_alive(now, outbox);
        if self.reporter.take_due(now, random) {
            self.send_compound(now, false, outbox);
        }
    }

    /// Says BYE, if it was ever connected.
    pub fn leave(&mut self, now: Time, outbox: &mut Outbox) {
        self.send_compound(now, true, outbox);
    }

    /// What reports say of our sending.
    fn sent(&self, now: Time) -> Sent {
        let timeline = self.sender.timeline();
        let origin = Time::from_tick(self.tick0 + timeline.frame0 * FRAME_TICKS);
        let (packets, octets) = self.sender.counts();
        Sent {
            ssrc: self.sender.ssrc(),
            timestamp: timeline.timestamp_at(now.micros_since(origin)),
            packets,
            octets,
        }
    }

    pub(super) fn send_compound(&mut self, now: Time, leaving: bool, outbox: &mut Outbox) {
        let Some(remote) = self.remote else { return };
        let leg = self.key;
        let to = match (remote.rtcp_mux, remote.rtcp) {
            (true, _) => Destination::Rtp {
                leg,
                to: self.rtp_to(&remote),
            },
            (false, Some(to)) => Destination::Rtcp { leg, to },
            (false, None) => return,
        };
        let sent = self.sent(now);
        let around = self.surroundings();
        let source = self.receiver.source();
        let extended = Extended {
            receiving: remote.receive,
            metrics: source
                .as_ref()
                .and_then(|(ssrc, _)| self.meter.metrics(*ssrc, &around)),
        };
        let out = outbox.writer();
        let start = out.len();
        self.reporter.write(now, sent, source, extended, leaving, out);
        if let Some(srtp) = &mut self.srtp
            && srtp.sender.protect_rtcp(out, start).is_err()
        {
            return out.truncate(start);
        }
        outbox.commit(to);
        self.stats.rtcp_sent += 1;
    }
}
