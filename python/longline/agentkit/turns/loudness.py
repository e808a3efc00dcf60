"""How loud a sound must be to make the agent pause: a caller who interrupts is about as loud as he always is.

Two things are learned, both of whole sounds by their loudest 60 ms. How loud the caller is, from his turns: what is
`below_voice_db` quieter is his breath, or somebody else in the room. And how loud that is which was taken back, since
no words came of it: our own speech that comes back from a line without an echo canceller, a dog, music. The next of it
has to be `above_nothing_db` louder. That is forgotten at `forget_db_s`, and never asks for more than the caller's own
level less `beside_voice_db`, so that who raises his voice a little is always heard.

All levels are dB of full scale. Pure: frames in, a yes or no out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

OVER_MS: Final = 60.0
"""A level is that of so much sound."""
UNKNOWN_VOICE_DB: Final = -18.0
"""How loud a caller is taken to be, at his loudest, of whom nothing has been understood yet."""
SILENT_DB: Final = -60.0


@dataclass(frozen=True, slots=True)
class LoudnessRules:
    """dB, and dB a second."""

    below_voice_db: float = 20.0
    above_nothing_db: float = 4.0
    beside_voice_db: float = 6.0
    forget_db_s: float = 0.1


class Loudness:
    """Tell it of each frame, of when a voice starts, and what came of it."""

    def __init__(self, rules: LoudnessRules | None = None) -> None:
        self.rules = rules or LoudnessRules()
        self.voice_db: float | None = None
        self.nothing_db = SILENT_DB
        self._frames: deque[tuple[float, float]] = deque()
        self._ms = 0.0
        self._loudest_db = SILENT_DB

    @property
    def least_db(self) -> float:
        """What is quieter makes nobody pause."""
        rules = self.rules
        voice_db = UNKNOWN_VOICE_DB if self.voice_db is None else self.voice_db
        quiet_db = SILENT_DB if self.voice_db is None else voice_db - rules.below_voice_db
        return max(quiet_db, min(self.nothing_db + rules.above_nothing_db, voice_db - rules.beside_voice_db))

    @property
    def is_enough(self) -> bool:
        """Whether the sound so far has been as loud as that."""
        return self._loudest_db >= self.least_db

    @property
    def is_beyond(self) -> bool:
        """Whether it has been louder than anything that was nobody's word, however loud the caller is."""
        return self._loudest_db >= max(self.least_db, self.nothing_db + self.rules.above_nothing_db)

    def hear(self, level_db: float, length_ms: float) -> None:
        self._frames.append((level_db, length_ms))
        self._ms += length_ms
        while self._ms - self._frames[0][1] >= OVER_MS:
            self._ms -= self._frames.popleft()[1]
        if self._ms >= OVER_MS:
            self._loudest_db = max(self._loudest_db, sum(level * ms for level, ms in self._frames) / self._ms)
        self.nothing_db = max(SILENT_DB, self.nothing_db - self.rules.forget_db_s * length_ms / 1_000)

    def started(self) -> None:
        """A sound begins, with what has just been heard."""
        self._loudest_db = sum(level * ms for level, ms in self._frames) / self._ms if self._ms else SILENT_DB

    def was_voice(self) -> None:
        """The last sound was the caller's turn."""
        if self._loudest_db > SILENT_DB:
            known = self._loudest_db if self.voice_db is None else self.voice_db
            self.voice_db = 0.7 * known + 0.3 * self._loudest_db

    def was_nothing(self) -> None:
        """The last sound made the agent pause, and was taken back."""
        self.nothing_db = max(self.nothing_db, self._loudest_db)
