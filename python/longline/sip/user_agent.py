"""The asyncio shell around `endpoint`: it reads sockets, hands out events, writes, and arms one timer.

Calls are named by handles. `on_event` is called in the loop, and may give commands at once. Leaves out: everything that
is decided; see `endpoint`.
"""

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from longline.base.errors import RemoteProtocolError
from longline.sip.access.auth import TrunkCredential
from longline.sip.access.bindings import Binding
from longline.sip.access.default_deny import AdmissionPolicy
from longline.sip.access.peers import Peers
from longline.sip.core import DEFAULT_MAX_CALLS, DEFAULT_MAX_TRANSACTIONS, EndpointSettings
from longline.sip.dialog_store import DialogStore
from longline.sip.endpoint import Endpoint
from longline.sip.events import SipEvent
from longline.sip.features.redirect import MayFollow
from longline.sip.locate import Place, family_of
from longline.sip.outbox import Outbox
from longline.sip.syntax.size import UDP_MAX_BYTES
from longline.sip.timers import Durations
from longline.sip.transport.addresses import AdvertisedAddress, ListenAddress
from longline.sip.transport.resolver import Resolver
from longline.sip.transport.sockets import Sockets
from longline.sip.transport.tls import TlsContexts, TlsSettings
from longline.sip.uac import Invitation
from longline.sip.wire import Hop, Listener, Source, Target, Transmit

__all__ = ["AdvertisedAddress", "ListenAddress", "TlsSettings", "TrunkCredential", "UserAgent", "UserAgentSettings"]

TLS_REFRESH_S = 10.0
"""How often the TLS files are looked at."""

LEAVE_GRACE_S = 2.0
"""How long a node that stops waits for registrars to take our bindings back."""

QUIET_S = 4.0
"""How long `settle` waits for peers of whom nothing comes: a BYE is sent four times in it."""
_LOOK_AGAIN_S = 0.05

