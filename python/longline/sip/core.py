"""What all features of the user agent core share: settings, calls and dialogs, queues, counters and ways to send.

`exchange` carries requests of ours, `uac` makes calls, `uas` takes requests in; each further feature is a file that
enters its methods, option tags and timers in the tables here. `endpoint` is the five verbs around them. Randomness
comes from the injected `token`. Leaves out: decisions.
"""

import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from longline.base.errors import RemoteProtocolError
from longline.sip.access.admission import Admission, Open
from longline.sip.access.auth import DigestSession, TrunkCredential
from longline.sip.access.bindings import Bindings
from longline.sip.access.bounded import BoundedTable
from longline.sip.access.default_deny import AdmissionPolicy
from longline.sip.access.peers import Peer, Peers
from longline.sip.access.whereabouts import Whereabouts
from longline.sip.dialog import Dialog
from longline.sip.events import Ended, SipEvent
from longline.sip.exchange import Exchanges, over_connection
from longline.sip.ledger import Ledger
from longline.sip.resting import Resting
from longline.sip.syntax.build import response_to
from longline.sip.syntax.message import Request
from longline.sip.syntax.size import UDP_MAX_BYTES, Size
from longline.sip.syntax.uri import SipUri, bare_host, parse_uri
from longline.sip.timers import Durations, Timer, TimerQueue
from longline.sip.transaction_layer import MAGIC_COOKIE, ServerTransaction, TransactionLayer
from longline.sip.usage import InviteUsage, Stage
from longline.sip.wire import Hop, Listener, Target, Transmit, is_address, target_of_address

DEFAULT_TRANSPORTS = frozenset(("UDP", "TCP"))
DEFAULT_MAX_TRANSACTIONS = 20_000
DEFAULT_MAX_CALLS = 4_000
RETRY_AFTER_S = 5
"""What a peer is told when a table is full."""
MAX_LOOKUPS = 1000
"""Names that are being looked up at once; a request to one more fails at once (counter `sip.lookups_refused`)."""

MAX_ADDRESSES = 4096
"""Names whose addresses are remembered, to know who speaks for them; the oldest goes (`sip.addresses_forgotten`)."""

