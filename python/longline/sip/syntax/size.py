"""Which requests are too large for UDP (RFC 3261 §18.1.1): they go over TCP to the same place, where there is TCP.

A place where it could not be had is remembered, so that not every call waits for that. Leaves out: responses, which go
back the way the request came, and the ACK of a 2xx.
"""

from collections import Counter
from dataclasses import replace

from longline.sip.access.bounded import BoundedTable
from longline.sip.wire import Target

UDP_MAX_BYTES = 1300
"""RFC 3261 §18.1.1, where the MTU of the path is not known."""
NO_TCP_S = 86_400.0
"""How long a place without TCP is not asked for it again."""
MAX_WITHOUT_TCP = 1024
"""Places without TCP that are remembered; the oldest goes (counter `sip.no_tcp_forgotten`)."""


class Size:
    """`max_bytes` 0: everything goes by the transport that it was to go by."""

    def __init__(self, max_bytes: int, transports: frozenset[str], counters: Counter[str]) -> None:
        self._max_bytes = max_bytes if "TCP" in transports else 0
        self._counters = counters
        self._without_tcp: BoundedTable[tuple[str, int], float] = BoundedTable(
            MAX_WITHOUT_TCP, counters, "sip.no_tcp_forgotten"
        )

    def by_tcp(self, now: float, target: Target, size_bytes: int) -> Target | None:
        """Where a request of this size goes instead; None: it goes where it was to go."""
        if target.transport != "UDP" or not self._max_bytes or size_bytes <= self._max_bytes:
            return None
        until = self._without_tcp.get((target.host, target.port))
        if until is not None and until > now:
            return None
        self._counters["sip.too_large_for_udp"] += 1
        return replace(target, transport="TCP", listener=None)

    def has_no_tcp(self, now: float, target: Target) -> None:
        """A request that was too large for UDP could not be sent there over TCP."""
        self._counters["sip.tcp_fallbacks"] += 1
        self._without_tcp.put((target.host, target.port), now + NO_TCP_S)
