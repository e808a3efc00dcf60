"""SIP over UDP (RFC 3261 §18): one socket, a datagram a message; what ICMP says of ours is read from the error queue.

Leaves out: choosing TCP for a large request (§18.1.1, see `exchange`), and the path's MTU: the kernel cuts what does
not fit.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable

from longline.sip.locate import family_of
from longline.sip.wire import Source, Transmit

MAX_QUEUED_ERRORS = 64
"""ICMP errors that are read in one go; the kernel keeps what is left for the next."""
RECEIVE_BUFFER_BYTES = 4 << 20
"""Asked of the kernel, which may give less: a thousand calls that begin at once are a burst of about that."""

_MAX_QUOTE = 2048
_IP_RECVERR, _IPV6_RECVERR = 11, 25
"""Linux; the socket module has no names for them."""
_ERROR_BYTES = 16
"""struct sock_extended_err: errno (4), origin, type, code (1 each), …"""
_OF_ICMP, _OF_ICMP6 = 2, 3
_UNREACHABLE, _PARAMETER_PROBLEM, _FRAGMENTATION_NEEDED = 3, 12, 4
_UNREACHABLE6, _PARAMETER_PROBLEM6 = 1, 4


class UdpTransport(asyncio.DatagramProtocol):
    """`on_undelivered` is told the beginning of a datagram of ours that ICMP says did not arrive."""

    def __init__(
        self,
        listener: int,
        on_message: Callable[[Source, bytes], None],
        on_failed: Callable[[str | None], None],
        on_undelivered: Callable[[bytes], None],
        counters: Counter[str],
    ) -> None:
        self._listener = listener
        self._on_message = on_message
        self._on_failed = on_failed
        self._on_undelivered = on_undelivered
        self._counters = counters
        self._family = 4
        self._socket: socket.socket | None = None
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Bind; returns the address that was bound. OSError when it cannot be had."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            _prepare(sock)
            sock.bind(address)
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        name = sock.getsockname()
        self._family = family_of(name[0])
        return name[0], name[1]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._socket = self._transport = None

    def send(self, transmit: Transmit) -> None:
        sock, target = self._socket, transmit.target
        if sock is None:
            return
        if family_of(target.host) != self._family:
            self._on_failed(transmit.transaction)
            return
        try:
            self._send(sock, transmit)
        except BlockingIOError:
            self._counters["sip.udp_blocked"] += 1  # as if the network had lost it: it will be sent again
        except OSError:
            self._on_failed(transmit.transaction)

    def _send(self, sock: socket.socket, transmit: Transmit) -> None:
        address = (transmit.target.host, transmit.target.port)
        try:
            sock.sendto(transmit.data, address)
        except BlockingIOError:
            raise
        except OSError:
            # It may be the error of an earlier datagram to somebody else, which is told once.
            self._read_errors()
            sock.sendto(transmit.data, address)

    # ---- asyncio.DatagramProtocol

    def datagram_received(self, data: bytes, addr: tuple[str, int] | tuple[str, int, int, int]) -> None:
        self._on_message(Source("UDP", addr[0], addr[1], None, self._listener), data)

    def error_received(self, exc: Exception) -> None:
        """Of some earlier datagram: the error queue knows of which."""
        self._read_errors()

    def _read_errors(self) -> None:
        for _ in range(MAX_QUEUED_ERRORS):
            if self._socket is None:
                return
            try:
                quote, ancillary, _, _ = self._socket.recvmsg(_MAX_QUOTE, 512, socket.MSG_ERRQUEUE)
            except (OSError, AttributeError):  # the queue is empty, or this system has none
                return
            self._counters["sip.udp_errors"] += 1
            if any(_is_final(data) for _, kind, data in ancillary if kind in (_IP_RECVERR, _IPV6_RECVERR)):
                self._on_undelivered(quote)


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    if sock.family == socket.AF_INET6:
        # An address of its own for each family: a wildcard must not take IPv4's port.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if hasattr(socket, "MSG_ERRQUEUE"):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def _is_final(error: bytes) -> bool:
    """RFC 3261 §18.4: unreachable and parameter problem are failures; a datagram that was too long is sent in pieces
    the next time, and the rest is no failure at all."""
    if len(error) < _ERROR_BYTES:
        return False
    origin, kind, code = error[4:7]
    if origin == _OF_ICMP:
        return (kind == _UNREACHABLE and code != _FRAGMENTATION_NEEDED) or kind == _PARAMETER_PROBLEM
    return origin == _OF_ICMP6 and kind in (_UNREACHABLE6, _PARAMETER_PROBLEM6)
