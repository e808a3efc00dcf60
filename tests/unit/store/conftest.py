"""A store in a file of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longline.store.durable import Durable


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'deep' / 'store.db'}"


@pytest.fixture
async def durable(url: str) -> AsyncIterator[Durable]:
    store = await Durable.open(url)
    yield store
    await store.close()
