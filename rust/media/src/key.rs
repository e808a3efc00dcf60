//! Keys: what the caller holds instead of references.
//!
//! A [`SessionKey`] is a slab index and a generation, so the key of a closed session never names its successor. Every
//! other key is a session's key and a serial number that the session never uses twice. A stale key is an error to a
//! command and a counter to a packet, never a panic.

/// Names one session of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

macro_rules! part_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            pub(crate) session: SessionKey,
            pub(crate) serial: u32,
        }

        impl $name {
            /// The session this belongs to.
            pub const fn session(self) -> SessionKey {
                self.session
            }
        }
    };
}

part_key!(
    /// Names one leg (one RTP stream each way) of a session.
    LegKey
);
part_key!(
    /// Names one media stream (one WebSocket to the application) of a session.
    StreamKey
);
part_key!(
    /// Names one playback of a session.
    PlaybackKey
);
part_key!(
    /// Names one recording of a session.
    RecordingKey
);
