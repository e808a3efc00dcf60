"""The durable store: records in, records out. One instance per node; SQLite (WAL) or PostgreSQL.

Every `save_…` returns after the commit, so a caller that awaits it has persisted before it sends. Reads see all writes
that were awaited. A read that is given an `account_id` finds what is that account's and nothing else; without one it is
the node's own, and finds every account's. What acts for an account reads through `of`. Leaves out: the live state of
calls (`store/live`), and deleting calls.
"""

import dataclasses
import functools
import secrets as random
from collections.abc import Callable, Sequence
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Select, Table, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.base.clock import Clock
from longline.store import tables
from longline.store.account_directory import AccountDirectory
from longline.store.account_store import AccountStore
from longline.store.app_store import AppStore
from longline.store.dialog_store import DialogStore
from longline.store.engine import make_engine
from longline.store.migrate import migrate
from longline.store.pages import Order, Page, PageRequest, owned
from longline.store.reader import Work, reader_for, records_of, rows_of
from longline.store.records import (
    CallFilter,
    CallRecord,
    EventFilter,
    EventRecord,
    LegRecord,
    RecordingRecord,
    StreamRecord,
)
from longline.store.registration_store import RegistrationStore
from longline.store.retention import Retention
from longline.store.trunk_store import TrunkStore
from longline.store.writer import Rows, Writer

EVENTS_PATIENCE_S: Final = 0.02
"""How long events wait for a transaction to go along with."""

R = TypeVar("R")

_CALLS = Order(tables.calls.c.created_at, tables.calls.c.id)
_LEGS = Order(tables.legs.c.created_at, tables.legs.c.id, newest_first=False)
_STREAMS = Order(tables.streams.c.created_at, tables.streams.c.id, newest_first=False)
_EVENTS = Order(tables.events.c.at, tables.events.c.id)


