//! The jitter buffer: packets in, in any order; pieces of one gapless stream of samples out.
//!
//! It holds packets undecoded in slots that are reused, ordered by timestamp. Every method takes the time as an
//! argument, and never reads a clock. Its vocabulary:
//!
//! - *position*: the timestamp of the next sample to be played.
//! - *wait*: how long a packet lay here before its first sample was played. The shortest wait of a window is the reserve
//!   against jitter; it is what the adaptation looks at.
//! - *stretch*: samples played without moving the position, since nothing was there. What comes then is either late
//!   (the position stays: the delay has grown) or after a hole (the hole is as long as the stretch: the position jumps).
//!
//! The rules of adaptation, all in one place:
//!
//! | what is seen | what is done |
//! |---|---|
//! | a packet comes after its time | target up by [`STEP_MS`], at most once a frame, at most [`MAX_TARGET_MS`] |
//! | for [`QUIET_WINDOWS`] windows nothing was late and a lower target would have done | target down by a step |
//! | shortest wait of a window above target + [`SLACK_HIGH_MS`] (fast sender, or target lowered) | drop one frame |
//! | one wait in [`SHORT_SHARE`] of a window below target - [`SLACK_LOW_MS`] (slow sender, or target raised) | insert one frame |
//! | nothing came for [`RESTART_MS`] (pause, hold, stall) | start anew with the next packet |
//! | more than [`MAX_SPAN_MS`] is held | what is older than the target is dropped |
//!
//! The band between the two slacks is wider than a frame, so that one correction never calls for its opposite.

use crate::Codec;
use crate::time::{FRAME_MS, SAMPLES_PER_MS, Time};

/// Packets held at once. Rule when full: the oldest is dropped and counted.
pub const SLOTS: usize = 40;
/// Longest payload: 60 ms of G.711. Longer packets are malformed.
pub const MAX_PAYLOAD_BYTES: usize = 60 * SAMPLES_PER_MS;
/// Bounds of the target delay, which starts at the lower one.
pub const MIN_TARGET_MS: u32 = 20;
/// Upper bound of the target delay.
pub const MAX_TARGET_MS: u32 = 200;
/// Most audio that is held: the highest target, a frame of alignment and the longest packet.
pub const MAX_SPAN_MS: u32 = MAX_TARGET_MS + FRAME_MS + 60;
/// By how much the target moves.
pub const STEP_MS: u32 = 20;
/// Frames over which the shortest wait is taken: two seconds.
pub const WINDOW_FRAMES: u32 = 100;
/// Windows without a late packet before the target may fall: ten seconds.
pub const QUIET_WINDOWS: u32 = 5;
/// A frame is dropped when the shortest wait is this far above the target.
pub const SLACK_HIGH_MS: u32 = 25;
/// A frame is inserted when the shortest wait is this far below the target.
pub const SLACK_LOW_MS: u32 = 15;
/// A frame is inserted when one packet in so many waits too short: a single late wake-up of ours is not a slow sender.
pub const SHORT_SHARE: u32 = 8;
/// Windows a correction waits for silence before it is made in sound.
pub const PATIENCE_WINDOWS: u32 = 3;
/// With nothing to play for so long, the next packet starts a new timeline.
pub const RESTART_MS: u32 = 200;
/// A timestamp this far ahead of the position is a jump, not a pause.
pub const MAX_AHEAD_MS: u32 = 1_000;

const fn samples(millis: u32) -> u32 {
    millis * SAMPLES_PER_MS as u32
}

/// A packet of audio, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Extended sequence number.
    pub sequence: u64,
    /// Nothing newer has come before it.
    pub newest: bool,
    /// RTP timestamp.
    pub timestamp: u32,
    /// What the payload is coded with.
    pub codec: Codec,
    /// The payload, 1..=[`MAX_PAYLOAD_BYTES`] bytes.
    pub payload: &'a [u8],
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It will be played.
    InTime,
    /// It came after its time. It is played all the same if nothing has been played in its place.
    Late,
    /// Its timestamp is far from all others: the timeline starts anew with it.
    Resync,
}

/// A piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Samples, still coded, one byte each.
    Sound(Codec, &'a [u8]),
    /// So many samples are missing: lost or late.
    Missing(usize),
    /// So many samples of silence that nobody sent: a pause.
    Silence(usize),
}

