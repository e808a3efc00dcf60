//! What goes: RTP packets of audio, the telephone-events that take their place (RFC 4733), and keep-alives when there is
//! neither (RFC 6263).

use std::net::SocketAddr;

use super::Leg;
use crate::Destination;
use crate::config::LegRemote;
use crate::dtmf::{Slot, Step};
use crate::frame::Frame;
use crate::keepalive::unknown_payload_type;
use crate::outbox::Outbox;
use crate::time::{FRAME_TICKS, Time};

impl Leg {
    /// Sends one frame: sound, or silence when there is none. Whether it [`listens`](Leg::listens) is asked before.
    pub fn say(&mut self, frame: u64, sound: Option<&Frame>, outbox: &mut Outbox) {
        let Some(remote) = self.remote.filter(|remote| remote.send) else {
            return;
        };
        let tones = match remote.telephone_event {
            Some(_) => None,
            None => self.signals.tones(frame, self.session_hz),
        };
        let sound = self.to_codec.convert(tones.as_ref().or(sound));
        self.sender.gather(frame, sound);
        let to = self.rtp_to(&remote);
        loop {
            let start = outbox.writer().len();
            let Some(length) = self.write_packet(&remote, outbox.writer()) else {
                return;
            };
            if self.commit_rtp(start, to, outbox) {
                self.stats.packets_sent += 1;
                self.stats.bytes_sent += length as u64;
            }
        }
    }

    /// Protects the packet that begins at `start` and sends it. `false` when its key is used up: what may not be protected
    /// is not sent.
    fn commit_rtp(&mut self, start: usize, to: SocketAddr, outbox: &mut Outbox) -> bool {
        let out = outbox.writer();
        if let Some(srtp) = &mut self.srtp
            && srtp.sender.protect_rtp(out, start).is_err()
        {
            out.truncate(start);
            return false;
        }
        outbox.commit(Destination::Rtp { leg: self.key, to });
        true
    }

    pub(super) fn rtp_to(&self, remote: &LegRemote) -> SocketAddr {
        self.latch.address().unwrap_or(remote.rtp)
    }

    /// Appends the next packet: audio, or the telephone-event that takes its place. Returns the length of its payload.
    fn write_packet(&mut self, remote: &LegRemote, out: &mut Vec<u8>) -> Option<usize> {
        let event = remote.telephone_event.filter(|_| self.signals.is_sending());
        let step = match (event, self.sender.next_timestamp()) {
            (Some(event), Some(timestamp)) => {
                let (_, codec) = remote.audio.send();
                let slot = Slot {
                    timestamp,
                    clock_hz: codec.clock_hz(),
                    length_ms: codec.packet_ms(remote.ptime_ms),
                };
                self.signals.step(slot, Some(event.clock_hz))
            }
            _ => Step::Audio,
        };
        match (step, event) {
            (
                Step::Event {
                    timestamp,
                    marker,
                    payload,
                },
                Some(event),
            ) => {
                let head = (event.payload_type, marker, Some(timestamp));
                self.sender
                    .replace_packet(head, &payload, out)
                    .then_some(payload.len())
            }
            _ => self.sender.next_packet(out),
        }
    }

    /// Sends an RTP packet that means nothing when we send no other, and the far end is somewhere.
    pub(super) fn keep_alive(&mut self, now: Time, outbox: &mut Outbox) {
        let Some(remote) = self.remote else { return };
        let to = self.rtp_to(&remote);
        // RTCP on the same port is a keep-alive already; an unspecified address is the old way to say "on hold".
        if remote.send || remote.rtcp_mux || to.ip().is_unspecified() {
            self.keep_alive.sent(now);
            return;
        }
        if !self.keep_alive.take_due(now) {
            return;
        }
        let frame = now.tick().saturating_sub(self.tick0) / FRAME_TICKS;
        let out = outbox.writer();
        let start = out.len();
        self.sender
            .write_empty_packet(frame, unknown_payload_type(&remote), out);
        if self.commit_rtp(start, to, outbox) {
            self.stats.keep_alives_sent += 1;
        }
    }
}
