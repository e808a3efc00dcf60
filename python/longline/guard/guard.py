"""The guard: looks a host up once, judges all of its addresses, and hands out those and no others.

Whoever connects connects to an address that was judged, with the URL's host as `Host` and server name: a name that has
other addresses a moment later (DNS rebinding) leads nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from longline.base.config import Config
from longline.guard.destination import Destination, IpAddress
from longline.guard.policy import EgressPolicy
from longline.guard.refused import Refusal, Refused
from longline.guard.resolver import Resolver, SystemResolver


class Guard:
    """`counters` has `refused_` and the code of each refusal, and `checked`."""

    def __init__(self, policy: EgressPolicy, resolver: Resolver | None = None) -> None:
        self.policy = policy
        self._resolver = resolver or SystemResolver()
        self.counters: Counter[str] = Counter()

    @classmethod
    def of(cls, config: Config, accounts: int = 1) -> Guard:
        """With several accounts, whoever writes a URL may not be who owns this machine: no default is for them."""
        egress = config.egress
        allow = config.egress_allowed if accounts <= 1 or egress.allow is not None else []
        return cls(EgressPolicy.of(allow, egress.ports, egress.require_tls))

    def close(self) -> None:
        self._resolver.close()

    async def check_ws(self, url: str) -> tuple[str, ...]:
        """The addresses, `ip:port`, that a WebSocket may be dialled at. Raise Refused."""
        destination = self.parse(url, ("ws", "wss"))
        addresses = await self.addresses(destination)
        return tuple(
            f"[{address}]:{destination.port}" if address.version == 6 else f"{address}:{destination.port}"
            for address in addresses
        )

    def parse(self, url: str, schemes: tuple[str, ...] = ("http", "https")) -> Destination:
        """`Destination.parse`, and a refusal is counted."""
        try:
            return Destination.parse(url, schemes)
        except Refused as refused:
            raise self.count(refused) from None

    async def addresses(self, destination: Destination) -> Sequence[IpAddress]:
        """What the host is now, all of it judged. Raise Refused."""
        self.counters["checked"] += 1
        try:
            if destination.address is not None:
                addresses: Sequence[IpAddress] = [destination.address]
            else:
                addresses = await self._resolver.resolve(destination.host)
            if not addresses:
                raise Refused(Refusal.NAME_NOT_FOUND, f"{destination.host} has no address")
            self.policy.judge(destination, addresses)
        except Refused as refused:
            raise self.count(refused) from None
        return addresses

    def count(self, refused: Refused) -> Refused:
        self.counters[f"refused_{refused.code}"] += 1
        return refused
