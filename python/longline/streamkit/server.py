"""A server for applications: Longline dials it, and a handler runs for every stream. An asyncio shell.

    async def talk(stream: Stream) -> None: ...

    async with serve(talk, "0.0.0.0", 9000, hello=Hello(progress_ms=100), secret="…"):
        ...

A stream that drops and comes back goes on in the same handler. When a handler returns, its stream is stopped: the call
goes on with its flow. Bounds: streams at once (`max_streams`, answered 503), messages (1 MiB), the wait for `start`.
"""

from __future__ import annotations

import asyncio
import http
import json
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from longline.streamkit import signature
from longline.streamkit.app_messages import Hello
from longline.streamkit.connection import Connection
from longline.streamkit.dial import MAX_MESSAGE_BYTES
from longline.streamkit.server_messages import PROTOCOL
from longline.streamkit.stream import DIAL_IN_AFTER_S, Stream

START_WITHIN_S: Final = 5.0
MAX_STREAMS: Final = 10_000
_log = logging.getLogger(__name__)

Handler = Callable[[Stream], Awaitable[None]]
Otherwise = Callable[[ServerConnection, str | bytes], Awaitable[None]]
"""Takes a connection that speaks something else, with its first message."""


class StreamServer:
    """Use `serve`."""

    def __init__(
        self,
        handler: Handler,
        hello: Hello,
        secret: str | None,
        max_streams: int,
        dial_in_after_s: float | None,
        tls: ssl.SSLContext | None,
        listen: dict[str, Any],
        otherwise: Otherwise | None = None,
    ) -> None:
        self._otherwise = otherwise
        self._handler = handler
        self._hello = hello
        self._secret = secret
        self._max_streams = max_streams
        self._dial_in_after_s = dial_in_after_s
        self._tls = tls
        self._listen = listen
        self._server: Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.streams: dict[str, Stream] = {}

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await serve_websockets(
            self._run,
            process_request=self._admit,
            select_subprotocol=_choose,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            **self._listen,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        for stream in self.streams.values():
            stream.abandon()
        self._server.close(close_connections=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        if self._secret is not None:
            fault = signature.fault(self._secret, request.headers, request.path, time.time())
            if fault is not None:
                return socket.respond(http.HTTPStatus.UNAUTHORIZED, f"{fault}\n")
        if len(self.streams) >= self._max_streams:
            return socket.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many streams\n")
        return None

    async def _run(self, socket: ServerConnection) -> None:
        try:
            async with asyncio.timeout(START_WITHIN_S):
                first = await socket.recv()
        except (ConnectionClosed, TimeoutError):
            await socket.close(1002, "start is the first message")
            return
        stream_id = _stream_of(first)
        if stream_id is None:
            if self._otherwise is not None:
                await self._otherwise(socket, first)
            else:
                await socket.close(1002, "start is the first message")
            return
        stream = self.streams.get(stream_id)
        if stream is None or stream.is_over:
            connection = Connection(self._hello)
            stream = Stream(connection, dial_in_after_s=self._dial_in_after_s, tls=self._tls)
            self.streams[stream_id] = stream
            task = asyncio.create_task(self._talk(stream_id, stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await stream.attach(socket, first)

    async def _talk(self, stream_id: str, stream: Stream) -> None:
        try:
            await stream.started()
            await self._handler(stream)
        except Exception:
            _log.exception("the handler of stream %s failed", stream_id)
        finally:
            if not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                await _finish(stream)
            if self.streams.get(stream_id) is stream:
                del self.streams[stream_id]


def _stream_of(first: str | bytes) -> str | None:
    """Whose `start` this is; None when it is not one of longline.v1."""
    try:
        message = json.loads(first)
        stream_id = message["stream_id"] if message["protocol"] == PROTOCOL else None
    except (ValueError, KeyError, TypeError):
        return None
    return stream_id if isinstance(stream_id, str) else None


async def _finish(stream: Stream) -> None:
    """Stop it, though its socket may have to come back for that."""
    if not stream.is_over:
        stream.stop()
    async for _ in stream:
        pass


def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    hello: Hello | None = None,
    secret: str | None = None,
    tls: ssl.SSLContext | None = None,
    dial_tls: ssl.SSLContext | None = None,
    dial_in_after_s: float | None = DIAL_IN_AFTER_S,
    max_streams: int = MAX_STREAMS,
    otherwise: Otherwise | None = None,
    **listen: Any,
) -> StreamServer:
    """`tls` makes it wss; `secret` refuses what Longline has not signed; `dial_in_after_s` None: never dial in;
    `otherwise` takes connections whose first message is no `start` of longline.v1.

    `listen` goes to `websockets.asyncio.server.serve` (`sock`, `unix`, …).
    """
    listen = {"host": host, "port": port, "ssl": tls} | listen
    if "sock" in listen:
        del listen["host"], listen["port"]
    return StreamServer(handler, hello or Hello(), secret, max_streams, dial_in_after_s, dial_tls, listen, otherwise)


def _choose(socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol(PROTOCOL) if PROTOCOL in offered else None
