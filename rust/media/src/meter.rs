//! The quality of one leg, measured: what became of the far end's packets, and when to tell of it.

use crate::codec::Codec;
use crate::quality::{Direction, Quality, Scorer};
use crate::rtp::bursts::{Bursts, Losses};
use crate::rtp::packet::Packet;
use crate::rtp::report::RemoteView;
use crate::rtp::xr::{Concealment, VoipMetrics};
use crate::time::{FRAME_MS, Time};

/// Shortest interval of reports while a call lasts.
pub const MIN_INTERVAL_MS: u64 = 1_000;
/// Longest interval.
pub const MAX_INTERVAL_MS: u64 = 3_600_000;

/// What of a leg goes into its quality beside the packets' fates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// Interarrival jitter and what the jitter buffer adds, in milliseconds.
    pub jitter_ms: f64,
    pub buffer_ms: f64,
    /// Its nominal and its largest delay.
    pub target_ms: u32,
    pub longest_ms: u32,
    /// The codec and length of the packets we send.
    pub sent_codec: Option<Codec>,
    pub sent_packet_ms: u32,
    /// What the far end reports.
    pub view: RemoteView,
}

/// Measures one leg.
pub(crate) struct Meter {
    bursts: Bursts,
    /// The codec last heard, and how long its packets are.
    codec: Option<Codec>,
    packet_ms: f64,
    last: Option<(u16, u32)>,
    began: Option<Time>,
    /// The last frame.
    now: Time,
    /// Between two tellings; 0 tells nothing.
    interval_ms: u64,
    due: Time,
    told: Losses,
    told_at: Time,
    told_blocks: u64,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            bursts: Bursts::default(),
            codec: None,
            packet_ms: f64::from(FRAME_MS),
            last: None,
            began: None,
            now: Time(0),
            interval_ms: 0,
            due: Time(0),
            told: Losses::default(),
            told_at: Time(0),
            told_blocks: 0,
        }
    }
}

impl Meter {
    /// The leg is connected, first or anew.
    pub fn start(&mut self, now: Time) {
        if self.began.is_none() {
            (self.began, self.told_at, self.now) = (Some(now), now, now);
        }
    }

    /// Tells every `interval_ms` from now on; 0 is never.
    pub fn set_interval(&mut self, now: Time, interval_ms: u64) {
        if interval_ms != self.interval_ms {
            (self.interval_ms, self.due) = (interval_ms, now.plus_millis(interval_ms));
        }
    }

    /// Between two tellings; 0 is never.
    pub fn interval_ms(&self) -> u64 {
        self.interval_ms
    }

    /// A packet was taken. `late`: too late to be heard; `codec`: of its audio.
    pub fn receive(&mut self, packet: &Packet<'_>, late: bool, codec: Option<Codec>) {
        self.bursts.receive(packet.sequence, late);
        let Some(codec) = codec else {
            self.last = None;
            return;
        };
        self.codec = Some(codec);
        let this = (packet.sequence, packet.timestamp);
        if let Some((sequence, timestamp)) = self.last.replace(this)
            && packet.sequence == sequence.wrapping_add(1)
        {
            let length_ms =
                f64::from(packet.timestamp.wrapping_sub(timestamp)) * 1_000.0 / f64::from(codec.clock_hz());
            if (5.0..=120.0).contains(&length_ms) {
                self.packet_ms = length_ms;
            }
        }
    }

    /// The far end starts anew, or is another.
    pub fn restart(&mut self) {
        self.bursts.restart();
        self.last = None;
    }

    /// A frame is run. True when the quality is to be told.
    pub fn is_due(&mut self, now: Time) -> bool {
        self.now = now;
        self.interval_ms > 0 && self.began.is_some() && now >= self.due
    }

    /// The quality since it was last told.
    pub fn take(&mut self, around: &Surroundings) -> Quality {
        let now = self.now;
        self.due = now.plus_millis(self.interval_ms);
        let losses = self.bursts.losses();
        let fresh = around.view.blocks > self.told_blocks;
        let quality = Quality {
            interval_ms: now.millis_since(self.told_at),
            round_trip_ms: around.view.round_trip_ms,
            heard: self.heard(&losses.since(&self.told), around),
            // An old report says nothing of this interval.
            sent: if fresh {
                sent(around, around.view.fraction_lost)
            } else {
                Direction::default()
            },
        };
        (self.told, self.told_at, self.told_blocks) = (losses, now, around.view.blocks);
        quality
    }

