"""Which numbers may be called: the deny list and the allow list of destinations, against toll fraud.

Of the prefixes in both lists that a number begins with the longest counts. A `sip:` URI is judged by its user part
when that is a number. Leaves out: how the call gets there.
"""

from __future__ import annotations

import re
from typing import Final

from longline.base.access_config import Access
from longline.base.errors import DestinationDenied

_NUMBER: Final = re.compile(r"\+?\d{3,}")


def check_destination(target: str, access: Access) -> None:
    """Raise DestinationDenied when the settings do not let this number or URI be called."""
    if not is_allowed(target, access):
        raise DestinationDenied


def is_allowed(target: str, access: Access) -> bool:
    """Whether the settings let this number or URI be called."""
    number = _number_of(target)
    if number is None:
        return True
    denied = _longest(number, access.deny_destinations)
    allowed = _longest(number, access.allow_destinations)
    if allowed < 0 and access.allow_destinations:
        return False
    return denied < 0 or denied < allowed


def _number_of(target: str) -> str | None:
    """The number a call would reach, with its plus; None when it is a name."""
    scheme, colon, rest = target.partition(":")
    user = rest.partition("@")[0] if colon and scheme.lower() in ("sip", "sips", "tel") else target
    user = re.sub(r"[\-.()\s]", "", user.partition(";")[0].partition(":")[0].replace("%2B", "+").replace("%2b", "+"))
    if _NUMBER.fullmatch(user) is None:
        return None
    return user if user.startswith("+") else f"+{user.removeprefix('00')}"


def _longest(number: str, prefixes: list[str]) -> int:
    """The length of the longest prefix that fits; -1 when none does."""
    return max((len(prefix) for prefix in prefixes if number.startswith(prefix)), default=-1)
