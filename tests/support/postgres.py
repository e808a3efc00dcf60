"""A PostgreSQL of Debian's for the tests: a cluster in a temporary folder, reached by a Unix socket alone.

PostgreSQL refuses to run as root; then it runs as the user `postgres`, whom its package has made.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.store.engine import make_engine
from longline.store.migrate import migrate
from longline.store.tables import metadata

_TIMEOUT_S = 60
_USER = "postgres"


def binaries() -> Path | None:
    """Where initdb and postgres are; None when it is not installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    in_path = shutil.which("initdb")
    if in_path is not None:
        found.append(Path(in_path).resolve().parent)
    return max(found, key=lambda path: [int(part) for part in path.parts if part.isdecimal()], default=None)


class Cluster:
    """A running one. `url` makes a database and gives its SQLAlchemy URL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: set[str] = set()

    async def url(self, *, is_empty: bool = False) -> str:
        """A database without rows, of this version's schema; or with nothing in it at all. It is the same one at every
        call: a database is hundreds of files."""
        name = "empty" if is_empty else "migrated"
        if name not in self._made:
            self._made.add(name)
            await self._sql("postgres", f"CREATE DATABASE {name}")
            if not is_empty:
                engine = make_engine(self._url_of(name))
                await migrate(engine)
                await engine.dispose()
        elif is_empty:
            await self._sql(name, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        else:
            rows = [table for table in metadata.tables if table != "accounts"]
            deletions = [f"DELETE FROM {table}" for table in rows]
            await self._sql(name, *deletions, f"DELETE FROM accounts WHERE id <> '{DEFAULT_ACCOUNT_ID}'")
        return self._url_of(name)

    def _url_of(self, database: str) -> str:
        return f"postgresql+asyncpg://{_USER}@/{database}?host={self._folder}"

    async def _sql(self, database: str, *statements: str) -> None:
        connection: Any = await asyncpg.connect(host=str(self._folder), user=_USER, database=database)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@contextlib.contextmanager
def cluster(programs: Path) -> Iterator[Cluster]:
    """Start one, and take it away with its folder. What a power cut would cost is of no concern here: no fsync."""
    with tempfile.TemporaryDirectory(prefix="longline-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        as_user: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        if os.geteuid() == 0:
            account = pwd.getpwnam(_USER)
            os.chown(folder, account.pw_uid, account.pw_gid)
            as_user |= {"user": _USER, "group": account.pw_gid, "extra_groups": []}
        data = folder / "data"
        init: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            _USER,
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(init, check=True, timeout=_TIMEOUT_S, **as_user)
        settings = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "max_connections=200"]
        options = [part for setting in settings for part in ("-c", setting)]
        server = subprocess.Popen([programs / "postgres", "-D", data, *options], **as_user)
        try:
            _until_it_answers(programs, folder)
            yield Cluster(folder)
        finally:
            server.send_signal(signal.SIGQUIT)  # at once
            server.wait(_TIMEOUT_S)


def _until_it_answers(programs: Path, folder: Path) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    ask = [str(programs / "pg_isready"), "-q", "-h", str(folder)]
    while subprocess.run(ask, timeout=_TIMEOUT_S).returncode != 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"PostgreSQL did not start within {_TIMEOUT_S} s")
        time.sleep(0.05)
