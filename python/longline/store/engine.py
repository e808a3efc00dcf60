"""The SQLAlchemy engine of a database URL, with the pragmas that SQLite needs beside live calls."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from longline.base.errors import ConfigError

# The file itself is put into WAL mode once, by migrate.py. synchronous=NORMAL under WAL: a commit survives the death of
# this process, which is what "persist before you send" asks for; a power cut may lose the last commits, but it ends the
# calls they tell of as well.
PRAGMAS: Final = (
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA journal_size_limit=67108864",
)


def make_engine(url: str) -> AsyncEngine:
    """Raises ConfigError when the URL names no database we can use."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError("database_url: must be sqlite+aiosqlite:/// or postgresql+asyncpg://", "database_url")
        if parsed.get_backend_name() == "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise ConfigError(
                    "database_url: SQLite must have a file; reads and writes use connections of their own"
                )
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError(f"database_url: the driver is not installed: {error}", "database_url") from error
    except ArgumentError as error:
        raise ConfigError(f"database_url: {error}", "database_url") from error
    except OSError as error:
        raise ConfigError(f"database_url: {error.filename}: {error.strerror}", "database_url") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", set_pragmas)
    return engine


def set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
