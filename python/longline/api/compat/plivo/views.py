"""Calls and streams as Plivo's API shows them."""

from __future__ import annotations

from typing import Any

from longline.base import plivo
from longline.store.records import CallRecord, StreamRecord


def uri(auth_id: str, *parts: object) -> str:
    return "/".join(["/v1/Account", auth_id, *(str(part) for part in parts), ""])


def live_call(call: CallRecord) -> dict[str, Any]:
    """What is told of a call with `status=live`."""
    return {
        "call_uuid": str(call.id),
        "request_uuid": str(call.id),
        "direction": call.direction,
        "from": call.from_number,
        "to": call.to_number,
        "caller_name": call.from_number,
        "call_status": plivo.call_status(call.state),
        "session_start": plivo.rest_time(call.created_at),
    }


def call(call: CallRecord, auth_id: str) -> dict[str, Any]:
    """Prices are none: whose carrier it is, his bill it is."""
    seconds = 0
    if call.answered_at is not None and call.ended_at is not None:
        seconds = int((call.ended_at - call.answered_at).total_seconds())
    name, code = plivo.hangup_cause(call.reason) if call.ended_at is not None else (None, None)
    ended_by = next((leg.ended_by for leg in call.legs if leg.ended_by), None)
    return {
        "call_uuid": str(call.id),
        "call_direction": call.direction,
        "call_state": "ANSWER" if call.answered_at is not None else plivo.call_status(call.state, call.reason).upper(),
        "from_number": call.from_number,
        "to_number": call.to_number,
        "initiation_time": plivo.rest_time(call.created_at),
        "answer_time": plivo.rest_time(call.answered_at),
        "end_time": plivo.rest_time(call.ended_at),
        "call_duration": seconds,
        "bill_duration": seconds,
        "billed_duration": -(-seconds // 60) * 60,
        "hangup_cause_name": name,
        "hangup_cause_code": code,
        "hangup_source": plivo.hangup_source(ended_by) if call.ended_at is not None else None,
        "parent_call_uuid": None,
        "total_amount": "0.00000",
        "total_rate": "0.00000",
        "resource_uri": uri(auth_id, "Call", call.id),
    }


def stream(stream: StreamRecord, auth_id: str) -> dict[str, Any]:
    started, ended = stream.connected_at or stream.created_at, stream.ended_at
    seconds = int((ended - started).total_seconds()) if ended is not None else None
    return {
        "stream_id": str(stream.id),
        "call_uuid": str(stream.call_id),
        "service_url": stream.ws_url,
        "status": "stopped" if ended is not None else "in-progress",
        "status_reason": stream.reason,
        "start_time": plivo.rest_time(started),
        "end_time": plivo.rest_time(ended),
        "billed_duration": seconds,
        "resource_uri": uri(auth_id, "Call", stream.call_id, "Stream", stream.id),
    }
