//! Tracks: whose sound is whose, as streams number it.
//!
//! | track | |
//! |---|---|
//! | 0 | all parties, mixed |
//! | 1 … 127 | what one party says |
//! | 128 | what streams and playbacks say together |
//! | 129 … 255 | what party *n* − 128 is sent |
//!
//! A leg has its number from when it is opened, so that the first of a call is the first here too, whoever answers first; it is a
//! party from when it is first connected. A number is not used again: a leg that comes when all have been used has no track of
//! its own, and is heard in the mix.

use crate::conference::Conference;
use crate::frame::Frame;
use crate::key::LegKey;
use crate::session::MAX_LEGS;

/// All parties, mixed; in what an application says: to all.
pub const ALL: u8 = 0;
/// The last number that a party may have.
pub const MAX_PARTY: u8 = 127;
/// What streams and playbacks say together.
pub const SAID: u8 = 128;
/// Most tracks that one stream hears: the mix, what is said, and both ways of each leg. Rule: more are refused.
pub const MAX_HEARD: usize = 2 + 2 * MAX_LEGS;

/// A set of tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackSet([u64; 4]);

impl TrackSet {
    /// Adds one.
    pub fn insert(&mut self, track: u8) {
        self.0[usize::from(track >> 6)] |= 1 << (track & 63);
    }

    /// Has it.
    pub fn contains(&self, track: u8) -> bool {
        self.0[usize::from(track >> 6)] & 1 << (track & 63) != 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|&track| self.contains(track))
    }
}

impl FromIterator<u8> for TrackSet {
    fn from_iter<T: IntoIterator<Item = u8>>(tracks: T) -> TrackSet {
        let mut set = TrackSet::default();
        tracks.into_iter().for_each(|track| set.insert(track));
        set
    }
}

/// What a party is sent.
pub const fn sent_to(party: u8) -> u8 {
    SAID + party
}

/// The party that a track is of; `None` when it is of all.
pub const fn party_of(track: u8) -> Option<u8> {
    match track % SAID {
        0 => None,
        party => Some(party),
    }
}

/// What applications are told of a leg. Each is at most [`MAX_ID_BYTES`](crate::config::MAX_ID_BYTES); empty: nothing is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Its identifier, as control names it.
    pub leg_id: String,
    /// What it is to the call, such as `caller`.
    pub role: String,
}

/// One leg of a session, as streams see it.
#[derive(Clone, Debug)]
pub struct Party {
    pub(crate) leg: LegKey,
    /// 1 … [`MAX_PARTY`]; 0 before it is connected, and when it came too late to have one.
    pub track: u8,
    /// What its track is when it is connected.
    pub(crate) number: u8,
    /// Who it is.
    pub label: Label,
}

impl Party {
    /// Of a leg that is not connected yet; number 0: it has none.
    pub(crate) fn new(leg: LegKey, number: u8) -> Party {
        Party {
            leg,
            track: 0,
            number,
            label: Label::default(),
        }
    }
}

/// Some party has this track, or it is of all.
pub(crate) fn is_known(track: u8, parties: &[Party]) -> bool {
    party_of(track).is_none_or(|party| parties.iter().any(|other| other.track == party))
}

/// What one leg hears and says, or several.
#[derive(Clone, Copy)]
pub(crate) enum Sounds<'a> {
    /// There is at most one leg.
    One {
        heard: &'a Frame,
        sent: Option<&'a Frame>,
    },
    /// One for each party, in their order.
    Many(&'a Conference),
}

/// One frame of all that can be heard. What is not there is silence.
#[derive(Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub parties: &'a [Party],
    /// What all parties say.
    pub all: Option<&'a Frame>,
    /// What streams and playbacks say.
    pub said: Option<&'a Frame>,
    pub sounds: Sounds<'a>,
}

impl<'a> Heard<'a> {
    /// The frame of a track.
    pub fn frame(&self, track: u8) -> Option<&'a Frame> {
        let Some(party) = party_of(track) else {
            return if track == ALL { self.all } else { self.said };
        };
        let at = self.parties.iter().position(|other| other.track == party)?;
        match (self.sounds, track < SAID) {
            (Sounds::One { heard, .. }, true) => Some(heard),
            (Sounds::One { sent, .. }, false) => sent,
            (Sounds::Many(conference), true) => conference.heard(at),
            (Sounds::Many(conference), false) => conference.sent(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_track_is_of_one_party_or_of_all() {
        assert_eq!([ALL, SAID].map(party_of), [None, None]);
        assert_eq!(
            [1, MAX_PARTY, sent_to(1), sent_to(MAX_PARTY)].map(party_of),
            [1, 127, 1, 127].map(Some)
        );
        assert_eq!(sent_to(MAX_PARTY), 255);
    }
}
