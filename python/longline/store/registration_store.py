"""Where the phones are, in the durable store: one row for each account, the part of it that `Durable.registrations` is.

A row holds the bindings as the registrar gives them, with what was left of each when the row was written. An account
without bindings keeps its row, with none in it. Leaves out: what a binding is (`sip/access/bindings.py`).
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.store import tables
from longline.store.records import RegistrationRecord
from longline.store.writer import Writer


class RegistrationStore:
    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def save(self, registration: RegistrationRecord) -> None:
        """Insert or replace the bindings of an account; returns after the commit."""
        row: dict[str, Any] = {
            "account": registration.account,
            "bindings": registration.bindings,
            "written_at": registration.written_at,
        }
        await self._writer.write([(tables.sip_registrations, [row])])

    async def all(self) -> list[RegistrationRecord]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(tables.sip_registrations))).all()
        return [RegistrationRecord(**row._mapping) for row in rows]
