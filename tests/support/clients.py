"""Third-party applications, unmodified: each is a process in an environment of its own, which `scripts/setup.sh
--clients` makes, and tells what it sees by one JSON object a line (`tests/clients/`)."""

import asyncio
import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parent.parent.parent
APPLICATIONS = ROOT / "tests" / "clients"
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
NODE_PATH = os.pathsep.join(f"{ROOT}/.setup/{folder}/node_modules" for folder in ("clients-node", "teler-node"))


def has_package(name: str) -> bool:
    """Whether a Python package is installed there (some want a newer Python than this machine has)."""
    return any(PYTHON.parent.parent.glob(f"lib/python*/site-packages/{name}"))


class ClientApp:
    """`async with ClientApp("pipecat_bot.py", NAME="value") as app`: it listens at `app.url(path)`."""

    def __init__(self, program: str, **environment: str) -> None:
        runtime = [str(PYTHON)] if program.endswith(".py") else ["node"]
        self._command = [*runtime, str(APPLICATIONS / program)]
        self._environment = os.environ | {"NODE_PATH": NODE_PATH, "PYTHONPATH": ""} | environment
        self.told: list[dict[str, Any]] = []
        self.errors = ""
        self._news = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, cwd=APPLICATIONS, limit=1 << 20,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._readers = [asyncio.create_task(self._read_told()), asyncio.create_task(self._read_errors())]
        try:
            self._port = (await self.until("listening", 60))["port"]
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()
        if error is not None:
            print(f"--- {self._command[-1]} told ---\n", *(f"{line}\n" for line in self.told), self.errors[-6000:])

    def url(self, path: str = "/") -> str:
        return f"ws://127.0.0.1:{self._port}{path}"

    async def until(self, event: str, timeout_s: float = 15, **details: Any) -> dict[str, Any]:
        """The first thing told of this name, with these details."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for line in self.told:
                        if line["event"] == event and details.items() <= line.items():
                            return line
                    assert self._process is not None and self._process.returncode is None, self.errors[-3000:]
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {event} {details} within {timeout_s} s; told: {self.told}") from None

    async def _read_told(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                self.told.append(json.loads(line))
            self._news.set()
        self._news.set()

    async def _read_errors(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        async for line in self._process.stderr:
            self.errors += line.decode(errors="replace")

    async def _stop(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(*self._readers, return_exceptions=True)
