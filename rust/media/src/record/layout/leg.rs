//! A leg in a record.

use super::value::{AddressRecord, KeyRecord, PayloadTypeRecord};
use crate::config::MAX_PAYLOAD_TYPES;
use crate::dtmf::once::REMEMBERED;
use crate::dtmf::sender::MAX_QUEUED;

/// Digits that wait: those that may be queued, and one that begins anew, in whole words.
pub const KEPT_DIGITS: usize = (MAX_QUEUED + 1).next_multiple_of(8);

plain! {
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
        /// Of its party; 0 for none.
        number: u8,
        /// Its track; 0 before it is connected.
        track: u8,
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
        /// Between two tellings of its quality; 0 is never.
        quality_interval_ms: u32,
        /// Zero.
        reserved_too: u32,
        /// Until when an address that signalling did not name may prove itself, in microseconds.
        learning_until: u64,
        /// RTCP's canonical name.
        cname: [u8; 24],
        /// Of what we send.
        send_key: KeyRecord,
        /// Of what comes.
        receive_key: KeyRecord,
    }

    /// A digit that was told by one road, and not by the other.
    ToldRecord {
        /// When, in microseconds.
        at: u64,
        /// ASCII; zero for none.
        digit: u8,
        /// 1 telephone-event, 2 tones.
        method: u8,
        /// Zero.
        reserved: [u8; 6],
    }

    /// Of a leg that is listened to, or has digits that wait: what changes with commands and digits.
    SignalsSetup {
        /// Serial number of the leg.
        leg: u32,
        /// Digits that wait.
        waiting: u8,
        /// [`signals_flags`].
        flags: u8,
        /// Zero.
        reserved: u16,
        /// Digits told.
        told: [ToldRecord; REMEMBERED],
        /// Digits that wait, in order: how long each is held.
        tone_ms: [u16; KEPT_DIGITS],
        /// The silence after it.
        gap_ms: [u16; KEPT_DIGITS],
        /// Its event; 255 is a pause.
        event: [u8; KEPT_DIGITS],
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
        /// RTCP packets sent.
        rtcp_sent: u64,
        /// Keep-alives sent.
        keep_alives_sent: u64,
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
        /// How long the press that is being sent is held.
        sending_tone_ms: u16,
        /// The silence after it.
        sending_gap_ms: u16,
        /// Its event; 255 is a pause.
        sending_event: u8,
        /// 1 telephone-event, 2 tones.
        sending_method: u8,
        /// Timestamp of its begin: of RTP, or of tones in milliseconds.
        sending_began: u32,
        /// Duration of its segments before this one.
        sending_before: u32,
        /// How long a digit was held that was sent, and is not told.
        sent_duration_ms: u32,
        /// How long the far end has spoken, as it was told; 0: it does not.
        speaking_ms: u32,
        /// Times the end of the press was sent.
        sending_ends: u8,
        /// The event that was sent.
        sent_event: u8,
        /// How.
        sent_method: u8,
        /// Digits that waited behind it.
        sent_left: u8,
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
    /// A press is being sent.
    pub const SENDING: u8 = 64;
    /// A digit was sent, and is not told.
    pub const SENT: u8 = 128;
}

/// Bits of [`SignalsSetup::flags`]: what is listened for.
pub mod signals_flags {
    /// Digits as tones.
    pub const INBAND_DTMF: u8 = 1;
    /// Voices, by their level.
    pub const VAD_ENERGY: u8 = 2;
    /// Voices, by the network, whose weights are the runtime's to bring again.
    pub const VAD_SILERO: u8 = 4;
}
