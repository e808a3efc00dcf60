"""SIP over UDP (RFC 3261 §18): one socket, a datagram a message.

Leaves out: switching to TCP for requests over 1300 bytes (§18.1.1): a large request goes out as a fragmented datagram.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from longline.sip.wire import Source, Transmit


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

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Bind; returns the address that was bound."""
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        name = self._socket.get_extra_info("sockname")
        self._is_v6 = ":" in name[0]
        return name[0], name[1]

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def send(self, transmit: Transmit) -> None:
        address = transmit.target.host
        if self._socket is None or self._socket.is_closing():
            return
        if (":" in address) != self._is_v6:
            self._on_failed(transmit.transaction)
            return
        try:
            self._socket.sendto(transmit.data, (address, transmit.target.port))
        except OSError:
            self._on_failed(transmit.transaction)

    # ---- asyncio.DatagramProtocol

    def datagram_received(self, data: bytes, addr: tuple[str, int] | tuple[str, int, int, int]) -> None:
        self._on_message(Source("UDP", addr[0], addr[1]), data)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error of some earlier datagram; its transaction will time out on its own."""
        self._counters["sip.udp_errors"] += 1
