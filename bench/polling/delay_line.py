"""A network with a delay: a TCP relay that holds every byte for so long, and the first ones for the handshake as well.

It takes a connection at once, so the round trip of SYN and SYN-ACK is put onto what the client sends first.
"""

import asyncio
import time
from collections import deque
from typing import Final, cast

#: How exact the timers of the event loop are.
TIMER_S: Final = 0.001


class _Way:
    """One direction: what came is written `delay_s` later, and not before `not_before`; None is the end."""

    def __init__(self, delay_s: float, not_before: float = 0.0) -> None:
        self._delay_s, self._not_before = delay_s, not_before
        self._held: deque[tuple[float, bytes | None]] = deque()
        self._out: asyncio.Transport | None = None

    def put(self, data: bytes | None) -> None:
        due = max(time.monotonic(), self._not_before) + self._delay_s
        self._held.append((due, data))
        asyncio.get_running_loop().call_later(due - time.monotonic(), self._pass_on)

    def lead_to(self, out: asyncio.Transport) -> None:
        self._out = out
        self._pass_on()

    def _pass_on(self) -> None:
        now = time.monotonic()
        while self._out is not None and self._held and self._held[0][0] <= now:
            data = self._held.popleft()[1]
            if data is None:
                self._out.close()
            elif not self._out.is_closing():
                self._out.write(data)
        if self._out is not None and self._held and self._held[0][0] <= now + TIMER_S:
            asyncio.get_running_loop().call_later(TIMER_S, self._pass_on)  # the timer came a little early


class _End(asyncio.Protocol):
    def __init__(self, way: _Way, back: _Way) -> None:
        self._way, self._back = way, back

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._back.lead_to(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._way.put(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._way.put(None)


async def open_delay_line(target_port: int, one_way_s: float) -> int:
    """Where it listens."""
    loop = asyncio.get_running_loop()
    dialling: set[asyncio.Task[None]] = set()

    def accept() -> asyncio.Protocol:
        there, back = _Way(one_way_s, time.monotonic() + 2 * one_way_s), _Way(one_way_s)
        task = loop.create_task(dial(there, back))
        dialling.add(task)
        task.add_done_callback(dialling.discard)
        return _End(there, back)

    async def dial(there: _Way, back: _Way) -> None:
        try:
            await loop.create_connection(lambda: _End(back, there), "127.0.0.1", target_port)
        except OSError:
            back.put(None)  # nobody listens any more

    server = await loop.create_server(accept, "127.0.0.1", 0, backlog=1024)
    return int(server.sockets[0].getsockname()[1])
