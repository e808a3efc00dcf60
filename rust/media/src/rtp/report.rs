//! RTCP of one leg: when a report is due, what goes into it, and what the far end's reports say.
//!
//! Simplified from RFC 3550 §6.2 and §6.3: a call has two participants, so the interval is the minimum of five seconds
//! (the first one half of it), randomised to 0.5..1.5 of itself; the bandwidth rule, timer reconsideration and the
//! member table for larger groups are left out.

use super::rtcp::{Compound, ReportBlock, RtcpPacket, SenderInfo, write_cname, write_goodbye, write_report};
use super::sequence::SequenceTracker;
use super::xr::{self, Echo, VoipMetrics};
use crate::random::Random;
use crate::time::Time;

/// The interval before it is randomised.
pub const INTERVAL_MS: u64 = 5_000;
/// Round trips longer than this are nonsense of the far end's, and ignored.
pub const MAX_ROUND_TRIP_MS: f64 = 30_000.0;
/// Hexadecimal digits of a canonical name: 96 random bits (RFC 7022 §5).
const CNAME_BYTES: usize = 24;

/// What the far end reports of what we sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RemoteView {
    /// From LSR and DLSR of the last block that had them, or from the last DLRR (RFC 3611 §4.5).
    pub round_trip_ms: Option<f64>,
    /// Cumulative loss.
    pub lost: Option<i64>,
    /// Packets we had sent when it was told.
    pub expected: Option<u64>,
    /// Loss between the last two of its reports, 0..=1.
    pub fraction_lost: Option<f64>,
    /// Interarrival jitter.
    pub jitter_ms: Option<f64>,
    /// Its VoIP metrics (RFC 3611 §4.7).
    pub metrics: Option<VoipMetrics>,
    /// Reports of it so far.
    pub blocks: u64,
}

/// What a report says of our sending.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Our SSRC.
    pub ssrc: u32,
    /// The RTP timestamp of now.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u64,
    /// Payload bytes sent.
    pub octets: u64,
}

/// What an extended report says beside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extended {
    /// We receive: whoever does and sends nothing has its round trip by its reference time.
    pub receiving: bool,
    /// What we measured.
    pub metrics: Option<VoipMetrics>,
}

/// The RTCP state of one leg.
pub struct Reporter {
    cname: [u8; CNAME_BYTES],
    ntp_at_zero: u64,
    due: Option<Time>,
    /// The last sender report: the middle of its clock, and when it came.
    last_sr: Option<(u32, Time)>,
    /// The last receiver reference time: whose, the middle of its clock, and when it came.
    last_rr: Option<(u32, u32, Time)>,
    /// Packets we had sent at our last report: who has sent none since is no sender (RFC 3550 §6.4).
    reported_packets: u64,
    view: RemoteView,
}

impl Reporter {
    /// A reporter that starts when the leg is connected.
    pub(crate) fn new(ntp_at_zero: u64, random: &mut Random) -> Reporter {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let cname = std::array::from_fn(|_| HEX[random.below(16) as usize]);
        Reporter {
            cname,
            ntp_at_zero,
            due: None,
            last_sr: None,
            last_rr: None,
            reported_packets: 0,
            view: RemoteView::default(),
        }
    }

    /// The canonical name: it stays the same for as long as the leg lives (RFC 3550 §6.5.1).
    pub(crate) fn cname(&self) -> [u8; CNAME_BYTES] {
        self.cname
    }

    /// Goes on under the name of before.
    pub(crate) fn resume(&mut self, cname: [u8; CNAME_BYTES]) {
        self.cname = cname;
    }

    /// What the far end has reported.
    pub fn view(&self) -> RemoteView {
        self.view
    }

    /// The wall clock at `now`, NTP 32.32.
    pub fn ntp(&self, now: Time) -> u64 {
        let fraction = (u128::from(now.0) << 32) / 1_000_000;
        self.ntp_at_zero.wrapping_add(fraction as u64)
    }

    /// Forgets the far end: it is another one now.
    pub fn forget_remote(&mut self) {
        (self.last_sr, self.last_rr) = (None, None);
        self.view = RemoteView::default();
    }

    /// Starts the interval, if it does not run yet.
    pub(crate) fn start(&mut self, now: Time, random: &mut Random) {
        if self.due.is_none() {
            self.due = Some(now.plus_micros(randomised(INTERVAL_MS / 2, random)));
        }
    }

