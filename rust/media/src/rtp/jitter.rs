//! The jitter buffer: packets in, in any order; pieces of one gapless timeline out, as they came, not decoded.
//!
//! Every method takes the time as an argument. Its vocabulary:
//!
//! - *media time*: the sender's timeline in units of 1/48000 s, whatever clock the codec has. RTP timestamps are mapped to
//!   it by an anchor; when they jump, the anchor moves and the timeline goes on.
//! - *position*: the media time of what is pulled next. What is queued behind the decoder has been pulled already.
//! - *margin*: how long the fastest packet of late lies here before it is pulled. [`delay`](super::delay) says how
//!   long it should.
//! - *spare*: sound in the queue behind the decoder beyond what the grid of packets and frames needs. It is delay that
//!   buys nothing: packets of 20 ms are pulled on the grid of frames, whether 0 or 19 ms of the last one are left over.
//! - *stretch*: time in which nothing was there to play, so that the position stood. What comes then is either late (the
//!   position stays: the delay has grown) or after a hole (as long as the stretch: the position jumps).
//!
//! | what is seen | what is done |
//! |---|---|
//! | margin out of its band | shorten or lengthen, by [`correction`](super::correction) |
//! | spare, and silence | shorten by it |
//! | late by at most the target (in [`SKIP_MS`]), and the margin was enough | what was concealed in its place is skipped |
//! | late by more, or the margin was short | the delay has grown; it is shortened if it is too long |
//! | nothing came for [`RESTART_MS`] (pause, hold, stall) | start anew with the next packet |
//! | margin above the upper bound + [`EXCESS_MS`] | what is older than the target is dropped |
//! | even the newest packet is older than that | nobody has listened: start anew with the next packet |
//! | timestamps jump, the clock changes, or a new source | the anchor moves so that nothing is heard of it |

use std::ops::RangeInclusive;

use super::correction::{Correction, Corrections, Seen, lowest_margin_us};
use super::delay::{Bounds, DelayEstimator, GUARD_US, LIMIT_MS};
pub use super::pieces::{Arrival, Inserted, Kind, Piece};
use super::store::{PacketStore, Slot};
use super::timestamps::Timestamps;
use crate::Codec;
use crate::time::{FRAME_MS, Time};

/// Media time in a millisecond.
pub const UNITS_PER_MS: u32 = 48;
/// Media time in a frame.
pub const FRAME_UNITS: u32 = FRAME_MS * UNITS_PER_MS;
/// Sound in one packet; longer ones are malformed.
pub const MAX_PACKET_MS: u32 = 60;
/// The margin may exceed the upper bound of the target by so much, after a stall, before the delay is cut.
pub const EXCESS_MS: u32 = 100;
/// Lateness up to the target, within these bounds, is skipped when the margin was enough: the target says that some packets
/// come late, and the delay does not grow for them. Where all come in time, a stall is heard late rather than not at all.
pub const SKIP_MS: RangeInclusive<u32> = 20..=80;
/// With nothing to play for so long, the next packet starts anew.
pub const RESTART_MS: u32 = 200;
/// Room for packets when a packet holds 10 ms, at the highest bound.
pub const MAX_SLOTS: usize = slots(LIMIT_MS);
/// What Opus is taken to need at most, on average: 128 kbit/s.
const OPUS_BYTES_PER_MS: u32 = 16;
/// A payload of Opus this short announces that nothing comes until there is sound again (RFC 6716 §3.1).
const DTX_BYTES: usize = 2;
/// Far behind the frame that is due: our own process slept, and arrival times say nothing.
const MAX_OWN_LATENESS_MS: u64 = 80;

const fn span_ms(max_ms: u32) -> u32 {
    max_ms + EXCESS_MS + MAX_PACKET_MS
}

const fn slots(max_ms: u32) -> usize {
    (span_ms(max_ms) / 10) as usize + 4
}

/// Counted by the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferCounters {
    /// Packets that came after their time.
    pub late: u64,
    /// Packets thrown away since they came too late to be played at all.
    pub discarded: u64,
    /// Packets dropped at a bound.
    pub overflow: u64,
    /// The anchor of the timeline moved.
    pub resyncs: u64,
}

/// The jitter buffer of one source.
pub struct JitterBuffer {
    delay: DelayEstimator,
    packets: PacketStore,
    timestamps: Timestamps,
    /// `None`: waiting for the first packet to have waited long enough.
    position: Option<i64>,
    last_sequence: u64,
    pause_sequence: u64,
    pausing: bool,
    stretch: u32,
    /// Common measure of the packets' length and the frame: by how much the wait of packets can be changed.
    quantum: u32,
    due: Option<Time>,
    margin_us: Option<i64>,
    spare: u32,
    corrections: Corrections,
    mean_wait_us: i64,
    longest_delay_us: i64,
    counters: BufferCounters,
}

