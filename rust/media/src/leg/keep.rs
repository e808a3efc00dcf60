//! What of a leg outlives the process: whom it talks to, under which numbers and keys, the press half received, and its
//! signals (`signals/keep.rs`).
//! What does not, and why: [`crate::record`].

use std::net::SocketAddr;

use super::{Leg, Srtp};
use crate::config::{LegRemote, Mute, Numbering, OpusSettings, PayloadTypes, TelephoneEvent};
use crate::context::Context;
use crate::key::LegKey;
use crate::record::RecordError;
use crate::record::layout::{
    AddressRecord, KeyRecord, LegSetup, LegState, PayloadTypeRecord, SignalsSetup, leg_flags, leg_state_flags,
};
use crate::rtp::delay::{Bounds, LIMIT_MS};
use crate::rtp::timeline::Timeline;
use crate::srtp::{ReceiveState, ReplayWindow, SendState, SourceState, SrtpParams, SrtpReceiver, SrtpSender};
use crate::time::Time;

/// What was kept last of what changes rarely.
#[derive(Default)]
pub(super) struct Kept {
    /// It was connected anew.
    pub is_stale: bool,
    latched: Option<SocketAddr>,
    timeline: Option<Timeline>,
}

/// A leg as it is found.
#[derive(Clone, Copy)]
pub(crate) struct KeptLeg<'a> {
    pub setup: &'a LegSetup,
    pub signals: Option<&'a SignalsSetup>,
    pub state: &'a LegState,
}

impl Leg {
    /// What changes rarely has changed since this was asked last.
    pub fn take_setup_changed(&mut self) -> bool {
        let is_stale = std::mem::take(&mut self.kept.is_stale) | self.signals.take_changed();
        let before = std::mem::replace(&mut self.kept.latched, self.latch.address());
        let timeline = self.kept.timeline.replace(*self.sender.timeline());
        is_stale || before != self.kept.latched || timeline != self.kept.timeline
    }

    /// What changes rarely.
    pub fn keep_setup(&self) -> LegSetup {
        let timeline = self.sender.timeline();
        let mut setup = LegSetup {
            serial: self.key.serial,
            ssrc: timeline.numbering.ssrc,
            timestamp0: timeline.numbering.timestamp,
            sequence0: timeline.numbering.sequence,
            frame0: timeline.frame0,
            clock_hz: timeline.clock_hz,
            number_ms: timeline.ptime_ms,
            cname: self.reporter.cname(),
            quality_interval_ms: self.meter.interval_ms() as u32,
            ..LegSetup::default()
        };
        self.latch.keep(&mut setup);
        if let Some(srtp) = &self.srtp {
            setup.send_key = KeyRecord::new(&srtp.params.send);
            setup.receive_key = KeyRecord::new(&srtp.params.receive);
        }
        for (set, flag) in [
            (self.mute.input, leg_flags::MUTE_INPUT),
            (self.mute.output, leg_flags::MUTE_OUTPUT),
        ] {
            setup.flags |= if set { flag } else { 0 };
        }
        if let Some(remote) = &self.remote {
            keep_remote(remote, &mut setup);
        }
        setup
    }

    /// What changes rarely of its signals, if there is anything.
    pub fn keep_signals(&self) -> Option<SignalsSetup> {
        self.signals
            .has_setup()
            .then(|| self.signals.keep_setup(self.key.serial))
    }

    /// The network is to listen for its voices, and has no weights.
    pub fn lacks_model(&self) -> bool {
        self.signals.lacks_model()
    }

    /// What changes with packets.
    pub fn keep_state(&self) -> LegState {
        let mut state = LegState {
            packets_sent: self.stats.packets_sent,
            bytes_sent: self.stats.bytes_sent,
            rtcp_sent: self.stats.rtcp_sent,
            keep_alives_sent: self.stats.keep_alives_sent,
            packets_received: self.stats.packets_received,
            bytes_received: self.stats.bytes_received,
            ..LegState::default()
        };
        (state.source_packets, state.source_octets) = self.sender.counts();
        if self.sender.is_talking() {
            state.flags |= leg_state_flags::TALKING;
        }
        if let Some((ssrc, newest)) = self.receiver.newest() {
            (state.remote_ssrc, state.remote_newest) = (ssrc, newest);
            state.flags |= leg_state_flags::REMOTE;
        }
        self.digits.keep(&mut state);
        self.signals.keep_state(&mut state);
        self.latch.keep_peer(&mut state);
        if let Some(srtp) = &self.srtp {
            srtp.keep(&mut state);
        }
        state
    }

