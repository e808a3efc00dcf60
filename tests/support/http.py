"""An HTTP server that answers with exactly the bytes a test gives it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


def response(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    """A whole response that ends its connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class RawServer:
    """`answers` by path; a path that is not there is never answered. `requests` are the heads and bodies received."""

    url: str
    answers: dict[str, bytes]
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has left before it was answered."""

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line.split(":")[1]) for line in head.lower().split("\r\n") if "content-length" in line), 0
            )
            self.requests.append((head, await reader.readexactly(length)))
            answer = self.answers.get(head.split()[1].partition("?")[0])
            if answer is None:
                await reader.read()
                self.gone.set()
                return
            writer.write(answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            writer.close()


@asynccontextmanager
async def raw_server(**answers: bytes) -> AsyncIterator[RawServer]:
    """`raw_server(flow=response(…))` answers at `/flow`."""
    served = RawServer("", {f"/{path}": answer for path, answer in answers.items()})
    server = await asyncio.start_server(served.converse, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield served
