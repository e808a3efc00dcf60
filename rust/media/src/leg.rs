//! A leg: one RTP stream each way with one far end, its RTCP and its telephone-events.
//!
//! **Numbers** (invariant 4) are a function of the tick: `frame = (tick - tick0) / 20`, and of the frame those of its
//! packets ([`Timeline`](crate::rtp::timeline::Timeline)). What is not sent leaves a gap in the numbers, and nothing else.
//!
//! **Source**: who may send is the latch's to say (`latch.rs`). With SRTP a packet is authenticated before it is learned
//! from, counted as received or heard.

mod keep;

use std::net::SocketAddr;

use crate::Destination;
use crate::config::{LegRemote, Mute, Numbering};
use crate::context::Context;
use crate::dtmf::{DigitReceiver, Method, SendDigits, Slot, Step};
use crate::error::CommandError;
use crate::event::Event;
use crate::frame::{Converter, Frame};
use crate::keepalive::{KeepAlive, unknown_payload_type};
use crate::key::LegKey;
use crate::latch::{Latch, Learned};
use crate::meter::{Meter, Surroundings};
use crate::outbox::Outbox;
use crate::random::Random;
use crate::rtp::jitter::UNITS_PER_MS;
use crate::rtp::packet::Packet;
use crate::rtp::receiver::{Content, Receiver};
use crate::rtp::report::{Extended, Reporter, Sent};
use crate::rtp::rtcp::Compound;
use crate::rtp::sender::{Format, Sender};
use crate::rtp::{Datagram, classify};
use crate::signals::{Detect, Signals};
use crate::srtp::{Refused, SrtpParams, SrtpReceiver, SrtpSender};
use crate::stats::LegStats;
use crate::time::{FRAME_TICKS, RATE_HZ, Time};

/// Comfort noise (RFC 3389), statically assigned: valid wherever 8 kHz audio is.
const COMFORT_NOISE: u8 = 13;

/// SRTP of one leg.
struct Srtp {
    params: SrtpParams,
    sender: SrtpSender,
    receiver: SrtpReceiver,
}

