"""Reading SQLite on threads of our own."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from longline.store.reader import READERS, SqliteReader


def _one(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


async def test_a_read_that_fails_costs_only_its_own_caller(tmp_path: Path) -> None:
    reader = SqliteReader(str(tmp_path / "store.db"))
    for _ in range(2 * READERS):
        with pytest.raises(OperationalError):
            await reader.run(lambda connection: connection.execute(text("SELECT * FROM nowhere")).all())
    assert await asyncio.gather(*(reader.run(_one) for _ in range(4 * READERS))) == [1] * (4 * READERS)
    await reader.close()


async def test_a_read_sees_what_was_committed_before_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    writer, reader = SqliteReader(str(path)), SqliteReader(str(path))
    await writer.run(lambda connection: connection.execute(text("CREATE TABLE t (n INTEGER)")))
    for number in range(5):
        await writer.run(lambda connection, n=number: connection.execute(text(f"INSERT INTO t VALUES ({n})")))
        counts = [await reader.run(lambda c: c.execute(text("SELECT count(*) FROM t")).scalar()) for _ in range(2)]
        assert counts == [number + 1] * 2
    await writer.close()
    await reader.close()
