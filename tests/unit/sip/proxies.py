"""A proxy on the fake wire, for ladders: stateful (RFC 3261 §16), of a few lines, on a network that loses nothing.

It may record its route, ask for credentials, fork, and rewrite what it forwards. It is no part of the product and
shares only the parser with it. Leaves out: retransmissions, timers, loops.
"""

import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.unit.sip.sip_pair import Wire

from longline.sip.syntax.build import ack_of_failure, cancel_of, response_to
from longline.sip.syntax.headers import Headers, parse_name_addr
from longline.sip.syntax.message import Request, Response, parse
from longline.sip.syntax.uri import parse_uri
from longline.sip.transaction_layer import stamp_via
from longline.sip.wire import Source, Target, Transmit

NONCE = "wf84f1ceczx41ae6cbe5aea9c8e88d359"


@dataclass
class Branch:
    """One of the ways an INVITE was forwarded."""

    request: Request
    host: str
    final: Response | None = None


@dataclass
class Context:
    """A request that was forwarded, and what has come back."""

    request: Request
    source: Source
    branches: dict[str, Branch] = field(default_factory=dict)
    answered: bool = False


class Proxy:
    """`locations`: where a Request-URI leads (several: forked); others go to their own host. `name` may stand in a
    Route for us as well as the address. `users`: whom to let pass, with their passwords. `on_busy`: where to go
    on with a call that was refused with 486. `screens`: the status that every call is refused with.
    `hunts`: a refusal is not passed on, since `try_next` will be called. `redirects`: where every caller is sent
    with 302 instead."""

    def __init__(
        self,
        wire: Wire,
        host: str,
        *,
        locations: dict[str, Sequence[str]] | None = None,
        name: str = "",
        record_route: bool = True,
        realm: str = "",
        users: dict[str, str] | None = None,
        on_busy: str | None = None,
        screens: int | None = None,
        hunts: bool = False,
        redirects: str | None = None,
        rewrite: Callable[[Request | Response], None] = lambda message: None,
    ) -> None:
        self.wire, self.host, self.name = wire, host, name
        self.endpoint = self  # the wire knows parties by their endpoints
        self.locations = locations or {}
        self._record_route = record_route
        self._realm, self._users = realm, users or {}
        self._on_busy, self._screens, self._hunts, self._redirects = on_busy, screens, hunts, redirects
        self._rewrite = rewrite
        self._contexts: dict[str, Context] = {}
        self._numbers = itertools.count(1)
        wire.parties[host] = self  # type: ignore[assignment]

    def next_timeout(self) -> None:
        return None

    def drain(self) -> None:
        """Everything is sent at once."""

    def receive(self, now: float, source: Source, data: bytes) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self._on_response(message)
            return
        stamp_via(message, source)
        if message.method == "ACK" and message.top_via.branch in {
            context.request.top_via.branch for context in self._contexts.values()
        }:
            return  # of a refusal that we passed on
        if message.method == "CANCEL":
            self._on_cancel(message, source)
        elif message.method == "ACK":
            self._forward(message, source, [self._next(message)])
        elif self._realm and message.headers.get("Proxy-Authorization") is None and message.method == "INVITE":
            self._challenge(message, source)
        elif self._realm and message.method == "INVITE" and not self._knows(message):
            self._respond(response_to(message, 403), source)
        elif int(message.headers.get("Max-Forwards") or "70") == 0:
            self._refuse(message, source, 483)
        elif self._screens and message.method == "INVITE":
            self._refuse(message, source, self._screens)
        elif self._redirects and message.method == "INVITE":
            self._refuse(message, source, 302, ("Contact", f"<{self._redirects}>"))
        else:
            if message.method == "INVITE":
                self._respond(response_to(message, 100), source)
            self._forward(message, source, self._ways(message))

    # ---- requests

    def _ways(self, request: Request) -> list[tuple[str, str]]:
        """The Request-URI and the next host of each branch."""
        if self._own_routes(request) < len(request.headers.get_list("Route") if "Route" in request.headers else []):
            return [self._next(request)]
        for pattern, uris in self.locations.items():
            if re.fullmatch(pattern, request.uri):
                return [(uri, parse_uri(uri).host) for uri in uris]
        return [self._next(request)]

    def _next(self, request: Request) -> tuple[str, str]:
        routes = request.headers.get_list("Route") if "Route" in request.headers else []
        for route in routes[self._own_routes(request) :]:
            return request.uri, parse_uri(parse_name_addr(route).uri).host
        return request.uri, parse_uri(request.uri).host

    def _own_routes(self, request: Request) -> int:
        routes = request.headers.get_list("Route") if "Route" in request.headers else []
        return 1 if routes and parse_uri(parse_name_addr(routes[0]).uri).host in (self.host, self.name) else 0

    def _forward(self, request: Request, source: Source, ways: list[tuple[str, str]]) -> None:
        self._branch_out(Context(request, source), ways)

    def try_next(self, context: Context, uri: str) -> None:
        """Give up the branches that ring, and look for the callee elsewhere."""
        self.cancel_branches(context)
        self._branch_out(context, [(uri, parse_uri(uri).host)])

    def _branch_out(self, context: Context, ways: list[tuple[str, str]]) -> None:
        request = context.request
        for uri, host in ways:
            headers = Headers.of_canonical(list(request.headers))
            routes = headers.get_list("Route")[self._own_routes(request) :] if "Route" in headers else []
            headers.remove("Route")
            for route in routes:
                headers.add("Route", route)
            headers.set("Max-Forwards", str(int(headers.get("Max-Forwards") or "70") - 1))
            if self._realm:
                headers = Headers.of_canonical([(n, v) for n, v in headers if not self._is_for_us(n, v)])
            if self._record_route and request.method == "INVITE" and request.to.tag is None:
                headers.push("Record-Route", f"<sip:{self.host};lr>")
            branch = f"z9hG4bKproxy{next(self._numbers)}"
            headers.push("Via", f"SIP/2.0/UDP {self.host}:5060;branch={branch}")
            forwarded = Request(request.method, uri, headers, request.body)
            self._rewrite(forwarded)
            if request.method != "ACK":
                self._contexts[branch] = context
            context.branches[branch] = Branch(forwarded, host)
            self._send(forwarded, host)

    def _refuse(self, request: Request, source: Source, status: int, *headers: tuple[str, str]) -> None:
        self._respond(response_to(request, status, to_tag="p", headers=headers), source)
        self._contexts[f"refused{next(self._numbers)}"] = Context(request, source)

    def _on_cancel(self, cancel: Request, source: Source) -> None:
        self._respond(response_to(cancel, 200), source)
        for context in {id(context): context for context in self._contexts.values()}.values():
            if context.request.method == "INVITE" and context.request.top_via.branch == cancel.top_via.branch:
                self.cancel_branches(context)

    def cancel_branches(self, context: Context) -> None:
        for branch in context.branches.values():
            if branch.final is None:
                self._send(cancel_of(branch.request, None), branch.host)

    def give_up(self, context: Context, status: int) -> None:
        """No branch has answered for too long."""
        self._respond(response_to(context.request, status, to_tag="p"), context.source)

    # ---- responses

    def _on_response(self, response: Response) -> None:
        branch_id = response.top_via.branch
        context = self._contexts.get(branch_id)
        if context is None or response.cseq[1] == "CANCEL" or response.status == 100:
            return
        branch = context.branches[branch_id]
        headers = Headers.of_canonical(list(response.headers))
        vias = headers.get_all("Via")
        headers.remove("Via")
        for via in reversed(vias[1:]):
            headers.push("Via", via)
        passed = Response(response.status, response.reason, headers, response.body)
        self._rewrite(passed)
        if response.status < 200:
            self._respond(passed, context.source)
        elif response.status < 300:
            branch.final, context.answered = response, True
            self._respond(passed, context.source)
            if context.request.method == "INVITE":
                self.cancel_branches(context)  # RFC 3261 §16.7 step 10
        else:
            if context.request.method == "INVITE":
                self._send(ack_of_failure(branch.request, response), branch.host)
            branch.final = passed
            if response.status == 486 and self._on_busy:
                self._respond(response_to(context.request, 181, "Call Is Being Forwarded"), context.source)
                self._branch_out(context, [(self._on_busy, parse_uri(self._on_busy).host)])
                return
            finals = [b.final for b in context.branches.values()]
            if all(finals) and not context.answered and not self._hunts:
                best = min((f for f in finals if f), key=lambda f: (f.status < 600, f.status))  # §16.7 step 6
                self._respond(best, context.source)

    # ---- credentials

    def _challenge(self, request: Request, source: Source) -> None:
        challenge = f'Digest realm="{self._realm}", qop="auth", nonce="{NONCE}", opaque="", stale=FALSE, algorithm=MD5'
        self._refuse(request, source, 407, ("Proxy-Authenticate", challenge))

    def _is_for_us(self, name: str, value: str) -> bool:
        return name == "Proxy-Authorization" and f'realm="{self._realm}"' in value

    def _knows(self, request: Request) -> bool:
        """RFC 2617 §3.2.2, worked out here once more."""
        for value in request.headers.get_all("Proxy-Authorization"):
            given = dict(re.findall(r'(\w+)="?([^",]*)"?', value))
            if given["realm"] != self._realm or given["username"] not in self._users:
                continue
            a1 = _md5(f"{given['username']}:{self._realm}:{self._users[given['username']]}")
            a2 = _md5(f"{request.method}:{given['uri']}")
            expected = _md5(f"{a1}:{NONCE}:{given['nc']}:{given['cnonce']}:auth:{a2}")
            return given["response"] == expected
        return False

    # ---- the wire

    def _respond(self, response: Response, source: Source) -> None:
        self._put(response, source.host)

    def _send(self, request: Request, host: str) -> None:
        self._put(request, host)

    def _put(self, message: Request | Response, host: str) -> None:
        self.wire.carry(self, Transmit(Target("UDP", host, 5060), message.encode()))  # type: ignore[arg-type]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def ladder(wire: Wire, **names: object) -> list[str]:
    """What was sent so far, in order, as `alice INVITE bob`; the names stand for parties and proxies."""
    by_host = {party.host: name for name, party in names.items()}  # type: ignore[attr-defined]
    return [
        f"{by_host.get(s.sender, s.sender)} {s.word} {by_host.get(s.transmit.target.host, s.transmit.target.host)}"
        for s in wire.sent
    ]


def rungs(text: str) -> list[str]:
    """A ladder as a docstring shows it: one message a line."""
    return [" ".join(line.split()) for line in text.strip().splitlines()]
