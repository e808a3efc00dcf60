"""Whom a call was for before it came here: Diversion (RFC 5806) and History-Info (RFC 7044), read alike.

Both are told by whoever has forwarded the call, and proven by nobody. Leaves out: writing them, and the order of a
History-Info whose branches (`index`) are not a single line of forwarding.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from longline.base.errors import RemoteProtocolError
from longline.sip.syntax import headers as values
from longline.sip.syntax.headers import NameAddr, parse_name_addr, split_list
from longline.sip.syntax.uri import parse_uri, scheme_of, user_of

MAX_DIVERSIONS = 16
"""Diversions of one call that are read; what lies further back is not."""
_CAUSES = {
    302: "unconditional",
    404: "unknown",
    408: "no-answer",
    480: "deflection",
    486: "user-busy",
    487: "deflection",
    503: "unavailable",
}
"""RFC 4458 §2.1: a cause, as the words of RFC 5806 §4 have it."""


@dataclass(frozen=True, slots=True)
class Diversion:
    """Somebody who was called and did not take the call. `reason` is a word of RFC 5806 §4, `user-busy` or `no-answer`
    for instance; `unknown` when it is not told. `user` is "" when there is none."""

    uri: str
    user: str
    reason: str = "unknown"


def diversions_of(headers: Iterable[tuple[str, str]]) -> tuple[Diversion, ...]:
    """The latest first, as RFC 5806 has them. What cannot be read is passed over: nothing hangs on it."""
    fields = list(headers)
    told = [_diversion(value) for value in _elements(fields, "Diversion")]
    if not told:
        told = _of_history(_elements(fields, "History-Info"))
    return tuple(diversion for diversion in told if diversion is not None)[:MAX_DIVERSIONS]


def _elements(fields: list[tuple[str, str]], wanted: str) -> list[NameAddr]:
    found: list[NameAddr] = []
    for name, value in fields:
        if name != wanted:
            continue
        try:
            found += [parse_name_addr(element) for element in split_list(value)]
        except RemoteProtocolError:
            continue
    return found


def _diversion(address: NameAddr) -> Diversion | None:
    reason = values.unquote(address.params.get("reason") or "").strip().lower()
    return _named(address.uri, reason or "unknown")


def _of_history(entries: list[NameAddr]) -> list[Diversion | None]:
    """RFC 7044 §5: the last entry is whom the call is for now; why it left one before stands with that one, as a Reason
    header of its URI, or as a cause with the next (RFC 4458)."""
    told: list[Diversion | None] = []
    for entry, after in itertools.pairwise(entries):
        cause = _cause_of_reason(entry.uri) or _cause_param(after.uri)
        told.append(_named(entry.uri, _CAUSES.get(cause, "unknown")))
    return told[::-1]


def _named(uri: str, reason: str) -> Diversion | None:
    try:
        if scheme_of(uri) in ("sip", "sips"):
            parsed = parse_uri(uri)
            return Diversion(uri.partition("?")[0], parsed.user_text.partition(";")[0], reason)
        return Diversion(uri, user_of(uri), reason) if scheme_of(uri) == "tel" else None
    except RemoteProtocolError:
        return None


def _cause_of_reason(uri: str) -> int:
    for field in uri.partition("?")[2].split("&"):
        name, _, value = field.partition("=")
        if name.lower() == "reason":
            return _number_after("cause=", unquote(value))
    return 0


def _cause_param(uri: str) -> int:
    return _number_after("cause=", uri.partition("?")[0])


def _number_after(what: str, text: str) -> int:
    digits = text.lower().partition(what)[2][:3]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
