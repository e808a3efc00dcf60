"""SIP over TCP (RFC 3261 §18): connections in and out, reused by connection number and by peer address.

Every wait and every buffer is bounded: a message must be complete MESSAGE_TIMEOUT_S after its first byte, a connection
without one for IDLE_TIMEOUT_S is closed, and so is a peer that does not read. Leaves out: TLS, RFC 5923 aliases.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import cast

from longline.sip.framing import StreamFramer
from longline.sip.wire import Source, Target, Transmit

MESSAGE_TIMEOUT_S = 5.0
"""From the first byte of a message to its last; counter `sip.tcp_slow`."""
IDLE_TIMEOUT_S = 120.0
"""Without a message in either direction; counter `sip.tcp_idle`. The dialog lives on."""
CONNECT_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 2048
"""Open connections; one more is closed at once, or not opened (counter `sip.tcp_refused`)."""
MAX_SEND_BUFFER = 1 << 20
"""Bytes waiting for a peer that does not read; then it is cut off (counter `sip.tcp_stalled`)."""
MAX_WAITING = 256
"""Messages waiting for one connection to open; more fail at once."""

OnMessage = Callable[[Source, bytes], None]


class Connection(asyncio.Protocol):
    """One TCP connection. Tells its transport what happens."""

    def __init__(self, owner: "TcpTransport", number: int) -> None:
        self._owner = owner
        self.number = number
        self.peer = ("", 0)
        self._transport: asyncio.Transport | None = None
        self._framer = StreamFramer()
        self._deadline: asyncio.TimerHandle | None = None
        self._partial_since: float | None = None
        self._last_message = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.peer = (name[0], name[1]) if name else ("", 0)
        self._last_message = self._now()
        self._arm()
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        source = Source("TCP", self.peer[0], self.peer[1], self.number)
        messages = self._framer.feed(data)
        if messages:
            self._last_message = self._now()
            self._partial_since = None
        if self._framer.is_partial and self._partial_since is None:
            self._partial_since = self._now()
        elif not self._framer.is_partial:
            self._partial_since = None
        self._arm()
        for message in messages:
            self._owner.received(source, message)
        if self._framer.broken:
            self._owner.counters["sip.streams_broken"] += 1
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._owner.lost(self)

    def send(self, data: bytes) -> bool:
        """False when the connection is of no use any more."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(data) > MAX_SEND_BUFFER:
            self._owner.counters["sip.tcp_stalled"] += 1
            transport.abort()
            return False
        transport.write(data)
        self._last_message = self._now()
        return True

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close when what was written has gone out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _due(self) -> float:
        idle = self._last_message + IDLE_TIMEOUT_S
        return idle if self._partial_since is None else min(idle, self._partial_since + MESSAGE_TIMEOUT_S)

    def _arm(self) -> None:
        if self._deadline is None or self._deadline.when() > self._due():
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = asyncio.get_running_loop().call_at(self._due(), self._on_deadline)

    def _on_deadline(self) -> None:
        self._deadline = None
        if self._due() > self._now():
            self._arm()
            return
        self._owner.counters["sip.tcp_slow" if self._partial_since is not None else "sip.tcp_idle"] += 1
        self.abort()


class TcpTransport:
    def __init__(
        self,
        on_message: OnMessage,
        on_lost: Callable[[int], None],
        on_failed: Callable[[str | None], None],
        counters: Counter[str],
    ) -> None:
        self.received = on_message
        self.counters = counters
        self._on_lost = on_lost
        self._on_failed = on_failed
        self._server: asyncio.Server | None = None
        self._connections: dict[int, Connection] = {}
        self._by_peer: dict[tuple[str, int], int] = {}
        self._waiting: dict[tuple[str, int], list[Transmit]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0

    async def open(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._new_connection, host, port)

    async def close(self) -> None:
        """Stop listening and close every connection once what was written has gone out."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections.values()):
            connection.close()
        await asyncio.sleep(0)

    def send(self, transmit: Transmit) -> None:
        """Over the connection it names, or one to the same peer, or a new one."""
        connection = self._find(transmit.target)
        if connection is not None:
            if not connection.send(transmit.data):
                self._on_failed(transmit.transaction)
            return
        peer = (transmit.target.host, transmit.target.port)
        waiting = self._waiting.get(peer)
        if waiting is None:
            self._waiting[peer] = [transmit]
            task = asyncio.get_running_loop().create_task(self._connect(peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(waiting) < MAX_WAITING:
            waiting.append(transmit)
        else:
            self._on_failed(transmit.transaction)

    def _find(self, target: Target) -> Connection | None:
        number = target.connection
        for candidate in (number, self._by_peer.get((target.host, target.port))):
            connection = self._connections.get(candidate) if candidate is not None else None
            if connection is not None and connection.is_usable:
                return connection
        return None

    async def _connect(self, peer: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        connection: Connection | None = None
        try:
            if len(self._connections) >= MAX_CONNECTIONS:
                self.counters["sip.tcp_refused"] += 1
            else:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    _, connection = await loop.create_connection(self._new_connection, *peer)
                self._by_peer[peer] = connection.number
        except (OSError, TimeoutError, UnicodeError):
            self.counters["sip.tcp_connect_failed"] += 1
        finally:
            waiting = self._waiting.pop(peer, [])
        for transmit in waiting:
            if connection is None or not connection.send(transmit.data):
                self._on_failed(transmit.transaction)

    def _new_connection(self) -> Connection:
        self._numbers += 1
        return Connection(self, self._numbers)

    # ---- what connections tell

    def opened(self, connection: Connection) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            self.counters["sip.tcp_refused"] += 1
            connection.abort()
            return
        self._connections[connection.number] = connection
        self._by_peer[connection.peer] = connection.number

    def lost(self, connection: Connection) -> None:
        self._connections.pop(connection.number, None)
        for peer in [peer for peer, number in self._by_peer.items() if number == connection.number]:
            del self._by_peer[peer]
        self._on_lost(connection.number)
