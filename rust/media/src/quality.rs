//! How good a call sounds, as an opinion score (MOS) made of what was measured, by the E-model of ITU-T G.107.
//!
//! Narrowband G.711 only: for it G.113 publishes the impairment and the robustness to loss (with concealment of the
//! Appendix I class, Ie = 0 and Bpl = 25.1). For G.722, Opus and L16 no score is given: G.107.1 has another scale, on which
//! G.113 has no robustness figure for our decoders, and a guess is no measurement. Echo, noise and levels are not measured
//! either: they are taken at the E-model's defaults, which is what "by the E-model" leaves to be said. Delay is never
//! taken at a default: without a round trip there is no conversational score.
//!
//! Leaves out: the advantage factor, and everything that only a microphone could tell.

use crate::codec::Codec;
use crate::rtp::bursts::Losses;

/// R of a connection with nothing wrong, with G.107's default values (06/2015, §7.7): Ro - Is.
const BEST_R: f64 = 93.2;
/// G.113 Appendix I: loss robustness of G.711 with concealment, for random loss (4.3 without).
const BPL_G711_PLC: f64 = 25.1;
/// G.113 Appendix I: equipment impairment of G.711, with concealment or without.
const IE_G711: f64 = 0.0;

/// What a score is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairments {
    /// Packets lost or discarded, 0..=1.
    pub loss: f64,
    /// How bursty the loss is: 1 for random loss (BurstR).
    pub burst_ratio: f64,
    /// Mouth to ear, one way, when it is known.
    pub delay_ms: Option<f64>,
}

/// A score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The transmission rating, conversational when the delay is known, else of listening.
    pub r_factor: f64,
    /// Listening quality: what loss and codec do.
    pub mos_lq: f64,
    /// Conversational quality: with the delay.
    pub mos_cq: Option<f64>,
}

/// The score of a codec under impairments; `None` where no published figures say how it stands them.
pub fn score(codec: Codec, seen: Impairments) -> Option<Score> {
    if !matches!(codec, Codec::Pcmu | Codec::Pcma) {
        return None;
    }
    let listening = BEST_R - effective_impairment(seen.loss, seen.burst_ratio);
    let conversing = seen
        .delay_ms
        .map(|delay_ms| listening - delay_impairment(delay_ms));
    Some(Score {
        r_factor: conversing.unwrap_or(listening).clamp(0.0, 100.0),
        mos_lq: mos(listening),
        mos_cq: conversing.map(mos),
    })
}

/// Ie-eff (G.107 §7.5 (7-29)).
fn effective_impairment(loss: f64, burst_ratio: f64) -> f64 {
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    IE_G711 + (95.0 - IE_G711) * percent / (percent / burst_ratio.max(1.0) + BPL_G711_PLC)
}

/// Shortest delay that is perceived (mT), of G.107's default class of delay sensitivity, whose exponent (sT) is 1.
const PERCEIVED_DELAY_MS: f64 = 100.0;

/// Idd (G.107 §7.4): the absolute delay, echo perfectly cancelled.
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= PERCEIVED_DELAY_MS {
        return 0.0;
    }
    let x = (delay_ms / PERCEIVED_DELAY_MS).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

/// The opinion score of a rating (G.107 Annex B).
pub fn mos(r: f64) -> f64 {
    match r {
        r if r <= 0.0 => 1.0,
        r if r >= 100.0 => 4.5,
        // Below 6.5 the formula dips under 1.
        r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
    }
}

/// What was measured of one direction. Nothing that was not is anything but `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Direction {
    /// Packets whose fate is settled (of the whole call: all); for the far end's report, those it expected.
    pub packets: Option<u64>,
    /// Packets that never came, in percent.
    pub loss_pct: Option<f64>,
    /// Packets that came too late to be heard, in percent.
    pub discard_pct: Option<f64>,
    /// Packets missing within bursts, in percent of the packets of bursts.
    pub burst_density_pct: Option<f64>,
    /// Mean length of a burst.
    pub burst_ms: Option<f64>,
    /// Packets missing outside of bursts, in percent.
    pub gap_density_pct: Option<f64>,
    /// Mean time between bursts.
    pub gap_ms: Option<f64>,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter_ms: Option<f64>,
    /// What the jitter buffer adds now.
    pub buffer_ms: Option<f64>,
    /// One way, from half of the round trip and what is known of both ends.
    pub delay_ms: Option<f64>,
    /// The transmission rating (G.107).
    pub r_factor: Option<f64>,
    /// Listening quality.
    pub mos_lq: Option<f64>,
    /// Conversational quality.
    pub mos_cq: Option<f64>,
    /// Whose the scores are.
    pub scored_by: Option<Scorer>,
}

/// Who made a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scorer {
    /// We, from what we measured.
    Measured,
    /// We, from the loss that the far end's receiver reports tell.
    ReceiverReport,
    /// The far end itself, in its VoIP metrics (RFC 3611).
    VoipMetrics,
}

