"""Header fields (RFC 3261 §7.3, §20, §25.1): names with their compact forms, and the values that have structure.

A value is kept as text until somebody needs its parts. Parsers are strict where RFC 4475 shows that guessing is
unsafe (quotes, separators) and lenient about white space. Leaves out: dates, and every header nobody here reads.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip.syntax.uri import is_reference

MAX_CSEQ = 2**31 - 1
"""RFC 3261 §8.1.1.5: a CSeq number is less than 2**31."""
MAX_PARAMS = 64
"""Parameters in one header value; more are refused with 400."""

_NAMES = """Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info
Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding Content-Language
Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires Flow-Timer From Geolocation
History-Info Identity Identity-Info In-Reply-To Info-Package Join Max-Forwards MIME-Version Min-Expires
Min-SE Organization P-Access-Network-Info P-Asserted-Identity P-Called-Party-ID P-Charging-Vector
P-Preferred-Identity Path Priority Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck
Reason Record-Route Recv-Info Refer-Sub Refer-To Referred-By Reject-Contact Remote-Party-ID Replaces
Reply-To Request-Disposition Require Retry-After Route RSeq Server Service-Route Session-Expires SIP-ETag
SIP-If-Match Subject Subscription-State Supported Target-Dialog Timestamp To Unsupported User-Agent
User-to-User Via Warning WWW-Authenticate"""
_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""All compact forms of the IANA register: one that we missed would pass by whoever looks for the long name."""
CANONICAL_NAMES = {name.lower(): name for name in _NAMES.split()} | _COMPACT

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_NAME_ADDR = re.compile(rf'(?:({_QUOTED})\s*|([^"<>;:@,\\]*))<([^<>]*)>(.*)\Z', re.DOTALL)
_LIST_PART = re.compile(rf'(?:{_QUOTED}|<[^>]*>|[^,"<]+)+', re.DOTALL)
_PARAM_PART = re.compile(rf'(?:{_QUOTED}|[^;"]+)*', re.DOTALL)
_CSEQ = re.compile(r"([0-9]+)\s+(\S+)\Z")
_VIA = re.compile(
    r"SIP\s*/\s*2\.0\s*/\s*([A-Za-z0-9\-.!%*_+`'~]+)\s+"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?:\s*:\s*([0-9]{1,5}))?\s*(;.*)?\Z",
    re.IGNORECASE | re.DOTALL,
)

Params = dict[str, str | None]


def canonical_name(name: str) -> str:
    """`v`, `via` and `VIA` are `Via`; a name nobody knows stays as it is."""
    return CANONICAL_NAMES.get(name.lower(), name)


