//! RTCP extended reports (RFC 3611) as a codec: VoIP metrics, receiver reference time and DLRR; others are skipped.
//!
//! Receiver reference time and DLRR give the round trip to a side that only receives: it has no sender report whose echo
//! it could wait for.

/// The packet type.
pub const EXTENDED_REPORT: u8 = 207;
const REFERENCE_TIME: u8 = 4;
const DLRR: u8 = 5;
const VOIP_METRICS: u8 = 7;
/// Bytes of a VoIP metrics block without its header.
const METRICS_BYTES: usize = 32;
/// A level, an R factor or a MOS that is not known (§4.7).
pub const UNAVAILABLE: u8 = 127;
/// Sub-blocks of a DLRR that are read. Rule for more: they are skipped.
const MAX_DLRR: usize = 32;

/// Packet loss concealment, as the receiver configuration names it (§4.7.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Concealment {
    /// Nothing is known.
    #[default]
    Unspecified,
    /// Silence is put in.
    Disabled,
    /// Better than that.
    Enhanced,
    /// The usual kind.
    Standard,
}

/// One VoIP metrics block (§4.7). What is not known is `None`, and nothing is assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VoipMetrics {
    /// The source it is about.
    pub ssrc: u32,
    /// Packets lost, 0..=1.
    pub loss_rate: f64,
    /// Packets that came too late, 0..=1.
    pub discard_rate: f64,
    /// Packets missing within bursts, 0..=1.
    pub burst_density: f64,
    /// Packets missing within gaps, 0..=1.
    pub gap_density: f64,
    /// Mean length of a burst.
    pub burst_ms: u16,
    /// Mean length of a gap.
    pub gap_ms: u16,
    /// The round trip of RTP's packets; 0 on the wire is "not known" as well.
    pub round_trip_ms: Option<u16>,
    /// From arrival to the ear, and from the mouth to the wire, together.
    pub end_system_ms: Option<u16>,
    /// R factor, 0..=100.
    pub r_factor: Option<u8>,
    /// Listening quality, 1..=5.
    pub mos_lq: Option<f64>,
    /// Conversational quality, 1..=5.
    pub mos_cq: Option<f64>,
    /// The kind of concealment.
    pub concealment: Concealment,
    /// The jitter buffer adapts.
    pub adaptive: bool,
    /// Its nominal, largest and absolutely largest delay.
    pub buffer_ms: [u16; 3],
}

/// One report block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Block<'a> {
    /// The reporter's clock, NTP 32.32 (§4.4).
    ReferenceTime(u64),
    /// Echoes of reference times (§4.5).
    Dlrr(Echoes<'a>),
    /// VoIP metrics (§4.7).
    VoipMetrics(VoipMetrics),
    /// Something else, or one whose length is wrong.
    Other(u8),
}

/// The echo of a reference time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whose reference time it was.
    pub ssrc: u32,
    /// Its middle 32 bits.
    pub last_rr: u32,
    /// Since then, in 1/65536 s.
    pub delay: u32,
}

/// The sub-blocks of a DLRR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echoes<'a>(&'a [u8]);

impl Iterator for Echoes<'_> {
    type Item = Echo;

    fn next(&mut self) -> Option<Echo> {
        let (part, rest) = self.0.split_first_chunk::<12>()?;
        self.0 = rest;
        Some(Echo {
            ssrc: word(part, 0),
            last_rr: word(part, 4),
            delay: word(part, 8),
        })
    }
}

/// The blocks of one extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

