"""Answered calls as SIP has them, in the durable store: the part of it that `Durable.dialogs` is.

A row is the snapshot of one dialog as it was last revealed to the far end. Leaves out: what is in one
(`sip/snapshot.py`), and nodes that share a store.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.store import tables
from longline.store.writer import Writer

DELETE_PATIENCE_S: Final = 0.05
"""How long the deletion of a dialog waits for a transaction to go along with: nothing that is sent waits for it."""


class DialogStore:
    """The one that `sip/dialog_store.py` describes."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def save(self, handle: str, snapshot: dict[str, Any]) -> None:
        """Insert or replace; returns after the commit."""
        row = {"handle": handle, "snapshot": snapshot, "written_at": datetime.now(UTC)}
        await self._writer.write([(tables.dialogs, [row])])

    async def delete(self, handle: str) -> None:
        await self._writer.write([], [(tables.dialogs, [(handle,)])], patience_s=DELETE_PATIENCE_S)

    async def all(self) -> dict[str, dict[str, Any]]:
        """The snapshots by handle, in the order in which they were written."""
        query = select(tables.dialogs).order_by(tables.dialogs.c.written_at, tables.dialogs.c.handle)
        async with self._engine.connect() as connection:
            return {row.handle: row.snapshot for row in (await connection.execute(query)).all()}
