//! Which tracks a dialect has words for.

use crate::stream::ears::Together;
use crate::tracks::SAID;

/// Which tracks a dialect has words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracks {
    /// One, or several summed.
    One,
    /// As [`Tracks::One`], or two as left and right.
    Stereo,
    /// As [`Tracks::One`], or one of what is said and one of what somebody is sent, each in messages of its own.
    BothWays,
    /// Any, each in messages of its own.
    All,
}

impl Tracks {
    /// These can be carried together in this way.
    pub fn carry(self, tracks: &[u8], together: Together) -> bool {
        match (self, together) {
            (Tracks::All, Together::Apart) => !tracks.is_empty(),
            (Tracks::BothWays, Together::Apart) => {
                matches!(*tracks, [_]) || matches!(*tracks, [one, other] if is_sent(one) != is_sent(other))
            }
            (_, Together::Apart) => matches!(tracks, [_]),
            (Tracks::Stereo, Together::Stereo) => matches!(tracks, [_, _]),
            (_, Together::Stereo) => false,
            (tracked, Together::Mixed) => tracked != Tracks::All && !tracks.is_empty(),
        }
    }
}

/// A track of what somebody is sent, or of what is said to all: outbound, as dialects with two tracks call it.
pub const fn is_sent(track: u8) -> bool {
    track >= SAID
}
