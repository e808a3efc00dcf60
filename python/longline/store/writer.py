"""The one writer of the database: writes are ordered, and those that wait together share a transaction.

A write is a set of rows to insert or replace, and of keys of rows to delete. `write` returns after the commit that
holds it, so what was awaited survives the death of the process. While a commit is under way further writes gather; of
several versions of one row in one transaction only the last is written. When a shared transaction fails, its writes are
tried one by one, so that a bad row costs its own caller only. A patient write begins no transaction for a while: it
goes along with one that somebody waits for. Leaves out how a transaction is made (`committer`).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.base.errors import LocalProtocolError
from longline.base.log import get_logger
from longline.store.committer import CommitFailed, Row, committer_for, key_names

PENDING_WRITES_MAX: Final = 10_000
"""Writes that may wait. Beyond it `write` itself waits for room, counted as `waited_for_room`; nothing is dropped."""

PATIENT_WRITES_MAX: Final = 200
"""With so many writes waiting the transaction begins, however patient they are."""

Rows = tuple[Table, list[dict[str, Any]]]
Gone = tuple[Table, list[tuple[Any, ...]]]
"""A table, and the primary keys of rows that are to be deleted."""

log = get_logger(__name__)


@dataclass(slots=True)
class _Write:
    rows: list[Rows]
    gone: Sequence[Gone]
    done: "asyncio.Future[None]"
    on_commit: Callable[[], None] | None = None


class Writer:
    """Runs from `start` to `stop`. Counters: writes, transactions, failed_transactions, waited_for_room."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._committer = committer_for(engine)
        self._room = asyncio.Semaphore(PENDING_WRITES_MAX)
        self._pending: list[_Write] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.counters: Counter[str] = Counter()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def stop(self) -> None:
        """Commit what waits, then end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def write(
        self,
        rows: list[Rows],
        gone: Sequence[Gone] = (),
        *,
        patience_s: float = 0.0,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        """Insert or replace the rows, delete what is gone; returns after the commit. The order of calls is the order of
        writes. `patience_s` is how long it may wait for a transaction to go along with. `on_commit` is called right
        after the commit, in the order of writes, also when the caller has been cancelled meanwhile. Raises CommitFailed
        when these rows cannot be written."""
        if self._task is None or self._stopping:
            raise LocalProtocolError("the store is not open")
        if self._room.locked():
            self.counters["waited_for_room"] += 1
        async with self._room:
            write = _Write(rows, gone, asyncio.get_running_loop().create_future(), on_commit)
            self._pending.append(write)
            self.counters["writes"] += 1
            if patience_s > 0 and len(self._pending) < PATIENT_WRITES_MAX:
                asyncio.get_running_loop().call_later(patience_s, self._wake.set)
            else:
                self._wake.set()
            await write.done

    async def _run(self) -> None:
        while self._pending or not self._stopping:
            if not self._stopping:
                await self._wake.wait()
                self._wake.clear()
            batch, self._pending = self._pending, []
            if not batch:
                continue
            if not await self._commit(batch):
                for write in batch:
                    await self._commit([write], alone=True)
        await self._committer.close()

    async def _commit(self, batch: list[_Write], *, alone: bool = False) -> bool:
        try:
            await self._committer.commit(_gather(batch))
        except CommitFailed as error:
            self.counters["failed_transactions"] += 1
            if alone or len(batch) == 1:
                log.error("write failed", error_type=str(error), tables=[t.name for t, _ in batch[0].rows])
                _finish(batch, error)
                return True
            return False
        self.counters["transactions"] += 1
        _finish(batch, None)
        return True


def _gather(batch: list[_Write]) -> dict[Table, dict[tuple[Any, ...], Row | None]]:
    """Of several versions of one row the last."""
    latest: dict[Table, dict[tuple[Any, ...], Row | None]] = {}
    for write in batch:
        for table, rows in write.rows:
            keys = key_names(table)
            latest.setdefault(table, {}).update({tuple([row[key] for key in keys]): row for row in rows})
        for table, gone in write.gone:
            latest.setdefault(table, {}).update(dict.fromkeys(gone))
    return latest


def _finish(batch: list[_Write], error: Exception | None) -> None:
    for write in batch:
        if error is None and write.on_commit is not None:
            try:
                write.on_commit()
            except Exception:
                log.exception("what follows a commit failed")
        if write.done.done():  # its caller was cancelled; the write stands all the same
            continue
        if error is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(error)
