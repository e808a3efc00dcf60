"""One press is told once, though the far end told it by SIP INFO and in its media as well.

The media server merges what comes by its two roads, telephone-events and tones (`dtmf/once.rs`); here SIP INFO is the
third. The same digit by the other road within `SAME_PRESS_S` is the same press; each press told by one road excuses
one of the other, so that a key pressed twice quickly stays two digits. Leaves out what the far end sends by one road
alone: nothing is held back to see whether it comes again.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

Road = Literal["media", "sip_info"]

SAME_PRESS_S = 1.0
"""Two tellings of one press are at most so far apart: a retransmitted INFO (500 ms, RFC 3261 timer T1), the longest
jitter buffer, and a little."""

REMEMBERED = 8
"""Presses remembered. Rule when full: the oldest is forgotten."""


class Presses:
    """What was told lately, and not yet by both roads."""

    def __init__(self) -> None:
        self._told: deque[tuple[float, str, Road]] = deque(maxlen=REMEMBERED)

    def is_new(self, now: float, digit: str, road: Road) -> bool:
        """The digit is to be told: it is not the other telling of one that was. `now` is in seconds of any clock."""
        for told in self._told:
            at, other_digit, other_road = told
            if other_digit == digit and other_road != road and now - at <= SAME_PRESS_S:
                self._told.remove(told)
                return False
        self._told.append((now, digit, road))
        return True
