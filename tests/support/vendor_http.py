"""An HTTP server that speaks as a vendor does, and fails as vendors fail, on demand.

A subclass answers requests: `answer` yields the parts of a body. `fail` says what becomes of the next requests.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

RETRY_AFTER_S = 7


class Fault(Enum):
    """What can be wrong with an answer."""

    REFUSED = "HTTP 401"
    LIMITED = "HTTP 429 with Retry-After"
    BROKEN = "HTTP 500"
    NO_ANSWER = "the request is read, and nothing comes"
    CUT_AT_ONCE = "the connection is closed without an answer"
    STALLS = "nothing comes behind the first part"
    CUT = "the connection is closed behind the first part"
    ERROR_WITHIN = "behind the first part comes an error, as the vendor tells one in mid-stream"
    GARBAGE = "HTTP 200 with a page of HTML"
    GARBAGE_WITHIN = "behind the first part comes what is no message"


WITHIN = (Fault.STALLS, Fault.CUT, Fault.ERROR_WITHIN, Fault.GARBAGE_WITHIN)
STATUS = {Fault.REFUSED: "401 Unauthorized", Fault.LIMITED: "429 Too Many Requests", Fault.BROKEN: "500 Oh no"}
PAGE = b"<html><body>Welcome to the proxy</body></html>"


Part = bytes | float | asyncio.Event
"""Of a body; a number is a pause in seconds, an event is waited for."""


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """Of a body in JSON."""
        fields = json.loads(self.body)
        assert isinstance(fields, dict)
        return fields


@dataclass
class Answer:
    """`parts` of a body, sent one after the other."""

    content_type: str
    parts: list[Part] = field(default_factory=list)
    error_within: bytes = b""
    garbage_within: bytes = b""


class VendorServer:
    """`async with VendorServer() as server`: at `server.url`."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.faults: deque[Fault] = deque()
        self.broken: dict[str, Fault] = {}
        """By the end of a path: what becomes of all its requests."""
        self.open_now = 0
        """Connections."""
        self.left = asyncio.Event()
        """A client has closed its connection before its answer was over."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def fail(self, *faults: Fault) -> None:
        """So the next requests go, one fault each."""
        self.faults.extend(faults)

    def _broken(self, path: str) -> Fault | None:
        return next((fault for end, fault in self.broken.items() if path.endswith(end)), None)

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def refusal(self, status: str) -> bytes:
        """The body of an error, as the vendor has it."""
        raise NotImplementedError

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open_now += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the task is nobody's but the server's, which asks of it what became of it
        finally:
            self.open_now -= 1
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False: the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if method == "HEAD":  # asked for the sake of the connection
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        request = Request(method, path, headers, body)
        self.requests.append(request)
        fault = self.faults.popleft() if self.faults else self._broken(path)
        if fault in STATUS:
            more = f"Retry-After: {RETRY_AFTER_S}\r\n" if fault is Fault.LIMITED else ""
            _write(writer, STATUS[fault], "application/json", self.refusal(STATUS[fault]), more)
            return True
        if fault is Fault.GARBAGE:
            _write(writer, "200 OK", "text/html", PAGE)
            return True
        if fault is Fault.CUT_AT_ONCE:
            return False
        sending = asyncio.create_task(self._send(writer, self.answer(request), fault))
        leaving = asyncio.create_task(_eof(reader))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self.left.set()
                return False
            return sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer, fault: Fault | None) -> bool:
        if fault is Fault.NO_ANSWER:
            await asyncio.Event().wait()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {answer.content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        async for part in self._parts(answer, fault):
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
        if fault is Fault.CUT:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _parts(self, answer: Answer, fault: Fault | None) -> AsyncIterator[bytes]:
        for part in answer.parts:
            if isinstance(part, float):
                await asyncio.sleep(part)
                continue
            if isinstance(part, asyncio.Event):
                await part.wait()
                continue
            yield part
            if fault is Fault.STALLS:
                await asyncio.Event().wait()
            if fault is Fault.ERROR_WITHIN:
                yield answer.error_within
            if fault is Fault.GARBAGE_WITHIN:
                yield answer.garbage_within
            if fault in WITHIN:
                return


async def _eof(reader: asyncio.StreamReader) -> None:
    """Without taking a byte of the next request."""
    while not reader.at_eof():
        await asyncio.sleep(0.01)


def _write(writer: asyncio.StreamWriter, status: str, content_type: str, body: bytes, more: str = "") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    writer.write(head.encode() + body)
