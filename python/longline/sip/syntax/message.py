"""SIP messages (RFC 3261 §7): parse and serialise.

`parse` takes one whole message (a datagram, or what the stream framer cut out). It is lenient where the RFC says so
(compact forms, folding, white space, bare LF, leading CRLFs, octets after a datagram's body) and refuses the rest with
`MalformedMessage`, which carries as much of the request as was understood so that the peer can be told why.
Leaves out: what a header means to a user agent; that is `uas` and `uac`.
"""

import re
from functools import cached_property

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip.syntax.headers import (
    CANONICAL_NAMES,
    TOKEN,
    Headers,
    NameAddr,
    Via,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_via,
    split_list,
)
from longline.sip.syntax.uri import parse_uri, scheme_of

MAX_MESSAGE_BYTES = 16_384
"""Head and body of one message; longer ones are refused with 513, and of them no more than this is looked at."""
MAX_BODY_BYTES = 8192
"""The body of one message; longer ones are refused with 513."""
MAX_CONTENT_LENGTH = 2**31 - 1
"""A Content-Length beyond it is no number anybody means; it is refused with 400."""
MAX_HEADERS = 128
"""Header lines of one message, after unfolding; more are refused with 400."""
MAX_HEADER_LINE_CHARS = 8192
"""One unfolded header line; longer ones are refused with 400."""
MAX_VIAS = 71
"""Via values of one message: its sender's, and one for each hop that a fresh Max-Forwards allows; more are refused with
400. (A lower bound would refuse `longreq` of RFC 4475, which is well-formed and has 34.)"""

