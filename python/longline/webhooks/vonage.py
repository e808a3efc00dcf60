"""Vonage's events: of a call's states, and of its WebSockets, which are parties of their own. Pure.

Each is a JSON object, posted to one URL and signed like every request of Vonage's. The answer is not read: an NCCO that
follows on an event is asked for by the flow.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from longline.base import vonage
from longline.base.events import CallFacts, Event, EventType
from longline.webhooks.format import HookRequest

_CALLS: Final = frozenset(
    {
        EventType.CALL_INITIATED,
        EventType.CALL_RINGING,
        EventType.CALL_ANSWERED,
        EventType.CALL_COMPLETED,
        EventType.CALL_FAILED,
    }
)
_STREAMS: Final = {
    EventType.STREAM_INITIATED: "started",
    EventType.STREAM_CONNECTED: "answered",
    EventType.STREAM_COMPLETED: "completed",
    EventType.STREAM_FAILED: "disconnected",
}


class VonageFormat:
    def is_told(self, event: Event, call: CallFacts) -> bool:
        return event.type in _CALLS or event.type in _STREAMS

    def render(self, event: Event, call: CallFacts) -> dict[str, Any]:
        return {"body": _of_stream(event, call) if event.type in _STREAMS else _of_call(event, call)}

    def request(self, payload: Mapping[str, Any], url: str, secret: str | None, at: datetime) -> HookRequest:
        body = json.dumps(payload["body"], separators=(",", ":")).encode()
        headers = {"content-type": "application/json"} | vonage.signed(secret, body, at)
        return HookRequest("POST", url, body, headers)


def _of_call(event: Event, call: CallFacts) -> dict[str, Any]:
    assert event.call_id is not None
    told: dict[str, Any] = vonage.call_facts(
        call_id=event.call_id, from_number=call.from_number, to_number=call.to_number
    ) | {
        "status": vonage.call_status(event.data["state"], event.data.get("reason")),
        "direction": event.data.get("direction"),
        "timestamp": vonage.time_of(event.at),
    }
    if event.type == EventType.CALL_COMPLETED:
        seconds = int(event.data.get("duration_seconds") or 0)
        told |= {
            "duration": str(seconds),
            "start_time": vonage.time_of(event.at - timedelta(seconds=seconds)),
            "end_time": vonage.time_of(event.at),
            "disconnected_by": "user" if event.data.get("ended_by") in ("caller", "callee") else "platform",
        }
    return told


def _of_stream(event: Event, call: CallFacts) -> dict[str, Any]:
    assert event.call_id is not None
    told: dict[str, Any] = {
        "from": vonage.number(call.from_number),
        "to": event.data.get("ws_url"),
        "uuid": str(event.stream_id),
        "conversation_uuid": vonage.conversation_uuid(event.call_id),
        "status": _STREAMS[EventType(event.type)],
        "direction": "outbound",
        "timestamp": vonage.time_of(event.at),
    }
    if event.type == EventType.STREAM_FAILED:
        told["reason"] = str(event.data.get("detail") or event.data.get("reason") or "failed")
    return told
