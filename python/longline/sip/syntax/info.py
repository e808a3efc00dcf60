"""Digits in the body of an INFO (the old use of RFC 2976 that RFC 6086 §4.2.2 leaves room for): pure.

Two bodies are in use and described by no RFC: `application/dtmf-relay`, lines of `Signal=5` and `Duration=160` in
milliseconds, and `application/dtmf`, the digit alone. Leaves out Info Packages (RFC 6086), which nobody offers.
"""

from dataclasses import dataclass

from longline.sip.syntax.body import media_type
from longline.sip.syntax.message import Request

DTMF_RELAY = "application/dtmf-relay"
DTMF = "application/dtmf"
MAX_BODY_BYTES = 256
"""A digit needs less; of a longer body nothing is read."""
MAX_DURATION_MS = 60_000

_DIGITS = frozenset("0123456789*#ABCD")
_NUMBERED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Some senders name the other keys by their event numbers (RFC 4733 §3.2)."""


@dataclass(frozen=True, slots=True)
class Digit:
    """One key, and for how long it was pressed where that was told. It does not show in a `repr`."""

    digit: str
    duration_ms: int | None

    def __repr__(self) -> str:
        return "Digit(…)"


def digit_of(request: Request) -> Digit | None:
    """The digit in an INFO, or None when its body tells none."""
    if len(request.body) > MAX_BODY_BYTES:
        return None
    text = request.body.decode("ascii", "replace")
    kind = media_type(request.headers.get("Content-Type") or "")
    if kind == DTMF:
        return _digit(text, None)
    if kind != DTMF_RELAY:
        return None
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        fields.setdefault(name.strip().lower(), value.strip())
    return _digit(fields.get("signal", ""), fields.get("duration"))


def _digit(signal: str, duration: str | None) -> Digit | None:
    key = signal.strip().upper()
    key = _NUMBERED.get(key, key)
    if key not in _DIGITS:
        return None
    length = int(duration) if duration and duration.isascii() and duration.isdecimal() and len(duration) < 9 else None
    return Digit(key, None if length is None else min(length, MAX_DURATION_MS))
