"""How often somebody may do something: a bucket of tokens for each source, or for each peer.

A source is one IPv4 address, or one /64 of IPv6, since whoever has one address of a /64 has them all. The table is
bounded; a bucket that had to go comes back full. Leaves out: what is refused and how.
"""

import ipaddress
from collections import Counter
from functools import lru_cache

from longline.sip.access.bounded import BoundedTable
from longline.sip.wire import plain_address

MAX_BUCKETS = 16_384
"""Sources whose rate is remembered; when full the quietest is forgotten (counter `sip.rates_forgotten`)."""


class TokenBuckets:
    def __init__(self, counters: Counter[str], maximum: int = MAX_BUCKETS) -> None:
        self._levels: BoundedTable[str, tuple[float, float]] = BoundedTable(maximum, counters, "sip.rates_forgotten")

    def take(self, now: float, key: str, per_s: float, burst: float) -> bool:
        """Take one token if there is one. A bucket holds `burst` tokens and gets `per_s` of them a second."""
        level, at = self._levels.get(key) or (burst, now)
        level = min(burst, level + (now - at) * per_s)
        taken = level >= 1.0
        self._levels.put(key, (level - 1.0 if taken else level, now))
        return taken


@lru_cache(maxsize=4096)
def source_key(host: str) -> str:
    """Whom an address counts for."""
    address = plain_address(host)
    if address is None:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
