"""The schema is made by the migrations, which travel with the package, and agrees with the tables."""

import asyncio
import sqlite3
from pathlib import Path
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from longline.base.errors import ConfigError
from longline.store.durable import Durable
from longline.store.engine import make_engine
from longline.store.migrate import SCRIPTS, migrate
from longline.store.tables import metadata

LATEST = max(path.name[:4] for path in (SCRIPTS / "versions").glob("0*.py"))


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite+aiosqlite:///"))


async def test_the_migrated_schema_is_that_of_the_tables(url: str) -> None:
    engine = make_engine(url)
    await migrate(engine)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_opening_again_changes_nothing(url: str) -> None:
    for _ in range(2):
        await (await Durable.open(url)).close()
    connection = sqlite3.connect(file_of(url))
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(LATEST,)]
    connection.close()


async def test_what_an_earlier_version_wrote_is_kept(url: str) -> None:
    file_of(url).parent.mkdir(parents=True)
    engine = make_engine(url)

    def as_it_was(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.exec_driver_sql(
            "INSERT INTO events (id, type, call_id, at, data, delivery_status, attempt_count) "
            f"VALUES ('{'0' * 31}1', 'call.answered', '{'0' * 31}2', '2026-01-02 03:04:05.0006', '{{}}', 'pending', 3)"
        )

    async with engine.connect() as connection:
        await connection.run_sync(as_it_was)
        await connection.commit()
    await engine.dispose()
    durable = await Durable.open(url)
    event = await durable.get_event(UUID(int=1))
    await durable.close()
    assert event is not None and (event.call_id, event.attempt_count) == (UUID(int=2), 3)
    indexes = sqlite3.connect(file_of(url)).execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    assert {("events_by_time",), ("events_by_call",), ("events_by_delivery",), ("calls_by_trunk",)} <= set(indexes)


@pytest.mark.parametrize("attempt", range(5))
async def test_several_nodes_may_open_a_new_database_at_once(url: str, attempt: int) -> None:
    stores = await asyncio.gather(*(Durable.open(url) for _ in range(4)), return_exceptions=True)
    assert [store for store in stores if not isinstance(store, Durable)] == []
    for store in stores:
        assert isinstance(store, Durable)
        await store.close()


async def test_a_database_of_a_later_version_is_refused_and_left_alone(url: str) -> None:
    await (await Durable.open(url)).close()
    connection = sqlite3.connect(file_of(url))
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    with pytest.raises(ConfigError, match="later version"):
        await Durable.open(url)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    connection.close()


async def test_a_file_that_is_no_database_is_refused(url: str) -> None:
    file_of(url).parent.mkdir(parents=True)
    file_of(url).write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match="cannot be opened"):
        await Durable.open(url)


def test_the_scripts_are_inside_the_package() -> None:
    assert (SCRIPTS / "env.py").is_file()
    assert list((SCRIPTS / "versions").glob("*.py"))