    /// The quality of the whole call, were it over now.
    pub fn total(&self, around: &Surroundings) -> Quality {
        let view = &around.view;
        let share = match (view.lost, view.expected) {
            (Some(lost), Some(expected)) if expected > 0 => Some(lost.max(0) as f64 / expected as f64),
            _ => None,
        };
        Quality {
            interval_ms: self.began.map_or(0, |began| self.now.millis_since(began)),
            round_trip_ms: view.round_trip_ms,
            heard: self.heard(&self.bursts.final_losses(), around),
            sent: Direction {
                packets: view.expected,
                ..sent(around, share)
            },
        }
    }

    /// The VoIP metrics block about `ssrc`; `None` before anything was measured.
    pub fn metrics(&self, ssrc: u32, around: &Surroundings) -> Option<VoipMetrics> {
        let losses = self.bursts.losses();
        let heard = self.heard(&losses, around);
        heard.packets?;
        let share = |percent: Option<f64>| percent.unwrap_or(0.0) / 100.0;
        let millis = |millis: f64| millis.clamp(0.0, f64::from(u16::MAX)) as u16;
        let end_system = around.buffer_ms + f64::from(around.sent_packet_ms);
        Some(VoipMetrics {
            ssrc,
            loss_rate: share(heard.loss_pct),
            discard_rate: share(heard.discard_pct),
            burst_density: share(heard.burst_density_pct),
            gap_density: share(heard.gap_density_pct),
            burst_ms: millis(heard.burst_ms.unwrap_or(0.0)),
            gap_ms: millis(heard.gap_ms.unwrap_or(0.0)),
            round_trip_ms: around.view.round_trip_ms.map(millis),
            end_system_ms: Some(millis(end_system)),
            r_factor: heard.r_factor.map(|r| r.round() as u8),
            mos_lq: heard.mos_lq,
            mos_cq: heard.mos_cq,
            concealment: Concealment::Enhanced,
            adaptive: true,
            buffer_ms: [
                millis(f64::from(around.target_ms)),
                millis(f64::from(around.longest_ms)),
                millis(f64::from(around.longest_ms)),
            ],
        })
    }

    fn heard(&self, losses: &Losses, around: &Surroundings) -> Direction {
        let measured = Direction::of_losses(losses, self.packet_ms);
        let (Some(codec), true) = (self.codec, measured.packets.is_some()) else {
            return measured;
        };
        let one_way = |round_trip_ms| round_trip_ms / 2.0 + around.buffer_ms + self.packet_ms;
        let seen = Direction {
            jitter_ms: Some(around.jitter_ms),
            buffer_ms: Some(around.buffer_ms),
            delay_ms: around.view.round_trip_ms.map(one_way),
            ..measured
        };
        seen.scored(codec, losses.burst_ratio().unwrap_or(1.0), Scorer::Measured)
    }
}

/// What the far end says of what we sent; `share` is its loss, 0..=1.
fn sent(around: &Surroundings, share: Option<f64>) -> Direction {
    let view = &around.view;
    let percent = |share: f64| share * 100.0;
    let said = Direction {
        loss_pct: share.map(percent),
        jitter_ms: view.jitter_ms,
        ..Direction::default()
    };
    let Some(metrics) = view.metrics else {
        return match around.sent_codec {
            Some(codec) => said.scored(codec, 1.0, Scorer::ReceiverReport),
            None => said,
        };
    };
    let one_way = |round_trip_ms: f64, there: u16| round_trip_ms / 2.0 + f64::from(there);
    let said = Direction {
        discard_pct: Some(percent(metrics.discard_rate)),
        burst_density_pct: Some(percent(metrics.burst_density)),
        burst_ms: Some(f64::from(metrics.burst_ms)),
        gap_density_pct: Some(percent(metrics.gap_density)),
        gap_ms: Some(f64::from(metrics.gap_ms)),
        delay_ms: view
            .round_trip_ms
            .zip(metrics.end_system_ms)
            .map(|(round_trip_ms, there)| one_way(round_trip_ms, there)),
        ..said
    };
    if metrics.mos_lq.is_none() && metrics.r_factor.is_none() {
        return match around.sent_codec {
            Some(codec) => said.scored(codec, 1.0, Scorer::ReceiverReport),
            None => said,
        };
    }
    Direction {
        r_factor: metrics.r_factor.map(f64::from),
        mos_lq: metrics.mos_lq,
        mos_cq: metrics.mos_cq,
        scored_by: Some(Scorer::VoipMetrics),
        ..said
    }
}
