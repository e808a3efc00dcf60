//! What a leg says: frames gathered into packets, or cut into them, encoded, and numbered by the [`Timeline`].
//!
//! All packets of a frame leave on the frame's tick: at 10 ms they go in pairs. Opus DTX sends its one-byte packets, so
//! that a silence is no loss in the far end's count (see [`opus`]). Leaves out: addresses and encryption, which are the
//! leg's.

use super::packet::Packet;
use super::timeline::Timeline;
use crate::codec::encoder::Encoder;
use crate::codec::{Codec, MAX_PTIME_MS, opus};
use crate::config::Numbering;
use crate::frame::Frame;
use crate::time::{FRAME_MS, FRAME_TICKS};

/// What is to be sent from the next frame on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The payload type.
    pub payload_type: u8,
    /// Its codec.
    pub codec: Codec,
    /// Sound in a packet, as [`Codec::packet_ms`] gives it.
    pub ptime_ms: u32,
    /// For Opus.
    pub opus: opus::Settings,
}

/// One source, sent.
pub struct Sender {
    timeline: Timeline,
    /// The numbers of the next SSRC, should the clock change.
    fresh: Numbering,
    format: Option<Format>,
    encoder: Option<Encoder>,
    /// Samples of a packet that is not whole yet; at most a frame more than a packet.
    gathered: Vec<i16>,
    /// Where `gathered` ends, in milliseconds from the timeline's origin.
    end_ms: u64,
    /// There is sound in `gathered`, and there was in the packet before.
    sounding: bool,
    talking: bool,
    /// Packets and octets under this SSRC, for sender reports.
    packets: u64,
    octets: u64,
    /// Numbers of this SSRC were used, be it for a keep-alive alone: they never go back.
    numbered: bool,
}

impl Sender {
    /// A source that has said nothing.
    pub fn new(numbering: Numbering) -> Sender {
        Sender {
            timeline: Timeline::new(numbering, Codec::Pcmu.clock_hz(), FRAME_MS),
            fresh: numbering,
            format: None,
            encoder: None,
            gathered: Vec::new(),
            end_ms: 0,
            sounding: false,
            talking: false,
            packets: 0,
            octets: 0,
            numbered: false,
        }
    }

    /// Within a talkspurt.
    pub(crate) fn is_talking(&self) -> bool {
        self.talking
    }

    /// Goes on with the numbers of another process, after [`Sender::set_format`].
    pub(crate) fn resume(&mut self, timeline: Timeline, (packets, octets): (u64, u64), talking: bool) {
        self.timeline = timeline;
        self.numbered = true;
        (self.packets, self.octets) = (packets, octets);
        self.talking = talking;
    }

    /// The numbers.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The SSRC.
    pub fn ssrc(&self) -> u32 {
        self.timeline.numbering.ssrc
    }

    /// Packets and octets of payload under this SSRC (RFC 3550 §6.4.1).
    pub fn counts(&self) -> (u64, u64) {
        (self.packets, self.octets)
    }

    /// Sends in this format from now on. `fresh` are the numbers of the source to be if the clock is another.
    pub fn set_format(&mut self, format: Format, fresh: Numbering) {
        if self.format == Some(format) {
            return;
        }
        let encoder = self.encoder.take();
        let same = self.format.is_some_and(|before| before.opus == format.opus);
        self.encoder = encoder.filter(|encoder| same && encoder.codec() == format.codec);
        self.encoder
            .get_or_insert_with(|| Encoder::new(format.codec, format.opus));
        self.fresh = fresh;
        if !same || self.format.is_some_and(|before| before.codec != format.codec) {
            self.gathered.clear();
            self.end_ms = u64::MAX;
        }
        self.format = Some(format);
        self.gathered
            .reserve((format.codec.rate_hz() / 1_000 * (MAX_PTIME_MS + FRAME_MS)) as usize);
    }

    /// The same numbers go on under another SSRC, the bits of `flip` in the sequence numbers turned over.
    pub fn set_source(&mut self, ssrc: u32, flip: u16) {
        self.timeline.numbering.ssrc = ssrc;
        self.timeline.numbering.sequence ^= flip;
        (self.packets, self.octets) = (0, 0);
    }

    /// Whether `format` needs another source than the one that has been heard of.
    pub fn changes_source(&self, format: Format) -> bool {
        (self.packets > 0 || self.numbered) && format.codec.clock_hz() != self.timeline.clock_hz
    }

    /// Nothing is sent for a while: the next sound begins a talkspurt.
    pub fn pause(&mut self) {
        self.talking = false;
    }

