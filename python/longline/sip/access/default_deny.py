"""Default deny: who may begin something with us, and who may go on with it. Everybody else is not answered at all.

A request that begins something is let in when it comes from the network of a peer, from a network that the policy
names, or with credentials. A stranger is challenged only when he asks for REGISTER or INVITE at one of our domains,
and only as long as he is not locked out; he costs no transaction, and gets back no more octets than he sent. A request
within a dialog must come from where the dialog leads to. Leaves out: digests (`digest_server`), who is locked out
(`lockout`), where phones are (`bindings`), what a request is for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from longline.base.errors import RemoteProtocolError
from longline.sip.access.admission import ADMITTED, DROPPED, Verdict
from longline.sip.access.bindings import Bindings
from longline.sip.access.digest_server import ALGORITHMS, DigestServer, Outcome
from longline.sip.access.lockout import Lockout, LockoutPolicy, Suspicion
from longline.sip.access.peers import Network, Peer
from longline.sip.access.rates import TokenBuckets, source_key
from longline.sip.dialog import Dialog
from longline.sip.events import LockedOut, Unanswered
from longline.sip.syntax.build import response_to
from longline.sip.syntax.headers import parse_name_addr
from longline.sip.syntax.message import Request
from longline.sip.syntax.uri import parse_uri, user_of
from longline.sip.wire import Source, is_address, plain_address

if TYPE_CHECKING:
    from longline.sip.core import Core

MAX_TRANSACTIONS_PER_PHONE = 256
"""Server transactions of one address that is not a trunk's; more are dropped (counter `sip.dropped_transactions`)."""
TRUNK_SHARE = 0.75
"""The part of the transaction table that one address of a trunk may fill; the rest is dropped and counted there too."""
TELL_S = 10.0
"""How often it is told at most that somebody got no answer: operators look for their own phone, scanners fill logs."""
CPS_RETRY_AFTER_S = 1
CHANNEL_RETRY_AFTER_S = 10

_CHALLENGED = frozenset(("REGISTER", "INVITE"))
"""What a stranger may ask for. Whoever has credentials may ask for anything."""
_IDENTITY = frozenset(
    (
        *("p-asserted-identity", "p-preferred-identity", "remote-party-id", "diversion", "history-info"),
        *("p-charging-vector", "p-charge-info", "p-access-network-info", "p-visited-network-id", "identity"),
    )
)
"""What only a trunk may tell: who somebody is, and which way the call has come (RFC 3325 §9)."""


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """`networks` are let in without being peers. `domains` are the names that phones know us by; without any it is the
    host that peers are told. `realm` stands in challenges; the first domain if not given. `rate_per_s` and `burst` are
    the requests of one address that is neither a trunk's nor in `networks`."""

    networks: tuple[Network, ...] = ()
    domains: tuple[str, ...] = ()
    realm: str | None = None
    algorithms: tuple[str, ...] = tuple(ALGORITHMS)
    lockout: LockoutPolicy = field(default_factory=LockoutPolicy)
    rate_per_s: float = 20.0
    burst: float = 60.0


