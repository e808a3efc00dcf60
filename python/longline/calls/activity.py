"""How much of what has happened in a call: counts that are kept with it, so that nobody has to read its events.

A count tells no more than a count: of digits how many, not which (they may be those of a card). Pure.
"""

from __future__ import annotations

from typing import Any

from longline.base.events import EventType

ACTIVITY_KEY = "activity"
QUALITY_KEY = "quality"
"""Where these are among a call's properties."""

COUNTED: dict[EventType, str] = {
    EventType.STREAM_INITIATED: "streams",
    EventType.STREAM_FAILED: "streams_failed",
    EventType.FLOW_REQUESTED: "flow_requests",
    EventType.DTMF_RECEIVED: "digits_received",
    EventType.DTMF_SENT: "digits_sent",
    EventType.PLAYBACK_STARTED: "playbacks",
    EventType.PLAYOUT_STARTED: "talkspurts",
    EventType.PLAYOUT_CLEARED: "clears",
    EventType.SPEECH_STARTED: "speech_turns",
    EventType.AGENT_TURN: "agent_turns",
    EventType.LEG_INITIATED: "legs_dialled",
    EventType.CALL_HELD: "holds",
    EventType.CALL_TRANSFER_INITIATED: "transfers",
}
"""By type of event, the name under which it is counted. What has not happened is not named."""


def count_in(properties: dict[str, Any], event_type: EventType, data: dict[str, Any], *, is_primary: bool) -> None:
    """An event of the call, which its properties are to know of; `is_primary`: it is the first leg's, or no leg's."""
    name = COUNTED.get(event_type)
    if name is not None:
        counts = properties.get(ACTIVITY_KEY, {})
        properties[ACTIVITY_KEY] = counts | {name: counts.get(name, 0) + 1}  # a new one: records share the old one
    elif event_type is EventType.CALL_QUALITY_MEASURED and is_primary:
        properties[QUALITY_KEY] = data
