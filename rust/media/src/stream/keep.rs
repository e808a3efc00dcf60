//! What of a stream outlives the process: its identifiers, the numbers of its messages, and its playout queue. Its URL
//! and headers are the runtime's to keep, its metadata control's; its socket has to be opened again.

use super::Stream;
use crate::config::{Dialect, Direction, Format, Limits, StreamParams, StreamStart, Together};
use crate::key::StreamKey;
use crate::playout::Playout;
use crate::record::RecordError;
use crate::record::layout::{IdRecord, KEPT_TRACKS, StreamSetup, StreamState, stream_flags};
use crate::record::ring::{Entry, Ring};
use crate::stream::dialect;
use crate::stream::encoding::Encoding;

impl Stream {
    /// What changes rarely.
    pub fn keep_setup(&self) -> StreamSetup {
        let params = &self.params;
        StreamSetup {
            serial: self.key.serial,
            chunk_ms: params.chunk_ms,
            rate_hz: params.rate_hz,
            dialect: params.dialect as u32,
            encoding: params.encoding as u32,
            input_encoding: self.mouths.input.encoding as u32,
            input_rate_hz: self.mouths.input.rate_hz,
            direction: params.direction as u32,
            together: params.together as u32,
            speak_to: params.speak_to.into(),
            reserved: 0,
            tracks_used: params.tracks.len() as u32,
            tracks: {
                let mut tracks = [0; KEPT_TRACKS];
                for (kept, track) in tracks.iter_mut().zip(&params.tracks) {
                    *kept = *track;
                }
                tracks
            },
            ids: [
                IdRecord::new(&params.account_id),
                IdRecord::new(&params.call_app_id),
                IdRecord::new(&params.call_id),
                IdRecord::new(&params.stream_id),
            ],
        }
    }

    /// What changes rarely has changed since this was asked last.
    pub fn take_setup_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_reshaped)
    }

    /// What changes with messages and frames; brings the ring up to date.
    pub fn keep_state(&mut self, ring: &mut Ring<'_>) -> StreamState {
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let talk = self.talk.as_ref();
        StreamState {
            messages_sent: self.stats.messages_sent,
            messages_received: self.stats.messages_received,
            bytes_sent: self.stats.bytes_sent,
            bytes_received: self.stats.bytes_received,
            numbers: self.wire.numbers(),
            heard: self.ears.heard(),
            ears: self.ears.keep(),
            queue: self.mouths.all().keep(self.key.serial, ring),
            received: talk
                .and_then(|talk| talk.numbering.received())
                .map_or(0, |last| u64::from(last) + 1),
            generation: talk.map_or(0, |talk| talk.generation),
            reserved: 0,
            flags: flag(self.connected, stream_flags::CONNECTED)
                | flag(self.first_audio_sent, stream_flags::AUDIO_SENT)
                | flag(self.first_audio_received, stream_flags::AUDIO_RECEIVED)
                | flag(self.asks_empty, stream_flags::ASKS_EMPTY)
                | flag(talk.is_some_and(|talk| talk.is_agreed), stream_flags::AGREED)
                | flag(talk.is_some_and(|talk| talk.is_text), stream_flags::TEXT),
            told: self.told,
        }
    }

    /// Where its first entry in the ring is.
    pub fn first_kept(&self) -> Option<u64> {
        self.mouths.kept().first_kept()
    }

    /// The stream as it was, but not connected: its socket has gone with the process.
    pub fn restored(
        key: StreamKey,
        (setup, state): (&StreamSetup, &StreamState),
        entries: &[Entry],
        limits: &Limits,
        session_hz: u32,
    ) -> Result<Stream, RecordError> {
        let [account_id, call_app_id, call_id, stream_id] = setup.ids.each_ref().map(|id| {
            id.get()
                .map(str::to_owned)
                .ok_or(RecordError::Impossible("identifier of a stream"))
        });
        let params = StreamParams {
            dialect: dialect(setup.dialect).ok_or(RecordError::Impossible("dialect"))?,
            chunk_ms: setup.chunk_ms,
            encoding: encoding(setup.encoding)?,
            rate_hz: setup.rate_hz,
            input: Some(Format {
                encoding: encoding(setup.input_encoding)?,
                rate_hz: setup.input_rate_hz,
            }),
            direction: match setup.direction {
                0 => Direction::Both,
                _ => Direction::Listen,
            },
            tracks: setup
                .tracks
                .get(..setup.tracks_used as usize)
                .unwrap_or_default()
                .to_vec(),
            together: [Together::Apart, Together::Stereo, Together::Mixed]
                .into_iter()
                .find(|together| *together as u32 == setup.together)
                .ok_or(RecordError::Impossible("tracks of a stream"))?,
            queue_limit_ms: limits.playout_ms,
            speak_to: setup.speak_to as u8,
            account_id: account_id?,
            call_app_id: call_app_id?,
            call_id: call_id?,
            stream_id: stream_id?,
            start: StreamStart::default(),
            // The sockets are gone with the process, and so is who waits for them.
            resume: None,
            metadata: String::new(),
        };
        let mut stream = Stream::new(key, params, limits.playout_ms, session_hz)
            .map_err(|_| RecordError::Impossible("parameters of a stream"))?;
        stream.wire.resume(state.numbers);
        let of_dialect = dialect::entry(stream.params.dialect).queue_ms;
        let limit_ms = of_dialect.unwrap_or(limits.playout_ms).min(limits.playout_ms);
        let ours = entries.iter().filter(|entry| entry.stream == key.serial);
        let input_hz = stream.mouths.input.rate_hz;
        *stream.mouths.all() = Playout::restored(limit_ms, input_hz, &state.queue, ours);
        stream.ears.resume(state.heard, &state.ears);
        stream.first_audio_sent = state.flags & stream_flags::AUDIO_SENT != 0;
        stream.first_audio_received = state.flags & stream_flags::AUDIO_RECEIVED != 0;
        stream.asks_empty = state.flags & stream_flags::ASKS_EMPTY != 0;
        stream.told = state.told;
        if let Some(talk) = &mut stream.talk {
            talk.is_agreed = state.flags & stream_flags::AGREED != 0;
            talk.is_text = state.flags & stream_flags::TEXT != 0;
            let received = state.received.checked_sub(1);
            talk.numbering.resume(received.map(|last| last as u32));
            talk.generation = state.generation;
        }
        stream.stats.messages_sent = state.messages_sent;
        stream.stats.messages_received = state.messages_received;
        stream.stats.bytes_sent = state.bytes_sent;
        stream.stats.bytes_received = state.bytes_received;
        Ok(stream)
    }

    /// How it was opened.
    pub fn params(&self) -> &StreamParams {
        &self.params
    }
}

fn dialect(number: u32) -> Option<Dialect> {
    dialect::TABLE.get(number as usize).map(|entry| entry.dialect)
}

fn encoding(number: u32) -> Result<Encoding, RecordError> {
    let mut encodings = Encoding::ALL.into_iter();
    encodings
        .find(|encoding| *encoding as u32 == number)
        .ok_or(RecordError::Impossible("encoding"))
}
