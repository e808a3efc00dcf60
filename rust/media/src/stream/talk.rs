//! What a stream is beyond audio and its queue, when its dialect agrees first on what is to be: `hello`, numbers and
//! generations, what is told at intervals, and who may hold speech.

use super::barge_in::BargeIn;
use super::clock::Clock;
use super::dialect::{Hello, Wish};
use super::longline::FRAMES_MS;
use super::numbering::{Numbering, is_stale};
use crate::config::{Encoding, Format, StreamParams};
use crate::time::Time;

/// How often numbers are acknowledged when nothing else is told at intervals.
const ACK_MS: u32 = 200;

/// What was agreed on with an application, and what of it is under way.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// A `hello` has been answered before: the format is fixed.
    pub is_agreed: bool,
    pub is_text: bool,
    pub numbering: Numbering,
    generations: bool,
    /// Clears so far.
    pub generation: u32,
    /// Playback is told at intervals.
    pub tells_progress: bool,
    interval_ms: u32,
    next_progress: Time,
    /// Voices are told.
    pub tells_speech: bool,
    pub barge_in: BargeIn,
    pub clock: Clock,
}

impl Talk {
    /// Takes over what `hello` says of anything but audio and tracks.
    pub fn open(&mut self, now: Time, hello: &Hello) {
        self.is_agreed = true;
        self.generations = hello.generations;
        self.tells_progress = hello.progress_ms > 0;
        self.interval_ms = if self.tells_progress {
            hello.progress_ms
        } else {
            ACK_MS
        };
        self.next_progress = now.plus_millis(u64::from(self.interval_ms));
        self.tells_speech = hello.speech;
        self.barge_in.set(hello.decide_ms);
        self.clock.start(now);
    }

    /// What is told at intervals is due.
    pub fn is_progress_due(&mut self, now: Time) -> bool {
        let is_due = now >= self.next_progress;
        if is_due {
            // In step, so that frames of 20 ms do not make an interval longer.
            let step = u64::from(self.interval_ms);
            self.next_progress = self
                .next_progress
                .plus_millis(step)
                .max(now.plus_millis(step / 2));
        }
        is_due
    }

    /// Audio of this generation is from before a clear.
    pub fn is_stale(&self, generation: Option<u8>) -> bool {
        self.generations && generation.is_some_and(|told| is_stale(told, self.generation))
    }
}

/// The format that is wanted, if it can be: encoding and rate, and the sound of a message.
pub(crate) fn format(
    params: &StreamParams,
    wish: &Wish,
    carried: &[Format],
) -> Result<(Format, u32), &'static str> {
    let encoding = wish.encoding.unwrap_or(params.encoding);
    let fits = |rate_hz: u32| carried.contains(&Format { encoding, rate_hz });
    let rate_hz = match wish.rate_hz {
        Some(rate_hz) => rate_hz,
        None if fits(params.rate_hz) => params.rate_hz,
        // The only rate of an encoding that was asked for without one.
        None => carried
            .iter()
            .find(|format| format.encoding == encoding)
            .map_or(params.rate_hz, |format| format.rate_hz),
    };
    if !fits(rate_hz) {
        return Err("this encoding does not come with this rate_hz");
    }
    let frame_ms = wish.frame_ms.unwrap_or(params.chunk_ms);
    let is_frame = FRAMES_MS.contains(&frame_ms);
    // RFC 6716 §2.1.4: frames of 10, 20, 40 and 60 ms.
    if !is_frame || (encoding == Encoding::Opus && matches!(frame_ms, 30 | 50)) {
        return Err("frame_ms is 10, 20, 30, 40, 50 or 60, and of opus neither 30 nor 50");
    }
    Ok((Format { encoding, rate_hz }, frame_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Dialect;
    use crate::stream::dialect;

    fn format_of(wish: Wish) -> Result<(&'static str, u32, u32), &'static str> {
        let carried = dialect::entry(Dialect::Longline).output;
        format(&StreamParams::default(), &wish, carried)
            .map(|(format, frame_ms)| (format.encoding.as_str(), format.rate_hz, frame_ms))
    }

    #[test]
    fn a_wish_changes_what_it_names_and_an_encoding_brings_its_only_rate() {
        let wish = Wish::default();
        assert_eq!(format_of(wish), Ok(("pcm_s16le", 8_000, 20)));
        let rate_hz = Some(24_000);
        assert_eq!(format_of(Wish { rate_hz, ..wish }), Ok(("pcm_s16le", 24_000, 20)));
        let encoding = Some(Encoding::Opus);
        assert_eq!(format_of(Wish { encoding, ..wish }), Ok(("opus", 48_000, 20)));
        let frame_ms = Some(60);
        let long = Wish {
            encoding,
            frame_ms,
            ..wish
        };
        assert_eq!(format_of(long), Ok(("opus", 48_000, 60)));
    }

    #[test]
    fn what_cannot_be_carried_is_refused() {
        for (encoding, rate_hz, frame_ms) in [
            (Encoding::MuLaw, Some(16_000), None),
            (Encoding::Opus, Some(8_000), None),
            (Encoding::Opus, None, Some(30)),
            (Encoding::PcmS16le, Some(44_100), None),
            (Encoding::PcmS16le, None, Some(0)),
            (Encoding::PcmS16le, None, Some(25)),
            (Encoding::PcmS16le, None, Some(80)),
        ] {
            let wish = Wish {
                encoding: Some(encoding),
                rate_hz,
                frame_ms,
                is_text: None,
            };
            assert!(format_of(wish).is_err(), "{wish:?}");
        }
    }

    #[test]
    fn progress_keeps_step_though_frames_do_not_divide_it() {
        let mut talk = Talk::default();
        let start = Time::from_millis(1_000);
        let progress_ms = 50;
        talk.open(
            start,
            &Hello {
                progress_ms,
                ..Hello::default()
            },
        );
        let told = (1..=50)
            .filter(|frame| talk.is_progress_due(start.plus_millis(20 * frame)))
            .count();
        assert_eq!(told, 20, "in a second");
    }
}
