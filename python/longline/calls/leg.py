"""A leg: one party's way into a call, with its dialog, its media and its state.

The states and inputs are a table; an input that the table does not have in a state changes nothing. Leaves out what
makes a leg ring or answer: that is `live_call.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from longline.base.ids import new_id
from longline.store import records
from longline.store.records import LegRecord


class LegState(StrEnum):
    CREATED = "created"
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"
    FAILED = "failed"


class LegInput(StrEnum):
    RANG = "rang"
    ANSWERED = "answered"
    ENDED = "ended"


TRANSITIONS: dict[tuple[LegState, LegInput], LegState] = {
    (LegState.CREATED, LegInput.RANG): LegState.RINGING,
    (LegState.CREATED, LegInput.ANSWERED): LegState.ANSWERED,
    (LegState.CREATED, LegInput.ENDED): LegState.FAILED,
    (LegState.RINGING, LegInput.ANSWERED): LegState.ANSWERED,
    (LegState.RINGING, LegInput.ENDED): LegState.FAILED,
    (LegState.ANSWERED, LegInput.ENDED): LegState.COMPLETED,
}


@dataclass(slots=True)
class Leg:
    """`handle` names the dialog at the user agent; it is None until there is one. `status_callback_url` is told of this
    leg instead of whoever is told of the call."""

    call_id: UUID
    direction: records.Direction
    from_number: str
    to_number: str
    created_at: datetime
    id: UUID = field(default_factory=new_id)
    role: records.LegRole = "primary"
    handle: str | None = None
    state: LegState = LegState.CREATED
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    ended_by: str | None = None
    recordings: list[str] = field(default_factory=list)
    parent_leg_id: UUID | None = None
    status_callback_url: str | None = None

    @property
    def is_live(self) -> bool:
        return self.state not in (LegState.COMPLETED, LegState.FAILED)

    def apply(self, given: LegInput, at: datetime) -> bool:
        """Move by the table. False, and nothing changes, when the table has no such move."""
        to = TRANSITIONS.get((self.state, given))
        if to is None:
            return False
        self.state = to
        if to is LegState.ANSWERED:
            self.answered_at = at
        elif to in (LegState.COMPLETED, LegState.FAILED):
            self.ended_at = at
        return True

    @property
    def duration_s(self) -> int:
        """Whole seconds from the answer to the end; 0 when there was none."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return int((self.ended_at - self.answered_at).total_seconds())

    def event_data(self) -> dict[str, Any]:
        """What each event of the leg's own states tells."""
        data: dict[str, Any] = {
            "role": self.role,
            "from_number": self.from_number,
            "to_number": self.to_number,
            "direction": self.direction,
            "state": str(self.state),
        }
        if not self.is_live:
            data |= {"reason": self.reason, "ended_by": self.ended_by, "duration_seconds": self.duration_s}
        return data

    def to_record(self) -> LegRecord:
        return LegRecord(
            id=self.id,
            call_session_id=self.call_id,
            direction=self.direction,
            role=self.role,
            state=self.state.value,
            from_number=self.from_number,
            to_number=self.to_number,
            parent_leg_id=self.parent_leg_id,
            recordings=list(self.recordings),
            created_at=self.created_at,
            answered_at=self.answered_at,
            ended_at=self.ended_at,
            reason=self.reason,
            ended_by=self.ended_by,
        )
