//! A playback: samples that are shared, played some times over.

use std::sync::Arc;

use crate::frame::{Converter, Frame};
use crate::key::LegKey;
use crate::mix::Mixer;
use crate::record::layout::PlaybackState;
use crate::time::{FRAME_SAMPLES, RATE_HZ};

/// One playback of a session.
pub(crate) struct Playback {
    /// Who alone hears it; `None`: all.
    to: Option<LegKey>,
    samples: Arc<[i16]>,
    at: usize,
    /// Times still to be played, this one included.
    left: u32,
    converter: Converter,
}

impl Playback {
    /// Plays `samples` `repeat` times, at least once, to a leg or to all of a session of this rate.
    pub fn new(to: Option<LegKey>, samples: Arc<[i16]>, repeat: u32, session_hz: u32) -> Playback {
        let left = if samples.is_empty() { 0 } else { repeat.max(1) };
        Playback {
            to,
            samples,
            at: 0,
            left,
            converter: Converter::new(RATE_HZ, session_hz),
        }
    }

    /// Who alone hears it; `None`: all.
    pub fn to(&self) -> Option<LegKey> {
        self.to
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.converter.retune(RATE_HZ, session_hz);
    }

    /// Adds the next frame; nothing after it has ended.
    pub fn speak(&mut self, mixer: &mut Mixer) {
        let mut frame = Frame::silent(RATE_HZ);
        let sounding = self.take(frame.samples_mut()) > 0;
        if let Some(frame) = self.converter.convert(sounding.then_some(&frame)) {
            mixer.add(frame);
        }
    }

    /// The next samples; fewer than a frame when it ends, none after it has ended.
    fn take(&mut self, frame: &mut [i16]) -> usize {
        let mut done = 0;
        while done < FRAME_SAMPLES && self.left > 0 {
            let rest = &self.samples[self.at..];
            let count = rest.len().min(FRAME_SAMPLES - done);
            frame[done..done + count].copy_from_slice(&rest[..count]);
            done += count;
            self.at += count;
            if self.at == self.samples.len() {
                self.at = 0;
                self.left -= 1;
            }
        }
        done
    }

    /// Goes on at a sample, with so many times left.
    pub fn resumed(to: Option<LegKey>, samples: Arc<[i16]>, at: u64, left: u32, session_hz: u32) -> Playback {
        let mut playback = Playback::new(to, samples, left, session_hz);
        match usize::try_from(at) {
            Ok(at) if at < playback.samples.len() && left > 0 => playback.at = at,
            _ => playback.left = 0,
        }
        playback
    }

    /// What of it outlives the process: where it is.
    pub fn keep(&self, serial: u32) -> PlaybackState {
        PlaybackState {
            at: self.at as u64,
            serial,
            left: self.left,
            leg: self.to.map_or(0, |leg| leg.serial),
            reserved: 0,
        }
    }

    /// All of it has been pulled.
    pub fn is_finished(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_played_as_often_as_asked_without_a_gap() {
        let mut playback = Playback::new(None, (1..=100).collect::<Vec<i16>>().into(), 3, 8_000);
        let (mut frame, mut heard) = ([0; FRAME_SAMPLES], Vec::new());
        while !playback.is_finished() {
            let count = playback.take(&mut frame);
            heard.extend_from_slice(&frame[..count]);
        }
        assert_eq!(heard, (1..=100).cycle().take(300).collect::<Vec<i16>>());
        assert_eq!(playback.take(&mut frame), 0);
    }

    #[test]
    fn nothing_repeated_for_ever_is_still_nothing() {
        assert!(Playback::new(None, Arc::from([]), u32::MAX, 8_000).is_finished());
        assert!(
            !Playback::new(None, Arc::from([1]), 0, 8_000).is_finished(),
            "zero times means once"
        );
    }
}
