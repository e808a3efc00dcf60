//! Keep-alives (RFC 6263): a leg that sends no RTP still sends a packet now and then, so that NATs keep its way open and
//! a far end that ends silent calls does not end this one.
//!
//! Of the mechanisms of RFC 6263 §4 two are used. Where RTP and RTCP share a port, the recommended one (§4.3): RTCP,
//! which is sent every few seconds anyway, so that nothing is to be done. Else an RTP packet of a payload type that was
//! not negotiated (§4.6) and without payload: RFC 3550 §5.1 has every receiver ignore it, SRTP protects it like any other,
//! and unlike an empty datagram (§4.1) or a wrong version (§4.5) no firewall takes it for an attack. Comfort noise (§4.2)
//! would be heard.

use crate::config::LegRemote;
use crate::time::Time;

/// Between two keep-alives, and between the last packet and the first of them: Tr of RFC 6263 §7.
pub const INTERVAL_MS: u64 = 15_000;

/// When the next keep-alive is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    quiet_since: Option<Time>,
}

impl KeepAlive {
    /// A packet was sent.
    pub fn sent(&mut self, now: Time) {
        self.quiet_since = Some(now);
    }

    /// A keep-alive is to be sent now; the next one follows after the interval.
    pub fn take_due(&mut self, now: Time) -> bool {
        let since = *self.quiet_since.get_or_insert(now);
        let is_due = now.millis_since(since) >= INTERVAL_MS;
        if is_due {
            self.quiet_since = Some(now);
        }
        is_due
    }
}

/// A dynamic payload type that means nothing on this leg.
pub(crate) fn unknown_payload_type(remote: &LegRemote) -> u8 {
    let event = remote.telephone_event.map(|event| event.payload_type);
    (96..=127)
        .rev()
        .find(|number| remote.audio.codec(*number).is_none() && Some(*number) != event)
        .unwrap_or(127)
}
