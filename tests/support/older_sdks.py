"""The vendor's SDKs that cannot be imported here: the Python one before 1.0, and the one for Node.

Each runs as a process of its own, unmodified; `scripts/setup.sh --test` installs them.
"""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SUPPORT = Path(__file__).parent
INSTALLED = SUPPORT.parent.parent / ".setup"
TELER_0_2 = INSTALLED / "teler-0.2"
TELER_NODE = INSTALLED / "teler-node" / "node_modules"


async def run_teler_0_2(*arguments: str, key: str) -> dict[str, Any]:
    """What `teler_0_2.py` prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(SUPPORT / "teler_0_2.py"), *arguments,
        env=os.environ | {"PYTHONPATH": str(TELER_0_2), "TELER_API_KEY": key},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, errors = await asyncio.wait_for(process.communicate(), 30)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, errors.decode()
    printed = json.loads(out)
    assert isinstance(printed, dict)
    return printed


class NodeApp:
    """`async with NodeApp(base_url, …)`: `teler_node/app.js` runs; `finish()` waits for its end."""

    def __init__(self, base_url: str, remote_url: str, key: str) -> None:
        self._environment = os.environ | {
            "NODE_PATH": str(TELER_NODE),
            "TELER_BASE_URL": base_url,
            "TELER_API_KEY": key,
            "REMOTE_URL": remote_url,
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        folder = SUPPORT / "teler_node"
        self._process = await asyncio.create_subprocess_exec(
            "node", "-r", str(folder / "redirect.js"), str(folder / "app.js"), env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def finish(self, timeout_s: float = 30) -> list[dict[str, Any]]:
        """All that the application printed, but for what its SDK logs beside it."""
        assert self._process is not None
        out, errors = await asyncio.wait_for(self._process.communicate(), timeout_s)
        assert self._process.returncode == 0, errors.decode()
        return [line for line in map(json.loads, out.splitlines()) if "level" not in line]
