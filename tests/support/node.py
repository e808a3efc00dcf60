"""A whole node, run as its users run it: `longline serve` in a process of its own, with a folder of its own."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.support.ports import free_ports

API_KEY = "test-key-of-the-node"
START_TIMEOUT_S = 30.0


class Node:
    """`async with Node(folder, "--stream", url, LONGLINE_…=…)`. `api` carries the key; `uri` is whom a phone calls."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        http_port, self.sip_port = free_ports(2)
        self.folder = folder
        self.log = folder / "node.log"
        self.url = f"http://127.0.0.1:{http_port}"
        self.uri = f"sip:longline@127.0.0.1:{self.sip_port}"
        self.api = httpx2.AsyncClient(base_url=self.url, headers={"x-api-key": API_KEY}, timeout=10)
        self._arguments = arguments
        self.environment: Mapping[str, str] = (
            os.environ
            | {
                "LONGLINE_HTTP_LISTEN": f"127.0.0.1:{http_port}",
                "LONGLINE_SIP_LISTEN": f"127.0.0.1:{self.sip_port}",
                "LONGLINE_DATA_DIR": str(folder / "data"),
                "LONGLINE_API_KEY": API_KEY,
                "LONGLINE_LOG_FORMAT": "json",
            }
            | environment
        )
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def start(self) -> None:
        """Start the process, also once more after it has ended; returns when it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "longline", "serve", *self._arguments,
                env=dict(self.environment), stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        try:
            await self._until_ready()
        except BaseException:
            await self.stop()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.api.aclose()
        await self.stop()
        if error is not None:
            print(f"--- end of {self.log} ---\n{self.log.read_text()[-6000:]}")

    async def stop(self) -> int:
        """Stop in order; the exit status."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), 15)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise AssertionError(f"the node did not stop:\n{self.log.read_text()[-6000:]}") from None

    async def calls(self) -> list[dict[str, Any]]:
        """All calls (up to 100), oldest first."""
        page = (await self.api.get("/api/v1/voice/calls", params={"limit": 100})).raise_for_status().json()
        return list(reversed(page["data"]))

    async def call(self, call_id: str) -> dict[str, Any]:
        answer = (await self.api.get(f"/api/v1/voice/calls/{call_id}")).raise_for_status().json()
        assert isinstance(answer, dict)
        return answer

    async def events(self, call_id: str) -> list[dict[str, Any]]:
        """The call's events, oldest first."""
        path, params = f"/api/v1/voice/calls/{call_id}/events", {"limit": 100}
        events: list[dict[str, Any]] = (await self.api.get(path, params=params)).raise_for_status().json()["data"]
        return sorted(events, key=lambda event: str(event["occurred_at"]))

    async def until_over(self, count: int, timeout_s: float = 20) -> list[dict[str, Any]]:
        """Wait until there have been so many calls and all have ended. A BYE is answered before its call is settled."""
        calls: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(timeout_s):
                while len(calls) < count or any(call["ended_at"] is None for call in calls):
                    await asyncio.sleep(0.05)
                    calls = await self.calls()
        except TimeoutError:
            raise AssertionError(f"not {count} ended calls within {timeout_s} s among {calls}") from None
        return calls

    async def until_call(
        self, is_it: Callable[[dict[str, Any]], bool] = lambda call: call["ended_at"] is not None, timeout_s: float = 20
    ) -> dict[str, Any]:
        """Wait for a call that fits (one that has ended, if not told otherwise)."""
        calls: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    calls = await self.calls()
                    for call in calls:
                        if is_it(call):
                            return call
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"no such call within {timeout_s} s among {calls}") from None

    async def _until_ready(self) -> None:
        assert self.process is not None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while self.process.returncode is None:
                    with contextlib.suppress(httpx2.TransportError):
                        if (await self.api.get("/readyz")).status_code == 200:
                            return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass
        raise AssertionError(f"the node did not get ready:\n{self.log.read_text()[-6000:]}")
