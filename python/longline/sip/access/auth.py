"""Digest authentication, the client's side (RFC 3261 §22, RFC 8760): MD5 and SHA-256, qop auth and auth-int.

Credentials go only to the trunk they were configured for: the host a request was sent to, and the realm when one is
set. Everybody else's challenge stays unanswered, so that no stranger can collect digests by challenging our BYE.
Leaves out: the server's side, Authentication-Info (mutual authentication), SHA-512-256.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from longline.sip.syntax.headers import quote, unquote
from longline.sip.syntax.message import Response

_PARAM = re.compile(r'\s*([A-Za-z0-9\-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+)\s*(?:,|\Z)')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
MAX_CHALLENGE_CHARS = 4096
"""A longer challenge is not answered, and longer credentials are not read."""


@dataclass(frozen=True, slots=True)
class TrunkCredential:
    """Who we are at one trunk. `host` is the host of the trunk's URI; `realm` None means whatever it names."""

    host: str
    username: str
    password: str
    realm: str | None = None

    def fits(self, realm: str) -> bool:
        return self.realm in (None, realm)

    def __repr__(self) -> str:
        return f"TrunkCredential(host={self.host!r}, username=…, password=…, realm={self.realm!r})"


@dataclass(slots=True)
class DigestSession:
    """A challenge we answer, and how often its nonce was used. Plain data: it moves with its dialog."""

    proxy: bool
    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str | None = None
    opaque: str | None = None
    stale: bool = False
    nc: int = 0

    def authorize(
        self, credential: TrunkCredential, method: str, uri: str, body: bytes, cnonce: str
    ) -> tuple[str, str]:
        """The header (name, value) that answers the challenge for one request. Counts nc up."""
        self.nc += 1
        nc = f"{self.nc:08x}"
        digest = _HASHES[self.algorithm.upper().removesuffix("-SESS")]

        def h(data: bytes) -> str:
            return digest(data).hexdigest()

        a1 = h(f"{credential.username}:{self.realm}:{credential.password}".encode("utf-8", "surrogateescape"))
        if self.algorithm.upper().endswith("-SESS"):
            a1 = h(f"{a1}:{self.nonce}:{cnonce}".encode("utf-8", "surrogateescape"))
        a2 = f"{method}:{uri}" + (f":{h(body)}" if self.qop == "auth-int" else "")
        middle = f"{self.nonce}:{nc}:{cnonce}:{self.qop}" if self.qop else self.nonce
        response = h(f"{a1}:{middle}:{h(a2.encode())}".encode("utf-8", "surrogateescape"))
        value = (
            f"Digest username={quote(credential.username)}, realm={quote(self.realm)}, nonce={quote(self.nonce)}, "
            f'uri="{uri}", response="{response}", algorithm={self.algorithm}'
        )
        if self.qop:
            value += f', qop={self.qop}, nc={nc}, cnonce="{cnonce}"'
        if self.opaque is not None:
            value += f", opaque={quote(self.opaque)}"
        return ("Proxy-Authorization" if self.proxy else "Authorization"), value

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "DigestSession":
        return cls(**data)


def read_challenges(response: Response) -> list[DigestSession]:
    """The challenges of a 401 or 407 that we can answer, in the server's order of preference (RFC 8760 §2.4)."""
    sessions: list[DigestSession] = []
    for name, proxy in (("WWW-Authenticate", False), ("Proxy-Authenticate", True)):
        for value in response.headers.get_all(name):
            session = parse_challenge(value, proxy)
            if session is not None:
                sessions.append(session)
    return sessions


def digest_params(value: str) -> dict[str, str] | None:
    """The parameters of a Digest challenge or of digest credentials, unquoted; None when it is neither."""
    scheme, _, text = value.strip().partition(" ")
    if scheme.lower() != "digest" or len(text) > MAX_CHALLENGE_CHARS:
        return None
    params: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None:
            return None
        params.setdefault(match.group(1).lower(), unquote(match.group(2)))
        position = match.end()
    return params


def parse_challenge(value: str, proxy: bool = False) -> DigestSession | None:
    """One challenge; None when it is not a Digest that we can do."""
    params = digest_params(value)
    if params is None:
        return None
    algorithm = params.get("algorithm", "MD5")
    if algorithm.upper().removesuffix("-SESS") not in _HASHES or "realm" not in params or "nonce" not in params:
        return None
    offered = [option.strip().lower() for option in params.get("qop", "").split(",") if option.strip()]
    qop = next((option for option in ("auth", "auth-int") if option in offered), None)
    if offered and qop is None:
        return None
    if qop is None and algorithm.upper().endswith("-SESS"):
        return None
    stale = params.get("stale", "").lower() == "true"
    return DigestSession(proxy, params["realm"], params["nonce"], algorithm, qop, params.get("opaque"), stale)


def answer_challenges(
    response: Response, credentials: Sequence[TrunkCredential], tried: list[DigestSession]
) -> list[DigestSession] | None:
    """The sessions to use for the next try, one per realm; None when the challenge must stay unanswered.

    `credentials` are those of the trunk the request was meant for. `tried` are the sessions of the refused request: a
    realm that refused us once is not tried again, unless it says that only the nonce was stale (RFC 3261 §22.2)."""
    chosen: dict[tuple[bool, str], DigestSession] = {}
    refused = {(session.proxy, session.realm) for session in tried}
    for session in read_challenges(response):
        key = (session.proxy, session.realm)
        if key in chosen or not any(credential.fits(session.realm) for credential in credentials):
            continue
        if key in refused and not session.stale:
            return None
        chosen[key] = session
    if not chosen:
        return None
    kept = [session for session in tried if (session.proxy, session.realm) not in chosen]
    return kept + list(chosen.values())
