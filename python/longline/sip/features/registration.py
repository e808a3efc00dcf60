"""The client's side of registration (RFC 3261 §10.2): telling a peer's registrar where we are, and keeping that true.

One client for each peer that has a `registration`. It asks again when four fifths of what was granted have passed, as
the registrar wishes (423, Retry-After) or, when it fails, after a wait that doubles (RFC 5626 §4.5); it takes the
binding back when the peer goes or the node stops. `MOVES` is its table. Challenges and fail-over are `exchange`'s.
Leaves out: Service-Route, GRUU, and several flows to one registrar.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from longline.base.errors import RemoteProtocolError
from longline.sip.access.auth import DigestSession
from longline.sip.access.peers import Peer, Peers, Registration
from longline.sip.core import Core
from longline.sip.events import RegistrationChanged
from longline.sip.exchange import Exchange, Owner
from longline.sip.syntax.build import told_status
from longline.sip.syntax.headers import Headers, parse_name_addr, parse_number
from longline.sip.syntax.message import Request, Response
from longline.sip.syntax.uri import parse_uri
from longline.sip.timers import Timer
from longline.sip.wire import Target

REFRESH_SHARE = 0.8
"""Of what was granted: then the binding is refreshed, with time left for retransmissions and one more try."""
BASE_WAIT_S, MAX_WAIT_S = 30.0, 1800.0
"""RFC 5626 §4.5: the wait after a failure, which doubles with each further one; at least half of it is waited."""
MAX_EXPIRES_S = 7 * 86_400
"""A registrar that wants a longer registration (423) is not followed; one that grants more is refreshed as for this."""
MAX_RETRY_AFTER_S = 3600.0
"""A longer Retry-After counts as this."""
MAX_DOUBLINGS = 6
AT_ONCE = 0.0
"""A time that has passed already."""
MAX_INTERVAL_TRIES = 2
"""How often in a row a 423 is followed at once; then it is a failure."""


class State(Enum):
    TRYING = "a REGISTER is under way, and we are not known there yet"
    REGISTERED = "known there until the grant runs out"
    REFRESHING = "known there, and a further REGISTER is under way"
    WAITING = "not known there; the next try follows after a wait"
    LEAVING = "the binding is being taken back"
    GONE = "nothing more is sent"


class Input(Enum):
    DUE = "the time of the next REGISTER has come"
    GRANTED = "200"
    REFUSED = "any other final response, or none"
    LEAVE = "the registration is not wanted any more"


MOVES: dict[tuple[State, Input], State] = {
    (State.TRYING, Input.GRANTED): State.REGISTERED,
    (State.TRYING, Input.REFUSED): State.WAITING,
    (State.TRYING, Input.LEAVE): State.LEAVING,
    (State.REGISTERED, Input.DUE): State.REFRESHING,
    (State.REGISTERED, Input.LEAVE): State.LEAVING,
    (State.REFRESHING, Input.GRANTED): State.REGISTERED,
    (State.REFRESHING, Input.REFUSED): State.WAITING,
    (State.REFRESHING, Input.LEAVE): State.LEAVING,
    (State.WAITING, Input.DUE): State.TRYING,
    (State.WAITING, Input.LEAVE): State.GONE,
    (State.LEAVING, Input.DUE): State.LEAVING,
    (State.LEAVING, Input.GRANTED): State.GONE,
    (State.LEAVING, Input.REFUSED): State.GONE,
}


class Registrations:
    """Every registration of ours. `on_peers` whenever the peers have changed."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._clients: dict[str, RegistrationClient] = {}

    @property
    def is_leaving(self) -> bool:
        """A binding is being taken back."""
        return any(client.state is State.LEAVING for client in self._clients.values())

    def on_peers(self, peers: Peers) -> None:
        """Begin what is new, leave what is gone, and let what is unchanged go on."""
        wanted = {peer.name: peer for peer in peers if peer.registration is not None}
        for name, client in list(self._clients.items()):
            peer = wanted.get(name)
            if peer is None or not client.is_of(peer):
                client.leave()
                del self._clients[name]
                if client.state is State.LEAVING:
                    self._clients[f"{name} {self._core.token()}"] = client
            elif client.peer != peer:
                client.peer = peer
        for name, peer in wanted.items():
            if name not in self._clients:
                self._clients[name] = RegistrationClient(self._core, peer, self._forget)

    def leave_all(self) -> None:
        """Take every binding back: the node stops."""
        for client in list(self._clients.values()):
            client.leave()

    def _forget(self, client: RegistrationClient) -> None:
        self._clients = {name: other for name, other in self._clients.items() if other is not client}


