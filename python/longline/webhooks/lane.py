"""The webhooks of one call, in order: the next is sent when the one before was delivered or given up.

A lane holds few events in memory. When more come it falls behind: it then reads what is pending from the store until
nothing is, and only then takes events directly again. That way nothing is lost, doubled or overtaken.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from longline.store.records import EventRecord

LANE_WAITING_MAX: Final = 32
"""Events of one call kept in memory; beyond it they wait in the store, where they are already."""


class Lane:
    """`deliver` sends one event to its end; `load` gives the oldest pending events of the call from the store."""

    def __init__(
        self,
        call_id: UUID,
        deliver: Callable[[EventRecord], Awaitable[None]],
        load: Callable[[UUID], Awaitable[list[EventRecord]]],
        *,
        is_behind: bool = False,
    ) -> None:
        self.call_id = call_id
        self._deliver = deliver
        self._load = load
        self._waiting: deque[EventRecord] = deque()
        self._is_behind = is_behind
        self._skipped = 0

    def add(self, event: EventRecord) -> None:
        """Take an event that is stored as pending."""
        if self._is_behind or len(self._waiting) >= LANE_WAITING_MAX:
            self.fall_behind()
        else:
            self._waiting.append(event)

    def fall_behind(self) -> None:
        """There are pending events in the store that this lane does not hold."""
        self._is_behind = True
        self._skipped += 1

    async def run(self) -> None:
        """Deliver until there is nothing left. Between the last look and the return nothing can be added."""
        while True:
            while self._waiting:
                await self._deliver(self._waiting.popleft())
            if not self._is_behind:
                return
            skipped = self._skipped
            self._waiting.extend(await self._load(self.call_id))
            if not self._waiting and self._skipped == skipped:
                self._is_behind = False
