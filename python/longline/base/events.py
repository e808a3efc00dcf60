"""What has happened to a call or a trunk: the `Event` that travels on the bus, and the names of its types.

Names are in the past tense, noun first. Leaves out how an event is told to a webhook (`webhooks/payload.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id


class EventType(StrEnum):
    """Every type of event that is published."""

    CALL_INITIATED = "call.initiated"
    CALL_RINGING = "call.ringing"
    CALL_ANSWERED = "call.answered"
    CALL_COMPLETED = "call.completed"
    CALL_FAILED = "call.failed"
    CALL_UPDATED = "call.updated"
    CALL_HELD = "call.held"
    CALL_RESUMED = "call.resumed"
    CALL_HOLD_FAILED = "call.hold_failed"
    STREAM_INITIATED = "stream.initiated"
    STREAM_CONNECTED = "stream.connected"
    STREAM_DISCONNECTED = "stream.disconnected"
    STREAM_RESUMED = "stream.resumed"
    STREAM_COMPLETED = "stream.completed"
    STREAM_FAILED = "stream.failed"
    STREAM_FIRST_AUDIO_SENT = "stream.first_audio_sent"
    STREAM_FIRST_AUDIO_RECEIVED = "stream.first_audio_received"
    STREAM_REFUSED_MESSAGE = "stream.refused_message"
    PLAYOUT_STARTED = "playout.started"
    PLAYOUT_DRAINED = "playout.drained"
    PLAYOUT_CLEARED = "playout.cleared"
    PLAYOUT_INTERRUPTED = "playout.interrupted"
    PLAYOUT_OVERFLOW = "playout.overflow"
    LEG_INITIATED = "leg.initiated"
    LEG_RINGING = "leg.ringing"
    LEG_ANSWERED = "leg.answered"
    LEG_JOINED = "leg.joined"
    LEG_REPLACED = "leg.replaced"
    LEG_COMPLETED = "leg.completed"
    LEG_FAILED = "leg.failed"
    CALL_TRANSFER_INITIATED = "call.transfer.initiated"
    CALL_TRANSFER_COMPLETED = "call.transfer.completed"
    CALL_TRANSFER_FAILED = "call.transfer.failed"
    LEG_MEDIA_STARTED = "leg.media_started"
    LEG_INTRUDER_DETECTED = "leg.intruder_detected"
    DTMF_RECEIVED = "dtmf.received"
    DTMF_SENT = "dtmf.sent"
    SPEECH_STARTED = "speech.started"
    SPEECH_STOPPED = "speech.stopped"
    AGENT_TURN = "agent.turn"
    CALL_QUALITY_MEASURED = "call.quality_measured"
    PLAYBACK_STARTED = "playback.started"
    PLAYBACK_FINISHED = "playback.finished"
    PLAYBACK_FAILED = "playback.failed"
    FLOW_REQUESTED = "flow.requested"
    FLOW_RECEIVED = "flow.received"
    FLOW_FAILED = "flow.failed"
    FLOW_LEFT = "flow.left"
    GATHER_COMPLETED = "gather.completed"
    RECORDING_COMPLETED = "recording.completed"
    RECORDING_FAILED = "recording.failed"
    TRUNK_REGISTERED = "trunk.registered"
    TRUNK_UNREGISTERED = "trunk.unregistered"
    TRUNK_REGISTRATION_FAILED = "trunk.registration_failed"
    TRUNK_TARGET_UP = "trunk.target_up"
    TRUNK_TARGET_DOWN = "trunk.target_down"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What every event of one call shares that is told to somebody. `target_url` is whom, if anybody."""

    account_id: UUID
    voice_app_id: UUID | None
    from_number: str | None
    to_number: str | None
    target_url: str | None
    sip_trunk_id: UUID | None = None
    version: str | None = None
    """The format that its app or trunk asks for; None: the node's."""
    secret_id: UUID | None = None
    """What signs what is told of it; None: the node's secret, if it has one."""
    told: frozenset[EventType] | None = None
    """Which events of the call's own states are told, where its format lets that be chosen; None: all."""
    target_method: str = "POST"
    base_url: str = ""
    """Where applications reach this node, for what they are to fetch from it."""
    echo: Mapping[str, str] = field(default_factory=dict)
    """What its application wants back with each event, where its format has room for that."""
    traceparent: str | None = None
    """The trace of the request that placed it (W3C Trace Context)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened, at a time (UTC), to a call and perhaps to one of its legs or streams; or to a trunk.

    `data` is JSON: strings, numbers, booleans, None, lists and dicts of these. `target_url` is who is told by
    webhook instead of whoever is told of the call, `version` in which format, if not in the call's.
    """

    type: str
    at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    call_id: UUID | None = None
    sip_trunk_id: UUID | None = None
    leg_id: UUID | None = None
    stream_id: UUID | None = None
    target_url: str | None = None
    target_method: str = "POST"
    version: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    id: UUID = field(default_factory=new_id)
    call: CallFacts | None = field(default=None, repr=False, compare=False)
    """Of a live call, so that nobody has to look it up; None: the store knows."""