/// A correction of the delay that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Take one frame more than is played. `true`: even if it is not silent.
    Drop(bool),
    /// Play one frame more than is taken. `true`: even if it is not silent.
    Insert(bool),
}

#[derive(Clone, Copy)]
struct Slot {
    sequence: u64,
    timestamp: u32,
    arrival: Time,
    codec: Codec,
    length: u16,
    /// Its first sample has been played, so its wait is known.
    begun: bool,
    payload: [u8; MAX_PAYLOAD_BYTES],
}

const EMPTY: Slot = Slot {
    sequence: 0,
    timestamp: 0,
    arrival: Time(0),
    codec: Codec::Pcmu,
    length: 0,
    begun: false,
    payload: [0; MAX_PAYLOAD_BYTES],
};

impl Slot {
    fn end(&self) -> u32 {
        self.timestamp.wrapping_add(u32::from(self.length))
    }
}

/// How far `timestamp` is ahead of `position`, negative when behind.
fn ahead(timestamp: u32, position: u32) -> i32 {
    timestamp.wrapping_sub(position) as i32
}

/// The jitter buffer of one source.
pub struct JitterBuffer {
    slots: Box<[Slot; SLOTS]>,
    /// Slots in use, by timestamp; behind them the free ones.
    order: [u8; SLOTS],
    used: usize,
    /// `None`: waiting for the first packet to have waited for the target.
    position: Option<u32>,
    /// Of the packet played last, to tell a pause (no number missing) from loss.
    last_sequence: u64,
    /// Of the newest packet that was no audio (telephone-event, comfort noise).
    pause_sequence: u64,
    /// The sender has announced that no audio comes.
    pausing: bool,
    stretch: u32,
    raised_this_frame: bool,
    target_ms: u32,
    window: Window,
    mean_wait_us: u64,
    overflow: u64,
}

/// What is seen between two decisions.
#[derive(Clone, Copy, Default)]
struct Window {
    frames: u32,
    packets: u32,
    short_waits: u32,
    shortest_wait_us: Option<u64>,
    /// Shortest wait since the last late packet or change of the target, and for how many windows.
    quiet: u32,
    quiet_shortest_us: Option<u64>,
    correction: Option<bool>,
    patience: u32,
}