class RegistrationClient(Owner):
    """One address of record at one registrar. All its REGISTERs share a Call-ID, with rising CSeq (RFC 3261 §10.2).

    The first is sent when the timers are next let run out, which is at once."""

    def __init__(self, core: Core, peer: Peer, on_gone: Callable[[RegistrationClient], None]) -> None:
        assert peer.registration is not None
        self.peer = peer
        self.state = State.WAITING
        self._core = core
        self._registration: Registration = peer.registration
        self._on_gone = on_gone
        self._call_id = core.token()
        self._tag = core.token()
        self._timer = "register-" + core.token()
        self._cseq = 0
        self._expires_s = self._registration.expires_s
        self._contact = ""
        self._digests: list[DigestSession] = []
        self._exchange: Exchange | None = None
        self._failures = 0
        self._interval_tries = 0
        core.timed[self._timer] = self._on_timer
        core.timers.arm(self._timer, Timer.REGISTER, AT_ONCE)

    def is_of(self, peer: Peer) -> bool:
        """It goes on as this peer's: what is registered, and as whom, has not changed."""
        return peer.registration == self._registration and peer.credential == self.peer.credential

    # ---- what is asked of it

    def leave(self) -> None:
        """Take the binding back, if there may be one; nothing the second time."""
        if (self.state, Input.LEAVE) not in MOVES:
            return
        self.state = MOVES[(self.state, Input.LEAVE)]
        self._core.timers.disarm(self._timer)
        self._give_up_exchange()
        if self.state is State.LEAVING:
            # Its peer may be forgotten by now; the registrar will want to know that it is still us.
            self._core.former_peers[self.peer.name] = self.peer
            self._core.timers.arm(self._timer, Timer.REGISTER, AT_ONCE)
        else:
            self._gone()

    # ---- what comes of a REGISTER

    def on_sending(self, exchange: Exchange, request: Request, target: Target) -> None:
        is_secure = parse_uri(self._registration.registrar).scheme == "sips"
        self._contact = self._core.contact(
            self._registration.contact_user, target.transport, is_secure, target.listener
        )
        request.headers.add("Contact", f"<{self._contact}>")

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        if exchange is not self._exchange or response.status < 200:
            return
        self._exchange = None
        self._cseq = max(self._cseq, response.cseq[0])
        if response.status < 300:
            self._granted(now, response)
        elif response.status == 423 and self._takes_longer(now, response):
            return
        else:
            self._refused(now, told_status(response), _retry_after_s(response))

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        if exchange is self._exchange:
            self._exchange = None
            self._cseq = max(self._cseq, exchange.request.cseq[0])
            self._refused(now, "no response" if cause == "timeout" else "the registrar could not be reached", 0.0)

    def _granted(self, now: float, response: Response) -> None:
        self._failures = self._interval_tries = 0
        self.state = MOVES[(self.state, Input.GRANTED)]
        if self.state is State.GONE:
            self._gone()
            return
        granted_s = self._granted_s(response)
        self._core.timers.arm(self._timer, Timer.REGISTER, now + max(1.0, granted_s * REFRESH_SHARE))
        self._core.counters["sip.registrations_granted"] += 1
        self._core.events.append(RegistrationChanged(self.peer.name, "registered", granted_s))

    def _granted_s(self, response: Response) -> int:
        """RFC 3261 §10.2.4: the expires of our own Contact among those it has, else Expires, else what we asked for."""
        try:
            for value in response.headers.get_list("Contact"):
                contact = parse_name_addr(value)
                if _is_same(contact.uri, self._contact) and contact.params.get("expires"):
                    return min(parse_number(contact.params["expires"] or "", 2**32 - 1, "expires"), MAX_EXPIRES_S)
            expires = response.headers.get("Expires")
            if expires is not None:
                return min(parse_number(expires, 2**32 - 1, "Expires"), MAX_EXPIRES_S)
        except RemoteProtocolError:
            self._core.counters["sip.registrations_odd"] += 1
        return self._expires_s

    def _takes_longer(self, now: float, response: Response) -> bool:
        """RFC 3261 §10.2.8: 423 names the least that the registrar grants; it is asked for at once."""
        try:
            least_s = parse_number(response.headers.get("Min-Expires") or "", 2**32 - 1, "Min-Expires")
        except RemoteProtocolError:
            return False
        self._interval_tries += 1
        if not self._expires_s < least_s <= MAX_EXPIRES_S or self._interval_tries > MAX_INTERVAL_TRIES:
            return False
        if self.state is State.LEAVING:
            return False
        self._expires_s = least_s
        self._send(now, least_s)
        return True

    def _refused(self, now: float, reason: str, retry_after_s: float) -> None:
        self.state = MOVES[(self.state, Input.REFUSED)]
        self._interval_tries = 0
        if self.state is State.GONE:
            self._gone()
            return
        wait_s = max(self._wait_s(), min(retry_after_s, MAX_RETRY_AFTER_S))
        self._failures += 1
        self._core.timers.arm(self._timer, Timer.REGISTER, now + wait_s)
        self._core.counters["sip.registrations_refused"] += 1
        self._core.events.append(
            RegistrationChanged(self.peer.name, "failed", reason=reason, retry_in_s=round(wait_s, 1))
        )

    def _wait_s(self) -> float:
        """RFC 5626 §4.5: from a half to the whole of what doubles with each failure, so that nobody asks in step."""
        whole_s = min(MAX_WAIT_S, BASE_WAIT_S * 2 ** min(self._failures, MAX_DOUBLINGS))
        return float(whole_s * (1 + self._core.chance()) / 2)

    def _gone(self) -> None:
        self._core.timers.disarm(self._timer)
        self._core.timed.pop(self._timer, None)
        if self._core.former_peers.get(self.peer.name) is self.peer:
            del self._core.former_peers[self.peer.name]
        self._core.events.append(RegistrationChanged(self.peer.name, "unregistered"))
        self._on_gone(self)

    # ---- sending

    def _on_timer(self, now: float, timer: Timer) -> None:
        self.state = MOVES[(self.state, Input.DUE)]
        self._send(now, 0 if self.state is State.LEAVING else self._expires_s)

    def _send(self, now: float, expires_s: int) -> None:
        self._cseq += 1
        aor = self._registration.aor
        headers = Headers.of_canonical(
            [
                ("Max-Forwards", "70"),
                ("From", f"<{aor}>;tag={self._tag}"),
                ("To", f"<{aor}>"),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._cseq} REGISTER"),
                ("Expires", str(expires_s)),
                *self._core.capabilities(),
            ]
        )
        request = Request("REGISTER", self._registration.registrar, headers)
        try:
            hop = self._core.hop_of(parse_uri(self._registration.registrar))
        except RemoteProtocolError as error:
            self._refused(now, str(error), 0.0)
            return
        # It is known before anything can come of it: a target that cannot be reached may be told at once.
        self._exchange = exchange = self._core.exchanges.prepare(
            request, self, peer=self.peer.name, digests=self._digests
        )
        self._core.exchanges.send(now, exchange, hop)

    def _give_up_exchange(self) -> None:
        if self._exchange is not None:
            self._exchange.is_over = True
            self._exchange = None


def _is_same(ours: str, theirs: str) -> bool:
    """RFC 3261 §19.1.4, as far as our own Contact goes: scheme, user, host and port."""
    try:
        one, other = parse_uri(ours), parse_uri(theirs)
    except RemoteProtocolError:
        return False
    return (one.scheme, one.user_text, one.host.lower(), one.host_port[1]) == (
        other.scheme,
        other.user_text,
        other.host.lower(),
        other.host_port[1],
    )


def _retry_after_s(response: Response) -> float:
    """RFC 3261 §20.33: seconds, perhaps with a comment and parameters; 0 when there is none that can be read."""
    text = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
