//! The reserve: how much of a sender in real time waits before it is played, since such a sender can be late.
//!
//! It starts at zero, so that nothing is delayed that need not be. When the queue of such a sender (its last message
//! held less than [`PACED_BELOW_MS`]) runs dry and more comes within [`DRY_MS`], that was an underrun: the reserve rises by
//! [`RESERVE_STEP_MS`], at most to [`MAX_RESERVE_MS`], and playout waits until so much is queued, or so much time has
//! passed. It falls by a step after [`RELAX_MS`] of playing without underrun. A talkspurt that starts with a message of
//! [`PACED_BELOW_MS`] or more never waits.

use crate::time::Time;

/// A message shorter than this comes from a sender in real time.
pub const PACED_BELOW_MS: u32 = 100;
/// A queue of such a sender that was dry for so long has drained: the talkspurt is over.
pub const DRY_MS: u64 = 100;
/// By how much the reserve moves.
pub const RESERVE_STEP_MS: u32 = 20;
/// Upper bound of the reserve.
pub const MAX_RESERVE_MS: u32 = 100;
/// Playing without underrun for so long lowers the reserve by a step.
pub const RELAX_MS: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No talkspurt.
    Idle,
    /// A talkspurt has begun or goes on after an underrun, and waits for the reserve.
    Filling { since: Time },
    /// Audible.
    Playing,
    /// Ran dry within a talkspurt; more may come.
    Dry { since: Time },
}

/// Where a talkspurt is, and the reserve as it has adapted.
pub(super) struct Reserve {
    pub state: State,
    /// The last message was short.
    pub paced: bool,
    pub reserve_ms: u32,
    pub stable_since: Time,
}

impl Default for Reserve {
    fn default() -> Reserve {
        Reserve {
            state: State::Idle,
            paced: false,
            reserve_ms: 0,
            stable_since: Time(0),
        }
    }
}

/// What audio that came did to the talkspurt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    Begun,
    Underrun,
    Within,
}

impl Reserve {
    /// Audio has come.
    pub fn enter(&mut self, now: Time) -> Entered {
        let entered = match self.state {
            State::Idle => Entered::Begun,
            State::Dry { .. } => {
                self.reserve_ms = (self.reserve_ms + RESERVE_STEP_MS).min(MAX_RESERVE_MS);
                Entered::Underrun
            }
            State::Filling { .. } | State::Playing => return Entered::Within,
        };
        self.stable_since = now;
        self.state = State::Filling { since: now };
        entered
    }

    /// Playing may begin, if it waits: so much is queued, in milliseconds, and it began with a long message or not.
    pub fn start_if_due(&mut self, now: Time, queued_ms: u32, first_is_long: bool) {
        if let State::Filling { since } = self.state
            && (first_is_long
                || queued_ms >= self.reserve_ms
                || now.millis_since(since) >= u64::from(self.reserve_ms))
        {
            self.state = State::Playing;
        }
    }

    /// Nothing was lacking in this frame.
    pub fn relax(&mut self, now: Time) {
        if self.reserve_ms > 0 && now.millis_since(self.stable_since) >= RELAX_MS {
            self.reserve_ms -= RESERVE_STEP_MS;
            self.stable_since = now;
        }
    }

    /// What waits for time has waited for nothing yet: playing was held and goes on.
    pub fn wait_anew(&mut self, now: Time) {
        match &mut self.state {
            State::Filling { since } | State::Dry { since } => *since = now,
            State::Idle | State::Playing => {}
        }
    }
}
