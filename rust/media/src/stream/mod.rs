//! A media stream: one WebSocket to the application, seen from the session.
//!
//! Up: frames of what was heard gather into chunks, each chunk becomes a message of the dialect. Down: messages become
//! chunks in the playout queue. Which bytes carry them is the dialect's business ([`teler`], [`twilio`], [`binary`]), how
//! they travel is the caller's.

pub mod asterisk;
pub mod base64;
pub mod binary;
pub mod dialect;
pub mod ears;
pub mod encoding;
pub mod events;
pub mod exotel;
pub mod jambonz;
pub mod json;
mod keep;
mod mouths;
pub mod plivo;
pub mod ring;
mod sound;
pub mod teler;
pub mod telnyx;
pub mod token;
pub mod twilio;
pub mod uplink;
pub mod vonage;

use std::io::Write as _;

use crate::config::{
    Direction, Format, MAX_CHUNK_MS, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_START_FIELDS, StreamParams,
    Together,
};
use crate::context::Context;
use crate::error::CommandError;
use crate::event::{Event, RefusedMessage};
use crate::key::StreamKey;
use crate::mix::Mixer;
use crate::outbox::Outbox;
use crate::playout::{ChunkId, Cleared, Pulled, Pushed};
use crate::stats::StreamStats;
use crate::time::{FRAME_MS, Time};
use crate::tracks::{ALL, Heard, Party, TrackSet, is_known};
use crate::{Destination, Form};
use dialect::{Audio, Message, Play, Tell, WireFormat};
use ears::Ears;
use mouths::Mouths;
use sound::Sound;
use uplink::{Outgoing, Uplink};

/// One stream of a session.
pub(crate) struct Stream {
    key: StreamKey,
    params: StreamParams,
    wire: Box<dyn WireFormat>,
    connected: bool,
    /// What outlives a connection, of a dialect that greets.
    uplink: Option<Box<Uplink>>,
    ears: Ears,
    mouths: Mouths,
    /// Sounds of other formats.
    sound: Sound,
    /// The application wants to know when nothing waits.
    asks_empty: bool,
    first_audio_sent: bool,
    first_audio_received: bool,
    /// Reasons of refusal already told, one bit each.
    told: u32,
    stats: StreamStats,
}

impl Stream {
    /// A stream that waits for its socket.
    pub fn new(
        key: StreamKey,
        params: StreamParams,
        playout_ms: u32,
        session_hz: u32,
    ) -> Result<Stream, CommandError> {
        let input = check(&params)?;
        let entry = dialect::entry(params.dialect);
        let mut ears = Ears::new(params.encoding, params.rate_hz, params.chunk_ms, session_hz);
        ears.tune(&params.tracks, params.together)
            .ok_or(CommandError::LimitReached("tracks of a stream"))?;
        Ok(Stream {
            key,
            wire: (entry.make)(&params),
            connected: false,
            uplink: uplink(&params),
            ears,
            mouths: Mouths::new(
                input,
                session_hz,
                entry.queue_ms.unwrap_or(playout_ms).min(playout_ms),
            ),
            sound: Sound::default(),
            asks_empty: false,
            params,
            first_audio_sent: false,
            first_audio_received: false,
            told: 0,
            stats: StreamStats::default(),
        })
    }

    /// Its key.
    pub fn key(&self) -> StreamKey {
        self.key
    }

    /// The length of so many samples of the application's audio.
    const fn millis(&self, samples: u64) -> u64 {
        samples / (self.mouths.input.rate_hz as u64 / 1_000)
    }

    /// What it has seen.
    pub fn stats(&self) -> StreamStats {
        let totals = self.mouths.totals();
        StreamStats {
            played_ms: self.millis(totals.played),
            cleared_ms: self.millis(totals.cleared),
            overflow_ms: self.millis(totals.overflow),
            trimmed_ms: self.millis(totals.trimmed),
            underruns: totals.underruns,
            queued_ms: self.millis(self.mouths.queued() as u64),
            ..self.stats
        }
    }

    /// A socket is there, the first or another one: `start` goes first.
    pub fn connect(&mut self, parties: &[Party], context: &mut Context<'_>) {
        if std::mem::replace(&mut self.connected, true) && self.uplink.is_none() {
            return;
        }
        self.stats.connections += 1;
        let epoch = match &mut self.uplink {
            Some(uplink) => uplink.connect(),
            None => self.stats.connections as u32,
        };
        self.tell(&Tell::Connected, false, context.outbox);
        self.tell(&Tell::Epoch(epoch), false, context.outbox);
        let start = Tell::Start(&self.params, parties);
        let form = self.wire.write(&start, context.outbox.writer());
        self.commit(form, false, context.outbox);
        if self.uplink.is_none() && self.params.resume.is_some() {
            let stream = self.key;
            let resumed = false;
            context.events.push(Event::StreamReady {
                stream,
                epoch,
                resumed,
            });
        }
    }

