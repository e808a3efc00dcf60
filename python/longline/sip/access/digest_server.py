"""Digest authentication, the server's side (RFC 3261 §22, RFC 7616, RFC 8760): challenges, and what answers them.

A challenge costs no memory: its nonce is a time, a number and a MAC of both with the address that it was made for. The
table of nonce counts knows those nonces only that somebody has logged in with, so that a stranger cannot fill it. A
name that nobody has costs the same work and gets the same answer as a wrong password. Leaves out: who is challenged at
all and how often (`admission`, `lockout`), Authentication-Info, -sess algorithms (nobody is offered them).
"""

import base64
import hashlib
import hmac
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from longline.base.errors import RemoteProtocolError
from longline.sip.access.auth import digest_params
from longline.sip.syntax.headers import quote
from longline.sip.syntax.message import Request
from longline.sip.syntax.uri import parse_uri

ALGORITHMS = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""What we can verify, the better first (RFC 8760 §2.4)."""
NONCE_LIFETIME_S = 300
"""An older nonce is stale: the client tries again with a fresh one, and no user is asked."""
MAX_NONCES = 16_384
"""Nonces whose counts are remembered. When full the oldest goes, and with it every nonce made before it is stale
(counter `sip.nonces_forgotten`): none can be replayed."""
NC_WINDOW = 64
"""Nonce counts may come out of order by so many: requests overtake each other on UDP."""
MAX_CREDENTIALS = 8
"""Authorization headers of one request that are looked at."""

_STAMP = struct.Struct(">II")
_MAC_BYTES = 8
_NC_MAX = 2**32 - 1


class Outcome(Enum):
    ADMITTED = "the right password, for a nonce of ours, used in order"
    MISSING = "no credentials for our realm"
    STALE = "a nonce that is not ours, too old, or was made for another address: the password was not looked at"
    REPLAYED = "the right password, for a nonce count that was used before"
    WRONG = "a wrong password, an unknown name, or no proper answer, for a nonce of ours: the address is no forged one"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`username` is the name that was given, whether or not somebody has it."""

    outcome: Outcome
    username: str = ""


@dataclass(slots=True)
class _Uses:
    """The nonce counts seen: the highest, and a bit for each of the 64 below and at it."""

    first_used: float
    issued: int
    highest: int = 0
    seen: int = 0

    def use(self, nc: int) -> bool:
        if nc > self.highest:
            self.seen = (self.seen << min(nc - self.highest, NC_WINDOW)) & (2**NC_WINDOW - 1) | 1
            self.highest = nc
            return True
        bit = self.highest - nc
        if bit >= NC_WINDOW or self.seen >> bit & 1:
            return False
        self.seen |= 1 << bit
        return True


