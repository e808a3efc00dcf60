"""What the caller says, turn by turn: voices and transcripts in, turns out. Times are handed in.

A turn that the endpointer calls over waits for its last words, since a transcriber is some way behind the voice:

    over → a final is wanted → it comes: the turn is what was said
                             → it does not: the words so far are the turn, and what comes too late amends it
                             → it does not, and there are no words: a short sound was a noise, unless words come late;
                               after a long one the caller is told to wait, and at last that he was not understood

A caller who goes on before he has heard an answer was not done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from longline.agentkit.turns.endpointing import Endpointer, TurnOver
from longline.agentkit.turns.vad import Change

FINAL_WITHIN_S: Final = 0.6
"""How long a turn of which there are words waits for the last of them."""
WORDS_OF_S: Final = 0.4
"""Of a voice so long words are expected: when none come, the caller is told so. What is shorter may be a noise."""

SAME_SOUND_S: Final = 2.0
"""Sounds without words that are not further apart are one: music, a radio."""


@dataclass(frozen=True, slots=True)
class FinalWanted:
    """The turn is over: the transcriber is to say what it was."""


@dataclass(frozen=True, slots=True)
class Spoke:
    """A turn. Seconds: `until` is when the last voiced sound ended, `over_at` when it was called over."""

    text: str
    until: float
    over_at: float


@dataclass(frozen=True, slots=True)
class Wordless:
    """It was a sound without words. `has_failed`: there should have been some, and the transcriber has said nothing."""

    has_failed: bool


@dataclass(frozen=True, slots=True)
class StillWaiting:
    """The caller has said something and it is not known what: he should not wait in silence."""


@dataclass(frozen=True, slots=True)
class WentOn:
    """The turn that was told last was not over. What comes next is all of it."""


@dataclass(frozen=True, slots=True)
class Amended:
    """The turn that was told last is understood better now."""

    text: str


Told = FinalWanted | Spoke | Wordless | StillWaiting | WentOn | Amended


class Listening:
    """Tell it what happens, do what it returns, ask `decide` at `deadline`. `wait_s` and `give_up_s`: how long the
    caller waits for a transcriber before he is told to, and before it has failed."""

    def __init__(self, endpointer: Endpointer, *, wait_s: float, give_up_s: float) -> None:
        self.endpointer = endpointer
        self._wait_s = wait_s
        self._give_up_s = give_up_s
        self._over: TurnOver | None = None
        self._final_by: float | None = None
        self._late: TurnOver | None = None
        self._voice_since: float | None = None
        self._wordless_since: float | None = None
        self._stopped_at = 0.0
        self._voiced_s = 0.0
        """How much voice has not been understood yet."""

    @property
    def text(self) -> str:
        """The words of the turn that is not over."""
        return self.endpointer.text

    @property
    def is_voiced(self) -> bool:
        """There is a voice."""
        return self._voice_since is not None

    def wordless_s(self, now: float) -> float:
        """For how long there have been voices, with less than SAME_SOUND_S between them, and not a word of it."""
        is_over = self._voice_since is None and now - self._stopped_at > SAME_SOUND_S
        return 0.0 if self._wordless_since is None or is_over else now - self._wordless_since

    @property
    def is_idle(self) -> bool:
        """The caller says nothing, and all that he has said is known."""
        return self._voice_since is None and self._over is None and self.endpointer.deadline is None

    @property
    def deadline(self) -> float | None:
        return min((due for due in (self.endpointer.deadline, self._final_by) if due is not None), default=None)

    def voice(self, change: Change, at: float) -> list[Told]:
        if change == "stopped":
            self._stopped_at = at
            if self._voice_since is not None:
                self._voiced_s += at - self._voice_since
                self._voice_since = None
            self.endpointer.speech_stopped(at)
            return []
        self._voice_since = at
        if self._wordless_since is None or at - self._stopped_at > SAME_SOUND_S:
            self._wordless_since = at
        if self.endpointer.speech_started(at) is None:
            return []
        was_told = self._over is None
        self._over = self._final_by = self._late = None
        return [WentOn()] if was_told else []

    def transcript(self, text: str, *, is_final: bool, now: float) -> list[Told]:
        over = self._over
        if text:
            self._wordless_since = None
        if over is not None:
            self._over = over = over.with_final(text) if is_final else over.with_partial(text)
            return self._end(over) if is_final else []
        if is_final and self._late is not None:
            was_told = bool(self._late.text)
            late, self._late = self._late.with_final(text), None
            if not text:
                return []
            self.endpointer.last_words(late)
            return [Amended(late.text)] if was_told else [Spoke(late.text, late.spoke_until, late.at)]
        self.endpointer.transcript(text, is_final=is_final, at=now)
        return []

    def decide(self, now: float) -> list[Told]:
        told: list[Told] = []
        if self._final_by is not None and now >= self._final_by and self._over is not None:
            told += self._go_without_final(now, self._over)
        over = self.endpointer.decide(now)
        if over is not None:
            if self._over is not None:
                told += self._end(self._over)
            self._over, self._final_by, self._late = over, now + FINAL_WITHIN_S, None
            told.append(FinalWanted())
        return told

    def deaf(self) -> bool:
        """The transcriber has failed, and what it was told is lost. Returns whether the caller had said something."""
        was_told = self._over is not None or self._voice_since is not None or self._voiced_s >= WORDS_OF_S
        self._over = self._final_by = self._late = None
        self._voiced_s = 0.0
        return was_told

    def _go_without_final(self, now: float, over: TurnOver) -> list[Told]:
        if over.text:
            self._late = over
            return self._end(over)
        waited_s = now - over.at
        if self._voiced_s < WORDS_OF_S:
            self._late = over
            return self._end(over)
        if waited_s >= self._give_up_s:
            return self._end(over, has_failed=True)
        is_long = waited_s >= self._wait_s
        self._final_by = over.at + (self._give_up_s if is_long else self._wait_s)
        return [StillWaiting()] if is_long else []

    def _end(self, over: TurnOver, *, has_failed: bool = False) -> list[Told]:
        self.endpointer.last_words(over)
        self._over = self._final_by = None
        self._voiced_s = 0.0
        if over.text:
            return [Spoke(over.text, over.spoke_until, over.at)]
        self.endpointer.answered()  # it was no turn: nothing goes on with it
        return [Wordless(has_failed)]
