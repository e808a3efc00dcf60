"""How a gathering of changes becomes one transaction: in SQLite's own words on a thread, or through SQLAlchemy.

SQLite is given what SQLAlchemy compiles and binds, but by one hop to a thread for a whole transaction instead of one
for each statement, cursor and commit: through its async engine a commit costs six times as much (measured by
`make bench-signalling`). Leaves out what is gathered, and what is done when it fails (`writer`).
"""

import asyncio
import contextlib
import functools
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

from sqlalchemy import Table, bindparam, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from longline.store.engine import PRAGMAS

BUSY_TIMEOUT_S: Final = 5.0
"""How long a commit waits for another process that holds the lock of the file."""

Row = dict[str, Any]
Changes = Mapping[Table, Mapping[tuple[Any, ...], Row | None]]
"""By table and primary key: the row to insert or replace, or None for one to delete."""


class CommitFailed(Exception):
    """Nothing of the transaction has been written."""


class Committer(Protocol):
    async def commit(self, changes: Changes) -> None:
        """All of them or none; raises CommitFailed."""
        ...

    async def close(self) -> None: ...


def committer_for(engine: AsyncEngine) -> Committer:
    """The one that suits the database."""
    url = engine.url
    if engine.dialect.name == "sqlite" and url.database and not url.query and not url.database.startswith("file:"):
        return SqliteCommitter(engine, url.database)
    return EngineCommitter(engine)


class EngineCommitter:
    """Through SQLAlchemy's async engine: PostgreSQL, and SQLite by an unusual URL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._statements: dict[Table, tuple[Any, Any]] = {}

    async def commit(self, changes: Changes) -> None:
        try:
            if self._connection is None:
                self._connection = await self._engine.connect()
            async with self._connection.begin():
                for table, by_key in changes.items():
                    await self._execute(self._connection, table, by_key)
        except (SQLAlchemyError, TypeError, ValueError) as error:
            await self.close()  # after an error the next commit starts on another connection
            raise CommitFailed(type(error).__name__) from error

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                await connection.close()

    async def _execute(
        self, connection: AsyncConnection, table: Table, by_key: Mapping[tuple[Any, ...], Row | None]
    ) -> None:
        if table not in self._statements:  # built once: building costs as much as executing
            self._statements[table] = upsert_of(table, self._engine.dialect.name), delete_of(table)
        upsert, removal = self._statements[table]
        rows = [row for row in by_key.values() if row is not None]
        if rows:
            await connection.execute(upsert, rows)
        gone = [key for key, row in by_key.items() if row is None]
        if gone:
            await connection.execute(removal, [_key_of(table, key) for key in gone])


class SqliteCommitter:
    """With a connection of its own, on a thread of its own."""

    def __init__(self, engine: AsyncEngine, path: str) -> None:
        self._dialect = engine.dialect
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._connection: sqlite3.Connection | None = None
        self._statements: dict[tuple[Table, tuple[str, ...]], _Statement] = {}

    async def commit(self, changes: Changes) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, changes)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._hang_up)
        self._thread.shutdown(wait=False)

    def _commit(self, changes: Changes) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("BEGIN IMMEDIATE")
            for table, by_key in changes.items():
                self._execute(self._connection, table, by_key)
            self._connection.execute("COMMIT")
        except (sqlite3.Error, SQLAlchemyError, TypeError, ValueError, KeyError, OverflowError) as error:
            self._hang_up()  # which rolls back
            raise CommitFailed(type(error).__name__) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        for pragma in PRAGMAS:
            connection.execute(pragma)
        return connection

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _execute(
        self, connection: sqlite3.Connection, table: Table, by_key: Mapping[tuple[Any, ...], Row | None]
    ) -> None:
        batches: dict[tuple[str, ...], list[Row]] = {}
        gone: list[Row] = []
        for key, row in by_key.items():
            if row is None:
                gone.append(_key_of(table, key))
            else:
                batches.setdefault(tuple(row), []).append(row)
        for columns, rows in batches.items():
            self._statement(table, columns).run(connection, rows)
        if gone:
            self._statement(table, ()).run(connection, gone)

    def _statement(self, table: Table, columns: tuple[str, ...]) -> "_Statement":
        """The upsert of a row that has these columns; of none: the deletion."""
        statement = self._statements.get((table, columns))
        if statement is None:
            clause = upsert_of(table, "sqlite") if columns else delete_of(table)
            compiled = clause.compile(dialect=self._dialect, column_keys=list(columns) or None)
            statement = self._statements[table, columns] = _Statement(compiled, self._dialect)
        return statement


class _Statement:
    """SQL, and how each of its parameters is bound."""

    def __init__(self, compiled: Any, dialect: Any) -> None:
        self._sql = str(compiled)
        self._binds: list[tuple[str, Callable[[Any], Any] | None]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup
        ]

    def run(self, connection: sqlite3.Connection, rows: list[Row]) -> None:
        values = [tuple([row[name] if bind is None else bind(row[name]) for name, bind in self._binds]) for row in rows]
        connection.executemany(self._sql, values)


@functools.cache
def key_names(table: Table) -> tuple[str, ...]:
    """The columns of the primary key."""
    return tuple(table.primary_key.columns.keys())


def _key_of(table: Table, key: tuple[Any, ...]) -> Row:
    """The parameters of `delete_of`."""
    return {f"key_{name}": value for name, value in zip(key_names(table), key, strict=True)}


def upsert_of(table: Table, dialect: str) -> Any:
    """Insert, or replace what has the same primary key."""
    statement = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
    keys = table.primary_key.columns.keys()
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


def delete_of(table: Table) -> Any:
    """Delete by primary key; its parameters are the names of its columns with `key_` before them."""
    statement = delete(table)
    for column in table.primary_key.columns:
        statement = statement.where(column == bindparam(f"key_{column.name}", type_=column.type))
    return statement
