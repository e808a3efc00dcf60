"""The end that has the call: every 20 ms a chunk of the caller's, and an ear for those of the application.

By WebSocket it dials the application and pushes, as the media server does. By HTTP it is the server that is asked.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import side
import uvloop
from audio_chunk import body_of, new_chunk, read_chunk, read_chunks
from http_messages import Server
from measured import Measured
from web_socket import WebSocket


class Call:
    """`waiting` is what no request has fetched yet; `asked` the request that waits for the next one."""

    def __init__(self, measured: Measured, number: int) -> None:
        self.measured, self._number = measured, 0
        self.waiting: list[bytes] = []
        self.asked: Callable[[bytes, bytes], None] | None = None
        self.socket: WebSocket | None = None

    def tick(self) -> None:
        self._number += 1
        self.measured.chunk_made()
        chunk = new_chunk(self._number)
        if self.socket is not None:
            self.socket.send(chunk)
            return
        self.waiting.append(chunk)
        if self.asked is not None:
            answer, self.asked = self.asked, None
            self.fetch(answer)

    def fetch(self, answer: Callable[[bytes, bytes], None]) -> None:
        waiting, self.waiting = self.waiting, []
        answer(b"200 OK", body_of(waiting))

    def request(self, head: bytes, body: bytes, answer: Callable[[bytes, bytes], None]) -> None:
        self.measured.requests += self.measured.is_on
        if head.startswith(b"POST"):
            for born in read_chunks(body):
                self.measured.chunk_came(born)
            answer(b"204 No Content", b"")
        elif self.waiting:
            self.fetch(answer)
        elif b"wait=1" in head.partition(b"\r\n")[0]:
            self.asked = answer
        else:
            answer(b"204 No Content", b"")


async def main() -> None:
    options = side.arguments()
    measured = Measured()
    loop = asyncio.get_running_loop()
    calls = [Call(measured, number) for number in range(options.calls)]

    def begin() -> None:
        for number, call in enumerate(calls):
            side.every_interval(number / len(calls), call.tick)

    if options.transport == "websocket":
        port = (await side.hear())["dial"]
        tls: Any = side.client_tls(options.tls)
        opened: list[asyncio.Future[None]] = []

        def dial(call: Call) -> WebSocket:
            is_open = loop.create_future()
            opened.append(is_open)

            def on_open(_: WebSocket) -> None:
                is_open.set_result(None)

            return WebSocket(True, on_open, lambda message: measured.chunk_came(read_chunk(message)))

        for call in calls:
            _, call.socket = await loop.create_connection(
                lambda call=call: dial(call), "127.0.0.1", port, ssl=tls, server_hostname=tls and "localhost"
            )
        await asyncio.gather(*opened)
        side.say(ready=True)
    else:

        def handle(head: bytes, body: bytes, answer: Callable[[bytes, bytes], None]) -> None:
            calls[int(head.split(b"/", 3)[2])].request(head, body, answer)

        server = await loop.create_server(
            lambda: Server(handle), "127.0.0.1", 0, backlog=1024, ssl=side.server_tls(options.tls)
        )
        side.say(port=server.sockets[0].getsockname()[1])
    begin()
    await side.be_measured(measured)
    os._exit(0)  # connections and timers go with it


uvloop.run(main())
