//! What was measured of a leg: its counters, gathered from where they are counted, and what goes into its quality.

use super::Leg;
use crate::meter::Surroundings;
use crate::rtp::jitter::UNITS_PER_MS;
use crate::stats::LegStats;

impl Leg {
    /// How long what it says has waited in its jitter buffer lately, in milliseconds.
    pub fn waited_ms(&self) -> u64 {
        self.receiver.buffer().delay_ms().round() as u64
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
    pub(super) fn surroundings(&self) -> Surroundings {
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
    pub(super) fn discarded(&self) -> u64 {
        let counters = self.receiver.buffer().counters();
        counters.discarded + counters.overflow
    }
}
