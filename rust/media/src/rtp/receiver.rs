//! What a leg hears: sequence numbers, jitter buffer, decoder and concealment of one source, as frames of 20 ms.

use super::jitter::{Arrival, Correction, Inserted, JitterBuffer, MAX_PAYLOAD_BYTES, Piece};
use super::packet::Packet;
use super::sequence::{SequenceTracker, Verdict};
use crate::Codec;
use crate::codec::conceal::Concealer;
use crate::codec::g711;
use crate::frame::{Converter, Frame};
use crate::time::{FRAME_SAMPLES, RATE_HZ, SAMPLES_PER_MS, Time};

/// Mean magnitude below which a frame counts as silence (about -46 dBFS).
pub const SILENCE_LEVEL: u32 = 160;

/// What a packet was, beyond what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Audio in this codec.
    Audio(Codec),
    /// Valid, but no audio: a telephone-event or comfort noise.
    Pause,
}

/// Counters of what was received; the leg adds its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Came after their time.
    pub late: u64,
    /// Came more than once.
    pub duplicate: u64,
    /// Came after a newer one.
    pub reordered: u64,
    /// Longer than any packet of 60 ms.
    pub too_long: u64,
    /// The far end's SSRC changed.
    pub ssrc_changes: u64,
    /// The timeline started anew after a jump.
    pub resyncs: u64,
    /// Samples invented.
    pub concealed: u64,
    /// Samples inserted to hold the delay.
    pub inserted: u64,
    /// Samples dropped to hold the delay.
    pub dropped: u64,
}

/// One source, heard.
pub struct Receiver {
    source: Option<(u32, SequenceTracker)>,
    /// A new SSRC and the number its next packet must have to be believed.
    candidate: Option<(u32, u16)>,
    lost_before: u64,
    buffer: JitterBuffer,
    concealer: Concealer,
    counters: ReceiverCounters,
    converter: Converter,
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver {
            source: None,
            candidate: None,
            lost_before: 0,
            buffer: JitterBuffer::default(),
            concealer: Concealer::default(),
            counters: ReceiverCounters::default(),
            converter: Converter::new(RATE_HZ, RATE_HZ),
        }
    }
}

