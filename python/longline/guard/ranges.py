"""Addresses that are not of the public internet, and what each range is (IANA special-purpose registries, RFC 6890).

Beyond the registries: an address of a cloud's own machinery, and every IPv6 address outside of 2000::/3. What wraps an
IPv4 address into an IPv6 one (NAT64, 6to4, Teredo) is refused as a whole: it leads wherever its relay likes.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

_TABLE: Final = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier's customers",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's own machinery",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::/128": "unspecified",
    "::1/128": "loopback",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "100::/64": "discard only",
    "2001::/32": "Teredo",
    "2001::/23": "protocol assignments",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3fff::/20": "documentation",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}
_RANGES: Final[tuple[tuple[IpNetwork, str], ...]] = tuple((ip_network(text), what) for text, what in _TABLE.items())
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_HOSTS_OF_A_SITE: Final = ("private", "loopback", "shared by a carrier's customers")


def plain(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv4-mapped IPv6 address is: the system connects to that."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def range_of(address: IpAddress) -> str | None:
    """What the address is, unless it is one of the public internet."""
    address = plain(address)
    for network, what in _RANGES:
        if address.version == network.version and address in network:
            return what
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "not global unicast"
    return None


def is_of_a_site(address: IpAddress) -> bool:
    """Whether hosts of an own network have such addresses: a name that is allowed may have them. It never leads to
    link-local addresses: those of a cloud's metadata service are."""
    return range_of(address) in (None, *_HOSTS_OF_A_SITE)
