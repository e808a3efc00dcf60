"""Bringing a database to the schema of this version, with the alembic scripts inside the package.

Runs at every open, under a lock, so that two nodes that start together do not both migrate.
"""

import asyncio
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.base.errors import ConfigError

SCRIPTS: Final = Path(__file__).parent / "migrations"
_ADVISORY_LOCK: Final = 0x4C6F6E676C
_WAL_ATTEMPTS: Final = 100
_WAL_PAUSE_S: Final = 0.05


async def migrate(engine: AsyncEngine) -> None:
    """Raises ConfigError when the database cannot be opened, or was written by a later version."""
    try:
        if engine.dialect.name == "sqlite":
            await _enter_wal(engine)
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()
    except CommandError as error:
        raise ConfigError(f"the database cannot be migrated; was it written by a later version? {error}") from error
    except SQLAlchemyError as error:
        raise ConfigError(f"the database cannot be opened: {error}", "database_url") from error


async def _enter_wal(engine: AsyncEngine) -> None:
    """Put the file into WAL mode, which then stays. SQLite's own busy timeout does not cover this change: another node
    that makes it at the same moment is waited for here."""
    for attempt in range(_WAL_ATTEMPTS):
        try:
            async with engine.connect() as connection:
                await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except OperationalError as error:
            if "locked" not in str(error) or attempt == _WAL_ATTEMPTS - 1:
                raise
        await asyncio.sleep(_WAL_PAUSE_S)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
