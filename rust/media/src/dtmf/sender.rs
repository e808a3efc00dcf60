//! Digits to be sent: a bounded queue, and what each frame of 20 ms is to carry of it (RFC 4733 §2.5.1).
//!
//! One packet a frame, so that RTP numbers stay a function of the tick: an event packet takes the frame's sequence
//! number, and no audio is sent in that frame. The packet of the last frame has the end bit and is sent three times, in
//! three frames; the two repeats fall into the gap, which is therefore at least [`MIN_GAP_MS`]. A press longer than the
//! 16 bits of the duration goes on as a new segment (§2.5.1.3). In-band, the same queue says which tones to make.
//!
//! A frame that is not sent at all (the host was late) is left out: the next packet tells the duration by its tick.

use std::collections::VecDeque;

use super::{Method, digit_of, event_of};
use crate::time::{FRAME_MS, FRAME_TICKS};

/// Digits and pauses that may wait. Rule: a command that would exceed it is refused whole.
pub const MAX_QUEUED: usize = 128;
/// A press that is told no length.
pub const DEFAULT_TONE_MS: u32 = 100;
/// Silence after a press that is told none.
pub const DEFAULT_GAP_MS: u32 = 100;
/// Shortest press: ITU-T Q.24 requires receivers to take 40 ms.
pub const MIN_TONE_MS: u32 = 40;
/// Longest press.
pub const MAX_TONE_MS: u32 = 60_000;
/// Shortest silence after a press: two repeats of its end, and Q.24's 40 ms.
pub const MIN_GAP_MS: u32 = 40;
/// Longest silence after a press.
pub const MAX_GAP_MS: u32 = 10_000;
/// The pause of a `w`.
pub const PAUSE_MS: u32 = 500;
/// The end is sent so often (§2.5.1.4).
const END_PACKETS: u8 = 3;
/// Volume of the events: -10 dBm0 (§2.3.4).
const VOLUME: u8 = 10;
const LONGEST_SEGMENT: u64 = u16::MAX as u64;

/// Digits to be sent: checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendDigits {
    /// Event numbers; `None` is a pause.
    keys: Vec<Option<u8>>,
    tone_ms: u32,
    gap_ms: u32,
}

impl SendDigits {
    /// Digits `0`..`9`, `*`, `#`, `A`..`D`, and `w` for half a second. The error says what is wrong, without the digits.
    pub fn new(digits: &str, tone_ms: Option<u32>, gap_ms: Option<u32>) -> Result<SendDigits, &'static str> {
        let key = |digit: char| match digit {
            'w' | 'W' => Some(None),
            _ => event_of(digit).map(Some),
        };
        let keys: Option<Vec<Option<u8>>> = digits.chars().take(MAX_QUEUED + 1).map(key).collect();
        let keys = keys.ok_or("digits are 0 to 9, *, #, A to D, and w for a pause")?;
        let tone_ms = tone_ms.unwrap_or(DEFAULT_TONE_MS);
        let gap_ms = gap_ms.unwrap_or(DEFAULT_GAP_MS);
        if keys.is_empty() || keys.len() > MAX_QUEUED {
            Err("digits are 1 to 128")
        } else if !(MIN_TONE_MS..=MAX_TONE_MS).contains(&tone_ms) {
            Err("tone_ms is 40 to 60000")
        } else if !(MIN_GAP_MS..=MAX_GAP_MS).contains(&gap_ms) {
            Err("gap_ms is 40 to 10000")
        } else {
            Ok(SendDigits {
                keys,
                tone_ms,
                gap_ms,
            })
        }
    }
}

/// One thing of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    /// `None` is a pause.
    event: Option<u8>,
    tone_ms: u32,
    gap_ms: u32,
}

/// A press under way: it began with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Press {
    item: Item,
    method: Method,
    began: u64,
    /// Of an event: clock units of the whole segments that have been told.
    before: u64,
    /// Times the end was sent; once is all that tones need.
    ends: u8,
}

/// A press that has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentDigit {
    /// The key.
    pub digit: char,
    /// How long it was held.
    pub duration_ms: u32,
    /// How it was sent.
    pub method: Method,
    /// Digits that still wait.
    pub left: usize,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Audio, as ever.
    Audio,
    /// A telephone-event packet instead of audio.
    Event {
        /// The frame whose timestamp the press has.
        began: u64,
        /// Clock units to add to that timestamp: whole segments.
        offset: u32,
        /// The first packet of the press.
        marker: bool,
        /// The payload.
        payload: [u8; 4],
    },
    /// Tones instead of audio.
    Tone {
        /// The event number.
        event: u8,
        /// Milliseconds of the press before this frame.
        since_ms: u32,
        /// Milliseconds of tone in this frame; silence after.
        length_ms: u32,
    },
    /// Silence: between tones.
    Silence,
}

/// The digits one leg is to send.
#[derive(Clone, Debug, Default)]
pub struct DigitSender {
    queue: VecDeque<Item>,
    press: Option<Press>,
}