impl JitterBuffer {
    /// A buffer without room for anything: see [`JitterBuffer::size_for`].
    pub fn new(bounds: Bounds) -> JitterBuffer {
        JitterBuffer {
            delay: DelayEstimator::new(bounds),
            packets: PacketStore::default(),
            timestamps: Timestamps::default(),
            position: None,
            last_sequence: 0,
            pause_sequence: 0,
            pausing: false,
            stretch: 0,
            quantum: FRAME_UNITS,
            due: None,
            margin_us: None,
            spare: 0,
            corrections: Corrections::default(),
            mean_wait_us: 0,
            longest_delay_us: 0,
            counters: BufferCounters::default(),
        }
    }

    /// Makes room for what these codecs need between these bounds; drops what is held if that is other room than now.
    pub fn size_for(&mut self, bounds: Bounds, codecs: impl Iterator<Item = Codec>) {
        self.delay.set_bounds(bounds);
        let span = span_ms(bounds.max_ms) as usize;
        let bytes = codecs.map(|codec| {
            let each_ms = match codec {
                Codec::Opus => OPUS_BYTES_PER_MS as usize,
                other => other.max_payload_bytes() / MAX_PACKET_MS as usize,
            };
            (span * each_ms).max(2 * codec.max_payload_bytes())
        });
        self.packets
            .make_room(bytes.max().unwrap_or(0), slots(bounds.max_ms));
    }

    /// The counters.
    pub fn counters(&self) -> &BufferCounters {
        &self.counters
    }

    /// The delay aimed for, in milliseconds.
    pub fn target_ms(&self) -> u32 {
        (self.delay.target_us() / 1_000) as u32
    }

    /// The bounds of the target.
    pub fn bounds(&self) -> Bounds {
        self.delay.bounds()
    }

    /// The mean wait of the packets played lately, from arrival to the playing of their first sample, in milliseconds.
    pub fn delay_ms(&self) -> f64 {
        self.mean_wait_us as f64 / 1_000.0
    }

    /// The longest wait of a packet so far, in milliseconds.
    pub fn longest_delay_ms(&self) -> f64 {
        self.longest_delay_us as f64 / 1_000.0
    }

    /// Memory for packets, in bytes.
    pub fn room_bytes(&self) -> usize {
        self.packets.room_bytes()
    }

    /// There is room for a payload of so many bytes at all.
    pub fn holds(&self, bytes: usize) -> bool {
        self.packets.holds(bytes)
    }

    /// Sound held, from the position (or the first packet) to the end of the last, in units.
    pub fn held(&self) -> u32 {
        let (Some(first), Some(last)) = (self.packets.first(), self.packets.last()) else {
            return 0;
        };
        (last.end() - self.position.unwrap_or(first.start)).max(0) as u32
    }

    /// Drops everything held. The next packet starts anew, with what is known of the network.
    pub fn reset(&mut self) {
        self.packets.clear();
        self.due = None;
        self.pausing = false;
        self.idle();
    }

    /// The next packet is of another source: its timestamps have nothing to do with those before.
    pub fn expect_jump(&mut self) {
        self.timestamps.expect_jump();
    }

    /// Forgets the network too: the far end is another one.
    pub fn forget_network(&mut self) {
        self.reset();
        self.timestamps = Timestamps::default();
        self.delay = DelayEstimator::new(self.delay.bounds());
    }

    /// The packet with this number is valid but no sound: silence after it is no loss.
    pub fn pause(&mut self, sequence: u64) {
        self.pause_sequence = self.pause_sequence.max(sequence);
        self.pausing = true;
    }

    fn idle(&mut self) {
        self.position = None;
        self.stretch = 0;
        self.margin_us = None;
        self.corrections = Corrections::default();
        self.delay.restart_base();
    }

    /// Takes a packet that is no duplicate.
    pub fn insert(&mut self, now: Time, packet: Arrival<'_>) -> Inserted {
        debug_assert!(!packet.payload.is_empty() && self.packets.holds(packet.payload.len()));
        let idle = self.position.is_none() && self.packets.is_empty();
        // As if it came without jitter: where a packet goes whose timestamp says nothing.
        let expected = self.delay.base_us().map(|base| units(now.0 as i64 - base));
        let Some((start, moved)) = self.timestamps.place(&packet, idle, expected) else {
            self.counters.late += 1;
            self.counters.discarded += 1;
            return Inserted::Discarded;
        };
        let duration = packet.duration * (48_000 / packet.clock_hz);
        self.counters.resyncs += u64::from(moved);
        let arrival = self.without_own_lateness(now, start);
        let transit_us = arrival.0 as i64 - micros(start);
        self.delay.observe(arrival, transit_us, duration / UNITS_PER_MS);
        if duration > 0 {
            self.quantum = common_measure(duration, FRAME_UNITS);
        }
        self.pausing = match packet.kind {
            Kind::Noise => true,
            Kind::Sound(codec) => codec == Codec::Opus && packet.payload.len() <= DTX_BYTES,
        };
        let slot = Slot::new(packet.sequence, start, duration, arrival, packet.kind, moved);
        let outcome = self.end_stretch(&slot);
        if outcome == Inserted::Discarded {
            self.counters.discarded += 1;
        } else {
            self.store(slot, packet.payload);
        }
        self.counters.late += u64::from(outcome != Inserted::InTime);
        outcome
    }

