"""Calls, streams and recordings as Twilio's API shows them. What costs or was never measured is null."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from longline.base import twilio
from longline.base.twilio import API_VERSION, Sid, rfc2822, sid
from longline.store.records import CallRecord, RecordingRecord, StreamRecord


def call(record: CallRecord) -> dict[str, Any]:
    path = call_path(record)
    duration = None
    if record.ended_at is not None:
        began = record.answered_at
        duration = str(0 if began is None else int((record.ended_at - began).total_seconds()))
    parts = ("streams", "Streams"), ("recordings", "Recordings")
    return {
        "sid": sid(Sid.CALL, record.id),
        "account_sid": sid(Sid.ACCOUNT, record.account_id),
        "parent_call_sid": None,
        "to": record.to_number,
        "to_formatted": record.to_number,
        "from": record.from_number,
        "from_formatted": record.from_number,
        "phone_number_sid": None,
        "status": twilio.call_status(record.state, record.reason),
        "start_time": _at(record.answered_at or (record.created_at if record.ended_at is not None else None)),
        "end_time": _at(record.ended_at),
        "duration": duration,
        "price": None,
        "price_unit": "USD",
        "direction": twilio.call_direction(record.direction),
        "answered_by": None,
        "api_version": API_VERSION,
        "annotation": None,
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": "0",
        "trunk_sid": None,
        "date_created": _at(record.created_at),
        "date_updated": _at(record.ended_at or record.answered_at or record.created_at),
        "uri": f"{path}.json",
        "subresource_uris": {name: f"{path}/{folder}.json" for name, folder in parts},
    }


def stream(record: StreamRecord, name: str | None, updated: datetime) -> dict[str, Any]:
    account, call_sid, stream_sid = (
        sid(Sid.ACCOUNT, record.account_id),
        sid(Sid.CALL, record.call_id),
        sid(Sid.STREAM, record.id),
    )
    return {
        "sid": stream_sid,
        "account_sid": account,
        "call_sid": call_sid,
        "name": name or stream_sid,
        "status": "stopped" if record.ended_at is not None else "in-progress",
        "date_updated": rfc2822(updated),
        "uri": f"/{API_VERSION}/Accounts/{account}/Calls/{call_sid}/Streams/{stream_sid}.json",
    }


def recording(record: RecordingRecord) -> dict[str, Any]:
    path = twilio.recording_path(record.account_id, record.id)
    states = {"recording": "in-progress", "completed": "completed", "failed": "absent"}
    return {
        "sid": sid(Sid.RECORDING, record.id),
        "account_sid": sid(Sid.ACCOUNT, record.account_id),
        "call_sid": sid(Sid.CALL, record.call_id),
        "api_version": API_VERSION,
        "channels": record.channels,
        "date_created": rfc2822(record.created_at),
        "date_updated": rfc2822(record.created_at),
        "start_time": rfc2822(record.created_at),
        "duration": str(record.duration_ms // 1000),
        "status": states[record.state],
        "source": "RecordVerb",
        "price": None,
        "price_unit": "USD",
        "error_code": None,
        "encryption_details": None,
        "conference_sid": None,
        "uri": f"{path}.json",
        "media_url": path,
        "subresource_uris": {},
    }


def call_path(record: CallRecord) -> str:
    return f"/{API_VERSION}/Accounts/{sid(Sid.ACCOUNT, record.account_id)}/Calls/{sid(Sid.CALL, record.id)}"


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else rfc2822(moment)
