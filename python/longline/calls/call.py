"""A call as plain data: who calls whom, its state, its legs and its streams.

The states and inputs are a table that also names the event each move is told by, so that a call can neither answer
twice nor end twice. Leaves out every action: `live_call.py` drives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from longline.base.events import EventType
from longline.base.ids import DEFAULT_ACCOUNT_ID, DEFAULT_VOICE_APP_ID, new_id
from longline.calls.leg import Leg, LegInput
from longline.calls.manner import OURS, Manner
from longline.calls.metadata import METADATA_KEY
from longline.calls.reason import Reason
from longline.calls.stream import Stream
from longline.store.records import CallRecord


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class CallState(StrEnum):
    INITIATED = "initiated"
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"
    FAILED = "failed"


TRANSITIONS: dict[tuple[CallState, LegInput], tuple[CallState, EventType]] = {
    (CallState.INITIATED, LegInput.RANG): (CallState.RINGING, EventType.CALL_RINGING),
    (CallState.INITIATED, LegInput.ANSWERED): (CallState.ANSWERED, EventType.CALL_ANSWERED),
    (CallState.INITIATED, LegInput.ENDED): (CallState.FAILED, EventType.CALL_FAILED),
    (CallState.RINGING, LegInput.ANSWERED): (CallState.ANSWERED, EventType.CALL_ANSWERED),
    (CallState.RINGING, LegInput.ENDED): (CallState.FAILED, EventType.CALL_FAILED),
    (CallState.ANSWERED, LegInput.ENDED): (CallState.COMPLETED, EventType.CALL_COMPLETED),
}


@dataclass(slots=True)
class Call:
    """The aggregate. `leg` is the primary leg: the caller's when inbound, the callee's when outbound.

    What is done with the call is asked of `flow_url`, unless `flow` says it already (a text: in the language of
    `manner`); when that fails, of `fallback_url`.
    """

    direction: Direction
    from_number: str
    to_number: str
    created_at: datetime
    flow_url: str | None = None
    flow: dict[str, Any] | list[Any] | str | None = None
    fallback_url: str | None = None
    """Asked when `flow_url` fails."""
    status_callback_url: str | None = None
    record: bool = False
    id: UUID = field(default_factory=new_id)
    account_id: UUID = DEFAULT_ACCOUNT_ID
    voice_app_id: UUID | None = DEFAULT_VOICE_APP_ID
    state: CallState = CallState.INITIATED
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    reason: Reason | None = None
    ended_by: str | None = None
    sip_trunk_id: UUID | None = None
    webhook_version: str | None = None
    secret_id: UUID | None = None
    traceparent: str | None = None
    manner: Manner = OURS
    properties: dict[str, Any] = field(default_factory=dict)
    legs: list[Leg] = field(default_factory=list)
    streams: dict[UUID, Stream] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.legs:
            leg = Leg(self.id, self.direction.value, self.from_number, self.to_number, self.created_at)
            self.legs.append(leg)

    @property
    def leg(self) -> Leg:
        return self.legs[0]

    @property
    def metadata(self) -> dict[str, Any]:
        """What the application has attached to it."""
        found: dict[str, Any] = self.properties.get(METADATA_KEY, {})
        return found

    @property
    def has_ended(self) -> bool:
        return self.state in (CallState.COMPLETED, CallState.FAILED)

    @property
    def is_answered(self) -> bool:
        return self.state is CallState.ANSWERED

    @property
    def duration_s(self) -> int:
        """Whole seconds from the answer to the end; 0 when there was none."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return int((self.ended_at - self.answered_at).total_seconds())

    def apply(self, given: LegInput, at: datetime) -> EventType | None:
        """Move the call and its leg by their tables; the event that tells it, None when nothing changed."""
        move = TRANSITIONS.get((self.state, given))
        if move is None:
            return None
        self.state, told_by = move
        self.leg.apply(given, at)
        if self.state is CallState.ANSWERED:
            self.answered_at = at
        elif self.has_ended:
            self.ended_at = at
        return told_by

    def end(self, reason: Reason, ended_by: str | None, at: datetime) -> EventType | None:
        """End the call; None when it had ended before."""
        first_was_live = self.leg.is_live
        told_by = self.apply(LegInput.ENDED, at)
        if told_by is not None:
            self.reason, self.ended_by = reason, ended_by
            if first_was_live:
                self.leg.reason, self.leg.ended_by = str(reason), ended_by
        return told_by

    def remote_party(self) -> str:
        """Who the far end of the leg is, as `ended_by` names it."""
        return "caller" if self.direction is Direction.INBOUND else "callee"

    def event_data(self) -> dict[str, Any]:
        """What each event of the call's own states tells."""
        data: dict[str, Any] = {
            "from_number": self.from_number,
            "to_number": self.to_number,
            "direction": str(self.direction),
            "state": str(self.state),
        }
        if self.has_ended:
            data |= {"reason": str(self.reason), "ended_by": self.ended_by, "duration_seconds": self.duration_s}
        return data

    def to_record(self) -> CallRecord:
        return CallRecord(
            id=self.id,
            account_id=self.account_id,
            voice_app_id=self.voice_app_id,
            direction=self.direction.value,
            state=self.state.value,
            from_number=self.from_number,
            to_number=self.to_number,
            flow_url=self.flow_url,
            status_callback_url=self.status_callback_url,
            properties=dict(self.properties),
            created_at=self.created_at,
            answered_at=self.answered_at,
            ended_at=self.ended_at,
            reason=None if self.reason is None else str(self.reason),
            sip_trunk_id=self.sip_trunk_id,
            webhook_version=self.webhook_version,
            secret_id=self.secret_id,
            legs=[leg.to_record() for leg in self.legs],
        )