class Headers:
    """An ordered list of (name, value); known names are in their canonical spelling."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str]] = [(canonical_name(name), value) for name, value in fields]

    @classmethod
    def of_canonical(cls, fields: list[tuple[str, str]]) -> "Headers":
        """Wraps a list whose names are canonical already; the list is not copied."""
        headers = cls()
        headers._fields = fields
        return headers

    def get(self, name: str) -> str | None:
        """The first value of a field, by its canonical name."""
        for key, value in self._fields:
            if key == name:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self._fields if key == name]

    def get_list(self, name: str) -> list[str]:
        """All elements of a comma-separated field, over all its lines; RemoteProtocolError(400) on bad quoting."""
        return [element for value in self.get_all(name) for element in split_list(value)]

    def get_tokens(self, name: str) -> list[str]:
        """All words of a field that lists option tags or methods. It may be empty, and nothing in it is refused."""
        return [word for value in self.get_all(name) for element in value.split(",") if (word := element.strip())]

    def add(self, name: str, value: str) -> None:
        self._fields.append((canonical_name(name), value))

    def push(self, name: str, value: str) -> None:
        """Add a line before all others."""
        self._fields.insert(0, (canonical_name(name), value))

    def set(self, name: str, value: str) -> None:
        """Replace every line of a field by one."""
        name = canonical_name(name)
        self.remove(name)
        self._fields.append((name, value))

    def remove(self, name: str) -> None:
        self._fields = [(key, value) for key, value in self._fields if key != name]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"

    def encode(self) -> str:
        """The lines, each with its CRLF. A value with a line break is our own bug: it would forge a header."""
        text = "".join([f"{name}: {value}\r\n" for name, value in self._fields])
        if text.count("\r") != len(self._fields) or text.count("\n") != len(self._fields):
            raise LocalProtocolError("a header value may not hold a line break")
        return text


@dataclass(slots=True)
class NameAddr:
    """`"display" <uri>;params`: the value of From, To, Contact, Route and Record-Route."""

    uri: str
    display: str = ""
    params: Params = field(default_factory=dict)

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{encode_params(self.params)}"


@dataclass(slots=True)
class Via:
    """One hop of the way back (§20.42). `host` keeps the brackets of an IPv6 reference."""

    transport: str
    host: str
    port: int | None = None
    params: Params = field(default_factory=dict)

    @property
    def branch(self) -> str:
        return self.params.get("branch") or ""

    @property
    def sent_by(self) -> str:
        return f"{self.host.lower()}:{self.port or 5060}"

    def __str__(self) -> str:
        port = f":{self.port}" if self.port is not None else ""
        return f"SIP/2.0/{self.transport} {self.host}{port}{encode_params(self.params)}"


def quote(text: str) -> str:
    """A quoted-string. Line breaks cannot be carried and become spaces."""
    cleaned = text.replace("\r", " ").replace("\n", " ")
    return '"' + cleaned.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


def split_list(text: str) -> list[str]:
    """Elements of a comma-separated value; commas in quotes or angle brackets do not count."""
    if "," not in text:
        if not text:
            raise RemoteProtocolError("empty header value")
        return [text]
    parts: list[str] = []
    position = 0
    while True:
        match = _LIST_PART.match(text, position)
        if match is None or not match.group().strip():
            raise RemoteProtocolError("empty element or bad quoting in a header list")
        parts.append(match.group().strip())
        position = match.end()
        if position == len(text):
            return parts
        if text[position] != ",":
            raise RemoteProtocolError("bad quoting in a header list")
        position += 1


def parse_params(text: str) -> Params:
    """`;name=value;flag` (or "") as a dict: names in lower case, values still quoted. The first of a name wins."""
    params: Params = {}
    text = text.strip()
    if not text:
        return params
    if text[0] != ";":
        raise RemoteProtocolError("unexpected text after a header value")
    parts = text[1:].split(";") if '"' not in text else _split_quoted_params(text[1:])
    if len(parts) > MAX_PARAMS:
        raise RemoteProtocolError("too many header parameters")
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip()
        if not name or not TOKEN.match(name):
            raise RemoteProtocolError("empty or bad header parameter")
        value = value.strip()
        if value and value[0] != '"' and any(c in value for c in " \t\r\n,<>"):
            raise RemoteProtocolError("bad header parameter value")
        params.setdefault(name.lower(), value if equals else None)
    return params


def _split_quoted_params(text: str) -> list[str]:
    parts: list[str] = []
    position = 0
    while True:
        match = _PARAM_PART.match(text, position)
        end = match.end() if match else position
        parts.append(text[position:end])
        if end == len(text):
            return parts
        if text[end] != ";":
            raise RemoteProtocolError("unbalanced quote in header parameters")
        position = end + 1


def encode_params(params: Params) -> str:
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])


def parse_name_addr(text: str) -> NameAddr:
    """One name-addr or addr-spec with its parameters."""
    if "<" in text or '"' in text:
        match = _NAME_ADDR.match(text.strip())
        if match is None:
            raise RemoteProtocolError("bad display name or angle brackets")
        quoted, plain, uri, rest = match.groups()
        display = unquote(quoted) if quoted is not None else plain.rstrip()
        params = parse_params(rest)
    else:
        # RFC 3261 §20: without angle brackets, what follows a semicolon belongs to the header, not to the URI.
        uri, semicolon, rest = text.strip().partition(";")
        uri = uri.rstrip()
        if "," in uri or "?" in uri:
            raise RemoteProtocolError("this URI needs angle brackets")
        display, params = "", parse_params(semicolon + rest)
    if not uri or uri != uri.strip() or ":" not in uri or any(c in uri for c in ' \t"'):
        raise RemoteProtocolError("bad URI in a header")
    return NameAddr(uri, display, params)


def parse_via(text: str) -> Via:
    """One Via value (not a list)."""
    match = _VIA.match(text.strip())
    if match is None:
        raise RemoteProtocolError("bad Via")
    transport, host, port_text, rest = match.groups()
    if host[0] == "[" and not is_reference(host):
        raise RemoteProtocolError("bad IPv6 reference in Via")
    port = int(port_text) if port_text else None
    if port is not None and not 0 < port <= 65535:
        raise RemoteProtocolError("bad port in Via")
    return Via(transport.upper(), host, port, parse_params(rest or ""))


def parse_cseq(text: str) -> tuple[int, str]:
    match = _CSEQ.match(text)
    if match is None or len(match.group(1)) > 12:
        raise RemoteProtocolError("bad CSeq")
    number = int(match.group(1))
    if number > MAX_CSEQ:
        raise RemoteProtocolError("CSeq number too large")
    return number, match.group(2)


def parse_number(text: str, maximum: int, what: str) -> int:
    """A whole number from 0 to `maximum`; `what` names it in the refusal."""
    if not (text.isascii() and text.isdigit()) or len(text) > 12 or int(text) > maximum:
        raise RemoteProtocolError(f"bad {what}")
    return int(text)
