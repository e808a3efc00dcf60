"""The way of an outgoing call: which trunk and which of its targets, and the next one when that fails.

Trunks by priority and weight, within each its targets by priority and weight (RFC 2782). What is known to be down is
left for last: nothing is lost by asking it when all else has failed. A trunk whose limits are reached is passed over.
A `Route` belongs to one leg, is asked for one `Way` after another, and is closed with the leg.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar
from uuid import UUID

from longline.base.clock import Clock
from longline.base.errors import InvalidTarget, LimitReached, RemoteProtocolError
from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.calls.trunk import Trunk
from longline.calls.trunk_limits import Channel, TrunkLimits
from longline.sip.access.peers import PeerTarget
from longline.sip.features.redirect import MayFollow
from longline.sip.sdp.crypto import SrtpPolicy
from longline.sip.syntax.uri import parse_uri

MAX_WAYS: Final = 8
"""Ways that one call is tried by; further ones are not."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Way:
    """One INVITE: its Request-URI, From and To, and the trunk it goes through. `srtp` None: the node's setting."""

    target: str
    from_uri: str
    to_uri: str | None = None
    trunk: Trunk | None = None
    hop: str | None = None
    """The URI of the trunk's target, as it is configured."""
    may_follow: MayFollow | None = None
    """Where a 3xx may send it; None: nowhere."""
    headers: tuple[tuple[str, str], ...] = ()
    """What this trunk is told beside."""

    @property
    def peer(self) -> str | None:
        return None if self.trunk is None else self.trunk.peer.name

    @property
    def srtp(self) -> SrtpPolicy | None:
        return None if self.trunk is None else self.trunk.peer.srtp


class Known(Protocol):
    """The trunks there are."""

    @property
    def trunks(self) -> Sequence[Trunk]: ...
    @property
    def default(self) -> Trunk | None: ...


class Health(Protocol):
    """Which targets answer."""

    def is_up(self, peer: str, uri: str) -> bool: ...
    def has_failed(self, peer: str, uri: str) -> None: ...
    def has_answered(self, peer: str, uri: str) -> None: ...


class Route:
    """The ways of one leg. `present` is the one being tried; a failure moves on by `next`."""

    def __init__(
        self,
        ways: Iterator[tuple[Way, Channel | None]],
        health: Health | None = None,
        *,
        has_several: bool = False,
    ) -> None:
        self.has_several = has_several
        """There may be another way than the first."""
        self._ways = itertools.islice(ways, MAX_WAYS)
        self._health = health
        self._channel: Channel | None = None
        self.present: Way | None = None

    def next(self) -> Way | None:
        """The way to try now; None when there is none left."""
        self.close()
        found = next(self._ways, None)
        self.present, self._channel = found if found is not None else (None, None)
        return self.present

    def leave_silent(self) -> bool:
        """Nobody has answered here: move on, unless there is no other way; then this one is stayed with."""
        way, channel = self.present, self._channel
        if channel is not None:
            channel.free()
        found = next(self._ways, None)
        if found is None:
            self._channel = channel.again() if channel is not None else None
            return False
        self.present, self._channel = found
        if way is not None and way.peer is not None and way.hop is not None and self._health is not None:
            self._health.has_failed(way.peer, way.hop)
        return True

    def may_go_on(self, status: int, cause: str, has_rung: bool) -> bool:
        """Whether a call that failed so is to be tried by another way.

        A 5xx, or no answer of anybody (RFC 3263 §4.3), is the trunk's failure; every other status is the callee's
        answer. Whoever has rung has been asked: his time-out is no reason to ask him again by another way."""
        is_failure = (500 <= status <= 599 and cause in ("rejected", "transport", "timeout")) or (
            not has_rung and (status == 408 or cause in ("timeout", "transport"))
        )
        way = self.present
        if way is not None and way.hop is not None and way.peer is not None and self._health is not None:
            if cause in ("timeout", "transport") and not has_rung:
                self._health.has_failed(way.peer, way.hop)
            elif cause == "rejected" and status != 503:
                self._health.has_answered(way.peer, way.hop)
        return is_failure

    def close(self) -> None:
        """The leg is over, or this way has failed: its channel is free."""
        if self._channel is not None:
            self._channel.free()
            self._channel = None


