"""Accounts and their API keys in the durable store: the part of it that `Durable.accounts` is.

Of a key the SHA-256 is kept, and its first characters so that a list can name it. When a key was last used stands in a
table of its own: the node writes it, whoever administers keys writes the keys, perhaps from another process. Leaves out
what a key is made of, and what it may do (`api/auth.py`, `api/scopes.py`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.store import tables
from longline.store.records import AccountRecord, ApiKeyRecord
from longline.store.writer import Writer

USES_PATIENCE_S: Final = 1.0
"""How long the note that a key was used waits for a transaction to go along with."""


class AccountDirectory:
    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def save_account(self, account: AccountRecord) -> None:
        await self._save(tables.accounts, account)

    async def get_account(self, account_id: UUID) -> AccountRecord | None:
        rows = await self._rows(select(tables.accounts).where(tables.accounts.c.id == account_id))
        return AccountRecord(**rows[0]._mapping) if rows else None

    async def all_accounts(self) -> list[AccountRecord]:
        """Every account, in the order of their creation."""
        columns = tables.accounts.c
        rows = await self._rows(select(tables.accounts).order_by(columns.created_at, columns.id))
        return [AccountRecord(**row._mapping) for row in rows]

    async def save_key(self, *keys: ApiKeyRecord) -> None:
        """Several keys are saved together or not at all."""
        rows = [{column.name: getattr(key, column.name) for column in tables.api_keys.columns} for key in keys]
        await self._writer.write([(tables.api_keys, rows)])

    async def find_key(self, key_hash: str) -> tuple[ApiKeyRecord, AccountRecord] | None:
        """The key of this hash and its account, whether or not they are valid."""
        query = select(tables.api_keys).where(tables.api_keys.c.hash == key_hash)
        rows = await self._rows(query)
        if not rows:
            return None
        key = ApiKeyRecord(**rows[0]._mapping)
        account = await self.get_account(key.account_id)
        return None if account is None else (key, account)

    async def has_keys(self) -> bool:
        """Whether there is, or ever was, any key of any account."""
        return bool(await self._rows(select(tables.api_keys.c.id).limit(1)))

    async def all_keys(self, account_id: UUID | None = None) -> list[ApiKeyRecord]:
        """The keys of an account, or of all, in the order of their creation."""
        columns = tables.api_keys.c
        query = select(tables.api_keys).order_by(columns.created_at, columns.id)
        query = query if account_id is None else query.where(columns.account_id == account_id)
        return [ApiKeyRecord(**row._mapping) for row in await self._rows(query)]

    async def key_was_used(self, key_id: UUID, at: datetime) -> None:
        row = {"key_id": key_id, "last_used_at": at}
        await self._writer.write([(tables.api_key_uses, [row])], patience_s=USES_PATIENCE_S)

    async def last_uses(self) -> dict[UUID, datetime]:
        """When each key was last used; one that never was is not there."""
        return {row.key_id: row.last_used_at for row in await self._rows(select(tables.api_key_uses))}

    async def _save(self, table: Table, record: Any) -> None:
        row = {column.name: getattr(record, column.name) for column in table.columns}
        await self._writer.write([(table, [row])])

    async def _rows(self, query: Select[Any]) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(query)).all()
            return rows
