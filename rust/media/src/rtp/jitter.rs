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
//! | margin above target + [`SLACK_US`] + 1/8 | shorten: in silence at once, in sound with [`patience`] |
//! | margin below target - guard - [`TOLERANCE_US`] | lengthen: likewise, by what brings the next packet into a later frame |
//! | spare, and silence | shorten by it |
//! | late by at most [`SKIP_MS`], and the margin was enough | what was concealed in its place is skipped |
//! | late by more, or the margin was short | the delay has grown; it is shortened if it is too long |
//! | nothing came for [`RESTART_MS`] (pause, hold, stall) | start anew with the next packet |
//! | margin above the upper bound + [`EXCESS_MS`] | what is older than the target is dropped |
//! | timestamps jump, the clock changes, or a new source | the anchor moves so that nothing is heard of it |

use super::delay::{Bounds, DelayEstimator, GUARD_US, LIMIT_MS};
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
/// A margin this far above the target calls for shortening. With the guard below it, the band is wider than a frame, so
/// that one correction never calls for its opposite.
pub const SLACK_US: i64 = 15_000;
/// A margin this far below what the target asks for is let be.
pub const TOLERANCE_US: i64 = 2_000;
/// Lateness up to this is skipped when the margin was enough: the delay does not grow for one straggler.
pub const SKIP_MS: u32 = 20;
/// With nothing to play for so long, the next packet starts anew.
pub const RESTART_MS: u32 = 200;
/// Room for packets when a packet holds 10 ms, at the highest bound.
pub const MAX_SLOTS: usize = slots(LIMIT_MS);
/// What Opus is taken to need at most, on average: 128 kbit/s.
const OPUS_BYTES_PER_MS: u32 = 16;
/// Frames a correction waits for silence before it is made in sound, by how far the margin is off.
const PATIENCE: [(i64, u32); 3] = [(10_000, 150), (40_000, 25), (i64::MAX, 3)];
/// Frames that a correction in sound waits for sound that is like itself.
const UNLIKE_FRAMES: u32 = 25;
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

/// What a packet is to the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound in this codec.
    Sound(Codec),
    /// Comfort noise (RFC 3389): what follows, until the next sound, is to sound like this.
    Noise,
}

/// A packet, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Extended sequence number.
    pub sequence: u64,
    /// Nothing newer has come before it.
    pub newest: bool,
    /// RTP timestamp.
    pub timestamp: u32,
    /// The RTP clock.
    pub clock_hz: u32,
    /// What it is.
    pub kind: Kind,
    /// How long it is on the RTP clock, at most [`MAX_PACKET_MS`]; zero for noise.
    pub duration: u32,
    /// Its payload, not empty.
    pub payload: &'a [u8],
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It will be played.
    InTime,
    /// It came after its time; what is left of it will be played.
    Late,
    /// It came after its time, and something else has been played in its place.
    Discarded,
}

/// A piece of the timeline. Lengths are in units of media time.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A packet of sound.
    Sound {
        /// Its sequence number.
        sequence: u64,
        /// What it is coded with.
        codec: Codec,
        /// Its payload.
        payload: &'a [u8],
        /// How long it is.
        duration: u32,
        /// How much of its start is not to be played.
        skip: u32,
    },
    /// The last part of a hole; the packet that ends it may hold what is missing (in-band FEC).
    Recoverable(u32, Codec, &'a [u8]),
    /// So much is missing: lost or late.
    Missing(u32),
    /// A pause of so much.
    Pause(u32),
    /// What pauses sound like from here on.
    Noise(&'a [u8]),
}

/// A correction of the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Make what is played shorter, otherwise longer.
    pub shorten: bool,
    /// By how much, exactly if possible. In sound, some periods more or less will do.
    pub units: u32,
    /// Even in sound.
    pub in_sound: bool,
    /// Even in sound that is not like itself at any lag.
    pub anyhow: bool,
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
    /// Frames for which a correction has been due, and its direction.
    wanted: (bool, u32),
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
            wanted: (false, 0),
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
        self.wanted = (false, 0);
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
        if is_late && late <= SKIP_MS * UNITS_PER_MS && self.margin_us.is_some_and(|m| m >= self.low_us()) {
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
        let margin = self.cut(margin);
        self.margin_us = Some(margin);
        self.correction(margin)
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

    /// Drops what is too old when the delay is far too long, and gives the margin that is left.
    fn cut(&mut self, margin: i64) -> i64 {
        let longest = i64::from(self.bounds().max_ms + EXCESS_MS) * 1_000;
        let (Some(position), true) = (self.position, margin > longest) else {
            return margin;
        };
        let excess = units(margin - self.delay.target_us());
        let excess = excess.min(i64::from(self.held()) - i64::from(FRAME_UNITS)).max(0);
        let position = position + excess;
        self.position = Some(position);
        while self.packets.first().is_some_and(|slot| slot.end() <= position) {
            self.release_first();
            self.counters.overflow += 1;
        }
        margin - micros(excess)
    }

    fn low_us(&self) -> i64 {
        self.delay.target_us() - GUARD_US - TOLERANCE_US
    }

    fn high_us(&self) -> i64 {
        let target = self.delay.target_us();
        target + SLACK_US + target / 8
    }

    fn correction(&mut self, margin: i64) -> Option<Correction> {
        let (over, under) = (margin - self.high_us(), self.low_us() - margin);
        if over <= 0 && under <= 0 {
            self.wanted.1 = 0;
            return (self.spare > 0).then_some(Correction {
                shorten: true,
                units: self.spare,
                in_sound: false,
                anyhow: false,
            });
        }
        let shorten = over > 0;
        if self.wanted.0 != shorten {
            self.wanted = (shorten, 0);
        }
        self.wanted.1 += 1;
        let off = over.max(under);
        let patience = PATIENCE.iter().find(|(limit, _)| off <= *limit);
        let patience = patience.map_or(0, |(_, frames)| *frames);
        let units = if shorten {
            let grid = units(over).unsigned_abs() as u32;
            (self.spare + grid.next_multiple_of(self.quantum).max(self.quantum)).min(FRAME_UNITS)
        } else {
            self.quantum - self.spare
        };
        Some(Correction {
            shorten,
            units,
            in_sound: self.wanted.1 > patience,
            anyhow: self.wanted.1 > patience + UNLIKE_FRAMES,
        })
    }

    /// The correction has been made.
    pub fn corrected(&mut self) {
        self.wanted.1 = 0;
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

const fn units(micros: i64) -> i64 {
    micros * 6 / 125
}

fn common_measure(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_measure(b, a % b) }
}
