"""Where a URL leads: scheme, host and port, read so strictly that no other parser can read it as something else.

RFC 3986 without what is only ever used to deceive: user information, percent-encoded hosts, zone identifiers,
backslashes, and addresses written as octal, hexadecimal or one number (which `inet_aton`, and so `getaddrinfo`, would
take). Leaves out: paths and queries, which say nothing of where a request goes.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from longline.base.urls import URL_MAX_CHARS
from longline.guard.refused import Refusal, Refused

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SECURE: Final = frozenset({"https", "wss"})
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)([/?#].*)?")
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?"
)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""The last label of a host that `inet_aton` may take for an address: no top-level domain is like it."""


@dataclass(frozen=True, slots=True)
class Destination:
    """`host` is in lower case, without brackets and final dot; `address` is what it is, if it is an address."""

    scheme: str
    host: str
    port: int
    address: IpAddress | None = None

    @property
    def is_secure(self) -> bool:
        return self.scheme in _SECURE

    @classmethod
    def parse(cls, url: str, schemes: tuple[str, ...] = ("http", "https")) -> Destination:
        """Raise Refused: bad_url, user_info, bad_host."""
        if len(url) > URL_MAX_CHARS:
            raise Refused(Refusal.BAD_URL, f"the URL has more than {URL_MAX_CHARS} characters")
        # What ends a line would begin a header; a backslash is a slash to browsers and to nobody else.
        if not all("!" <= char <= "~" for char in url) or "\\" in url:
            raise Refused(Refusal.BAD_URL, "the URL has a character that must be percent-encoded")
        match = _URL.fullmatch(url)
        scheme = match[1].lower() if match else ""
        if match is None or scheme not in schemes:
            raise Refused(Refusal.BAD_URL, f"the URL must begin with {' or '.join(f'{name}://' for name in schemes)}")
        authority = match[2]
        if "@" in authority:
            raise Refused(Refusal.USER_INFO, "a user name or password in a URL is not supported")
        host, port = _split(authority, _PORTS[scheme])
        return cls(scheme, host, port, _address(host))


def _split(authority: str, own_port: int) -> tuple[str, int]:
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{0,5}))?|([^:\[\]]+)(?::([0-9]{0,5}))?", authority)
    if match is None:
        raise Refused(Refusal.BAD_HOST, "the URL has no host, or one that is not a name or an address")
    port = int(match[2] or match[4] or own_port)
    if not 1 <= port <= 65535:
        raise Refused(Refusal.BAD_URL, "the port of the URL is not a number from 1 to 65535")
    if match[1] is not None:
        return _ipv6(match[1]), port
    return _name(match[3].lower().removesuffix(".")), port


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise Refused(Refusal.BAD_HOST, "the brackets of the URL do not hold an IPv6 address") from None


def _name(host: str) -> str:
    if _NAME.fullmatch(host) is None:
        raise Refused(Refusal.BAD_HOST, "the host of the URL has characters that no host name has")
    if _NUMBER.fullmatch(host.rpartition(".")[2]) and _address(host) is None:
        raise Refused(Refusal.BAD_HOST, "an IPv4 address must be four decimal numbers without leading zeros")
    return host


def _address(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
