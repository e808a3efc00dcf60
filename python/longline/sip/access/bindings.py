"""Where the phones are just now: the bindings of each account (RFC 3261 §10.3, RFC 3327 Path, a part of RFC 5626).

A binding keeps the address that its REGISTER came from: behind a NAT the Contact leads nowhere, that address does. A
phone that tells its `+sip.instance` has one binding per `reg-id`, whatever its Contact has become. Leaves out: who may
register (`admission`), GRUU, the tokens of RFC 5626 (`ob` flows through edge proxies).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any
from zlib import crc32

from longline.base.errors import RemoteProtocolError
from longline.sip.syntax.headers import NameAddr, parse_name_addr, parse_number, unquote
from longline.sip.syntax.message import Request
from longline.sip.syntax.uri import parse_uri, scheme_of
from longline.sip.wire import Source

MAX_BINDINGS = 10
"""Bindings of one account; a REGISTER that would make more is refused with 403 (counter `sip.bindings_full`)."""
MAX_PATHS = 8
"""Path values of one REGISTER; more are refused with 400."""
MAX_CONTACT_CHARS = 1024
"""A longer Contact URI is refused with 400: it comes back with every answer."""
DEFAULT_EXPIRES_S = 3600
MIN_EXPIRES_S = 60
"""Shorter is refused with 423; 0 removes."""
MAX_EXPIRES_S = 7200
"""Longer is granted as this."""
NAT_GROUPS = 25
"""Groups of phones behind NATs; one each second is sent something."""
_EXPIRES_LIMIT = 2**32 - 1
_URI_PARAMS = frozenset(("user", "ttl", "method", "maddr", "transport"))


class IntervalTooBrief(RemoteProtocolError):
    """RFC 3261 §10.3 step 7: 423, and Min-Expires says what would do."""

    def __init__(self) -> None:
        super().__init__("interval too brief", 423)


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to reach an account. `transport`, `host` and `port` are those its REGISTER came from; `connection` is the
    one it came over, as long as that lives. `path` is to be the Route of what is sent to it."""

    contact: str
    transport: str
    host: str
    port: int
    expires_at: float
    call_id: str
    cseq: int
    q: float = 1.0
    path: tuple[str, ...] = ()
    instance: str | None = None
    reg_id: int | None = None
    user_agent: str = ""
    connection: int | None = None
    listener: int | None = None
    """The socket of ours that it came to."""

    @property
    def is_translated(self) -> bool:
        """Whether the Contact names another address than the one its REGISTER came from."""
        return _is_translated(self.contact, self.host)

    @property
    def fades(self) -> bool:
        """Whether a NAT would forget the way to it: datagrams to a translated address."""
        return self.transport == "UDP" and self.is_translated and not self.path

    @property
    def flow(self) -> tuple[str, str, int]:
        return self.transport, self.host, self.port

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two bindings one: RFC 5626 §4.2 where the phone names itself, else RFC 3261 §19.1.4."""
        if self.instance is not None:
            return ("instance", self.instance, self.reg_id)
        uri = parse_uri(self.contact)
        params = tuple(sorted((k.lower(), (v or "").lower()) for k, v in uri.params if k.lower() in _URI_PARAMS))
        return ("uri", uri.scheme, uri.user, uri.password, uri.host.lower(), uri.port, params)

    def to_dict(self, now: float) -> dict[str, Any]:
        """JSON types; the time is `expires_s`, what is left. Connection and listener cannot be kept."""
        data = asdict(self)
        del data["expires_at"], data["connection"], data["listener"]
        return data | {"path": list(self.path), "expires_s": self.expires_at - now}

    @classmethod
    def from_dict(cls, data: dict[str, Any], now: float) -> "Binding":
        """Raises KeyError, TypeError on what `to_dict` did not make."""
        values = {**data, "path": tuple(data["path"]), "expires_at": now + data["expires_s"]}
        del values["expires_s"]
        return cls(**values)


class Bindings:
    """The table: at most MAX_BINDINGS for each account; accounts are those somebody has logged in with."""

    def __init__(self) -> None:
        self._accounts: dict[str, tuple[Binding, ...]] = {}
        self._flows: dict[tuple[str, str, int], str] = {}
        """Who registered from where last."""
        self._by_connection: dict[int, set[str]] = {}
        self._behind_nats: list[set[str]] = [set() for _ in range(NAT_GROUPS)]
        """The accounts with a phone whose way must be kept open, in groups that take their turns."""

    def of(self, now: float, account: str) -> tuple[Binding, ...]:
        """The bindings that hold, the most wanted first (RFC 3261 §16.6: by q), then the latest."""
        held = tuple(b for b in self._accounts.get(account, ()) if b.expires_at > now)
        return tuple(sorted(held, key=lambda b: (-b.q, -b.expires_at)))

    def at(self, now: float, source: Source) -> str | None:
        """The account that a phone at this address has registered."""
        flow = (source.transport, source.host, source.port)
        account = self._flows.get(flow)
        if account is None or not any(b.flow == flow for b in self.of(now, account)):
            return None
        return account

    def put(self, account: str, bindings: Iterable[Binding]) -> None:
        """Replace the bindings of an account: what a store has kept, or what a REGISTER has made."""
        kept = tuple(bindings)
        for binding in self._accounts.get(account, ()):
            if self._flows.get(binding.flow) == account:
                del self._flows[binding.flow]
            if binding.connection is not None:
                self._leave(binding.connection, account)
        for binding in kept:
            self._flows[binding.flow] = account
            if binding.connection is not None:
                self._by_connection.setdefault(binding.connection, set()).add(account)
        group = self._behind_nats[crc32(account.encode("utf-8", "surrogateescape")) % NAT_GROUPS]
        (group.add if any(binding.fades for binding in kept) else group.discard)(account)
        if kept:
            self._accounts[account] = kept
        else:
            self._accounts.pop(account, None)

    def _leave(self, connection: int, account: str) -> None:
        accounts = self._by_connection.get(connection)
        if accounts is not None:
            accounts.discard(account)
            if not accounts:
                del self._by_connection[connection]

    def accounts(self) -> list[str]:
        return list(self._accounts)

    @property
    def has_any_behind_nats(self) -> bool:
        return any(self._behind_nats)

    def behind_nats(self, now: float, group: int) -> list[Binding]:
        """The bindings of one group, from 0, whose ways must be kept open. What has expired is forgotten."""
        found: list[Binding] = []
        for account in list(self._behind_nats[group]):
            held = self.of(now, account)
            found += [binding for binding in held if binding.fades]
            if len(held) < len(self._accounts.get(account, ())):
                self.put(account, held)
        return found

    def connection_lost(self, connection: int) -> None:
        """A connection has gone: its bindings hold, and are reached by their addresses."""
        for account in list(self._by_connection.get(connection, ())):
            bindings = self._accounts.get(account, ())
            self.put(account, [replace(b, connection=None) if b.connection == connection else b for b in bindings])

    def register(self, now: float, account: str, request: Request, source: Source) -> tuple[Binding, ...]:
        """What a REGISTER makes of the bindings of an account; all of it is done, or none. RemoteProtocolError says
        why not; IntervalTooBrief, and 403 for too many."""
        before = {binding.key: binding for binding in self.of(now, account)}
        held = dict(before)
        contacts = request.headers.get_list("Contact") if "Contact" in request.headers else []
        if "*" in contacts:
            self._remove_all(held, contacts, request)
        for contact in contacts if "*" not in contacts else []:
            binding = _binding(now, parse_name_addr(contact), request, source)
            _in_order(before.get(binding.key), request)
            if binding.expires_at > now:
                held[binding.key] = binding
            else:
                held.pop(binding.key, None)
        if len(held) > MAX_BINDINGS:
            raise RemoteProtocolError("too many bindings", 403)
        self.put(account, held.values())
        return self.of(now, account)

    def _remove_all(self, held: dict[tuple[object, ...], Binding], contacts: list[str], request: Request) -> None:
        # RFC 3261 §10.3 step 6: the star stands alone, with Expires: 0.
        if len(contacts) != 1 or _expires(request.headers.get("Expires")) != 0:
            raise RemoteProtocolError("a Contact of * stands alone, with Expires 0")
        for binding in held.values():
            _in_order(binding, request)
        held.clear()


@lru_cache(maxsize=16_384)
def _is_translated(contact: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(parse_uri(contact).host.strip("[]")) != ipaddress.ip_address(host)
    except ValueError:
        return False  # a name: it may well be the phone's


def _in_order(binding: Binding | None, request: Request) -> None:
    """RFC 3261 §10.3 step 7: within one Call-ID a REGISTER that was overtaken changes nothing."""
    if binding is not None and binding.call_id == request.call_id and request.cseq[0] <= binding.cseq:
        raise RemoteProtocolError("CSeq out of order", 500)


def _binding(now: float, contact: NameAddr, request: Request, source: Source) -> Binding:
    if scheme_of(contact.uri) not in ("sip", "sips"):
        raise RemoteProtocolError("a Contact must be a SIP URI")
    if len(contact.uri) > MAX_CONTACT_CHARS:
        raise RemoteProtocolError("Contact too long")
    parse_uri(contact.uri)
    paths = request.headers.get_list("Path") if "Path" in request.headers else []
    if len(paths) > MAX_PATHS:
        raise RemoteProtocolError("too many Path")
    for path in paths:
        parse_uri(parse_name_addr(path).uri)
    expires = _expires(contact.params.get("expires") or request.headers.get("Expires"))
    if 0 < expires < MIN_EXPIRES_S:
        raise IntervalTooBrief
    instance = contact.params.get("+sip.instance")
    reg_id = contact.params.get("reg-id")
    return Binding(
        contact=contact.uri,
        transport=source.transport,
        host=source.host,
        port=source.port,
        expires_at=now + min(expires, MAX_EXPIRES_S),
        call_id=request.call_id,
        cseq=request.cseq[0],
        q=_q(contact.params.get("q")),
        path=tuple(paths),
        instance=unquote(instance)[:MAX_CONTACT_CHARS] if instance else None,
        reg_id=parse_number(reg_id, 2**31 - 1, "reg-id") if reg_id else None,
        user_agent=(request.headers.get("User-Agent") or "")[:128],
        connection=source.connection,
        listener=source.listener,
    )


def _expires(text: str | None) -> int:
    """RFC 3261 §20.10, §20.19: a number of seconds. What is none counts as one hour; what is too large, as all."""
    if text is None:
        return DEFAULT_EXPIRES_S
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        return DEFAULT_EXPIRES_S
    return min(int(text[:12]), _EXPIRES_LIMIT)


def _q(text: str | None) -> float:
    """RFC 3261 §20.10: from 0 to 1; who says nothing is wanted as much as anybody."""
    if text is None:
        return 1.0
    try:
        value = float(text)
    except ValueError:
        raise RemoteProtocolError("bad q") from None
    if not 0.0 <= value <= 1.0:
        raise RemoteProtocolError("bad q")
    return value
