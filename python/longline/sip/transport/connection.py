"""One connection of SIP over TCP or TLS: cuts messages out of the stream, keeps its deadlines, answers keep-alives.

A message must be complete MESSAGE_TIMEOUT_S after its first byte, the first one FIRST_MESSAGE_TIMEOUT_S after the
connection, and a connection without a sign of life for IDLE_TIMEOUT_S is closed. Keep-alives are those of RFC 5626
§3.5.1: two blank lines are a ping, one is the answer. Leaves out: which connection is used for what (`tcp`).
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol, cast

from longline.sip.syntax.framing import StreamFramer
from longline.sip.wire import Source

MESSAGE_TIMEOUT_S = 5.0
"""From the first byte of a message to its last; counter `sip.tcp_slow`."""
FIRST_MESSAGE_TIMEOUT_S = 30.0
"""From the connection of a peer to its first message; counter `sip.tcp_mute`."""
IDLE_TIMEOUT_S = 120.0
"""Without a message in either direction or a keep-alive of the peer; counter `sip.tcp_idle`. The dialog lives on."""
PING_AFTER_S = 55.0
"""Without anything in either direction; then we ping, once we have had something to say to this peer."""
PONG_TIMEOUT_S = 10.0
"""RFC 5626 §4.4.1: a peer that has answered a ping before and is silent now is gone; counter `sip.pongs_missing`."""
MAX_SEND_BUFFER = 1 << 20
"""Bytes waiting for a peer that does not read; then it is cut off (counter `sip.tcp_stalled`)."""

_PING, _PONG = b"\r\n\r\n", b"\r\n"
_KEEP_ALIVE = (("TCP_KEEPIDLE", 45), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""The kernel asks too: a peer that has lost its power is noticed after 105 s."""


class Owner(Protocol):
    """Who has the connections, and is told what happens to them."""

    counters: Counter[str]

    def opened(self, connection: "Connection", wire: asyncio.Transport) -> None: ...
    def received(self, source: Source, data: bytes) -> None: ...
    def lost(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """`is_ours`: we have opened it. `server_name` is whom we meant, on TLS; `names` is whom its certificate proves."""

    def __init__(
        self,
        owner: Owner,
        number: int,
        transport: str,
        listener: int | None,
        *,
        is_ours: bool = False,
        server_name: str | None = None,
    ) -> None:
        self._owner = owner
        self.number = number
        self.transport = transport
        self.listener = listener
        self.is_ours = is_ours
        self.server_name = server_name
        self.names: Collection[str] = ()
        self.on_lost: Callable[[], None] = lambda: None
        self.peer = ("", 0)
        self._wire: asyncio.Transport | None = None
        self._framer = StreamFramer()
        self._deadline: asyncio.TimerHandle | None = None
        self._deadline_at = 0.0
        self._partial_since: float | None = None
        self._alive_at = 0.0
        self._opened_at = 0.0
        self._has_heard = False
        self._has_spoken = False
        self._blank_lines = 0
        self._pinged_at: float | None = None
        self._has_ponged = False

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.peer = (name[0], name[1]) if name else ("", 0)
        _keep_alive(transport.get_extra_info("socket"))
        self._alive_at = self._opened_at = self._now()
        self._arm()
        self._owner.opened(self, self._wire)

    def data_received(self, data: bytes) -> None:
        if not self.is_usable:
            return
        source = Source(self.transport, self.peer[0], self.peer[1], self.number, self.listener)
        messages = self._framer.feed(data)
        if messages:
            self._alive_at = self._now()
            self._has_heard = True
            self._partial_since = self._pinged_at = None
            self._blank_lines = 0
        if self._framer.is_partial and self._partial_since is None:
            self._partial_since = self._now()
        elif not self._framer.is_partial:
            self._partial_since = None
        self._keep_alives(self._framer.take_blank_lines())
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
        self.on_lost()

    # ---- for its owner

    @property
    def is_usable(self) -> bool:
        return self._wire is not None and not self._wire.is_closing()

    @property
    def is_strangers(self) -> bool:
        """Somebody else has opened it, and we have said nothing to him."""
        return not self.is_ours and not self._has_spoken and self.is_usable

    def send(self, data: bytes) -> bool:
        """False when the connection is of no use any more."""
        wire = self._wire
        if wire is None or wire.is_closing():
            return False
        if wire.get_write_buffer_size() + len(data) > MAX_SEND_BUFFER:
            self._owner.counters["sip.tcp_stalled"] += 1
            wire.abort()
            return False
        wire.write(data)
        self._has_spoken = True
        self._alive_at = self._now()
        self._arm()
        return True

    def close(self) -> None:
        """Close when what was written has gone out."""
        if self._wire is not None:
            self._wire.close()

    def abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    # ---- keep-alives and deadlines

    def _keep_alives(self, blank_lines: int) -> None:
        if not blank_lines or not self._has_spoken:
            return  # a stranger learns nothing from us, and does not keep himself alive
        if self._pinged_at is not None:
            self._pinged_at = None
            self._has_ponged = True
            blank_lines -= 1
        self._blank_lines += blank_lines
        self._alive_at = self._now()
        pings, self._blank_lines = divmod(self._blank_lines, 2)
        if pings and self._wire is not None:
            self._owner.counters["sip.keep_alives_received"] += pings
            if self._wire.get_write_buffer_size() == 0:
                self._wire.write(_PONG)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _due(self) -> tuple[float, str]:
        """The next deadline, and the counter of what it ends with; none for a ping that is due."""
        dues = [(self._alive_at + IDLE_TIMEOUT_S, "sip.tcp_idle")]
        if self._partial_since is not None:
            dues.append((self._partial_since + MESSAGE_TIMEOUT_S, "sip.tcp_slow"))
        if not self._has_heard and not self.is_ours:
            dues.append((self._opened_at + FIRST_MESSAGE_TIMEOUT_S, "sip.tcp_mute"))
        if self._pinged_at is None:
            if self._has_spoken:
                dues.append((self._alive_at + PING_AFTER_S, ""))
        elif self._has_ponged:
            dues.append((self._pinged_at + PONG_TIMEOUT_S, "sip.pongs_missing"))
        return min(dues)

    def _arm(self) -> None:
        at, _ = self._due()
        if self._deadline is None or self._deadline_at > at:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline, self._deadline_at = asyncio.get_running_loop().call_at(at, self._on_deadline), at

    def _on_deadline(self) -> None:
        self._deadline = None
        at, counter = self._due()
        if at > self._now():
            self._arm()
        elif counter:
            self._owner.counters[counter] += 1
            self.abort()
        else:
            # RFC 5626 §3.5.1. It is no sign of life: a peer that says nothing is idle all the same.
            self._pinged_at = self._now()
            self._owner.counters["sip.pings_sent"] += 1
            if self._wire is not None and not self._wire.is_closing():
                self._wire.write(_PING)
            self._arm()


def _keep_alive(sock: socket.socket | None) -> None:
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEP_ALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
