"""Whether a caller who makes a sound while the agent speaks wants to interrupt it.

The agent falls silent at the first sound, because who interrupts wants that at once, and what it had to say is kept.
What comes then decides: words that only say "go on" (`backchannel.py`), or a sound that was too short and had no words,
take it back, and the agent goes on where it was; other words, or a voice that stays, make it an interruption.

    state      input          next        to do
    SPEAKING   sound          HELD        pause
    HELD       interruption   LISTENING   clear
    HELD       nothing        SPEAKING    resume
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from longline.agentkit.turns.backchannel import is_backchannel
from longline.agentkit.turns.words import words_of


class State(Enum):
    LISTENING = "the agent says nothing"
    SPEAKING = "the agent speaks"
    HELD = "the agent holds its tongue until it is known what the sound was"


class Decision(Enum):
    PAUSE = "pause"
    RESUME = "resume"
    CLEAR = "clear"


class _Input(Enum):
    SPEAKS = "the agent begins to speak"
    SILENT = "the agent has said all"
    SOUND = "the caller makes a sound"
    NOTHING = "it was noise, or meant: go on"
    INTERRUPTION = "it was meant"


TABLE: Final[dict[tuple[State, _Input], tuple[State, Decision | None]]] = {
    (State.LISTENING, _Input.SPEAKS): (State.SPEAKING, None),
    (State.SPEAKING, _Input.SILENT): (State.LISTENING, None),
    (State.SPEAKING, _Input.SOUND): (State.HELD, Decision.PAUSE),
    (State.HELD, _Input.NOTHING): (State.SPEAKING, Decision.RESUME),
    (State.HELD, _Input.INTERRUPTION): (State.LISTENING, Decision.CLEAR),
}
"""A pair that is not here changes nothing."""


@dataclass(frozen=True, slots=True)
class BargeInRules:
    """`sure_s`: a voice that lasts so long is an interruption, whatever it says. `wait_s`: after a shorter one, words
    are waited for so long. `min_words` that are no backchannel are one at once."""

    sure_s: float = 0.8
    wait_s: float = 0.5
    min_words: int = 1


class BargeIn:
    """Tell it what happens, do what it returns, ask `decide` at `deadline`."""

    def __init__(self, rules: BargeInRules | None = None) -> None:
        self.rules = rules or BargeInRules()
        self.state = State.LISTENING
        self._voice_since: float | None = None
        self._silent_since: float | None = None
        self._words = ""

    @property
    def deadline(self) -> float | None:
        if self.state is not State.HELD:
            return None
        if self._voice_since is not None:
            return self._voice_since + self.rules.sure_s
        return None if self._silent_since is None else self._silent_since + self.rules.wait_s

    def agent_speaks(self) -> None:
        """The first sound of the agent leaves."""
        self._move(_Input.SPEAKS)

    def agent_silent(self) -> None:
        """All has been said. A sound that is being judged is then nobody's interruption."""
        if self.state is State.HELD:
            self._move(_Input.NOTHING)
        self._move(_Input.SILENT)

    def speech_started(self, at: float) -> Decision | None:
        self._voice_since, self._silent_since = at, None
        if self.state is State.SPEAKING:
            self._words = ""
        return self._move(_Input.SOUND)

    def speech_stopped(self, at: float) -> Decision | None:
        self._voice_since, self._silent_since = None, at
        return self._judge_words(is_final=False)

    def transcript(self, text: str, *, is_final: bool) -> Decision | None:
        """What the sound is understood as, so far."""
        self._words = text
        return self._judge_words(is_final=is_final)

    def decide(self, now: float) -> Decision | None:
        deadline = self.deadline
        if deadline is None or now < deadline:
            return None
        if self._voice_since is not None:
            return self._move(_Input.INTERRUPTION)
        return self._move(_Input.NOTHING)

    def _judge_words(self, *, is_final: bool) -> Decision | None:
        if self.state is not State.HELD or not words_of(self._words):
            return None
        if not is_backchannel(self._words):
            enough = len(words_of(self._words)) >= self.rules.min_words
            return self._move(_Input.INTERRUPTION) if enough else None
        # "Yes" may be the first word of "yes, but": only silence, or the transcriber's last word, ends it.
        return self._move(_Input.NOTHING) if is_final or self._voice_since is None else None

    def _move(self, given: _Input) -> Decision | None:
        self.state, decision = TABLE.get((self.state, given), (self.state, None))
        return decision
