"""Session descriptions (RFC 4566 / RFC 8866): parse and serialise, within bounds.

Lenient where phones are sloppy (bare LF, missing s= and t=, unknown line types); what would have to be guessed is an
SdpError. Optional lines nobody here needs (i u e p r z k) are dropped. Leaves out: what an offer means; that is
`offer_answer`.
"""

import re
from dataclasses import dataclass, field

from longline.base.errors import LocalProtocolError, RemoteProtocolError

MAX_SDP_BYTES = 8192
MAX_LINES = 512
MAX_MEDIA = 16
MAX_FORMATS = 128
"""Of one m= line. A description over any of these bounds is an SdpError, and its INVITE is refused with 488."""

_MEDIA = re.compile(r"([A-Za-z0-9\-_.!#$&^+]+)\s+([0-9]{1,10})(?:/([0-9]{1,5}))?\s+(\S+)((?:\s+\S+)*)\s*\Z")
_RTPMAP = re.compile(r"([0-9]{1,3})\s+([^/\s]+)/([0-9]{1,9})(?:/([0-9]{1,3}))?\s*\Z")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

Attributes = list[tuple[str, str | None]]


class SdpError(RemoteProtocolError):
    """What the peer sent is no session description we could work with."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 488)


@dataclass(slots=True)
class Origin:
    """o=: who made the description, and its version; texts, since peers put anything there."""

    username: str = "-"
    session_id: str = "0"
    version: str = "0"
    address_type: str = "IP4"
    address: str = "0.0.0.0"

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {self.address_type} {self.address}"


@dataclass(slots=True)
class Connection:
    """c=: where media goes. A multicast TTL or count stays in `address`."""

    address: str
    address_type: str = "IP4"

    def __str__(self) -> str:
        return f"IN {self.address_type} {self.address}"


@dataclass(frozen=True, slots=True)
class RtpMap:
    """a=rtpmap of one payload type; `encoding` in upper case."""

    encoding: str
    rate_hz: int
    channels: int = 1


@dataclass(slots=True)
class Media:
    """One m= line with what belongs to it."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    port_count: int | None = None
    connection: Connection | None = None
    bandwidth: list[str] = field(default_factory=list)
    attributes: Attributes = field(default_factory=list)

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of this name ("" when it has none), or None."""
        return _attribute(self.attributes, name)

    def fmtp(self, payload_type: int) -> str:
        """The parameters of a payload type: "" when there are none; the first line of a type wins."""
        for name, value in self.attributes:
            number, _, parameters = (value or "").partition(" ")
            if name == "fmtp" and number == str(payload_type):
                return parameters.strip()
        return ""

    def rtpmaps(self) -> dict[int, RtpMap]:
        """The payload types that are mapped; malformed lines do not count, the first of a type wins."""
        maps: dict[int, RtpMap] = {}
        for name, value in self.attributes:
            match = _RTPMAP.match(value) if name == "rtpmap" and value else None
            if match is None or int(match.group(1)) > 127:
                continue
            maps.setdefault(
                int(match.group(1)), RtpMap(match.group(2).upper(), int(match.group(3)), int(match.group(4) or 1))
            )
        return maps

    def lines(self) -> list[str]:
        port = f"{self.port}" if self.port_count is None else f"{self.port}/{self.port_count}"
        lines = [f"m={self.kind} {port} {self.protocol} {' '.join(self.formats)}".rstrip()]
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        return lines + [f"b={value}" for value in self.bandwidth] + _attribute_lines(self.attributes)


@dataclass(slots=True)
class SessionDescription:
    origin: Origin = field(default_factory=Origin)
    name: str = "-"
    connection: Connection | None = None
    bandwidth: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=lambda: ["0 0"])
    attributes: Attributes = field(default_factory=list)
    media: list[Media] = field(default_factory=list)

    @classmethod
    def parse(cls, data: bytes) -> "SessionDescription":
        """Raise SdpError when it is no session description."""
        if len(data) > MAX_SDP_BYTES:
            raise SdpError("session description too long")
        lines = re.split(r"\r\n|\n|\r", data.decode("utf-8", "surrogateescape").rstrip("\r\n\x00 "))
        if len(lines) > MAX_LINES:
            raise SdpError("session description has too many lines")
        if not lines[0].startswith("v="):
            raise SdpError("session description does not begin with v=")
        if lines[0][2:].strip() != "0":
            raise SdpError("unknown SDP version")
        description = cls(times=[])
        for line in lines[1:]:
            description._take(line)
        if not description.times:
            description.times.append("0 0")
        return description

    def serialize(self) -> bytes:
        lines = ["v=0", f"o={self.origin}", f"s={self.name or '-'}"]
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += [f"b={value}" for value in self.bandwidth]
        lines += [f"t={value}" for value in self.times] + _attribute_lines(self.attributes)
        for media in self.media:
            lines += media.lines()
        if any("\r" in line or "\n" in line for line in lines):
            raise LocalProtocolError("a line of a session description may not hold a line break")
        return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")

    def connection_of(self, media: Media) -> Connection | None:
        """RFC 8866 §5.7: the media's own, else the session's."""
        return media.connection or self.connection

    def direction_of(self, media: Media) -> str:
        """RFC 8866 §6.7: the media's own, else the session's, else sendrecv."""
        for attributes in (media.attributes, self.attributes):
            for name, value in attributes:
                if value is None and name in _DIRECTIONS:
                    return name
        return "sendrecv"

    def _take(self, line: str) -> None:
        kind, equals, value = line[:1], line[1:2], line[2:].strip()
        if not line.strip():
            return
        if equals != "=" or not kind.isalpha():
            raise SdpError("a line of the session description is not type=value")
        media = self.media[-1] if self.media else None
        if kind == "m":
            if len(self.media) >= MAX_MEDIA:
                raise SdpError("too many media in the session description")
            self.media.append(_parse_media(value))
        elif kind == "a":
            name, colon, text = value.partition(":")
            (media.attributes if media else self.attributes).append((name.strip(), text.strip() if colon else None))
        elif kind == "c":
            if media is None:
                self.connection = _parse_connection(value)
            elif media.connection is None:
                media.connection = _parse_connection(value)
        elif kind == "b":
            (media.bandwidth if media else self.bandwidth).append(value)
        elif media is None:
            self._take_session_line(kind, value)

    def _take_session_line(self, kind: str, value: str) -> None:
        if kind == "o":
            self.origin = _parse_origin(value)
        elif kind == "s":
            self.name = value or "-"
        elif kind == "t":
            self.times.append(value)


def _attribute(attributes: Attributes, name: str) -> str | None:
    for key, value in attributes:
        if key == name:
            return value or ""
    return None


def _attribute_lines(attributes: Attributes) -> list[str]:
    return [f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes]


def _parse_media(value: str) -> Media:
    match = _MEDIA.match(value)
    if match is None:
        raise SdpError("bad m= line")
    port = int(match.group(2))
    formats = match.group(5).split()
    if port > 65535:
        raise SdpError("bad port in an m= line")
    if len(formats) > MAX_FORMATS:
        raise SdpError("too many formats in an m= line")
    count = int(match.group(3)) if match.group(3) else None
    return Media(match.group(1).lower(), port, match.group(4), formats, count)


def _parse_connection(value: str) -> Connection:
    parts = value.split()
    if len(parts) != 3 or parts[0].upper() != "IN" or parts[1].upper() not in ("IP4", "IP6"):
        raise SdpError("bad c= line")
    return Connection(parts[2], parts[1].upper())


def _parse_origin(value: str) -> Origin:
    parts = value.split()
    if len(parts) != 6:
        raise SdpError("bad o= line")
    return Origin(parts[0], parts[1], parts[2], parts[4].upper(), parts[5])
