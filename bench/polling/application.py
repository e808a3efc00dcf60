"""The developer's end: it hears each chunk of the caller's and has one of its own to say every 20 ms, all the time.

By WebSocket it sends when it has something, and hears when it comes. By HTTP `half` has one way that fetches and
delivers in turns, 20 ms after the turn before or as soon as that is over, and takes all that waits. `full` over kept
connections has two, one that waits at the server for the next chunk (a long poll) and one that delivers; `full` with
a connection for each request asks every 20 ms and delivers each chunk, whatever else is under way.
"""

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from typing import Any, cast

import side
import uvloop
from audio_chunk import INTERVAL_S, body_of, new_chunk, read_chunk, read_chunks
from http_messages import Client, socket_of
from measured import Measured
from web_socket import WebSocket


class Way:
    """Where requests of a call go: a connection that is kept, or one for each."""

    def __init__(self, measured: Measured, number: int, port: int, tls: Any, is_kept: bool) -> None:
        self._measured, self._port, self._tls, self.is_kept = measured, port, tls, is_kept
        self._path = b"/calls/%d/audio" % number
        self._client: Client | None = None

    async def open(self) -> Client:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(
            Client, "127.0.0.1", self._port, ssl=self._tls, server_hostname=self._tls and "localhost"
        )
        self._measured.opened(socket_of(transport))
        return client

    async def keep(self) -> None:
        if self.is_kept:
            self._client = await self.open()

    async def request(self, method: bytes, body: bytes = b"", query: bytes = b"") -> bytes:
        client = self._client or await self.open()
        answer = await client.request(method, self._path + query, body, not self.is_kept)
        if not self.is_kept:
            transport = cast("asyncio.Transport", client.transport)
            self._measured.closed(socket_of(transport))
            transport.close()
        return answer


class Caller:
    """One call of the application, over HTTP."""

    def __init__(self, measured: Measured, ways: list[Way]) -> None:
        self._measured, self._ways = measured, ways
        self._to_say: list[bytes] = []
        self._has_something = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._number = 0

    def tick(self) -> None:
        self._number += 1
        self._measured.chunk_made()
        self._to_say.append(new_chunk(self._number))
        self._has_something.set()

    async def run(self) -> None:
        if len(self._ways) == 2 and self._ways[0].is_kept:
            await asyncio.gather(self._hear_on(self._ways[0]), self._say_on(self._ways[1]))
        elif len(self._ways) == 2:
            await asyncio.gather(self._ask_always(self._ways[0]), self._say_always(self._ways[1]))
        else:
            await self._take_turns(self._ways[0])

    async def _hear_on(self, way: Way) -> None:
        while True:
            self._heard(await way.request(b"GET", query=b"?wait=1"))

    async def _say_on(self, way: Way) -> None:
        while True:
            await self._has_something.wait()
            await self._say(way)

    async def _ask_always(self, way: Way) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()

        async def ask() -> None:
            self._heard(await way.request(b"GET"))

        while True:
            self._begin(ask())
            due += INTERVAL_S
            await asyncio.sleep(due - loop.time())

    async def _say_always(self, way: Way) -> None:
        while True:
            await self._has_something.wait()
            self._begin(self._say(way))
            await asyncio.sleep(0)

    def _begin(self, request: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._finish(request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _finish(self, request: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(
            OSError
        ):  # at the end of the run the other side may be gone; before, a chunk is missing
            await request

    async def _take_turns(self, way: Way) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._heard(await way.request(b"GET"))
            if self._to_say:
                await self._say(way)
            due = max(due + INTERVAL_S, loop.time())
            await asyncio.sleep(due - loop.time())

    def _heard(self, body: bytes) -> None:
        for born in read_chunks(body) if body else ():
            self._measured.chunk_came(born)

    async def _say(self, way: Way) -> None:
        self._has_something.clear()
        said, self._to_say = self._to_say, []
        await way.request(b"POST", body_of(said))


async def main() -> None:
    options = side.arguments()
    measured = Measured()
    loop = asyncio.get_running_loop()
    running: list[asyncio.Task[None]] = []
    if options.transport == "websocket":
        count = 0

        def on_open(connection: WebSocket) -> None:
            nonlocal count
            measured.opened(socket_of(connection.transport))
            number = 0

            def tick() -> None:
                nonlocal number
                number += 1
                measured.chunk_made()
                connection.send(new_chunk(number))

            side.every_interval(count / options.calls, tick)
            count += 1

        def accept() -> WebSocket:
            return WebSocket(False, on_open, lambda message: measured.chunk_came(read_chunk(message)))

        server = await loop.create_server(accept, "127.0.0.1", 0, backlog=1024, ssl=side.server_tls(options.tls))
        side.say(port=server.sockets[0].getsockname()[1])
    else:
        port = (await side.hear())["dial"]
        is_kept, is_full = "keep-alive" in options.transport, options.transport.endswith("full")
        tls = side.client_tls(options.tls)
        for number in range(options.calls):
            ways = [Way(measured, number, port, tls, is_kept) for _ in range(2 if is_full else 1)]
            for way in ways:
                await way.keep()
            caller = Caller(measured, ways)
            side.every_interval(number / options.calls, caller.tick)
            running.append(asyncio.create_task(_after(number / options.calls * INTERVAL_S, caller)))
        side.say(ready=True)
    await side.be_measured(measured)
    os._exit(0)  # connections, tasks and timers go with it


async def _after(delay_s: float, caller: Caller) -> None:
    await asyncio.sleep(delay_s)
    await caller.run()


uvloop.run(main())
