"""The schema is made by the migrations, which travel with the package, and agrees with the tables."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from tests.support.postgres import Cluster

from longline.base.errors import ConfigError
from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id
from longline.store.durable import Durable
from longline.store.engine import make_engine
from longline.store.migrate import SCRIPTS, migrate
from longline.store.records import ApiKeyRecord
from longline.store.tables import metadata

LATEST = max(path.name[:4] for path in (SCRIPTS / "versions").glob("0*.py"))


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Of a database with nothing in it."""
    if request.param == "sqlite":
        return sqlite_url
    running: Cluster = request.getfixturevalue("postgres")
    return await running.url(is_empty=True)


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


async def versions(url: str) -> list[str]:
    engine = make_engine(url)
    async with engine.connect() as connection:
        found = [row[0] for row in (await connection.execute(text("SELECT version_num FROM alembic_version"))).all()]
    await engine.dispose()
    return found


async def test_opening_again_changes_nothing(url: str) -> None:
    for _ in range(2):
        await (await Durable.open(url)).close()
    assert await versions(url) == [LATEST]


async def moved(url: str, move: Callable[[Config], None], *statements: str) -> None:
    """Let alembic do something with the database, then execute the statements."""
    engine = make_engine(url)

    def write(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        move(config)
        for statement in statements:
            connection.exec_driver_sql(statement)

    async with engine.connect() as connection:
        await connection.run_sync(write)
        await connection.commit()
    await engine.dispose()


async def as_it_was(url: str, revision: str, *statements: str) -> None:
    """Make the database that an earlier version has written."""
    await moved(url, lambda config: command.upgrade(config, revision), *statements)


async def test_what_an_earlier_version_wrote_is_kept(url: str) -> None:
    await as_it_was(
        url,
        "0002",
        "INSERT INTO events (id, type, call_id, at, data, delivery_status, attempt_count) "
        f"VALUES ('{'0' * 31}1', 'call.answered', '{'0' * 31}2', '2026-01-02 03:04:05.0006', '{{}}', 'pending', 3)",
        f"INSERT INTO api_keys (hash, created_at) VALUES ('{'a' * 64}', '2026-01-02 03:04:05.0006')",
        "INSERT INTO calls (id, account_id, direction, state, properties, created_at) VALUES "
        f"('{'0' * 31}2', '{DEFAULT_ACCOUNT_ID.hex}', 'inbound', 'completed', '{{}}', '2026-01-02 03:04:05.0006')",
    )
    durable = await Durable.open(url)
    own = durable.of(DEFAULT_ACCOUNT_ID)
    event = await own.get_event(UUID(int=1))
    assert event is not None and (event.call_id, event.attempt_count) == (UUID(int=2), 3)
    assert await own.get_call(UUID(int=2)) is not None
    found = await durable.accounts.find_key("a" * 64)  # a key of before accounts does all that it did
    assert found is not None and (found[0].account_id, found[0].scopes) == (DEFAULT_ACCOUNT_ID, ["admin"])
    assert found[0].is_valid(datetime.now(UTC))
    await durable.close()


async def test_an_upgrade_leaves_no_index_behind(url: str) -> None:
    """SQLite copies a table to change a column."""
    await as_it_was(url, "0002")
    engine = make_engine(url)
    await migrate(engine)
    async with engine.connect() as connection:
        found = await connection.run_sync(lambda c: {index["name"] for index in inspect(c).get_indexes("events")})
    await engine.dispose()
    assert {"events_by_time", "events_by_call", "events_by_delivery", "events_by_trunk"} <= found


@pytest.mark.parametrize("attempt", range(5))
async def test_several_nodes_may_open_a_new_database_at_once(url: str, attempt: int) -> None:
    stores = await asyncio.gather(*(Durable.open(url) for _ in range(4)), return_exceptions=True)
    assert [store for store in stores if not isinstance(store, Durable)] == []
    for store in stores:
        assert isinstance(store, Durable)
        await store.close()


async def test_a_database_of_a_later_version_is_refused_and_left_alone(url: str) -> None:
    await (await Durable.open(url)).close()
    engine = make_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()
    with pytest.raises(ConfigError, match="later version"):
        await Durable.open(url)
    assert await versions(url) == ["9999"]


async def test_a_file_that_is_no_database_is_refused(sqlite_url: str) -> None:
    file_of(sqlite_url).parent.mkdir(parents=True)
    file_of(sqlite_url).write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match="cannot be opened"):
        await Durable.open(sqlite_url)


def test_the_scripts_are_inside_the_package() -> None:
    assert (SCRIPTS / "env.py").is_file()
    assert list((SCRIPTS / "versions").glob("*.py"))


async def test_every_step_can_be_taken_back(url: str) -> None:
    """With what is in the database: the keys of accounts are then keys as they were before."""
    durable = await Durable.open(url)
    made = ApiKeyRecord(
        id=new_id(), account_id=DEFAULT_ACCOUNT_ID, name="k", prefix="ll_", hash="b" * 64, scopes=["read"],
        created_at=datetime.now(UTC),
    )  # fmt: skip
    await durable.accounts.save_key(made)
    await durable.close()
    await moved(url, lambda config: command.downgrade(config, "0005"))
    await moved(url, lambda config: command.upgrade(config, "head"))
    durable = await Durable.open(url)
    found = await durable.accounts.find_key("b" * 64)
    assert found is not None and found[0].scopes == ["admin"]
    await durable.close()
    await moved(url, lambda config: command.downgrade(config, "base"))
    engine = make_engine(url)
    async with engine.connect() as connection:
        left = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
    await engine.dispose()
    assert left == {"alembic_version"}
