"""What a webhook says: an event, in the words of a webhook version. Pure.

2025-08-01 shows raw UUIDs and knows neither call.failed nor stream.failed: they are told as call.completed and
stream.completed with an extra `reason`, and so is an answered call whose end was out of the ordinary. 2026-06-01 shows
prefixed ids and has an envelope of its own. The legs that a call dials, and transfers, came with the later version; an
application of the earlier one that uses them is told of them in its words. The formats of other platforms are in
`formats.py`. What `is_told` denies is stored and listed, and told to nobody.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from longline.base.clock import rfc3339
from longline.base.events import CallFacts, Event, EventType
from longline.base.ids import DEFAULT_VOICE_APP_ID, PREFIXED_IDS_SINCE, Prefix, encode_id, render_id
from longline.webhooks.formats import FORMATS

WEBHOOK_TYPES: Final = frozenset(
    {
        EventType.CALL_INITIATED,
        EventType.CALL_RINGING,
        EventType.CALL_ANSWERED,
        EventType.CALL_COMPLETED,
        EventType.CALL_FAILED,
        EventType.STREAM_INITIATED,
        EventType.STREAM_COMPLETED,
        EventType.STREAM_FAILED,
        EventType.RECORDING_COMPLETED,
        EventType.RECORDING_FAILED,
        EventType.LEG_INITIATED,
        EventType.LEG_RINGING,
        EventType.LEG_ANSWERED,
        EventType.LEG_COMPLETED,
        EventType.LEG_FAILED,
        EventType.CALL_TRANSFER_INITIATED,
        EventType.CALL_TRANSFER_COMPLETED,
        EventType.CALL_TRANSFER_FAILED,
        EventType.LEG_JOINED,
        EventType.LEG_REPLACED,
        EventType.PLAYBACK_STARTED,
        EventType.PLAYBACK_FINISHED,
        EventType.PLAYBACK_FAILED,
    }
)
_SINCE_2026: Final = frozenset(
    {
        EventType.LEG_JOINED,
        EventType.LEG_REPLACED,
        EventType.PLAYBACK_STARTED,
        EventType.PLAYBACK_FINISHED,
        EventType.PLAYBACK_FAILED,
    }
)
"""Told in the later version alone: an application of the earlier one has never heard of them."""


def is_told(event: Event, call: CallFacts, version: str) -> bool:
    """Whether a webhook of this version tells such an event."""
    foreign = FORMATS.get(version)
    if foreign is not None:
        return foreign.is_told(event, call)
    return event.type in WEBHOOK_TYPES and (event.type not in _SINCE_2026 or version >= PREFIXED_IDS_SINCE)


def render(event: Event, call: CallFacts, version: str) -> dict[str, Any]:
    """The body of the webhook that tells this event of a call, or what another platform's format makes it of. The event
    is one that `is_told`."""
    assert event.call_id is not None
    if version in FORMATS:
        return FORMATS[version].render(event, call)
    dated = _dated_2026 if version >= PREFIXED_IDS_SINCE else _dated_2025
    return dated(event, event.call_id, call, version)


def _duration_s(event: Event) -> int:
    return int(event.data.get("duration_seconds") or 0)


def _why(event: Event) -> dict[str, Any]:
    """The reason of an answered call whose end nobody wished for; an ordinary end has none in this version."""
    reason = event.data.get("reason")
    return {} if reason in _ORDINARY_ENDS else {"reason": reason}


_ORDINARY_ENDS: Final = (None, "normal_clearing", "completed")

_DATA_2025: Final[dict[str, tuple[str, Callable[[Event], dict[str, Any]]]]] = {
    "call.initiated": ("call.initiated", lambda event: {"start_time": rfc3339(event.at)}),
    "call.ringing": ("call.ringing", lambda _: {}),
    "call.answered": ("call.answered", lambda event: {"answer_time": rfc3339(event.at)}),
    "call.completed": (
        "call.completed",
        lambda event: {"duration": _duration_s(event), "hangup_time": rfc3339(event.at)} | _why(event),
    ),
    "call.failed": (
        "call.completed",
        lambda event: {
            "duration": _duration_s(event),
            "hangup_time": rfc3339(event.at),
            "reason": event.data.get("reason"),
        },
    ),
    "stream.initiated": ("stream.initiated", lambda event: {"start_time": rfc3339(event.at)}),
    "stream.completed": ("stream.completed", lambda event: {"end_time": rfc3339(event.at)}),
    "stream.failed": (
        "stream.completed",
        lambda event: {"end_time": rfc3339(event.at), "reason": event.data.get("reason")},
    ),
    "recording.completed": (
        "recording.completed",
        lambda event: {key: event.data.get(key) for key in ("recording_id", "duration_ms")},
    ),
    "recording.failed": (
        "recording.failed",
        lambda event: {key: event.data.get(key) for key in ("recording_id", "reason")},
    ),
}
"""Type of our event: its name in 2025-08-01, and what its `data` says beside ids and numbers."""


_OF_LEGS: Final = ("role", "state", "reason", "ended_by", "duration_seconds", "operation_id", "mode", "target_leg_id")
"""What both versions tell of the legs that a call dials, and of transfers. `operation_id` and `target_leg_id` are shown
with their prefix in both: they were made for the later one."""


def _of_legs(event: Event) -> dict[str, Any]:
    return {key: event.data[key] for key in _OF_LEGS if event.data.get(key) is not None}


def _dated_2025(event: Event, call_id: UUID, call: CallFacts, version: str) -> dict[str, Any]:
    name, more = _DATA_2025.get(event.type, (event.type, _of_legs))
    data: dict[str, Any] = {"call_id": render_id(Prefix.CALL, call_id, version)}
    if event.type.startswith("stream."):
        data["stream_id"] = event.stream_id and render_id(Prefix.STREAM, event.stream_id, version)
    elif event.type.startswith("leg."):
        data["leg_id"] = event.leg_id and render_id(Prefix.LEG, event.leg_id, version)
        data |= {"from": event.data.get("from_number"), "to": event.data.get("to_number")}
    else:
        data |= {"from": call.from_number, "to": call.to_number}
    return {
        "event": name,
        "account_id": render_id(Prefix.ACCOUNT, call.account_id, version),
        "call_app_id": render_id(Prefix.VOICE_APP, call.voice_app_id or DEFAULT_VOICE_APP_ID, version),
        "data": data | more(event),
    }


_SHOWN_2026: Final = (
    "direction",
    "state",
    "reason",
    "ended_by",
    "duration_seconds",
    "recording_id",
    "duration_ms",
    "role",
    "operation_id",
    "mode",
    "target_leg_id",
    "playback_id",
    "media_url",
)


def _dated_2026(event: Event, call_id: UUID, call: CallFacts, version: str) -> dict[str, Any]:
    shown_id = encode_id(Prefix.CALL, call_id)
    data: dict[str, Any] = {"call_id": shown_id, "from_number": call.from_number, "to_number": call.to_number}
    if event.type.startswith("leg."):
        data |= {key: event.data.get(key) for key in ("from_number", "to_number")}
    if event.stream_id is not None:
        data["stream_id"] = encode_id(Prefix.STREAM, event.stream_id)
    data |= {key: event.data[key] for key in _SHOWN_2026 if event.data.get(key) is not None}
    return {
        "id": encode_id(Prefix.EVENT, event.id),
        "type": "stream.completed" if event.type == EventType.STREAM_FAILED else str(event.type),
        "api_version": version,
        "occurred_at": rfc3339(event.at),
        "account_id": encode_id(Prefix.ACCOUNT, call.account_id),
        "voice_app_id": call.voice_app_id and encode_id(Prefix.VOICE_APP, call.voice_app_id),
        "sip_trunk_id": call.sip_trunk_id and encode_id(Prefix.SIP_TRUNK, call.sip_trunk_id),
        "call_id": shown_id,
        "leg_id": event.leg_id and encode_id(Prefix.LEG, event.leg_id),
        "data": data,
        "previous_attributes": None,
    }
