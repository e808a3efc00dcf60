"""Who watches a call while it lives: the bus wakes them, and the store tells them.

A watcher has no queue that could overflow. It is woken when something has been told of its call, and reads what is new
from the store, which has it in order; whoever reads slowly reads it later. Leaves out the reading (`api/live.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from longline.base.errors import LimitReached
from longline.base.events import Event

MAX_WATCHERS: Final = 256
"""Watchers of this node. One more is refused with LimitReached."""
MAX_WATCHERS_PER_CALL: Final = 16


class Watcher:
    """Of one call. `latest` is the youngest event that has been told, stored or not."""

    def __init__(self) -> None:
        self.latest: UUID | None = None
        self.is_closed = False
        self._woken = asyncio.Event()

    def wake(self, event_id: UUID | None = None) -> None:
        if event_id is not None and (self.latest is None or event_id > self.latest):
            self.latest = event_id
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Until something is told; False when so many seconds have passed without."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class Watchers:
    """`on_event` is a subscriber of the bus."""

    def __init__(self) -> None:
        self._by_call: dict[UUID, set[Watcher]] = {}
        self._is_closed = False
        self.refused = 0

    @property
    def count(self) -> int:
        return sum(map(len, self._by_call.values()))

    def on_event(self, event: Event) -> None:
        if event.call_id is not None:
            for watcher in self._by_call.get(event.call_id, ()):
                watcher.wake(event.id)

    def check_room(self, call_id: UUID) -> None:
        """Raise LimitReached."""
        if self.count >= MAX_WATCHERS or len(self._by_call.get(call_id, ())) >= MAX_WATCHERS_PER_CALL:
            self.refused += 1
            raise LimitReached("Too many watch calls, or this one, already.")

    @contextlib.contextmanager
    def watch(self, call_id: UUID) -> Iterator[Watcher]:
        """Raise LimitReached."""
        self.check_room(call_id)
        of_call = self._by_call.get(call_id, set())
        watcher = Watcher()
        watcher.is_closed = self._is_closed
        self._by_call.setdefault(call_id, of_call).add(watcher)
        try:
            yield watcher
        finally:
            of_call.discard(watcher)
            if not of_call:
                self._by_call.pop(call_id, None)

    def close(self) -> None:
        """The node stops: all that watch are let go."""
        self._is_closed = True
        for watchers in self._by_call.values():
            for watcher in watchers:
                watcher.is_closed = True
                watcher.wake()
