"""When a sample was there, by the clock of the event loop, from when frames came.

A frame can come late (a loop that was busy, a network that stalled, what was missed in an outage and is told again) and
never early: of those of the last second, the fastest tells which time belongs to which position. Times are handed in,
seconds; positions are milliseconds of the caller's audio.
"""

from __future__ import annotations

from typing import Final

BUCKET_S: Final = 0.5
"""The fastest frame of this and the last bucket counts; what is longer ago is forgotten, for positions may jump."""


class AudioClock:
    """Of one call."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._least = self._before = float("inf")

    def heard(self, end_ms: float, now: float, *, is_late: bool = False) -> None:
        """A frame that ends there has come. Of one that is told again after an outage it is known that it `is_late`."""
        if is_late and self._began is not None:
            return
        if self._began is None or now - self._began >= BUCKET_S:
            is_next = self._began is not None and now - self._began < 2 * BUCKET_S
            self._before = self._least if is_next else float("inf")
            self._began, self._least = now, float("inf")
        self._least = min(self._least, now - end_ms / 1000)

    def at(self, position_ms: float) -> float:
        """When the sample there came, or will come. Before the first frame nothing is known: -inf."""
        if self._began is None:
            return float("-inf")
        return min(self._least, self._before) + position_ms / 1000
