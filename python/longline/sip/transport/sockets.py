"""All sockets of a user agent: opens what it listens at, and sends each message by the right one.

Leaves out: what the messages are (`user_agent`), and how one transport works (`udp`, `tcp`, `tls`).
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence

from longline.sip.locate import Ways, family_of
from longline.sip.transport.addresses import (
    AdvertisedAddress,
    ListenAddress,
    is_wildcard,
    source_toward,
    told_address,
)
from longline.sip.transport.tcp import StreamTransport
from longline.sip.transport.tls import TlsContexts
from longline.sip.transport.udp import UdpTransport
from longline.sip.wire import Listener, Source, Transmit

_PORT_TRIES = 16
"""How often a free port is looked for that both UDP and TCP can have."""


class Sockets:
    """`open` first. `listeners` is what peers are told; a number in `Source.listener` is a place in it."""

    def __init__(
        self,
        on_message: Callable[[Source, bytes], None],
        on_lost: Callable[[int], None],
        on_failed: Callable[[str | None], None],
        on_undelivered: Callable[[bytes], None],
        on_sent: Callable[[str, int], None],
        counters: Counter[str],
        contexts: TlsContexts | None,
    ) -> None:
        self._on_message = on_message
        self._on_failed = on_failed
        self._on_undelivered = on_undelivered
        self._counters = counters
        self._streams = StreamTransport(on_message, on_lost, on_failed, on_sent, counters, contexts)
        self._udp: dict[int, UdpTransport] = {}
        self.listeners: list[Listener] = []
        self.bound: list[tuple[str, int]] = []
        """What was bound, beside `listeners`."""

    async def open(self, addresses: Sequence[ListenAddress], advertised: Sequence[AdvertisedAddress]) -> None:
        """Bind everything, or raise OSError."""
        try:
            for address in addresses:
                await self._open(address, advertised)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """No new connections; those that there are close once what was written has gone out."""
        await self._streams.close()
        for udp in self._udp.values():
            udp.close()
        self._udp.clear()

    @property
    def ways(self) -> Ways:
        """Transports and families that we can send by, the preferred first."""
        return list(dict.fromkeys((listener.transport, listener.family) for listener in self.listeners))

    def send(self, transmit: Transmit) -> None:
        target = transmit.target
        if target.transport in ("TCP", "TLS"):
            self._streams.send(transmit)
            return
        udp = self._udp.get(target.listener) if target.listener is not None else None
        if udp is None:  # there is no way to this family, or a message that goes back the way it came has lost it
            udp = self._any_udp(target.host)
        if udp is None:
            self._on_failed(transmit.transaction)
        else:
            udp.send(transmit)

    def route(self, transport: str, host: str) -> int | None:
        """The listener that has the kernel's way to an address."""
        source = source_toward(host)
        family = family_of(host)
        fallback = None
        for number, (listener, bound) in enumerate(zip(self.listeners, self.bound, strict=True)):
            if (listener.transport, listener.family) != (transport, family):
                continue
            if bound[0] == source:
                return number
            if is_wildcard(bound[0]):
                fallback = number
        return fallback

    def _any_udp(self, host: str) -> UdpTransport | None:
        family = family_of(host)
        return next((udp for number, udp in self._udp.items() if self.listeners[number].family == family), None)

    async def _open(self, address: ListenAddress, advertised: Sequence[AdvertisedAddress]) -> None:
        for attempt in range(_PORT_TRIES):
            port = address.port
            opened: list[tuple[str, tuple[str, int]]] = []
            try:
                for transport in address.transports:
                    bound = await self._bind(transport, address.host, port, len(self.listeners) + len(opened))
                    port = bound[1]
                    opened.append((transport, bound))
            except OSError:
                self._unbind(len(self.listeners))
                if address.port != 0 or attempt == _PORT_TRIES - 1:
                    raise
                continue
            for transport, bound in opened:
                self.listeners.append(
                    Listener(transport, family_of(bound[0]), *told_address(advertised, transport, bound))
                )
                self.bound.append(bound)
            return

    async def _bind(self, transport: str, host: str, port: int, number: int) -> tuple[str, int]:
        if transport != "UDP":
            return await self._streams.listen(number, transport, host, port)
        udp = UdpTransport(number, self._on_message, self._on_failed, self._on_undelivered, self._counters)
        bound = await udp.open(host, port)
        self._udp[number] = udp
        return bound

    def _unbind(self, first: int) -> None:
        """Give up the UDP sockets of an attempt that has failed; its TCP socket is what could not be had."""
        for number in [number for number in self._udp if number >= first]:
            with contextlib.suppress(KeyError):
                self._udp.pop(number).close()
