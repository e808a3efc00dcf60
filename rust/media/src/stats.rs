//! Counters. Each says one thing; none is ever reset.

use crate::key::{LegKey, StreamKey};
use crate::quality::Quality;

/// What a session has seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionStats {
    /// Since the session was opened.
    pub duration_ms: u64,
    /// Frames sent late but within the limit.
    pub late_frames: u64,
    /// Frames that were too late to send: numbers jumped over them.
    pub skipped_frames: u64,
    /// Its legs that are open now.
    pub legs: Vec<(LegKey, LegStats)>,
    /// Its streams that are open now.
    pub streams: Vec<(StreamKey, StreamStats)>,
}

/// What a leg has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegStats {
    /// Valid RTP packets accepted from the right source.
    pub packets_received: u64,
    /// Their payload bytes.
    pub bytes_received: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// Their payload bytes.
    pub bytes_sent: u64,
    /// Expected by sequence number and never come (RFC 3550 A.3, without duplicates).
    pub lost: u64,
    /// Came after their time to be played.
    pub late: u64,
    /// Came more than once.
    pub duplicate: u64,
    /// Came after a packet with a higher sequence number.
    pub reordered: u64,
    /// Neither RTP nor RTCP that can be parsed.
    pub malformed: u64,
    /// From an address that is not the far end's.
    pub wrong_source: u64,
    /// RTP packets sent to keep the way open while we do not speak (RFC 6263); not among those sent.
    pub keep_alives_sent: u64,
    /// SRTP or SRTCP whose tag is wrong, or that is not encrypted.
    pub srtp_auth_failed: u64,
    /// SRTP or SRTCP that came before, or is too old to know.
    pub srtp_replayed: u64,
    /// RTP with a payload type that was not negotiated.
    pub unknown_payload_type: u64,
    /// STUN, DTLS, TURN or ZRTP by its first byte (RFC 7983), which this leg does not speak.
    pub not_rtp: u64,
    /// Came while we do not receive (hold, or not connected yet).
    pub not_receiving: u64,
    /// Changes of the far end's SSRC.
    pub ssrc_changes: u64,
    /// Jumps of the far end's sequence number or timestamp that made the jitter buffer start anew.
    pub resyncs: u64,
    /// Packets dropped since the jitter buffer was full or held more than its longest delay.
    pub overflow: u64,
    /// Sound invented for what was lost or late.
    pub concealed_ms: u64,
    /// Silence or sound inserted to hold the delay against a slow sender.
    pub inserted_ms: u64,
    /// Sound dropped to hold the delay against a fast sender.
    pub dropped_ms: u64,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter_ms: f64,
    /// Delay between arrival and playout, now.
    pub buffer_ms: f64,
    /// The delay the jitter buffer aims for, before alignment to the frame.
    pub buffer_target_ms: u32,
    /// From RTCP, when the far end has answered a sender report.
    pub round_trip_ms: Option<f64>,
    /// Packets of ours the far end says it lost.
    pub remote_lost: Option<i64>,
    /// Jitter of our packets as the far end sees it.
    pub remote_jitter_ms: Option<f64>,
    /// Valid RTCP packets received.
    pub rtcp_received: u64,
    /// RTCP packets sent.
    pub rtcp_sent: u64,
    /// How it has sounded, since it was connected.
    pub quality: Quality,
}

/// What a stream has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Connections it has had.
    pub connections: u64,
    /// Chunks that went out later than they were made: over another connection, or when it took them again.
    pub replayed: u64,
    /// Chunks that never went out, since the ring had lost them.
    pub missed: u64,
    /// Messages made for the application.
    pub messages_sent: u64,
    /// Messages that came from the application.
    pub messages_received: u64,
    /// Bytes of the messages made.
    pub bytes_sent: u64,
    /// Bytes of the messages that came.
    pub bytes_received: u64,
    /// Refused: not a JSON object.
    pub malformed_json: u64,
    /// Refused: not base64.
    pub malformed_base64: u64,
    /// Refused: a field is missing or of the wrong type.
    pub missing_field: u64,
    /// Ignored: unknown type.
    pub unknown_type: u64,
    /// Refused: binary, in a dialect of text.
    pub binary_messages: u64,
    /// Refused: binary with a header that is none.
    pub bad_header: u64,
    /// Refused: a mark with too long a name, or one too many.
    pub refused_marks: u64,
    /// Messages to a stream that only listens.
    pub not_allowed: u64,
    /// Named a track that nobody has.
    pub unknown_track: u64,
    /// Refused: messages that name another stream.
    pub other_stream: u64,
    /// Refused: audio in a format that nobody can play.
    pub wrong_format: u64,
    /// Refused: messages longer than the dialect has them.
    pub too_long: u64,
    /// Refused: a packet that is none of its encoding.
    pub malformed_audio: u64,
    /// Messages that had come already, by their numbers.
    pub repeated: u64,
    /// Audio from before a clear, dropped.
    pub stale: u64,
    /// Ignored: interrupt of a chunk that is not queued.
    pub unknown_chunk: u64,
    /// Audio of this stream sent to the leg.
    pub played_ms: u64,
    /// Audio dropped by clear and interrupt.
    pub cleared_ms: u64,
    /// Audio dropped since the queue was full.
    pub overflow_ms: u64,
    /// Silence dropped to work off a standing delay of a sender in real time.
    pub trimmed_ms: u64,
    /// Times the queue ran dry within a talkspurt.
    pub underruns: u64,
    /// Audio queued now.
    pub queued_ms: u64,
}

/// What the engine itself has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Sessions open now.
    pub sessions: usize,
    /// Frames run.
    pub frames: u64,
    /// Frames run late but within the limit.
    pub late_frames: u64,
    /// Frames skipped as too late.
    pub skipped_frames: u64,
    /// Sessions ended by a fault of ours.
    pub failed_sessions: u64,
    /// Inputs for a leg or stream that is gone.
    pub stale_inputs: u64,
    /// Sessions opened that the record store had no room for: they end with the process.
    pub unkept_sessions: u64,
    /// Events dropped since nobody took them.
    pub events_dropped: u64,
    /// Transmits dropped since nobody took them.
    pub transmits_dropped: u64,
}