    /// A packet that is received before a frame is run is in time for it: when the frame is late, so are we, and not the
    /// packet. But it is not taken to be earlier than the fastest.
    fn without_own_lateness(&self, now: Time, start: i64) -> Time {
        let next = self.due.map(|due| due.plus_millis(u64::from(FRAME_MS)));
        let late = |next: &Time| (1..=MAX_OWN_LATENESS_MS * 1_000).contains(&now.micros_since(*next));
        match (next.filter(late), self.delay.base_us()) {
            (Some(next), Some(base)) => now.min(next.max(Time((base + micros(start)).max(0) as u64))),
            _ => now,
        }
    }

    /// After a stretch: the hole before this packet is paid for by the stretch; what of the stretch is left was lateness.
    fn end_stretch(&mut self, slot: &Slot) -> Inserted {
        let Some(position) = self.position else {
            return Inserted::InTime;
        };
        if slot.is_behind(position) {
            return Inserted::Discarded;
        }
        let stretch = std::mem::take(&mut self.stretch);
        let hole = (slot.start - position).clamp(0, i64::from(u32::MAX)) as u32;
        let paid = hole.min(stretch);
        let mut position = position + i64::from(paid);
        let late = stretch - paid;
        let is_late = late > 0 && (hole == 0 || !self.is_pause_before(slot));
        let skipped_ms = self.target_ms().clamp(*SKIP_MS.start(), *SKIP_MS.end());
        let is_enough = |margin| margin >= lowest_margin_us(self.delay.target_us());
        if is_late && late <= skipped_ms * UNITS_PER_MS && self.margin_us.is_some_and(is_enough) {
            position += i64::from(late);
        }
        self.position = Some(position);
        match (is_late, slot.is_behind(position)) {
            (true, true) => Inserted::Discarded,
            (true, false) => Inserted::Late,
            (false, _) => Inserted::InTime,
        }
    }

    /// No sequence number is missing between what was played last and this packet, or none that matters.
    fn is_pause_before(&self, slot: &Slot) -> bool {
        slot.moved || slot.sequence == self.last_sequence + 1 || slot.sequence == self.pause_sequence + 1
    }

    fn store(&mut self, slot: Slot, payload: &[u8]) {
        while !self.packets.has_room(payload.len()) {
            let end = self.packets.first().map(Slot::end);
            self.position = self.position.max(end.filter(|_| self.position.is_some()));
            self.release_first();
            self.counters.overflow += 1;
        }
        self.packets.insert(slot, payload);
    }

    fn release_first(&mut self) {
        let slot = self.packets.remove_first();
        self.last_sequence = self.last_sequence.max(slot.sequence);
    }

    /// To be called once before the pieces of each frame, with the sound that is queued behind the decoder, in units:
    /// starts, cuts what is too long, and measures the margin. Gives the correction that would be right.
    pub fn begin_frame(&mut self, now: Time, queued: u32) -> Option<Correction> {
        let now = self.tell_due(now);
        self.start(now);
        let position = self.position?;
        if self.stretch > 0 {
            return None;
        }
        let base = self.delay.base_us()?;
        let playing = position - i64::from(queued);
        self.spare = queued % self.quantum;
        let unusable = micros(i64::from(FRAME_UNITS - self.quantum + self.spare));
        let margin = now.0 as i64 - micros(playing) - base - unusable;
        let margin = self.cut(margin)?;
        self.margin_us = Some(margin);
        self.corrections.decide(Seen {
            target_us: self.delay.target_us(),
            margin_us: margin,
            quantum: self.quantum,
            spare: self.spare,
        })
    }

    /// When this frame was due: 20 ms after the one before, unless frames have been left out.
    fn tell_due(&mut self, now: Time) -> Time {
        let next = self.due.map(|due| due.plus_millis(u64::from(FRAME_MS)));
        let due = next
            .filter(|next| now.micros_since(*next) <= MAX_OWN_LATENESS_MS * 1_000 && now >= *next)
            .unwrap_or(now);
        self.due = Some(due);
        due
    }

