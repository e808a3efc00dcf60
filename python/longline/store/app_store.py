"""Voice apps, virtual numbers and signing secrets in the durable store: the part of it that `Durable.apps` is.

Every change returns after its commit, and what is changed together is one transaction. Leaves out which changes are
allowed: that is `calls/app_directory.py` and `calls/secret_book.py`.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.store import tables
from longline.store.pages import Order, Page, PageRequest, owned
from longline.store.records import NumberFilter, NumberRecord, SecretRecord, VoiceAppRecord
from longline.store.writer import Writer

_APPS = Order(tables.voice_apps.c.created_at, tables.voice_apps.c.id)
_NUMBERS = Order(tables.virtual_numbers.c.created_at, tables.virtual_numbers.c.id)
_SECRETS = Order(tables.signing_secrets.c.created_at, tables.signing_secrets.c.id)


class AppStore:
    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    # apps and numbers

    async def save(self, apps: Sequence[VoiceAppRecord] = (), numbers: Sequence[NumberRecord] = ()) -> None:
        """Insert or replace: all of them, or none."""
        await self._write(_rows_of(tables.voice_apps, apps) + _rows_of(tables.virtual_numbers, numbers))

    async def delete_app(self, app_id: UUID, numbers: Sequence[NumberRecord] = ()) -> None:
        """Delete it, and save the numbers that it had. Calls keep the id of an app that is gone."""
        await self._write(_rows_of(tables.virtual_numbers, numbers), [(tables.voice_apps, [(app_id,)])])

    async def delete_number(self, number_id: UUID) -> None:
        await self._write([], [(tables.virtual_numbers, [(number_id,)])])

    async def all_apps(self) -> list[VoiceAppRecord]:
        """Every app, in the order of their creation."""
        return [VoiceAppRecord(**row._mapping) for row in await self._all(tables.voice_apps)]

    async def all_numbers(self) -> list[NumberRecord]:
        return [NumberRecord(**row._mapping) for row in await self._all(tables.virtual_numbers)]

    async def list_apps(
        self, search: str | None, is_active: bool | None, page: PageRequest, account_id: UUID | None = None
    ) -> Page[VoiceAppRecord]:
        """Apps, newest first. `search` is a part of the name."""
        columns = tables.voice_apps.c
        query = owned(select(tables.voice_apps), tables.voice_apps, account_id)
        if search:
            query = query.where(columns.name.icontains(search, autoescape=True))
        if is_active is not None:
            query = query.where(columns.is_active == is_active)
        rows = await self._rows(_APPS.apply(query, page))
        return _APPS.page([VoiceAppRecord(**row._mapping) for row in rows], page)

    async def list_numbers(
        self, filters: NumberFilter, page: PageRequest, account_id: UUID | None = None
    ) -> Page[NumberRecord]:
        """Numbers, newest first."""
        rows = await self._rows(_NUMBERS.apply(self._matching(filters, account_id), page))
        return _NUMBERS.page([NumberRecord(**row._mapping) for row in rows], page)

    async def matching_numbers(self, filters: NumberFilter, account_id: UUID) -> list[UUID]:
        """The ids of all of them, on whatever page."""
        return [row.id for row in await self._rows(self._matching(filters, account_id))]

    def _matching(self, filters: NumberFilter, account_id: UUID | None) -> Select[Any]:
        columns = tables.virtual_numbers.c
        query = owned(select(tables.virtual_numbers), tables.virtual_numbers, account_id)
        if filters.search:
            found = [column.icontains(filters.search, autoescape=True) for column in (columns.name, columns.number)]
            query = query.where(or_(*found))
        for column, wanted in (
            (columns.location_id, filters.location_ids),
            (columns.voice_app_id, filters.voice_app_ids),
            (columns.sip_trunk_id, filters.sip_trunk_ids),
        ):
            query = query.where(column.in_(wanted)) if wanted else query
        return query

    # secrets

    async def save_secret(self, secret: SecretRecord) -> None:
        await self._write(_rows_of(tables.signing_secrets, [secret]))

    async def delete_secret(self, secret_id: UUID) -> None:
        await self._write([], [(tables.signing_secrets, [(secret_id,)])])

    async def all_secrets(self) -> list[SecretRecord]:
        return [SecretRecord(**row._mapping) for row in await self._all(tables.signing_secrets)]

    async def list_secrets(
        self, search: str | None, page: PageRequest, account_id: UUID | None = None
    ) -> Page[SecretRecord]:
        """Secrets, newest first. `search` is a part of the name."""
        query = owned(select(tables.signing_secrets), tables.signing_secrets, account_id)
        if search:
            query = query.where(tables.signing_secrets.c.name.icontains(search, autoescape=True))
        rows = await self._rows(_SECRETS.apply(query, page))
        return _SECRETS.page([SecretRecord(**row._mapping) for row in rows], page)

    # the common part

    async def _write(self, rows: list[tuple[Table, list[dict[str, Any]]]], gone: Sequence[Any] = ()) -> None:
        if rows or gone:
            await self._writer.write(rows, gone)

    async def _all(self, table: Table) -> Sequence[Any]:
        return await self._rows(select(table).order_by(table.c.created_at, table.c.id))

    async def _rows(self, query: Select[Any]) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(query)).all()
            return rows


def _rows_of(table: Table, records: Sequence[Any]) -> list[tuple[Table, list[dict[str, Any]]]]:
    names = table.columns.keys()
    return [(table, [{name: getattr(record, name) for name in names} for record in records])] if records else []
