"""The transaction layer (RFC 3261 §17, §18): matches messages to transactions and performs what their tables say.

Upwards it calls a `TransactionUser`; downwards it fills a queue of `Transmit`. Responses go back as RFC 3261 §18.2.2
and RFC 3581 (rport) tell. Leaves out: `maddr` (it would let a stranger aim our responses), RFC 3263 look-ups.
"""

import re
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from longline.base.errors import RemoteProtocolError
from longline.sip.access.admission import Verdict
from longline.sip.syntax.build import ack_of_failure
from longline.sip.syntax.headers import Via, split_list
from longline.sip.syntax.message import Request, Response
from longline.sip.timers import Durations, Timer, TimerQueue
from longline.sip.transaction import INITIAL, Action, Input, Kind, State, Transaction
from longline.sip.wire import Source, Target, Transmit, default_port

if TYPE_CHECKING:
    from longline.sip.exchange import Exchange

MAGIC_COOKIE = "z9hG4bK"
_QUOTED = re.compile(rb"([A-Z]+) [^\r\n]* SIP/2\.0\r\nVia: [^\r\n]*;branch=([^;,\s]+)[;,\r]")
_RETRANSMISSIONS = frozenset((Timer.A, Timer.E, Timer.G))


@dataclass(slots=True, eq=False, kw_only=True)
class ClientTransaction(Transaction):
    target: Target
    data: bytes
    exchange: "Exchange | None" = None
    """What it is a try of; None for a CANCEL, whose answer says nothing."""


@dataclass(slots=True, eq=False, kw_only=True)
class ServerTransaction(Transaction):
    source: Source
    target: Target
    last_response: bytes = b""
    handle: str | None = None
    """The usage it belongs to."""
    peer: str | None = None
    """The name of the peer that it came from, as the admission found."""
    merge_key: str | None = None


class TransactionUser(Protocol):
    """What the user agent core does with what the transactions let through."""

    def admit(self, now: float, request: Request, source: Source) -> Verdict:
        """Whether a transaction may be made; who is not let in has been answered already, or is not."""
        ...

    def on_request(self, now: float, transaction: ServerTransaction, request: Request) -> None: ...
    def on_ack(self, now: float, request: Request) -> None: ...
    def on_response(self, now: float, transaction: ClientTransaction, response: Response) -> None: ...
    def on_stray_response(self, now: float, response: Response) -> bool:
        """One without a transaction; False when nobody has a use for it."""
        ...

    def on_client_failure(self, now: float, transaction: ClientTransaction, cause: str) -> None: ...
    def on_server_failure(self, now: float, transaction: ServerTransaction, cause: str) -> None: ...
    def on_overload(self, now: float, request: Request, source: Source) -> None: ...


