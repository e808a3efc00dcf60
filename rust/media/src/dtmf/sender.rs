//! Digits to be sent: a bounded queue, and what each packet is to carry of it (RFC 4733 §2.5.1).
//!
//! An event packet takes the place and the sequence number of an audio packet, so that RTP numbers stay a function of
//! the tick; no audio is sent meanwhile, and the updates come as often as audio would. The last packet of a press has the
//! end bit and is sent three times, in three places; the two repeats fall into the gap, which is therefore at least
//! [`MIN_GAP_MS`]. A press longer than the 16 bits of the duration goes on as a new segment (§2.5.1.3). In-band, the same
//! queue says which tones to make, frame by frame.
//!
//! Time is the RTP timestamp: what was not sent since the host was late shortens no press and lengthens none. Only tones do
//! not go on behind a gap, which would make two presses of one: what was long enough is over, the rest begins anew.

pub(crate) mod keep;

use std::collections::VecDeque;

use super::{Method, digit_of, event_of};

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

/// A place that is due: a packet's, or a frame's where tones are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The timestamp of its first sample.
    pub timestamp: u32,
    /// What timestamps count, per second.
    pub clock_hz: u32,
    /// Its length.
    pub length_ms: u32,
}

/// A press under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Press {
    item: Item,
    method: Method,
    /// The timestamp of its begin.
    began: u32,
    /// Of an event: clock units of the whole segments that have been told. Of tones: milliseconds that were made.
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

/// What a place carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Audio, as ever.
    Audio,
    /// A telephone-event packet instead of audio.
    Event {
        /// The timestamp of the press, or of its segment.
        timestamp: u32,
        /// The first packet of the press.
        marker: bool,
        /// The payload.
        payload: [u8; 4],
    },
    /// Tones instead of audio.
    Tone {
        /// The event number.
        event: u8,
        /// Milliseconds of the press before this place.
        since_ms: u32,
        /// Milliseconds of tone in it; silence after.
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

    /// What a place carries. `event_hz` is the clock of the negotiated telephone-events; without one it is tones. A press
    /// is told when its end has first been sent. A press that was begun the other way begins anew.
    pub fn step(&mut self, slot: Slot, event_hz: Option<u32>) -> (Step, Option<SentDigit>) {
        let method = if event_hz.is_some() {
            Method::Event
        } else {
            Method::InBand
        };
        if let Some(press) = self.press {
            if press.method != method && press.ends == 0 {
                self.queue.push_front(press.item);
                self.press = None;
            } else if press.is_over(slot) {
                self.press = None;
            } else if press.is_interrupted(slot) {
                self.press = press.cut();
                if self.press.is_none() {
                    self.queue.push_front(press.item);
                }
            }
        }
        let press = match &mut self.press {
            Some(press) => press,
            None => {
                let Some(item) = self.queue.pop_front() else {
                    return (Step::Audio, None);
                };
                self.press.insert(Press {
                    item,
                    method,
                    began: slot.timestamp,
                    before: 0,
                    ends: 0,
                })
            }
        };
        let (step, ended) = match (press.item.event, event_hz) {
            (None, _) => (Step::Audio, false),
            (Some(event), Some(event_hz)) => press.event_step(slot, event, event_hz),
            (Some(event), None) => press.tone_step(slot, event),
        };
        let (ended, press) = (press.item.event.filter(|_| ended), *press);
        (step, ended.map(|event| self.sent(event, press)))
    }

    fn sent(&self, event: u8, press: Press) -> SentDigit {
        SentDigit {
            digit: digit_of(event),
            duration_ms: press.item.tone_ms,
            method: press.method,
            left: self.queue.iter().filter(|item| item.event.is_some()).count(),
        }
    }
}

impl Press {
    /// Since its begin.
    fn elapsed_ms(&self, slot: Slot) -> u64 {
        u64::from(slot.timestamp.wrapping_sub(self.began)) * 1_000 / u64::from(slot.clock_hz.max(1))
    }

    fn is_over(&self, slot: Slot) -> bool {
        // The end is sent before the next press begins, and the gap is whole places.
        let (length_ms, ends) = match (self.item.event, self.method) {
            (None, _) => (PAUSE_MS, 0),
            (Some(_), Method::Event) => (self.places_ms(slot), END_PACKETS),
            (Some(_), Method::InBand) => (self.places_ms(slot), 1),
        };
        self.ends >= ends && self.elapsed_ms(slot) >= u64::from(length_ms)
    }

