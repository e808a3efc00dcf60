//! The streams of a session: opened, connected, told what happens on the legs, and closed.

use super::{MAX_STREAMS, Session};
use crate::Form;
use crate::config::StreamParams;
use crate::context::Context;
use crate::error::CommandError;
use crate::event::Event;
use crate::key::StreamKey;
use crate::outbox::Outbox;
use crate::stats::StreamStats;
use crate::stream::Stream;
use crate::stream::dialect::Answer;
use crate::time::Time;
use crate::tracks::ALL;

impl Session {
    pub fn open_stream(
        &mut self,
        params: StreamParams,
        context: &mut Context<'_>,
    ) -> Result<StreamKey, CommandError> {
        if self.streams.len() >= MAX_STREAMS {
            return Err(CommandError::LimitReached("streams of a session"));
        }
        let key = StreamKey {
            session: self.key,
            serial: self.take_serial(),
        };
        self.streams.push(Stream::new(
            key,
            params,
            context.config.limits.playout_ms,
            self.rate_hz,
        )?);
        Ok(key)
    }

    /// Its socket is there.
    pub fn connect_stream(&mut self, key: StreamKey, mut context: Context<'_>) -> Result<(), CommandError> {
        let stream = self.streams.iter_mut().find(|stream| stream.key() == key);
        stream
            .ok_or(CommandError::UnknownStream)?
            .connect(&self.parties, &mut context);
        Ok(())
    }

    pub fn stream_admits(&self, key: StreamKey, token: &str) -> bool {
        let stream = self.streams.iter().find(|stream| stream.key() == key);
        stream.is_some_and(|stream| stream.admits(token))
    }

    pub fn stream_mut(&mut self, key: StreamKey) -> Result<&mut Stream, CommandError> {
        let stream = self.streams.iter_mut().find(|stream| stream.key() == key);
        stream.ok_or(CommandError::UnknownStream)
    }

    /// Takes one message of its application.
    pub fn receive_message(
        &mut self,
        now: Time,
        key: StreamKey,
        message: (Form, &[u8]),
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let stream = self.streams.iter_mut().find(|stream| stream.key() == key);
        let stream = stream.ok_or(CommandError::UnknownStream)?;
        stream.receive(now, message, &self.parties, context);
        Ok(())
    }

    /// Control has done what its application asked for, or says why not.
    pub fn answer_stream(
        &mut self,
        key: StreamKey,
        answer: Answer<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let stream = self.streams.iter_mut().find(|stream| stream.key() == key);
        stream.ok_or(CommandError::UnknownStream)?.answer(answer, context);
        Ok(())
    }

    pub fn close_stream(&mut self, key: StreamKey, outbox: &mut Outbox) -> Result<StreamStats, CommandError> {
        let at = self
            .streams
            .iter()
            .position(|stream| stream.key() == key)
            .ok_or(CommandError::UnknownStream)?;
        let mut stream = self.streams.swap_remove(at);
        stream.stop(outbox);
        Ok(stream.stats())
    }

    /// The digits among the events after the first `told` go to the streams as well.
    pub(super) fn tell_digits(&mut self, told: usize, context: &mut Context<'_>) {
        for at in told..context.events.len() {
            match context.events.get(at) {
                Some(&Event::DigitReceived {
                    leg,
                    digit,
                    duration_ms,
                    ..
                }) => {
                    let party = self.parties.iter().find(|party| party.leg == leg);
                    let track = party.map_or(ALL, |party| party.track);
                    for stream in &mut self.streams {
                        stream.tell_digit(digit, duration_ms, track, context);
                    }
                }
                Some(&Event::DigitSent { sent, .. }) => {
                    for stream in &mut self.streams {
                        stream.tell_digit_sent(sent.digit, sent.left, context);
                    }
                }
                _ => {}
            }
        }
    }
}
