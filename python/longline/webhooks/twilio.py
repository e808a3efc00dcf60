"""Twilio's status callbacks: of calls, of the legs that they dial, of streams and of recordings. Pure.

A call is told to its own StatusCallback, and of it what was asked for; what a leg or a stream has its own URL for is
told there, the end alone of a leg. Each is a form, signed like every request of Twilio's.
"""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from longline.base import twilio
from longline.base.events import CallFacts, Event, EventType
from longline.base.ids import Prefix, decode_id
from longline.base.twilio import Sid, sid
from longline.webhooks.form import Form, FormFormat

_CALLS: Final = {
    EventType.CALL_INITIATED: "initiated",
    EventType.CALL_RINGING: "ringing",
    EventType.CALL_ANSWERED: "in-progress",
    EventType.CALL_COMPLETED: "completed",
    EventType.CALL_FAILED: "failed",
}
_LEGS: Final = frozenset({EventType.LEG_COMPLETED, EventType.LEG_FAILED})
_STREAMS: Final = {
    EventType.STREAM_CONNECTED: "stream-started",
    EventType.STREAM_COMPLETED: "stream-stopped",
    EventType.STREAM_FAILED: "stream-error",
}
_RECORDINGS: Final = {EventType.RECORDING_COMPLETED: "completed", EventType.RECORDING_FAILED: "failed"}
_ORDER: Final = tuple(_CALLS)


class TwilioFormat(FormFormat):
    def is_told(self, event: Event, call: CallFacts) -> bool:
        if event.type in _CALLS:
            return call.told is None or event.type in call.told
        return event.target_url is not None and event.type in _OWN

    def form(self, event: Event, call: CallFacts) -> Form:
        return _form(event, call)

    def signed(self, secret: str | None, method: str, url: str, form: Mapping[str, str]) -> dict[str, str]:
        return {} if secret is None else {twilio.SIGNATURE_HEADER: twilio.signature(secret, url, form)}


def _form(event: Event, call: CallFacts) -> Form:
    assert event.call_id is not None
    tell = _of_call if event.type in _CALLS else _OWN[EventType(event.type)]
    return tell(event, call, event.call_id) | {"Timestamp": twilio.rfc2822(event.at)}


def _of_call(event: Event, call: CallFacts, call_id: UUID) -> Form:
    kind = EventType(event.type)
    is_over = kind in (EventType.CALL_COMPLETED, EventType.CALL_FAILED)
    form = twilio.call_form(
        call_id=call_id,
        account_id=call.account_id,
        from_number=call.from_number,
        to_number=call.to_number,
        direction=str(event.data.get("direction")),
        status=_status(event) if is_over else _CALLS[kind],
    )
    form |= {"CallbackSource": "call-progress-events", "SequenceNumber": str(min(_ORDER.index(kind), 3))}
    return form | (_duration(event) if is_over else {})


def _status(event: Event) -> str:
    return twilio.call_status(str(event.data.get("state")), event.data.get("reason"))


def _duration(event: Event) -> Form:
    seconds = int(event.data.get("duration_seconds") or 0)
    return {"CallDuration": str(seconds), "Duration": str(-(-seconds // 60))}  # minutes that have begun


def _of_leg(event: Event, call: CallFacts, call_id: UUID) -> Form:
    assert event.leg_id is not None
    form = twilio.call_form(
        call_id=event.leg_id,
        account_id=call.account_id,
        from_number=event.data.get("from_number"),
        to_number=event.data.get("to_number"),
        direction="outbound",
        status=_status(event),
    )
    form |= {"Direction": "outbound-dial", "ParentCallSid": sid(Sid.CALL, call_id)}
    return form | {"CallbackSource": "call-progress-events"} | _duration(event)


def _of_stream(event: Event, call: CallFacts, call_id: UUID) -> Form:
    assert event.stream_id is not None
    form = {
        "AccountSid": sid(Sid.ACCOUNT, call.account_id),
        "CallSid": sid(Sid.CALL, call_id),
        "StreamSid": sid(Sid.STREAM, event.stream_id),
        "StreamName": str(event.data.get("name") or sid(Sid.STREAM, event.stream_id)),
        "StreamEvent": _STREAMS[EventType(event.type)],
    }
    if event.type == EventType.STREAM_FAILED:
        why = event.data.get("detail") or event.data.get("reason") or "failed"
        form["StreamError"] = str(why)
    return form


def _recording(event: Event, call: CallFacts) -> Form:
    recording = decode_id(str(event.data["recording_id"]), Prefix.RECORDING)
    return {
        "RecordingSid": sid(Sid.RECORDING, recording),
        "RecordingUrl": call.base_url + twilio.recording_path(call.account_id, recording),
        "RecordingDuration": str(int(event.data.get("duration_ms") or 0) // 1000),
    }


def _of_recording(event: Event, call: CallFacts, call_id: UUID) -> Form:
    return _recording(event, call) | {
        "AccountSid": sid(Sid.ACCOUNT, call.account_id),
        "CallSid": sid(Sid.CALL, call_id),
        "RecordingStatus": _RECORDINGS[EventType(event.type)],
        "RecordingChannels": str(event.data.get("channels") or 1),
        "RecordingSource": "RecordVerb",
    }


def _of_flow(event: Event, call: CallFacts, call_id: UUID) -> Form:
    """As the action of a <Record> is asked, of a caller who has hung up meanwhile."""
    form = twilio.call_form(
        call_id=call_id,
        account_id=call.account_id,
        from_number=call.from_number,
        to_number=call.to_number,
        direction=str(event.data.get("direction")),
        status=_status(event),
    )
    return form | _recording(event, call) | {"Digits": "hangup"}


_OWN: Final[Mapping[EventType, Callable[[Event, CallFacts, UUID], Form]]] = {
    **dict.fromkeys(_LEGS, _of_leg),
    **dict.fromkeys(_STREAMS, _of_stream),
    **dict.fromkeys(_RECORDINGS, _of_recording),
    EventType.FLOW_LEFT: _of_flow,
}
"""What is told to a URL of its own, and how."""
