//! What a stream hears: its tracks, each gathered into chunks with numbers of its own.
//!
//! An **ear** gathers one track, or several together: one after the other in a frame of two channels, or summed. All count their
//! samples from where the stream's audio began, so that a track that is subscribed late stands where the others do. One that is
//! no longer heard keeps its numbers until its party has left.

use crate::codec::opus;
use crate::frame::{Converter, Frame};
use crate::limiter::Limiter;
use crate::mix::Mixer;
use crate::record::layout::{EarState, KEPT_EARS};
use crate::time::frame_samples;
use crate::tracks::{ALL, Heard, MAX_HEARD, SAID, party_of};

use super::encoding::Encoding;

/// How the tracks of a stream come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Together {
    /// Each in messages of its own.
    #[default]
    Apart,
    /// Two in one message, as its left and right channel.
    Stereo,
    /// All in one message, summed.
    Mixed,
}

impl Together {
    /// The word that the control protocol uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Together::Apart => "apart",
            Together::Stereo => "stereo",
            Together::Mixed => "mixed",
        }
    }

    /// Channels of a message.
    pub const fn channels(self) -> usize {
        match self {
            Together::Stereo => 2,
            Together::Apart | Together::Mixed => 1,
        }
    }
}

/// One chunk that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Of the first track in it.
    pub track: u8,
    /// Counts the chunks of this track, from 0.
    pub sequence: u32,
    /// Of its first sample, in samples since the stream's audio began.
    pub timestamp: u64,
    /// Its samples, as they stand in a message.
    pub encoded: &'a [u8],
    /// It is not of this moment: there was no connection when it was made, or none that took it.
    pub is_replay: bool,
    /// The chunk before it was never sent.
    pub is_after_gap: bool,
}

/// A track on its way into chunks.
struct Gathered {
    track: u8,
    to_stream: Converter,
    /// Not yet in a chunk.
    samples: Vec<i16>,
}

impl Gathered {
    fn hear(&mut self, frame: Option<&Frame>, rate_hz: u32) {
        match self.to_stream.convert(frame) {
            Some(frame) => self.samples.extend_from_slice(frame.samples()),
            None => {
                let silence = frame_samples(rate_hz);
                self.samples.resize(self.samples.len() + silence, 0);
            }
        }
    }
}

/// What goes into messages of its own.
struct Ear {
    left: Gathered,
    /// Of a track that goes out in packets.
    opus: Option<Box<opus::Encoder>>,
    right: Option<Gathered>,
    is_heard: bool,
    /// Of the next chunk.
    sequence: u32,
    timestamp: u64,
}

/// All that one stream hears.
pub(crate) struct Ears {
    encoding: Encoding,
    rate_hz: u32,
    session_hz: u32,
    chunk_samples: usize,
    /// By their first tracks.
    ears: Vec<Ear>,
    /// The tracks of [`Together::Mixed`], which are one ear.
    summed: Vec<u8>,
    limiter: Limiter,
    /// Samples heard.
    now: u64,
    /// A chunk on its way out.
    encoded: Vec<u8>,
}

impl Ears {
    /// That hear nothing yet.
    pub fn new(encoding: Encoding, rate_hz: u32, chunk_ms: u32, session_hz: u32) -> Ears {
        let chunk_samples = (rate_hz / 1_000 * chunk_ms) as usize;
        Ears {
            encoding,
            rate_hz,
            session_hz,
            chunk_samples,
            ears: Vec::with_capacity(1),
            summed: Vec::new(),
            limiter: Limiter::default(),
            now: 0,
            encoded: Vec::with_capacity(chunk_samples * encoding.bytes_per_sample()),
        }
    }

    fn gather(&self, track: u8) -> Gathered {
        Gathered {
            track,
            to_stream: Converter::new(self.session_hz, self.rate_hz),
            samples: Vec::with_capacity(self.chunk_samples + frame_samples(self.rate_hz)),
        }
    }

    /// Hears these from now on, in this way; what was heard before is forgotten. `None`: more than [`MAX_HEARD`], or not two in
    /// stereo.
    pub fn tune(&mut self, tracks: &[u8], together: Together) -> Option<()> {
        if tracks.is_empty() || tracks.len() > MAX_HEARD {
            return None;
        }
        self.ears.clear();
        self.summed.clear();
        match (together, tracks) {
            (Together::Apart, _) => tracks.iter().try_for_each(|&track| self.subscribe(track))?,
            (Together::Stereo, &[left, right]) => {
                let right = self.gather(right);
                self.subscribe(left)?;
                self.ears[0].right = Some(right);
            }
            (Together::Stereo, _) => return None,
            (Together::Mixed, &[first, ..]) => {
                self.subscribe(first)?;
                self.summed.extend_from_slice(tracks);
            }
            (Together::Mixed, &[]) => {}
        }
        Some(())
    }

