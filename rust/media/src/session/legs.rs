//! The legs of a session: each is a party of its own from when it is connected, and two of them make a conference.

use std::net::SocketAddr;

use super::{MAX_LEGS, Session};
use crate::codec::{Codec, MAX_PTIME_MS};
use crate::conference::Conference;
use crate::config::{LegRemote, MAX_ID_BYTES, Mute};
use crate::context::Context;
use crate::error::CommandError;
use crate::event::{Event, PlaybackEnd};
use crate::key::LegKey;
use crate::leg::Leg;
use crate::stats::LegStats;
use crate::time::Time;
use crate::tracks::{Label, MAX_PARTY, Party};

impl Session {
    pub fn open_leg(&mut self, context: &mut Context<'_>) -> Result<LegKey, CommandError> {
        if self.legs.len() >= MAX_LEGS {
            return Err(CommandError::LimitReached("legs of a session"));
        }
        let key = LegKey {
            session: self.key,
            serial: self.take_serial(),
        };
        let config = context.config;
        self.legs.push(Leg::new(
            key,
            self.tick0,
            config.numbering,
            config.ntp_at_zero,
            context.random,
        ));
        let number = if self.numbered < MAX_PARTY {
            self.numbered + 1
        } else {
            0
        };
        self.numbered = self.numbered.max(number);
        self.parties.push(Party::new(key, number));
        match &mut self.conference {
            Some(conference) => conference.join(),
            None if self.legs.len() > 1 => {
                self.conference = Some(Box::new(Conference::new(self.legs.len())));
            }
            None => {}
        }
        Ok(key)
    }

    pub fn leg(&self, key: LegKey) -> Result<&Leg, CommandError> {
        self.legs
            .iter()
            .find(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)
    }

    pub fn leg_mut(&mut self, key: LegKey) -> Result<&mut Leg, CommandError> {
        self.legs
            .iter_mut()
            .find(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)
    }

    pub fn connect_leg(
        &mut self,
        now: Time,
        key: LegKey,
        remote: LegRemote,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        if remote
            .telephone_event
            .is_some_and(|event| event.payload_type > 127)
        {
            return Err(CommandError::BadParameter("payload_type must be 0 to 127"));
        }
        let rate = |codec: Codec| matches!(codec.rate_hz(), 8_000 | 16_000 | 24_000 | 48_000);
        if !remote.audio.entries().iter().all(|(_, codec)| rate(*codec)) {
            return Err(CommandError::BadParameter(
                "rate_hz must be 8000, 16000, 24000 or 48000",
            ));
        }
        if !(10..=MAX_PTIME_MS).contains(&remote.ptime_ms) {
            return Err(CommandError::BadParameter("ptime_ms must be 10 to 60"));
        }
        self.leg_mut(key)?.connect(now, remote, context);
        self.settle_rate();
        self.admit_party(key, context);
        Ok(())
    }

    /// What applications are told of a leg. One that has its number already is not told of again.
    pub fn label_leg(&mut self, key: LegKey, label: Label) -> Result<(), CommandError> {
        if label.leg_id.len().max(label.role.len()) > MAX_ID_BYTES {
            return Err(CommandError::BadParameter(
                "an identifier is longer than 256 bytes",
            ));
        }
        let party = self.parties.iter_mut().find(|party| party.leg == key);
        party.ok_or(CommandError::UnknownLeg)?.label = label;
        Ok(())
    }

    /// A leg that is connected is a party.
    fn admit_party(&mut self, key: LegKey, context: &mut Context<'_>) {
        let party = self.parties.iter_mut().find(|party| party.leg == key);
        let Some(party) = party.filter(|party| party.track != party.number) else {
            return;
        };
        party.track = party.number;
        for stream in &mut self.streams {
            stream.party_came(party, context);
        }
    }

    pub fn close_leg(
        &mut self,
        now: Time,
        key: LegKey,
        context: &mut Context<'_>,
    ) -> Result<LegStats, CommandError> {
        let at = self
            .legs
            .iter()
            .position(|leg| leg.key() == key)
            .ok_or(CommandError::UnknownLeg)?;
        let mut leg = self.legs.remove(at);
        leg.close(now, context);
        let party = self.parties.remove(at);
        self.voices.forget(key);
        for stream in &mut self.streams {
            stream.party_left(&party, context);
        }
        for (_, recording) in &mut self.recordings {
            recording.forget(key);
        }
        self.playbacks.retain(|(playback, of)| {
            let stays = of.to() != Some(key);
            if !stays {
                context.events.push(Event::PlaybackFinished {
                    playback: *playback,
                    reason: PlaybackEnd::Stopped,
                });
            }
            stays
        });
        self.leave_conference(at, key, context);
        self.settle_rate();
        Ok(leg.stats())
    }

    /// The last but one to leave ends the conference. Nobody is told to speak who has gone.
    fn leave_conference(&mut self, at: usize, leg: LegKey, context: &mut Context<'_>) {
        let Some(conference) = &mut self.conference else {
            return;
        };
        let speaker = conference.speaker();
        let ends = self.legs.len() < 2;
        if speaker.is_some() && (ends || speaker == Some(leg)) {
            context.events.push(Event::SpeakerChanged {
                session: self.key,
                leg: None,
            });
        }
        if ends {
            self.conference = None;
        } else {
            conference.leave(at, leg);
        }
    }

    pub fn mute_leg(&mut self, key: LegKey, mute: Mute) -> Result<(), CommandError> {
        self.leg_mut(key)?.set_mute(mute);
        Ok(())
    }

    /// Takes a datagram from the RTP socket of a leg.
    pub fn receive_rtp(
        &mut self,
        now: Time,
        leg: LegKey,
        from: SocketAddr,
        data: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let told = context.events.len();
        self.leg_mut(leg)?.receive_rtp(now, from, data, context);
        self.tell_digits(told, context);
        Ok(())
    }
}
