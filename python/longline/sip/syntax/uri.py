"""SIP URIs (RFC 3261 §19.1, §25.1): parse and write.

Text stays as it was on the wire: escapes are undone only by `user_text`. Other schemes (tel, http …) are not parsed
here; `scheme_of` tells them apart. Leaves out: the comparison rules of §19.1.4 and the meaning of sips.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from longline.base.errors import RemoteProtocolError

MAX_URI_CHARS = 4096
"""A longer URI is refused with 400; counter `sip.malformed`."""
MAX_PORT = 65535

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_FORBIDDEN = re.compile(r'[\x00-\x20\x7f<>"]')
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._\-]*[A-Za-z0-9.])?)(?::([0-9]{1,5}))?\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_USER = re.compile(r"[A-Za-z0-9\-_.!~*'()%&=+$,;?/#]+\Z")

Params = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class SipUri:
    """`sip:user:password@host:port;params?headers`; user, password, params and headers still escaped."""

    host: str
    port: int | None = None
    user: str | None = None
    password: str | None = None
    params: Params = ()
    headers: str | None = None
    scheme: str = "sip"

    def param(self, name: str) -> str | None:
        """The value of a parameter: None when absent, "" when it has no value."""
        for key, value in self.params:
            if key.lower() == name:
                return value or ""
        return None

    @property
    def transport(self) -> str:
        """`UDP` or `TCP` …, as the transport parameter asks; RFC 3263 §4.1 without DNS: UDP when it is absent."""
        return (self.param("transport") or "udp").upper()

    @property
    def is_loose_router(self) -> bool:
        return self.param("lr") is not None

    @property
    def user_text(self) -> str:
        """The user part with its escapes undone, for people and for matching."""
        return _readable(self.user or "")

    @property
    def host_port(self) -> tuple[str, int]:
        """Where a request to this URI goes; the host may be a name, an IPv6 reference has lost its brackets."""
        return bare_host(self.host), self.port or 5060

    def __str__(self) -> str:
        text = f"{self.scheme}:"
        if self.user is not None:
            text += self.user + (f":{self.password}" if self.password is not None else "") + "@"
        text += self.host + (f":{self.port}" if self.port is not None else "")
        for name, value in self.params:
            text += f";{name}" if value is None else f";{name}={value}"
        return text + (f"?{self.headers}" if self.headers is not None else "")


def scheme_of(text: str) -> str | None:
    """The scheme in lower case, or None when the text is no URI at all."""
    match = _SCHEME.match(text)
    return match.group(1).lower() if match else None


def user_of(text: str) -> str:
    """The user part of a sip: URI, or the number of a tel: URI, as text; "" when there is none."""
    scheme = scheme_of(text)
    if scheme in ("sip", "sips"):
        return parse_uri(text).user_text
    return _readable(text[4:].partition(";")[0]) if scheme == "tel" else ""


def bare_host(host: str) -> str:
    """A host without the brackets of an IPv6 reference. RFC 5118 §4.10: the grammar of RFC 3261 let a third colon stand
    before an IPv4 part; it means nothing."""
    return host[1:-1].replace(":::", "::") if host.startswith("[") else host


def is_reference(host: str) -> bool:
    """Whether what stands in brackets is an IPv6 address."""
    try:
        ipaddress.IPv6Address(bare_host(host))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def parse_uri(text: str) -> SipUri:
    """Parse a sip: or sips: URI; RemoteProtocolError(400) says what is wrong with it."""
    if len(text) > MAX_URI_CHARS:
        raise RemoteProtocolError("URI too long")
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in ("sip", "sips"):
        raise RemoteProtocolError("not a SIP URI")
    if _FORBIDDEN.search(rest) or _BAD_ESCAPE.search(rest):
        raise RemoteProtocolError("forbidden character in URI")
    userinfo, at, remainder = rest.partition("@")
    user, password = _split_userinfo(userinfo) if at else (None, None)
    if not at:
        remainder = rest
    remainder, question, headers = remainder.partition("?")
    host_port, *raw_params = remainder.split(";")
    match = _HOST_PORT.match(host_port)
    if match is None or (host_port[0] == "[" and not is_reference(match.group(1))):
        raise RemoteProtocolError("bad host or port in URI")
    port = int(match.group(2)) if match.group(2) else None
    if port is not None and not 0 < port <= MAX_PORT:
        raise RemoteProtocolError("bad port in URI")
    params = tuple(_split_param(raw) for raw in raw_params)
    return SipUri(match.group(1), port, user, password, params, headers if question else None, scheme)


def _readable(text: str) -> str:
    """Escapes undone but for those of control characters: a NUL, say, is nothing to show, or to store."""
    return _CONTROL.sub(lambda match: f"%{ord(match.group()):02X}", unquote(text))


def _split_userinfo(userinfo: str) -> tuple[str, str | None]:
    user, colon, password = userinfo.partition(":")
    if not user or not (user.isascii() and _USER.match(user)):
        raise RemoteProtocolError("bad user part in URI")
    return user, password if colon else None


def _split_param(raw: str) -> tuple[str, str | None]:
    name, equals, value = raw.partition("=")
    if not name or (equals and not value):
        raise RemoteProtocolError("empty parameter in URI")
    return name, value if equals else None