_FOLD = re.compile(r"\r?\n[ \t]+")
_LINE_END = re.compile(r"\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_BARE_NUL = re.compile(r"(?<!\\)\x00")
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?\Z", re.IGNORECASE | re.DOTALL)
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+\Z", re.IGNORECASE)

_SINGLE = frozenset(
    (
        *("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Content-Encoding"),
        *("Event", "Expires", "Min-Expires", "Min-SE", "RAck", "RSeq", "Refer-To", "Referred-By", "Replaces"),
        *("Session-Expires", "Subscription-State"),
    )
)
"""What may stand in a message once (RFC 3261 §7.3.1; for the others the RFC that defines them)."""
_REQUIRED = ("Via", "From", "To", "Call-ID", "CSeq")

KNOWN_METHODS = frozenset(
    (
        *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY"),
        *("SUBSCRIBE", "MESSAGE", "PUBLISH"),
    )
)


class MalformedMessage(RemoteProtocolError):
    """What arrived is no proper SIP message. `request` is what was understood of a request, if anything was."""

    def __init__(self, message: str, status: int = 400, request: "Request | None" = None) -> None:
        super().__init__(message, status)
        self.request = request


class Message:
    """What requests and responses share. The structured headers are parsed when first asked for."""

    def __init__(self, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.size = 0
        """How many octets came in; 0 for a message of ours."""

    @cached_property
    def from_(self) -> NameAddr:
        return parse_name_addr(self._need("From"))

    @cached_property
    def to(self) -> NameAddr:
        return parse_name_addr(self._need("To"))

    @cached_property
    def top_via(self) -> Via:
        return parse_via(split_list(self._need("Via"))[0])

    @cached_property
    def cseq(self) -> tuple[int, str]:
        return parse_cseq(self._need("CSeq"))

    @cached_property
    def call_id(self) -> str:
        return self._need("Call-ID")

    def _need(self, name: str) -> str:
        value = self.headers.get(name)
        if not value:
            raise RemoteProtocolError(f"missing {name}")
        return value

    def _start_line(self) -> str:
        raise NotImplementedError

    def encode(self) -> bytes:
        """The message on the wire, with a Content-Length that is true."""
        start = self._start_line()
        if "\r" in start or "\n" in start:
            raise LocalProtocolError("a start line may not hold a line break")
        self.headers.set("Content-Length", str(len(self.body)))
        head = f"{start}\r\n{self.headers.encode()}\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body

    def __eq__(self, other: object) -> bool:
        return (
            type(self) is type(other)
            and isinstance(other, Message)
            and (self._start_line(), self.headers, self.body) == (other._start_line(), other.headers, other.body)
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._start_line()!r}>"


class Request(Message):
    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri

    def _start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"


class Response(Message):
    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"


def parse(data: bytes) -> Request | Response:
    """One message of at most MAX_MESSAGE_BYTES; raises MalformedMessage."""
    data = data.lstrip(b"\r\n")
    too_long = len(data) > MAX_MESSAGE_BYTES
    if too_long:
        # Enough to tell its sender why. What is cut in the middle of a line would be a defect of ours.
        data = data[: data.rfind(b"\n", 0, MAX_MESSAGE_BYTES) + 1]
    end = _HEAD_END.search(data)
    if end is None and not data.endswith(b"\n"):
        raise MalformedMessage("the headers do not end")
    head = data[: end.start()] if end else data.rstrip(b"\r\n")
    rest = data[end.end() :] if end else b""
    text = head.decode("utf-8", "surrogateescape")
    start, newline, header_text = text.partition("\n")
    start = start.removesuffix("\r")
    defects: list[RemoteProtocolError] = []
    fields = _parse_fields(header_text, defects) if newline else []
    if too_long:
        defects.insert(0, RemoteProtocolError("message too long", 513))
    message = _start(start, Headers.of_canonical(fields), defects)
    if not defects:
        _check(message, defects)
    if not defects:
        message.body = _cut_body(message, len(data) - len(rest), rest, defects)
    if defects:
        request = message if isinstance(message, Request) else None
        raise MalformedMessage(str(defects[0]), defects[0].status, request)
    return message


def _parse_fields(text: str, defects: list[RemoteProtocolError]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        lines = _LINE_END.split(text)
    if len(lines) > MAX_HEADERS:
        defects.append(RemoteProtocolError("too many header fields"))
        del lines[MAX_HEADERS:]
    if "\x00" in text and _BARE_NUL.search(text):
        defects.append(RemoteProtocolError("NUL in a header"))
    for line in lines:
        name, colon, value = line.partition(":")
        known = CANONICAL_NAMES.get(name) or CANONICAL_NAMES.get(name.rstrip(" \t").lower())
        if known is None:
            known = name.rstrip(" \t")
            if not TOKEN.match(known):
                colon = ""
        if not colon or len(line) > MAX_HEADER_LINE_CHARS or "\r" in line:
            defects.append(RemoteProtocolError("bad header line"))
            continue
        fields.append((known, value.strip(" \t")))
    return fields


def _start(line: str, headers: Headers, defects: list[RemoteProtocolError]) -> Request | Response:
    if line[:4].upper() == "SIP/":
        match = _STATUS.match(line)
        if match is None:
            raise MalformedMessage("bad status line")
        return Response(int(match.group(1)), match.group(2) or "", headers)
    parts = line.split(" ")
    if not TOKEN.match(parts[0]):
        raise MalformedMessage("bad start line")
    if len(parts) != 3 or not parts[1] or not _VERSION.match(parts[2]) or "\r" in line:
        defects.insert(0, RemoteProtocolError("bad request line"))
        return Request(parts[0], parts[1] if len(parts) > 1 else "", headers)
    if parts[2].upper() != "SIP/2.0":
        defects.insert(0, RemoteProtocolError("Version Not Supported", 505))
    return Request(parts[0], parts[1], headers)


def _check(message: Request | Response, defects: list[RemoteProtocolError]) -> None:
    try:
        if isinstance(message, Request):
            _check_request(message)
        _check_common(message)
    except RemoteProtocolError as error:
        defects.append(error)


def _check_common(message: Message) -> None:
    """RFC 3261 §8.1.1, §20.1: what every message must have, once."""
    seen = set()
    for name, _ in message.headers:
        if name in _SINGLE:
            if name in seen:
                raise RemoteProtocolError(f"more than one {name}")
            seen.add(name)
    for name in _REQUIRED:
        if not message.headers.get(name):
            raise RemoteProtocolError(f"missing {name}")
    vias = message.headers.get_all("Via")
    if len(vias) > MAX_VIAS or sum(via.count(",") for via in vias) > MAX_VIAS:
        raise RemoteProtocolError("too many Via")
    _ = message.from_, message.to, message.top_via, message.cseq


def _check_request(request: Request) -> None:
    cseq = request.headers.get("CSeq")
    # RFC 4475 §3.1.2.18: an unknown method is better told as that (501, by the user agent) than as a mismatch.
    if request.method in KNOWN_METHODS and cseq and parse_cseq(cseq)[1] != request.method:
        raise RemoteProtocolError("CSeq does not match the method")
    forwards = request.headers.get("Max-Forwards")
    if forwards is not None:
        parse_number(forwards, 255, "Max-Forwards")
    scheme = scheme_of(request.uri)
    if scheme is None:
        raise RemoteProtocolError("bad Request-URI")
    if scheme in ("sip", "sips") and parse_uri(request.uri).headers is not None:
        raise RemoteProtocolError("headers in the Request-URI")
    for contact in request.headers.get_all("Contact"):
        if contact.strip() != "*":
            for element in split_list(contact):
                parse_name_addr(element)


def _cut_body(message: Message, head_bytes: int, rest: bytes, defects: list[RemoteProtocolError]) -> bytes:
    """RFC 3261 §18.3: a datagram's body ends at Content-Length; octets after it are ignored, missing ones are 400."""
    text = message.headers.get("Content-Length")
    if text is None:
        if len(rest) > MAX_BODY_BYTES:
            defects.append(RemoteProtocolError("body too long", 513))
        return rest
    try:
        length = parse_number(text, MAX_CONTENT_LENGTH, "Content-Length")
        if head_bytes + length > MAX_MESSAGE_BYTES:
            raise RemoteProtocolError("message too long", 513)
        if length > len(rest):
            raise RemoteProtocolError("body shorter than Content-Length")
        if length > MAX_BODY_BYTES:
            raise RemoteProtocolError("body too long", 513)
        return rest[:length]
    except RemoteProtocolError as error:
        defects.append(error)
        return b""