    /// Takes one frame at the codec's rate: sound, or silence when there is none.
    pub fn gather(&mut self, frame: u64, sound: Option<&Frame>) {
        let Some(format) = self.format else { return };
        self.settle(frame, format);
        let per_ms = format.codec.rate_hz() as usize / 1_000;
        let start_ms = self.timeline.millis(frame);
        if self.end_ms != start_ms {
            // Frames were left out, or this is the first: what is before it in its packet is silence.
            self.gathered.clear();
            let offset = (start_ms % u64::from(format.ptime_ms)) as usize;
            self.gathered.resize(offset * per_ms, 0);
            self.sounding = false;
        }
        match sound {
            Some(frame) => self.gathered.extend_from_slice(frame.samples()),
            None => self
                .gathered
                .resize(self.gathered.len() + per_ms * FRAME_MS as usize, 0),
        }
        self.sounding |= sound.is_some();
        self.end_ms = start_ms + FRAME_TICKS;
    }

    /// The timeline follows the format, where that is another.
    fn settle(&mut self, frame: u64, format: Format) {
        let (clock_hz, ptime_ms) = (format.codec.clock_hz(), format.ptime_ms);
        if (clock_hz, ptime_ms) == (self.timeline.clock_hz, self.timeline.ptime_ms) {
            return;
        }
        if self.packets == 0 && !self.numbered {
            self.timeline = Timeline::new(self.timeline.numbering, clock_hz, ptime_ms);
        } else {
            let ssrc = self.ssrc();
            self.timeline = self.timeline.change(frame, clock_hz, ptime_ms, self.fresh);
            if self.ssrc() != ssrc {
                (self.packets, self.octets) = (0, 0);
                self.numbered = false;
            }
        }
        self.end_ms = u64::MAX;
    }

    /// Appends the next whole packet to `out`; returns the length of its payload, or `None` when there is none.
    pub fn next_packet(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        let (header, count) = self.take_header()?;
        let start = out.len();
        header.write_header(out);
        let payload = out.len();
        let encoder = self.encoder.as_mut()?;
        if self.sounding {
            encoder.encode(&self.gathered[..count], out);
        } else {
            encoder.encode_silence(count, out);
        }
        self.talking = self.sounding;
        self.drop_gathered(count);
        let length = out.len() - payload;
        if length == 0 {
            out.truncate(start);
            return None;
        }
        self.packets += 1;
        self.octets += length as u64;
        Some(length)
    }

    /// Appends `payload`, which is no audio, in the place and with the numbers of the next whole packet, but with this
    /// payload type, marker and, if given, timestamp (RFC 4733 §2.5.1.2: that of the start of the event). Returns
    /// whether there was a packet to replace.
    pub fn replace_packet(
        &mut self,
        (payload_type, marker, timestamp): (u8, bool, Option<u32>),
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let Some((header, count)) = self.take_header() else {
            return false;
        };
        let header = Packet {
            marker,
            payload_type,
            timestamp: timestamp.unwrap_or(header.timestamp),
            ..header
        };
        header.write_header(out);
        out.extend_from_slice(payload);
        self.talking = false;
        self.drop_gathered(count);
        self.packets += 1;
        self.octets += payload.len() as u64;
        true
    }

    /// Appends a packet without payload that has the numbers of the one that would be due at `frame`, when nothing else
    /// is sent.
    pub fn write_empty_packet(&mut self, frame: u64, payload_type: u8, out: &mut Vec<u8>) {
        self.numbered = true;
        let millis = self.timeline.millis(frame.max(self.timeline.frame0));
        let packet = millis / u64::from(self.timeline.ptime_ms);
        let header = Packet {
            marker: false,
            payload_type,
            sequence: self.timeline.sequence(packet),
            timestamp: self.timeline.timestamp(packet),
            ssrc: self.ssrc(),
            payload: &[],
        };
        header.write_header(out);
    }

    /// The timestamp of the next whole packet, if there is one.
    pub fn next_timestamp(&self) -> Option<u32> {
        self.take_header().map(|(header, _)| header.timestamp)
    }

    /// The header of the next whole packet and the samples it takes.
    fn take_header(&self) -> Option<(Packet<'static>, usize)> {
        let format = self.format?;
        let per_ms = format.codec.rate_hz() as usize / 1_000;
        let count = per_ms * format.ptime_ms as usize;
        if self.gathered.len() < count {
            return None;
        }
        let packet = (self.end_ms - (self.gathered.len() / per_ms) as u64) / u64::from(format.ptime_ms);
        let header = Packet {
            // RFC 3551 §4.1: the first packet of a talkspurt, and of the stream.
            marker: self.packets == 0 || (self.sounding && !self.talking),
            payload_type: format.payload_type,
            sequence: self.timeline.sequence(packet),
            timestamp: self.timeline.timestamp(packet),
            ssrc: self.ssrc(),
            payload: &[],
        };
        Some((header, count))
    }

    fn drop_gathered(&mut self, count: usize) {
        self.gathered.drain(..count);
        self.sounding &= !self.gathered.is_empty();
    }
}