_T = TypeVar("_T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UserAgentSettings:
    """`listen` is what is bound, the preferred first; `advertise` is what peers are told instead. TLS needs a
    certificate. `dns_servers` are asked instead of those of the system. Requests over `udp_max_bytes` go over TCP, 0
    for no limit. `product` is told as User-Agent with our requests; None tells nothing."""

    listen: Sequence[ListenAddress] = (ListenAddress("127.0.0.1", 5060),)
    advertise: Sequence[AdvertisedAddress] = ()
    tls: TlsSettings = field(default_factory=TlsSettings)
    dns_servers: Sequence[tuple[str, int]] = ()
    udp_max_bytes: int = UDP_MAX_BYTES
    credentials: Sequence[TrunkCredential] = ()
    durations: Durations = field(default_factory=Durations)
    max_calls: int = DEFAULT_MAX_CALLS
    max_transactions: int = DEFAULT_MAX_TRANSACTIONS
    product: str | None = None
    session_expires_s: int = 1800
    min_session_expires_s: int = 90
    """Session timers (RFC 4028); `session_expires_s` 0: we ask for none."""
    admission: AdmissionPolicy | None = None
    """Who is let in; None: everybody."""
    keeps_bindings: bool = False
    """Whoever takes the events stores registrations, and calls `bindings_kept`."""


class UserAgent:
    """`invite` and `IncomingCall` give a handle; a command for a call that is over already does nothing. With `dialogs`
    an answered call is stored before the message leaves that reveals its state."""

    def __init__(
        self,
        settings: UserAgentSettings,
        on_event: Callable[[SipEvent], None],
        dialogs: DialogStore | None = None,
    ) -> None:
        self._settings = settings
        self._on_event = on_event
        self._shell_counters: Counter[str] = Counter()
        self._endpoint: Endpoint | None = None
        self._sockets: Sockets | None = None
        self._contexts: TlsContexts | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resolver = Resolver(self._shell_counters, settings.dns_servers)
        self._tasks: set[asyncio.Task[list[Place]]] = set()
        self._driving = False
        self._telling = True
        self._left: asyncio.Event | None = None
        """Set when our registrations are taken back."""
        self._outbox = Outbox(dialogs, self._transmit, self._shell_counters) if dialogs is not None else None

    @property
    def address(self) -> tuple[str, int]:
        """Where we listen first, once started."""
        assert self._sockets is not None
        return self._sockets.bound[0]

    @property
    def listeners(self) -> Sequence[Listener]:
        """What peers are told of where we listen, once started."""
        return self._sockets.listeners if self._sockets is not None else ()

    @property
    def listening(self) -> list[tuple[str, str]]:
        """What was bound, for people: address and transports, such as ("127.0.0.1:5060", "UDP and TCP")."""
        transports: dict[tuple[str, int], list[str]] = {}
        for bound, listener in zip(self._sockets.bound, self._sockets.listeners, strict=True) if self._sockets else ():
            transports.setdefault(bound, []).append(listener.transport)
        return [(Listener("", 4, *bound).host_port, " and ".join(names)) for bound, names in transports.items()]

    @property
    def counters(self) -> dict[str, int]:
        """What was counted since the start, by name."""
        stack = self._endpoint.counters if self._endpoint else {}
        return stack | dict(self._shell_counters)

    @property
    def transactions(self) -> int:
        """Transactions in the table."""
        return self._endpoint.transactions if self._endpoint else 0

    @property
    def calls(self) -> int:
        """Calls in progress, by the stack's own table."""
        return self._endpoint.calls if self._endpoint else 0

    async def start(self) -> None:
        """Bind all sockets; OSError when one cannot be had, ConfigError for TLS files that are of no use."""
        self._loop = asyncio.get_running_loop()
        told = self._settings
        if any("TLS" in address.transports for address in told.listen):
            self._contexts = TlsContexts(told.tls, self._shell_counters)
            self._refreshing = self._loop.create_task(self._refresh_tls(self._contexts))
        sockets = Sockets(
            self._receive,
            self._connection_lost,
            self._failed,
            self._undelivered,
            self._sent,
            self._shell_counters,
            self._contexts,
        )
        await sockets.open(told.listen, told.advertise)
        self._sockets = sockets
        settings = EndpointSettings(
            credentials=tuple(told.credentials),
            durations=told.durations,
            max_transactions=told.max_transactions,
            max_calls=told.max_calls,
            product=told.product,
            session_expires_s=told.session_expires_s,
            min_session_expires_s=told.min_session_expires_s,
            admission=told.admission,
            keeps_bindings=told.keeps_bindings,
            keeps_dialogs=self._outbox is not None,
            transports=frozenset(transport for transport, _ in sockets.ways),
            listeners=tuple(sockets.listeners),
            udp_max_bytes=told.udp_max_bytes,
            route=sockets.route,
        )
        self._endpoint = Endpoint(settings, lambda: secrets.token_hex(8))

    async def leave_registrars(self) -> None:
        """Take our registrations back; returns when that is done, or a registrar has taken too long."""
        self._left = asyncio.Event()
        self._command(lambda endpoint, now: endpoint.leave_registrars())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._left.wait(), LEAVE_GRACE_S)

    async def settle(self, timeout_s: float) -> int:
        """Wait until every BYE has been answered, for one that was lost is sent again; how many calls are left. Peers
        are not waited for when none has answered for QUIET_S."""
        now, left = self._now(), self.calls
        deadline, quiet_at = now + timeout_s, now + QUIET_S
        while left and now < min(deadline, quiet_at):
            await asyncio.sleep(_LOOK_AGAIN_S)
            now = self._now()
            if self.calls < left:
                left, quiet_at = self.calls, now + QUIET_S
        return left

    async def stop(self) -> None:
        """Close the sockets. Calls are not ended: whoever owns them does that before."""
        if self._outbox is not None:
            await self._outbox.drain()
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._resolver.close()
        if self._sockets is not None:
            await self._sockets.close()
        self._sockets = None

    async def _refresh_tls(self, contexts: TlsContexts) -> None:
        while True:
            await asyncio.sleep(TLS_REFRESH_S)
            contexts.refresh()

    # ---- commands

    def invite(
        self,
        target: str,
        *,
        from_uri: str,
        to_uri: str | None = None,
        sdp: bytes | None = None,
        route: str | None = None,
        display_name: str = "",
        headers: Sequence[tuple[str, str]] = (),
        peer: str | None = None,
        may_follow: MayFollow | None = None,
        tells_silence: bool = False,
    ) -> str:
        """Call `target` (a SIP URI, `;transport=tcp` for TCP), through `route` (the URI of a trunk) when given;
        `peer` names whom we call, if we know him. `may_follow` says of each URI that a redirect names whether the call
        may go there; without it none is followed. `tells_silence`: `Unheard` is wanted.

        Returns the handle. LocalProtocolError when the target cannot be called from here."""
        invitation = Invitation(
            target, from_uri, to_uri, sdp, route, display_name, tuple(headers), peer, may_follow, tells_silence
        )
        return self._begin(lambda endpoint, now: endpoint.invite(now, invitation))

    async def family_toward(self, target: str) -> int | None:
        """The address family, 4 or 6, that a call to a SIP URI will take first: its media have to be of the same. None
        when that is no question, since we have but one, or no answer."""
        ways = self._sockets.ways if self._sockets is not None else ()
        if self._endpoint is None or len({family for _, family in ways}) < 2:
            return None
        try:
            hop = self._endpoint.first_hop(self._now(), target)
        except RemoteProtocolError:
            return None
        if hop is None:
            return None
        places = await self._resolver.locate(hop.host, hop.port, hop.transport, hop.secure, ways)
        return family_of(places[0].host) if places else None

    def ring(self, handle: str, sdp: bytes | None = None) -> None:
        """180, or 183 when there is early media."""
        self._command(lambda endpoint, now: endpoint.ring(now, handle, sdp))

    def answer(self, handle: str, sdp: bytes) -> None:
        """200 to an incoming call; to an outgoing one, the answer to the offer that came in its 200."""
        self._command(lambda endpoint, now: endpoint.answer(now, handle, sdp))

    def reject(
        self, handle: str, status: int, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Refuse an incoming call. No event follows."""
        self._command(lambda endpoint, now: endpoint.reject(now, handle, status, reason, list(headers)))

    def cancel(self, handle: str, reason: str | None = None) -> None:
        """Give up an outgoing call before its answer; Failed follows (cause canceled)."""
        self._command(lambda endpoint, now: endpoint.cancel(now, handle, reason))

    def bye(self, handle: str, reason: str | None = None) -> None:
        """End an answered call; `reason` becomes its Reason header. Ended follows at once."""
        self._command(lambda endpoint, now: endpoint.bye(now, handle, reason))

    def reoffer(self, handle: str, sdp: bytes, method: str | None = None) -> None:
        """Offer another session in mid-call; Reanswered or ReofferFailed follows."""
        self._command(lambda endpoint, now: endpoint.reoffer(now, handle, sdp, method))

    def info(self, handle: str, content_type: str, body: bytes) -> None:
        """Send an INFO in an answered call; InfoAnswered follows."""
        self._command(lambda endpoint, now: endpoint.info(now, handle, content_type, body))

    def reanswer(self, handle: str, sdp: bytes) -> None:
        """Accept a re-INVITE or UPDATE."""
        self._command(lambda endpoint, now: endpoint.reanswer(now, handle, sdp))

    def reject_reoffer(self, handle: str, status: int = 488, reason: str | None = None) -> None:
        """Refuse a re-INVITE or UPDATE; the session stays as it was."""
        self._command(lambda endpoint, now: endpoint.reject_reoffer(now, handle, status, reason))

    def refer(
        self,
        handle: str,
        refer_to: str | None = None,
        *,
        replaces: str | None = None,
        referred_by: str | None = None,
    ) -> str:
        """Ask the peer to call somebody, or to take our place in another call; returns the name of this reference."""
        return self._begin(
            lambda endpoint, now: endpoint.refer(now, handle, refer_to, replaces=replaces, referred_by=referred_by)
        )

    def accept_refer(self, referral: str) -> None:
        """202 to a REFER of the peer; `notify_refer` tells what comes of it."""
        self._command(lambda endpoint, now: endpoint.accept_refer(now, referral))

    def reject_refer(self, referral: str, status: int = 603, reason: str | None = None) -> None:
        """Refuse a REFER of the peer."""
        self._command(lambda endpoint, now: endpoint.reject_refer(now, referral, status, reason))

    def notify_refer(self, referral: str, status: int, reason: str | None = None) -> None:
        """How the call goes that a REFER asked for; a status from 200 is the last word."""
        self._command(lambda endpoint, now: endpoint.notify_refer(now, referral, status, reason))

    def set_peers(self, peers: Peers) -> None:
        """Whom we know from now on. Calls in progress go on."""
        self._command(lambda endpoint, now: endpoint.set_peers(peers))

    def bindings(self, account: str) -> tuple[Binding, ...]:
        """Where the peer of this name has registered, the most wanted first."""
        return self._command(lambda endpoint, now: endpoint.bindings(now, account))

    def bindings_kept(self, ticket: str) -> None:
        """What `BindingsChanged` told is stored, or could not be: the phone gets its answer."""
        self._command(lambda endpoint, now: endpoint.bindings_kept(now, ticket))

    def restore_bindings(self, account: str, bindings: Iterable[dict[str, Any]]) -> None:
        """Take back what `BindingsChanged` told; KeyError, TypeError on anything else."""
        self._command(lambda endpoint, now: endpoint.restore_bindings(now, account, bindings))

    def snapshot(self, handle: str) -> dict[str, Any]:
        """An answered call as JSON types; `restore` on another node goes on with it."""
        return self._command(lambda endpoint, now: endpoint.snapshot(now, handle, time.time()))

    def restore(self, snapshot: dict[str, Any]) -> str:
        """Go on with a call; returns its handle. ValueError for what is no snapshot, LocalProtocolError when the call
        is here already."""
        return self._command(lambda endpoint, now: endpoint.restore(now, snapshot, time.time()))

    def _command(self, command: Callable[[Endpoint, float], _T]) -> _T:
        if self._endpoint is None:
            raise RuntimeError("the user agent has not been started")
        try:
            return command(self._endpoint, self._now())
        finally:
            self._drive()

    def _begin(self, command: Callable[[Endpoint, float], str]) -> str:
        """A command that gives a handle: what happens at once is told when its caller knows the handle."""
        self._telling = False
        try:
            return self._command(command)
        finally:
            self._telling = True
            if self._loop is not None:
                self._loop.call_soon(self._drive)

    # ---- the shell: read, drain events, write, arm the timer

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _receive(self, source: Source, data: bytes) -> None:
        self._guarded(lambda endpoint: endpoint.receive(self._now(), source, data))

    def _failed(self, transaction: str | None) -> None:
        if transaction is not None:
            self._guarded(lambda endpoint: endpoint.transport_failed(self._now(), transaction))

    def _undelivered(self, quote: bytes) -> None:
        self._guarded(lambda endpoint: endpoint.datagram_undelivered(self._now(), quote))

    def _sent(self, transaction: str, connection: int) -> None:
        if self._endpoint is not None:
            self._endpoint.sent_over(transaction, connection)

    def _connection_lost(self, connection: int) -> None:
        self._guarded(lambda endpoint: endpoint.connection_lost(self._now(), connection))

    def _on_timer(self) -> None:
        self._timer = None
        self._guarded(lambda endpoint: endpoint.handle_timeout(self._now()))

    def _guarded(self, step: Callable[[Endpoint], None]) -> None:
        """A message must never end the loop, not even one that finds a bug of ours."""
        if self._endpoint is None:
            return
        try:
            step(self._endpoint)
        except Exception:
            self._shell_counters["sip.internal_errors"] += 1
            log.exception("the SIP stack failed on one input")
        self._drive()

    def _drive(self) -> None:
        """Send everything, then tell everything, until there is nothing of either."""
        endpoint = self._endpoint
        if endpoint is None or self._driving:
            return
        self._driving = True
        try:
            while True:
                while (transmit := endpoint.poll_transmit()) is not None:
                    self._keep(endpoint)
                    self._send(transmit)
                self._keep(endpoint)
                if (hop := endpoint.poll_lookup()) is not None:
                    self._look_up(hop)
                    continue
                event = endpoint.poll_event() if self._telling else None
                if event is None:
                    break
                try:
                    self._on_event(event)
                except Exception:
                    self._shell_counters["sip.handler_errors"] += 1
                    log.exception("the handler of a SIP event failed", sip_event=type(event).__name__)
        finally:
            self._driving = False
        if self._left is not None and not endpoint.is_leaving:
            self._left.set()
        self._arm(endpoint)

    def _keep(self, endpoint: Endpoint) -> None:
        """Have stored what the message that was polled last reveals."""
        while self._outbox is not None and (change := endpoint.poll_change()) is not None:
            if change.is_gone:
                self._outbox.delete(change.handle)
            else:
                self._outbox.save(change.handle, endpoint.snapshot(self._now(), change.handle, time.time()))

    def _send(self, transmit: Transmit) -> None:
        if self._outbox is not None:
            self._outbox.send(transmit)
        else:
            self._transmit(transmit)

    def _transmit(self, transmit: Transmit) -> None:
        if self._sockets is not None:
            self._sockets.send(transmit)

    def _look_up(self, hop: Hop) -> None:
        ways = self._sockets.ways if self._sockets is not None else ()
        known = self._resolver.known(hop.host, hop.port, hop.transport, hop.secure, ways)
        if known is not None:
            self._looked_up(hop, known)
            return
        task = asyncio.get_running_loop().create_task(
            self._resolver.locate(hop.host, hop.port, hop.transport, hop.secure, ways)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: None if done.cancelled() else self._looked_up(hop, done.result()))

    def _looked_up(self, hop: Hop, places: Sequence[Place]) -> None:
        targets = [Target(place.transport, place.host, place.port, server_name=hop.host) for place in places]
        self._guarded(lambda endpoint: endpoint.located(self._now(), hop, targets))

    def _arm(self, endpoint: Endpoint) -> None:
        at = endpoint.next_timeout()
        if self._timer is not None:
            if at == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None and self._sockets is not None and self._loop is not None:
            # What uvloop gives for a time that has passed already does not tell when it is due: we keep that ourselves.
            self._timer, self._timer_at = self._loop.call_at(at, self._on_timer), at
