//! The recording tap: who said what in one tick, in the layout that was asked for, at one rate from beginning to end.

use crate::config::Layout;
use crate::frame::{Converter, Frame};
use crate::key::{LegKey, RecordingKey};
use crate::limiter::Limiter;
use crate::mix::Mixer;
use crate::outbox::Outbox;
use crate::record::RecordError;
use crate::record::layout::RecordingState;
use crate::time::{FRAME_MS, frame_samples};
use crate::{Destination, Track};

/// Longest run of skipped frames that is filled with silence at once: a minute. Beyond it the recording is shorter than
/// the call, rather than that one session fills the arena.
pub const MAX_FILL_FRAMES: u64 = 3_000;

/// What there is to record of one frame, at the session's rate.
#[derive(Clone, Copy)]
pub(crate) struct Taps<'a> {
    /// What the first leg said.
    pub heard: Option<&'a Frame>,
    /// What the first leg was sent.
    pub sent: Option<&'a Frame>,
    /// What all legs said together.
    pub legs: Option<&'a Frame>,
    /// What streams and playbacks said.
    pub said: Option<&'a Frame>,
}

impl Taps<'_> {
    /// Nobody said anything.
    pub const SILENCE: Taps<'static> = Taps {
        heard: None,
        sent: None,
        legs: None,
        said: None,
    };
}

/// One recording of a session.
pub(crate) struct Recording {
    layout: Layout,
    /// Of the recording.
    rate_hz: u32,
    /// Of the session.
    session_hz: u32,
    frames: u64,
    /// Left and right; of the others the first alone is used.
    converters: [Converter; 2],
    /// Of the legs that have a track of their own.
    parties: Vec<(LegKey, Converter)>,
    limiter: Limiter,
}

impl Recording {
    /// At this rate, of a session at another.
    pub fn new(layout: Layout, rate_hz: u32, session_hz: u32) -> Recording {
        Recording {
            layout,
            rate_hz,
            session_hz,
            frames: 0,
            converters: [(); 2].map(|()| Converter::new(session_hz, rate_hz)),
            parties: Vec::new(),
            limiter: Limiter::default(),
        }
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.session_hz = session_hz;
        for converter in &mut self.converters {
            converter.retune(session_hz, self.rate_hz);
        }
        for (_, converter) in &mut self.parties {
            converter.retune(session_hz, self.rate_hz);
        }
    }

    /// Makes one frame, s16le; two channels are interleaved. `parties` is what each leg said.
    pub fn write<'a>(
        &mut self,
        key: RecordingKey,
        taps: Taps<'_>,
        parties: impl Iterator<Item = (LegKey, &'a Frame)>,
        outbox: &mut Outbox,
    ) {
        match self.layout {
            Layout::Stereo => {
                let [left, right] = &mut self.converters;
                let pair = [left.convert(taps.heard), right.convert(taps.sent)];
                commit(key, Track::All, self.rate_hz, &pair, outbox);
            }
            Layout::Mono => {
                let mixed = self.mix(taps);
                let mixed = self.converters[0].convert(mixed.as_ref());
                commit(key, Track::All, self.rate_hz, &[mixed], outbox);
            }
            Layout::Parties => {
                // First, and in every frame: it is the clock of the others.
                let said = self.converters[0].convert(taps.said);
                commit(key, Track::Streams, self.rate_hz, &[said], outbox);
                for (leg, frame) in parties {
                    let rate_hz = self.rate_hz;
                    let heard = self.converter_of(leg).convert(Some(frame));
                    commit(key, Track::Leg(leg), rate_hz, &[heard], outbox);
                }
            }
        }
        self.frames += 1;
    }

    fn mix(&mut self, taps: Taps<'_>) -> Option<Frame> {
        let mut mixer = Mixer::new(self.session_hz);
        taps.legs
            .into_iter()
            .chain(taps.said)
            .for_each(|frame| mixer.add(frame));
        mixer.all(&mut self.limiter)
    }

    /// A leg that joins gets one; one that has left keeps nothing that another could want.
    fn converter_of(&mut self, leg: LegKey) -> &mut Converter {
        let at = self.parties.iter().position(|(other, _)| *other == leg);
        let at = at.unwrap_or_else(|| {
            self.parties
                .push((leg, Converter::new(self.session_hz, self.rate_hz)));
            self.parties.len() - 1
        });
        &mut self.parties[at].1
    }

    /// A leg has left.
    pub fn forget(&mut self, leg: LegKey) {
        self.parties.retain(|(other, _)| *other != leg);
    }

    /// Silence in place of frames that were skipped, so that time in the file is time of the call.
    pub fn fill(&mut self, key: RecordingKey, frames: u64, outbox: &mut Outbox) {
        let legs: Vec<LegKey> = self.parties.iter().map(|(leg, _)| *leg).collect();
        let silence = Frame::silent(self.session_hz);
        for _ in 0..frames.min(MAX_FILL_FRAMES) {
            let parties = legs.iter().map(|leg| (*leg, &silence));
            self.write(key, Taps::SILENCE, parties, outbox);
        }
    }

    /// What of it outlives the process; where it is written is the runtime's to keep.
    pub fn keep(&self, serial: u32) -> RecordingState {
        RecordingState {
            frames: self.frames,
            serial,
            layout: self.layout as u32,
            rate_hz: self.rate_hz,
            reserved: 0,
        }
    }

    /// Goes on after the frames that were written.
    pub fn restored(kept: &RecordingState, session_hz: u32) -> Result<Recording, RecordError> {
        let mut layouts = [Layout::Stereo, Layout::Mono, Layout::Parties].into_iter();
        let layout = layouts
            .find(|layout| *layout as u32 == kept.layout)
            .filter(|_| matches!(kept.rate_hz, 8_000 | 16_000 | 24_000 | 48_000))
            .ok_or(RecordError::Impossible("layout or rate of a recording"))?;
        Ok(Recording {
            frames: kept.frames,
            ..Recording::new(layout, kept.rate_hz, session_hz)
        })
    }

    /// Its length so far.
    pub fn duration_ms(&self) -> u64 {
        self.frames * u64::from(FRAME_MS)
    }
}

/// One frame of a track, its channels interleaved; nothing in a channel is silence.
fn commit(key: RecordingKey, track: Track, rate_hz: u32, channels: &[Option<&Frame>], outbox: &mut Outbox) {
    let out = outbox.writer();
    let start = out.len();
    out.resize(start + 2 * channels.len() * frame_samples(rate_hz), 0);
    for (channel, frame) in channels.iter().enumerate() {
        let Some(frame) = frame else { continue };
        for (place, sample) in out[start + 2 * channel..]
            .chunks_mut(2 * channels.len())
            .zip(frame.samples())
        {
            place[..2].copy_from_slice(&sample.to_le_bytes());
        }
    }
    outbox.commit(Destination::Recording(key, track));
}