    /// Tones that were begun were not made in the place before this.
    fn is_interrupted(&self, slot: Slot) -> bool {
        let sounds = self.item.event.is_some() && self.method == Method::InBand && self.ends == 0;
        sounds && self.elapsed_ms(slot) > self.before
    }

    /// The press as long as it was heard; `None` when that is none.
    fn cut(mut self) -> Option<Press> {
        self.item.tone_ms = self.before.min(u64::from(self.item.tone_ms)) as u32;
        (self.item.tone_ms >= MIN_TONE_MS).then_some(self)
    }

    /// The press in whole places, and its gap.
    fn places_ms(&self, slot: Slot) -> u32 {
        self.item.tone_ms.next_multiple_of(slot.length_ms.max(1)) + self.item.gap_ms
    }

    fn event_step(&mut self, slot: Slot, event: u8, event_hz: u32) -> (Step, bool) {
        if self.ends >= END_PACKETS {
            return (Step::Audio, false);
        }
        let elapsed_ms = self.elapsed_ms(slot);
        let held_ms = (elapsed_ms + u64::from(slot.length_ms)).min(u64::from(self.item.tone_ms));
        let held = held_ms * u64::from(event_hz) / 1_000;
        let timestamp = self.began.wrapping_add(self.before as u32);
        // Less than nothing, should the clock have become slower in the middle of it.
        let of_segment = held.saturating_sub(self.before);
        let duration = of_segment.min(LONGEST_SEGMENT);
        let is_end = held_ms == u64::from(self.item.tone_ms) && of_segment <= LONGEST_SEGMENT;
        if of_segment > LONGEST_SEGMENT {
            self.before += LONGEST_SEGMENT;
        }
        self.ends += u8::from(is_end);
        let [high, low] = (duration as u16).to_be_bytes();
        let step = Step::Event {
            timestamp,
            marker: elapsed_ms == 0,
            payload: [event, u8::from(is_end) << 7 | VOLUME, high, low],
        };
        (step, is_end && self.ends == 1)
    }