impl Scorer {
    /// The word the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scorer::Measured => "measured",
            Scorer::ReceiverReport => "receiver_report",
            Scorer::VoipMetrics => "voip_metrics",
        }
    }
}

/// The quality of a leg: over an interval, or over the whole call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// What it covers.
    pub interval_ms: u64,
    /// By RTCP.
    pub round_trip_ms: Option<f64>,
    /// What we heard.
    pub heard: Direction,
    /// What the far end heard of us.
    pub sent: Direction,
}

impl Direction {
    /// What settled packets of `packet_ms` say.
    pub(crate) fn of_losses(losses: &Losses, packet_ms: f64) -> Direction {
        let percent = |share: Option<f64>| share.map(|share| share * 100.0);
        let part = |count: u64| (losses.expected > 0).then(|| count as f64 * 100.0 / losses.expected as f64);
        Direction {
            packets: (losses.expected > 0).then_some(losses.expected),
            loss_pct: part(losses.lost),
            discard_pct: part(losses.discarded),
            burst_density_pct: percent(losses.burst_density()),
            burst_ms: losses.burst_packets().map(|packets| packets * packet_ms),
            gap_density_pct: percent(losses.gap_density()),
            gap_ms: losses
                .gap_packets()
                .filter(|packets| *packets > 0.0)
                .map(|packets| packets * packet_ms),
            ..Direction::default()
        }
    }

    /// With the score of `codec`, where there is one.
    pub(crate) fn scored(self, codec: Codec, burst_ratio: f64, scorer: Scorer) -> Direction {
        let (Some(loss), discard) = (self.loss_pct, self.discard_pct.unwrap_or(0.0)) else {
            return self;
        };
        let seen = Impairments {
            loss: (loss + discard) / 100.0,
            burst_ratio,
            delay_ms: self.delay_ms,
        };
        let Some(score) = score(codec, seen) else {
            return self;
        };
        Direction {
            r_factor: Some(score.r_factor),
            mos_lq: Some(score.mos_lq),
            mos_cq: score.mos_cq,
            scored_by: Some(scorer),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(loss: f64, burst_ratio: f64, delay_ms: Option<f64>) -> Score {
        let seen = Impairments {
            loss,
            burst_ratio,
            delay_ms,
        };
        score(Codec::Pcmu, seen).unwrap()
    }

    fn near(value: f64, expected: f64, by: f64) {
        assert!((value - expected).abs() <= by, "{value} is not {expected}");
    }

    #[test]
    fn the_scores_are_those_of_the_tables() {
        // G.107 Annex B: R of 93.2 is a MOS of 4.41; of 80 4.03, of 70 3.60, of 60 3.10, of 50 2.58.
        for (r, expected) in [
            (93.2, 4.41),
            (80.0, 4.03),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
        ] {
            near(mos(r), expected, 0.01);
        }
        assert_eq!((mos(-1.0), mos(3.0), mos(100.0)), (1.0, 1.0, 4.5));
        // Ie-eff at 1, 3, 5 and 10 % of random loss with Bpl 25.1.
        for (loss, expected) in [(0.01, 3.64), (0.03, 10.14), (0.05, 15.78), (0.10, 27.07)] {
            near(effective_impairment(loss, 1.0), expected, 0.01);
        }
        // Idd: nothing to 100 ms; the formula by hand at 200, 300 and 400 ms.
        for (delay, expected) in [(100.0, 0.0), (200.0, 3.04), (300.0, 14.76), (400.0, 24.07)] {
            near(delay_impairment(delay), expected, 0.01);
        }
    }

    #[test]
    fn loss_bursts_and_delay_each_make_it_worse() {
        let clean = with(0.0, 1.0, None);
        near(clean.mos_lq, 4.41, 0.01);
        assert_eq!(clean.mos_cq, None, "no delay was measured");
        let lossy = with(0.03, 1.0, Some(50.0));
        let bursty = with(0.03, 2.0, Some(50.0));
        let late = with(0.03, 1.0, Some(350.0));
        assert!(clean.mos_lq > lossy.mos_lq && lossy.mos_lq > bursty.mos_lq);
        assert_eq!(late.mos_lq, lossy.mos_lq);
        assert!(late.mos_cq < lossy.mos_cq);
    }

    #[test]
    fn codecs_without_published_figures_have_no_score() {
        let clean = Impairments {
            loss: 0.0,
            burst_ratio: 1.0,
            delay_ms: None,
        };
        assert_eq!(score(Codec::G722, clean), None);
        assert_eq!(score(Codec::Opus, clean), None);
        assert_eq!(score(Codec::L16(8_000), clean), None);
    }

    #[test]
    fn what_was_not_measured_is_not_told() {
        let nothing = Direction::of_losses(&Losses::default(), 20.0);
        assert_eq!(nothing, Direction::default());
        assert_eq!(
            nothing.scored(Codec::Pcmu, 1.0, Scorer::Measured),
            Direction::default()
        );
    }
}