    fn start(&mut self, now: Time) {
        let (None, Some(first), Some(base)) = (self.position, self.packets.first(), self.delay.base_us())
        else {
            return;
        };
        let margin =
            now.0 as i64 - micros(first.start) - base - micros(i64::from(FRAME_UNITS - self.quantum));
        if margin >= self.delay.target_us() - GUARD_US {
            self.position = Some(first.start);
            self.last_sequence = first.sequence.wrapping_sub(1);
            self.stretch = 0;
        }
    }

    /// Drops what is too old when the delay is far too long, and gives the margin that is left; `None` when even the newest
    /// packet is too old: nobody has listened for long, and what comes next starts anew.
    fn cut(&mut self, margin: i64) -> Option<i64> {
        let longest = i64::from(self.bounds().max_ms + EXCESS_MS) * 1_000;
        let (Some(position), true) = (self.position, margin > longest) else {
            return Some(margin);
        };
        let excess = units(margin - self.delay.target_us());
        let excess = excess.min(i64::from(self.held()) - i64::from(FRAME_UNITS)).max(0);
        let position = position + excess;
        self.position = Some(position);
        let margin = margin - micros(excess);
        let is_stale = margin > longest;
        while self
            .packets
            .first()
            .is_some_and(|slot| is_stale || slot.end() <= position)
        {
            self.release_first();
            self.counters.overflow += 1;
        }
        if is_stale {
            self.idle();
            return None;
        }
        Some(margin)
    }

    /// The correction has been made.
    pub fn corrected(&mut self) {
        self.corrections.made();
    }

    /// The next piece is sound that is here, and more of it can be pulled ahead of its time.
    pub fn is_ready(&self) -> bool {
        let (Some(position), Some(first)) = (self.position, self.packets.first()) else {
            return false;
        };
        first.start <= position && first.kind != Kind::Noise
    }

    /// The next piece: a packet, or at most `wanted` units of what is none. `queued` is what is queued behind the decoder.
    pub fn next_piece(&mut self, wanted: u32, queued: u32) -> Piece<'_> {
        let Some(position) = self.position else {
            return Piece::Pause(wanted);
        };
        while self
            .packets
            .first()
            .is_some_and(|slot| slot.duration > 0 && slot.end() <= position)
        {
            self.release_first();
        }
        let Some(&slot) = self.packets.first() else {
            return self.stretched(wanted);
        };
        if slot.start > position {
            return self.hole(slot, position, wanted);
        }
        // Its payload stays where it is until the next packet is stored.
        self.release_first();
        let payload = self.packets.payload(&slot);
        let Kind::Sound(codec) = slot.kind else {
            return Piece::Noise(payload);
        };
        self.position = Some(slot.end());
        if let Some(due) = self.due {
            let wait = due.micros_since(slot.arrival) as i64 + micros(i64::from(queued));
            self.longest_delay_us = self.longest_delay_us.max(wait);
            // Mean over the last sixteen packets or so; the first one sets it.
            self.mean_wait_us = match self.mean_wait_us {
                0 => wait,
                mean => mean - mean / 16 + wait / 16,
            };
        }
        Piece::Sound {
            sequence: slot.sequence,
            codec,
            payload,
            duration: slot.duration,
            skip: (position - slot.start) as u32,
        }
    }

    fn hole(&mut self, slot: Slot, position: i64, wanted: u32) -> Piece<'_> {
        let hole = (slot.start - position).min(i64::from(u32::MAX)) as u32;
        if self.is_pause_before(&slot) {
            let pause = hole.min(wanted);
            self.position = Some(position + i64::from(pause));
            return Piece::Pause(pause);
        }
        if let Kind::Sound(codec @ Codec::Opus) = slot.kind {
            if hole <= slot.duration {
                self.position = Some(slot.start);
                let payload = self.packets.payload(&slot);
                return Piece::Recoverable(hole, codec, payload);
            }
            let missing = (hole - slot.duration).min(FRAME_UNITS);
            self.position = Some(position + i64::from(missing));
            return Piece::Missing(missing);
        }
        let missing = hole.min(wanted);
        self.position = Some(position + i64::from(missing));
        Piece::Missing(missing)
    }

    /// Nothing is there: time passes, the position stays.
    fn stretched(&mut self, wanted: u32) -> Piece<'static> {
        self.stretch += wanted;
        if self.stretch > RESTART_MS * UNITS_PER_MS {
            self.idle();
        }
        if self.pausing {
            Piece::Pause(wanted)
        } else {
            Piece::Missing(wanted)
        }
    }
}

/// Units of media time in microseconds.
const fn micros(units: i64) -> i64 {
    units * 125 / 6
}

pub(super) const fn units(micros: i64) -> i64 {
    micros * 6 / 125
}

fn common_measure(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_measure(b, a % b) }
}
