"""The asyncio shell around `endpoint`: it reads sockets, hands out events, writes, and arms one timer.

Calls are named by handles. `on_event` is called in the loop, and may give commands at once. Leaves out: everything that
is decided; see `endpoint`.
"""

import asyncio
import ipaddress
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from longline.sip.auth import TrunkCredential
from longline.sip.bindings import Binding
from longline.sip.core import DEFAULT_MAX_CALLS, DEFAULT_MAX_TRANSACTIONS, EndpointSettings
from longline.sip.default_deny import AdmissionPolicy
from longline.sip.endpoint import Endpoint
from longline.sip.events import SipEvent
from longline.sip.locate import Place, family_of
from longline.sip.peers import Peers
from longline.sip.timers import Durations
from longline.sip.transport.resolver import Resolver
from longline.sip.transport.tcp import TcpTransport
from longline.sip.transport.udp import UdpTransport
from longline.sip.uac import Invitation
from longline.sip.wire import Hop, Source, Target, Transmit

__all__ = ["TrunkCredential", "UserAgent", "UserAgentSettings"]

_PORT_TRIES = 16
"""How often a free port is looked for that both UDP and TCP can have."""

_T = TypeVar("_T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UserAgentSettings:
    """`listen` is bound for UDP and TCP; port 0 takes a free one. `advertise` is what peers are told instead: a host,
    host:port, or both as a pair. `product` is told as User-Agent with our requests; None tells nothing."""

    listen: tuple[str, int] = ("127.0.0.1", 5060)
    advertise: str | tuple[str, int | None] | None = None
    credentials: Sequence[TrunkCredential] = ()
    durations: Durations = field(default_factory=Durations)
    max_calls: int = DEFAULT_MAX_CALLS
    max_transactions: int = DEFAULT_MAX_TRANSACTIONS
    product: str | None = None
    admission: AdmissionPolicy | None = None
    """Who is let in; None: everybody."""


class UserAgent:
    """`invite` and `IncomingCall` give a handle; a command for a call that is over already does nothing."""

    def __init__(self, settings: UserAgentSettings, on_event: Callable[[SipEvent], None]) -> None:
        self._settings = settings
        self._on_event = on_event
        self._shell_counters: Counter[str] = Counter()
        self._endpoint: Endpoint | None = None
        self._udp: UdpTransport | None = None
        self._tcp: TcpTransport | None = None
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resolver = Resolver(self._shell_counters)
        self._tasks: set[asyncio.Task[list[Place]]] = set()
        self._driving = False
        self._address = settings.listen

    @property
    def address(self) -> tuple[str, int]:
        """Where we listen, once started."""
        return self._address

    @property
    def counters(self) -> dict[str, int]:
        """What was counted since the start, by name."""
        stack = self._endpoint.counters if self._endpoint else {}
        return stack | dict(self._shell_counters)

    @property
    def calls(self) -> int:
        """Calls in progress, by the stack's own table."""
        return self._endpoint.calls if self._endpoint else 0

    async def start(self) -> None:
        """Bind both sockets; OSError when that cannot be."""
        self._loop = asyncio.get_running_loop()
        host, port = self._settings.listen
        for attempt in range(_PORT_TRIES):
            udp = UdpTransport(self._receive, self._failed, self._shell_counters)
            tcp = TcpTransport(self._receive, self._connection_lost, self._failed, self._shell_counters)
            bound = await udp.open(host, port)
            try:
                await tcp.open(host, bound[1])
            except OSError:
                udp.close()
                if port != 0 or attempt == _PORT_TRIES - 1:
                    raise
                continue
            self._udp, self._tcp, self._address = udp, tcp, bound
            break
        told_host, told_port = told_address(self._settings.advertise, self._address)
        settings = EndpointSettings(
            host=told_host,
            port=told_port,
            credentials=tuple(self._settings.credentials),
            durations=self._settings.durations,
            max_transactions=self._settings.max_transactions,
            max_calls=self._settings.max_calls,
            product=self._settings.product,
            admission=self._settings.admission,
        )
        self._endpoint = Endpoint(settings, lambda: secrets.token_hex(8))

    async def stop(self) -> None:
        """Close the sockets. Calls are not ended: whoever owns them does that before."""
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        self._resolver.close()
        if self._tcp is not None:
            await self._tcp.close()
        if self._udp is not None:
            self._udp.close()
        self._udp = self._tcp = None

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
    ) -> str:
        """Call `target` (a SIP URI, `;transport=tcp` for TCP), through `route` (the URI of a trunk) when given;
        `peer` names whom we call, if we know him.

        Returns the handle. LocalProtocolError when the target cannot be called from here."""
        invitation = Invitation(target, from_uri, to_uri, sdp, route, display_name, tuple(headers), peer)
        return self._command(lambda endpoint, now: endpoint.invite(now, invitation))

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
        return self._command(
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

    def restore_bindings(self, account: str, bindings: Iterable[dict[str, Any]]) -> None:
        """Take back what `BindingsChanged` told; KeyError, TypeError on anything else."""
        self._command(lambda endpoint, now: endpoint.restore_bindings(now, account, bindings))

    def snapshot(self, handle: str) -> dict[str, Any]:
        """An answered call as JSON types; `restore` on another node goes on with it."""
        return self._command(lambda endpoint, now: endpoint.snapshot(handle))

    def restore(self, snapshot: dict[str, Any]) -> str:
        return self._command(lambda endpoint, now: endpoint.restore(snapshot))

    def _command(self, command: Callable[[Endpoint, float], _T]) -> _T:
        if self._endpoint is None:
            raise RuntimeError("the user agent has not been started")
        try:
            return command(self._endpoint, self._now())
        finally:
            self._drive()

    # ---- the shell: read, drain events, write, arm the timer

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _receive(self, source: Source, data: bytes) -> None:
        self._guarded(lambda endpoint: endpoint.receive(self._now(), source, data))

    def _failed(self, transaction: str | None) -> None:
        if transaction is not None:
            self._guarded(lambda endpoint: endpoint.transport_failed(self._now(), transaction))

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
                    self._send(transmit)
                if (hop := endpoint.poll_lookup()) is not None:
                    self._look_up(hop)
                    continue
                event = endpoint.poll_event()
                if event is None:
                    break
                try:
                    self._on_event(event)
                except Exception:
                    self._shell_counters["sip.handler_errors"] += 1
                    log.exception("the handler of a SIP event failed", sip_event=type(event).__name__)
        finally:
            self._driving = False
        self._arm(endpoint)

    def _send(self, transmit: Transmit) -> None:
        transport = self._udp if transmit.target.transport == "UDP" else self._tcp
        if transport is not None:
            transport.send(transmit)

    def _look_up(self, hop: Hop) -> None:
        ways = self._ways()
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

    def _ways(self) -> list[tuple[str, int]]:
        family = family_of(self._address[0])
        return [("UDP", family), ("TCP", family)]

    def _arm(self, endpoint: Endpoint) -> None:
        at = endpoint.next_timeout()
        if self._timer is not None:
            if at == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None and self._udp is not None and self._loop is not None:
            # What uvloop gives for a time that has passed already does not tell when it is due: we keep that ourselves.
            self._timer, self._timer_at = self._loop.call_at(at, self._on_timer), at


def told_address(advertise: str | tuple[str, int | None] | None, bound: tuple[str, int]) -> tuple[str, int]:
    """What peers are told: `advertise` if given, else what was bound, or for a wildcard our address toward others."""
    host: str | None
    port: int | None
    if isinstance(advertise, str):
        host, port = _split_host_port(advertise)
    elif advertise is not None:
        host, port = advertise
    else:
        host, port = bound[0], None
        if ipaddress.ip_address(host).is_unspecified:
            host = _address_toward_others(host)
    return host, port or bound[1]


def _split_host_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest[1:]) if rest.startswith(":") else None
    host, colon, port = text.rpartition(":")
    if not colon or ":" in host:
        return text, None
    return host, int(port)


def _address_toward_others(wildcard: str) -> str:
    """The address our packets leave from; nothing is sent. The loopback address when there is no way out."""
    family, probe, loopback = (
        (socket.AF_INET6, "2001:db8::1", "::1") if ":" in wildcard else (socket.AF_INET, "192.0.2.1", "127.0.0.1")
    )
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((probe, 9))
            return str(sock.getsockname()[0])
    except OSError:
        return loopback
