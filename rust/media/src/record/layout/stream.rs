//! A stream and its playout queue in a record.

use super::value::IdRecord;
use crate::tracks::MAX_HEARD;

/// Tracks that a stream may be opened with, in whole words.
pub const KEPT_TRACKS: usize = MAX_HEARD.next_multiple_of(8);
/// Tracks of a stream whose numbers are kept.
pub const KEPT_EARS: usize = 4;

plain! {
    /// A stream, what changes rarely.
    StreamSetup {
        /// Of its key.
        serial: u32,
        /// Audio per message.
        chunk_ms: u32,
        /// Rate to the application.
        rate_hz: u32,
        /// Place among the dialects.
        dialect: u32,
        /// Place among the encodings.
        encoding: u32,
        /// Place among the encodings of what the application says.
        input_encoding: u32,
        /// Rate of what the application says.
        input_rate_hz: u32,
        /// Place among the directions.
        direction: u32,
        /// Place among the ways in which tracks come together.
        together: u32,
        /// Tracks it was opened with.
        tracks_used: u32,
        /// Which.
        tracks: [u8; KEPT_TRACKS],
        /// Who hears the queue: 0 all, else a party.
        speak_to: u32,
        /// Zero.
        reserved: u32,
        /// Account, call application, call, stream.
        ids: [IdRecord; 4],
    }

    /// A stream, what changes with messages and frames.
    StreamState {
        /// Messages made.
        messages_sent: u64,
        /// Messages that came.
        messages_received: u64,
        /// Bytes of the messages made.
        bytes_sent: u64,
        /// Bytes of the messages that came.
        bytes_received: u64,
        /// Numbers of the next message, as the dialect has them.
        numbers: [u64; 2],
        /// Samples heard, at the rate to the application.
        heard: u64,
        /// Of the first tracks that are heard; the application asks for others again.
        ears: [EarState; KEPT_EARS],
        /// The queue.
        queue: QueueState,
        /// One more than the last number of the application's messages that came; 0: none.
        received: u64,
        /// Clears so far.
        generation: u32,
        /// Zero.
        reserved: u32,
        /// [`stream_flags`].
        flags: u32,
        /// Reasons of refusal told, a bit each.
        told: u32,
    }

    /// The numbers of one track.
    EarState {
        /// Which; it is heard when the flag is set.
        track: u8,
        /// 1 when it is heard.
        flags: u8,
        /// Zero.
        reserved: u16,
        /// Of the next chunk.
        sequence: u32,
        /// Of the next chunk's first sample.
        timestamp: u64,
    }

    /// A playout queue, but for its audio.
    QueueState {
        /// Ring position of the first chunk that is to be heard, when there is one.
        first: u64,
        /// Samples of it that were heard.
        first_played: u64,
        /// Since when it fills, or is dry.
        since: u64,
        /// Since when it plays without underrun.
        stable_since: u64,
        /// Samples of the talkspurt that were heard.
        played_of_talkspurt: u64,
        /// Samples of the utterance that is being played that were heard.
        utterance_played: u64,
        /// Samples played, cleared, overflowed and trimmed, and underruns.
        totals: [u64; 5],
        /// The reserve.
        reserve_ms: u32,
        /// Clears so far: chunks of an older generation never come back.
        clear_generation: u32,
        /// 0 idle, 1 filling, 2 playing, 3 dry.
        state: u8,
        /// [`queue_flags`].
        flags: u8,
        /// Zero.
        reserved: [u8; 6],
    }
}

/// Bits of [`StreamState::flags`].
pub mod stream_flags {
    /// Its socket was there.
    pub const CONNECTED: u32 = 1;
    /// The first audio to the application was told.
    pub const AUDIO_SENT: u32 = 2;
    /// The first audio from the application was told.
    pub const AUDIO_RECEIVED: u32 = 4;
    /// What is spoken was agreed with the application.
    pub const AGREED: u32 = 16;
    /// Audio is text.
    pub const TEXT: u32 = 32;
    /// The application wants to know when nothing waits.
    pub const ASKS_EMPTY: u32 = 8;
}

/// Bits of [`QueueState::flags`].
pub mod queue_flags {
    /// Something of the talkspurt was heard.
    pub const AUDIBLE: u8 = 1;
    /// The last message was short.
    pub const PACED: u8 = 2;
    /// The queue is full, and it was told.
    pub const OVERFLOWING: u8 = 4;
    /// A clear was told.
    pub const CLEAR_TOLD: u8 = 8;
    /// [`QueueState::first`](super::QueueState::first) names a chunk.
    pub const KEPT: u8 = 16;
    /// Nothing is played until it goes on.
    pub const PAUSED: u8 = 32;
    /// The last utterance is not complete.
    pub const OPEN: u8 = 64;
    /// What belongs to no utterance is followed too.
    pub const FOLLOWED: u8 = 128;
}
