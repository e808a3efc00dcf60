"""Targets that have failed a moment ago (RFC 3263 §4.3): for a while they are tried last, not first.

So one call finds out that a server is down, not every call. Leaves out: trunks, whose health is asked by OPTIONS.
"""

from collections import Counter
from collections.abc import Sequence

from longline.sip.access.bounded import BoundedTable
from longline.sip.wire import Target

REST_S = 60.0
"""After a time-out, silence or a transport error; and after a 503 that does not say how long."""
MAX_REST_S = 300.0
"""However long a 503 wants it (RFC 3261 §21.5.4)."""
MAX_RESTING = 1024
"""Targets that are remembered; the oldest goes (counter `sip.resting_forgotten`)."""


class Resting:
    def __init__(self, counters: Counter[str]) -> None:
        self._until: BoundedTable[tuple[str, str, int], float] = BoundedTable(
            MAX_RESTING, counters, "sip.resting_forgotten"
        )

    def has_failed(self, now: float, target: Target, rest_s: float | None = None) -> None:
        self._until.put(_key(target), now + min(REST_S if rest_s is None else rest_s, MAX_REST_S))

    def has_answered(self, target: Target) -> None:
        self._until.pop(_key(target))

    def in_order(self, now: float, targets: Sequence[Target]) -> list[Target]:
        """The same targets, those that rest last."""
        return sorted(targets, key=lambda target: (self._until.get(_key(target)) or now) > now)


def _key(target: Target) -> tuple[str, str, int]:
    return target.transport, target.host, target.port
