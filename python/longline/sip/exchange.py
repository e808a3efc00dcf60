"""An exchange: one request of ours with all its tries, until it has a final answer or cannot have one.

A try is one client transaction. There is another one when a target fails (RFC 3263 §4.3: time-out, transport error,
503) and a further target is known, and when a challenge can be answered (RFC 3261 §22). Whoever sends a request owns
its exchange and is told of provisional responses and of the one final outcome; of an INVITE also every further 2xx.
Leaves out: what a response means, CANCEL, and the ACK of a 2xx (it has no answer).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from longline.sip.access.auth import DigestSession, answer_challenges
from longline.sip.dialog import Dialog
from longline.sip.syntax.build import cancel_of
from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request, Response
from longline.sip.transaction import State
from longline.sip.wire import Hop, Target

if TYPE_CHECKING:
    from longline.sip.core import Core
    from longline.sip.transaction_layer import ClientTransaction

MAX_AUTH_TRIES = 3
"""How often one request is sent again with credentials; then its challenge is the final answer."""
SILENCE_T1 = 8
"""After so many T1 without any response (four tries over UDP) the next target is tried, if there is one. RFC 3263 §4.3
would wait for the time-out, 64 T1: half a minute of silence for the caller."""
MAX_TARGETS = 8
"""How many targets of one request are tried, over all its tries; further ones are not."""


class Owner:
    """Whoever sends requests. The defaults are those of somebody who does not care what comes of one."""

    def on_sending(self, exchange: Exchange, request: Request, target: Target) -> None:
        """The target of this try is known: the last chance to write what depends on it, a Contact for instance."""

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        """A provisional response, or the final one; a 401 or 407 is one that we cannot answer."""

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        """No final response will come: `timeout` or `transport`."""


NOBODY = Owner()


@dataclass(slots=True, eq=False)
class Exchange:
    """`plain` is the request without Via and credentials; `dialog` and `handle` are those it is sent for, if any."""

    plain: Request
    owner: Owner
    dialog: Dialog | None = None
    handle: str | None = None
    peer: str | None = None
    """Outside of a dialog: the peer whose credential may be used."""
    digests: list[DigestSession] = field(default_factory=list)
    """The challenges to answer beforehand; within a dialog those of the dialog."""
    targets: deque[Target] = field(default_factory=deque)
    """Where it may go if the present target fails."""
    sent: ClientTransaction | None = None
    """The present try; None while a name is being looked up."""
    left: set[str] = field(default_factory=set)
    """Tries of an INVITE that were given up and have been cancelled, by their keys."""
    by_udp: Target | None = None
    """The present try went over TCP for its size; this is where it was to go by UDP."""
    auth_tries: int = 0
    is_over: bool = False
    """There will be no further try: it has its final answer, or its owner gave it up."""

    @property
    def request(self) -> Request:
        """As last sent."""
        return self.sent.request if self.sent is not None else self.plain


class Exchanges:
    def __init__(self, core: Core) -> None:
        self.core = core

    def send_within(
        self, now: float, request: Request, owner: Owner, dialog: Dialog, handle: str | None = None
    ) -> Exchange:
        """Send a request of a dialog. RemoteProtocolError when the dialog leads nowhere that we can reach."""
        exchange = Exchange(request, owner, dialog, handle, dialog.peer, dialog.digests)
        self.core.locate_dialog(now, dialog, lambda now, targets: self._located(now, exchange, targets))
        return exchange

    def send_outside(
        self,
        now: float,
        request: Request,
        owner: Owner,
        hop: Hop,
        *,
        handle: str | None = None,
        peer: str | None = None,
        digests: list[DigestSession] | None = None,
    ) -> Exchange:
        """Send a request that belongs to no dialog, such as REGISTER or OPTIONS. `digests` is kept up to date."""
        exchange = self.prepare(request, owner, handle=handle, peer=peer, digests=digests)
        self.send(now, exchange, hop)
        return exchange

    def prepare(
        self,
        request: Request,
        owner: Owner,
        *,
        handle: str | None = None,
        peer: str | None = None,
        digests: list[DigestSession] | None = None,
    ) -> Exchange:
        """An exchange outside of a dialog, not sent yet: its owner can know it before anything comes of it."""
        return Exchange(request, owner, None, handle, peer, [] if digests is None else digests)

    def send(self, now: float, exchange: Exchange, hop: Hop) -> None:
        """Send what was prepared."""
        self.core.locate(now, hop, lambda now, targets: self._located(now, exchange, targets))

    # ---- what the transactions tell

    def on_response(self, now: float, transaction: ClientTransaction, response: Response) -> None:
        exchange = transaction.exchange
        if exchange is None:
            return
        is_success = 200 <= response.status < 300
        if response.status != 503:
            self.core.resting.has_answered(transaction.target)
        if transaction is not exchange.sent:
            is_invite = transaction.request.method == "INVITE"
            if not (is_success and is_invite):
                self.core.counters["sip.responses_late"] += 1  # of a try that was given up
                if is_invite and response.status < 200:
                    self._cancel(now, exchange, transaction)
                return
            if not exchange.is_over:
                # It is answered after all: then the present try is the one to give up.
                exchange.sent, other = transaction, exchange.sent
                if other is not None and other.state is State.PROCEEDING:
                    self._cancel(now, exchange, other)
        if not exchange.is_over:
            if response.status in (401, 407) and self._take_up_challenge(exchange, response):
                self._again(now, exchange, exchange.by_udp or transaction.target)
                return
            if response.status == 503 and exchange.targets:
                self.core.resting.has_failed(now, transaction.target, _retry_after_s(response))
                self._next_target(now, exchange)
                return
            if response.status >= 200:
                self._is_over(exchange)
        exchange.owner.on_response(now, exchange, response)

    def on_failure(self, now: float, transaction: ClientTransaction, cause: str) -> None:
        """A try timed out or could not be sent."""
        exchange = transaction.exchange
        if exchange is None or transaction is not exchange.sent:
            return
        if exchange.by_udp is not None and cause == "transport" and not exchange.is_over:
            # RFC 3261 §18.1.1: it was to go by UDP, and there is no TCP: then UDP it is.
            self.core.size.has_no_tcp(now, exchange.by_udp)
            self._try(now, exchange, exchange.by_udp)
            return
        self.core.resting.has_failed(now, transaction.target)
        if exchange.targets and not exchange.is_over:
            self._next_target(now, exchange)
        else:
            self._fail(now, exchange, cause)

    # ---- tries

    def _located(self, now: float, exchange: Exchange, targets: Sequence[Target]) -> None:
        if exchange.is_over:
            return
        exchange.targets = deque(self.core.resting.in_order(now, targets[:MAX_TARGETS]))
        if exchange.targets:
            self._try(now, exchange, exchange.targets.popleft())
        else:
            self._fail(now, exchange, "transport")

    def _next_target(self, now: float, exchange: Exchange) -> None:
        self.core.counters["sip.failovers"] += 1
        self._try(now, exchange, exchange.targets.popleft())

    def _on_silence(self, now: float, exchange: Exchange, transaction: ClientTransaction) -> None:
        """A target has said nothing at all for a while, and there are others: we do not wait for its time-out."""
        silent = transaction.state in (State.CALLING, State.TRYING)
        if exchange.sent is transaction and silent and exchange.targets and not exchange.is_over:
            self.core.counters["sip.targets_silent"] += 1
            self.core.layer.send_no_more(transaction)
            self.core.resting.has_failed(now, transaction.target)
            self._next_target(now, exchange)

    def _cancel(self, now: float, exchange: Exchange, transaction: ClientTransaction) -> None:
        """End a try of an INVITE that was given up and has got through all the same (RFC 3261 §9.1)."""
        if transaction.key not in exchange.left:
            exchange.left.add(transaction.key)
            self.core.layer.send_request(now, cancel_of(transaction.request, None), transaction.target)

    def _again(self, now: float, exchange: Exchange, target: Target) -> None:
        """RFC 3261 §22.2: the same request with credentials, a new branch and the next CSeq."""
        number, method = exchange.plain.cseq
        if exchange.dialog is not None:
            number = exchange.dialog.local_cseq = max(exchange.dialog.local_cseq, number) + 1
        else:
            number += 1
        headers = Headers.of_canonical(list(exchange.plain.headers))
        headers.set("CSeq", f"{number} {method}")
        exchange.plain = Request(method, exchange.plain.uri, headers, exchange.plain.body)
        self._try(now, exchange, target)

    def _try(self, now: float, exchange: Exchange, target: Target) -> None:
        core, plain = self.core, exchange.plain
        request = Request(plain.method, plain.uri, Headers.of_canonical(list(plain.headers)), plain.body)
        exchange.owner.on_sending(exchange, request, target)
        core.add_via(request, target)
        core.authorize(request, exchange.digests, exchange.peer, self._trunk(exchange))
        by_tcp = core.size.by_tcp(now, target, _size(request))
        exchange.by_udp = None
        if by_tcp is not None:
            exchange.by_udp, target = target, core.reach(by_tcp, exchange.dialog)
            core.replace_via(request, target)
        exchange.sent = sent = core.layer.send_request(now, request, target, exchange)
        if exchange.targets:
            core.after(now, SILENCE_T1 * core.settings.durations.t1, lambda now: self._on_silence(now, exchange, sent))
        if exchange.dialog is not None and request.method == "INVITE":
            exchange.dialog.open_invite = request.top_via.branch

    def _is_over(self, exchange: Exchange) -> None:
        exchange.is_over = True
        if exchange.dialog is not None and exchange.plain.method == "INVITE":
            exchange.dialog.open_invite = None

    def _fail(self, now: float, exchange: Exchange, cause: str) -> None:
        self._is_over(exchange)
        exchange.owner.on_failure(now, exchange, cause)

    def _take_up_challenge(self, exchange: Exchange, response: Response) -> bool:
        """False when a challenge must stay unanswered: from a stranger, or our credentials were refused."""
        exchange.auth_tries += 1
        if exchange.auth_tries > MAX_AUTH_TRIES:
            return False
        was_answered = {name for name, _ in exchange.request.headers} & {"Authorization", "Proxy-Authorization"}
        tried = list(exchange.digests) if was_answered else []
        known = self.core.credentials_of(exchange.peer, self._trunk(exchange))
        sessions = answer_challenges(response, known, tried)
        if sessions is None:
            self.core.counters["sip.challenges_refused"] += 1
            return False
        exchange.digests[:] = sessions  # the dialog's own list, when there is a dialog
        return True

    def _trunk(self, exchange: Exchange) -> str | None:
        return exchange.dialog.trunk if exchange.dialog is not None else None


def _size(request: Request) -> int:
    """About how many bytes it has: for one question that is asked of every request."""
    head = sum(len(name) + len(value) + 4 for name, value in request.headers)
    return len(request.uri) + 30 + head + len(request.body)


def _retry_after_s(response: Response) -> float | None:
    """RFC 3261 §20.33: the seconds; a comment may follow."""
    text = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
    return float(text) if text.isdigit() and len(text) < 10 else None


def over_connection(targets: Sequence[Target], transport: str, connection: int | None) -> list[Target]:
    """The same targets, over a connection that is there already where the transport is its."""
    if connection is None:
        return list(targets)
    return [replace(t, connection=connection) if t.reliable and t.transport == transport else t for t in targets]
