//! What of the digits to be sent outlives the process: those that wait, and the press that is under way.
//!
//! An event goes on under the timestamp it began with, its duration counts on, and its end has been sent as often as it
//! has: the far end reads one press.

use super::{DigitSender, Item, MAX_GAP_MS, MAX_TONE_MS, MIN_GAP_MS, MIN_TONE_MS, Press, SentDigit};
use crate::dtmf::{Method, digit_of, event_of};
use crate::record::RecordError;
use crate::record::layout::{KEPT_DIGITS, LegState, SignalsSetup, leg_state_flags};

/// In the place of an event: a pause.
const PAUSE: u8 = u8::MAX;

impl DigitSender {
    /// Digits that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The digits that wait.
    pub(crate) fn keep_waiting(&self, setup: &mut SignalsSetup) {
        for (at, item) in self.queue.iter().take(KEPT_DIGITS).enumerate() {
            setup.tone_ms[at] = item.tone_ms as u16;
            setup.gap_ms[at] = item.gap_ms as u16;
            setup.event[at] = item.event.unwrap_or(PAUSE);
            setup.waiting = at as u8 + 1;
        }
    }

    /// The press that is under way.
    pub(crate) fn keep_press(&self, state: &mut LegState) {
        let Some(press) = self.press else { return };
        state.flags |= leg_state_flags::SENDING;
        state.sending_event = press.item.event.unwrap_or(PAUSE);
        state.sending_tone_ms = press.item.tone_ms as u16;
        state.sending_gap_ms = press.item.gap_ms as u16;
        state.sending_method = number(press.method);
        state.sending_began = press.began;
        state.sending_before = press.before as u32;
        state.sending_ends = press.ends;
    }

    /// Goes on.
    pub(crate) fn resume(
        &mut self,
        setup: Option<&SignalsSetup>,
        state: &LegState,
    ) -> Result<(), RecordError> {
        if let Some(setup) = setup {
            for at in 0..usize::from(setup.waiting).min(KEPT_DIGITS) {
                let item = item(setup.event[at], setup.tone_ms[at], setup.gap_ms[at])?;
                self.queue.push_back(item);
            }
        }
        if state.flags & leg_state_flags::SENDING != 0 {
            let method = method(state.sending_method);
            self.press = Some(Press {
                item: item(state.sending_event, state.sending_tone_ms, state.sending_gap_ms)?,
                method: method.ok_or(RecordError::Impossible("method of a digit"))?,
                began: state.sending_began,
                before: u64::from(state.sending_before),
                ends: state.sending_ends,
            });
        }
        Ok(())
    }
}

fn item(event: u8, tone_ms: u16, gap_ms: u16) -> Result<Item, RecordError> {
    let (tone_ms, gap_ms) = (u32::from(tone_ms), u32::from(gap_ms));
    let is_possible = (event < 16 || event == PAUSE)
        && (MIN_TONE_MS..=MAX_TONE_MS).contains(&tone_ms)
        && (MIN_GAP_MS..=MAX_GAP_MS).contains(&gap_ms);
    let event = (event != PAUSE).then_some(event);
    let item = Item {
        event,
        tone_ms,
        gap_ms,
    };
    is_possible
        .then_some(item)
        .ok_or(RecordError::Impossible("digit to be sent"))
}

/// A method in a record; zero is none.
pub(crate) const fn number(method: Method) -> u8 {
    match method {
        Method::Event => 1,
        Method::InBand => 2,
    }
}

/// The method of a number.
pub(crate) const fn method(number: u8) -> Option<Method> {
    match number {
        1 => Some(Method::Event),
        2 => Some(Method::InBand),
        _ => None,
    }
}

impl SentDigit {
    /// Sent, and not told yet.
    pub(crate) fn keep(&self, state: &mut LegState) {
        state.flags |= leg_state_flags::SENT;
        state.sent_event = event_of(self.digit).unwrap_or_default();
        state.sent_duration_ms = self.duration_ms;
        state.sent_method = number(self.method);
        state.sent_left = self.left as u8;
    }

    /// What was sent, and not told.
    pub(crate) fn kept(state: &LegState) -> Option<SentDigit> {
        let is_there = state.flags & leg_state_flags::SENT != 0;
        Some(SentDigit {
            digit: digit_of(state.sent_event),
            duration_ms: state.sent_duration_ms,
            method: method(state.sent_method).filter(|_| is_there)?,
            left: usize::from(state.sent_left),
        })
    }
}