class TransactionLayer:
    def __init__(self, durations: Durations, max_transactions: int, counters: Counter[str], timers: TimerQueue) -> None:
        self.durations = durations
        self.max_transactions = max_transactions
        self.counters = counters
        self.timers = timers
        self.transmits: deque[Transmit] = deque()
        self.clients: dict[str, ClientTransaction] = {}
        self.servers: dict[str, ServerTransaction] = {}
        self.by_source: Counter[str] = Counter()
        """Server transactions by the address that their requests came from."""
        self.merging: dict[str, str] = {}
        """From tag, Call-ID and CSeq of requests in progress to their transaction, for RFC 3261 §8.2.2.2."""

    @property
    def is_full(self) -> bool:
        return len(self.clients) + len(self.servers) >= self.max_transactions

    # ---- sending requests

    def send_request(
        self, now: float, request: Request, target: Target, exchange: "Exchange | None" = None
    ) -> ClientTransaction:
        """Start a client transaction. The request has its Via already."""
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT
        key = client_key(request.top_via.branch, request.method)
        transaction = ClientTransaction(
            kind,
            key,
            request,
            target.reliable,
            INITIAL[kind],
            target=target,
            data=request.encode(),
            exchange=exchange,
        )
        self.clients[key] = transaction
        self._set_timers(now, transaction)
        self.transmits.append(
            Transmit(target, transaction.data, key, exchange.handle if exchange is not None else None)
        )
        return transaction

    def send(self, data: bytes, target: Target, handle: str | None = None) -> None:
        """Send without a transaction: the ACK of a 2xx, or a 2xx once more."""
        self.transmits.append(Transmit(target, data, handle=handle))

    # ---- receiving

    def receive_request(self, now: float, request: Request, source: Source, user: TransactionUser) -> None:
        key = server_key(request)
        transaction = self.servers.get(key)
        if request.method == "ACK":
            if transaction is None or transaction.state is State.ACCEPTED:
                user.on_ack(now, request)
            else:
                self._feed_server(now, transaction, Input.ACK, user)
            return
        if transaction is not None:
            self.counters["sip.retransmissions_received"] += 1
            self._feed_server(now, transaction, Input.REQUEST, user)
            return
        if self.is_full:
            user.on_overload(now, request, source)
            return
        verdict = user.admit(now, request, source)
        if not verdict.is_admitted:
            return
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER
        transaction = ServerTransaction(
            kind,
            key,
            request,
            source.reliable,
            INITIAL[kind],
            source=source,
            target=response_target(request, source),
            peer=verdict.peer,
        )
        self.servers[key] = transaction
        self.by_source[source.host] += 1
        user.on_request(now, transaction, request)

    def receive_response(self, now: float, response: Response, user: TransactionUser) -> None:
        # RFC 3261 §8.1.3.3: more than one Via value means it is not for us.
        if len(response.headers.get_list("Via")) != 1:
            self.counters["sip.responses_dropped"] += 1
            return
        transaction = self.clients.get(client_key(response.top_via.branch, response.cseq[1]))
        if transaction is None:
            if not user.on_stray_response(now, response):
                self.counters["sip.responses_dropped"] += 1
            return
        action = transaction.feed(input_of(response.status))
        self._settle(now, transaction)
        if action in (Action.ACK, Action.ACK_AND_DELIVER):
            ack = ack_of_failure(transaction.request, response)
            self.transmits.append(Transmit(transaction.target, ack.encode(), transaction.key))
        if action in (Action.DELIVER, Action.ACK_AND_DELIVER):
            user.on_response(now, transaction, response)

    # ---- responding

    def respond(self, now: float, transaction: ServerTransaction, response: Response) -> None:
        """Send a response through its transaction; one that comes after the final response is not sent."""
        data = response.encode()  # before anything moves: a response of ours may turn out not to be one
        action = transaction.feed(input_of(response.status))
        if action is Action.SEND:
            transaction.last_response = data
            self.transmits.append(
                Transmit(transaction.target, transaction.last_response, transaction.key, transaction.handle)
            )
        self._settle(now, transaction)

    def respond_statelessly(self, request: Request, source: Source, response: Response) -> None:
        self.transmits.append(Transmit(response_target(request, source), response.encode()))

    def resend(self, transaction: ServerTransaction) -> None:
        """Send the last response once more."""
        if transaction.last_response:
            self.transmits.append(
                Transmit(transaction.target, transaction.last_response, transaction.key, transaction.handle)
            )

    def find_invite(self, cancel: Request) -> ServerTransaction | None:
        """RFC 3261 §9.2: the INVITE transaction that a CANCEL is for."""
        return self.servers.get(server_key(cancel, "INVITE"))

    # ---- time and failure

    def on_timer(self, now: float, key: str, timer: Timer, user: TransactionUser) -> None:
        transaction = self.clients.get(key) or self.servers.get(key)
        if transaction is None:
            return
        if timer in _RETRANSMISSIONS:
            self.timers.arm(key, timer, now + transaction.next_interval(self.durations, timer))
            self.counters["sip.retransmissions_sent"] += 1
        self._feed(now, transaction, timer, user)

    def transport_failed(self, now: float, key: str, user: TransactionUser) -> None:
        transaction = self.clients.get(key) or self.servers.get(key)
        if transaction is not None:
            self._feed(now, transaction, Input.TRANSPORT_ERROR, user)

    def sent_over(self, key: str, connection: int) -> None:
        """From now on a transaction is bound to a connection: its CANCEL, its ACK, and its end if that is lost."""
        transaction = self.clients.get(key) or self.servers.get(key)
        if transaction is not None:
            transaction.target = replace(transaction.target, connection=connection)

    def connection_lost(self, now: float, connection: int, user: TransactionUser) -> None:
        """Requests that wait for an answer on this connection have failed. Responses will try another connection."""
        waiting = (State.CALLING, State.TRYING, State.PROCEEDING)
        lost = [t for t in self.clients.values() if t.target.connection == connection and t.state in waiting]
        for transaction in lost:
            self._feed(now, transaction, Input.TRANSPORT_ERROR, user)

    def send_no_more(self, transaction: ClientTransaction) -> None:
        """Wait for a response until the time-out, but do not ask again."""
        self.timers.disarm(transaction.key, Timer.A, Timer.E)

    def forget(self, transaction: Transaction) -> None:
        """End a transaction without a word."""
        transaction.state = State.TERMINATED
        self._drop(transaction)

    # ---- inside

    def _feed(self, now: float, transaction: Transaction, what: Input | Timer, user: TransactionUser) -> None:
        if isinstance(transaction, ServerTransaction):
            self._feed_server(now, transaction, what, user)
        elif isinstance(transaction, ClientTransaction):
            self._feed_client(now, transaction, what, user)

    def _feed_client(
        self, now: float, transaction: ClientTransaction, what: Input | Timer, user: TransactionUser
    ) -> None:
        action = transaction.feed(what)
        self._settle(now, transaction)
        if action is Action.RESEND_REQUEST:
            handle = transaction.exchange.handle if transaction.exchange is not None else None
            self.transmits.append(Transmit(transaction.target, transaction.data, transaction.key, handle))
        elif action is Action.TIMED_OUT:
            user.on_client_failure(now, transaction, "timeout")
        elif action is Action.TRANSPORT_FAILED:
            user.on_client_failure(now, transaction, "transport")

    def _feed_server(
        self, now: float, transaction: ServerTransaction, what: Input | Timer, user: TransactionUser
    ) -> None:
        action = transaction.feed(what)
        self._settle(now, transaction)
        if action is Action.RESEND_RESPONSE:
            self.resend(transaction)
        elif action is Action.TIMED_OUT:
            user.on_server_failure(now, transaction, "timeout")
        elif action is Action.TRANSPORT_FAILED:
            user.on_server_failure(now, transaction, "transport")

    def _settle(self, now: float, transaction: Transaction) -> None:
        """After a step: forget what has ended, otherwise let exactly the timers of the state run."""
        if transaction.state is State.TERMINATED:
            self._drop(transaction)
        else:
            self._set_timers(now, transaction)

    def _set_timers(self, now: float, transaction: Transaction) -> None:
        alive = transaction.alive_timers()
        stopped = [timer for timer in self.timers.of(transaction.key) if timer not in alive]
        if stopped:
            self.timers.disarm(transaction.key, *stopped)
        for timer in alive:
            if not self.timers.is_armed(transaction.key, timer):
                if timer in _RETRANSMISSIONS:
                    transaction.interval = self.durations.t1
                self.timers.arm(transaction.key, timer, now + self.durations.of(timer, transaction.reliable))

    def _drop(self, transaction: Transaction) -> None:
        self.timers.disarm(transaction.key)
        self.clients.pop(transaction.key, None)
        server = self.servers.pop(transaction.key, None)
        if server is None:
            return
        if server.merge_key is not None:
            self.merging.pop(server.merge_key, None)
        self.by_source[server.source.host] -= 1
        if not self.by_source[server.source.host]:
            del self.by_source[server.source.host]


