"""Whether the targets of our peers answer: OPTIONS to each (RFC 3261 §11), at the interval that its peer has.

A target goes down after `DOWN_AFTER` failures in a row and comes up after `UP_AFTER` answers in a row. Any final
response is an answer but those by which a proxy or server says that it is not there: 408, 502, 503, 504. Leaves out:
what is done with that (`calls/routes.py`).
"""

from __future__ import annotations

from longline.base.errors import RemoteProtocolError
from longline.sip.access.peers import Peer, Peers
from longline.sip.core import Core
from longline.sip.events import TargetChanged
from longline.sip.exchange import Exchange, Owner
from longline.sip.syntax.build import told_status
from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request, Response
from longline.sip.syntax.uri import SipUri, parse_uri
from longline.sip.timers import Timer

DOWN_AFTER = 2
UP_AFTER = 2
PATIENCE_S = 4.0
"""No answer for so long is a failure: retransmissions at 0.5, 1 and 2 s got none (RFC 3261 timer E)."""
RETRY_S = 5.0
"""How long after a failure, or the first answer after one, is asked again, if the interval is not shorter."""
MAX_TARGETS = 4000
"""Targets that are asked. Rule when full: further ones count as up (counter `sip.health_left_out`)."""

_NOT_THERE = frozenset((408, 502, 503, 504))


class Health:
    """Every target that is asked. `on_peers` whenever the peers have changed."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._checks: dict[tuple[str, str], TargetCheck] = {}

    def on_peers(self, peers: Peers) -> None:
        """Ask what is new, and forget what is gone."""
        wanted = {
            (peer.name, target.uri): peer for peer in peers if peer.health_interval_s > 0 for target in peer.targets
        }
        for key in self._checks.keys() - wanted.keys():
            self._checks.pop(key).stop()
        for key, peer in wanted.items():
            check = self._checks.get(key)
            if check is not None:
                check.interval_s = peer.health_interval_s
            elif len(self._checks) >= MAX_TARGETS:
                self._core.counters["sip.health_left_out"] += 1
            else:
                self._checks[key] = TargetCheck(self._core, peer, key[1])


class TargetCheck(Owner):
    """One target of one peer. It counts as up until it has failed."""

    def __init__(self, core: Core, peer: Peer, uri: str) -> None:
        self.interval_s = peer.health_interval_s
        self.is_up = True
        self._core = core
        self._peer = peer.name
        self._uri = uri
        self._timer = "health-" + core.token()
        self._exchange: Exchange | None = None
        self._in_a_row = 0
        """Outcomes that speak against `is_up`, in a row."""
        self._is_new = True
        core.timed[self._timer] = self._on_timer
        self.ask_at(0.0)

    def ask_at(self, at: float) -> None:
        self._core.timers.arm(self._timer, Timer.ASK_TARGET, at)

    def stop(self) -> None:
        self._core.timers.disarm(self._timer)
        self._core.timed.pop(self._timer, None)
        self._give_up()

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        if exchange is self._exchange and response.status >= 200:
            is_there = response.status not in _NOT_THERE
            self._settle(now, is_there, None if is_there else told_status(response))

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        if exchange is self._exchange:
            self._settle(now, False, "no response" if cause == "timeout" else "it could not be reached")

    def _on_timer(self, now: float, timer: Timer) -> None:
        if timer is Timer.AWAIT_TARGET and self._exchange is not None and self._exchange.targets:
            # Its name leads to further servers: it is there as long as one of them is.
            self._core.timers.arm(self._timer, Timer.AWAIT_TARGET, now + PATIENCE_S)
        elif timer is Timer.AWAIT_TARGET:
            self._settle(now, False, "no response")
        elif self._is_new:
            # Spread over a second: a thousand targets are not asked in one millisecond.
            self._is_new = False
            self.ask_at(now + self._core.chance() * min(1.0, self.interval_s))
        else:
            self._ask(now)

    def _settle(self, now: float, is_there: bool, reason: str | None) -> None:
        self._core.timers.disarm(self._timer)
        self._give_up()
        self._in_a_row = 0 if is_there == self.is_up else self._in_a_row + 1
        if self._in_a_row >= (DOWN_AFTER if self.is_up else UP_AFTER):
            self.is_up, self._in_a_row = is_there, 0
            self._core.counters["sip.targets_up" if is_there else "sip.targets_down"] += 1
            self._core.events.append(TargetChanged(self._peer, self._uri, is_there, reason))
        is_settled = self.is_up and not self._in_a_row
        self.ask_at(now + (self.interval_s if is_settled else min(self.interval_s, RETRY_S)))

    def _ask(self, now: float) -> None:
        uri = parse_uri(self._uri)
        # RFC 3261 §11.1: the target itself is asked, and whoever it is for does not matter.
        asked = SipUri(uri.host, uri.port, params=uri.params, scheme=uri.scheme)
        request = Request(
            "OPTIONS",
            str(asked),
            Headers.of_canonical(
                [
                    ("Max-Forwards", "70"),
                    ("From", f"<sip:{self._core.host_port(None)}>;tag={self._core.token()}"),
                    ("To", f"<{asked.scheme}:{asked.host}>"),
                    ("Call-ID", self._core.token()),
                    ("CSeq", "1 OPTIONS"),
                    ("Accept", "application/sdp"),
                ]
            ),
        )
        self._core.timers.arm(self._timer, Timer.AWAIT_TARGET, now + PATIENCE_S)
        try:
            hop = self._core.hop_of(uri)
        except RemoteProtocolError as error:
            self._settle(now, False, str(error))
            return
        self._exchange = exchange = self._core.exchanges.prepare(request, self, peer=self._peer)
        self._core.exchanges.send(now, exchange, hop)

    def _give_up(self) -> None:
        if self._exchange is not None:
            self._exchange.is_over = True
            self._exchange = None