fn shorter(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl Default for JitterBuffer {
    fn default() -> JitterBuffer {
        JitterBuffer {
            slots: Box::new([EMPTY; SLOTS]),
            order: std::array::from_fn(|n| n as u8),
            used: 0,
            position: None,
            last_sequence: 0,
            pause_sequence: 0,
            pausing: false,
            stretch: 0,
            raised_this_frame: false,
            target_ms: MIN_TARGET_MS,
            window: Window::default(),
            mean_wait_us: 0,
            overflow: 0,
        }
    }
}

impl JitterBuffer {
    /// The delay aimed for.
    pub fn target_ms(&self) -> u32 {
        self.target_ms
    }

    /// The mean wait of the packets played lately.
    pub fn delay_ms(&self) -> f64 {
        self.mean_wait_us as f64 / 1_000.0
    }

    /// Packets dropped at a bound since the buffer was made.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Audio held, in samples, from the position (or the first packet) to the end of the last.
    pub fn held(&self) -> u32 {
        let Some(newest) = self.used.checked_sub(1) else {
            return 0;
        };
        let start = self.position.unwrap_or(self.slot(0).timestamp);
        ahead(self.slot(newest).end(), start).max(0) as u32
    }

    /// Drops everything held; the next packet starts a new timeline.
    pub fn reset(&mut self) {
        self.used = 0;
        self.position = None;
        self.stretch = 0;
        self.window = Window::default();
    }

    /// The packet with this number is valid but no audio: silence after it is no loss.
    pub fn pause(&mut self, sequence: u64) {
        self.pause_sequence = self.pause_sequence.max(sequence);
        self.pausing = true;
    }

    /// Takes a packet that is no duplicate.
    pub fn insert(&mut self, now: Time, packet: Arrival<'_>) -> Inserted {
        debug_assert!((1..=MAX_PAYLOAD_BYTES).contains(&packet.payload.len()));
        self.pausing = false;
        let outcome = match self.position {
            None => self.place_before_start(&packet),
            Some(position) => self.place(position, &packet),
        };
        match outcome {
            None => return Inserted::Late,
            Some(Inserted::Resync) => self.reset(),
            Some(_) => {}
        }
        self.store(now, &packet);
        outcome.unwrap_or(Inserted::InTime)
    }

    /// Before the start, packets only have to belong together.
    fn place_before_start(&self, packet: &Arrival<'_>) -> Option<Inserted> {
        let far = self.used > 0
            && ahead(packet.timestamp, self.slot(0).timestamp).unsigned_abs() > samples(MAX_AHEAD_MS);
        Some(if far { Inserted::Resync } else { Inserted::InTime })
    }

    /// Where a packet stands against the position. `None`: wholly behind it.
    fn place(&mut self, position: u32, packet: &Arrival<'_>) -> Option<Inserted> {
        let start = ahead(packet.timestamp, position);
        let end = start.saturating_add(packet.payload.len() as i32);
        if end <= 0 && (packet.newest || start < -(samples(MAX_AHEAD_MS) as i32)) {
            return Some(Inserted::Resync);
        }
        if start > samples(MAX_AHEAD_MS) as i32 {
            return Some(Inserted::Resync);
        }
        if end <= 0 {
            self.raise_target();
            return None;
        }
        Some(self.end_stretch(position, start.max(0) as u32, packet.sequence))
    }

    /// After a stretch: the hole before this packet is paid for by the stretch; what of the stretch is left was lateness.
    fn end_stretch(&mut self, position: u32, hole: u32, sequence: u64) -> Inserted {
        let stretch = std::mem::take(&mut self.stretch);
        self.position = Some(position.wrapping_add(hole.min(stretch)));
        let late = stretch > hole && (hole == 0 || !self.follows_pause(sequence));
        if late {
            self.raise_target();
            return Inserted::Late;
        }
        Inserted::InTime
    }

    fn raise_target(&mut self) {
        if !self.raised_this_frame {
            self.raised_this_frame = true;
            self.target_ms = (self.target_ms + STEP_MS).min(MAX_TARGET_MS);
        }
        self.window.quiet = 0;
        self.window.quiet_shortest_us = None;
    }

    /// No sequence number is missing between what was played last and this packet.
    fn follows_pause(&self, sequence: u64) -> bool {
        sequence == self.last_sequence + 1 || sequence == self.pause_sequence + 1
    }

    fn slot(&self, place: usize) -> &Slot {
        &self.slots[usize::from(self.order[place])]
    }

    fn store(&mut self, now: Time, packet: &Arrival<'_>) {
        if self.used == SLOTS {
            self.release_first();
            self.overflow += 1;
        }
        let place = (0..self.used)
            .rev()
            .find(|&place| ahead(packet.timestamp, self.slot(place).timestamp) >= 0)
            .map_or(0, |place| place + 1);
        self.order[place..=self.used].rotate_right(1);
        let slot = &mut self.slots[usize::from(self.order[place])];
        slot.sequence = packet.sequence;
        slot.timestamp = packet.timestamp;
        slot.arrival = now;
        slot.codec = packet.codec;
        slot.length = packet.payload.len() as u16;
        slot.begun = false;
        slot.payload[..packet.payload.len()].copy_from_slice(packet.payload);
        self.used += 1;
    }

    fn release_first(&mut self) {
        self.order[..self.used].rotate_left(1);
        self.used -= 1;
    }

    /// To be called once before the pieces of each frame: starts, trims, and closes the window of adaptation.
    pub fn begin_frame(&mut self, now: Time) {
        self.raised_this_frame = false;
        if self.position.is_none() && self.used > 0 {
            let first = self.slot(0);
            let oldest = (0..self.used)
                .map(|place| self.slot(place).arrival)
                .min()
                .unwrap_or(first.arrival);
            if now.micros_since(oldest) >= u64::from(self.target_ms) * 1_000 {
                let (timestamp, sequence) = (first.timestamp, first.sequence);
                self.position = Some(timestamp);
                self.last_sequence = sequence.wrapping_sub(1);
                self.stretch = 0;
            }
        }
        self.trim();
        if self.position.is_some() {
            self.window.frames += 1;
            if self.window.frames >= WINDOW_FRAMES {
                self.close_window();
            }
        }
    }

    fn trim(&mut self) {
        let (Some(position), true) = (self.position, self.held() > samples(MAX_SPAN_MS)) else {
            return;
        };
        let excess = self.held() - samples(self.target_ms + FRAME_MS);
        let position = position.wrapping_add(excess);
        self.position = Some(position);
        while self.used > 0 && ahead(self.slot(0).end(), position) <= 0 {
            self.last_sequence = self.slot(0).sequence;
            self.release_first();
            self.overflow += 1;
        }
    }

    fn close_window(&mut self) {
        let window = &mut self.window;
        window.frames = 0;
        window.quiet += 1;
        let shortest = window.shortest_wait_us.take();
        window.quiet_shortest_us = shorter(window.quiet_shortest_us, shortest);
        let lower_would_do = window
            .quiet_shortest_us
            .is_some_and(|wait| wait > u64::from(STEP_MS + STEP_MS / 4) * 1_000);
        if window.quiet >= QUIET_WINDOWS {
            if self.target_ms > MIN_TARGET_MS && lower_would_do {
                self.target_ms -= STEP_MS;
            }
            window.quiet = 0;
            window.quiet_shortest_us = None;
        }
        let (packets, short_waits) = (
            std::mem::take(&mut window.packets),
            std::mem::take(&mut window.short_waits),
        );
        let wanted = if shortest.is_some_and(|wait| wait > u64::from(self.target_ms + SLACK_HIGH_MS) * 1_000)
        {
            Some(true)
        } else {
            (packets > 0 && short_waits * SHORT_SHARE >= packets).then_some(false)
        };
        window.patience = if wanted.is_some() && wanted == window.correction {
            window.patience + 1
        } else {
            0
        };
        window.correction = wanted;
    }

    /// The correction that is due, if any; ask once a frame, after [`JitterBuffer::begin_frame`].
    pub fn correction(&self) -> Option<Correction> {
        let forced = self.window.patience >= PATIENCE_WINDOWS;
        self.position?;
        match self.window.correction? {
            // Only what is there can be dropped, and a frame must be left to play.
            true => (self.held() >= 2 * samples(FRAME_MS)).then_some(Correction::Drop(forced)),
            false => Some(Correction::Insert(forced)),
        }
    }

    /// The correction has been made: the shortest wait is measured anew.
    pub fn corrected(&mut self) {
        self.window = Window::default();
    }

    /// The next piece, of at most `wanted` samples (at least one).
    pub fn next_piece(&mut self, now: Time, wanted: usize) -> Piece<'_> {
        let Some(position) = self.position else {
            return Piece::Silence(wanted);
        };
        while self.used > 0 && ahead(self.slot(0).end(), position) <= 0 {
            self.last_sequence = self.last_sequence.max(self.slot(0).sequence);
            self.release_first();
        }
        if self.used == 0 {
            return self.stretched(wanted);
        }
        let start = ahead(self.slot(0).timestamp, position);
        if start > 0 {
            let hole = wanted.min(start as usize);
            let pause = self.follows_pause(self.slot(0).sequence);
            self.position = Some(position.wrapping_add(hole as u32));
            return if pause {
                Piece::Silence(hole)
            } else {
                Piece::Missing(hole)
            };
        }
        self.sound(now, position, start.unsigned_abs() as usize, wanted)
    }

    fn sound(&mut self, now: Time, position: u32, offset: usize, wanted: usize) -> Piece<'_> {
        let index = usize::from(self.order[0]);
        let slot = &mut self.slots[index];
        if !std::mem::replace(&mut slot.begun, true) {
            let wait = now.micros_since(slot.arrival);
            self.window.shortest_wait_us = shorter(self.window.shortest_wait_us, Some(wait));
            self.window.packets += 1;
            self.window.short_waits += u32::from(wait < u64::from(self.target_ms - SLACK_LOW_MS) * 1_000);
            // Mean over the last sixteen packets or so; the first one sets it.
            self.mean_wait_us = match self.mean_wait_us {
                0 => wait,
                mean => mean - mean / 16 + wait / 16,
            };
        }
        let end = usize::from(slot.length).min(offset + wanted);
        self.position = Some(position.wrapping_add((end - offset) as u32));
        Piece::Sound(slot.codec, &self.slots[index].payload[offset..end])
    }

    /// Nothing is there: time passes, the position stays.
    fn stretched(&mut self, wanted: usize) -> Piece<'static> {
        self.stretch += wanted as u32;
        if self.stretch > samples(RESTART_MS) {
            self.reset();
        }
        if self.pausing {
            Piece::Silence(wanted)
        } else {
            Piece::Missing(wanted)
        }
    }
}