    /// Hears this track too, from the next frame on. `None`: these are enough.
    pub fn subscribe(&mut self, track: u8) -> Option<()> {
        let at = match self.ears.binary_search_by_key(&track, |ear| ear.left.track) {
            Ok(at) if self.ears[at].is_heard => return Some(()),
            Ok(at) => at,
            Err(_) if self.ears.len() >= MAX_HEARD => return None,
            Err(at) => {
                let in_packets = self.encoding == Encoding::Opus;
                let ear = Ear {
                    left: self.gather(track),
                    opus: in_packets.then(|| Box::new(opus::Encoder::new(opus::Settings::default()))),
                    right: None,
                    is_heard: false,
                    sequence: 0,
                    timestamp: 0,
                };
                self.ears.insert(at, ear);
                at
            }
        };
        let left = self.gather(track);
        let ear = &mut self.ears[at];
        (ear.left, ear.is_heard, ear.timestamp) = (left, true, self.now);
        Some(())
    }

    /// Does not hear this track any more.
    pub fn unsubscribe(&mut self, track: u8) {
        for ear in &mut self.ears {
            ear.is_heard &= ear.left.track != track;
        }
    }

    /// This party has left, and its numbers are not used again.
    pub fn forget(&mut self, party: u8) {
        self.ears.retain(|ear| party_of(ear.left.track) != Some(party));
    }

    /// The tracks that are heard, each in messages of its own.
    pub fn tracks(&self) -> impl Iterator<Item = u8> {
        let heard = self.ears.iter().filter(|ear| ear.is_heard);
        heard.map(|ear| ear.left.track)
    }

    /// All that is heard, apart or together.
    fn all(&self) -> impl Iterator<Item = u8> {
        let right = self.ears.iter().filter_map(|ear| Some(ear.right.as_ref()?.track));
        self.tracks().chain(right).chain(self.summed.iter().copied())
    }

    /// It hears what some party is sent.
    pub fn hear_sent(&self) -> bool {
        self.all().any(|track| track > SAID)
    }

    /// It hears what this party says.
    pub fn listen_to(&self, party: u8) -> bool {
        self.all().any(|track| track == ALL || track == party)
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.session_hz = session_hz;
        for ear in &mut self.ears {
            let gathered = [Some(&mut ear.left), ear.right.as_mut()];
            for gathered in gathered.into_iter().flatten() {
                gathered.to_stream.retune(session_hz, self.rate_hz);
            }
        }
    }

    /// Samples heard so far, at the rate to the application.
    pub fn heard(&self) -> u64 {
        self.now
    }

    /// What of the first of them outlives the process.
    pub fn keep(&self) -> [EarState; KEPT_EARS] {
        let mut kept = [EarState::default(); KEPT_EARS];
        for (kept, ear) in kept.iter_mut().zip(&self.ears) {
            *kept = EarState {
                track: ear.left.track,
                flags: u8::from(ear.is_heard),
                reserved: 0,
                sequence: ear.sequence,
                timestamp: ear.timestamp,
            };
        }
        kept
    }

    /// Goes on with these numbers. What had been gathered of a chunk is gone.
    pub fn resume(&mut self, heard: u64, kept: &[EarState]) {
        self.now = heard;
        for kept in kept.iter().filter(|kept| kept.flags & 1 != 0) {
            let _ = self.subscribe(kept.track);
            let ear = self.ears.iter_mut().find(|ear| ear.left.track == kept.track);
            if let Some(ear) = ear {
                (ear.sequence, ear.timestamp) = (kept.sequence, kept.timestamp);
            }
        }
    }

    /// Takes one frame.
    pub fn hear(&mut self, heard: &Heard<'_>) {
        let rate_hz = self.rate_hz;
        self.now += frame_samples(rate_hz) as u64;
        if let (Some(ear), [_, ..]) = (self.ears.first_mut(), &self.summed[..]) {
            let mut mixer = Mixer::new(self.session_hz);
            let frames = self.summed.iter().filter_map(|&track| heard.frame(track));
            frames.for_each(|frame| mixer.add(frame));
            return ear.left.hear(mixer.all(&mut self.limiter).as_ref(), rate_hz);
        }
        for ear in self.ears.iter_mut().filter(|ear| ear.is_heard) {
            ear.left.hear(heard.frame(ear.left.track), rate_hz);
            if let Some(right) = &mut ear.right {
                right.hear(heard.frame(right.track), rate_hz);
            }
        }
    }

    /// The next chunk that is complete.
    pub fn take(&mut self) -> Option<Chunk<'_>> {
        let count = self.chunk_samples;
        let mut ears = self.ears.iter_mut();
        let ear = ears.find(|ear| ear.is_heard && ear.left.samples.len() >= count)?;
        self.encoded.clear();
        match (&mut ear.right, &mut ear.opus) {
            (None, Some(opus)) => opus.encode(&ear.left.samples[..count], &mut self.encoded),
            (None, None) => self
                .encoding
                .append(&ear.left.samples[..count], &mut self.encoded),
            (Some(right), _) => {
                for (&left, &right) in ear.left.samples[..count].iter().zip(&right.samples) {
                    self.encoding.append(&[left, right], &mut self.encoded);
                }
                right.samples.drain(..count);
            }
        }
        ear.left.samples.drain(..count);
        let (sequence, timestamp) = (ear.sequence, ear.timestamp);
        ear.sequence = sequence.wrapping_add(1);
        ear.timestamp += count as u64;
        Some(Chunk {
            track: ear.left.track,
            sequence,
            timestamp,
            encoded: &self.encoded,
            is_replay: false,
            is_after_gap: false,
        })
    }
}
