"""Tasks that belong to something and end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._running)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def done(self) -> None:
        """Wait until all of them have ended, whatever they end with."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def cancel(self) -> None:
        for task in self._running:
            task.cancel()
        await self.done()
