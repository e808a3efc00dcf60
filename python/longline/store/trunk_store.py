"""SIP trunks and IP access lists in the durable store: the part of it that `Durable.trunks` is.

Every change returns after its commit. Leaves out which changes are allowed: that is `calls/trunk_book.py`.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.store import tables
from longline.store.pages import Order, Page, PageRequest, owned
from longline.store.records import IpAclRecord, SipTrunkFilter, SipTrunkRecord
from longline.store.writer import Writer

_TRUNKS = Order(tables.sip_trunks.c.created_at, tables.sip_trunks.c.id)
_ACLS = Order(tables.ip_acls.c.created_at, tables.ip_acls.c.id)


class TrunkStore:
    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    # trunks

    async def save_trunk(self, trunk: SipTrunkRecord) -> None:
        await self._save(tables.sip_trunks, trunk)

    async def delete_trunk(self, trunk_id: UUID) -> None:
        """Calls keep the id of a trunk that is gone."""
        await self._delete(tables.sip_trunks, trunk_id)

    async def get_trunk(self, trunk_id: UUID) -> SipTrunkRecord | None:
        rows = await self._rows(select(tables.sip_trunks).where(tables.sip_trunks.c.id == trunk_id))
        return SipTrunkRecord(**rows[0]._mapping) if rows else None

    async def all_trunks(self) -> list[SipTrunkRecord]:
        """Every trunk, in the order of their creation."""
        columns = tables.sip_trunks.c
        rows = await self._rows(select(tables.sip_trunks).order_by(columns.created_at, columns.id))
        return [SipTrunkRecord(**row._mapping) for row in rows]

    async def list_trunks(
        self, filters: SipTrunkFilter, page: PageRequest, account_id: UUID | None = None
    ) -> Page[SipTrunkRecord]:
        """Trunks, newest first."""
        columns = tables.sip_trunks.c
        query = owned(select(tables.sip_trunks), tables.sip_trunks, account_id)
        if filters.search:
            found = [
                column.icontains(filters.search, autoescape=True) for column in (columns.name, columns.domain_name)
            ]
            query = query.where(or_(*found))
        if filters.is_active is not None:
            query = query.where(columns.is_active == filters.is_active)
        rows = await self._rows(_TRUNKS.apply(query, page))
        return _TRUNKS.page([SipTrunkRecord(**row._mapping) for row in rows], page)

    # access lists

    async def save_acl(self, acl: IpAclRecord) -> None:
        await self._save(tables.ip_acls, acl)

    async def delete_acl(self, acl_id: UUID) -> None:
        await self._delete(tables.ip_acls, acl_id)

    async def get_acl(self, acl_id: UUID) -> IpAclRecord | None:
        rows = await self._rows(select(tables.ip_acls).where(tables.ip_acls.c.id == acl_id))
        return IpAclRecord(**rows[0]._mapping) if rows else None

    async def all_acls(self) -> list[IpAclRecord]:
        columns = tables.ip_acls.c
        rows = await self._rows(select(tables.ip_acls).order_by(columns.created_at, columns.id))
        return [IpAclRecord(**row._mapping) for row in rows]

    async def list_acls(
        self, search: str | None, page: PageRequest, account_id: UUID | None = None
    ) -> Page[IpAclRecord]:
        """Access lists, newest first. `search` is a part of the name."""
        query = owned(select(tables.ip_acls), tables.ip_acls, account_id)
        if search:
            query = query.where(tables.ip_acls.c.name.icontains(search, autoescape=True))
        rows = await self._rows(_ACLS.apply(query, page))
        return _ACLS.page([IpAclRecord(**row._mapping) for row in rows], page)

    async def trunk_counts(self) -> dict[UUID, int]:
        """How many trunks each access list is attached to; one that is attached to none is not there."""
        column = tables.sip_trunks.c.ip_acl_id
        query = select(column, func.count()).where(column.is_not(None)).group_by(column)
        return {row[0]: row[1] for row in await self._rows(query)}

    # the common part

    async def _save(self, table: Table, record: Any) -> None:
        row = {column.name: getattr(record, column.name) for column in table.columns}
        await self._writer.write([(table, [row])])

    async def _delete(self, table: Table, row_id: UUID) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(table).where(table.c.id == row_id))

    async def _rows(self, query: Select[Any]) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(query)).all()
            return rows
