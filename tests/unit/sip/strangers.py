"""A node that is shut to strangers, and somebody who knocks: raw requests from any address, with a password or none."""

import ipaddress
import itertools
import re

from tests.unit.sip.sip_pair import OFFER, Party, Sent, Wire

from longline.sip.access.auth import TrunkCredential, parse_challenge
from longline.sip.access.default_deny import AdmissionPolicy
from longline.sip.access.peers import DigestUser, Peer, Peers
from longline.sip.syntax.message import Request, Response, parse
from longline.sip.wire import Source

DOMAIN = "here.example"
TRUNK = Peer("carrier", networks=(ipaddress.ip_network("192.0.2.0/28"),))
PHONES = [
    Peer(f"phone:{name}", users=(DigestUser(name, f"{name}'s password"),), is_trunk=False) for name in ("alice", "bob")
]
STRANGER = Source("UDP", "198.51.100.9", 5060)
_numbers = itertools.count(1)


def guarded(*peers: Peer, **policy: object) -> tuple[Wire, Party]:
    """The node at 192.0.2.2, its trunk's addresses beside it, and two phones that have a password."""
    wire = Wire()
    admission = AdmissionPolicy(**({"domains": (DOMAIN,)} | policy))  # type: ignore[arg-type]
    node = Party(wire, "192.0.2.2", admission=admission)
    node.endpoint.set_peers(Peers([TRUNK, *PHONES, *peers]))
    return wire, node


def request_text(
    method: str = "INVITE",
    uri: str = f"sip:service@{DOMAIN}",
    *,
    user: str = "alice",
    to: str | None = None,
    extra: str = "",
    cseq: int = 1,
    call_id: str | None = None,
    host: str = "198.51.100.9",
    transport: str = "UDP",
    body: bytes | None = None,
) -> bytes:
    number = next(_numbers)
    body = (OFFER if method == "INVITE" else b"") if body is None else body
    kind = "Content-Type: application/sdp\r\n" if body else ""
    head = (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} {host};branch=z9hG4bKb{number};rport\r\n"
        f"From: <sip:{user}@{DOMAIN}>;tag=f{number}\r\n"
        f"To: <{to or (f'sip:{user}@{DOMAIN}' if method == 'REGISTER' else uri)}>\r\n"
        f"Call-ID: {call_id or f'call{number}'}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        f"Max-Forwards: 70\r\n"
        f"Contact: <sip:{user}@{host}:5060>\r\n"
        f"User-Agent: A phone that tells its name and all that it can do\r\n"
        f"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, MESSAGE\r\n"
        f"{kind}{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("utf-8", "surrogateescape") + body


def responses(sent: list[Sent]) -> list[Response]:
    return [one.message for one in sent if isinstance(one.message, Response)]


class Phone:
    """Somebody at an address who knows a user name and a password."""

    def __init__(self, wire: Wire, node: Party, user: str, password: str | None = None, source: Source = STRANGER):
        self.wire, self.node, self.user, self.source = wire, node, user, source
        self.password = f"{user}'s password" if password is None else password
        self.digest = ""
        self.cseq = 0

    def ask(
        self, method: str, uri: str = f"sip:service@{DOMAIN}", *, algorithm: str = "MD5", **more: object
    ) -> Response | None:
        """Send a request; when it is challenged, send it again with credentials. The last answer, None for silence."""
        answer = self.send(method, uri, **more)
        if answer is None or answer.status != 401:
            return answer
        challenges = answer.headers.get_all("WWW-Authenticate")
        chosen = next(text for text in challenges if parse_challenge(text).algorithm == algorithm)  # type: ignore[union-attr]
        return self.send(method, uri, challenge=chosen, **more)

    def send(
        self, method: str, uri: str, *, challenge: str | None = None, extra: str = "", **more: object
    ) -> Response | None:
        self.cseq += 1
        more = {"cseq": self.cseq, "user": self.user, "host": self.source.host} | more
        if challenge is not None:
            self.digest = self.credentials(method, uri, challenge)
            extra += self.digest
        data = request_text(method, uri, extra=extra, **more)  # type: ignore[arg-type]
        answers = [one for one in responses(self.wire.inject(self.node, data, self.source)) if one.status > 100]
        return answers[-1] if answers else None

    def credentials(self, method: str, uri: str, challenge: str) -> str:
        """The header line that answers a challenge."""
        session = parse_challenge(challenge)
        assert session is not None
        name, value = session.authorize(TrunkCredential("", self.user, self.password), method, uri, b"", "c0ffee")
        return f"{name}: {value}\r\n"

    def register(self, contact: str | None = None, expires: int = 600, **more: object) -> Response | None:
        extra = f"Expires: {expires}\r\n"
        return self.ask("REGISTER", f"sip:{DOMAIN}", extra=extra, **more)


def without_noise(response: Response | None) -> str:
    """What an eavesdropper could compare: the text without nonces, tags, branches and Call-IDs."""
    assert response is not None
    text = response.encode().decode()
    return re.sub(r'nonce="[^"]*"|tag=\w+|branch=\w+|Call-ID: \w+|CSeq: \d+', "", text)


def parsed(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message