    /// The socket has gone; what is heard is kept for the next, if the dialect can tell it later.
    pub fn disconnect(&mut self) {
        self.connected = false;
        if let Some(uplink) = &mut self.uplink {
            uplink.disconnect();
        }
    }

    /// Whether this token may begin a connection.
    pub fn admits(&self, token: &str) -> bool {
        self.uplink.as_ref().is_some_and(|uplink| uplink.admits(token))
    }

    /// The socket takes nothing for now, or takes it again.
    pub fn block(&mut self, is_blocked: bool) {
        if let Some(uplink) = &mut self.uplink {
            uplink.block(is_blocked);
        }
    }

    #[allow(dead_code, reason = "the dialect that greets comes next")]
    /// `hello` is answered: `ready` has been written, and what it is due goes out from now on.
    pub fn begin(&mut self, resumed: bool, context: &mut Context<'_>) {
        let Some(uplink) = &self.uplink else { return };
        context.events.push(Event::StreamReady {
            stream: self.key,
            epoch: uplink.epoch(),
            resumed,
        });
        self.send_due(context);
    }

    /// Sends what the connection is due of its tracks and events.
    fn send_due(&mut self, context: &mut Context<'_>) {
        let Some(mut uplink) = self.uplink.take() else {
            return;
        };
        uplink.begin_frame();
        while let Some(due) = uplink.poll() {
            let form = match due {
                Outgoing::Event(parts) => {
                    parts
                        .iter()
                        .for_each(|part| context.outbox.writer().extend_from_slice(part));
                    Some(Form::Text)
                }
                Outgoing::Gap { track, from, to } => {
                    self.stats.missed += u64::from(to.wrapping_sub(from)) + 1;
                    let gap = Tell::Gap { track, from, to };
                    self.wire.write(&gap, context.outbox.writer())
                }
                Outgoing::Audio(chunk) => {
                    self.stats.replayed += u64::from(chunk.is_replay);
                    if !std::mem::replace(&mut self.first_audio_sent, true) {
                        let stream = self.key;
                        context.events.push(Event::StreamFirstAudioSent { stream });
                    }
                    self.wire.write(&Tell::Audio(chunk), context.outbox.writer())
                }
            };
            self.commit(form, false, context.outbox);
        }
        self.uplink = Some(uplink);
    }

