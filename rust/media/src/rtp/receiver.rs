//! What a leg hears: sequence numbers, jitter buffer, decoder, time-scaling and concealment of one source, as frames of
//! 20 ms at the rate that is asked for.
//!
//! Packets are [decoded](super::decoded) whole into a queue at the codec's own rate; corrections of the delay and the
//! filling of gaps are made there, and the rate is converted behind it.

use super::correction::Correction;
use super::decoded::{Decoded, Licence};
use super::delay::Bounds;
use super::jitter::{Arrival, FRAME_UNITS, JitterBuffer, Kind, Piece};
use super::packet::Packet;
use super::sequence::{SequenceTracker, Verdict};
use crate::codec::{Codec, MAX_PTIME_MS};
use crate::config::PayloadTypes;
use crate::frame::{Converter, Frame};
use crate::time::{RATE_HZ, Time};

/// What a packet was, beyond what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Audio in this codec.
    Audio(Codec),
    /// Comfort noise (RFC 3389).
    Noise,
    /// Valid, but no audio: a telephone-event.
    Pause,
}

/// Counters of what was received; the leg adds its own. The [buffer](JitterBuffer::counters) has more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Came more than once.
    pub duplicate: u64,
    /// Came after a newer one.
    pub reordered: u64,
    /// No payload of its codec, or longer than 60 ms.
    pub malformed: u64,
    /// The far end's SSRC changed.
    pub ssrc_changes: u64,
    /// Jumps of sequence numbers, but for those with which timestamps jump too: these are the buffer's to count.
    pub restarts: u64,
    /// Sound invented, in 1/48 ms.
    pub concealed: u64,
    /// Silence or sound inserted to hold the delay, in 1/48 ms.
    pub inserted: u64,
    /// Silence or sound dropped to hold the delay, in 1/48 ms.
    pub dropped: u64,
}

/// One source, heard.
pub struct Receiver {
    source: Option<(u32, SequenceTracker)>,
    /// A new SSRC and the number its next packet must have to be believed.
    candidate: Option<(u32, u16)>,
    lost_before: u64,
    buffer: JitterBuffer,
    clock_hz: u32,
    decoded: Decoded,
    converter: Converter,
    counters: ReceiverCounters,
}

impl Default for Receiver {
    /// With room for G.711.
    fn default() -> Receiver {
        let mut buffer = JitterBuffer::new(Bounds::default());
        buffer.size_for(Bounds::default(), [Codec::Pcmu].into_iter());
        Receiver {
            source: None,
            candidate: None,
            lost_before: 0,
            buffer,
            clock_hz: RATE_HZ,
            decoded: Decoded::new(Codec::Pcmu),
            converter: Converter::new(RATE_HZ, RATE_HZ),
            counters: ReceiverCounters::default(),
        }
    }
}

impl Receiver {
    /// A receiver with room for what is received with these payload types.
    pub fn new(bounds: Bounds, audio: &PayloadTypes) -> Receiver {
        let mut receiver = Receiver::default();
        receiver.connect(bounds, audio);
        receiver
    }

    /// Other codecs or bounds from now on. What is held is kept, unless it takes other room.
    pub fn connect(&mut self, bounds: Bounds, audio: &PayloadTypes) {
        self.buffer
            .size_for(bounds, audio.entries().iter().map(|(_, codec)| *codec));
        if self.source.is_none() {
            self.decoded.expect(audio.send().1);
        }
    }

    /// The rate of the frames that will be asked for.
    pub fn set_rate(&mut self, rate_hz: u32) {
        self.converter.retune(self.decoded.rate_hz(), rate_hz);
    }

    /// The counters.
    pub fn counters(&self) -> &ReceiverCounters {
        &self.counters
    }

    /// The jitter buffer, to look at.
    pub fn buffer(&self) -> &JitterBuffer {
        &self.buffer
    }

