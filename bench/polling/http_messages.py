"""HTTP/1.1 as far as the bench needs it, with no library: neither transport shall pay for a framework.

Bodies have a Content-Length; the headers are those that clients and servers send as a rule. Leaves out: chunked bodies,
pipelining.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

_CLIENT_HEADERS = (
    b"Host: voice.example.com\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"
    b"User-Agent: application/1.0\r\nx-api-key: ll_0123456789abcdefghijklmnopqrstuvwxyz0123456\r\n"
)
_SERVER_HEADERS = b"date: Sat, 01 Jan 2000 00:00:00 GMT\r\nserver: voice\r\ncontent-type: application/json\r\n"


class _Messages(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) >= length:
            self._buffer = rest[length:]
            self.message(head, headers, rest[:length])

    def message(self, head: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        raise NotImplementedError


class Server(_Messages):
    """`handle(head, body, answer)` calls `answer(status, body)` once, now or later."""

    def __init__(self, handle: Callable[[bytes, bytes, Callable[[bytes, bytes], None]], None]) -> None:
        super().__init__()
        self._handle = handle

    def message(self, head: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        closes = headers.get(b"connection") == b"close"

        def answer(status: bytes, body: bytes) -> None:
            assert self.transport is not None
            end = b"connection: close\r\n\r\n" if closes else b"\r\n"
            self.transport.write(
                b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n%s%s" % (status, _SERVER_HEADERS, len(body), end, body)
            )
            if closes:
                self.transport.close()

        self._handle(head, body, answer)


class Client(_Messages):
    """One request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: asyncio.Future[bytes] | None = None

    async def request(self, method: bytes, path: bytes, body: bytes, closes: bool) -> bytes:
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        extra = b"Connection: close\r\n" if closes else b""
        if body:
            extra += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        self.transport.write(b"%s %s HTTP/1.1\r\n%s%s\r\n%s" % (method, path, _CLIENT_HEADERS, extra, body))
        return await self._answer

    def message(self, head: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(body)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())


def socket_of(transport: Any) -> Any:
    return transport.get_extra_info("socket")
