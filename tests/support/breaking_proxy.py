"""A TCP relay that breaks connections in the ways that networks do."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self

BUFFER_BYTES = 1 << 16


class _Pipe:
    """One connection through the relay."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter, delay_s: float) -> None:
        self.client = client
        self.server = server
        self.is_black = False
        self.cut_after: int | None = None
        self.closed_half: asyncio.StreamWriter | None = None
        self._delay_s = delay_s

    @property
    def is_whole(self) -> bool:
        """Nobody has broken it."""
        is_closing = self.client.transport.is_closing() or self.server.transport.is_closing()
        return not (self.is_black or self.cut_after is not None or self.closed_half is not None or is_closing)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All that comes, so much later, in order."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await queue.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                if self.is_black:
                    continue
                if self.cut_after is not None:
                    writer.write(data[: max(1, min(self.cut_after, len(data) - 1))])
                    self.end()
                    return
                if writer.transport.is_closing() or writer is self.closed_half:
                    continue
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(data)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()

        deliverer = asyncio.create_task(deliver())
        try:
            while data := await reader.read(BUFFER_BYTES):
                queue.put_nowait((loop.time() + self._delay_s, data))
            queue.put_nowait((loop.time() + self._delay_s, b""))
            await deliverer
        except (ConnectionError, OSError):
            self.reset()
        finally:
            deliverer.cancel()

    def reset(self) -> None:
        """RST toward both."""
        for writer in (self.client, self.server):
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def end(self) -> None:
        """FIN toward both, wherever they were."""
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError):
                writer.close()


class BreakingProxy:
    """`async with BreakingProxy(port) as proxy`: relays to `127.0.0.1:port`, `delay_s` each way."""

    def __init__(self, target_port: int, *, delay_s: float = 0.0, on_accept: Callable[[], None] | None = None) -> None:
        self.target_port = target_port
        self._delay_s = delay_s
        self._on_accept = on_accept
        self._server: asyncio.Server | None = None
        self._pipes: set[_Pipe] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_shut = False
        """New connections are refused, as by a host where nothing listens."""

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_carrying(self) -> bool:
        """Does a connection go through here, that nobody has broken?"""
        return any(pipe.is_whole for pipe in self._pipes)

    # The ways of breaking.

    def reset(self) -> None:
        """RST toward both ends."""
        for pipe in list(self._pipes):
            pipe.reset()

    def black_hole(self) -> None:
        """Nothing passes any more, and nothing says so."""
        for pipe in self._pipes:
            pipe.is_black = True

    def half_close(self) -> None:
        """FIN toward who dialled; what it sends still arrives."""
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.closed_half = pipe.client
                pipe.client.write_eof()

    def cut(self) -> None:
        """FIN toward both in the middle of what is being said: within a frame, or a TLS record."""
        for pipe in self._pipes:
            pipe.cut_after = 3

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._on_accept is not None:
            self._on_accept()
        if self.is_shut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        for each in (writer, far_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe = _Pipe(writer, far_writer, self._delay_s)
        self._pipes.add(pipe)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(pipe.carry(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: self._pipes.discard(pipe))
