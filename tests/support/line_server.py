"""A server of lines (`longline.streamkit.line`): dials an application for each stream, and again when it drops."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Callable
from typing import Any

from websockets.exceptions import InvalidHandshake

from longline.streamkit.line.line import Line
from longline.streamkit.line.wire import Wire

DELAYS_S = (0.0, 0.1, 0.25, 0.5, 1.0)


class LineServer:
    """`async with LineServer() as server: await server.open(url)`. `make` makes the line of a stream."""

    def __init__(self, make: Callable[..., Line] = Line, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._make = make
        self._numbers = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []
        self.lines: list[Line] = []

    async def __aenter__(self) -> "LineServer":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def open(self, url: str, **settings: Any) -> None:
        number = next(self._numbers)
        tokens = (f"token-{number}-{each}" for each in itertools.count(1))
        line = self._make(tokens, stream_id=f"st_{number}", **settings)
        self.lines.append(line)
        self._tasks.append(asyncio.create_task(self._run(line, url)))

    async def _run(self, line: Line, url: str) -> None:
        async with Wire(line, url, tls=self._tls) as wire:
            line.url = await wire.listen()
            tries = 0
            while not line.is_over:
                if wire.is_up:
                    tries = 0
                else:
                    await asyncio.sleep(DELAYS_S[min(tries, len(DELAYS_S) - 1)])
                    tries += 1
                    with contextlib.suppress(OSError, InvalidHandshake, TimeoutError):
                        if not wire.is_up and not line.is_over:
                            await wire.dial()
                await asyncio.sleep(0.01)
            await wire.until(lambda: not wire.is_up, 3)