class Routes:
    """Chooses. `draw` gives numbers from 0 up to 1."""

    def __init__(
        self,
        known: Known,
        limits: TrunkLimits,
        health: Health,
        clock: Clock,
        may_call: MayFollow,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`may_call` says whether the settings let a URI be called."""
        self._known = known
        self._limits = limits
        self._health = health
        self._clock = clock
        self._may_call = may_call
        self._draw = draw

    def to_number(self, number: str, from_user: str, own_host: str, account_id: UUID = DEFAULT_ACCOUNT_ID) -> Route:
        """The route of a call to a telephone number, with its first way taken. Raise InvalidTarget when no trunk leads
        there, LimitReached when those that do are full."""
        trunks = self._ways_out(account_id)
        if not trunks:
            raise InvalidTarget(
                "No trunk leads to telephone numbers: configure one, [trunks.NAME], make one by the API with an "
                "inbound_route, or call a sip: URI."
            )
        several = sum(len(trunk.peer.targets) for trunk in trunks) > 1
        route = Route(self._choose(trunks, number, from_user, own_host), self._health, has_several=several)
        if route.next() is None:
            raise LimitReached("Every trunk that leads to telephone numbers has reached its limit of calls.")
        return route

    def to_uri(self, uri: str, from_user: str, own_host: str, account_id: UUID = DEFAULT_ACCOUNT_ID) -> Route:
        """The route to a SIP URI, which is called as it is, with its one way taken: through the trunk whose target is
        at the same place, if there is one, with its credential and within its limits. Raise InvalidTarget,
        LimitReached."""
        try:
            place = parse_uri(uri).host_port
        except RemoteProtocolError as error:
            raise InvalidTarget(f"to_number is not a SIP URI: {error}.") from error
        trunk, target = self._at(place, account_id)
        channel = None
        if trunk is not None:
            channel = self._limits.take(trunk, self._clock.monotonic())
            if channel is None:
                raise LimitReached(f"The trunk {trunk.name} has reached its limit of calls.")
        from_uri, headers = _caller(trunk, from_user, own_host)
        way = Way(uri, from_uri, None, trunk, target, self._may_follow(trunk), headers)
        route = Route(iter([(way, channel)]), self._health)
        route.next()
        return route

    def _at(self, place: tuple[str, int], account_id: UUID) -> tuple[Trunk, str] | tuple[None, None]:
        for trunk in self._of(account_id):
            for target in trunk.peer.targets:
                if parse_uri(target.uri).host_port == place:
                    return trunk, target.uri
        return None, None

    def _of(self, account_id: UUID) -> list[Trunk]:
        """The trunks that calls of this account may take."""
        return [trunk for trunk in self._known.trunks if trunk.is_shared or trunk.account_id == account_id]

    def _own_ways_out(self, account_id: UUID) -> list[Trunk]:
        """What an account other than that of the configuration has made for itself."""
        if account_id == DEFAULT_ACCOUNT_ID:
            return []
        return [trunk for trunk in self._of(account_id) if trunk.is_way_out and not trunk.is_shared]

    def _ways_out(self, account_id: UUID) -> list[Trunk]:
        trunks = self._own_ways_out(account_id)
        if not trunks and self._known.default is not None:
            return [self._known.default]
        trunks = trunks or [trunk for trunk in self._of(account_id) if trunk.is_way_out]
        return in_order(trunks, lambda trunk: (trunk.priority, trunk.weight), self._draw)

    def _choose(
        self, trunks: Sequence[Trunk], number: str, from_user: str, own_host: str
    ) -> Iterator[tuple[Way, Channel | None]]:
        """Lazily: health and limits are those of the moment in which a way is asked for."""
        later: list[tuple[Trunk, PeerTarget]] = []
        for trunk in trunks:
            for target in in_order(trunk.peer.targets, lambda t: (t.priority, t.weight), self._draw):
                if not self._health.is_up(trunk.peer.name, target.uri):
                    later.append((trunk, target))
                    continue
                channel = self._limits.take(trunk, self._clock.monotonic())
                if channel is None:
                    break
                yield self._way(trunk, target, number, from_user, own_host), channel
        for trunk, target in later:
            channel = self._limits.take(trunk, self._clock.monotonic())
            if channel is not None:
                yield self._way(trunk, target, number, from_user, own_host), channel

    def _way(self, trunk: Trunk, target: PeerTarget, number: str, from_user: str, own_host: str) -> Way:
        """The target's URI with the number as its user part, or with the user that the trunk wants there."""
        uri = parse_uri(target.uri)
        host_part = str(uri).partition(":")[2].rpartition("@")[2]
        from_uri, headers = _caller(trunk, from_user, own_host)
        may_follow = self._may_follow(trunk)
        if trunk.user is None:
            return Way(f"{uri.scheme}:{number}@{host_part}", from_uri, None, trunk, target.uri, may_follow, headers)
        to_uri = f"{uri.scheme}:{number}@{uri.host}"
        target_uri = f"{uri.scheme}:{trunk.user}@{host_part}"
        return Way(target_uri, from_uri, to_uri, trunk, target.uri, may_follow, headers)

    def _may_follow(self, trunk: Trunk | None) -> MayFollow | None:
        """Whoever is called directly may send the call on; a trunk only if it is set so."""
        return self._may_call if trunk is None or trunk.follows_redirects else None


def _caller(trunk: Trunk | None, user: str, own_host: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The From URI of a call, and the headers that say who calls."""
    if trunk is None:
        return f"sip:{user}@{own_host}", ()
    host = trunk.from_host or own_host
    # RFC 3325 §5: a network that trusts us may be told who calls, whatever From says.
    identity = (("P-Asserted-Identity", f"<sip:{user}@{host}>"),) if trunk.asserts_identity else ()
    return f"sip:{trunk.from_user or user}@{host}", identity


def in_order(items: Iterable[T], key: Callable[[T], tuple[int, int]], draw: Callable[[], float]) -> list[T]:
    """RFC 2782: by priority, the lower first; among equals each time a draw by weight. `key` gives both."""
    left = sorted(items, key=key)
    ordered: list[T] = []
    for _, group in itertools.groupby(left, key=lambda item: key(item)[0]):
        equals = list(group)  # those of weight 0 stand first, so that they have a chance, if a small one
        while equals:
            point = int(draw() * (sum(key(item)[1] for item in equals) + 1))
            sums = itertools.accumulate(key(item)[1] for item in equals)
            chosen = next(item for item, total in zip(equals, sums, strict=True) if total >= point)
            equals.remove(chosen)
            ordered.append(chosen)
    return ordered
