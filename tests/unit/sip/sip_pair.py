"""Two or more SIP endpoints joined by a fake wire in virtual time: delay, loss, duplication, reordering, one seed.

TCP is a wire that loses nothing. What every endpoint sent is kept in `wire.sent`, parsed.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from longline.sip.core import EndpointSettings
from longline.sip.endpoint import Endpoint
from longline.sip.events import SipEvent
from longline.sip.syntax.message import Request, Response, parse
from longline.sip.uac import Invitation
from longline.sip.wire import Hop, Source, Target, Transmit, target_of_address

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = b"v=0\r\no=- 2 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"


@dataclass
class Sent:
    at: float
    sender: str
    transmit: Transmit
    message: Request | Response

    @property
    def word(self) -> str:
        """`INVITE`, or `200 INVITE` for a response."""
        if isinstance(self.message, Request):
            return self.message.method
        return f"{self.message.status} {self.message.cseq[1]}"


class Party:
    """An endpoint at an address, and what happened to it. `react(event)` may give commands at once."""

    def __init__(self, wire: "Wire", host: str, **settings: object) -> None:
        self.wire, self.host = wire, host
        numbers = itertools.count(1)
        name = host.rpartition(".")[2]
        self.endpoint = Endpoint(
            EndpointSettings(host=host, **settings),  # type: ignore[arg-type]
            lambda: f"{name}x{next(numbers)}",
        )
        self.events: list[SipEvent] = []
        self.react: Callable[[SipEvent], None] = lambda event: None
        wire.parties[host] = self

    def invite(self, host: str, *, sdp: bytes | None = OFFER, transport: str = "udp", **more: object) -> str:
        target = f"sip:bob@{host}" + (";transport=tcp" if transport == "tcp" else "")
        invitation = Invitation(target, f"sip:alice@{self.host}", sdp=sdp, **more)  # type: ignore[arg-type]
        handle = self.endpoint.invite(self.wire.now, invitation)
        self.drain()
        return handle

    def do(self, name: str, *arguments: object) -> None:
        """A command by its name, now."""
        getattr(self.endpoint, name)(self.wire.now, *arguments)
        self.drain()

    def drain(self) -> None:
        while True:
            while (transmit := self.endpoint.poll_transmit()) is not None:
                self.wire.carry(self, transmit)
            if (hop := self.endpoint.poll_lookup()) is not None:
                self.endpoint.located(self.wire.now, hop, self.wire.find(hop))
                continue
            event = self.endpoint.poll_event()
            if event is None:
                return
            self.events.append(event)
            self.react(event)

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def last(self, kind: type[SipEvent]) -> SipEvent:
        return next(event for event in reversed(self.events) if isinstance(event, kind))


@dataclass
class Wire:
    seed: int = 1
    delay: float = 0.02
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    now: float = 1000.0
    parties: dict[str, Party] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    keep_alives: list[Target] = field(default_factory=list)
    drop: Callable[[Sent], bool] = lambda sent: False
    names: dict[str, list[str]] = field(default_factory=dict)
    """What a name server would know: the addresses of a host name, best first."""

    slow: dict[str, float] = field(default_factory=dict)
    """Seconds that messages to a host need beside the delay."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._under_way: list[tuple[float, int, str, Source, bytes]] = []
        self._numbers = itertools.count()

    def carry(self, party: Party, transmit: Transmit) -> None:
        if not transmit.data.strip():
            self.keep_alives.append(transmit.target)
            return
        sent = Sent(self.now, party.host, transmit, parse(transmit.data))
        self.sent.append(sent)
        reliable = transmit.target.transport == "TCP"
        if self.drop(sent) or (not reliable and self._random.random() < self.loss):
            return
        copies = 2 if not reliable and self._random.random() < self.duplication else 1
        source = Source(transmit.target.transport, party.host, 5060, 7 if reliable else None)
        for _ in range(copies):
            late = (
                self.delay
                + self.slow.get(transmit.target.host, 0.0)
                + (0 if reliable else self._random.random() * self.jitter)
            )
            heapq.heappush(
                self._under_way, (self.now + late, next(self._numbers), transmit.target.host, source, transmit.data)
            )

    def find(self, hop: Hop) -> list[Target]:
        """A look-up, by `names`."""
        found = self.names.get(hop.host, [])
        return [replace(target_of_address(replace(hop, host=address)), server_name=hop.host) for address in found]

    def inject(self, to: Party, data: bytes, source: Source | None = None) -> list[Sent]:
        """Give a party these bytes now; returns what it sent at once."""
        before = len(self.sent)
        to.endpoint.receive(self.now, source or Source("UDP", "192.0.2.99", 5060), data)
        to.drain()
        return self.sent[before:]

    def drop_all(self) -> None:
        """What is under way never arrives."""
        self._under_way.clear()

    def run(self, seconds: float) -> None:
        """Let the time pass."""
        end = self.now + seconds
        while True:
            timeouts = [(p.endpoint.next_timeout(), p) for p in self.parties.values()]
            timeouts = [(at, party) for at, party in timeouts if at is not None]
            due = min((at for at, _ in timeouts), default=end + 1)
            arrival = self._under_way[0][0] if self._under_way else end + 1
            self.now = max(self.now, min(due, arrival, end))
            if min(due, arrival) > end:
                return
            if arrival <= due:
                _, _, host, source, data = heapq.heappop(self._under_way)
                party = self.parties.get(host)
                if party is not None:
                    party.endpoint.receive(self.now, source, data)
                    party.drain()
            else:
                for at, party in timeouts:
                    if at <= self.now:
                        party.endpoint.handle_timeout(self.now)
                        party.drain()

    def words(self, sender: Party | None = None) -> list[str]:
        """What was sent, as `INVITE` or `200 INVITE`."""
        return [sent.word for sent in self.sent if sender is None or sent.sender == sender.host]

    def requests(self, method: str) -> list[Request]:
        return [s.message for s in self.sent if isinstance(s.message, Request) and s.message.method == method]

    def responses(self, status: int) -> list[Response]:
        return [s.message for s in self.sent if isinstance(s.message, Response) and s.message.status == status]


def pair(**wire: float) -> tuple[Wire, Party, Party]:
    """Alice, Bob and the wire between them."""
    joined = Wire(**wire)  # type: ignore[arg-type]
    return joined, Party(joined, "192.0.2.1"), Party(joined, "192.0.2.2")


def answers_at_once(party: Party, sdp: bytes = ANSWER) -> None:
    """From now on the party rings and answers every call, and accepts every re-INVITE."""

    def react(event: SipEvent) -> None:
        kind = type(event).__name__
        if kind == "IncomingCall":
            party.endpoint.ring(party.wire.now, event.handle)
            party.endpoint.answer(party.wire.now, event.handle, sdp)
        elif kind == "Reoffer":
            party.endpoint.reanswer(party.wire.now, event.handle, sdp)

    party.react = react


def established(transport: str = "udp", **wire: float) -> tuple[Wire, Party, Party, str, str]:
    """A call from Alice to Bob that both consider confirmed; with both handles."""
    joined, alice, bob = pair(**wire)
    answers_at_once(bob)
    handle = alice.invite("192.0.2.2", transport=transport)
    joined.run(1)
    return joined, alice, bob, handle, bob.events[0].handle
