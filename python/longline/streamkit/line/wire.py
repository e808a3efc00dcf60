"""`Wire`: the asyncio shell of a `Line`: it dials an application, is dialled by it, and breaks on demand."""

from __future__ import annotations

import asyncio
import contextlib
import http
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection as Socket
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from longline.streamkit import signature
from longline.streamkit.line.line import Line
from longline.streamkit.server_messages import PROTOCOL

FENCED: Final = 4409
CONNECT_WITHIN_S: Final = 5.0


class Wire:
    """Of one line. `async with Wire(line, url) as wire: await wire.dial()`."""

    def __init__(
        self,
        line: Line,
        url: str,
        *,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.line = line
        self._url = url
        self._secret = secret
        self._tls = tls
        self._clock = clock
        self._socket: Socket | None = None
        self._listener: Server | None = None
        self._pump: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.subprotocol: str | None = None
        self.close_code: int | None = None
        self.dialled_in = 0
        self.refused: list[str] = []
        """Why applications that dialled in were refused."""

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        await self.drop()
        if self._listener is not None:
            self._listener.close()

    async def dial(self, *, signed_at: float | None = None, secret: str | None = None) -> None:
        """Connect, and begin; an older socket is fenced. Raises OSError or InvalidHandshake when nobody takes it."""
        target = "/" + self._url.split("://", 1)[1].partition("/")[2]
        headers: dict[str, str] = {}
        if (secret or self._secret) is not None:
            at = int(self._clock() if signed_at is None else signed_at)
            headers = signature.signed(secret or self._secret or "", at, self.line.stream_id, target)
        options: dict[str, Any] = {"ssl": self._tls} if self._tls is not None else {}
        socket = await connect(
            self._url,
            subprotocols=[Subprotocol(PROTOCOL)],
            additional_headers=headers,
            compression=None,
            open_timeout=CONNECT_WITHIN_S,
            max_size=None,
            **options,
        )
        self.subprotocol = socket.subprotocol
        older = self._socket
        self._take(socket)
        if older is not None:
            await older.close(FENCED)

    async def listen(self, host: str = "127.0.0.1") -> str:
        """Let the application dial in; the URL for `start`."""
        self._listener = await serve(
            self._be_dialled,
            host,
            0,
            process_request=self._admit,
            select_subprotocol=lambda _, offered: Subprotocol(PROTOCOL) if PROTOCOL in offered else None,
            compression=None,
            max_size=None,
        )
        return f"ws://{host}:{next(iter(self._listener.sockets)).getsockname()[1]}/resume"

    async def drop(self) -> None:
        """Break the socket without a close frame."""
        socket, self._socket = self._socket, None
        if socket is not None:
            self._collect(socket)
            socket.transport.abort()
            self.line.socket_closed(self._now(), None)
        if self._pump is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump

    async def close(self, code: int) -> None:
        """Close it in order."""
        socket = self._socket
        if socket is not None:
            await socket.close(code)
        if self._pump is not None:
            await self._pump

    def flush(self) -> None:
        """What the line says now is written."""
        self._wake.set()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until it holds; False when it did not in that time."""
        end = self._now() + seconds
        while not condition():
            if self._now() >= end:
                return False
            await asyncio.sleep(0.01)
        return True

    @property
    def is_up(self) -> bool:
        return self._socket is not None

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and self.line.is_good(token) and token not in request.path:
            return None
        self.refused.append("the token stands in the URL" if self.line.token in request.path else "wrong or used token")
        return socket.respond(http.HTTPStatus.UNAUTHORIZED, f"{self.refused[-1]}\n")

    async def _be_dialled(self, socket: ServerConnection) -> None:
        self.dialled_in += 1
        self.subprotocol = socket.subprotocol
        older = self._socket
        self._take(socket)
        if older is not None:
            await older.close(FENCED)
        if self._pump is not None:
            await self._pump

    def _take(self, socket: Socket) -> None:
        if self._socket is not None:
            self.line.socket_closed(self._now(), None)
        self._socket, self.close_code = socket, None
        self.line.socket_opened(self._now())
        self._pump = asyncio.create_task(self._carry(socket))
        self._wake.set()

    async def _carry(self, socket: Socket) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                if self._socket is not socket:
                    break
                self.line.receive(self._now(), data)
                self._wake.set()
        if self._socket is socket:
            self._socket = None
            self.close_code = socket.close_code
            self.line.socket_closed(self._now(), socket.close_code)

    def _collect(self, socket: Socket) -> None:
        """What was under way is lost with the socket."""
        while self.line.poll_transmit() is not None:
            pass

    async def _tick(self) -> None:
        """Time and the writing, in one place."""
        while True:
            self._wake.clear()
            self.line.handle_timeout(self._now())
            socket = self._socket
            if socket is not None:
                try:
                    while self._socket is socket and (data := self.line.poll_transmit()) is not None:
                        await socket.send(data)
                    if self.line.closing is not None and self._socket is socket:
                        await socket.close(self.line.closing)
                except ConnectionClosed:
                    pass
            due = self.line.next_timeout()
            wait_s = 1.0 if due is None else max(0.0, due - self._now())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
