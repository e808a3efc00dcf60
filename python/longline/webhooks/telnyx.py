"""Telnyx's webhooks: JSON with an envelope, signed by Ed25519. Pure.

All of a call is told to one URL: its states, its streams, what is played, and the keys that are pressed (where events
say which).
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from longline.base import telnyx
from longline.base.events import CallFacts, Event, EventType
from longline.base.ids import DEFAULT_VOICE_APP_ID
from longline.webhooks.format import HookRequest

_TYPES: Final = {
    EventType.CALL_INITIATED: "call.initiated",
    EventType.CALL_ANSWERED: "call.answered",
    EventType.CALL_COMPLETED: "call.hangup",
    EventType.CALL_FAILED: "call.hangup",
    EventType.LEG_JOINED: "call.bridged",
    EventType.STREAM_CONNECTED: "streaming.started",
    EventType.STREAM_COMPLETED: "streaming.stopped",
    EventType.STREAM_FAILED: "streaming.failed",
    EventType.PLAYBACK_STARTED: "call.playback.started",
    EventType.PLAYBACK_FINISHED: "call.playback.ended",
    EventType.DTMF_RECEIVED: "call.dtmf.received",
}


class TelnyxFormat:
    def is_told(self, event: Event, call: CallFacts) -> bool:
        if event.type == EventType.DTMF_RECEIVED and "digit" not in event.data:
            return False
        return event.type in _TYPES

    def render(self, event: Event, call: CallFacts) -> dict[str, Any]:
        assert event.call_id is not None
        data = {
            "record_type": "event",
            "event_type": _kind(event),
            "id": str(event.id),
            "occurred_at": telnyx.time_of(event.at),
            "payload": _payload(event, call, event.call_id),
        }
        return {"method": call.target_method, "body": {"data": data}}

    def request(self, payload: Mapping[str, Any], url: str, secret: str | None, at: datetime) -> HookRequest:
        told = payload["body"] | {"meta": {"attempt": 1, "delivered_to": url}}
        body = json.dumps(told, separators=(",", ":")).encode()
        headers = {"content-type": "application/json"} | telnyx.signed(secret, body, at)
        return HookRequest(payload["method"], url, body, headers)


def _kind(event: Event) -> str:
    """What is said has events of its own."""
    kind = _TYPES[EventType(event.type)]
    return kind.replace(".playback.", ".speak.") if event.data.get("media_url") == "say" else kind


def _payload(event: Event, call: CallFacts, call_id: UUID) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "call_control_id": telnyx.call_control_id(call_id),
        "call_session_id": str(call_id),
        "call_leg_id": str(call_id),
        "client_state": call.echo.get("client_state"),
        "connection_id": call.echo.get("connection_id") or str(call.voice_app_id or DEFAULT_VOICE_APP_ID),
        "from": call.from_number,
        "to": call.to_number,
    }
    kind, data = _kind(event), event.data
    if kind == "call.initiated":
        is_incoming = data.get("direction") == "inbound"
        payload |= {
            "direction": "incoming" if is_incoming else "outgoing",
            "state": "parked" if is_incoming else "bridging",
            "start_time": telnyx.time_of(event.at),
        }
    elif kind == "call.answered":
        payload |= {"state": "answered", "start_time": telnyx.time_of(event.at)}
    elif kind == "call.hangup":
        payload |= {
            "state": "hangup",
            "hangup_cause": telnyx.hangup_cause(data.get("reason")),
            "hangup_source": telnyx.hangup_source(data.get("ended_by")),
            "end_time": telnyx.time_of(event.at),
        }
    elif kind == "streaming.failed":
        payload |= {
            "stream_id": str(event.stream_id),
            "stream_type": "websocket",
            "failure_reason": str(data.get("detail") or data.get("reason") or "failed"),
            "stream_params": {"stream_url": data.get("ws_url")},
        }
    elif kind.startswith("streaming."):
        payload |= {"stream_id": str(event.stream_id), "stream_url": data.get("ws_url")}
    elif kind.startswith("call.playback."):
        payload |= {"media_url": data.get("media_url"), "overlay": False}
        payload |= {"status": "completed"} if kind.endswith("ended") else {}
    elif kind == "call.dtmf.received":
        payload["digit"] = data["digit"]
    return payload
