//! The control protocol's answers and events: values in, JSON out. Specified in `docs/reference/control-protocol.md`.

use media::LegStats;
use runtime::command::{Answer, Outcome, RecordingReport, SessionReport, StreamReport};
use runtime::event::{Event, Notice, StreamEvent};
use runtime::node::Node;
use serde_json::{Map, Value, json};

use crate::signals;

/// The answer to a command.
pub fn answer(id: &Value, outcome: &Outcome) -> Value {
    match outcome {
        Ok(given) => json!({"re": id, "ok": ok(given)}),
        Err(refusal) => json!({"re": id, "error": {"code": refusal.code, "message": refusal.message}}),
    }
}

/// The answer to a command that the server itself has served.
pub fn done(id: &Value, ok: Value) -> Value {
    json!({"re": id, "ok": ok})
}

fn ok(given: &Answer) -> Value {
    match given {
        Answer::Done => json!({}),
        Answer::LegOpened { rtp, rtcp, ssrc } => {
            json!({"rtp": rtp.to_string(), "rtcp": rtcp.to_string(), "ssrc": ssrc})
        }
        Answer::Session(report) => json!({"stats": session(report)}),
        Answer::Stream(report) => json!({"stats": stream(report)}),
        Answer::PlaybackStarted { duration_ms } => json!({"duration_ms": duration_ms}),
        Answer::Leg(stats) => json!({"stats": leg(stats)}),
        Answer::RecordingStopped(report) => recording(report),
    }
}

/// What the server has seen.
pub fn server(node: &Node, events_dropped: u64) -> Value {
    let workers = node.workers().into_iter().map(|worker| {
        json!({
            "sessions": worker.sessions, "streams": worker.streams, "ticks": worker.ticks,
            "late_ticks": worker.late_ticks, "send_failed": worker.send_failed, "deaths": worker.deaths,
        })
    });
    let listener = node.listener().map(|(address, report)| {
        json!({
            "address": address.to_string(), "accepted": report.accepted, "handed_on": report.handed_on,
            "refused": report.refused, "dropped": report.dropped,
        })
    });
    json!({
        "workers": workers.collect::<Vec<Value>>(), "rtp_ports_free": node.free_port_pairs(), "sessions": node.sessions(),
        "events_dropped": events_dropped, "listener": listener,
    })
}

/// What a worker's death took with it.
pub fn worker_died(at: f64, worker: usize, sessions: &[String], reason: &str) -> Value {
    json!({"event": "worker.died", "at": at, "worker": worker, "sessions": sessions, "reason": reason})
}

/// Something that happened to a session.
pub fn notice(notice: &Notice) -> Value {
    let (name, fields) = event(&notice.event);
    let mut whole = json!({"event": name, "session": notice.session, "at": notice.at});
    if let (Value::Object(whole), Value::Object(fields)) = (&mut whole, fields) {
        whole.extend(fields);
    }
    whole
}

fn event(event: &Event) -> (&'static str, Value) {
    match event {
        Event::LegMediaStarted { leg, from } => {
            ("leg.media_started", json!({"leg": leg, "from": from.to_string()}))
        }
        Event::LegIntruder { leg, from } => ("leg.intruder", json!({"leg": leg, "from": from.to_string()})),
        Event::LegDigit {
            leg,
            digit,
            duration_ms,
            method,
        } => (
            "leg.digit",
            json!({"leg": leg, "digit": digit, "duration_ms": duration_ms, "method": method.as_str()}),
        ),
        Event::LegDigitSent { leg, sent } => (
            "leg.dtmf_sent",
            json!({
                "leg": leg, "digit": sent.digit, "duration_ms": sent.duration_ms, "method": sent.method.as_str(),
                "left": sent.left,
            }),
        ),
        Event::LegSpeechStarted { leg, at_ms, evidence } => {
            let (level_db, probability) = signals::evidence(*evidence);
            (
                "leg.speech_started",
                json!({"leg": leg, "at_ms": at_ms, "level_db": level_db, "probability": probability}),
            )
        }
        Event::LegSpeechStopped {
            leg,
            at_ms,
            duration_ms,
        } => (
            "leg.speech_stopped",
            json!({"leg": leg, "at_ms": at_ms, "duration_ms": duration_ms}),
        ),
        Event::LegQuality { leg, quality } => (
            "leg.quality",
            json!({"leg": leg, "quality": signals::quality(quality)}),
        ),
        Event::SpeakerChanged { leg } => ("speaker.changed", json!({"leg": leg})),
        Event::SessionFailed { reason } => ("session.failed", json!({"reason": reason})),
        Event::Stream { stream, event } => stream_event(stream, event),
        Event::PlaybackFinished { playback, reason } => (
            "playback.finished",
            json!({"playback": playback, "reason": reason.as_str()}),
        ),
        Event::RecordingFinished { recording, report } => {
            let mut fields = self::recording(report);
            fields["recording"] = json!(recording);
            fields["error"] = json!(report.error);
            ("recording.finished", fields)
        }
    }
}