    /// Packets that never came, of this source and those before it.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.source.as_ref().map_or(0, |(_, tracker)| tracker.lost())
    }

    /// The source and its numbers, when a packet has come.
    pub fn source(&mut self) -> Option<(u32, &mut SequenceTracker)> {
        self.source.as_mut().map(|(ssrc, tracker)| (*ssrc, tracker))
    }

    /// Interarrival jitter in milliseconds.
    pub fn jitter_ms(&self) -> f64 {
        self.source.as_ref().map_or(0.0, |(_, tracker)| {
            f64::from(tracker.jitter()) * 1_000.0 / f64::from(self.clock_hz)
        })
    }

    /// Forgets the source: another one is coming. What was counted stays.
    pub fn forget_source(&mut self) {
        self.lost_before = self.lost();
        self.source = None;
        self.candidate = None;
        self.buffer.forget_network();
        self.decoded.clear();
        self.decoded.forget_background();
    }

    /// Goes on with a source of which another process has received up to `newest`.
    pub fn resume(&mut self, ssrc: u32, newest: u64) {
        self.source = Some((ssrc, SequenceTracker::resume(newest)));
    }

    /// The source and its highest number, when a packet has come.
    pub fn newest(&self) -> Option<(u32, u64)> {
        self.source
            .as_ref()
            .map(|(ssrc, tracker)| (*ssrc, tracker.newest()))
    }

    /// Drops what has not been played yet.
    pub fn forget_audio(&mut self) {
        self.buffer.reset();
        self.decoded.clear();
    }

    /// Takes a packet from the right address with a payload type that is known. Returns whether it is new: neither a
    /// duplicate nor part of an unproven jump.
    pub fn receive(&mut self, now: Time, packet: &Packet<'_>, content: Content) -> bool {
        let Some((kind, clock_hz, duration)) = self.measure(packet, content) else {
            self.counters.malformed += 1;
            return false;
        };
        let Some(verdict) = self.judge(packet) else {
            return false;
        };
        let restarted = matches!(verdict, Verdict::Restart(_));
        let (sequence, newest) = match verdict {
            Verdict::Newest(sequence) => (sequence, true),
            Verdict::Reordered(sequence) => {
                self.counters.reordered += 1;
                (sequence, false)
            }
            Verdict::Restart(sequence) => {
                self.forget_transit();
                (sequence, true)
            }
            Verdict::Duplicate => {
                self.counters.duplicate += 1;
                return false;
            }
            Verdict::Jump => return false,
        };
        let Some(kind) = kind else {
            self.counters.restarts += u64::from(restarted);
            self.buffer.pause(sequence);
            return true;
        };
        let arrival = Arrival {
            sequence,
            newest,
            timestamp: packet.timestamp,
            clock_hz,
            kind,
            duration,
            payload: packet.payload,
        };
        let resyncs = self.buffer.counters().resyncs;
        self.take_audio(now, arrival);
        let counted = self.buffer.counters().resyncs != resyncs;
        self.counters.restarts += u64::from(restarted && !counted);
        true
    }

    /// What a packet is to the buffer (`None`: a pause), its clock, and how long it is on it; `None` for what is malformed.
    fn measure(&self, packet: &Packet<'_>, content: Content) -> Option<(Option<Kind>, u32, u32)> {
        let pause = Some((None, self.clock_hz, 0));
        let codec = match content {
            // The static payload type has a clock of 8 kHz, and says nothing on another.
            Content::Noise if self.clock_hz == RATE_HZ && self.buffer.holds(packet.payload.len().max(1)) => {
                return Some((
                    Some(Kind::Noise).filter(|_| !packet.payload.is_empty()),
                    RATE_HZ,
                    0,
                ));
            }
            Content::Noise | Content::Pause => return pause,
            Content::Audio(_) if packet.payload.is_empty() => return pause,
            Content::Audio(codec) => codec,
        };
        let clock_hz = codec.clock_hz();
        let duration = codec.duration(packet.payload)?;
        let fits = duration <= clock_hz / 1_000 * MAX_PTIME_MS
            && packet.payload.len() <= codec.max_payload_bytes()
            && self.buffer.holds(packet.payload.len());
        fits.then_some((Some(Kind::Sound(codec)), clock_hz, duration))
    }

    /// The verdict on the packet's number, or `None` while a new SSRC is unproven.
    fn judge(&mut self, packet: &Packet<'_>) -> Option<Verdict> {
        match &mut self.source {
            Some((ssrc, tracker)) if *ssrc == packet.ssrc => {
                self.candidate = None;
                return Some(tracker.update(packet.sequence));
            }
            // RFC 3550 A.1's probation, for a source that would replace another: two packets in sequence.
            Some(_) if self.candidate != Some((packet.ssrc, packet.sequence)) => {
                self.candidate = Some((packet.ssrc, packet.sequence.wrapping_add(1)));
                return None;
            }
            Some((_, tracker)) => {
                self.lost_before += tracker.lost();
                self.counters.ssrc_changes += 1;
                self.buffer.expect_jump();
            }
            None => {}
        }
        self.candidate = None;
        let tracker = SequenceTracker::new(packet.sequence);
        let first = Verdict::Newest(tracker.newest());
        self.source = Some((packet.ssrc, tracker));
        Some(first)
    }

    fn take_audio(&mut self, now: Time, arrival: Arrival<'_>) {
        let resyncs = self.buffer.counters().resyncs;
        let timestamp = arrival.timestamp;
        if std::mem::replace(&mut self.clock_hz, arrival.clock_hz) != arrival.clock_hz {
            self.forget_transit();
        }
        self.buffer.insert(now, arrival);
        if self.buffer.counters().resyncs != resyncs {
            self.forget_transit();
        }
        if let Some((_, tracker)) = &mut self.source {
            let arrived = now.0 * u64::from(self.clock_hz / 1_000) / 1_000;
            tracker.observe_transit((arrived as u32).wrapping_sub(timestamp));
        }
    }

    /// Timestamps before and after cannot be compared.
    fn forget_transit(&mut self) {
        if let Some((_, tracker)) = &mut self.source {
            tracker.forget_transit();
        }
    }

    /// The next frame of what the far end says.
    pub fn pop_frame(&mut self, now: Time, frame: &mut Frame) {
        let correction = self.buffer.begin_frame(now, self.decoded.queued());
        while self.decoded.needed() > 0 {
            self.pull();
        }
        if let Some(correction) = correction {
            self.correct(correction);
        }
        let rate_hz = self.decoded.rate_hz();
        let played = self.decoded.play();
        if rate_hz == frame.rate_hz() {
            frame.samples_mut().copy_from_slice(played);
            return;
        }
        self.converter.retune(rate_hz, frame.rate_hz());
        let mut heard = Frame::silent(rate_hz);
        heard.samples_mut().copy_from_slice(played);
        if let Some(converted) = self.converter.convert(Some(&heard)) {
            frame.samples_mut().copy_from_slice(converted.samples());
        }
    }

    fn correct(&mut self, correction: Correction) {
        let licence = match correction {
            Correction { anyhow: true, .. } => Licence::Any,
            Correction { in_sound: true, .. } => Licence::Period,
            _ => Licence::Silence,
        };
        let units = correction.units;
        let changed = if correction.shorten {
            // In silence the cut is exact, in sound up to 15 ms: both need that much more than the frame.
            let enough = FRAME_UNITS
                + units.max(if licence > Licence::Silence {
                    FRAME_UNITS
                } else {
                    0
                });
            while self.decoded.queued() < enough && self.buffer.is_ready() {
                self.pull();
            }
            let cut = self.decoded.shorten(units, licence);
            self.counters.dropped += u64::from(cut);
            cut
        } else {
            let added = self.decoded.lengthen(units, licence);
            self.counters.inserted += u64::from(added);
            added
        };
        if changed > 0 {
            self.buffer.corrected();
        }
    }

    /// The next piece of the timeline into the queue.
    fn pull(&mut self) {
        let (wanted, queued) = (self.decoded.needed().max(1), self.decoded.queued());
        self.counters.concealed += u64::from(match self.buffer.next_piece(wanted, queued) {
            Piece::Sound {
                codec,
                payload,
                duration,
                skip,
                ..
            } => {
                self.decoded.expect(codec);
                let good = self.decoded.push_packet(payload, duration, skip);
                self.counters.malformed += u64::from(!good);
                if good { 0 } else { duration - skip }
            }
            Piece::Recoverable(units, codec, next) => {
                self.decoded.expect(codec);
                self.decoded.push_recovered(next, units)
            }
            Piece::Missing(units) => self.decoded.push_missing(units),
            Piece::Pause(units) => {
                self.decoded.push_pause(units);
                0
            }
            Piece::Noise(payload) => {
                self.decoded.describe_pauses(payload);
                0
            }
        });
    }
}