class DigestServer:
    """`key` is secret and at least 32 bytes; nonces of another key are stale."""

    def __init__(
        self,
        key: bytes,
        realm: str,
        counters: Counter[str],
        *,
        algorithms: Sequence[str] = tuple(ALGORITHMS),
        qop: Sequence[str] = ("auth",),
        max_nonces: int = MAX_NONCES,
    ) -> None:
        self.realm = realm
        self.algorithms = tuple(algorithms)
        self._key = key
        self._qop = tuple(qop)
        self._counters = counters
        self._max_nonces = max_nonces
        self._made = 0
        self._used: OrderedDict[str, _Uses] = OrderedDict()
        self._floor = -1
        """Nonces made in this second or before are stale unless they are in the table."""

    def challenge(self, now: float, host: str, *, stale: bool = False) -> list[str]:
        """The values of WWW-Authenticate, one for each algorithm, the best first."""
        nonce = self._make_nonce(int(now), host)
        # As short as may be: a challenge must not be longer than what it answers. MD5 is what no algorithm means.
        text = f'Digest realm={quote(self.realm)},nonce="{nonce}",qop="{",".join(self._qop)}"'
        text += ",stale=TRUE" if stale else ""
        return [text if name == "MD5" else f"{text},algorithm={name}" for name in self.algorithms]

    def judge(self, now: float, host: str, request: Request, password_of: Callable[[str], str | None]) -> Judgement:
        """Whether a request that came from the address `host` carries valid credentials, and whose."""
        params = self._credentials(request)
        if params is None:
            return Judgement(Outcome.MISSING)
        username = params.get("username", "")
        nonce = params.get("nonce", "")
        issued = self._issued(now, host, nonce)
        if issued is None:
            # RFC 7616 §3.3. Whether the password is right is not told: a nonce of one's own would make guesses free.
            return Judgement(Outcome.STALE, username)
        password = password_of(username)
        # The same work for a name that nobody has, with a password that nobody can know.
        secret = password if password is not None else self._mac(_octets(username)).hex()
        expected = self._response(request, params, secret)
        is_right = expected is not None and hmac.compare_digest(expected, _octets(params.get("response", "").lower()))
        if not is_right or password is None:
            return Judgement(Outcome.WRONG, username)
        used = self._use(now, nonce, issued, int(params["nc"], 16) if "qop" in params else None)
        return Judgement(Outcome.ADMITTED if used else Outcome.REPLAYED, username)

    # ---- credentials

    def username_of(self, request: Request) -> str:
        """The name in the credentials for our realm, whether or not they are right; "" when there are none."""
        return (self._credentials(request) or {}).get("username", "")

    def _credentials(self, request: Request) -> dict[str, str] | None:
        """The credentials for our realm. Those that cannot be read are credentials all the same: empty ones."""
        values = request.headers.get_all("Authorization")[:MAX_CREDENTIALS]
        for value in values:
            params = digest_params(value)
            if params is None:
                return {}
            if params.get("realm") == self.realm:
                return params
        return None

    def _response(self, request: Request, params: dict[str, str], password: str) -> bytes | None:
        """What `response` must be; None when the credentials are not such as we asked for."""
        algorithm = params.get("algorithm", "MD5").upper()
        qop = params.get("qop")
        if algorithm not in self.algorithms or "nonce" not in params or not _means(params.get("uri", ""), request.uri):
            return None
        if qop is not None and (qop not in self._qop or not _is_nc(params.get("nc", "")) or "cnonce" not in params):
            return None
        digest = ALGORITHMS[algorithm]

        def h(text: str) -> str:
            return digest(_octets(text)).hexdigest()

        a1 = h(f"{params.get('username', '')}:{self.realm}:{password}")
        a2 = f"{request.method}:{params['uri']}"
        if qop == "auth-int":
            a2 += f":{digest(request.body).hexdigest()}"
        # RFC 3261 §22.4: a client that knows no qop answers as RFC 2069 has it; its nonce is good once.
        middle = f"{params['nonce']}:{params['nc']}:{params['cnonce']}:{qop}" if qop is not None else params["nonce"]
        return h(f"{a1}:{middle}:{h(a2)}").encode()

    # ---- nonces

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")

    def _make_nonce(self, second: int, host: str) -> str:
        self._made += 1
        stamp = _STAMP.pack(second % 2**32, self._made % 2**32)
        return _text(stamp + self._mac(stamp + host.encode())[:_MAC_BYTES])

    def _issued(self, now: float, host: str, nonce: str) -> int | None:
        """The second a nonce was made in; None when it is not ours, too old, or for another address."""
        try:
            raw = base64.urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
        except ValueError:
            return None
        if len(raw) != _STAMP.size + _MAC_BYTES:
            return None
        stamp, mac = raw[: _STAMP.size], raw[_STAMP.size :]
        if not hmac.compare_digest(mac, self._mac(stamp + host.encode())[:_MAC_BYTES]):
            return None
        age = (int(now) - _STAMP.unpack(stamp)[0]) % 2**32
        return int(now) - age if age <= NONCE_LIFETIME_S else None

    def _use(self, now: float, nonce: str, issued: int, nc: int | None) -> bool:
        while self._used and now - next(iter(self._used.values())).first_used > NONCE_LIFETIME_S + 1:
            self._used.popitem(last=False)
        uses = self._used.get(nonce)
        if uses is None:
            if issued <= self._floor:
                return False
            uses = self._used[nonce] = _Uses(now, issued)
            if len(self._used) > self._max_nonces:
                _, forgotten = self._used.popitem(last=False)
                self._floor = max(self._floor, forgotten.issued)
                self._counters["sip.nonces_forgotten"] += 1
        elif nc is None:
            return False
        return uses.use(_NC_MAX if nc is None else nc)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _is_nc(text: str) -> bool:
    return len(text) == 8 and all(c in "0123456789abcdefABCDEF" for c in text)


def _means(uri: str, request_uri: str) -> bool:
    """RFC 7616 §3.4.6: the digest is for this request. Parameters may have been changed by proxies on the way."""
    if uri == request_uri:
        return True
    try:
        told, meant = parse_uri(uri), parse_uri(request_uri)
    except RemoteProtocolError:
        return False
    return (told.user, told.host.lower(), told.port) == (meant.user, meant.host.lower(), meant.port)
