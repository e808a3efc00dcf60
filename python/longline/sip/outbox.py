"""The outbox of the shell: a message that reveals a change of its dialog waits until the change is stored.

Messages of one call keep their order; those of others do not wait for it. A store that fails or is slow costs a counter
(`sip.dialogs_not_kept`) and a log line, not the call: after KEEP_TIMEOUT_S it is sent all the same. Leaves out: what is
a change (`ledger`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import structlog

from longline.sip.dialog_store import DialogStore
from longline.sip.wire import Transmit

KEEP_TIMEOUT_S: Final = 2.0
"""How long a message waits for the store: less than its sender or receiver would take to give up."""
MAX_WAITING: Final = 10_000
"""Messages that wait. A further one is sent without waiting (counter `sip.transmits_not_held`)."""

COMPLAINT_EVERY_S: Final = 5.0
"""The log tells of a store that fails no oftener."""

log = structlog.get_logger(__name__)


class Outbox:
    """`send` is the transport's."""

    def __init__(self, store: DialogStore, send: Callable[[Transmit], None], counters: Counter[str]) -> None:
        self._store = store
        self._send = send
        self._counters = counters
        self._saving: Counter[str] = Counter()
        self._waiting: dict[str, list[Transmit]] = {}
        self._waiting_count = 0
        self._silent_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def save(self, handle: str, snapshot: dict[str, Any]) -> None:
        """From now on messages of this call wait until this is stored."""
        self._saving[handle] += 1
        self._start(self._save(handle, snapshot))

    def delete(self, handle: str) -> None:
        self._start(self._delete(handle))

    def send(self, transmit: Transmit) -> None:
        """Send it now, or when what it reveals is stored."""
        handle = transmit.handle
        if handle is None or handle not in self._saving:
            self._send(transmit)
        elif self._waiting_count >= MAX_WAITING:
            self._counters["sip.transmits_not_held"] += 1
            self._send(transmit)
        else:
            self._waiting.setdefault(handle, []).append(transmit)
            self._waiting_count += 1

    async def drain(self) -> None:
        """Wait until everything is stored and sent."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _save(self, handle: str, snapshot: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(KEEP_TIMEOUT_S):
                await self._store.save(handle, snapshot)
        except Exception as error:
            self._counters["sip.dialogs_not_kept"] += 1
            self._complain("dialogs not stored", error)
        finally:
            self._saving[handle] -= 1
            if not self._saving[handle]:
                del self._saving[handle]
                self._release(handle)

    async def _delete(self, handle: str) -> None:
        try:
            await self._store.delete(handle)
        except Exception as error:
            self._counters["sip.dialogs_not_deleted"] += 1
            self._complain("dialogs not deleted from the store", error)

    def _complain(self, what: str, error: Exception) -> None:
        """Once in a while: a store that fails does so for every call."""
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until:
            self._silent_until = now + COMPLAINT_EVERY_S
            log.warning(what, error_type=type(error).__name__, so_far=self._counters["sip.dialogs_not_kept"])

    def _release(self, handle: str) -> None:
        waiting = self._waiting.pop(handle, [])
        self._waiting_count -= len(waiting)
        for transmit in waiting:
            self._send(transmit)
