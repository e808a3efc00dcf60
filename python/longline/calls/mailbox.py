"""A mailbox: one live call does one thing at a time, in the order in which it was asked.

Everything that happens to a call at once (its far end, its application, the API, the media server, a timer) is put
here and carried out by the call's one task, so that no two of them ever see each other half done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Action = Callable[[], Awaitable[None]]
T = TypeVar("T")

MAX_WAITING = 1000
"""Actions that wait. When it is full an observation is dropped and counted; what must not be lost is taken always,
which is bounded by itself: a call has one far end, one media session and a handful of timers."""


class MailboxClosed(Exception):
    """Nothing is carried out any more."""


class Mailbox:
    """`post` puts an action in, `ask` also waits for its result, `run` carries them out until `close`."""

    def __init__(self, on_fault: Callable[[Exception], None], limit: int = MAX_WAITING) -> None:
        self._on_fault = on_fault
        self._limit = limit
        self._waiting: deque[Action] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        self._asked: set[asyncio.Future[Any]] = set()
        self.dropped = 0

    @property
    def is_closed(self) -> bool:
        return self._closed

    def post(self, action: Action, *, droppable: bool = False) -> None:
        """Have it carried out after what waits already; nothing happens once the mailbox is closed."""
        if self._closed:
            return
        if droppable and len(self._waiting) >= self._limit:
            self.dropped += 1
            return
        self._waiting.append(action)
        self._arrived.set()

    async def ask(self, action: Callable[[], Awaitable[T]]) -> T:
        """Have it carried out and return its result or raise its error. Raise MailboxClosed when it never will be."""
        if self._closed:
            raise MailboxClosed
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def carry_out() -> None:
            self._asked.discard(result)
            try:
                value = await action()
            except Exception as error:
                if result.done():  # whoever asked has gone
                    raise
                result.set_exception(error)
            except asyncio.CancelledError:
                result.cancel()
                raise
            else:
                if not result.done():
                    result.set_result(value)

        self._asked.add(result)
        try:
            self.post(carry_out)
            return await result
        finally:
            self._asked.discard(result)

    async def run(self) -> None:
        """Carry out actions until the mailbox is closed. A fault in one is told and does not stop the others."""
        while not self._closed:
            while self._waiting and not self._closed:
                try:
                    await self._waiting.popleft()()
                except Exception as error:
                    self._on_fault(error)
            self._arrived.clear()
            if not self._closed:
                await self._arrived.wait()

    def close(self) -> None:
        """Carry out nothing more; whoever waits for what was not begun gets MailboxClosed."""
        self._closed = True
        self._waiting.clear()
        self._arrived.set()
        for result in self._asked:
            if not result.done():
                result.set_exception(MailboxClosed())