impl DigitSender {
    /// Queues digits behind those that wait. The error names the bound.
    pub fn push(&mut self, digits: &SendDigits) -> Result<(), &'static str> {
        if self.queue.len() + digits.keys.len() > MAX_QUEUED {
            return Err("digits that wait to be sent");
        }
        self.queue.extend(digits.keys.iter().map(|&event| Item {
            event,
            tone_ms: digits.tone_ms,
            gap_ms: digits.gap_ms,
        }));
        Ok(())
    }

    /// Nothing is under way and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.press.is_none() && self.queue.is_empty()
    }

    /// Forgets what waits and what is under way.
    pub fn clear(&mut self) {
        *self = DigitSender::default();
    }

    /// What `frame` carries. `clock_hz` is that of the negotiated telephone-events; without one it is tones. A press is
    /// told when its end has first been sent.
    pub fn step(&mut self, frame: u64, clock_hz: Option<u32>) -> (Step, Option<SentDigit>) {
        let left = self.digits_left();
        if let Some(press) = &mut self.press
            && press.is_over(frame)
        {
            self.press = None;
        }
        let press = match &mut self.press {
            Some(press) => press,
            None => {
                let Some(item) = self.queue.pop_front() else {
                    return (Step::Audio, None);
                };
                let method = if clock_hz.is_some() {
                    Method::Event
                } else {
                    Method::InBand
                };
                self.press.insert(Press {
                    item,
                    method,
                    began: frame,
                    before: 0,
                    ends: 0,
                })
            }
        };
        let left = left.saturating_sub(usize::from(press.item.event.is_some() && press.began == frame));
        match (press.item.event, press.method) {
            (None, _) => (Step::Audio, None),
            (Some(event), Method::Event) => press.event_step(frame, event, clock_hz.unwrap_or(8_000), left),
            (Some(event), Method::InBand) => press.tone_step(frame, event, left),
        }
    }

    fn digits_left(&self) -> usize {
        self.queue.iter().filter(|item| item.event.is_some()).count()
    }
}

impl Press {
    /// Frames of the press itself.
    fn tone_frames(&self) -> u64 {
        u64::from(self.item.tone_ms.div_ceil(FRAME_MS))
    }

    fn is_over(&self, frame: u64) -> bool {
        let gap_frames = u64::from(self.item.gap_ms.div_ceil(FRAME_MS));
        let frames = match self.item.event {
            None => u64::from(PAUSE_MS) / FRAME_TICKS,
            Some(_) => self.tone_frames() + gap_frames,
        };
        // Whatever the delay, the end is sent before the next press begins.
        let wanted = match (self.item.event, self.method) {
            (None, _) => 0,
            (Some(_), Method::Event) => END_PACKETS,
            (Some(_), Method::InBand) => 1,
        };
        self.ends >= wanted && frame >= self.began + frames
    }

    /// The end is sent; told the first time.
    fn end(&mut self, event: u8, left: usize) -> Option<SentDigit> {
        self.ends = self.ends.saturating_add(1);
        (self.ends == 1).then_some(SentDigit {
            digit: digit_of(event),
            duration_ms: self.item.tone_ms,
            method: self.method,
            left,
        })
    }

    fn event_step(&mut self, frame: u64, event: u8, clock_hz: u32, left: usize) -> (Step, Option<SentDigit>) {
        let per_ms = u64::from(clock_hz) / 1_000;
        let elapsed = frame - self.began + 1;
        let last = self.tone_frames();
        if self.ends >= END_PACKETS {
            return (Step::Audio, None);
        }
        let whole = (elapsed * FRAME_TICKS).min(u64::from(self.item.tone_ms)) * per_ms;
        let is_end = elapsed >= last && whole - self.before <= LONGEST_SEGMENT;
        let offset = self.before as u32;
        let duration = (whole - self.before).min(LONGEST_SEGMENT);
        if whole - self.before > LONGEST_SEGMENT {
            self.before += LONGEST_SEGMENT;
        }
        let [high, low] = (duration as u16).to_be_bytes();
        let step = Step::Event {
            began: self.began,
            offset,
            marker: elapsed == 1,
            payload: [event, u8::from(is_end) << 7 | VOLUME, high, low],
        };
        let told = if is_end { self.end(event, left) } else { None };
        (step, told)
    }

