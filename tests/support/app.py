"""The application's side of a call: a WebSocket server (Teler dialect) and an HTTP server for flows and webhooks."""

import asyncio
import base64
import json
import socket
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve

from tests.support.tone import Samples


class AppCall:
    """One stream as the application sees it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.start: dict[str, Any] = {}
        self._chunks = 0

    async def say(self, samples: Samples, chunk_id: int | str | None = None) -> None:
        self._chunks += 1
        message = {
            "type": "audio",
            "audio_b64": base64.b64encode(samples.astype("<i2").tobytes()).decode(),
            "chunk_id": self._chunks if chunk_id is None else chunk_id,
        }
        await self.send(message)

    async def send(self, message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def hear(self, seconds: float, rate_hz: int = 8000) -> Samples:
        """So much of the caller's audio, from now on, at the rate of the stream."""
        heard: list[Samples] = []
        while sum(map(len, heard)) < seconds * rate_hz:
            message = json.loads(await self.socket.recv())
            if message["type"] == "audio":
                data = base64.b64decode(message["data"]["audio_b64"])
                heard.append(np.frombuffer(data, dtype="<i2").astype(np.int16))
        return np.concatenate(heard)


class App:
    """`async with App(handler)`: `handler(call)` runs for every stream, after its `start`. Errors in it are kept.

    `receive_buffer` (bytes) makes the kernel hold little of what the application does not read.
    """

    def __init__(self, handler: Callable[[AppCall], Awaitable[None]], receive_buffer: int | None = None) -> None:
        self._handler = handler
        self._receive_buffer = receive_buffer
        self._server: Server | None = None
        self.errors: list[BaseException] = []
        self.calls: list[AppCall] = []

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/stream?tenant=7"

    async def __aenter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0))
        if self._receive_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        self._server = await serve(self._run, sock=listener, max_size=None, compression=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _run(self, connection: ServerConnection) -> None:
        call = AppCall(connection)
        self.calls.append(call)
        try:
            call.start = json.loads(await connection.recv())
            await self._handler(call)
        except Exception as error:
            self.errors.append(error)


async def echo(call: AppCall) -> None:
    """A handler: what the caller says comes back."""
    async for text in call.socket:
        message = json.loads(text)
        if message["type"] == "audio":
            await call.send(
                {"type": "audio", "audio_b64": message["data"]["audio_b64"], "chunk_id": message["message_id"]}
            )


async def listen(call: AppCall) -> None:
    """A handler: takes the caller's audio and says nothing."""
    async for _ in call.socket:
        pass


class Backend:
    """`async with Backend(flow)`: answers POST /flow by `flow(request body)`, and keeps what POST /webhook receives.

    A flow that is a text is XML; a body may be a form, and that of a GET is its query.
    """

    def __init__(self, flow: Callable[[dict[str, Any]], Awaitable[Any]] | dict[str, Any] | str | None = None) -> None:
        self._flow = flow
        self._server: asyncio.Server | None = None
        self.flow_requests: list[dict[str, Any]] = []
        self.webhooks: list[dict[str, Any]] = []
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        """Headers (names in lower case) and body of each webhook, as they came."""

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def flow_url(self) -> str:
        return self.url + "/flow"

    @property
    def webhook_url(self) -> str:
        return self.url + "/webhook"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    def told(self, call_id: str | None = None) -> list[str]:
        """The names of the events that the webhook has received (of one call), in order of arrival."""
        return [hook["event"] for hook in self.webhooks if call_id in (None, hook["data"]["call_id"])]

    async def until_told(self, event: str, timeout_s: float = 10) -> dict[str, Any]:
        """Wait for the first webhook of this name."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for hook in self.webhooks:
                        if hook["event"] == event:
                            return hook
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"no webhook {event!r} within {timeout_s} s among {self.told()}") from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request_line := await reader.readline():
                headers = {}
                while (header := await reader.readline()).strip():
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                raw = await reader.readexactly(int(headers.get("content-length", 0)))
                path = request_line.split()[1].decode()
                if path.startswith("/webhook"):
                    self.deliveries.append((headers, raw))
                is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
                body = dict(parse_qsl(raw.decode(), keep_blank_values=True)) if is_form else json.loads(raw or b"{}")
                if request_line.startswith(b"GET "):
                    body = dict(parse_qsl(path.partition("?")[2], keep_blank_values=True))
                answered = await self._answer(path, body)
                is_markup = isinstance(answered, str)
                answer = answered.encode() if is_markup else json.dumps(answered).encode()
                content_type = "text/xml" if is_markup else "application/json"
                head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(answer)}\r\n\r\n"
                writer.write(head.encode() + answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: dict[str, Any]) -> Any:
        if path.startswith("/webhook"):
            self.webhooks.append(body)
            return {}
        self.flow_requests.append(body)
        return await self._flow(body) if callable(self._flow) else self._flow