/// The source a datagram says it is of, were it RTP.
fn ssrc_of(data: &[u8]) -> Option<u32> {
    data.get(8..12)
        .map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// One leg of a session.
pub(crate) struct Leg {
    key: LegKey,
    sender: Sender,
    tick0: u64,
    remote: Option<LegRemote>,
    latch: Latch,
    srtp: Option<Box<Srtp>>,
    keep_alive: KeepAlive,
    receiver: Receiver,
    digits: DigitReceiver,
    signals: Signals,
    meter: Meter,
    reporter: Reporter,
    mute: Mute,
    /// From the rate of the session to that of the codec we send.
    to_codec: Converter,
    session_hz: u32,
    /// What of it was kept last, so that it is written when it changes.
    kept: keep::Kept,
    /// Counted here; what others count is added when asked.
    stats: LegStats,
}

impl Leg {
    /// A leg that is not connected.
    pub fn new(
        key: LegKey,
        tick0: u64,
        numbering: Option<Numbering>,
        ntp_at_zero: u64,
        random: &mut Random,
    ) -> Leg {
        let drawn = draw(random);
        Leg {
            key,
            sender: Sender::new(numbering.unwrap_or(drawn)),
            tick0,
            remote: None,
            latch: Latch::default(),
            srtp: None,
            keep_alive: KeepAlive::default(),
            receiver: Receiver::default(),
            digits: DigitReceiver::default(),
            signals: Signals::default(),
            meter: Meter::default(),
            reporter: Reporter::new(ntp_at_zero, random),
            mute: Mute::default(),
            to_codec: Converter::new(RATE_HZ, RATE_HZ),
            session_hz: RATE_HZ,
            kept: keep::Kept::default(),
            stats: LegStats::default(),
        }
    }

    /// Its key.
    pub fn key(&self) -> LegKey {
        self.key
    }

    /// The SSRC it sends with.
    pub fn ssrc(&self) -> u32 {
        self.sender.ssrc()
    }

    /// It sends: what is to be heard may be taken from where it waits.
    pub fn is_sending(&self) -> bool {
        self.remote.is_some_and(|remote| remote.send)
    }

    /// What it has seen.
    pub fn stats(&self) -> LegStats {
        let counters = self.receiver.counters();
        let buffer = self.receiver.buffer();
        let view = self.reporter.view();
        let millis = |units: u64| units / u64::from(UNITS_PER_MS);
        LegStats {
            lost: self.receiver.lost(),
            late: buffer.counters().late,
            duplicate: counters.duplicate,
            reordered: counters.reordered,
            malformed: self.stats.malformed + counters.malformed,
            ssrc_changes: counters.ssrc_changes,
            resyncs: counters.restarts + buffer.counters().resyncs,
            overflow: buffer.counters().overflow,
            concealed_ms: millis(counters.concealed),
            inserted_ms: millis(counters.inserted),
            dropped_ms: millis(counters.dropped),
            jitter_ms: self.receiver.jitter_ms(),
            buffer_ms: buffer.delay_ms(),
            buffer_target_ms: buffer.target_ms(),
            round_trip_ms: view.round_trip_ms,
            remote_lost: view.lost,
            remote_jitter_ms: view.jitter_ms,
            quality: self.meter.total(&self.surroundings()),
            ..self.stats
        }
    }

    /// What of it goes into its quality.
    fn surroundings(&self) -> Surroundings {
        let buffer = self.receiver.buffer();
        let remote = self.remote.as_ref();
        Surroundings {
            jitter_ms: self.receiver.jitter_ms(),
            buffer_ms: buffer.delay_ms(),
            target_ms: buffer.target_ms(),
            longest_ms: buffer.bounds().max_ms,
            sent_codec: remote.map(|remote| remote.audio.send().1),
            sent_packet_ms: remote.map_or(0, |remote| remote.audio.send().1.packet_ms(remote.ptime_ms)),
            view: self.reporter.view(),
        }
    }

    /// Packets that came too late, or for which there was no room.
    fn discarded(&self) -> u64 {
        {
            let counters = self.receiver.buffer().counters();
            counters.discarded + counters.overflow
        }
    }

    /// Queues digits to be sent.
    pub fn send_digits(&mut self, digits: &SendDigits) -> Result<(), CommandError> {
        if !self.is_sending() {
            return Err(CommandError::BadParameter("the leg does not send now"));
        }
        self.signals
            .sender()
            .push(digits)
            .map_err(CommandError::LimitReached)
    }

    /// Listens for this from now on.
    pub fn detect(&mut self, now: Time, wanted: Detect, context: &mut Context<'_>) {
        self.signals.detect(self.now_ms(now), self.key, wanted, context);
    }

    /// Tells of its quality every `interval_ms`; 0 is never.
    pub fn report_quality(&mut self, now: Time, interval_ms: u64) {
        self.meter.set_interval(now, interval_ms);
    }

    /// Since the session was opened.
    fn now_ms(&self, now: Time) -> u64 {
        now.millis_since(Time::from_tick(self.tick0))
    }

    /// It is no more: tells what is left to tell, and says BYE.
    pub fn close(&mut self, now: Time, context: &mut Context<'_>) {
        self.signals.close(self.now_ms(now), self.key, context);
        self.leave(now, context.outbox);
    }

    /// Tells the far end, first or anew.
    pub fn connect(&mut self, now: Time, mut remote: LegRemote, context: &mut Context<'_>) {
        let (payload_type, codec) = remote.audio.send();
        let format = Format {
            payload_type,
            codec,
            ptime_ms: codec.packet_ms(remote.ptime_ms),
            opus: remote.opus,
        };
        if self.sender.changes_source(format) {
            // RFC 7160 §4.1: another clock is another source, and the old one says goodbye.
            self.send_compound(now, true, context.outbox);
        }
        self.sender.set_format(format, draw(context.random));
        self.latch.describe(now, self.remote.as_ref(), &remote);
        self.take_keys(remote.srtp.take(), context.random);
        if let Some(before) = self.remote {
            if before.rtp != remote.rtp {
                self.receiver.forget_source();
                self.meter.restart();
                self.reporter.forget_remote();
            }
            if before.receive && !remote.receive {
                self.receiver.forget_audio();
            }
        }
        if !remote.send {
            self.sender.pause();
        }
        self.receiver.connect(remote.jitter, &remote.audio);
        let event_hz = remote.telephone_event.map(|event| event.clock_hz);
        if let Some(event_hz) = event_hz
            && event_hz != self.digits.clock_hz()
        {
            self.digits = DigitReceiver::new(event_hz);
        }
        self.remote = Some(remote);
        self.kept.is_stale = true;
        self.meter.start(now);
        self.reporter.start(now, context.random);
    }

    /// Signalling has settled on these keys, or on none.
    fn take_keys(&mut self, params: Option<SrtpParams>, random: &mut Random) {
        let before = self.srtp.take();
        let Some(params) = params else { return };
        let last_sequence = before
            .as_ref()
            .and_then(|before| before.sender.state().last_rtp)
            .unwrap_or(0) as u16;
        let (sender, receiver) = match before.map(|before| *before) {
            Some(before) => (
                (before.params.send == params.send).then_some(before.sender),
                Some(if before.params.receive == params.receive {
                    before.receiver
                } else {
                    SrtpReceiver::restore(&params.receive, before.receiver.hints())
                }),
            ),
            None => (None, None),
        };
        let sender = sender.unwrap_or_else(|| {
            if self.stats.packets_sent + self.stats.rtcp_sent > 0 {
                // A new source: its rollover counter is zero for everybody, and should the key be an old one again, no
                // index of it is used twice.
                self.sender
                    .set_source(random.next_u64() as u32, last_sequence & 0x8000);
            }
            SrtpSender::new(&params.send)
        });
        let receiver = receiver.unwrap_or_else(|| SrtpReceiver::new(&params.receive));
        self.srtp = Some(Box::new(Srtp {
            params,
            sender,
            receiver,
        }));
    }

    /// The rate of the codec it sends, once it is connected.
    pub fn rate_hz(&self) -> Option<u32> {
        self.remote.map(|remote| remote.audio.send().1.rate_hz())
    }

    /// It is silenced, or no longer.
    pub fn set_mute(&mut self, mute: Mute) {
        self.mute = mute;
        self.kept.is_stale = true;
    }

    /// The session has this rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.session_hz = session_hz;
        self.receiver.set_rate(session_hz);
        self.to_codec
            .retune(session_hz, self.rate_hz().unwrap_or(RATE_HZ));
    }

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
    fn refuse_source(&mut self, from: SocketAddr, ssrc: Option<u32>, context: &mut Context<'_>) {
        self.stats.wrong_source += 1;
        if self.latch.suspect(from, ssrc) {
            context.events.push(Event::LegIntruder { leg: self.key, from });
        }
    }

    fn count_refused(&mut self, refused: Refused) {
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
        digits: impl IntoIterator<Item = Option<crate::dtmf::Digit>>,
        context: &mut Context<'_>,
    ) {
        for digit in digits.into_iter().flatten() {
            self.signals.tell(now, self.key, Method::Event, digit, context);
        }
    }

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

    fn take_compound(&mut self, now: Time, data: &[u8], context: &mut Context<'_>) {
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

    /// Sends one frame: sound, or silence when there is none.
    pub fn say(&mut self, frame: u64, sound: Option<&Frame>, outbox: &mut Outbox) {
        let Some(remote) = self.remote.filter(|remote| remote.send) else {
            return;
        };
        let sound = sound.filter(|_| !self.mute.output);
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
            let out = outbox.writer();
            if let Some(srtp) = &mut self.srtp
                && srtp.sender.protect_rtp(out, start).is_err()
            {
                // The key is used up: what it may not protect is not sent.
                out.truncate(start);
                continue;
            }
            outbox.commit(Destination::Rtp { leg: self.key, to });
            self.stats.packets_sent += 1;
            self.stats.bytes_sent += length as u64;
        }
    }

    fn rtp_to(&self, remote: &LegRemote) -> SocketAddr {
        self.latch.address().unwrap_or(remote.rtp)
    }

    /// Sends an RTP packet that means nothing when we send no other, and the far end is somewhere.
    fn keep_alive(&mut self, now: Time, outbox: &mut Outbox) {
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
        if let Some(srtp) = &mut self.srtp
            && srtp.sender.protect_rtp(out, start).is_err()
        {
            return out.truncate(start);
        }
        outbox.commit(Destination::Rtp { leg: self.key, to });
        self.stats.keep_alives_sent += 1;
    }

    /// Appends the next packet: audio, or the telephone-event that takes its place. Returns the length of its payload.
    fn write_packet(&mut self, remote: &LegRemote, out: &mut Vec<u8>) -> Option<usize> {
        let event = remote
            .telephone_event
            .filter(|_| !self.signals.sender().is_idle());
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

    fn send_compound(&mut self, now: Time, leaving: bool, outbox: &mut Outbox) {
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

/// RFC 3550 §5.1: all three start at random. The sequence number in the lower half: a far end that misses the first
/// packets must not take them for ones after a wrap, which SRTP could never put right (RFC 3711 §3.3.1).
fn draw(random: &mut Random) -> Numbering {
    Numbering {
        ssrc: random.next_u64() as u32,
        sequence: random.next_u64() as u16 & 0x7fff,
        timestamp: random.next_u64() as u32,
    }
}