    fn tone_step(&mut self, frame: u64, event: u8, left: usize) -> (Step, Option<SentDigit>) {
        let since_ms = ((frame - self.began) * FRAME_TICKS) as u32;
        let rest = self.item.tone_ms.saturating_sub(since_ms);
        let told = if rest <= FRAME_MS {
            self.end(event, left)
        } else {
            None
        };
        let step = match rest {
            0 => Step::Silence,
            _ => Step::Tone {
                event,
                since_ms,
                length_ms: rest.min(FRAME_MS),
            },
        };
        (step, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(sender: &mut DigitSender, frames: std::ops::Range<u64>) -> Vec<(u64, u32, bool, bool, u16)> {
        let mut seen = Vec::new();
        for frame in frames {
            if let (
                Step::Event {
                    began,
                    offset,
                    marker,
                    payload,
                },
                _,
            ) = sender.step(frame, Some(8_000))
            {
                let duration = u16::from_be_bytes([payload[2], payload[3]]);
                seen.push((began, offset, marker, payload[1] & 0x80 != 0, duration));
            }
        }
        seen
    }

    fn sender(digits: &str, tone_ms: u32, gap_ms: u32) -> DigitSender {
        let mut sender = DigitSender::default();
        sender
            .push(&SendDigits::new(digits, Some(tone_ms), Some(gap_ms)).unwrap())
            .unwrap();
        sender
    }

    #[test]
    fn a_press_is_updates_and_three_ends_with_one_timestamp() {
        let mut sender = sender("5", 90, 60);
        assert_eq!(
            events(&mut sender, 7..30),
            [
                (7, 0, true, false, 160),
                (7, 0, false, false, 320),
                (7, 0, false, false, 480),
                (7, 0, false, false, 640),
                (7, 0, false, true, 720),
                (7, 0, false, true, 720),
                (7, 0, false, true, 720),
            ]
        );
        assert!(sender.is_idle());
    }

    #[test]
    fn presses_are_told_once_and_keep_their_gap() {
        let mut sender = sender("1w2", 40, 40);
        let mut told = Vec::new();
        let mut began = Vec::new();
        for frame in 0..100 {
            let (step, digit) = sender.step(frame, Some(8_000));
            told.extend(digit.map(|digit| (frame, digit.digit, digit.left)));
            if let Step::Event {
                marker: true,
                began: first,
                ..
            } = step
            {
                began.push(first);
            }
        }
        assert_eq!(told, [(1, '1', 1), (30, '2', 0)]);
        assert_eq!(began, [0, 29], "two frames, a gap of two, and half a second");
    }

    #[test]
    fn a_press_longer_than_the_field_goes_on_as_a_segment() {
        let seen = events(&mut sender("A", 10_000, 40), 0..600);
        let last_of_first = seen
            .iter()
            .position(|packet| packet.1 == u32::from(u16::MAX))
            .unwrap();
        assert_eq!(seen[last_of_first - 1], (0, 0, false, false, u16::MAX));
        assert_eq!(
            seen[last_of_first].4,
            ((last_of_first as u32 + 1) * 160 - 65_535) as u16
        );
        assert!(
            seen[last_of_first..]
                .iter()
                .all(|packet| packet.1 == 65_535 && !packet.2)
        );
        assert_eq!(
            seen.last(),
            Some(&(0, 65_535, false, true, (80_000 - 65_535) as u16))
        );
        assert_eq!(seen.iter().filter(|packet| packet.3).count(), 3);
    }

    #[test]
    fn frames_that_were_skipped_change_no_duration() {
        let mut sender = sender("9", 100, 40);
        let (_, none) = sender.step(0, Some(8_000));
        assert_eq!(none, None);
        let (step, told) = sender.step(9, Some(8_000));
        assert!(
            matches!(
                step,
                Step::Event {
                    began: 0,
                    payload: [9, 0x8a, 3, 0x20],
                    ..
                }
            ),
            "{step:?}"
        );
        assert_eq!(told.map(|digit| digit.duration_ms), Some(100));
        let ends = events(&mut sender, 10..20);
        assert_eq!(
            ends,
            [(0, 0, false, true, 800); 2],
            "three ends, in whatever frames"
        );
    }

    #[test]
    fn without_events_the_same_queue_is_tones() {
        let mut sender = sender("7", 50, 40);
        let steps: Vec<Step> = (0..6).map(|frame| sender.step(frame, None).0).collect();
        let tone = |since_ms, length_ms| Step::Tone {
            event: 7,
            since_ms,
            length_ms,
        };
        let silence = Step::Silence;
        assert_eq!(
            steps,
            [
                tone(0, 20),
                tone(20, 20),
                tone(40, 10),
                silence,
                silence,
                Step::Audio
            ]
        );
    }

    #[test]
    fn a_command_is_taken_whole_or_not_at_all() {
        let mut sender = DigitSender::default();
        let hundred = SendDigits::new(&"1".repeat(100), None, None).unwrap();
        assert!(sender.push(&hundred).is_ok());
        assert!(sender.push(&hundred).is_err());
        assert_eq!(sender.queue.len(), 100);
        for (digits, tone_ms, gap_ms) in [
            ("", None, None),
            ("12x", None, None),
            ("1", Some(39), None),
            ("1", Some(60_001), None),
            ("1", None, Some(39)),
            ("1", None, Some(10_001)),
        ] {
            assert!(
                SendDigits::new(digits, tone_ms, gap_ms).is_err(),
                "{digits} {tone_ms:?} {gap_ms:?}"
            );
        }
        assert!(SendDigits::new(&"1".repeat(129), None, None).is_err());
    }
}