impl<'a> Blocks<'a> {
    /// Of a packet's bytes after the reporter's SSRC. A block that is cut off ends them.
    pub fn new(body: &'a [u8]) -> Blocks<'a> {
        Blocks(body)
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (header, rest) = self.0.split_first_chunk::<4>()?;
        let length = 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (body, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(match (header[0], body.len()) {
            (REFERENCE_TIME, 8) => {
                Block::ReferenceTime(u64::from(word(body, 0)) << 32 | u64::from(word(body, 4)))
            }
            (DLRR, length) if length % 12 == 0 => Block::Dlrr(Echoes(&body[..length.min(12 * MAX_DLRR)])),
            (VOIP_METRICS, METRICS_BYTES) => Block::VoipMetrics(read_metrics(body)),
            (other, _) => Block::Other(other),
        })
    }
}

fn read_metrics(body: &[u8]) -> VoipMetrics {
    let half = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let known = |value: u16| (value > 0).then_some(value);
    let rate = |at: usize| f64::from(body[at]) / 256.0;
    let mos = |at: usize| (10..=50).contains(&body[at]).then(|| f64::from(body[at]) / 10.0);
    VoipMetrics {
        ssrc: word(body, 0),
        loss_rate: rate(4),
        discard_rate: rate(5),
        burst_density: rate(6),
        gap_density: rate(7),
        burst_ms: half(8),
        gap_ms: half(10),
        round_trip_ms: known(half(12)),
        end_system_ms: known(half(14)),
        r_factor: (body[20] <= 100).then_some(body[20]),
        mos_lq: mos(22),
        mos_cq: mos(23),
        concealment: match body[24] >> 6 {
            3 => Concealment::Standard,
            2 => Concealment::Enhanced,
            1 => Concealment::Disabled,
            _ => Concealment::Unspecified,
        },
        adaptive: body[24] >> 4 & 3 == 3,
        buffer_ms: [half(26), half(28), half(30)],
    }
}

/// Appends an extended report by `ssrc` with those of the blocks that there are.
pub fn write(
    out: &mut Vec<u8>,
    ssrc: u32,
    reference_time: Option<u64>,
    echo: Option<Echo>,
    metrics: Option<&VoipMetrics>,
) {
    let start = out.len();
    out.extend_from_slice(&[0x80, EXTENDED_REPORT, 0, 0]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(ntp) = reference_time {
        out.extend_from_slice(&[REFERENCE_TIME, 0, 0, 2]);
        out.extend_from_slice(&ntp.to_be_bytes());
    }
    if let Some(echo) = echo {
        out.extend_from_slice(&[DLRR, 0, 0, 3]);
        for word in [echo.ssrc, echo.last_rr, echo.delay] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    if let Some(metrics) = metrics {
        write_metrics(out, metrics);
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

fn write_metrics(out: &mut Vec<u8>, metrics: &VoipMetrics) {
    let rate = |rate: f64| (rate * 256.0).round().clamp(0.0, 255.0) as u8;
    let mos = |mos: Option<f64>| mos.map_or(UNAVAILABLE, |mos| (mos * 10.0).round().clamp(10.0, 50.0) as u8);
    out.extend_from_slice(&[VOIP_METRICS, 0, 0, (METRICS_BYTES / 4) as u8]);
    out.extend_from_slice(&metrics.ssrc.to_be_bytes());
    out.extend_from_slice(&[
        rate(metrics.loss_rate),
        rate(metrics.discard_rate),
        rate(metrics.burst_density),
        rate(metrics.gap_density),
    ]);
    for value in [
        metrics.burst_ms,
        metrics.gap_ms,
        metrics.round_trip_ms.unwrap_or(0),
        metrics.end_system_ms.unwrap_or(0),
    ] {
        out.extend_from_slice(&value.to_be_bytes());
    }
    let concealment = match metrics.concealment {
        Concealment::Standard => 3,
        Concealment::Enhanced => 2,
        Concealment::Disabled => 1,
        Concealment::Unspecified => 0,
    };
    let adaptive = if metrics.adaptive { 3 } else { 2 };
    // Signal, noise and echo levels are not measured, nor is another network's R factor known.
    out.extend_from_slice(&[
        UNAVAILABLE,
        UNAVAILABLE,
        UNAVAILABLE,
        super::bursts::GMIN,
        metrics.r_factor.unwrap_or(UNAVAILABLE),
        UNAVAILABLE,
        mos(metrics.mos_lq),
        mos(metrics.mos_cq),
        concealment << 6 | adaptive << 4,
        0,
    ]);
    for value in metrics.buffer_ms {
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn word(data: &[u8], at: usize) -> u32 {
    data.get(at..at + 4).map_or(0, |bytes| {
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> VoipMetrics {
        VoipMetrics {
            ssrc: 7,
            loss_rate: 0.125,
            discard_rate: 0.0625,
            burst_density: 0.5,
            gap_density: 0.0,
            burst_ms: 160,
            gap_ms: 5_000,
            round_trip_ms: Some(81),
            end_system_ms: None,
            r_factor: Some(88),
            mos_lq: Some(4.2),
            mos_cq: None,
            concealment: Concealment::Standard,
            adaptive: true,
            buffer_ms: [40, 80, 280],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let echo = Echo {
            ssrc: 3,
            last_rr: 0x1234_5678,
            delay: 65_536,
        };
        let mut bytes = Vec::new();
        write(
            &mut bytes,
            9,
            Some(0x0102_0304_0506_0708),
            Some(echo),
            Some(&metrics()),
        );
        assert_eq!(bytes.len(), 8 + 12 + 16 + 36);
        assert_eq!(&bytes[..4], &[0x80, 207, 0, 17]);
        let blocks: Vec<Block<'_>> = Blocks::new(&bytes[8..]).collect();
        assert_eq!(blocks[0], Block::ReferenceTime(0x0102_0304_0506_0708));
        let Block::Dlrr(mut echoes) = blocks[1] else {
            panic!("no echoes")
        };
        assert_eq!((echoes.next(), echoes.next()), (Some(echo), None));
        assert_eq!(blocks[2..], [Block::VoipMetrics(metrics())]);
    }

    #[test]
    fn what_is_not_known_is_unavailable() {
        let mut bytes = Vec::new();
        write(&mut bytes, 9, None, None, Some(&VoipMetrics::default()));
        let body = &bytes[12..];
        assert_eq!(&body[16..24], &[127, 127, 127, 16, 127, 127, 127, 127]);
        let Some(Block::VoipMetrics(read)) = Blocks::new(&bytes[8..]).next() else {
            panic!("no metrics")
        };
        assert_eq!(
            (read.r_factor, read.mos_lq, read.round_trip_ms),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_passed_over() {
        let mut bytes = Vec::new();
        write(&mut bytes, 9, None, None, Some(&metrics()));
        for length in 8..bytes.len() {
            assert_eq!(Blocks::new(&bytes[8..length]).count(), 0, "{length}");
        }
        let strange = [42, 0, 0, 1, 1, 2, 3, 4, VOIP_METRICS, 0, 0, 1, 0, 0, 0, 0];
        let blocks: Vec<Block<'_>> = Blocks::new(&strange).collect();
        assert_eq!(blocks, [Block::Other(42), Block::Other(VOIP_METRICS)]);
    }
}