    /// The leg as it was.
    pub fn restored(
        key: LegKey,
        tick0: u64,
        now: Time,
        kept: KeptLeg<'_>,
        context: &mut Context<'_>,
    ) -> Result<Leg, RecordError> {
        let KeptLeg { setup, state, .. } = kept;
        let has = |flag: u16| setup.flags & flag != 0;
        let timeline = timeline(setup)?;
        let numbering = Some(timeline.numbering);
        let mut leg = Leg::new(key, tick0, numbering, context.config.ntp_at_zero, context.random);
        leg.mute = Mute {
            input: has(leg_flags::MUTE_INPUT),
            output: has(leg_flags::MUTE_OUTPUT),
        };
        leg.reporter.resume(setup.cname);
        if let Some(remote) = remote(setup)? {
            leg.connect(now, remote, context);
        }
        let talking = state.flags & leg_state_flags::TALKING != 0;
        let counts = (state.source_packets, state.source_octets);
        if has(leg_flags::CONNECTED) {
            leg.sender.resume(timeline, counts, talking);
        }
        leg.latch.resume(setup, state);
        if let Some(srtp) = &mut leg.srtp {
            srtp.resume(setup.ssrc, state);
        }
        leg.stats.packets_sent = state.packets_sent;
        leg.stats.bytes_sent = state.bytes_sent;
        leg.stats.rtcp_sent = state.rtcp_sent;
        leg.stats.keep_alives_sent = state.keep_alives_sent;
        leg.stats.packets_received = state.packets_received;
        leg.stats.bytes_received = state.bytes_received;
        if state.flags & leg_state_flags::REMOTE != 0 {
            leg.receiver.resume(state.remote_ssrc, state.remote_newest);
        }
        leg.digits.resume(state);
        leg.meter.set_interval(now, u64::from(setup.quality_interval_ms));
        leg.signals.resume(kept.signals, state)?;
        Ok(leg)
    }
}

impl Srtp {
    /// Indices: those sent, so that none is used again, and those of the source that is heard, so that none is taken
    /// again. Of other sources nothing is kept.
    fn keep(&self, state: &mut LegState) {
        let sent = self.sender.state();
        state.srtp_sent = sent.last_rtp.map_or(0, |index| index + 1);
        state.srtp_packets = sent.packets;
        state.srtcp_sent = sent.last_rtcp;
        let known = self.receiver.state();
        let known = &known.sources[..known.count];
        let heard = known.iter().find(|source| source.ssrc == state.remote_ssrc);
        if let Some(source) = heard.or(known.first()) {
            state.srtp_ssrc = source.ssrc;
            state.srtp_newest = source.rtp.newest;
            (state.srtp_seen_low, state.srtp_seen_high) = halves(source.rtp.seen);
            state.srtcp_newest = source.rtcp.newest;
            (state.srtcp_seen_low, state.srtcp_seen_high) = halves(source.rtcp.seen);
            state.flags |= leg_state_flags::SRTP_REMOTE;
        }
    }

    fn resume(&mut self, ssrc: u32, state: &LegState) {
        let sent = SendState {
            ssrc,
            last_rtp: state.srtp_sent.checked_sub(1),
            last_rtcp: state.srtcp_sent,
            packets: state.srtp_packets,
        };
        self.sender = SrtpSender::restore(&self.params.send, sent);
        if state.flags & leg_state_flags::SRTP_REMOTE == 0 {
            return;
        }
        let window = |newest, low, high| ReplayWindow {
            newest,
            seen: u128::from(high) << 64 | u128::from(low),
        };
        let mut known = ReceiveState {
            count: 1,
            ..ReceiveState::default()
        };
        known.sources[0] = SourceState {
            ssrc: state.srtp_ssrc,
            rtp: window(state.srtp_newest, state.srtp_seen_low, state.srtp_seen_high),
            rtcp: window(state.srtcp_newest, state.srtcp_seen_low, state.srtcp_seen_high),
        };
        self.receiver = SrtpReceiver::restore(&self.params.receive, known);
    }
}

fn halves(seen: u128) -> (u64, u64) {
    (seen as u64, (seen >> 64) as u64)
}

