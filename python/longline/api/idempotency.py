"""Replaying the answer to a request that is repeated under the same Idempotency-Key.

Only successes are kept: after a refusal nothing was done, so the repeated request is simply tried again. A repetition
that comes while the first is under way waits for it. Kept in memory; a restart forgets, as it ends the calls.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from longline.base.errors import IdempotencyKeyReused

ANSWERS_MAX: Final = 10_000
"""Answers that are kept; beyond it the oldest is forgotten and counted as `forgotten`."""

T = TypeVar("T")


@dataclass(slots=True)
class _Entry:
    request: Any
    answer: "asyncio.Future[Any]"


class IdempotencyTable:
    def __init__(self, answers_max: int = ANSWERS_MAX) -> None:
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._answers_max = answers_max
        self.forgotten = 0
        self.replayed = 0

    async def run(self, scope: str, key: str | None, request: Any, action: Callable[[], Awaitable[T]]) -> T:
        """The stored answer for (scope, key), or what `action` answers now. Raises IdempotencyKeyReused when the key
        came before with another request."""
        if key is None:
            return await action()
        while (entry := self._entries.get((scope, key))) is not None:
            if entry.request != request:
                raise IdempotencyKeyReused
            await asyncio.wait([entry.answer])
            if not entry.answer.cancelled():
                self.replayed += 1
                answer: T = entry.answer.result()
                return answer
        return await self._first(scope, key, request, action)

    async def _first(self, scope: str, key: str, request: Any, action: Callable[[], Awaitable[T]]) -> T:
        entry = _Entry(request, asyncio.get_running_loop().create_future())
        self._entries[scope, key] = entry
        if len(self._entries) > self._answers_max:
            self._entries.popitem(last=False)
            self.forgotten += 1
        try:
            answer = await action()
        except BaseException:
            if self._entries.get((scope, key)) is entry:
                del self._entries[scope, key]
            entry.answer.cancel()  # whoever waits tries for itself
            raise
        entry.answer.set_result(answer)
        return answer
