"""A WebSocket server that speaks as a vendor does, and fails as vendors fail, on demand (`tests/support/vendor_http`).

A subclass makes a `Session` of each connection. A fault is that of one connection. A caller's words are written in his
audio (`said`, as those of the testing kit's callers), so that a server can tell what it has heard of them.
"""

import asyncio
import http
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from longline.agentkit.testing.written import WordReader, spoken
from tests.support.vendor_http import PAGE, RETRY_AFTER_S, STATUS, Fault

Message = str | bytes
RATE = 8_000
LETTER_MS = 20


def said(text: str) -> list[bytes]:
    """Frames of 20 ms in which the words are written."""
    return list(spoken(text, RATE, LETTER_MS))


class Ears:
    """What was said in audio that comes in pieces of any length."""

    def __init__(self) -> None:
        self._reader = WordReader()
        self._bytes = 0
        self.words: list[str] = []
        """Since the last `take`."""

    @property
    def seconds(self) -> float:
        return self._bytes / 2 / RATE

    def hear(self, pcm: bytes) -> bool:
        """Whether there is a word more."""
        self._bytes += len(pcm)
        new = self._reader.read(pcm)
        self.words += new
        return bool(new)

    def take(self) -> str:
        words, self.words = self.words, []
        return " ".join(words)


class Session(Protocol):
    """One connection."""

    def take(self, message: Message) -> Iterable[Message]:
        """What is answered to a message."""
        ...


class VendorSocket:
    """`async with VendorSocket() as server`: at `server.url`, an HTTP URL, as the adapters take it."""

    error_within: Message = ""

    def __init__(self) -> None:
        self.url = ""
        self.faults: deque[Fault] = deque()
        self.requests: list[Request] = []
        self.received: list[Message] = []
        self.open_now = 0
        self.is_silent = False
        """Whether nothing is answered from now on."""
        self._server: Server | None = None
        self._sockets: set[ServerConnection] = set()
        self._given: dict[ServerConnection, Fault | None] = {}

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._admit)
        self.url = f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def fail(self, *faults: Fault) -> None:
        """So the next connections go, one fault each."""
        self.faults.extend(faults)

    def session(self) -> Session:
        raise NotImplementedError

    def cut(self) -> None:
        """Every connection, now, without a word."""
        for socket in self._sockets:
            socket.transport.abort()

    @property
    def asked(self) -> dict[str, list[str]]:
        """The parameters of the last connection's URL."""
        return parse_qs(urlsplit(self.requests[-1].path).query)

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        fault = self._given[socket] = self.faults.popleft() if self.faults else None
        if fault in STATUS:
            answer = socket.respond(http.HTTPStatus(int(STATUS[fault].split()[0])), "no\n")
            if fault is Fault.LIMITED:
                answer.headers["Retry-After"] = str(RETRY_AFTER_S)
            return answer
        if fault is Fault.GARBAGE:
            return socket.respond(http.HTTPStatus.OK, PAGE.decode())
        if fault is Fault.CUT_AT_ONCE:
            socket.transport.abort()
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        fault, session, told = self._given.pop(socket, None), self.session(), 0
        self.open_now += 1
        self._sockets.add(socket)
        try:
            async for message in socket:
                self.received.append(message)
                if self.is_silent or fault is Fault.NO_ANSWER:
                    continue
                for answer in session.take(message):
                    if told == 1 and fault is Fault.STALLS:
                        break
                    await socket.send(answer)
                    told += 1
                    if told == 1 and fault is not None:
                        await self._fail(socket, fault)
        except ConnectionClosed:
            pass
        finally:
            self.open_now -= 1
            self._sockets.discard(socket)

    async def _fail(self, socket: ServerConnection, fault: Fault) -> None:
        if fault is Fault.CUT:
            socket.transport.abort()
            await asyncio.sleep(0)
        elif fault is Fault.ERROR_WITHIN:
            await socket.send(self.error_within)
        elif fault is Fault.GARBAGE_WITHIN:
            for garbage in ("<html>", "[]", "null", "7", '{"type": 7}', '{"type": "nothing"}', b"\xff\xfe"):
                await socket.send(garbage)
