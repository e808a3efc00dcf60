"""SIP over UDP (RFC 3261 §18): one socket, a datagram a message.

Leaves out: switching to TCP for requests over 1300 bytes (§18.1.1): a large request goes out as a fragmented datagram.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable

from longline.sip.wire import Source, Transmit

RESOLVED_S = 60.0
"""How long the address of a host name is believed."""
MAX_RESOLVED = 1024
"""Host names whose address is remembered; when full, all are forgotten (counter `sip.resolver_flushes`)."""
RESOLVE_TIMEOUT_S = 5.0


class UdpTransport(asyncio.DatagramProtocol):
    def __init__(
        self,
        on_message: Callable[[Source, bytes], None],
        on_failed: Callable[[str | None], None],
        counters: Counter[str],
    ) -> None:
        self._on_message = on_message
        self._on_failed = on_failed
        self._counters = counters
        self._is_v6 = False
        self._socket: asyncio.DatagramTransport | None = None
        self._resolved: dict[str, tuple[str, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Bind; returns the address that was bound."""
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        name = self._socket.get_extra_info("sockname")
        self._is_v6 = ":" in name[0]
        return name[0], name[1]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._socket is not None:
            self._socket.close()

    def send(self, transmit: Transmit) -> None:
        host = transmit.target.host
        address = host if _is_address(host) else self._remembered(host)
        if address is not None:
            self._send_to(address, transmit)
        else:
            task = asyncio.get_running_loop().create_task(self._resolve_and_send(transmit))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _send_to(self, address: str, transmit: Transmit) -> None:
        if self._socket is None or self._socket.is_closing():
            return
        if (":" in address) != self._is_v6:
            self._on_failed(transmit.transaction)
            return
        try:
            self._socket.sendto(transmit.data, (address, transmit.target.port))
        except OSError:
            self._on_failed(transmit.transaction)

    def _remembered(self, host: str) -> str | None:
        address, until = self._resolved.get(host, ("", 0.0))
        return address if until > asyncio.get_running_loop().time() else None

    async def _resolve_and_send(self, transmit: Transmit) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                found = await loop.getaddrinfo(transmit.target.host, transmit.target.port, type=2)
        except (OSError, TimeoutError, UnicodeError):
            self._on_failed(transmit.transaction)
            return
        addresses = [str(entry[4][0]) for entry in found if (":" in str(entry[4][0])) == self._is_v6]
        if not addresses:
            self._on_failed(transmit.transaction)
            return
        if len(self._resolved) >= MAX_RESOLVED:
            self._resolved.clear()
            self._counters["sip.resolver_flushes"] += 1
        self._resolved[transmit.target.host] = (addresses[0], loop.time() + RESOLVED_S)
        self._send_to(addresses[0], transmit)

    # ---- asyncio.DatagramProtocol

    def datagram_received(self, data: bytes, addr: tuple[str, int] | tuple[str, int, int, int]) -> None:
        self._on_message(Source("UDP", addr[0], addr[1]), data)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error of some earlier datagram; its transaction will time out on its own."""
        self._counters["sip.udp_errors"] += 1


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
