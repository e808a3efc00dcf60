//! What comes: RTP packets from the far end, and the frames that are heard of them.
//!
//! Of a datagram: is its source admitted (`latch.rs`), what is it (RFC 7983, RFC 5761), is it authentic (`srtp/`), what
//! does its payload type mean, and only then is anything learned from it or counted as received.

use std::net::SocketAddr;

use super::Leg;
use crate::config::LegRemote;
use crate::context::Context;
use crate::dtmf::{Digit, DigitReceiver, Method};
use crate::event::Event;
use crate::frame::Frame;
use crate::latch::Learned;
use crate::rtp::packet::Packet;
use crate::rtp::receiver::Content;
use crate::rtp::{Datagram, classify};
use crate::srtp::Refused;
use crate::time::Time;

/// Comfort noise (RFC 3389), statically assigned: valid wherever 8 kHz audio is.
const COMFORT_NOISE: u8 = 13;

/// The source a datagram says it is of, were it RTP.
fn ssrc_of(data: &[u8]) -> Option<u32> {
    data.get(8..12)
        .map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

impl Leg {
    /// Takes a datagram from the RTP socket.
    pub fn receive_rtp(&mut self, now: Time, from: SocketAddr, data: &[u8], context: &mut Context<'_>) {
        let Some(remote) = self.remote else {
            self.stats.not_receiving += 1;
            return;
        };
        if !self.latch.admits(now, from) {
            self.refuse_source(from, ssrc_of(data), context);
            return;
        }
        match classify(data) {
            Datagram::Rtp => {}
            Datagram::Rtcp if remote.rtcp_mux && self.latch.admits_rtcp(from, true) => {
                return self.take_compound(now, data, context);
            }
            // Without multiplexing these are payload types 64..=95, which are never negotiated (RFC 5761 §4).
            Datagram::Rtcp => {
                self.stats.unknown_payload_type += 1;
                return;
            }
            Datagram::Other => {
                self.stats.not_rtp += 1;
                return;
            }
            Datagram::Unknown => {
                self.stats.malformed += 1;
                return;
            }
        }
        let Some(srtp) = &mut self.srtp else {
            return self.take_datagram(now, from, &remote, data, context);
        };
        let mut plain = std::mem::take(context.scratch);
        plain.clear();
        plain.extend_from_slice(data);
        match srtp.receiver.unprotect_rtp(&mut plain) {
            Ok(length) => self.take_datagram(now, from, &remote, &plain[..length], context),
            Err(refused) => self.count_refused(refused),
        }
        *context.scratch = plain;
    }

    /// Whoever sent this is not the far end.
    pub(super) fn refuse_source(&mut self, from: SocketAddr, ssrc: Option<u32>, context: &mut Context<'_>) {
        self.stats.wrong_source += 1;
        if self.latch.suspect(from, ssrc) {
            context.events.push(Event::LegIntruder { leg: self.key, from });
        }
    }

    pub(super) fn count_refused(&mut self, refused: Refused) {
        match refused {
            Refused::Malformed => self.stats.malformed += 1,
            Refused::Unauthentic => self.stats.srtp_auth_failed += 1,
            Refused::Replayed => self.stats.srtp_replayed += 1,
        }
    }

    fn take_datagram(
        &mut self,
        now: Time,
        from: SocketAddr,
        remote: &LegRemote,
        data: &[u8],
        context: &mut Context<'_>,
    ) {
        match Packet::parse(data) {
            Ok(packet) => self.take_packet(now, from, remote, &packet, context),
            Err(_) => self.stats.malformed += 1,
        }
    }

    fn take_packet(
        &mut self,
        now: Time,
        from: SocketAddr,
        remote: &LegRemote,
        packet: &Packet<'_>,
        context: &mut Context<'_>,
    ) {
        let is_event = remote
            .telephone_event
            .is_some_and(|event| event.payload_type == packet.payload_type);
        let content = match (packet.payload_type, remote.audio.codec(packet.payload_type)) {
            (_, Some(codec)) => Content::Audio(codec),
            (COMFORT_NOISE, _) => Content::Noise,
            _ if is_event => Content::Pause,
            _ => {
                self.stats.unknown_payload_type += 1;
                return;
            }
        };
        // On hold nothing new is learned, but who was there is still there.
        if !remote.receive && self.latch.address() != Some(from) {
            self.stats.not_receiving += 1;
            return;
        }
        match self.latch.learn(now, from, packet.ssrc, packet.sequence) {
            Learned::Taken => {
                if let Some(from) = self.latch.take_intruder() {
                    context.events.push(Event::LegIntruder { leg: self.key, from });
                }
            }
            Learned::Latched => context.events.push(Event::LegFirstPacket { leg: self.key, from }),
            Learned::Refused => return self.refuse_source(from, Some(packet.ssrc), context),
        }
        if !remote.receive {
            self.stats.not_receiving += 1;
            return;
        }
        self.stats.packets_received += 1;
        self.stats.bytes_received += packet.payload.len() as u64;
        let (changes, discarded) = (self.receiver.counters().ssrc_changes, self.discarded());
        if !self.receiver.receive(now, packet, content) {
            return;
        }
        if self.receiver.counters().ssrc_changes != changes {
            self.digits = DigitReceiver::new(self.digits.clock_hz());
            self.meter.restart();
        }
        let codec = match content {
            Content::Audio(codec) => Some(codec),
            _ => None,
        };
        self.meter.receive(packet, self.discarded() != discarded, codec);
        if is_event {
            let digits = self.digits.receive(now, packet.timestamp, packet.payload);
            self.tell_digits(now, digits, context);
        }
    }

    fn tell_digits(
        &mut self,
        now: Time,
        digits: impl IntoIterator<Item = Option<Digit>>,
        context: &mut Context<'_>,
    ) {
        for digit in digits.into_iter().flatten() {
            self.signals.tell(now, self.key, Method::Event, digit, context);
        }
    }

    /// The next frame of what the far end says; silence while we do not receive.
    pub fn hear(&mut self, now: Time, frame: &mut Frame, context: &mut Context<'_>) {
        if self.remote.is_some_and(|remote| remote.receive) {
            self.receiver.pop_frame(now, frame);
            let digit = self.digits.handle_timeout(now);
            self.tell_digits(now, [digit], context);
            self.signals.hear(now, self.now_ms(now), self.key, frame, context);
        } else {
            frame.samples_mut().fill(0);
        }
        self.signals.tell_sent(self.key, context);
        if self.meter.is_due(now) {
            let around = self.surroundings();
            context.events.push(Event::LegQuality {
                leg: self.key,
                quality: Box::new(self.meter.take(&around)),
            });
        }
        if self.mute.input {
            frame.samples_mut().fill(0);
        }
    }
}
