"""Where we listen, and what peers are told of it.

Leaves out: sockets (`sockets`), and which listener a message leaves from (`core.reach`).
"""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from longline.sip.locate import address_of, family_of

_PROBES = {4: (socket.AF_INET, "192.0.2.1", "127.0.0.1"), 6: (socket.AF_INET6, "2001:db8::1", "::1")}


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """What is bound. Without a transport it is UDP and TCP at one port; port 0 takes a free one."""

    host: str
    port: int
    transport: str | None = None

    @property
    def transports(self) -> tuple[str, ...]:
        return ("UDP", "TCP") if self.transport is None else (self.transport,)


@dataclass(frozen=True, slots=True)
class AdvertisedAddress:
    """What peers are told instead of what is bound, by a transport or by all. An IP address stands for its own family
    alone. Without a port it is the one that was bound; so it is for TLS, unless the transport is named."""

    host: str
    port: int | None = None
    transport: str | None = None

    def is_for(self, transport: str, family: int) -> bool:
        address = address_of(self.host)
        return self.transport in (None, transport) and (address is None or family_of(address) == family)


def told_address(advertised: Sequence[AdvertisedAddress], transport: str, bound: tuple[str, int]) -> tuple[str, int]:
    """Host and port for Via and Contact: what is advertised, else what was bound, or for a wildcard our address toward
    others."""
    host, port = bound
    family = family_of(host)
    fitting = [address for address in advertised if address.is_for(transport, family)]
    # One that names the transport goes before one that is for all.
    chosen = min(fitting, key=lambda address: address.transport is None, default=None)
    if chosen is None:
        return (source_toward(_PROBES[family][1]) or _PROBES[family][2] if is_wildcard(host) else host), port
    of_port = chosen.port if chosen.transport is not None or transport != "TLS" else None
    return chosen.host.strip("[]"), of_port or port


def is_wildcard(host: str) -> bool:
    return ipaddress.ip_address(host).is_unspecified


def source_toward(host: str) -> str | None:
    """The address of ours that packets to an address leave from; nothing is sent. None: there is no way."""
    try:
        with socket.socket(_PROBES[family_of(host)][0], socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