Located = Callable[[float, Sequence[Target]], None]
"""What goes on once a name has been looked up; no targets: it leads nowhere."""
Within = Callable[[float, InviteUsage, ServerTransaction, Request], None]
"""Takes a request within a dialog."""
Outside = Callable[[float, ServerTransaction, Request], None]
"""Takes a request that begins something."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """`listeners` are our sockets, the preferred first; without any, `host` and `port` are what peers reach us at by
    every transport. `route(transport, host)` tells which of several listeners has the way to an address.

    `max_transactions` and `max_calls` bound the tables; a request over them gets 503 with Retry-After (counter
    `sip.overload`). `product` is told as User-Agent with our requests; None keeps it out. No response names it."""

    host: str = "127.0.0.1"
    port: int = 5060
    credentials: Sequence[TrunkCredential] = ()
    durations: Durations = field(default_factory=Durations)
    max_transactions: int = DEFAULT_MAX_TRANSACTIONS
    max_calls: int = DEFAULT_MAX_CALLS
    product: str | None = None
    transports: frozenset[str] = DEFAULT_TRANSPORTS
    """What we can send over: UDP, TCP, TLS."""
    session_expires_s: int = 1800
    """The session interval we ask for (RFC 4028); 0: none, unless the peer wants one."""
    min_session_expires_s: int = 90
    """The shortest that we take."""
    udp_max_bytes: int = UDP_MAX_BYTES
    """Larger requests go over TCP (RFC 3261 §18.1.1); 0 for no limit."""
    admission: AdmissionPolicy | None = None
    """Who is let in; None: everybody, and nobody can register."""
    keeps_bindings: bool = False
    """Somebody stores where phones have registered, and says so by `bindings_kept`."""
    keeps_dialogs: bool = False
    """Tell what must be stored before what is sent: `Endpoint.poll_change`."""
    listeners: Sequence[Listener] = ()
    route: Callable[[str, str], int | None] = lambda transport, host: None


class Core:
    """`within` and `outside` are the methods we do, `option_tags` the extensions we support (RFC 3261 §19.2), and
    `usage_timers` what is done when a timer of a call is due. `timed` is for owners of timers that are no calls."""

    def __init__(self, settings: EndpointSettings, token: Callable[[], str]) -> None:
        self.settings = settings
        self.token = token
        self.counters: Counter[str] = Counter()
        self.timers = TimerQueue()
        self.layer = TransactionLayer(settings.durations, settings.max_transactions, self.counters, self.timers)
        self.events: deque[SipEvent] = deque()
        self.usages: dict[str, InviteUsage] = {}
        self.dialogs: dict[tuple[str, str, str | None], InviteUsage] = {}
        self.exchanges = Exchanges(self)
        self.resting = Resting(self.counters)
        self.size = Size(settings.udp_max_bytes, settings.transports, self.counters)
        self.peers = Peers()
        self.whereabouts = Whereabouts()
        self.former_peers: dict[str, Peer] = {}
        """Peers that are gone, while something is still to be told to them."""
        self.admission: Admission = Open()
        named = settings.admission.domains if settings.admission is not None else ()
        told = [(listener.host, listener.port) for listener in settings.listeners] or [(settings.host, settings.port)]
        self.domains = frozenset(name.lower() for name in named or (host for host, _ in told))
        """The names that phones know us by."""
        self._ports = frozenset((None, *(port for _, port in told)))
        self.bindings = Bindings()
        """Where phones have registered."""
        self.channels: Counter[str] = Counter()
        """Calls that are not over, by the name of their peer."""
        self.within: dict[str, Within] = {}
        self.outside: dict[str, Outside] = {}
        self.option_tags: list[str] = []
        self.usage_timers: dict[Timer, Callable[[float, InviteUsage], None]] = {}
        self.timed: dict[str, Callable[[float, Timer], None]] = {}
        self.moving_timers: list[Timer] = []
        """Timers of a call that move with its dialog (`snapshot`)."""
        self.ledger = Ledger(self, settings.keeps_dialogs)
        self.lookups: deque[Hop] = deque()
        self._looked_up: dict[Hop, list[Located]] = {}
        self._addresses: BoundedTable[str, frozenset[str]] = BoundedTable(
            MAX_ADDRESSES, self.counters, "sip.addresses_forgotten"
        )

    @property
    def allow(self) -> str:
        """The methods we do, for Allow (RFC 3261 §20.5)."""
        return ", ".join(dict.fromkeys(("INVITE", "ACK", "CANCEL", *self.within, *self.outside)))

    def capabilities(self) -> list[tuple[str, str]]:
        """Allow and Supported, for whoever wants to know what we can do."""
        supported = [("Supported", ", ".join(self.option_tags))] if self.option_tags else []
        return [("Allow", self.allow), *supported]

    def host_port(self, listener: int | None) -> str:
        """Where peers reach us, by this socket of ours."""
        settings = self.settings
        if listener is None and not settings.listeners:
            return Listener("", 4, settings.host, settings.port).host_port
        return settings.listeners[listener or 0].host_port

    @property
    def is_full(self) -> bool:
        return len(self.usages) >= self.settings.max_calls

    def contact(self, user: str | None, transport: str, secure: bool = False, listener: int | None = None) -> str:
        """Our Contact URI for one call, at a socket of ours; sips where the call is (RFC 3261 §12.1.1)."""
        scheme = "sips" if secure else "sip"
        suffix = "" if transport == "UDP" or secure else f";transport={transport.lower()}"
        return f"{scheme}:{f'{user}@' if user else ''}{self.host_port(listener)}{suffix}"

    def usage_of(self, handle: str) -> InviteUsage | None:
        """The call of a command, or None (counted) when it is over: the peer may have ended it a moment ago."""
        usage = self.usages.get(handle)
        if usage is None or usage.stage is Stage.ENDED:
            self.counters["sip.stale_commands"] += 1
            return None
        return usage

    def add(self, usage: InviteUsage) -> None:
        self.usages[usage.handle] = usage
        if usage.dialog.peer is not None:
            self.channels[usage.dialog.peer] += 1
            usage.channel = usage.dialog.peer

    def index(self, usage: InviteUsage) -> None:
        """Let requests find the call by its dialog, and no more by the early ones."""
        self.unindex_early(usage)
        self.dialogs[usage.dialog.id] = usage

    def unindex_early(self, usage: InviteUsage) -> None:
        for early in usage.early.values():
            if early is not usage.dialog and self.dialogs.get(early.id) is usage:
                del self.dialogs[early.id]

    def remove(self, usage: InviteUsage) -> None:
        """Forget a call: nothing can come for it any more, but for its subscriptions."""
        self.usages.pop(usage.handle, None)
        self.ledger.forget(usage)
        self.unindex_early(usage)
        self.timers.disarm(usage.handle)
        self._unindex(usage)

    def subscribe(self, usage: InviteUsage, subscription: str) -> None:
        """From now on the dialog is known, even when its call is over, until `unsubscribe`."""
        usage.subscriptions.append(subscription)

    def unsubscribe(self, usage: InviteUsage, subscription: str) -> None:
        usage.subscriptions.remove(subscription)
        self.timers.disarm(subscription)
        if usage.handle not in self.usages:
            self._unindex(usage)

    def _unindex(self, usage: InviteUsage) -> None:
        if not usage.subscriptions and self.dialogs.get(usage.dialog.id) is usage:
            del self.dialogs[usage.dialog.id]
        self._free_channel(usage)

    def _free_channel(self, usage: InviteUsage) -> None:
        if usage.channel is not None:
            self.channels[usage.channel] -= 1
            if not self.channels[usage.channel]:
                del self.channels[usage.channel]
            usage.channel = None

    def end(self, usage: InviteUsage, by: str, cause: str) -> None:
        """The call is over for the user."""
        usage.stage = Stage.ENDED
        self.timers.disarm(usage.handle)
        self._free_channel(usage)
        self.events.append(Ended(usage.handle, by, cause))

    def refuse_pending(self, now: float, usage: InviteUsage) -> None:
        """RFC 3261 §15.1.2: what the peer still asks in a dialog that ends gets 487."""
        reinvite = usage.reinvite
        open_invite = reinvite.transaction if reinvite is not None and not reinvite.answered else None
        for transaction in (open_invite, usage.asked):
            if transaction is not None:
                self.layer.respond(now, transaction, response_to(transaction.request, 487))
        usage.forget_reinvite()
        usage.asked = None

    def after(self, now: float, delay_s: float, then: Callable[[float], None]) -> None:
        """Do something later, once; whoever asks checks then whether it is still wanted."""
        owner = f"a|{self.token()}"

        def run(now: float, timer: Timer) -> None:
            del self.timed[owner]
            then(now)

        self.timed[owner] = run
        self.timers.arm(owner, Timer.SILENCE, now + delay_s)

    # ---- where to

    def locate(self, now: float, hop: Hop, then: Located) -> None:
        """Find the targets of a hop: at once when its host is an address, else when `located` is called."""
        if is_address(hop.host):
            then(now, [self.reach(target_of_address(hop))])
        elif hop in self._looked_up:
            self._looked_up[hop].append(then)
        elif len(self._looked_up) >= MAX_LOOKUPS:
            self.counters["sip.lookups_refused"] += 1
            then(now, [])
        else:
            self._looked_up[hop] = [then]
            self.lookups.append(hop)

    def located(self, now: float, hop: Hop, targets: Sequence[Target]) -> None:
        """The answer to a look-up; no targets when there is nothing at that name."""
        if targets:
            addresses = frozenset(target.host for target in targets)
            self._addresses.put(hop.host.lower(), addresses)
            self.whereabouts.found(hop.host, addresses)
        usable = [self.reach(target) for target in targets if target.transport in self.settings.transports]
        for then in self._looked_up.pop(hop, ()):
            then(now, usable)

    def addresses_of(self, name: str) -> frozenset[str]:
        """Where a host was found when it was looked up last; nothing when it never was."""
        return self._addresses.get(name.lower()) or frozenset()

    def is_own(self, uri: SipUri) -> bool:
        """Whether a URI leads to us: one of our domains, and no port but ours."""
        return uri.host.strip("[]").lower() in self.domains and uri.port in self._ports

    def account_of(self, uri: SipUri) -> Peer | None:
        """Whose address of record a URI is: a name that somebody logs in with, at one of our domains."""
        if not self.is_own(uri):
            return None
        found = self.peers.of_user(uri.user_text)
        return found[0] if found is not None else None

    def locate_dialog(self, now: float, dialog: Dialog, then: Located) -> None:
        """Find where the next request of a dialog goes. It keeps its connection for as long as that lives."""
        if dialog.behind_nat and not dialog.route_set:
            target = Target(dialog.transport, dialog.remote_host, dialog.remote_port, dialog.connection)
            then(now, [self.reach(target, dialog)])
            return
        hop = self.hop_of(dialog.next_hop(), dialog.transport or None)

        def located(now: float, targets: Sequence[Target]) -> None:
            reached = [_as_proven(self.reach(target, dialog), dialog) for target in targets]
            then(now, over_connection(reached, dialog.transport, dialog.connection))

        self.locate(now, hop, located)

    def reach(self, target: Target, dialog: Dialog | None = None) -> Target:
        """The target with the socket of ours that it is sent from: that of the dialog, if it has the way."""
        listeners = self.settings.listeners
        family = 6 if ":" in target.host else 4
        ways = [
            number
            for number, listener in enumerate(listeners)
            if (listener.transport, listener.family) == (target.transport, family)
        ]
        if not ways:
            return target
        number = ways[0]
        if dialog is not None and dialog.listener in ways:
            number = dialog.listener
        elif len(ways) > 1:
            route = self.settings.route(target.transport, target.host)
            number = route if route in ways else number
        return replace(target, listener=number)

    def hop_of(self, uri: SipUri, transport: str | None = None) -> Hop:
        """Where a URI leads; `transport` is taken when it names none. RemoteProtocolError(416) when we cannot go."""
        secure = uri.scheme == "sips"
        wanted = uri.transport if uri.param("transport") else transport
        if secure:
            wanted = "TLS"  # RFC 3261 §26.2.2: every hop of sips is TLS
        if wanted is not None and wanted not in self.settings.transports:
            raise RemoteProtocolError(f"transport {wanted} is not supported", 416)
        return Hop(bare_host(uri.host), uri.port, wanted, secure)

    # ---- sending

    def add_via(self, request: Request, target: Target, branch: str | None = None) -> None:
        """A Via of our own on top, and our name if we have one."""
        request.headers.push("Via", self._via(target, branch or MAGIC_COOKIE + self.token()))
        if self.settings.product:
            request.headers.add("User-Agent", self.settings.product)

    def replace_via(self, request: Request, target: Target) -> None:
        """Another Via instead of ours: it goes somewhere else after all."""
        request.headers.remove("Via")
        request.headers.push("Via", self._via(target, MAGIC_COOKIE + self.token()))

    def _via(self, target: Target, branch: str) -> str:
        return f"SIP/2.0/{target.transport} {self.host_port(target.listener)};branch={branch};rport"

    def authorize(
        self, request: Request, digests: Sequence[DigestSession], peer: str | None, trunk: str | None
    ) -> None:
        """Answer the challenges that were met before, with a fresh nonce count."""
        for session in digests:
            credential = next((c for c in self.credentials_of(peer, trunk) if c.fits(session.realm)), None)
            if credential is not None:
                name, value = session.authorize(credential, request.method, request.uri, request.body, self.token())
                request.headers.add(name, value)

    def credentials_of(self, peer: str | None, trunk: str | None) -> Sequence[TrunkCredential]:
        """What may be told to this peer, or to the host of this trunk. Nobody else is told anything."""
        known = self.former_peers.get(peer or "") or self.peers.get(peer)
        if known is not None:
            return [known.credential] if known.credential is not None else []
        return [c for c in self.settings.credentials if trunk is not None and c.host.lower() == trunk.lower()]

    def trunk_of(self, uri: str) -> str | None:
        """The host of a URI, when credentials are configured for it."""
        host = parse_uri(uri).host.lower()
        return host if any(c.host.lower() == host for c in self.settings.credentials) else None

    def fraction(self) -> float:
        """A random number from 0 up to 1."""
        return zlib.crc32(self.token().encode()) / 2**32

    def chance(self) -> float:
        """A number from 0 up to 1."""
        return zlib.crc32(self.token().encode()) / 2**32

    def retry_delay(self) -> int:
        """RFC 3261 §14.2: a random number of seconds from 0 to 10."""
        return int(self.fraction() * 11)

    def poll_transmit(self) -> Transmit | None:
        transmits = self.layer.transmits
        if not transmits:
            return None
        transmit = transmits.popleft()
        self.ledger.reveal(transmit.handle)
        return transmit


def _as_proven(target: Target, dialog: Dialog) -> Target:
    """Where a far end that has proven its name tells us to go to an address, it has to prove the same name there: a
    Contact of a carrier is an address more often than not, and no certificate is of one."""
    if target.transport == "TLS" and dialog.server_name is not None and is_address(target.server_name or ""):
        return replace(target, server_name=dialog.server_name)
    return target
