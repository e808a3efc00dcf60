"""The registrar (RFC 3261 §10.3): REGISTER from those who have logged in.

An account is the peer that has it: a phone, or a trunk that logs in. What it is bound to afterwards is told
(`BindingsChanged`), so that it can be kept before the phone has its answer. Leaves out: the rules of bindings
(`bindings`), third-party registration (nobody registers anybody else: 403).
"""

from longline.base.errors import RemoteProtocolError
from longline.sip.access.bindings import MIN_EXPIRES_S, NAT_GROUPS, Binding, IntervalTooBrief
from longline.sip.core import Core
from longline.sip.events import BindingsChanged
from longline.sip.refused import Refused
from longline.sip.syntax.headers import parse_name_addr, quote
from longline.sip.syntax.message import Request
from longline.sip.syntax.uri import parse_uri, scheme_of, user_of
from longline.sip.timers import Timer
from longline.sip.transaction_layer import ServerTransaction
from longline.sip.uas import ServerCore
from longline.sip.wire import Source, Target

KEEP_ALIVE_S = 25
"""How often a phone behind a NAT is sent an empty datagram: some NATs forget a way of UDP after 30 s, though RFC 4787
§4.3 gives them 2 minutes."""
MAX_WAITING = 4096
"""Answers that wait; one more goes out at once (counter `sip.registrations_not_held`)."""
_EMPTY = b"\r\n\r\n"
_OWNER = "phones behind NATs"


class Registrar:
    def __init__(self, core: Core, server: ServerCore) -> None:
        self.core = core
        self.server = server
        self._group = 0
        self._waiting: dict[str, tuple[ServerTransaction, list[tuple[str, str]]]] = {}
        """Answers that wait until what they reveal is stored, by their tickets."""
        core.timed[_OWNER] = self._keep_alive
        core.outside["REGISTER"] = self.on_register
        core.option_tags.append("path")

    def on_register(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        core = self.core
        account = self._account(transaction, request)
        self._check_whereabouts(transaction.source, request)
        before = core.bindings.of(now, account)
        try:
            after = core.bindings.register(now, account, request, transaction.source)
        except IntervalTooBrief:
            raise Refused(423, headers=[("Min-Expires", str(MIN_EXPIRES_S))]) from None
        except RemoteProtocolError as error:
            if error.status == 403:
                core.counters["sip.bindings_full"] += 1
                raise Refused(403, "Too Many Bindings") from None
            raise
        self.watch(now)
        headers = [("Contact", _contact(now, binding)) for binding in after]
        # RFC 3327 §5.3: the registrar tells the path it has taken down.
        headers += [("Path", path) for path in request.headers.get_all("Path")]
        headers += core.capabilities()
        if after == before:
            self.server.respond(now, transaction, 200, None, headers)
            return
        ticket = "r" + core.token()
        core.events.append(BindingsChanged(account, tuple(binding.to_dict(now) for binding in after), ticket))
        if not core.settings.keeps_bindings:
            self.server.respond(now, transaction, 200, None, headers)
        elif len(self._waiting) >= MAX_WAITING:
            core.counters["sip.registrations_not_held"] += 1
            self.server.respond(now, transaction, 200, None, headers)
        else:
            self._waiting[ticket] = (transaction, headers)

    def kept(self, now: float, ticket: str) -> None:
        """The bindings that `BindingsChanged` told are stored: the phone may know."""
        waiting = self._waiting.pop(ticket, None)
        if waiting is not None:
            transaction, headers = waiting
            self.server.respond(now, transaction, 200, None, headers)

    def _account(self, transaction: ServerTransaction, request: Request) -> str:
        """RFC 3261 §10.3 steps 3 to 5: who has logged in registers himself."""
        found = self.core.peers.of_user(user_of(request.to.uri))
        if found is None or found[0].name != transaction.peer:
            raise Refused(403)
        return found[0].name

    def watch(self, now: float) -> None:
        """Keep the ways to phones behind NATs open from now on, as long as there are any."""
        if not self.core.timers.is_armed(_OWNER, Timer.KEEP_ALIVE):
            self._keep_alive(now, Timer.KEEP_ALIVE)

    def _keep_alive(self, now: float, timer: Timer) -> None:
        """Once a second a group of them, so that thousands are not served in one go."""
        core = self.core
        self._group = (self._group + 1) % NAT_GROUPS
        for binding in core.bindings.behind_nats(now, self._group):
            core.layer.send(_EMPTY, Target("UDP", binding.host, binding.port, listener=binding.listener))
            core.counters["sip.keep_alives_sent"] += 1
        if core.bindings.has_any_behind_nats:
            core.timers.arm(_OWNER, Timer.KEEP_ALIVE, now + KEEP_ALIVE_S / NAT_GROUPS)

    def _check_whereabouts(self, source: Source, request: Request) -> None:
        """A phone is not at a trunk, nor here: calls to it would leave at our expense, or go in circles. A proxy that
        is a trunk of ours may say that phones are behind it."""
        relay = self.core.whereabouts.peer_at(source.host)
        for name in ("Contact",) if relay is not None and relay.is_trunk else ("Contact", "Path"):
            for value in request.headers.get_list(name) if name in request.headers else []:
                if value != "*" and self._is_no_phone(parse_name_addr(value).uri):
                    self.core.counters["sip.contacts_refused"] += 1
                    raise Refused(403, "Contact Not Allowed")

    def _is_no_phone(self, text: str) -> bool:
        if scheme_of(text) not in ("sip", "sips"):
            return False  # refused for that, and by its own name
        uri = parse_uri(text)
        host = uri.host.strip("[]").lower()
        peers = self.core.peers
        at = self.core.whereabouts.peer_at(host)
        if at is not None and at.is_trunk:
            return True
        targets = {parse_uri(t.uri).host.strip("[]").lower() for peer in peers if peer.is_trunk for t in peer.targets}
        return host in targets or self.core.is_own(uri)


def _contact(now: float, binding: Binding) -> str:
    left = max(1, round(binding.expires_at - now))
    value = f"<{binding.contact}>;expires={left}"
    if binding.q != 1.0:
        value += f";q={binding.q:.3g}"
    if binding.instance is not None:
        value += f";+sip.instance={quote(binding.instance)}"
    return value if binding.reg_id is None else f"{value};reg-id={binding.reg_id}"
