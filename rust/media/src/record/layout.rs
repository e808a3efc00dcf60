//! The bytes of a record. Integers are of this host's order, since a record never leaves it.
//!
//! Major version: another one is refused. Minor version: fields that were reserved (zero) have a meaning now.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::config::{Codec, MAX_ID_BYTES, MAX_PAYLOAD_TYPES};
use crate::session;
use crate::srtp::{MasterKey, Suite};

/// Version of what follows.
pub const MAJOR: u16 = 1;
/// Version of the use of reserved fields.
pub const MINOR: u16 = 0;
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

/// Declares plain data of a size that is a multiple of eight, so that a checksum takes it by words.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
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

    /// First in each copy of a setup, and then the legs and streams that are in use.
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
        /// Zero.
        reserved: u16,
    }

    /// An IP address and port.
    AddressRecord {
        /// IPv4 in the first four bytes.
        ip: [u8; 16],
        /// Port.
        port: u16,
        /// 4, 6, or 0 for none.
        family: u8,
        /// Zero.
        reserved: [u8; 5],
    }

    /// What one payload type means.
    PayloadTypeRecord {
        /// Payload type.
        payload_type: u8,
        /// 0 PCMU, 1 PCMA, 2 G.722, 3 Opus, 4 L16.
        codec: u8,
        /// Zero.
        reserved: u16,
        /// Rate of L16.
        rate_hz: u32,
    }

    /// An SRTP master key and salt.
    KeyRecord {
        /// 0 none; else one more than the place of the suite among all suites.
        suite: u8,
        /// Bytes used.
        length: u8,
        /// Key and salt.
        bytes: [u8; 46],
    }

    /// A leg, what changes rarely.
    LegSetup {
        /// Of its key.
        serial: u32,
        /// What it sends with.
        ssrc: u32,
        /// Timestamp at the origin of its numbers.
        timestamp0: u32,
        /// Sequence number at the origin.
        sequence0: u16,
        /// [`leg_flags`].
        flags: u16,
        /// The frame of the origin.
        frame0: u64,
        /// Clock of the numbers.
        clock_hz: u32,
        /// Sound between two numbers.
        number_ms: u32,
        /// Of the session description.
        rtp: AddressRecord,
        /// Of the session description.
        rtcp: AddressRecord,
        /// Where else media may come from.
        also_from: AddressRecord,
        /// The source that is listened to.
        latched: AddressRecord,
        /// The payload types of audio.
        audio: [PayloadTypeRecord; MAX_PAYLOAD_TYPES],
        /// How many.
        audio_used: u8,
        /// Payload type of telephone-events, when the flag says so.
        event_payload_type: u8,
        /// Zero.
        reserved: u16,
        /// Clock of telephone-events.
        event_clock_hz: u32,
        /// Sound in one packet, as the far end asked.
        ptime_ms: u32,
        /// Least delay of the jitter buffer.
        jitter_min_ms: u32,
        /// Greatest delay of the jitter buffer.
        jitter_max_ms: u32,
        /// Rate of Opus.
        opus_bitrate_bps: u32,
        /// Until when an address that signalling did not name may prove itself, in microseconds.
        learning_until: u64,
        /// RTCP's canonical name.
        cname: [u8; 24],
        /// Of what we send.
        send_key: KeyRecord,
        /// Of what comes.
        receive_key: KeyRecord,
    }

    /// An identifier of at most 256 bytes of UTF-8.
    IdRecord {
        /// Bytes used.
        length: u16,
        /// Zero.
        reserved: [u8; 6],
        /// UTF-8.
        bytes: [u8; MAX_ID_BYTES],
    }

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
        /// Zero.
        reserved: u32,
        /// Account, call application, call, stream.
        ids: [IdRecord; 4],
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
        /// Zero.
        reserved: u32,
    }

    /// A leg, what changes with packets.
    LegState {
        /// RTP packets sent.
        packets_sent: u64,
        /// Their payload bytes.
        bytes_sent: u64,
        /// RTP packets sent under this SSRC.
        source_packets: u64,
        /// Their payload bytes.
        source_octets: u64,
        /// RTP packets accepted.
        packets_received: u64,
        /// Their payload bytes.
        bytes_received: u64,
        /// Highest extended sequence number received.
        remote_newest: u64,
        /// Highest SRTP index sent, and one; zero: none.
        srtp_sent: u64,
        /// SRTP packets sent with this key.
        srtp_packets: u64,
        /// Highest SRTP index received.
        srtp_newest: u64,
        /// Those below it that were seen, lower half.
        srtp_seen_low: u64,
        /// Upper half.
        srtp_seen_high: u64,
        /// Highest SRTCP index received.
        srtcp_newest: u64,
        /// Those below it that were seen, lower half.
        srtcp_seen_low: u64,
        /// Upper half.
        srtcp_seen_high: u64,
        /// When the far end was heard last, in microseconds.
        peer_heard: u64,
        /// When the last packet of the press came, in microseconds.
        press_last_seen: u64,
        /// Timestamp of the press.
        press_timestamp: u32,
        /// Duration of its segments before this one.
        press_before: u32,
        /// Source that is heard.
        remote_ssrc: u32,
        /// Highest SRTCP index sent.
        srtcp_sent: u32,
        /// Source of the far end's last packet.
        peer_ssrc: u32,
        /// Source that the SRTP indices are of.
        srtp_ssrc: u32,
        /// Duration of the press's segment.
        press_duration: u16,
        /// Event of the press.
        press_event: u8,
        /// [`leg_state_flags`].
        flags: u8,
        /// Number of the far end's last packet.
        peer_sequence: u16,
        /// Zero.
        reserved: u16,
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
        /// The queue.
        queue: QueueState,
        /// [`stream_flags`].
        flags: u32,
        /// Reasons of refusal told, a bit each.
        told: u32,
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
    }
}

