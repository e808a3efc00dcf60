"""Where a message came from and where one goes: the values that pass between the stack and its transports."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Source:
    """Where a message was received from. `connection` numbers a connection for as long as the process lives,
    `listener` is the socket of ours that it came to: its place in `EndpointSettings.listeners`."""

    transport: str
    host: str
    port: int
    connection: int | None = None
    listener: int | None = None

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket of ours, as peers are told of it: the host and port for Via and Contact. `family` is 4 or 6."""

    transport: str
    family: int
    host: str
    port: int

    @property
    def host_port(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Hop:
    """Where a URI leads, before any name is looked up (RFC 3263 §4): a name or an address, and what the URI says of
    port and transport. `secure` is a sips URI: TLS and nothing else."""

    host: str
    port: int | None = None
    transport: str | None = None
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: over `connection` while that lives, else to an IP address and a port. `server_name` is the
    name that a TLS certificate must have (RFC 5922 §4), `listener` the socket of ours that it leaves from."""

    transport: str
    host: str
    port: int
    connection: int | None = None
    server_name: str | None = None
    listener: int | None = None

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"


@dataclass(frozen=True, slots=True)
class Transmit:
    """One message to send. `transaction` is the key to name in `transport_failed` when it could not be sent; `handle`
    the call that it belongs to, if there is one."""

    target: Target
    data: bytes
    transaction: str | None = None
    handle: str | None = None


def default_port(transport: str) -> int:
    """RFC 3261 §18.2.1, §19.1.2."""
    return 5061 if transport == "TLS" else 5060


def plain_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address of a host, None for a name. An IPv4 one mapped into IPv6 (RFC 4291 §2.5.5.2) is IPv4."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=4096)
def is_address(host: str) -> bool:
    """Whether a host is an IP address (without brackets), and so needs no look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def target_of_address(hop: Hop) -> Target:
    """RFC 3263 §4.1, §4.2: a hop whose host is an address says all; without a transport it is UDP, TLS for sips."""
    transport = "TLS" if hop.secure else hop.transport or "UDP"
    return Target(transport, hop.host, hop.port or default_port(transport), server_name=hop.host)