class DefaultDeny:
    """The admission of a core. `key` makes nonces; it is secret."""

    def __init__(self, core: Core, policy: AdmissionPolicy, bindings: Bindings, key: bytes) -> None:
        self._core = core
        self._policy = policy
        self._bindings = bindings
        own_host = next((listener.host for listener in core.settings.listeners), core.settings.host)
        realm = policy.realm or next(iter(policy.domains), own_host)
        self._digests = DigestServer(key, realm, core.counters, algorithms=policy.algorithms)
        self._lockout = Lockout(policy.lockout, core.counters, self._locked_out)
        self._rates = TokenBuckets(core.counters)
        self._untold = 0
        self._tell_at = 0.0
        self._is_friendly = lru_cache(maxsize=4096)(self._in_networks)

    # ---- the questions

    def judge(self, now: float, request: Request, source: Source) -> Verdict:
        """A request outside of any dialog that we know."""
        peer = self._core.whereabouts.peer_at(source.host)
        if request.method == "CANCEL":
            return self._judge_cancel(now, request, source)
        if self._fills_the_table(source, peer):
            return self._drop(now, source, "transactions")
        if request.to.tag is not None:
            # Of a dialog that is gone: 481 is told to those who could have had one.
            return ADMITTED if self.knows(now, source) else self._drop(now, source, "strangers")
        if request.method != "REGISTER":
            if peer is not None:
                return self._limited(now, request, peer)
            if self._is_friendly(source.host) and self._account_of(request.from_.uri) is None:
                _strip(request, keep_extensions=False)
                return ADMITTED
        return self._prove(now, request, source)

    def judge_within(self, now: float, request: Request, source: Source, dialog: Dialog) -> Verdict:
        """A request of a dialog that we know: from where the dialog leads, from its peer, or with credentials."""
        if source.host == dialog.remote_host or source.host in self._hosts_of(dialog):
            return ADMITTED
        peer = self._core.peers.get(dialog.peer)
        if peer is not None and self._core.whereabouts.peer_at(source.host) is peer:
            return ADMITTED
        if peer is not None and peer.users:
            # A phone that changed its address in mid-call can say its password.
            return self._prove(now, request, source, only=peer)
        return self._drop(now, source, "spoofed")

    def knows(self, now: float, source: Source) -> bool:
        """Whether an address may be told anything at all, a syntax error for instance."""
        return (
            self._core.whereabouts.peer_at(source.host) is not None
            or self._is_friendly(source.host)
            or self._bindings.at(now, source) is not None
        )

    # ---- credentials

    def _prove(self, now: float, request: Request, source: Source, only: Peer | None = None) -> Verdict:
        """Let in whoever says a right password; challenge whoever may be challenged."""
        host, is_friendly = source.host, self._is_friendly(source.host)
        account = self._digests.username_of(request) or _user(request.to.uri if _registers(request) else _from(request))
        if self._lockout.is_locked(now, host, account):
            return self._drop(now, source, "locked")
        if not is_friendly:
            if not self._rates.take(now, source_key(host), self._policy.rate_per_s, self._policy.burst):
                return self._drop(now, source, "rate")
            why_not = self._why_not_challenged(now, request, source, only)
            if why_not is not None:
                return self._drop(now, source, why_not)
        judgement = self._digests.judge(now, host, request, self._password_of)
        if judgement.outcome is Outcome.MISSING and request.method == "OPTIONS" and self._bindings.at(now, source):
            return ADMITTED  # a phone that has registered from there asks whether we are there
        if judgement.outcome is Outcome.ADMITTED:
            self._lockout.succeeded(host, judgement.username)
            return self._logged_in(now, request, judgement.username, only)
        if judgement.outcome in (Outcome.MISSING, Outcome.STALE):
            self._lockout.challenged(now, host)
        elif judgement.outcome is Outcome.WRONG:
            self._core.counters["sip.wrong_credentials"] += 1
            self._lockout.failed(now, host, account)
            if self._lockout.is_locked(now, host, account):
                return self._drop(now, source, "locked")
        elif judgement.outcome is Outcome.REPLAYED:
            self._core.counters["sip.replayed_credentials"] += 1
        is_stale = judgement.outcome in (Outcome.STALE, Outcome.REPLAYED)
        challenges = self._digests.challenge(now, host, stale=is_stale)
        return self._challenge(now, request, source, challenges, is_friendly)

    def _why_not_challenged(self, now: float, request: Request, source: Source, only: Peer | None) -> str | None:
        """What a stranger lacks to be challenged; None when he may be."""
        if only is not None:
            return None
        if not self._core.peers.has_users:
            return "strangers"
        asks = request.method in _CHALLENGED or "Authorization" in request.headers
        if not asks and self._bindings.at(now, source) is None:
            return "strangers"
        return None if self._is_ours(request.uri) else "domain"

    def _challenge(
        self, now: float, request: Request, source: Source, challenges: list[str], is_friendly: bool
    ) -> Verdict:
        """401. Over UDP the address may be forged: then no more octets go back than came (with fewer algorithms if need
        be: the most common one is the last)."""
        for offered in (challenges, challenges[-1:]):
            headers = tuple(("WWW-Authenticate", challenge) for challenge in offered)
            if is_friendly or source.reliable or _size(request, headers) <= request.size:
                self._core.counters["sip.challenges_sent"] += 1
                return Verdict(False, status=401, headers=headers)
        return self._drop(now, source, "amplification")

    def _password_of(self, username: str) -> str | None:
        found = self._core.peers.of_user(username)
        return found[1].password if found is not None else None

    def _logged_in(self, now: float, request: Request, username: str, only: Peer | None) -> Verdict:
        found = self._core.peers.of_user(username)
        if found is None or (only is not None and found[0] is not only):
            return self._refuse(403, "identity")
        peer = found[0]
        if only is not None:
            return Verdict(True, peer.name)
        if not peer.is_trunk and request.method != "REGISTER" and not self._is_own_name(request, username):
            return self._refuse(403, "identity")
        return self._limited(now, request, peer)

    def _is_own_name(self, request: Request, username: str) -> bool:
        """A phone calls in its own name, or in none (RFC 3323 §4.1.1.3)."""
        uri = request.from_.uri
        return _user(uri) == username or _host(uri) == "anonymous.invalid"

    # ---- limits

    def _limited(self, now: float, request: Request, peer: Peer) -> Verdict:
        """What a peer may have of us. Its headers are believed as far as it is a trunk."""
        if not peer.is_trunk:
            _strip(request, keep_extensions=True)
        if request.method != "INVITE":
            return Verdict(True, peer.name)
        if peer.channel_limit and self._core.channels[peer.name] >= peer.channel_limit:
            return self._refuse(503, "channels", "Channel Limit Reached", CHANNEL_RETRY_AFTER_S)
        if peer.cps_limit and not self._rates.take(now, f"peer {peer.name}", peer.cps_limit, max(1.0, peer.cps_limit)):
            return self._refuse(503, "cps", "Call Rate Exceeded", CPS_RETRY_AFTER_S)
        return Verdict(True, peer.name)

    def _fills_the_table(self, source: Source, peer: Peer | None) -> bool:
        if peer is None and self._is_friendly(source.host):
            return False
        is_trunk = peer is not None and peer.is_trunk
        limit = self._core.settings.max_transactions * TRUNK_SHARE if is_trunk else MAX_TRANSACTIONS_PER_PHONE
        return self._core.layer.by_source[source.host] >= limit

    # ---- whose is it?

    def _judge_cancel(self, now: float, request: Request, source: Source) -> Verdict:
        """RFC 3261 §9.1: a CANCEL comes from where its INVITE came from, or from another address of that peer."""
        invite = self._core.layer.find_invite(request)
        peer = self._core.whereabouts.peer_at(source.host)
        if invite is not None and invite.source.host != source.host:
            is_theirs = peer is not None and self._core.whereabouts.peer_at(invite.source.host) is peer
            return ADMITTED if is_theirs else self._drop(now, source, "spoofed")
        known = invite is not None or peer is not None or self._is_friendly(source.host)
        return ADMITTED if known else self._drop(now, source, "strangers")

    def _hosts_of(self, dialog: Dialog) -> Iterable[str]:
        """The addresses a dialog leads to: those it names, and those its names were found at."""
        peer = self._core.peers.get(dialog.peer)
        uris = [dialog.remote_target, *(parse_name_addr(route).uri for route in dialog.route_set)]
        uris += [target.uri for target in peer.targets] if peer is not None else []
        for uri in uris:
            host = _host(uri)
            if is_address(host):
                yield str(ipaddress.ip_address(host))
            else:
                yield from self._core.addresses_of(host)

    def _is_ours(self, uri: str) -> bool:
        host = _host(uri)
        return host in self._core.domains or host in self._core.peers.domains

    def _account_of(self, uri: str) -> Peer | None:
        """The peer whose account a URI claims to be, at one of our domains."""
        found = self._core.peers.of_user(_user(uri)) if self._is_ours(uri) else None
        return found[0] if found is not None else None

    def _in_networks(self, host: str) -> bool:
        address = plain_address(host)
        return address is not None and any(address in network for network in self._policy.networks)

    def _locked_out(self, why: Suspicion, whom: str, until: float) -> None:
        self._core.events.append(LockedOut(why.name.lower(), whom))

    # ---- refusals

    def _drop(self, now: float, source: Source, why: str) -> Verdict:
        self._core.counters[f"sip.dropped_{why}"] += 1
        self._untold += 1
        if now >= self._tell_at:
            self._core.events.append(Unanswered(why, source.host, self._untold))
            self._untold, self._tell_at = 0, now + TELL_S
        return DROPPED

    def _refuse(self, status: int, why: str, reason: str | None = None, retry_after_s: int | None = None) -> Verdict:
        self._core.counters[f"sip.refused_{why}"] += 1
        headers = (("Retry-After", str(retry_after_s)),) if retry_after_s is not None else ()
        return Verdict(False, status=status, headers=headers, reason=reason)


def _strip(request: Request, *, keep_extensions: bool) -> None:
    """Take away what its sender may not tell us. Names are compared as the RFC has it: without their case."""
    fields = [
        (name, value)
        for name, value in request.headers
        if name.lower() not in _IDENTITY and (keep_extensions or not name.lower().startswith("x-"))
    ]
    if len(fields) < len(request.headers):
        request.headers = type(request.headers).of_canonical(fields)


def _size(request: Request, headers: tuple[tuple[str, str], ...]) -> int:
    return len(response_to(request, 401, to_tag="x" * 8, headers=headers).encode())


def _registers(request: Request) -> bool:
    return request.method == "REGISTER"


def _from(request: Request) -> str:
    return request.from_.uri


def _user(uri: str) -> str:
    try:
        return user_of(uri)
    except RemoteProtocolError:
        return ""


def _host(uri: str) -> str:
    try:
        return parse_uri(uri).host.strip("[]").lower()
    except RemoteProtocolError:
        return ""
