"""A store of its own for each test, once in a SQLite file and once in a PostgreSQL that the tests start."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.postgres import Cluster, binaries, cluster

from longline.store.durable import Durable


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'deep' / 'store.db'}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    programs = binaries()
    if programs is None:
        pytest.fail("no PostgreSQL: scripts/setup.sh --test installs it")
    with cluster(programs) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        made: str = request.getfixturevalue("sqlite_url")
        return made
    running: Cluster = request.getfixturevalue("postgres")
    return await running.url()


@pytest.fixture
async def durable(url: str) -> AsyncIterator[Durable]:
    store = await Durable.open(url)
    yield store
    await store.close()