    fn tone_step(&mut self, slot: Slot, event: u8) -> (Step, bool) {
        let since_ms = self.elapsed_ms(slot).min(u64::from(MAX_TONE_MS)) as u32;
        let rest = self.item.tone_ms.saturating_sub(since_ms);
        let ended = rest <= slot.length_ms && self.ends == 0;
        self.before = u64::from(since_ms + slot.length_ms);
        self.ends += u8::from(ended);
        let step = match rest {
            0 => Step::Silence,
            _ => Step::Tone {
                event,
                since_ms,
                length_ms: rest.min(slot.length_ms),
            },
        };
        (step, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first timestamp: near the wrap.
    const T0: u32 = u32::MAX - 400;

    fn slot(frame: u32, length_ms: u32) -> Slot {
        Slot {
            timestamp: T0.wrapping_add(frame * length_ms * 8),
            clock_hz: 8_000,
            length_ms,
        }
    }

    /// Timestamp since `T0`, marker, end bit and duration of each event packet.
    fn events(
        sender: &mut DigitSender,
        length_ms: u32,
        places: std::ops::Range<u32>,
    ) -> Vec<(u32, bool, bool, u16)> {
        let mut seen = Vec::new();
        for place in places {
            let (step, _) = sender.step(slot(place, length_ms), Some(8_000));
            if let Step::Event {
                timestamp,
                marker,
                payload,
            } = step
            {
                let duration = u16::from_be_bytes([payload[2], payload[3]]);
                seen.push((
                    timestamp.wrapping_sub(T0),
                    marker,
                    payload[1] & 0x80 != 0,
                    duration,
                ));
            }
        }
        seen
    }

    fn sender(digits: &str, tone_ms: u32, gap_ms: u32) -> DigitSender {
        let digits = SendDigits::new(digits, Some(tone_ms), Some(gap_ms)).unwrap();
        let mut sender = DigitSender::default();
        sender.push(&digits).unwrap();
        sender
    }

    #[test]
    fn a_press_is_updates_and_three_ends_with_one_timestamp() {
        let mut sender = sender("5", 90, 60);
        assert_eq!(
            events(&mut sender, 20, 7..30),
            [
                (1_120, true, false, 160),
                (1_120, false, false, 320),
                (1_120, false, false, 480),
                (1_120, false, false, 640),
                (1_120, false, true, 720),
                (1_120, false, true, 720),
                (1_120, false, true, 720),
            ]
        );
        assert!(sender.is_idle());
    }

    #[test]
    fn packets_of_another_length_take_their_own_steps() {
        let sixty = events(&mut sender("5", 100, 40), 60, 0..10);
        assert_eq!(
            sixty,
            [
                (0, true, false, 480),
                (0, false, true, 800),
                (0, false, true, 800),
                (0, false, true, 800)
            ]
        );
        let ten = events(&mut sender("5", 40, 40), 10, 0..20);
        let durations: Vec<u16> = ten.iter().map(|packet| packet.3).collect();
        assert_eq!(durations, [80, 160, 240, 320, 320, 320]);
    }

    #[test]
    fn presses_are_told_once_and_keep_their_gap() {
        let mut sender = sender("1w2", 40, 40);
        let (mut told, mut began) = (Vec::new(), Vec::new());
        for frame in 0..100 {
            let (step, digit) = sender.step(slot(frame, 20), Some(8_000));
            told.extend(digit.map(|digit| (frame, digit.digit, digit.left)));
            began.extend(matches!(step, Step::Event { marker: true, .. }).then_some(frame));
        }
        assert_eq!(told, [(1, '1', 1), (30, '2', 0)]);
        assert_eq!(began, [0, 29], "two frames, a gap of two, and half a second");
    }

    #[test]
    fn a_press_longer_than_the_field_goes_on_as_a_segment() {
        let seen = events(&mut sender("A", 10_000, 40), 20, 0..600);
        let second = seen.iter().position(|packet| packet.0 == 65_535).unwrap();
        assert_eq!(seen[second - 1], (0, false, false, u16::MAX));
        assert_eq!(u32::from(seen[second].3), (second as u32 + 1) * 160 - 65_535);
        assert!(
            seen[second..]
                .iter()
                .all(|packet| packet.0 == 65_535 && !packet.1)
        );
        assert_eq!(
            seen.last(),
            Some(&(65_535, false, true, 80_000u32.wrapping_sub(65_535) as u16))
        );
        assert_eq!(seen.iter().filter(|packet| packet.2).count(), 3);
    }

    #[test]
    fn places_that_were_skipped_change_no_duration() {
        let mut sender = sender("9", 100, 40);
        assert_eq!(sender.step(slot(0, 20), Some(8_000)).1, None);
        let (_, told) = sender.step(slot(9, 20), Some(8_000));
        assert_eq!(told.map(|digit| digit.duration_ms), Some(100));
        let ends = events(&mut sender, 20, 10..20);
        assert_eq!(ends, [(0, false, true, 800); 2], "three ends, in whatever places");
    }

    #[test]
    fn without_events_the_same_queue_is_tones() {
        let mut sender = sender("7", 50, 40);
        let steps: Vec<Step> = (0..6).map(|frame| sender.step(slot(frame, 20), None).0).collect();
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
    fn a_press_begins_anew_when_events_are_gone() {
        let mut sender = sender("7", 40, 40);
        assert!(matches!(
            sender.step(slot(0, 20), Some(8_000)).0,
            Step::Event { .. }
        ));
        let told: Vec<_> = (1..10)
            .filter_map(|frame| sender.step(slot(frame, 20), None).1)
            .collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].method, Method::InBand);
    }

    #[test]
    fn tones_with_a_gap_in_them_are_one_press() {
        // After one frame of tones, and after three: what comes after a gap of seven.
        for (frames, lengths) in [(1, [20, 20, 20, 20]), (3, [0; 4])] {
            let mut sender = sender("7", 80, 40);
            let tone_ms = |step| match step {
                Step::Tone { length_ms, .. } => length_ms,
                _ => 0,
            };
            for frame in 0..frames {
                assert_eq!(tone_ms(sender.step(slot(frame, 20), None).0), 20);
            }
            let mut told = Vec::new();
            let after: Vec<u32> = (frames + 7..frames + 20)
                .map(|frame| {
                    let (step, digit) = sender.step(slot(frame, 20), None);
                    told.extend(digit.map(|digit| digit.duration_ms));
                    tone_ms(step)
                })
                .collect();
            assert_eq!(after[..4], lengths);
            assert!(after[4..].iter().all(|length| *length == 0));
            assert_eq!(told, [if frames == 1 { 80 } else { 60 }]);
        }
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