fn stream_event(stream: &str, event: &StreamEvent) -> (&'static str, Value) {
    match event {
        StreamEvent::Connected {
            connect_ms,
            subprotocol,
        } => (
            "stream.connected",
            json!({"stream": stream, "connect_ms": connect_ms, "subprotocol": subprotocol}),
        ),
        StreamEvent::Disconnected { cause, window_ms } => (
            "stream.disconnected",
            json!({
                "stream": stream, "reason": cause.reason.as_str(), "code": cause.code, "detail": cause.detail,
                "window_ms": window_ms,
            }),
        ),
        StreamEvent::Resumed {
            epoch,
            resumed,
            outage_ms,
            tries,
            dialled_in,
        } => (
            "stream.resumed",
            json!({
                "stream": stream, "epoch": epoch, "resumed": resumed, "outage_ms": outage_ms, "tries": tries,
                "dialled_in": dialled_in,
            }),
        ),
        StreamEvent::Request {
            request_id,
            action,
            fields,
            leg,
        } => {
            let value = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
            let request_id = request_id.as_deref().map(value);
            (
                "stream.request",
                json!({
                    "stream": stream, "request_id": request_id, "action": action.as_str(), "fields": value(fields),
                    "leg": leg,
                }),
            )
        }
        StreamEvent::FirstAudioSent => ("stream.first_audio_sent", json!({"stream": stream})),
        StreamEvent::FirstAudioReceived => ("stream.first_audio_received", json!({"stream": stream})),
        StreamEvent::PlayoutStarted => ("playout.started", json!({"stream": stream})),
        StreamEvent::PlayoutDrained => ("playout.drained", json!({"stream": stream})),
        StreamEvent::PlayoutCleared {
            played_ms,
            dropped_ms,
        } => (
            "playout.cleared",
            json!({"stream": stream, "played_ms": played_ms, "dropped_ms": dropped_ms}),
        ),
        StreamEvent::PlayoutInterrupted { chunk_id, dropped_ms } => {
            // Whatever scalar the application named its chunk, as it wrote it.
            let chunk_id: Value = serde_json::from_str(chunk_id.as_json()).unwrap_or_default();
            (
                "playout.interrupted",
                json!({"stream": stream, "chunk_id": chunk_id, "dropped_ms": dropped_ms}),
            )
        }
        StreamEvent::PlayoutOverflow { dropped_ms } => (
            "playout.overflow",
            json!({"stream": stream, "dropped_ms": dropped_ms}),
        ),
        StreamEvent::RefusedMessage { reason } => (
            "stream.refused_message",
            json!({"stream": stream, "reason": reason}),
        ),
        StreamEvent::Closed { cause, report } => (
            "stream.closed",
            json!({
                "stream": stream, "reason": cause.reason.as_str(), "code": cause.code, "detail": cause.detail,
                "stats": self::stream(report),
            }),
        ),
    }
}