class Durable:
    """Open it with `await Durable.open(url)`; close it with `await close()`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = Writer(engine)
        self.apps = AppStore(engine, self._writer)
        self._reader = reader_for(engine)
        self.trunks = TrunkStore(engine, self._writer)
        self.registrations = RegistrationStore(engine, self._writer)
        self.dialogs = DialogStore(engine, self._writer)
        self.accounts = AccountDirectory(engine, self._writer)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database, creating it and bringing its schema up to date. Raises ConfigError."""
        engine = make_engine(url)
        try:
            await migrate(engine)
        except BaseException:
            await engine.dispose()
            raise
        durable = cls(engine)
        durable._writer.start()
        return durable

    def retention(self, clock: Clock, *, events_days: int, calls_days: int) -> Retention:
        """Of this store; it begins with its `start`."""
        return Retention(self._engine, self._writer, clock, events_days=events_days, calls_days=calls_days)

    async def close(self) -> None:
        await self._writer.stop()
        await self._reader.close()
        await self._engine.dispose()

    @property
    def counters(self) -> dict[str, int]:
        return dict(self._writer.counters)

    def of(self, account_id: UUID) -> AccountStore:
        """What one account may see."""
        return AccountStore(self, account_id)

    # calls and legs

    async def save(
        self,
        records: Sequence[CallRecord | StreamRecord | RecordingRecord],
        events: Sequence[EventRecord] = (),
        *,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        """Insert or replace all of them in one transaction: what has changed, and what tells of it. `on_commit` is
        called right after it, also when the caller has been cancelled meanwhile. With events alone it takes its time,
        unless a webhook waits for it. Raises CommitFailed, and nothing of it is stored."""
        rows: list[Rows] = []
        for record in records:
            rows += _rows_of(record)
        if events:
            rows.append((tables.events, [_row(event, tables.events) for event in events]))
        is_urgent = bool(records) or any(event.delivery_status == "pending" for event in events)
        await self._writer.write(rows, patience_s=0.0 if is_urgent else EVENTS_PATIENCE_S, on_commit=on_commit)

    async def save_call(self, call: CallRecord) -> None:
        """Insert or replace the call and all of its legs."""
        await self._writer.write(_rows_of(call))

    async def get_call(self, call_id: UUID, account_id: UUID | None = None) -> CallRecord | None:
        query = owned(select(tables.calls).where(tables.calls.c.id == call_id), tables.calls, account_id)
        return _only(await self._reader.run(_with_legs(query)))

    async def account_of_call(self, call_id: UUID) -> UUID | None:
        """Whose a call is; None when there is no such call."""
        rows = await self._rows(select(tables.calls.c.account_id).where(tables.calls.c.id == call_id))
        return rows[0].account_id if rows else None

    async def list_calls(
        self, filters: CallFilter | None = None, page: PageRequest | None = None, account_id: UUID | None = None
    ) -> Page[CallRecord]:
        """Calls, newest first."""
        filters, page = filters or CallFilter(), page or PageRequest()
        table = tables.calls.c
        query = owned(select(tables.calls), tables.calls, account_id)
        for column, wanted in (
            (table.state, filters.state),
            (table.from_number, filters.from_number),
            (table.to_number, filters.to_number),
            (table.sip_trunk_id, filters.sip_trunk_id),
        ):
            query = query if wanted is None else query.where(column == wanted)
        if filters.created_after is not None:
            query = query.where(table.created_at > filters.created_after)
        if filters.created_before is not None:
            query = query.where(table.created_at < filters.created_before)
        return _CALLS.page(await self._reader.run(_with_legs(_CALLS.apply(query, page))), page)

    async def list_legs(
        self, call_id: UUID, page: PageRequest | None = None, account_id: UUID | None = None
    ) -> Page[LegRecord]:
        """The legs of a call, in the order of their creation."""
        page = page or PageRequest()
        query = owned(select(tables.legs).where(tables.legs.c.call_session_id == call_id), tables.legs, account_id)
        return _LEGS.page(await self._read(LegRecord, _LEGS.apply(query, page)), page)

    # streams

    async def save_stream(self, stream: StreamRecord) -> None:
        await self._save(tables.streams, stream)

    async def get_stream(self, stream_id: UUID, account_id: UUID | None = None) -> StreamRecord | None:
        query = owned(select(tables.streams).where(tables.streams.c.id == stream_id), tables.streams, account_id)
        return _only(await self._read(StreamRecord, query))

    async def list_streams(
        self, call_id: UUID, page: PageRequest | None = None, account_id: UUID | None = None
    ) -> Page[StreamRecord]:
        """The streams of a call, in the order of their creation."""
        page = page or PageRequest()
        query = owned(select(tables.streams).where(tables.streams.c.call_id == call_id), tables.streams, account_id)
        return _STREAMS.page(await self._read(StreamRecord, _STREAMS.apply(query, page)), page)

    # events

    async def save_event(self, event: EventRecord) -> None:
        await self._save(tables.events, event)

    async def save_events(self, events: Sequence[EventRecord]) -> None:
        """Save several events in one write, which takes its time: nothing that is sent waits for it but webhooks."""
        if events:
            rows = [_row(event, tables.events) for event in events]
            await self._writer.write([(tables.events, rows)], patience_s=EVENTS_PATIENCE_S)

    async def get_event(self, event_id: UUID, account_id: UUID | None = None) -> EventRecord | None:
        query = owned(select(tables.events).where(tables.events.c.id == event_id), tables.events, account_id)
        return _only(await self._read(EventRecord, query))

    async def list_events(
        self,
        filters: EventFilter | None = None,
        page: PageRequest | None = None,
        account_id: UUID | None = None,
        *,
        newest_first: bool = True,
    ) -> Page[EventRecord]:
        filters, page = filters or EventFilter(), page or PageRequest()
        table = tables.events.c
        query = owned(select(tables.events), tables.events, account_id)
        for column, wanted in (
            (table.call_id, filters.call_id),
            (table.sip_trunk_id, filters.sip_trunk_id),
            (table.type, filters.type),
            (table.delivery_status, filters.delivery_status),
        ):
            query = query if wanted is None else query.where(column == wanted)
        if filters.occurred_after is not None:
            query = query.where(table.at > filters.occurred_after)
        order = dataclasses.replace(_EVENTS, newest_first=newest_first)
        return order.page(await self._read(EventRecord, order.apply(query, page)), page)

    async def events_behind(
        self, call_id: UUID, after: UUID | None, limit: int, account_id: UUID | None = None
    ) -> list[EventRecord]:
        """The events of a call in the order in which they were made, behind one of them or from the first."""
        columns = tables.events.c
        query = owned(select(tables.events).where(columns.call_id == call_id), tables.events, account_id)
        if after is not None:
            query = query.where(columns.id > after)
        return await self._read(EventRecord, query.order_by(columns.id).limit(limit))

    async def pending_events(self, call_id: UUID, limit: int) -> list[EventRecord]:
        """The oldest webhooks of a call that are to be delivered, in the order in which they were made."""
        columns = tables.events.c
        query = select(tables.events).where(columns.call_id == call_id, columns.delivery_status == "pending")
        return await self._read(EventRecord, query.order_by(columns.id).limit(limit))

    # recordings

    async def save_recording(self, recording: RecordingRecord) -> None:
        await self._save(tables.recordings, recording)

    async def get_recording(self, recording_id: UUID, account_id: UUID | None = None) -> RecordingRecord | None:
        query = select(tables.recordings).where(tables.recordings.c.id == recording_id)
        query = owned(query, tables.recordings, account_id)
        return _only(await self._read(RecordingRecord, query))

    async def unfinished_recordings(self) -> list[RecordingRecord]:
        """The recordings that have begun and not ended, in the order of their creation."""
        columns = tables.recordings.c
        query = select(tables.recordings).where(columns.state == "recording")
        return await self._read(RecordingRecord, query.order_by(columns.created_at, columns.id))

    # the server's own secrets

    async def secret(self, name: str) -> bytes:
        """32 random bytes under this name: made once, then the same for every node of this database."""
        query = select(tables.secrets.c.value).where(tables.secrets.c.name == name)
        rows = await self._rows(query)
        if not rows:
            try:
                async with self._engine.begin() as connection:
                    await connection.execute(insert(tables.secrets).values(name=name, value=random.token_bytes(32)))
            except IntegrityError:
                pass  # another node was first: use what it made
            rows = await self._rows(query)
        return bytes(rows[0].value)

    async def check(self) -> None:
        """Raises if the database does not answer."""
        await self._rows(select(1))

    # the common part

    async def _save(self, table: Table, record: Any) -> None:
        await self._writer.write([(table, [_row(record, table)])])

    async def _rows(self, query: Select[Any]) -> Sequence[Any]:
        return await self._reader.run(rows_of(query))

    async def _read(self, record: type[R], query: Select[Any]) -> list[R]:
        return await self._reader.run(records_of(record, query))


def _rows_of(record: CallRecord | StreamRecord | RecordingRecord) -> list[Rows]:
    if isinstance(record, StreamRecord):
        return [(tables.streams, [_row(record, tables.streams)])]
    if isinstance(record, RecordingRecord):
        return [(tables.recordings, [_row(record, tables.recordings)])]
    rows = [(tables.calls, [_row(record, tables.calls)])]
    if record.legs:
        whose = {"account_id": record.account_id}
        rows.append((tables.legs, [_row(leg, tables.legs) | whose for leg in record.legs]))
    return rows


def _row(record: Any, table: Table) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _names(table)}


@functools.cache
def _names(table: Table) -> tuple[str, ...]:
    return tuple(table.columns.keys())


def _with_legs(query: Select[Any]) -> Work[list[CallRecord]]:
    """The calls that the query finds, with their legs."""

    def work(connection: Connection) -> list[CallRecord]:
        by_id = {call.id: call for call in records_of(CallRecord, query)(connection)}
        columns = tables.legs.c
        legs = select(tables.legs).where(columns.call_session_id.in_(by_id)).order_by(columns.created_at, columns.id)
        for leg in records_of(LegRecord, legs)(connection) if by_id else ():
            by_id[leg.call_session_id].legs.append(leg)
        return list(by_id.values())

    return work


def _only(found: list[R]) -> R | None:
    return found[0] if found else None
