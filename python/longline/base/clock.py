"""Time as an argument: the protocol `Clock`, the clock of the host, and a virtual one that a test moves by hand."""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where a component gets its time from; `node.py` hands it in."""

    def now(self) -> datetime:
        """Wall-clock time in UTC, for records and messages."""

    def monotonic(self) -> float:
        """Seconds that never go backwards, for intervals."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


def rfc3339(at: datetime) -> str:
    """A time as every wire format of ours shows it: UTC with milliseconds, such as 2026-06-01T12:00:00.000Z."""
    at = at if at.tzinfo is UTC else at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[:-6] + "Z"  # in the place of +00:00


class SystemClock:
    """The clock of this host."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class VirtualClock:
    """A clock that stands still until `advance` moves it; sleepers wake in the order of their deadlines."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    def next_deadline(self) -> float | None:
        """When the next sleeper wakes, in seconds of `monotonic()`; None when nobody sleeps."""
        self._drop_cancelled()
        return self._sleepers[0][0] if self._sleepers else None

    async def advance(self, seconds: float) -> None:
        """Move time on, waking each sleeper at its own moment and letting it run."""
        target = self._elapsed + seconds
        await settle()
        while (deadline := self.next_deadline()) is not None and deadline <= target:
            self._elapsed = deadline
            _, _, woken = heapq.heappop(self._sleepers)
            woken.set_result(None)
            await settle()
        self._elapsed = target
        await settle()

    def _drop_cancelled(self) -> None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)


async def settle(turns: int = 20) -> None:
    """Let every task that can run do so, a bounded number of turns."""
    for _ in range(turns):
        await asyncio.sleep(0)
