"""A node of our own between the callers and a WebSocket: `longline serve`, which streams every call there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from longline.base.errors import LonglineError

START_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 15.0


class NodeFailed(LonglineError):
    """It did not come up; the text has the end of its log."""


class RehearsalNode:
    """`async with RehearsalNode(url, dialect, folder) as node: node.target`, whom callers call."""

    def __init__(self, url: str, dialect: str, folder: Path) -> None:
        http_port, sip_port = _free_ports(2)
        key = secrets.token_urlsafe(24)
        self.target = f"sip:agent@127.0.0.1:{sip_port}"
        self._api = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", headers={"x-api-key": key}, timeout=10)
        self._log = folder / "node.log"
        self._command = [sys.executable, "-m", "longline", "serve", "--stream", url, "--dialect", dialect]
        self._environment = os.environ | {
            "LONGLINE_HTTP_LISTEN": f"127.0.0.1:{http_port}",
            "LONGLINE_SIP_LISTEN": f"127.0.0.1:{sip_port}",
            "LONGLINE_DATA_DIR": str(folder / "data"),
            "LONGLINE_API_KEY": key,
            "LONGLINE_TRANSCRIPTS_IN_EVENTS": "true",
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            await self._until_ready(self._process)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._api.aclose()
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def call_of(self, caller: str) -> str | None:
        """The id of the call that this user placed. Callers have names of their own."""
        with contextlib.suppress(httpx2.HTTPError, ValueError, KeyError):
            page = (await self._api.get("/api/v1/voice/calls", params={"limit": 100})).raise_for_status().json()
            for call in page["data"]:
                if call["from_number"] == caller:
                    return str(call["id"])
        return None

    async def turns(self, call_id: str) -> list[dict[str, Any]]:
        """What the agent has told of its turns so far, oldest first."""
        with contextlib.suppress(httpx2.HTTPError, ValueError, KeyError):
            path = f"/api/v1/voice/calls/{call_id}/events"
            page = (await self._api.get(path, params={"limit": 100})).raise_for_status().json()
            turns = [event["details"] for event in page["data"] if event["type"] == "agent.turn"]
            return sorted(turns, key=lambda turn: int(turn.get("number", 0)))
        return []

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_WITHIN_S):
                while process.returncode is None:
                    with contextlib.suppress(httpx2.TransportError):
                        if (await self._api.get("/readyz")).status_code == 200:
                            return
                    await asyncio.sleep(0.05)
        raise NodeFailed(f"the node did not come up:\n{self._log.read_text(errors='replace')[-2_000:]}")


def _free_ports(count: int) -> list[int]:
    """Free for UDP and TCP; all are held until all are known, so that they differ."""
    ports: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(ports) < count:
            tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            tcp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                ports.append(int(tcp.getsockname()[1]))
    return ports