impl Receiver {
    /// The rate of the frames it gives.
    pub fn set_rate(&mut self, rate_hz: u32) {
        self.converter.retune(RATE_HZ, rate_hz);
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
            f64::from(tracker.jitter()) / SAMPLES_PER_MS as f64
        })
    }

    /// Forgets the source: another one is coming. What was counted stays.
    pub fn forget_source(&mut self) {
        self.lost_before = self.lost();
        self.source = None;
        self.candidate = None;
        self.buffer.reset();
    }

    /// Drops what has not been played yet.
    pub fn forget_audio(&mut self) {
        self.buffer.reset();
    }

    /// Takes a packet from the right address with a payload type that is known. Returns whether it is new: neither a
    /// duplicate nor part of an unproven jump.
    pub fn receive(&mut self, now: Time, packet: &Packet<'_>, content: Content) -> bool {
        if packet.payload.len() > MAX_PAYLOAD_BYTES {
            self.counters.too_long += 1;
            return false;
        }
        let Some(verdict) = self.judge(packet) else {
            return false;
        };
        let (sequence, newest) = match verdict {
            Verdict::Newest(sequence) => (sequence, true),
            Verdict::Reordered(sequence) => {
                self.counters.reordered += 1;
                (sequence, false)
            }
            Verdict::Restart(sequence) => {
                self.restart_timeline();
                (sequence, true)
            }
            Verdict::Duplicate => {
                self.counters.duplicate += 1;
                return false;
            }
            Verdict::Jump => return false,
        };
        match content {
            Content::Pause => self.buffer.pause(sequence),
            Content::Audio(_) if packet.payload.is_empty() => self.buffer.pause(sequence),
            Content::Audio(codec) => self.take_audio(
                now,
                packet,
                Arrival {
                    sequence,
                    newest,
                    timestamp: packet.timestamp,
                    codec,
                    payload: packet.payload,
                },
            ),
        }
        true
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
                self.buffer.reset();
            }
            None => {}
        }
        self.candidate = None;
        let tracker = SequenceTracker::new(packet.sequence);
        let first = Verdict::Newest(tracker.newest());
        self.source = Some((packet.ssrc, tracker));
        Some(first)
    }

    fn restart_timeline(&mut self) {
        self.counters.resyncs += 1;
        self.buffer.reset();
        if let Some((_, tracker)) = &mut self.source {
            tracker.forget_transit();
        }
    }

    fn take_audio(&mut self, now: Time, packet: &Packet<'_>, arrival: Arrival<'_>) {
        match self.buffer.insert(now, arrival) {
            Inserted::InTime => {}
            Inserted::Late => self.counters.late += 1,
            Inserted::Resync => self.restart_timeline_kept(),
        }
        if let Some((_, tracker)) = &mut self.source {
            let arrival_samples = (now.0 / 125) as u32;
            tracker.observe_transit(arrival_samples.wrapping_sub(packet.timestamp));
        }
    }

    /// As [`Receiver::restart_timeline`], but the buffer has restarted itself and holds the packet.
    fn restart_timeline_kept(&mut self) {
        self.counters.resyncs += 1;
        if let Some((_, tracker)) = &mut self.source {
            tracker.forget_transit();
        }
    }

    /// The next frame of what the far end says.
    pub fn pop_frame(&mut self, now: Time, frame: &mut Frame) {
        let mut samples = [0; FRAME_SAMPLES];
        self.pop_samples(now, &mut samples);
        let mut heard = Frame::silent(RATE_HZ);
        heard.samples_mut().copy_from_slice(&samples);
        if let Some(converted) = self.converter.convert(Some(heard)) {
            *frame = converted;
        }
    }

    fn pop_samples(&mut self, now: Time, frame: &mut [i16; FRAME_SAMPLES]) {
        self.buffer.begin_frame(now);
        if let Some(Correction::Insert(forced)) = self.buffer.correction()
            && (forced || self.concealer.is_quiet(FRAME_SAMPLES, SILENCE_LEVEL))
        {
            self.concealer.conceal(frame);
            self.counters.inserted += FRAME_SAMPLES as u64;
            self.buffer.corrected();
            return;
        }
        self.fill(now, frame);
        if let Some(Correction::Drop(forced)) = self.buffer.correction()
            && (forced || self.concealer.is_quiet(FRAME_SAMPLES, SILENCE_LEVEL))
        {
            let first = *frame;
            self.fill(now, frame);
            for (n, sample) in frame.iter_mut().enumerate() {
                let (old, new) = (i32::from(first[n]), i32::from(*sample));
                *sample = ((old * (FRAME_SAMPLES - n) as i32 + new * n as i32) / FRAME_SAMPLES as i32) as i16;
            }
            self.counters.dropped += FRAME_SAMPLES as u64;
            self.buffer.corrected();
        }
    }

    fn fill(&mut self, now: Time, frame: &mut [i16; FRAME_SAMPLES]) {
        let mut done = 0;
        while done < FRAME_SAMPLES {
            let rest = &mut frame[done..];
            done += match self.buffer.next_piece(now, rest.len()) {
                Piece::Sound(codec, codes) => {
                    let part = &mut rest[..codes.len()];
                    if let Some(law) = codec.law() {
                        g711::decode(law, codes, part);
                    }
                    self.concealer.good(part);
                    part.len()
                }
                Piece::Missing(count) => {
                    self.counters.concealed += self.concealer.conceal(&mut rest[..count]) as u64;
                    count
                }
                Piece::Silence(count) => {
                    rest[..count].fill(0);
                    self.concealer.good(&mut rest[..count]);
                    count
                }
            };
        }
    }
}