    #[allow(dead_code, reason = "the dialect that greets comes next")]
    /// Has the dialect write what must not be lost with a socket, and sends it now or to the next connection.
    fn tell_event(&mut self, tell: &Tell<'_>, context: &mut Context<'_>) {
        let Some(uplink) = self.uplink.as_mut() else {
            return self.tell(tell, true, context.outbox);
        };
        if !uplink.was_ready() {
            return;
        }
        context.scratch.clear();
        if self.wire.write(tell, context.scratch).is_none() || context.scratch.pop() != Some(b'}') {
            return;
        }
        let _ = write!(context.scratch, r#","event":{}}}"#, uplink.next_event());
        uplink.push_event(context.scratch);
        self.send_due(context);
    }

    /// The stream is over: the application is told so, if its dialect can.
    pub fn stop(&mut self, outbox: &mut Outbox) {
        if self.connected {
            self.tell(&Tell::Stop, false, outbox);
            self.connected = false;
        }
    }

    /// The caller pressed a key.
    pub fn tell_digit(&mut self, digit: char, duration_ms: u32, outbox: &mut Outbox) {
        self.tell(&Tell::Digit { digit, duration_ms }, true, outbox);
    }

    /// Has the dialect write this, if there is a socket and it can.
    fn tell(&mut self, tell: &Tell<'_>, may_drop: bool, outbox: &mut Outbox) {
        if self.connected {
            let form = self.wire.write(tell, outbox.writer());
            self.commit(form, may_drop, outbox);
        }
    }

    /// What the dialect wrote becomes a message, if it wrote one.
    fn commit(&mut self, form: Option<Form>, may_drop: bool, outbox: &mut Outbox) {
        let Some(form) = form else { return };
        let stream = self.key;
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += outbox.commit(Destination::Stream {
            stream,
            form,
            may_drop,
        }) as u64;
    }

    /// The session has another rate now.
    pub fn set_rate(&mut self, session_hz: u32) {
        self.ears.set_rate(session_hz);
        self.mouths.set_rate(session_hz);
    }

    /// It listens to what some party is sent.
    pub fn hears_sent(&self) -> bool {
        self.ears.hear_sent()
    }

    /// One more party has a track.
    pub fn party_came(&mut self, party: &Party, outbox: &mut Outbox) {
        self.tell(&Tell::TrackAdded(party), false, outbox);
    }

    /// A party has left.
    pub fn party_left(&mut self, party: &Party, outbox: &mut Outbox) {
        if party.track != 0 {
            self.mouths.empty(party.track);
            self.answer_marks(outbox);
            self.mouths.forget(party.track);
            if !self.connected {
                return;
            }
            let form = self.wire.write(&Tell::TrackRemoved(party), outbox.writer());
            if form.is_some() {
                // Whoever does not know that it has left goes on hearing its silence.
                self.ears.forget(party.track);
            }
            self.commit(form, false, outbox);
        }
    }

    /// Takes one frame of what was heard.
    pub fn hear(&mut self, heard: &Heard<'_>, context: &mut Context<'_>) {
        if let Some(uplink) = &mut self.uplink {
            if uplink.was_ready() {
                self.ears.hear(heard);
                while let Some(chunk) = self.ears.take() {
                    uplink.push_audio(&chunk);
                }
                self.send_due(context);
            }
            return;
        }
        if !self.connected {
            return;
        }
        self.ears.hear(heard);
        while let Some(chunk) = self.ears.take() {
            let form = self.wire.write(&Tell::Audio(chunk), context.outbox.writer());
            self.commit(form, true, context.outbox);
            if !std::mem::replace(&mut self.first_audio_sent, true) {
                context
                    .events
                    .push(Event::StreamFirstAudioSent { stream: self.key });
            }
        }
    }

    /// Adds the next frame of what the application says to all, or to one party, if it says anything.
    pub fn speak(&mut self, now: Time, to: u8, mixer: &mut Mixer, context: &mut Context<'_>) {
        let input_hz = self.mouths.input.rate_hz;
        let Some(mouth) = self.mouths.iter_mut().find(|mouth| mouth.to == to) else {
            return;
        };
        let Pulled {
            started,
            drained,
            is_low,
            count,
        } = mouth.speak(now, input_hz, mixer);
        let is_empty = to == ALL && count == 0 && mouth.playout.queued() == 0;
        self.answer_marks(context.outbox);
        if started {
            context.events.push(Event::PlayoutStarted { stream: self.key });
        }
        if drained {
            context.events.push(Event::PlayoutDrained { stream: self.key });
            self.tell(&Tell::Drained, true, context.outbox);
        }
        if is_low {
            self.tell(&Tell::QueueLow, true, context.outbox);
        }
        if is_empty && std::mem::take(&mut self.asks_empty) {
            self.tell(&Tell::Empty, true, context.outbox);
        }
    }

    /// It has spoken to this party alone.
    pub fn speaks_to(&self, party: u8) -> bool {
        party != ALL && self.mouths.tracks().any(|track| track == party)
    }

    fn answer_marks(&mut self, outbox: &mut Outbox) {
        while let Some((name, outcome)) = self.mouths.take_mark() {
            self.tell(&Tell::Mark { name: &name, outcome }, true, outbox);
        }
    }

    /// Takes one message from the application.
    pub fn receive(
        &mut self,
        now: Time,
        (form, message): (Form, &[u8]),
        parties: &[Party],
        context: &mut Context<'_>,
    ) {
        self.stats.messages_received += 1;
        self.stats.bytes_received += message.len() as u64;
        let outcome = self
            .wire
            .read(form, message)
            .and_then(|message| self.obey(now, message, parties, context));
        if let Err(reason) = outcome {
            self.refuse(reason, context);
        }
    }

    fn obey(
        &mut self,
        now: Time,
        message: Message<'_>,
        parties: &[Party],
        context: &mut Context<'_>,
    ) -> Result<(), RefusedMessage> {
        let changes_what_is_heard = matches!(message, Message::Subscribe(_) | Message::Unsubscribe(_));
        if self.params.direction == Direction::Listen && !changes_what_is_heard {
            return Err(RefusedMessage::NotAllowed);
        }
        match message {
            Message::Audio(audio, id) => self.push(now, ALL, audio, id, context)?,
            Message::AudioTo(track, audio) => {
                if track != ALL && !parties.iter().any(|party| party.track == track) {
                    return Err(RefusedMessage::UnknownTrack);
                }
                self.push(now, track, audio, None, context)?;
            }
            Message::Subscribe(tracks) => {
                if self.params.together != Together::Apart {
                    return Err(RefusedMessage::NotAllowed);
                }
                let subscribed = self.subscribe(tracks, parties);
                self.tell(&Tell::Tracks(self.ears.tracks().collect()), false, context.outbox);
                subscribed?;
            }
            Message::Unsubscribe(tracks) => {
                if self.params.together != Together::Apart {
                    return Err(RefusedMessage::NotAllowed);
                }
                tracks.iter().for_each(|track| self.ears.unsubscribe(track));
                self.tell(&Tell::Tracks(self.ears.tracks().collect()), false, context.outbox);
            }
            Message::Interrupt(id) => match id.and_then(|id| Some((id, self.mouths.interrupt(&id)?))) {
                Some((chunk_id, dropped)) => {
                    let dropped_ms = self.millis(dropped as u64);
                    context.events.push(Event::PlayoutInterrupted {
                        stream: self.key,
                        chunk_id,
                        dropped_ms,
                    });
                }
                None => self.stats.unknown_chunk += 1,
            },
            Message::Play(play) => self.play(now, play, context)?,
            Message::Clear => self.clear(context),
            Message::Mark(name) => self.mark(name, context.outbox)?,
            Message::ClearMarks => {
                self.mouths.all().clear_marks();
                self.answer_marks(context.outbox);
            }
            Message::Pause => {
                self.mouths.all().pause();
            }
            Message::Resume => {
                self.mouths.all().resume(now);
            }
            Message::AskStatus => {
                let playout = self.mouths.all();
                let (queued, is_high, is_paused) = (playout.queued(), playout.is_high(), playout.is_paused());
                let tell = Tell::Status {
                    queued_ms: self.millis(queued as u64),
                    is_high,
                    is_paused,
                };
                self.tell(&tell, true, context.outbox);
            }
            Message::AskEmpty => self.asks_empty = true,
            Message::Nothing => {}
        }
        Ok(())
    }

    /// Drops everything queued, and tells it.
    fn clear(&mut self, context: &mut Context<'_>) {
        let was_high = self.mouths.all().is_high();
        let cleared = self.mouths.clear();
        self.answer_marks(context.outbox);
        let Cleared { played, dropped } = cleared.unwrap_or_default();
        let (played_ms, dropped_ms) = (self.millis(played), self.millis(dropped));
        if cleared.is_some() {
            context.events.push(Event::PlayoutCleared {
                stream: self.key,
                played_ms,
                dropped_ms,
            });
        }
        let tell = Tell::Cleared {
            played_ms,
            dropped_ms,
        };
        self.tell(&tell, true, context.outbox);
        if was_high {
            self.tell(&Tell::QueueLow, true, context.outbox);
        }
    }

    fn mark(&mut self, name: &str, outbox: &mut Outbox) -> Result<(), RefusedMessage> {
        if !self.mouths.all().mark(name) {
            return Err(RefusedMessage::LimitReached);
        }
        self.answer_marks(outbox);
        Ok(())
    }

    /// Queues a sound that has a format of its own, converted.
    fn play(&mut self, now: Time, play: Play<'_>, context: &mut Context<'_>) -> Result<(), RefusedMessage> {
        let bytes: &[u8] = match &play.audio {
            Audio::Base64(text) => {
                base64::decode(text.as_bytes(), context.scratch)?;
                context.scratch
            }
            Audio::Raw(bytes) => bytes,
            Audio::Joined(bytes) => bytes,
        };
        self.sound
            .convert(bytes, play.format, self.mouths.input.rate_hz)?;
        if play.replace {
            self.clear(context);
        }
        let samples = self.sound.samples();
        let has_audio = !samples.is_empty();
        let pushed = self.mouths.all().push_samples(now, samples, None);
        self.note_pushed(pushed, has_audio, context);
        match play.done {
            Some(name) => self.mark(name, context.outbox),
            None => Ok(()),
        }
    }

    /// Hears these from the next frame on; those that nobody has are left out, and it is said.
    fn subscribe(&mut self, tracks: TrackSet, parties: &[Party]) -> Result<(), RefusedMessage> {
        let mut done = Ok(());
        for track in tracks.iter() {
            let heard = match is_known(track, parties) {
                true => self.ears.subscribe(track).ok_or(RefusedMessage::LimitReached),
                false => Err(RefusedMessage::UnknownTrack),
            };
            done = done.and(heard);
        }
        done
    }

    /// Queues what this party, or all, are to hear.
    fn push(
        &mut self,
        now: Time,
        to: u8,
        audio: Audio<'_>,
        id: Option<ChunkId>,
        context: &mut Context<'_>,
    ) -> Result<(), RefusedMessage> {
        let bytes = match audio {
            Audio::Base64(text) => {
                base64::decode(text.as_bytes(), context.scratch)?;
                &context.scratch[..]
            }
            Audio::Raw(bytes) => bytes,
            Audio::Joined(ref bytes) => bytes,
        };
        let encoding = self.mouths.input.encoding;
        let playout = self.mouths.to(to).ok_or(RefusedMessage::LimitReached)?;
        let pushed = playout.push(now, encoding, bytes, id);
        let has_audio = !bytes.is_empty();
        self.note_pushed(pushed, has_audio, context);
        Ok(())
    }

    fn note_pushed(&mut self, pushed: Pushed, has_audio: bool, context: &mut Context<'_>) {
        let stream = self.key;
        if has_audio && !std::mem::replace(&mut self.first_audio_received, true) {
            context.events.push(Event::StreamFirstAudioReceived { stream });
        }
        if pushed.overflow_began {
            let dropped_ms = self.millis(pushed.dropped as u64);
            context.events.push(Event::PlayoutOverflow { stream, dropped_ms });
        }
        if pushed.is_high {
            self.tell(&Tell::QueueHigh, true, context.outbox);
        }
    }

    fn refuse(&mut self, reason: RefusedMessage, context: &mut Context<'_>) {
        let counter = match reason {
            RefusedMessage::MalformedJson => &mut self.stats.malformed_json,
            RefusedMessage::MalformedBase64 => &mut self.stats.malformed_base64,
            RefusedMessage::MissingField => &mut self.stats.missing_field,
            RefusedMessage::UnknownType => &mut self.stats.unknown_type,
            RefusedMessage::Binary => &mut self.stats.binary_messages,
            RefusedMessage::BadHeader => &mut self.stats.bad_header,
            RefusedMessage::LimitReached => &mut self.stats.refused_marks,
            RefusedMessage::NotAllowed => &mut self.stats.not_allowed,
            RefusedMessage::UnknownTrack => &mut self.stats.unknown_track,
            RefusedMessage::OtherStream => &mut self.stats.other_stream,
            RefusedMessage::WrongFormat => &mut self.stats.wrong_format,
            RefusedMessage::TooLong => &mut self.stats.too_long,
        };
        *counter += 1;
        self.tell(&Tell::Refused(reason), true, context.outbox);
        let bit = 1 << reason as u8;
        if self.told & bit == 0 {
            self.told |= bit;
            context.events.push(Event::StreamMessageRefused {
                stream: self.key,
                reason,
            });
        }
    }
}

/// The uplink of a dialect that greets.
fn uplink(params: &StreamParams) -> Option<Box<Uplink>> {
    let resume = params.resume.clone();
    let resume = resume.filter(|_| params.dialect.greets())?;
    Some(Box::new(Uplink::new(resume)))
}

/// The format of the application's audio, when all else is right too.
fn check(params: &StreamParams) -> Result<Format, CommandError> {
    if !(FRAME_MS..=MAX_CHUNK_MS).contains(&params.chunk_ms) || !params.chunk_ms.is_multiple_of(FRAME_MS) {
        return Err(CommandError::BadParameter(
            "chunk_ms must be a multiple of 20 from 20 to 2000",
        ));
    }
    let entry = dialect::entry(params.dialect);
    let input = entry
        .input_of(params)
        .ok_or(CommandError::BadParameter(entry.formats))?;
    if !entry.tracks.carry(&params.tracks, params.together) {
        return Err(CommandError::BadParameter(
            "the dialect has no words for these tracks together",
        ));
    }
    let start = &params.start;
    let ids = [
        &params.account_id,
        &params.call_app_id,
        &params.call_id,
        &params.stream_id,
        &start.from,
        &start.to,
    ];
    let pairs = || start.ids.iter().chain(&start.parameters);
    let pair_is_long = |(name, value): &(String, String)| name.len() + value.len() > 2 * MAX_ID_BYTES;
    if ids.iter().any(|id| id.len() > MAX_ID_BYTES) {
        return Err(CommandError::BadParameter(
            "an identifier is longer than 256 bytes",
        ));
    }
    if pairs().count() > MAX_START_FIELDS || pairs().any(pair_is_long) {
        return Err(CommandError::BadParameter(
            "ids and parameters are at most 128, each of at most 512 bytes with its name",
        ));
    }
    if params.metadata.len() > MAX_METADATA_BYTES || !json::is_object_or_nothing(&params.metadata) {
        return Err(CommandError::BadParameter(
            "metadata must be a JSON object of at most 8192 bytes",
        ));
    }
    Ok(input)
}
