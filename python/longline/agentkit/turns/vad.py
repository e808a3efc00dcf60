"""What tells voice from no voice: the level (`energy.py`), or a model."""

from __future__ import annotations

from typing import Literal, Protocol

Change = Literal["started", "stopped"]


class Vad(Protocol):
    """One caller's."""

    def hear(self, pcm: bytes, rate_hz: int, at_ms: float) -> tuple[Change, float] | None:
        """PCM of 16 bits, little-endian, one channel; `at_ms` is where it begins. Returns a change, and where in the
        audio it was, in milliseconds: not later than the end of what has been heard."""
        ...
