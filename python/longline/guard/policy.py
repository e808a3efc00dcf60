"""Where requests of ours may go. Pure: a URL and the addresses of its host in, a refusal or nothing out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from longline.guard.destination import Destination, IpAddress
from longline.guard.ranges import IpNetwork, is_of_a_site, plain, range_of
from longline.guard.refused import Refusal, Refused


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """`networks` and `names` are trusted: any port, with or without TLS. A name that begins with `*.` is every name
    below it. To all other hosts only `ports` are open, and only with TLS when `requires_tls`."""

    networks: tuple[IpNetwork, ...] = ()
    names: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset({80, 443})
    requires_tls: bool = True

    @classmethod
    def of(cls, allow: Sequence[str], ports: Sequence[int], requires_tls: bool) -> EgressPolicy:
        """`allow` as in the configuration: addresses, networks and names."""
        networks: list[IpNetwork] = []
        names: list[str] = []
        for entry in allow:
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                names.append(entry.lower().removesuffix("."))
        return cls(tuple(networks), tuple(names), frozenset(ports), requires_tls)

    def judge(self, destination: Destination, addresses: Sequence[IpAddress]) -> None:
        """Raise Refused unless every address of the host may be connected to: which one is, chance decides."""
        is_named = self._is_named(destination.host)
        trusted = [self._is_trusted(address, is_named) for address in addresses]
        for address, is_trusted in zip(addresses, trusted, strict=True):
            what = None if is_trusted else range_of(address)
            if what is not None:
                problem = f"{destination.host} is, or has, an address that is not of the public internet ({what})"
                raise Refused(Refusal.ADDRESS_NOT_ALLOWED, f"{problem}; egress.allow does not name it")
        if all(trusted):
            return
        if destination.port not in self.ports:
            allowed = ", ".join(str(port) for port in sorted(self.ports)) or "none"
            problem = f"port {destination.port} is not one of egress.ports ({allowed})"
            raise Refused(Refusal.PORT_NOT_ALLOWED, problem)
        if self.requires_tls and not destination.is_secure:
            problem = f"{destination.scheme}:// is for hosts in egress.allow only; use {destination.scheme}s://"
            raise Refused(Refusal.TLS_REQUIRED, problem)

    def _is_trusted(self, address: IpAddress, is_named: bool) -> bool:
        address = plain(address)
        return any(address.version == network.version and address in network for network in self.networks) or (
            is_named and is_of_a_site(address)
        )

    def _is_named(self, host: str) -> bool:
        return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in self.names)
