"""Bringing a database to the schema of this version, with the alembic scripts inside the package.

Runs at every open, under a lock, so that two nodes that start together do not both migrate.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from longline.base.errors import ConfigError

SCRIPTS: Final = Path(__file__).parent / "migrations"
_ADVISORY_LOCK: Final = 0x4C6F6E676C


async def migrate(engine: AsyncEngine) -> None:
    """Raises ConfigError when the database cannot be opened, or was written by a later version."""
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()
    except CommandError as error:
        raise ConfigError(f"the database cannot be migrated; was it written by a later version? {error}") from error
    except SQLAlchemyError as error:
        raise ConfigError(f"the database cannot be opened: {error}", "database_url") from error


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