/// The far end. Each field is named here, so that who adds one has to say how it is kept.
fn keep_remote(remote: &LegRemote, setup: &mut LegSetup) {
    let LegRemote {
        rtp,
        rtcp,
        audio,
        telephone_event,
        ptime_ms,
        opus: OpusSettings {
            bitrate_bps,
            fec,
            dtx,
        },
        jitter: Bounds { min_ms, max_ms },
        send,
        receive,
        rtcp_mux,
        also_from,
        // Taken out of it before, and kept with the indices.
        srtp: _,
    } = *remote;
    setup.rtp = Some(rtp).into();
    setup.rtcp = rtcp.into();
    setup.also_from = also_from.map(|ip| SocketAddr::new(ip, 0)).into();
    for (record, (payload_type, codec)) in setup.audio.iter_mut().zip(audio.entries()) {
        *record = PayloadTypeRecord::new(*payload_type, *codec);
    }
    setup.audio_used = audio.entries().len() as u8;
    setup.ptime_ms = ptime_ms;
    setup.jitter_min_ms = min_ms;
    setup.jitter_max_ms = max_ms;
    setup.opus_bitrate_bps = bitrate_bps;
    for (set, flag) in [
        (true, leg_flags::CONNECTED),
        (fec, leg_flags::OPUS_FEC),
        (dtx, leg_flags::OPUS_DTX),
        (send, leg_flags::SEND),
        (receive, leg_flags::RECEIVE),
        (rtcp_mux, leg_flags::RTCP_MUX),
        (telephone_event.is_some(), leg_flags::EVENTS),
    ] {
        setup.flags |= if set { flag } else { 0 };
    }
    if let Some(event) = telephone_event {
        setup.event_payload_type = event.payload_type;
        setup.event_clock_hz = event.clock_hz;
    }
}

/// Where its numbers come from.
fn timeline(setup: &LegSetup) -> Result<Timeline, RecordError> {
    if !(1_000..=192_000).contains(&setup.clock_hz) || !(10..=60).contains(&setup.number_ms) {
        return Err(RecordError::Impossible("clock of a leg"));
    }
    Ok(Timeline {
        frame0: setup.frame0,
        numbering: Numbering {
            ssrc: setup.ssrc,
            sequence: setup.sequence0,
            timestamp: setup.timestamp0,
        },
        clock_hz: setup.clock_hz,
        ptime_ms: setup.number_ms,
    })
}

/// The far end as signalling has described it, once it has.
fn remote(setup: &LegSetup) -> Result<Option<LegRemote>, RecordError> {
    let has = |flag: u16| setup.flags & flag != 0;
    if !has(leg_flags::CONNECTED) {
        return Ok(None);
    }
    let optional = |record: &AddressRecord| (record.family != 0).then(|| record.get()).flatten();
    let entries: Option<Vec<_>> = setup
        .audio
        .iter()
        .take(usize::from(setup.audio_used))
        .map(PayloadTypeRecord::get)
        .collect();
    let audio = entries.and_then(|entries| PayloadTypes::new(&entries));
    if setup.jitter_min_ms > setup.jitter_max_ms || setup.jitter_max_ms > LIMIT_MS {
        return Err(RecordError::Impossible("bounds of the jitter buffer"));
    }
    if setup.event_payload_type > 127 || !(10..=60).contains(&setup.ptime_ms) {
        return Err(RecordError::Impossible("payload type or packet time"));
    }
    Ok(Some(LegRemote {
        rtp: setup
            .rtp
            .get()
            .ok_or(RecordError::Impossible("address of the far end"))?,
        rtcp: optional(&setup.rtcp),
        audio: audio.ok_or(RecordError::Impossible("payload types"))?,
        telephone_event: has(leg_flags::EVENTS).then_some(TelephoneEvent {
            payload_type: setup.event_payload_type,
            clock_hz: setup.event_clock_hz,
        }),
        ptime_ms: setup.ptime_ms,
        jitter: Bounds {
            min_ms: setup.jitter_min_ms,
            max_ms: setup.jitter_max_ms,
        },
        opus: OpusSettings {
            bitrate_bps: setup.opus_bitrate_bps.clamp(6_000, 510_000),
            fec: has(leg_flags::OPUS_FEC),
            dtx: has(leg_flags::OPUS_DTX),
        },
        send: has(leg_flags::SEND),
        receive: has(leg_flags::RECEIVE),
        rtcp_mux: has(leg_flags::RTCP_MUX),
        also_from: optional(&setup.also_from).map(|address| address.ip()),
        srtp: srtp(setup)?,
    }))
}

fn srtp(setup: &LegSetup) -> Result<Option<SrtpParams>, RecordError> {
    if setup.send_key.suite == 0 && setup.receive_key.suite == 0 {
        return Ok(None);
    }
    let keys = setup.send_key.get().zip(setup.receive_key.get());
    let (send, receive) = keys.ok_or(RecordError::Impossible("SRTP key"))?;
    Ok(Some(SrtpParams { send, receive }))
}
