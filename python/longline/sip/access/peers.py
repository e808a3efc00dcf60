"""Whom we know: trunks and phones, as one immutable table that is replaced as a whole.

Config, the API and the accounts of phones all become `Peer`s. Leaves out: who may do what (`admission`), where a
registered phone is just now (`registrar`), which trunk a call takes (`calls`).
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from longline.sip.access.auth import TrunkCredential
from longline.sip.wire import plain_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class DigestUser:
    """A name and a password that somebody logs in with."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeerTarget:
    """A SIP URI where calls to a peer go. A lower `priority` is tried first; among equals `weight` is the share
    (RFC 2782)."""

    uri: str
    priority: int = 0
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Registration:
    """What we REGISTER at a peer: our address of record there, the registrar, and for how long we ask."""

    aor: str
    registrar: str
    expires_s: int = 3600
    contact_user: str | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """One trunk or phone. A limit of 0 is none."""

    name: str
    networks: tuple[Network, ...] = ()
    """Sources that need no password."""
    admits_targets: bool = False
    """The addresses that the names of its targets lead to are such sources too."""
    users: tuple[DigestUser, ...] = ()
    """Who may log in as this peer."""
    targets: tuple[PeerTarget, ...] = ()
    credential: TrunkCredential | None = None
    """How we answer this peer's challenges."""
    domain: str | None = None
    channel_limit: int = 0
    cps_limit: float = 0.0
    srtp: Literal["off", "preferred", "required"] | None = None
    """None: as the node's setting has it."""
    is_trunk: bool = True
    registration: Registration | None = None
    health_interval_s: float = 0.0
    """Seconds between two OPTIONS to each target; 0: none is asked."""


class Peers:
    """The table. Of two peers that claim one address or user name the first one given has it."""

    def __init__(self, peers: Iterable[Peer] = ()) -> None:
        self._by_name: dict[str, Peer] = {}
        self._by_user: dict[str, tuple[Peer, DigestUser]] = {}
        self._by_address: dict[Network, Peer] = {}
        for peer in peers:
            self._by_name.setdefault(peer.name, peer)
            for user in peer.users:
                self._by_user.setdefault(user.username, (peer, user))
            for network in peer.networks:
                self._by_address.setdefault(network, peer)
        self.domains = frozenset(peer.domain.lower() for peer in self if peer.users and peer.domain)
        """The domains that those who log in may know us by."""
        # Longest prefix first, few lengths: a look-up is one dictionary access per length in use.
        self._lengths = sorted({(n.version, n.prefixlen) for n in self._by_address}, reverse=True)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def has_users(self) -> bool:
        """Whether anybody can log in."""
        return bool(self._by_user)

    def get(self, name: str | None) -> Peer | None:
        return self._by_name.get(name) if name is not None else None

    def of_user(self, username: str) -> tuple[Peer, DigestUser] | None:
        """Whose user name this is, and the user."""
        return self._by_user.get(username)

    def of_address(self, host: str) -> Peer | None:
        """The peer whose network, the narrowest one, an IP address belongs to."""
        address = plain_address(host)
        if address is None:
            return None
        for version, length in self._lengths:
            if version == address.version:
                peer = self._by_address.get(ipaddress.ip_network((address, length), strict=False))
                if peer is not None:
                    return peer
        return None