/// Bits of [`LegSetup::flags`].
pub mod leg_flags {
    /// It was told its far end.
    pub const CONNECTED: u16 = 1;
    /// It may send.
    pub const SEND: u16 = 2;
    /// It wants to receive.
    pub const RECEIVE: u16 = 4;
    /// RTP and RTCP share a port.
    pub const RTCP_MUX: u16 = 8;
    /// Telephone-events were negotiated.
    pub const EVENTS: u16 = 16;
    /// Opus repairs the loss of single packets.
    pub const OPUS_FEC: u16 = 32;
    /// Opus sends next to nothing in silence.
    pub const OPUS_DTX: u16 = 64;
    /// What it says is silence to all.
    pub const MUTE_INPUT: u16 = 128;
    /// It is sent silence.
    pub const MUTE_OUTPUT: u16 = 256;
}

/// Bits of [`LegState::flags`].
pub mod leg_state_flags {
    /// Within a talkspurt of ours.
    pub const TALKING: u8 = 1;
    /// A press is known.
    pub const PRESS: u8 = 2;
    /// It was told.
    pub const PRESS_TOLD: u8 = 4;
    /// A source is heard.
    pub const REMOTE: u8 = 8;
    /// SRTP of a source is known.
    pub const SRTP_REMOTE: u8 = 16;
    /// An intruder was told of.
    pub const INTRUDER_TOLD: u8 = 32;
}

/// Bits of [`StreamState::flags`].
pub mod stream_flags {
    /// Its socket was there.
    pub const CONNECTED: u32 = 1;
    /// The first audio to the application was told.
    pub const AUDIO_SENT: u32 = 2;
    /// The first audio from the application was told.
    pub const AUDIO_RECEIVED: u32 = 4;
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
}

/// Bytes of one copy of a setup.
pub const SETUP_BYTES: usize =
    size_of::<Setup>() + LEGS * size_of::<LegSetup>() + STREAMS * size_of::<StreamSetup>();
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

impl From<Option<SocketAddr>> for AddressRecord {
    fn from(address: Option<SocketAddr>) -> AddressRecord {
        let mut record = AddressRecord::default();
        if let Some(address) = address {
            record.port = address.port();
            match address.ip() {
                IpAddr::V4(ip) => {
                    record.ip[..4].copy_from_slice(&ip.octets());
                    record.family = 4;
                }
                IpAddr::V6(ip) => {
                    record.ip = ip.octets();
                    record.family = 6;
                }
            }
        }
        record
    }
}

impl AddressRecord {
    /// The address, if it is one.
    pub fn get(&self) -> Option<SocketAddr> {
        let [a, b, c, d, ..] = self.ip;
        let ip = match self.family {
            4 => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            6 => IpAddr::V6(Ipv6Addr::from(self.ip)),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }
}

impl KeyRecord {
    /// Of a key.
    pub fn new(key: &MasterKey) -> KeyRecord {
        let mut record = KeyRecord::default();
        let bytes = key.key_and_salt();
        record.bytes[..bytes.len()].copy_from_slice(bytes);
        record.length = bytes.len() as u8;
        let place = Suite::ALL.iter().position(|suite| *suite == key.suite());
        record.suite = place.map_or(0, |place| place as u8 + 1);
        record
    }

    /// The key, if it is one.
    pub fn get(&self) -> Option<MasterKey> {
        let suite = Suite::ALL.get(usize::from(self.suite).checked_sub(1)?)?;
        MasterKey::new(*suite, self.bytes.get(..usize::from(self.length))?)
    }
}

impl PayloadTypeRecord {
    /// Of an entry of the table.
    pub fn new(payload_type: u8, codec: Codec) -> PayloadTypeRecord {
        let (codec, rate_hz) = match codec {
            Codec::Pcmu => (0, 0),
            Codec::Pcma => (1, 0),
            Codec::G722 => (2, 0),
            Codec::Opus => (3, 0),
            Codec::L16(rate_hz) => (4, rate_hz),
        };
        PayloadTypeRecord {
            payload_type,
            codec,
            reserved: 0,
            rate_hz,
        }
    }

    /// The entry of the table.
    pub fn get(&self) -> Option<(u8, Codec)> {
        let codec = match self.codec {
            0 => Codec::Pcmu,
            1 => Codec::Pcma,
            2 => Codec::G722,
            3 => Codec::Opus,
            4 if matches!(self.rate_hz, 8_000 | 16_000 | 24_000 | 48_000) => Codec::L16(self.rate_hz),
            _ => return None,
        };
        Some((self.payload_type, codec))
    }
}

impl IdRecord {
    /// Of a text, at most [`MAX_ID_BYTES`] of it.
    pub fn new(text: &str) -> IdRecord {
        let mut record = IdRecord::default();
        let length = text.floor_char_boundary_at(MAX_ID_BYTES);
        record.bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        record.length = length as u16;
        record
    }

    /// The text, if it is one.
    pub fn get(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..usize::from(self.length))?).ok()
    }
}

/// `str::floor_char_boundary`, which this Rust does not have yet.
trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at.min(self.len()))
            .rev()
            .find(|end| self.is_char_boundary(*end))
            .unwrap_or(0)
    }
}