    /// A report is due; the next one is planned.
    pub(crate) fn take_due(&mut self, now: Time, random: &mut Random) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = Some(now.plus_micros(randomised(INTERVAL_MS, random)));
        }
        due
    }

    /// Appends a compound: a sender report if we have sent since the last one, the name, and BYE when `leaving`.
    pub fn write(
        &mut self,
        now: Time,
        sent: Sent,
        source: Option<(u32, &mut SequenceTracker)>,
        extended: Extended,
        leaving: bool,
        out: &mut Vec<u8>,
    ) {
        let info = SenderInfo {
            ntp: self.ntp(now),
            rtp_timestamp: sent.timestamp,
            packets: sent.packets as u32,
            octets: sent.octets as u32,
        };
        let block = source.map(|(ssrc, tracker)| ReportBlock {
            ssrc,
            fraction_lost: tracker.take_fraction_lost(),
            cumulative_lost: tracker.cumulative_lost(),
            highest_sequence: tracker.highest(),
            jitter: tracker.jitter(),
            last_sr: self.last_sr.map_or(0, |(middle, _)| middle),
            delay_since_last_sr: self.last_sr.map_or(0, |(_, came)| delay(now, came)),
        });
        let sending = sent.packets > std::mem::replace(&mut self.reported_packets, sent.packets);
        write_report(out, sent.ssrc, sending.then_some(info), block);
        write_cname(out, sent.ssrc, &self.cname);
        let reference_time = (extended.receiving && !sending).then_some(info.ntp);
        let echo = self.last_rr.map(|(ssrc, last_rr, came)| Echo {
            ssrc,
            last_rr,
            delay: delay(now, came),
        });
        if reference_time.is_some() || echo.is_some() || extended.metrics.is_some() {
            xr::write(out, sent.ssrc, reference_time, echo, extended.metrics.as_ref());
        }
        if leaving {
            write_goodbye(out, sent.ssrc);
        }
    }

    /// Reads a compound of the far end's. BYE is not the end of a call: signalling says when that is.
    pub fn receive(&mut self, now: Time, sent: Sent, clock_hz: u32, compound: Compound<'_>) {
        let ours = sent.ssrc;
        for packet in compound {
            let blocks = match packet {
                RtcpPacket::SenderReport(_, info, blocks) => {
                    self.last_sr = Some(((info.ntp >> 16) as u32, now));
                    blocks
                }
                RtcpPacket::ReceiverReport(_, blocks) => blocks,
                RtcpPacket::ExtendedReport(ssrc, blocks) => {
                    blocks.for_each(|block| self.take_extended(now, ours, ssrc, block));
                    continue;
                }
                RtcpPacket::Goodbye(_) | RtcpPacket::Other(_) => continue,
            };
            blocks
                .filter(|block| block.ssrc == ours)
                .for_each(|block| self.take_block(now, sent, clock_hz, &block));
        }
    }

    fn take_extended(&mut self, now: Time, ours: u32, theirs: u32, block: xr::Block<'_>) {
        match block {
            xr::Block::ReferenceTime(ntp) => self.last_rr = Some((theirs, (ntp >> 16) as u32, now)),
            xr::Block::Dlrr(echoes) => echoes
                .filter(|echo| echo.ssrc == ours && echo.last_rr != 0)
                .for_each(|echo| self.take_round_trip(now, echo.last_rr, echo.delay)),
            xr::Block::VoipMetrics(metrics) if metrics.ssrc == ours => self.view.metrics = Some(metrics),
            xr::Block::VoipMetrics(_) | xr::Block::Other(_) => {}
        }
    }

    fn take_block(&mut self, now: Time, sent: Sent, clock_hz: u32, block: &ReportBlock) {
        self.view.blocks += 1;
        self.view.lost = Some(i64::from(block.cumulative_lost));
        self.view.expected = Some(sent.packets);
        self.view.fraction_lost = Some(f64::from(block.fraction_lost) / 256.0);
        self.view.jitter_ms = Some(f64::from(block.jitter) * 1_000.0 / f64::from(clock_hz.max(1)));
        if block.last_sr != 0 {
            self.take_round_trip(now, block.last_sr, block.delay_since_last_sr);
        }
    }

    /// RFC 3550 §6.4.1: A - LSR - DLSR, in 1/65536 s.
    fn take_round_trip(&mut self, now: Time, last: u32, delay: u32) {
        let middle = (self.ntp(now) >> 16) as u32;
        let round_trip = middle.wrapping_sub(last).wrapping_sub(delay) as i32;
        let round_trip_ms = f64::from(round_trip) * 1_000.0 / 65_536.0;
        // The two fields are rounded: a hair below zero is zero.
        if (-1.0..=MAX_ROUND_TRIP_MS).contains(&round_trip_ms) {
            self.view.round_trip_ms = Some(round_trip_ms.max(0.0));
        }
    }
}

/// From `came` to `now` in 1/65536 s.
fn delay(now: Time, came: Time) -> u32 {
    ((u128::from(now.micros_since(came)) << 16) / 1_000_000).min(u128::from(u32::MAX)) as u32
}

/// A time in microseconds, of `millis` times 0.5..1.5.
fn randomised(millis: u64, random: &mut Random) -> u64 {
    millis * 500 + random.below(millis * 1_000)
}
