//! Local barge-in: speech is paused by us when a party begins to talk, and the application decides what becomes of it.
//!
//! ```text
//!           voice, while speech plays: pause
//!   Free ─────────────────────────────────────▶ Held
//!    ▲     a word of the application            │
//!    └──────────────────────────────────────────┘
//!          or no word for so long: resume
//! ```

use crate::time::Time;

/// Shortest and longest time that an application may take, in milliseconds.
pub(crate) const DECIDE_MS: std::ops::RangeInclusive<u32> = 100..=10_000;

/// Who has paused or cleared speech, or lets it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The application.
    Application,
    /// A party began to talk.
    BargeIn,
    /// Control.
    Control,
    /// Nobody has decided.
    Timeout,
}

impl By {
    /// The word that the native dialect uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            By::Application => "application",
            By::BargeIn => "barge_in",
            By::Control => "control",
            By::Timeout => "timeout",
        }
    }
}

/// Where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    Held {
        until: Time,
    },
}

/// Local barge-in of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BargeIn {
    /// For how long the application may think; `None`: voices change nothing.
    decide_ms: Option<u32>,
    state: State,
}

impl BargeIn {
    /// From now on, or not any more.
    pub fn set(&mut self, decide_ms: Option<u32>) {
        self.decide_ms = decide_ms;
    }

    /// Whether voices have to be listened for.
    pub fn is_wanted(&self) -> bool {
        self.decide_ms.is_some()
    }

    /// A party began to talk while speech was audible, or not. Whether speech is to be paused.
    pub fn voice(&mut self, now: Time, is_audible: bool) -> bool {
        let (Some(decide_ms), State::Free, true) = (self.decide_ms, self.state, is_audible) else {
            return false;
        };
        self.state = State::Held {
            until: now.plus_millis(u64::from(decide_ms)),
        };
        true
    }

    /// The application has said what becomes of speech.
    pub fn decided(&mut self) {
        self.state = State::Free;
    }

    /// Whether speech goes on since nobody has said anything.
    pub fn is_overdue(&mut self, now: Time) -> bool {
        let overdue = matches!(self.state, State::Held { until } if now >= until);
        if overdue {
            self.state = State::Free;
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000);

    #[test]
    fn a_voice_pauses_what_is_audible_and_nothing_else() {
        let mut barge_in = BargeIn::default();
        assert!(!barge_in.voice(NOW, true), "it was not asked for");
        barge_in.set(Some(500));
        assert!(!barge_in.voice(NOW, false));
        assert!(barge_in.voice(NOW, true));
        assert!(!barge_in.voice(NOW, true), "it is paused already");
    }

    #[test]
    fn without_a_word_speech_goes_on_once_and_with_one_it_is_the_applications() {
        let mut barge_in = BargeIn::default();
        barge_in.set(Some(500));
        barge_in.voice(NOW, true);
        assert!(!barge_in.is_overdue(NOW.plus_millis(499)));
        assert!(barge_in.is_overdue(NOW.plus_millis(500)));
        assert!(!barge_in.is_overdue(NOW.plus_millis(900)));
        barge_in.voice(NOW, true);
        barge_in.decided();
        assert!(!barge_in.is_overdue(NOW.plus_millis(5_000)));
    }
}
