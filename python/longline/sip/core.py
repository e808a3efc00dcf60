"""What both halves of the user agent core share: settings, calls and dialogs, queues, counters and ways to send.

`uac` makes requests, `uas` answers them, `endpoint` is the five verbs around all three. Randomness comes from the
injected `token`. Leaves out: decisions.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from longline.base.errors import RemoteProtocolError
from longline.sip.auth import DigestSession, TrunkCredential
from longline.sip.dialog import Dialog
from longline.sip.events import Ended, SipEvent
from longline.sip.message import Request, Response
from longline.sip.timers import Durations, TimerQueue
from longline.sip.transaction_layer import MAGIC_COOKIE, ClientTransaction, TransactionLayer
from longline.sip.uri import parse_uri
from longline.sip.usage import InviteUsage, Stage
from longline.sip.wire import Target, Transmit

TRANSPORTS = frozenset(("UDP", "TCP"))
DEFAULT_MAX_TRANSACTIONS = 20_000
DEFAULT_MAX_CALLS = 4_000
RETRY_AFTER_S = 5
"""What a peer is told when a table is full."""
MAX_AUTH_TRIES = 3
"""How often one request is sent again with credentials."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """`host` and `port` are what peers reach us at: they stand in Via and Contact.

    `max_transactions` and `max_calls` bound the tables; a request over them gets 503 with Retry-After (counter
    `sip.overload`). `product` is told as User-Agent and Server; None keeps both headers out."""

    host: str = "127.0.0.1"
    port: int = 5060
    credentials: Sequence[TrunkCredential] = ()
    durations: Durations = field(default_factory=Durations)
    max_transactions: int = DEFAULT_MAX_TRANSACTIONS
    max_calls: int = DEFAULT_MAX_CALLS
    product: str | None = None


class Core:
    def __init__(self, settings: EndpointSettings, token: Callable[[], str]) -> None:
        self.settings = settings
        self.token = token
        self.counters: Counter[str] = Counter()
        self.timers = TimerQueue()
        self.layer = TransactionLayer(settings.durations, settings.max_transactions, self.counters, self.timers)
        self.events: deque[SipEvent] = deque()
        self.usages: dict[str, InviteUsage] = {}
        self.dialogs: dict[tuple[str, str, str | None], InviteUsage] = {}

    @property
    def host_port(self) -> str:
        host = self.settings.host
        return f"{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    @property
    def is_full(self) -> bool:
        return len(self.usages) >= self.settings.max_calls

    def contact(self, user: str | None, transport: str) -> str:
        """Our Contact URI for one call."""
        suffix = "" if transport == "UDP" else f";transport={transport.lower()}"
        return f"sip:{f'{user}@' if user else ''}{self.host_port}{suffix}"

    def usage_of(self, handle: str) -> InviteUsage | None:
        """The call of a command, or None (counted) when it is over: the peer may have ended it a moment ago."""
        usage = self.usages.get(handle)
        if usage is None or usage.stage is Stage.ENDED:
            self.counters["sip.stale_commands"] += 1
            return None
        return usage

    def add(self, usage: InviteUsage) -> None:
        self.usages[usage.handle] = usage

    def index(self, usage: InviteUsage) -> None:
        """Let requests find the call by its dialog."""
        self.dialogs[usage.dialog.id] = usage

    def remove(self, usage: InviteUsage) -> None:
        """Forget a call: nothing can come for it any more."""
        self.usages.pop(usage.handle, None)
        if self.dialogs.get(usage.dialog.id) is usage:
            del self.dialogs[usage.dialog.id]
        self.timers.disarm(usage.handle)

    def end(self, usage: InviteUsage, by: str, cause: str) -> None:
        """The call is over for the user."""
        usage.stage = Stage.ENDED
        self.timers.disarm(usage.handle)
        self.events.append(Ended(usage.handle, by, cause))

    # ---- sending

    def target_of(self, dialog: Dialog) -> Target:
        """Where the next request of a dialog goes. A TCP dialog keeps its connection for as long as that lives."""
        if dialog.behind_nat and not dialog.route_set:
            return Target(dialog.transport, dialog.remote_host, dialog.remote_port)
        hop = dialog.next_hop()
        if hop.scheme != "sip":
            raise RemoteProtocolError("sips is not supported", 416)
        host, port = hop.host_port
        transport = hop.transport if hop.param("transport") else dialog.transport
        if transport not in TRANSPORTS:
            raise RemoteProtocolError(f"transport {transport} is not supported", 416)
        return Target(transport, host, port, dialog.connection if transport == "TCP" else None)

    def add_via(self, request: Request, target: Target, branch: str | None = None) -> None:
        """A Via of our own on top, and our name if we have one."""
        branch = branch or MAGIC_COOKIE + self.token()
        request.headers.push("Via", f"SIP/2.0/{target.transport} {self.host_port};branch={branch};rport")
        if self.settings.product:
            request.headers.add("User-Agent", self.settings.product)

    def authorize(self, request: Request, dialog: Dialog) -> None:
        """Answer the challenges that this dialog has met, with a fresh nonce count."""
        for session in dialog.digests:
            credential = self._credential(dialog.trunk, session)
            if credential is not None:
                name, value = session.authorize(credential, request.method, request.uri, request.body, self.token())
                request.headers.add(name, value)

    def _credential(self, host: str | None, session: DigestSession) -> TrunkCredential | None:
        if host is None:
            return None
        return next((c for c in self.settings.credentials if c.fits(host, session.realm)), None)

    def send_in_dialog(self, now: float, usage: InviteUsage, request: Request) -> ClientTransaction:
        """Send a BYE (or its like) within the dialog of a call."""
        target = self.target_of(usage.dialog)
        self.add_via(request, target)
        self.authorize(request, usage.dialog)
        return self.layer.send_request(now, request, target, usage.handle)

    def trunk_of(self, uri: str) -> str | None:
        """The host of a URI, when credentials are configured for it."""
        host = parse_uri(uri).host.lower()
        return host if any(c.host.lower() == host for c in self.settings.credentials) else None

    def add_product(self, response: Response) -> None:
        if self.settings.product:
            response.headers.add("Server", self.settings.product)

    def retry_delay(self) -> int:
        """RFC 3261 §14.2: a random number of seconds from 0 to 10."""
        return sum(self.token().encode()) % 11

    def poll_transmit(self) -> Transmit | None:
        transmits = self.layer.transmits
        return transmits.popleft() if transmits else None
