"""What tells voice from no voice: the level (`energy.py`), or a model (`silero.py`); and how long it must have been one
for a voice to begin or end (`Runs`)."""

from __future__ import annotations

from typing import Literal, Protocol

Change = Literal["started", "stopped"]


class Vad(Protocol):
    """One caller's."""

    def hear(self, pcm: bytes, rate_hz: int, at_ms: float) -> tuple[Change, float] | None:
        """PCM of 16 bits, little-endian, one channel; `at_ms` is where it begins. Returns a change, and where in the
        audio it was, in milliseconds: not later than the end of what has been heard."""
        ...


class Runs:
    """So much voice begins one, so much silence ends it; told with where that began."""

    def __init__(self, start_ms: float, stop_ms: float) -> None:
        self.is_voiced = False
        self._needed_ms = {False: start_ms, True: stop_ms}
        self._against_ms = 0.0
        self._since_ms = 0.0

    def hear(self, is_voice: bool, at_ms: float, length_ms: float) -> tuple[Change, float] | None:
        """A piece of sound that begins there is voice or none."""
        if is_voice == self.is_voiced:
            # A word may begin with a sound, a gap and a sound ("stop"): a gap takes back no more than its own length.
            self._against_ms = 0.0 if self.is_voiced else max(0.0, self._against_ms - length_ms)
            return None
        if self._against_ms == 0:
            self._since_ms = at_ms
        self._against_ms += length_ms
        if self._against_ms < self._needed_ms[self.is_voiced]:
            return None
        self.is_voiced, self._against_ms = is_voice, 0.0
        return ("started" if is_voice else "stopped", self._since_ms)
