"""Plivo's callbacks: of calls that ring and end, of the parties that they dial, and of streams. Pure.

Each is a form, signed like every request of Plivo's. A call is told to the URL that it has for the event, and where it
has none its end is told to whoever is told of it.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from longline.base import plivo
from longline.base.events import CallFacts, Event, EventType
from longline.webhooks.form import Form, FormFormat

_ENDS: Final = frozenset({EventType.CALL_COMPLETED, EventType.CALL_FAILED})
_CALLS: Final = _ENDS | {EventType.CALL_RINGING}
_LEGS: Final = {
    EventType.LEG_ANSWERED: "answer",
    EventType.LEG_JOINED: "connected",
    EventType.LEG_COMPLETED: "hangup",
    EventType.LEG_FAILED: "hangup",
}
_STREAMS: Final = {
    EventType.STREAM_CONNECTED: "StartStream",
    EventType.STREAM_COMPLETED: "StopStream",
    EventType.STREAM_FAILED: "DroppedStream",
    EventType.PLAYOUT_CLEARED: "ClearedAudio",
}


class PlivoFormat(FormFormat):
    def is_told(self, event: Event, call: CallFacts) -> bool:
        if event.target_url is None:
            return event.type in _ENDS
        return event.type in _CALLS or event.type in _LEGS or event.type in _STREAMS

    def form(self, event: Event, call: CallFacts) -> Form:
        return _form(event, call)

    def signed(self, secret: str | None, method: str, url: str, form: Mapping[str, str]) -> dict[str, str]:
        return plivo.signed(secret, method, url, form)


def _form(event: Event, call: CallFacts) -> Form:
    assert event.call_id is not None
    if event.type in _STREAMS:
        return _of_stream(event, call, event.call_id)
    if event.type in _LEGS:
        return _of_leg(event, call, event.call_id)
    return _of_call(event, call, event.call_id)


def _of_call(event: Event, call: CallFacts, call_id: UUID) -> Form:
    form = plivo.call_form(
        call_id=call_id,
        account=call.account_id,
        from_number=call.from_number,
        to_number=call.to_number,
        direction=str(event.data.get("direction")),
        status=plivo.call_status(event.data["state"], event.data.get("reason")),
    )
    if event.type not in _ENDS:
        return form | {"Event": "Ring"}
    seconds = int(event.data.get("duration_seconds") or 0)
    name, code = plivo.hangup_cause(event.data.get("reason"))
    return form | {
        "Event": "Hangup",
        "Duration": str(seconds),
        "BillDuration": str(seconds),
        "AnswerTime": plivo.time_of(event.at - timedelta(seconds=seconds)) if seconds else "",
        "EndTime": plivo.time_of(event.at),
        "HangupCauseName": name,
        "HangupCauseCode": str(code),
        "HangupSource": plivo.hangup_source(event.data.get("ended_by")),
    }


def _of_leg(event: Event, call: CallFacts, call_id: UUID) -> Form:
    assert event.leg_id is not None
    form = {
        "Event": "DialCallback",
        "CallUUID": str(call_id),
        "DialALegUUID": str(call_id),
        "DialBLegUUID": str(event.leg_id),
        "DialBLegFrom": str(event.data.get("from_number") or ""),
        "DialBLegTo": str(event.data.get("to_number") or ""),
        "DialAction": _LEGS[EventType(event.type)],
    }
    if form["DialAction"] == "hangup":
        form |= {
            "DialBLegStatus": "hangup",
            "DialBLegDuration": str(int(event.data.get("duration_seconds") or 0)),
            "DialBLegHangupCauseName": plivo.hangup_cause(event.data.get("reason"))[0],
        }
    return form


def _of_stream(event: Event, call: CallFacts, call_id: UUID) -> Form:
    form = {
        "Event": _STREAMS[EventType(event.type)],
        "CallUUID": str(call_id),
        "StreamID": str(event.stream_id),
        "ParentAuthID": plivo.account_id(call.account_id),
        "From": call.from_number or "",
        "To": call.to_number or "",
        "Timestamp": plivo.time_of(event.at),
    }
    if "ws_url" in event.data:
        form["ServiceURL"] = str(event.data["ws_url"])
    if event.type == EventType.STREAM_FAILED:
        form["StatusReason"] = str(event.data.get("detail") or event.data.get("reason") or "failed")
    return form
