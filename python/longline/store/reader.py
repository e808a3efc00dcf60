"""Reading the database: a piece of work with a connection, which may be several queries, in one hop.

SQLite is read on a few threads of our own, each with a connection that stays open: through its async engine a query is
six hops to a thread and back (connection, cursor, execute, fetch, close, roll back), and those were a third of what a
`GET` cost (`make bench-rest`). PostgreSQL is read through the async engine. Either way the work is written once, as
SQLAlchemy's own synchronous calls. Leaves out writing (`writer`), and what is asked (`durable`).
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection, Select, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.store.engine import set_pragmas

READERS: Final = 4
"""Threads that read SQLite; a read that comes while all are busy waits."""

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[Connection], T]


class Reader(Protocol):
    async def run(self, work: Work[T]) -> T:
        """What the work returns. It must only read, and fetch what it needs before it returns."""
        ...

    async def close(self) -> None: ...


def reader_for(engine: AsyncEngine) -> Reader:
    """The one that suits the database."""
    url = engine.url
    if engine.dialect.name == "sqlite" and url.database and not url.query and not url.database.startswith("file:"):
        return SqliteReader(url.database)
    return EngineReader(engine)


class EngineReader:
    """Through SQLAlchemy's async engine: PostgreSQL, and SQLite by an unusual URL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def run(self, work: Work[T]) -> T:
        async with self._engine.connect() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """The engine is closed by whom it belongs to."""


class SqliteReader:
    def __init__(self, path: str) -> None:
        # AUTOCOMMIT: no read transaction outlives its statement, so the next one sees all that was committed.
        self._engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT", pool_size=READERS)
        event.listen(self._engine, "connect", set_pragmas)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._own = threading.local()
        self._open: list[Connection] = []

    async def run(self, work: Work[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._open:
            with contextlib.suppress(SQLAlchemyError):
                connection.close()
        self._engine.dispose()

    def _run(self, work: Work[T]) -> T:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._engine.connect()
            self._open.append(connection)
        try:
            return work(connection)
        except SQLAlchemyError:
            self._own.connection = None  # the next read of this thread starts on another connection
            self._open.remove(connection)
            connection.close()
            raise
        finally:
            if connection.in_transaction():
                connection.rollback()


def rows_of(query: Select[Any]) -> Work[Sequence[Any]]:
    """Its rows."""
    return lambda connection: connection.execute(query).all()


def records_of(record: type[R], query: Select[Any]) -> Work[list[R]]:
    """Its rows as records: one field per column, under the same name."""

    def work(connection: Connection) -> list[R]:
        result = connection.execute(query)
        names = tuple(result.keys())
        return [record(**dict(zip(names, row, strict=True))) for row in result]

    return work
