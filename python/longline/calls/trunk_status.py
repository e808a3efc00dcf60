"""How the trunks fare: which of their targets answer, and whether we are registered there.

The SIP stack tells by its OPTIONS and REGISTERs; a call that got no answer tells too, and its target is then left for
last for a while. Every change is an event on the bus. Leaves out asking
(`sip/features/health.py`, `sip/features/registration.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from longline.base.bus import Bus
from longline.base.clock import Clock
from longline.base.events import Event, EventType
from longline.base.log import get_logger
from longline.calls.trunk import Trunk
from longline.sip.events import RegistrationChanged, TargetChanged

SUSPICION_S: Final = 30.0
"""How long a target that gave a call no answer is left for last, unless it answers before."""
MAX_SUSPECTS: Final = 1000
"""Targets that are suspected at once. Rule when full: the one suspected longest is forgotten."""

RegistrationState = Literal["trying", "registered", "failed", "unregistered"]

log = get_logger(__name__)

_TOLD_BY: dict[RegistrationState, EventType] = {
    "registered": EventType.TRUNK_REGISTERED,
    "failed": EventType.TRUNK_REGISTRATION_FAILED,
    "unregistered": EventType.TRUNK_UNREGISTERED,
}


@dataclass(frozen=True, slots=True)
class RegistrationStatus:
    state: RegistrationState = "trying"
    expires_at: datetime | None = None
    reason: str | None = None


class TrunkStatus:
    """`trunk_of` finds a trunk by the name that the SIP stack has for it."""

    def __init__(
        self, bus: Bus, clock: Clock, counters: Counter[str], trunk_of: Callable[[str | None], Trunk | None]
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._counters = counters
        self._trunk_of = trunk_of
        self._down: set[tuple[str, str]] = set()
        self._suspects: dict[tuple[str, str], float] = {}
        self._registrations: dict[str, RegistrationStatus] = {}

    # --- for whoever chooses a way ---------------------------------------------------------------------------------

    def is_up(self, peer: str, uri: str) -> bool:
        until = self._suspects.get((peer, uri), 0.0)
        return (peer, uri) not in self._down and until <= self._clock.monotonic()

    def has_failed(self, peer: str, uri: str) -> None:
        """A call got no answer there."""
        self._counters["trunk_targets_suspected"] += 1
        self._suspects.pop((peer, uri), None)
        self._suspects[(peer, uri)] = self._clock.monotonic() + SUSPICION_S
        if len(self._suspects) > MAX_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]

    def has_answered(self, peer: str, uri: str) -> None:
        """A call got an answer there, if not the one it wanted."""
        self._suspects.pop((peer, uri), None)

    # --- for the API -----------------------------------------------------------------------------------------------

    def registration(self, trunk: Trunk) -> RegistrationStatus | None:
        """None: we do not register there."""
        if trunk.peer.registration is None:
            return None
        return self._registrations.get(trunk.peer.name, RegistrationStatus())

    # --- for the user agent ----------------------------------------------------------------------------------------

    def on_trunks(self, trunks: Sequence[Trunk]) -> None:
        """These are the trunks from now on."""
        targets = {(trunk.peer.name, target.uri) for trunk in trunks for target in trunk.peer.targets}
        self._down &= targets
        self._suspects = {key: until for key, until in self._suspects.items() if key in targets}
        names = {trunk.peer.name for trunk in trunks if trunk.peer.registration is not None}
        self._registrations = {name: kept for name, kept in self._registrations.items() if name in names}

    def on_target(self, event: TargetChanged) -> None:
        key = (event.peer, event.uri)
        if event.is_up:
            self._down.discard(key)
            self._suspects.pop(key, None)
        else:
            self._down.add(key)
        told_by = EventType.TRUNK_TARGET_UP if event.is_up else EventType.TRUNK_TARGET_DOWN
        self._tell(told_by, event.peer, {"target": event.uri, "reason": event.reason})

    def on_registration(self, event: RegistrationChanged) -> None:
        expires_at = None
        if event.state == "registered":
            expires_at = self._clock.now() + timedelta(seconds=event.expires_s)
        before = self._registrations.get(event.peer)
        self._registrations[event.peer] = RegistrationStatus(event.state, expires_at, event.reason)
        if before is not None and (before.state, before.reason) == (event.state, event.reason):
            return  # a refresh, or the same failure again
        data: dict[str, Any] = {"expires_s": event.expires_s} if event.state == "registered" else {}
        if event.reason is not None:
            data |= {"reason": event.reason, "retry_in_s": event.retry_in_s}
        self._tell(_TOLD_BY[event.state], event.peer, data)

    def _tell(self, told_by: EventType, peer: str, data: dict[str, Any]) -> None:
        trunk = self._trunk_of(peer)
        if trunk is None:
            return  # it was taken away a moment ago
        is_trouble = told_by in (EventType.TRUNK_TARGET_DOWN, EventType.TRUNK_REGISTRATION_FAILED)
        (log.warning if is_trouble else log.info)(str(told_by), trunk=trunk.name, **data)
        self._counters[str(told_by)] += 1
        trunk_id: UUID = trunk.id
        told = {"name": trunk.name} | {key: value for key, value in data.items() if value is not None}
        event = Event(
            type=str(told_by), at=self._clock.now(), account_id=trunk.account_id, sip_trunk_id=trunk_id, data=told
        )
        self._bus.publish(event)
