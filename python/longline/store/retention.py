"""What is old is deleted, a batch at a time: events, and calls that have ended with their legs, streams and events.

An id tells when it was made, so the old ones are the beginning of the primary key, and finding them costs no more in a
large table. Deletions go through the writer like every other write, and beside them. An event that is still to be
delivered stays, and so does its call. Leaves out: recordings, whose files are the operator's, and giving the space back
to the file system (SQLite uses it again).
"""

import asyncio
import contextlib
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, exists, select
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.base.clock import Clock
from longline.base.ids import first_id_at
from longline.base.log import get_logger
from longline.store import tables
from longline.store.writer import Writer

BATCH: Final = 500
"""Rows of a kind that one transaction deletes."""
PAUSE_S: Final = 0.2
"""Between two batches: calls come first."""
INTERVAL_S: Final = 3600.0
FIRST_AFTER_S: Final = 60.0

log = get_logger(__name__)


class Retention:
    """Days of 0: for ever. Counters: events_deleted, calls_deleted, retention_faults."""

    def __init__(
        self, engine: AsyncEngine, writer: Writer, clock: Clock, *, events_days: int = 0, calls_days: int = 0
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._events_days = events_days
        self._calls_days = calls_days
        self._task: asyncio.Task[None] | None = None
        self.counters: Counter[str] = Counter()

    def start(self) -> None:
        if self._events_days or self._calls_days:
            self._task = asyncio.create_task(self._run(), name="retention")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def delete_old(self) -> None:
        """Delete whatever is old now."""
        now = self._clock.now()
        if self._calls_days:
            await self._repeat(self._delete_calls, now - timedelta(days=self._calls_days), "calls_deleted")
        if self._events_days:
            await self._repeat(self._delete_events, now - timedelta(days=self._events_days), "events_deleted")

    async def _run(self) -> None:
        await self._clock.sleep(FIRST_AFTER_S)
        while True:
            try:
                await self.delete_old()
            except Exception:
                self.counters["retention_faults"] += 1
                log.exception("what is old was not deleted")
            await self._clock.sleep(INTERVAL_S)

    async def _repeat(self, delete_batch: Any, before: datetime, counter: str) -> None:
        while found := await delete_batch(first_id_at(before)):
            self.counters[counter] += found
            if found < BATCH:
                return
            await self._clock.sleep(PAUSE_S)

    async def _delete_events(self, before: UUID) -> int:
        events = tables.events.c
        ids = await self._ids(
            select(events.id)
            .where(events.id < before, events.delivery_status != "pending")
            .order_by(events.id)
            .limit(BATCH)
        )
        await self._delete([(tables.events, ids)])
        return len(ids)

    async def _delete_calls(self, before: UUID) -> int:
        calls, events = tables.calls.c, tables.events.c
        is_waited_for = exists().where(events.call_id == calls.id, events.delivery_status == "pending")
        ids = await self._ids(
            select(calls.id)
            .where(calls.id < before, calls.ended_at.is_not(None), ~is_waited_for)
            .order_by(calls.id)
            .limit(BATCH)
        )
        if ids:
            # What is a call's goes with it: no event is ever without its call.
            of_these = [
                (tables.events, await self._ids(select(events.id).where(events.call_id.in_(ids)))),
                (tables.streams, await self._ids(_of_calls(tables.streams, tables.streams.c.call_id, ids))),
                (tables.legs, await self._ids(_of_calls(tables.legs, tables.legs.c.call_session_id, ids))),
                (tables.calls, ids),
            ]
            await self._delete(of_these)
        return len(ids)

    async def _ids(self, query: Any) -> list[UUID]:
        async with self._engine.connect() as connection:
            return [row.id for row in (await connection.execute(query)).all()]

    async def _delete(self, gone: list[tuple[Table, list[UUID]]]) -> None:
        keys = [(table, [(id_,) for id_ in ids]) for table, ids in gone if ids]
        if keys:
            await self._writer.write([], keys)


def _of_calls(table: Table, column: Any, call_ids: list[UUID]) -> Any:
    return select(table.c.id).where(column.in_(call_ids))
