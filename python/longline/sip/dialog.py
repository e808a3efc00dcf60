"""A dialog (RFC 3261 §12) as plain data: what must move to another node so that it can go on with the call.

`to_dict` and `from_dict` are the snapshot. Routing of requests within the dialog follows §12.2.1.1 (loose and strict).
Leaves out: sending, and our sockets (connection, listener: they cannot move; the remote address can).
"""

import sys
from dataclasses import dataclass, field
from typing import Any, Literal

from longline.base.errors import RemoteProtocolError
from longline.sip.access.auth import DigestSession
from longline.sip.syntax.headers import Headers, parse_name_addr
from longline.sip.syntax.message import Message, Request, Response
from longline.sip.syntax.uri import SipUri, parse_uri

SNAPSHOT_VERSION = 1
MAX_ROUTES = 32
"""Record-Route values of one dialog; more are refused with 400."""
MAX_CAPABILITIES = 64
"""Methods, and option tags, of a peer that are remembered; those after them are not."""


@dataclass(slots=True)
class Dialog:
    """Texts are as on the wire. `local` and `remote` are From and To values without their tags."""

    call_id: str
    local_tag: str
    remote_tag: str | None
    local: str
    remote: str
    remote_target: str
    contact: str
    """Our Contact URI."""
    role: str
    """`caller` or `callee`: who sent the INVITE, seen from here."""
    transport: str = "UDP"
    remote_host: str = ""
    remote_port: int = 0
    server_name: str | None = None
    """Over TLS: the name that the far end has proven with its certificate."""
    connection: int | None = None
    listener: int | None = None
    """The socket of ours that it is held over."""
    behind_nat: bool = False
    """The caller's address was translated on the way: its Contact leads nowhere, the address it sent from does."""
    route_set: list[str] = field(default_factory=list)
    local_cseq: int = 0
    remote_cseq: int | None = None
    confirmed: bool = False
    secure: bool = False
    local_sdp: bytes | None = None
    remote_sdp: bytes | None = None
    trunk: str | None = None
    """The host whose credentials may be used in this dialog."""
    peer: str | None = None
    """The name of the peer at the other end; then its credential may be used."""
    digests: list[DigestSession] = field(default_factory=list)
    open_invite: str | None = None
    """The branch of an INVITE of ours without a final response."""
    open_offer: Literal["", "ours", "theirs"] = ""
    """Whose offer has no answer yet (`offers.py`)."""
    sessions: int = 0
    """How many offers have been answered, by either side: a description made before the last one is out of date."""
    sdp_origin: str | None = None
    """User name and session id in the o= line of what we send (`origin.py`)."""
    sdp_version: int | None = None
    """The version in the o= line that we sent last, whether it was accepted or not."""
    sent_sdp: bytes | None = None
    """What we sent last; `local_sdp` is what was agreed on last. It need not survive."""
    session_interval: int = 0
    """Seconds after which the session ends unless it is refreshed (`session_timer.py`); 0: never."""
    session_refresher: str = ""
    """Who refreshes it: `ours` or `theirs`."""
    session_min: int = 0
    """The longest Min-SE that the peer has asked for."""
    session_raises: int = 0
    """How often it has asked."""
    rseq: int | None = None
    """The number of our last reliable provisional response (`reliable.py`)."""
    remote_rseq: int | None = None
    """The number of the peer's last one that we have acknowledged."""
    allow: list[str] = field(default_factory=list)
    """The methods that the peer takes, in upper case; empty: it did not say."""
    supported: list[str] = field(default_factory=list)
    """The option tags that the peer supports."""

    @property
    def id(self) -> tuple[str, str, str | None]:
        return self.call_id, self.local_tag, self.remote_tag

    def next_hop(self) -> SipUri:
        """Where the next request goes: the first route, or the remote target."""
        return parse_uri(parse_name_addr(self.route_set[0]).uri if self.route_set else self.remote_target)

    def request(self, method: str, cseq: int | None = None, body: bytes = b"") -> Request:
        """A request within the dialog, without Via. ACK names the CSeq of its INVITE; others count up."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self._routing()
        remote_tag = f";tag={self.remote_tag}" if self.remote_tag else ""
        fields = [
            ("Max-Forwards", "70"),
            *(("Route", route) for route in routes),
            ("From", f"{self.local};tag={self.local_tag}"),
            ("To", f"{self.remote}{remote_tag}"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        if body:
            fields.append(("Content-Type", "application/sdp"))
        return Request(method, uri, Headers.of_canonical(fields), body)

    def _routing(self) -> tuple[str, list[str]]:
        if not self.route_set:
            return self.remote_target, []
        first = parse_name_addr(self.route_set[0]).uri
        if parse_uri(first).is_loose_router:
            return self.remote_target, self.route_set
        # RFC 3261 §12.2.1.1: a strict router takes the Request-URI; the remote target closes the list.
        return first, [*self.route_set[1:], f"<{self.remote_target}>"]

    def ring(self, response: Response) -> None:
        """RFC 3261 §12.1.2: what the caller learns from a provisional response with a To tag, or from a 2xx."""
        self.remote_tag = response.to.tag
        # Preloaded routes count for the INVITE only; Record-Route comes back in the reverse order.
        self.route_set = routes_of(response)[::-1]
        self.refresh_target(response)

    def accept(self, response: Response) -> None:
        """What the caller learns from a 2xx; its routes replace those of an early dialog (§13.2.2.4)."""
        self.ring(response)
        self.confirmed = True

    def refresh_target(self, message: Message) -> None:
        """RFC 3261 §12.2.1.2, §12.2.2: the Contact of an INVITE or its 2xx is the new remote target."""
        contact = contact_of(message)
        if contact is not None:
            self.remote_target = contact

    def learn(self, message: Message) -> None:
        """RFC 3261 §20.5, §20.37: what the peer says it can do. Ten thousand calls share the words."""
        if "Allow" in message.headers:
            self.allow = [
                sys.intern(method.upper()) for method in message.headers.get_tokens("Allow")[:MAX_CAPABILITIES]
            ]
        if "Supported" in message.headers:
            self.supported = [
                sys.intern(tag.lower()) for tag in message.headers.get_tokens("Supported")[:MAX_CAPABILITIES]
            ]

    def takes(self, method: str) -> bool:
        """Whether the peer has said that it takes this method."""
        return method in self.allow

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        data: dict[str, Any] = {"version": SNAPSHOT_VERSION}
        for name in _PLAIN:
            data[name] = getattr(self, name)
        for name in _LISTS:
            data[name] = list(getattr(self, name))
        data["digests"] = [session.to_dict() for session in self.digests]
        for name in ("local_sdp", "remote_sdp"):
            sdp: bytes | None = getattr(self, name)
            data[name] = None if sdp is None else sdp.decode("latin-1")
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Dialog":
        """Raises ValueError on a snapshot of another version."""
        if data.get("version") != SNAPSHOT_VERSION:
            raise ValueError(f"dialog snapshot has version {data.get('version')!r}, not {SNAPSHOT_VERSION}")
        values = {name: data[name] for name in _PLAIN}
        values |= {name: list(data[name]) for name in _LISTS}
        values["digests"] = [DigestSession.from_dict(item) for item in data["digests"]]
        for name in ("local_sdp", "remote_sdp"):
            values[name] = None if data[name] is None else data[name].encode("latin-1")
        return cls(**values)


_PLAIN = (
    *("call_id", "local_tag", "remote_tag", "local", "remote", "remote_target", "contact", "role"),
    *("transport", "remote_host", "remote_port", "local_cseq", "remote_cseq", "confirmed", "secure"),
    *("behind_nat", "server_name"),
    *("trunk", "peer", "open_invite"),
    *("open_offer", "sessions", "sdp_origin", "sdp_version", "rseq", "remote_rseq"),
    *("session_interval", "session_refresher", "session_min", "session_raises"),
)
_LISTS = ("route_set", "allow", "supported")


def routes_of(message: Message) -> list[str]:
    """The Record-Route values, each checked to be a SIP URI."""
    routes = message.headers.get_list("Record-Route")
    if len(routes) > MAX_ROUTES:
        raise RemoteProtocolError("too many Record-Route")
    for route in routes:
        parse_uri(parse_name_addr(route).uri)
    return routes


def contact_of(message: Message) -> str | None:
    """The URI of the first Contact, or None; one that we could not send to is refused."""
    contacts = message.headers.get_list("Contact")
    if not contacts:
        return None
    uri = parse_name_addr(contacts[0]).uri
    parse_uri(uri)
    return uri
