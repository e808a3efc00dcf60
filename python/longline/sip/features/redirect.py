"""Redirects followed (RFC 3261 §8.1.3.4, §21.3): a 3xx names other ways to call.

Which targets may be tried is for the caller of a call to say (`Invitation.may_follow`), one by one: a peer that could
send our calls where it likes would make them at our cost. They are tried in the order of their q, those of a later
redirect before those that still wait; a target that was tried already is not tried again. Leaves out: 305 and 380,
which name no other target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from longline.base.errors import RemoteProtocolError
from longline.sip.dialog import Dialog
from longline.sip.events import Redirected
from longline.sip.syntax.headers import parse_name_addr
from longline.sip.syntax.message import Response
from longline.sip.syntax.uri import parse_uri
from longline.sip.usage import InviteUsage, Stage
from longline.sip.ways import Way, ways_to

if TYPE_CHECKING:
    from longline.sip.core import Core

MAX_REDIRECTS = 8
"""Further targets of one call that are tried; more are passed over (`sip.redirects_refused`)."""
MAX_CONTACTS = 16
"""Contacts of one 3xx that are looked at."""
_FOLLOWED = frozenset((300, 301, 302))

MayFollow = Callable[[str], bool]
"""Whether a call may go to this URI."""


@dataclass(slots=True, eq=False)
class Redirection:
    """Where one call has been sent, and what of its beginning holds for all that."""

    may_follow: MayFollow
    tried: set[tuple[str, ...]]
    routes: tuple[str, ...]
    """The proxy it goes through, wherever it goes."""
    place: tuple[str, int]
    """Whom it began with. Nobody else is told the password of `peer`, or of `trunk`."""
    peer: str | None
    trunk: str | None
    count: int = 0
    forwards: list[str] = field(default_factory=list)
    """Targets at our own name that are nobody there."""


class Redirects:
    def __init__(self, core: Core) -> None:
        self._core = core

    def begin(self, dialog: Dialog, may_follow: MayFollow | None) -> Redirection | None:
        """For a call that begins; None when it is not to be redirected."""
        if may_follow is None:
            return None
        target, routes = dialog.remote_target, tuple(dialog.route_set)
        place = parse_uri(target).host_port
        return Redirection(may_follow, {_key(target)}, routes, place, dialog.peer, dialog.trunk)

    def learn(self, now: float, usage: InviteUsage, response: Response) -> None:
        """The targets that a 3xx names become the next ways of the call."""
        redirection = usage.redirection
        if redirection is None or response.status not in _FOLLOWED or usage.stage is not Stage.CALLING:
            return
        targets = [uri for uri in self._named(response) if self._takes(usage, redirection, uri)]
        if not targets:
            return
        ways = [way for uri in targets for way in self._ways(now, redirection, uri)]
        usage.ways[:0] = ways
        self._core.counters["sip.redirects_followed"] += 1
        self._core.events.append(Redirected(usage.handle, response.status, tuple(targets)))

    def _named(self, response: Response) -> list[str]:
        """The targets of a response, the most wanted first; of equal ones the first named."""
        found: list[tuple[float, str]] = []
        try:
            contacts = response.headers.get_list("Contact") if "Contact" in response.headers else []
        except RemoteProtocolError:
            contacts = []
        for contact in contacts[:MAX_CONTACTS]:
            try:
                found.append(_target_in(contact))
            except RemoteProtocolError:
                self._core.counters["sip.redirects_refused"] += 1
        return [uri for _, uri in sorted(found, key=lambda item: -item[0])]

    def _takes(self, usage: InviteUsage, redirection: Redirection, uri: str) -> bool:
        if redirection.count < MAX_REDIRECTS and self._may_try(usage, redirection, uri):
            redirection.tried.add(_key(uri))
            redirection.count += 1
            if not self._is_nobody(uri):
                return True
            redirection.forwards.append(uri)  # we would call ourselves
        self._core.counters["sip.redirects_refused"] += 1
        return False

    def _may_try(self, usage: InviteUsage, redirection: Redirection, uri: str) -> bool:
        if _key(uri) in redirection.tried:
            return False  # a loop
        parsed = parse_uri(uri)
        if usage.dialog.secure and parsed.scheme != "sips":
            return False  # RFC 3261 §8.1.3.4: sips is not given up without being asked
        try:
            self._core.hop_of(parsed)
        except RemoteProtocolError:
            return False
        return redirection.may_follow(uri)

    def _is_nobody(self, uri: str) -> bool:
        target = parse_uri(uri)
        return self._core.is_own(target) and self._core.account_of(target) is None

    def _ways(self, now: float, redirection: Redirection, uri: str) -> list[Way]:
        target = parse_uri(uri)
        if redirection.routes or target.host_port == redirection.place:
            return [Way(uri, redirection.routes, redirection.peer, trunk=redirection.trunk)]
        account = self._core.account_of(target)
        if account is not None:
            return ways_to(account.name, self._core.bindings.of(now, account.name))
        return [Way(uri, trunk=self._core.trunk_of(uri))]


def _target_in(contact: str) -> tuple[float, str]:
    """The q and the URI of one Contact. Its headers are not taken over (RFC 3261 §19.1.5)."""
    address = parse_name_addr(contact)
    parsed = parse_uri(address.uri)
    if (parsed.param("method") or "INVITE").upper() != "INVITE":
        raise RemoteProtocolError("a redirect to another method")
    return _q(address.params.get("q")), str(replace(parsed, headers=None))


def _q(value: str | None) -> float:
    """RFC 3261 §20.10: from 0 to 1, and 1 when it is not given or not to be understood."""
    try:
        q = float(value) if value is not None else 1.0
    except ValueError:
        return 1.0
    return q if 0 <= q <= 1 else 1.0


def _key(uri: str) -> tuple[str, ...]:
    """What makes two targets the same, near enough to RFC 3261 §19.1.4 to find a loop."""
    parsed = parse_uri(uri)
    return parsed.scheme, parsed.user_text, parsed.host.lower(), str(parsed.port or ""), parsed.transport
