"""How many calls a trunk carries, and how fast new ones may leave by it.

A call holds a channel from the moment it is begun until its leg is over. Calls that come in take their channel without
being asked: the SIP stack has judged them by the same limits. Time is an input, in seconds of any clock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from longline.calls.trunk import Trunk


class Channel:
    """One call's place on a trunk. `free` as often as you like; the first time counts."""

    def __init__(self, limits: TrunkLimits, trunk_id: UUID) -> None:
        self._limits = limits
        self._trunk_id = trunk_id
        self._is_free = False

    def free(self) -> None:
        if not self._is_free:
            self._is_free = True
            self._limits._leave(self._trunk_id)

    def again(self) -> Channel:
        """The same place once more, for a call that has it still: no limit is asked."""
        return self._limits._enter(self._trunk_id)


@dataclass(slots=True)
class _Bucket:
    """Calls that may be begun now, and when that was true."""

    tokens: float
    at: float


class TrunkLimits:
    """`counters` tells refusals: `trunk_channels_full`, `trunk_cps_exceeded`."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._channels: Counter[UUID] = Counter()
        self._buckets: dict[UUID, _Bucket] = {}

    def calls(self, trunk_id: UUID) -> int:
        """Channels that are taken."""
        return self._channels[trunk_id]

    def take(self, trunk: Trunk, now: float) -> Channel | None:
        """A channel for a call that we begin; None when a limit of the trunk does not allow it."""
        limit = trunk.peer.channel_limit
        if limit and self._channels[trunk.id] >= limit:
            self._counters["trunk_channels_full"] += 1
            return None
        if not self._may_begin(trunk, now):
            self._counters["trunk_cps_exceeded"] += 1
            return None
        return self.join(trunk)

    def join(self, trunk: Trunk) -> Channel:
        """A channel for a call that has been let in."""
        return self._enter(trunk.id)

    def _may_begin(self, trunk: Trunk, now: float) -> bool:
        """A bucket of one second's calls, which fills at the rate of the limit."""
        rate = trunk.peer.cps_limit
        if not rate:
            self._buckets.pop(trunk.id, None)
            return True
        room = max(1.0, rate)
        bucket = self._buckets.setdefault(trunk.id, _Bucket(room, now))
        bucket.tokens = min(room, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def forget(self, known: set[UUID]) -> None:
        """Keep no rate of a trunk that is not among these. Its live calls keep their channels."""
        for trunk_id in self._buckets.keys() - known:
            del self._buckets[trunk_id]

    def _enter(self, trunk_id: UUID) -> Channel:
        self._channels[trunk_id] += 1
        return Channel(self, trunk_id)

    def _leave(self, trunk_id: UUID) -> None:
        self._channels[trunk_id] -= 1
        if self._channels[trunk_id] <= 0:
            del self._channels[trunk_id]