fn recording(report: &RecordingReport) -> Value {
    let tracks = report.tracks.iter().map(|track| {
        json!({
            "track": track.name, "path": track.path.to_string_lossy(), "duration_ms": track.duration_ms,
            "bytes": track.bytes,
        })
    });
    json!({
        "path": report.path.to_string_lossy(), "duration_ms": report.duration_ms, "bytes": report.bytes,
        "format": report.format.as_str(), "layout": report.layout.as_str(), "channels": report.channels,
        "rate_hz": report.rate_hz, "encrypted": report.encrypted, "tracks": tracks.collect::<Vec<Value>>(),
    })
}

fn session(report: &SessionReport) -> Value {
    let legs: Map<String, Value> = report
        .legs
        .iter()
        .map(|(name, stats)| (name.clone(), leg(stats)))
        .collect();
    let streams: Map<String, Value> = report
        .streams
        .iter()
        .map(|(name, report)| (name.clone(), stream(report)))
        .collect();
    json!({
        "duration_ms": report.stats.duration_ms, "late_frames": report.stats.late_frames,
        "skipped_frames": report.stats.skipped_frames, "legs": legs, "streams": streams,
    })
}

fn leg(stats: &LegStats) -> Value {
    let received = json!({
        "packets_received": stats.packets_received, "bytes_received": stats.bytes_received, "lost": stats.lost,
        "late": stats.late, "duplicate": stats.duplicate, "reordered": stats.reordered,
        "malformed": stats.malformed, "wrong_source": stats.wrong_source,
        "unknown_payload_type": stats.unknown_payload_type, "not_rtp": stats.not_rtp,
        "keep_alives_sent": stats.keep_alives_sent, "srtp_auth_failed": stats.srtp_auth_failed, "srtp_replayed": stats.srtp_replayed,
        "not_receiving": stats.not_receiving, "ssrc_changes": stats.ssrc_changes,
    });
    let buffer = json!({
        "resyncs": stats.resyncs, "overflow": stats.overflow, "concealed_ms": stats.concealed_ms,
        "inserted_ms": stats.inserted_ms, "dropped_ms": stats.dropped_ms, "jitter_ms": stats.jitter_ms,
        "buffer_ms": stats.buffer_ms, "buffer_target_ms": stats.buffer_target_ms,
    });
    let sent = json!({
        "packets_sent": stats.packets_sent, "bytes_sent": stats.bytes_sent, "round_trip_ms": stats.round_trip_ms,
        "remote_lost": stats.remote_lost, "remote_jitter_ms": stats.remote_jitter_ms,
        "rtcp_received": stats.rtcp_received, "rtcp_sent": stats.rtcp_sent,
        "quality": signals::quality(&stats.quality),
    });
    let parts = [received, buffer, sent]
        .into_iter()
        .filter_map(|part| match part {
            Value::Object(fields) => Some(fields),
            _ => None,
        });
    Value::Object(parts.flatten().collect())
}

fn stream(report: &StreamReport) -> Value {
    let stats = &report.stats;
    json!({
        "messages_sent": stats.messages_sent, "messages_received": stats.messages_received,
        "bytes_sent": stats.bytes_sent, "bytes_received": stats.bytes_received,
        "malformed_json": stats.malformed_json, "malformed_base64": stats.malformed_base64,
        "missing_field": stats.missing_field, "unknown_type": stats.unknown_type,
        "unknown_chunk": stats.unknown_chunk, "binary_messages": stats.binary_messages,
        "bad_header": stats.bad_header, "malformed_audio": stats.malformed_audio,
        "repeated": stats.repeated, "stale": stats.stale, "refused_marks": stats.refused_marks,
        "not_allowed": stats.not_allowed,
        "unknown_track": stats.unknown_track,
        "other_stream": stats.other_stream,
        "wrong_format": stats.wrong_format,
        "too_long": stats.too_long,
        "connections": stats.connections, "replayed": stats.replayed, "missed": stats.missed,
        "send_dropped": report.send_dropped, "played_ms": stats.played_ms, "cleared_ms": stats.cleared_ms,
        "overflow_ms": stats.overflow_ms, "trimmed_ms": stats.trimmed_ms, "underruns": stats.underruns,
        "queued_ms": stats.queued_ms,
    })
}