def input_of(status: int) -> Input:
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE


def client_key(branch: str, method: str) -> str:
    """RFC 3261 §17.1.3: the branch and the method of CSeq."""
    return f"c|{branch}|{method}"


def quoted_transaction(quote: bytes) -> str | None:
    """The client transaction of a request whose beginning ICMP quotes; None for a response, and when the quote is too
    short. Only who has seen the request knows its branch, so that nobody else can make it fail."""
    found = _QUOTED.match(quote)
    return client_key(found[2].decode("latin-1"), found[1].decode("latin-1")) if found else None


def server_key(request: Request, method: str | None = None) -> str:
    """RFC 3261 §17.2.3: branch, sent-by and method; without the magic cookie, the fields of RFC 2543."""
    via = request.top_via
    method = method or ("INVITE" if request.method == "ACK" else request.method)
    # RFC 4475 §3.2.1: a branch that is nothing but the cookie identifies nothing.
    if via.branch.startswith(MAGIC_COOKIE) and len(via.branch) > len(MAGIC_COOKIE):
        return f"s|{via.branch.lower()}|{via.sent_by}|{method}"
    first_via = split_list(request.headers.get("Via") or "")[0]
    return f"s2543|{request.call_id}|{request.from_.tag}|{request.cseq[0]}|{first_via}|{request.uri}|{method}"


def merge_key(request: Request) -> str:
    return f"{request.from_.tag}|{request.call_id}|{request.cseq[0]} {request.cseq[1]}"


def stamp_via(request: Request, source: Source) -> None:
    """RFC 3261 §18.2.1 and RFC 3581 §4: write where the request really came from into its top Via."""
    via = request.top_via
    wants_rport = "rport" in via.params
    if via.host.strip("[]").lower() == source.host and not wants_rport:
        return
    via.params["received"] = source.host
    if wants_rport:
        via.params["rport"] = str(source.port)
    _replace_top_via(request, via)


def _replace_top_via(request: Request, via: Via) -> None:
    """Of a line with several values the others stay where they are: a line for each would make our answer longer."""
    fields = list(request.headers)
    index = next(index for index, (name, _) in enumerate(fields) if name == "Via")
    fields[index] = ("Via", ", ".join([str(via), *split_list(fields[index][1])[1:]]))
    request.headers = type(request.headers).of_canonical(fields)


def response_target(request: Request, source: Source) -> Target:
    """RFC 3261 §18.2.2: TCP back over its connection (or a new one to sent-by), UDP to the source address, and to the
    source port only when rport asked for it."""
    try:
        via = request.top_via
        port = via.port or default_port(source.transport)
        name: str | None = via.host.strip("[]")
        if source.transport == "UDP" and "rport" in via.params:
            port = source.port
    except RemoteProtocolError:  # the Via was never understood: the sender's own address is all there is
        port, name = source.port, None
    return Target(source.transport, source.host, port, source.connection, name, source.listener)
