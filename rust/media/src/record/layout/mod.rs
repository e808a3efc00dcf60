//! The bytes of a record. Integers are of this host's order, since a record never leaves it.
//!
//! Major version: another one is refused. Minor version: fields that were reserved (zero) have a meaning now.

/// Declares plain data of a size that is a multiple of eight, so that a checksum takes it by words.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(
            Clone,
            Copy,
            Debug,
            PartialEq,
            Eq,
            zerocopy::FromBytes,
            zerocopy::IntoBytes,
            zerocopy::Immutable,
            zerocopy::KnownLayout,
        )]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)+ }

        const _: () = assert!(size_of::<$name>().is_multiple_of(8));

        impl Default for $name {
            fn default() -> $name {
                zerocopy::FromZeros::new_zeroed()
            }
        }
    )+};
}

mod leg;
mod stream;
mod value;

pub use leg::{
    KEPT_DIGITS, LegSetup, LegState, SignalsSetup, ToldRecord, leg_flags, leg_state_flags, signals_flags,
};
pub use stream::{
    EarState, KEPT_EARS, KEPT_TRACKS, QueueState, StreamSetup, StreamState, queue_flags, stream_flags,
};
pub use value::{AddressRecord, IdRecord, KeyRecord, PayloadTypeRecord};

use crate::session;

/// Version of what follows.
pub const MAJOR: u16 = 3;
/// Version of the use of reserved fields.
pub const MINOR: u16 = 1;
/// First bytes of the node's record.
pub const NODE_MAGIC: [u8; 8] = *b"LLNODE\0\0";
/// First bytes of a slot in use.
pub const SLOT_MAGIC: [u8; 8] = *b"LLSLOT\0\0";

/// Legs that a record has room for.
pub const LEGS: usize = 16;
/// Streams that a record has room for.
pub const STREAMS: usize = 8;
/// Recordings that a record has room for.
pub const RECORDINGS: usize = 8;
/// Playbacks that a record has room for.
pub const PLAYBACKS: usize = 8;
const _: () = assert!(session::MAX_LEGS <= LEGS && session::MAX_STREAMS <= STREAMS);
const _: () = assert!(session::MAX_RECORDINGS <= RECORDINGS && session::MAX_PLAYBACKS <= PLAYBACKS);

plain! {
    /// One for all sessions of an engine.
    NodeRecord {
        /// [`NODE_MAGIC`].
        magic: [u8; 8],
        /// [`MAJOR`].
        major: u16,
        /// [`MINOR`].
        minor: u16,
        /// Zero.
        reserved: u32,
        /// Frames due up to this tick may have been sent: no number of theirs is used again.
        tick: u64,
    }

    /// First in a slot.
    SlotHeader {
        /// [`SLOT_MAGIC`].
        magic: [u8; 8],
        /// [`MAJOR`].
        major: u16,
        /// [`MINOR`].
        minor: u16,
        /// [`RING_OFFSET`], of who wrote it.
        ring_offset: u32,
        /// Bytes of the ring, of who wrote it.
        ring_bytes: u64,
        /// Of the key of the session; when there is none, of the next one's.
        session_generation: u32,
        /// Zero.
        reserved: u32,
    }

    /// First in each copy of a setup, and then the legs, streams and signals that are in use.
    Setup {
        /// Of this copy; zero: never written.
        generation: u64,
        /// Of the copy, taken with zero here.
        checksum: u64,
        /// The tick of the session's birth.
        tick0: u64,
        /// Of the session's key.
        session_generation: u32,
        /// The last serial number given away.
        serial: u32,
        /// Rate of the session's frames.
        rate_hz: u32,
        /// Legs in use.
        legs: u8,
        /// Streams in use.
        streams: u8,
        /// Legs that have signals.
        signals: u8,
        /// Numbers of parties given away.
        numbered: u8,
    }

    /// First in each copy of a state, and then the legs, streams, recordings and playbacks in use.
    State {
        /// Of this copy; zero: never written.
        generation: u64,
        /// Of the copy, taken with zero here.
        checksum: u64,
        /// The setup it belongs to.
        setup_generation: u64,
        /// Frames sent late.
        late_frames: u64,
        /// Frames never sent.
        skipped_frames: u64,
        /// The oldest entry of the ring that is in use.
        ring_head: u64,
        /// Where the next entry goes.
        ring_tail: u64,
        /// Legs in use, as in the setup.
        legs: u8,
        /// Streams in use, as in the setup.
        streams: u8,
        /// Recordings in use.
        recordings: u8,
        /// Playbacks in use.
        playbacks: u8,
        /// Serial number of the leg that was told to speak; 0 for none.
        speaker: u32,
    }

    /// A recording.
    RecordingState {
        /// Frames written.
        frames: u64,
        /// Of its key.
        serial: u32,
        /// Place among the layouts.
        layout: u32,
        /// Rate of what is written.
        rate_hz: u32,
        /// Zero.
        reserved: u32,
    }

    /// A playback; its samples are the runtime's to bring again.
    PlaybackState {
        /// The next sample.
        at: u64,
        /// Of its key.
        serial: u32,
        /// Times still to be played.
        left: u32,
        /// Serial number of the leg that alone hears it; 0 for all.
        leg: u32,
        /// Zero.
        reserved: u32,
    }
}

/// Bytes of one copy of a setup.
pub const SETUP_BYTES: usize = size_of::<Setup>()
    + LEGS * (size_of::<LegSetup>() + size_of::<SignalsSetup>())
    + STREAMS * size_of::<StreamSetup>();
/// Bytes of one copy of a state.
pub const STATE_BYTES: usize = size_of::<State>()
    + LEGS * size_of::<LegState>()
    + STREAMS * size_of::<StreamState>()
    + RECORDINGS * size_of::<RecordingState>()
    + PLAYBACKS * size_of::<PlaybackState>();
/// Where the first copy of the setup is.
pub const SETUP_OFFSET: usize = size_of::<SlotHeader>();
/// Where the first copy of the state is.
pub const STATE_OFFSET: usize = SETUP_OFFSET + 2 * SETUP_BYTES;
/// Where the ring is.
pub const RING_OFFSET: usize = STATE_OFFSET + 2 * STATE_BYTES;
