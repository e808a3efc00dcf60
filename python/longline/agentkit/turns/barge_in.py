"""Whether a caller who makes a sound while the agent speaks wants to interrupt it.

The agent falls silent at the first sound, because who interrupts wants that at once, and what it had to say is kept.
What comes then decides: words that only say "go on" (`backchannel.py`), or a sound that was too short and had no words,
take it back, and the agent goes on where it was; other words, or a voice that stays, make it an interruption.

A line may be quicker (local barge-in of longline.v1): it has paused speech already when it tells. Then our own ear has
`confirm_s` to hear a voice as well; and when nobody has decided in time, the line lets speech go on by itself.

    state      input          next        to do
    SPEAKING   sound          HELD        pause
    SPEAKING   line holds     HELD
    HELD       interruption   LISTENING   clear
    HELD       nothing        SPEAKING    resume
    HELD       all is said    LISTENING   resume
    HELD       line goes on   SPEAKING
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
    LINE_HOLDS = "the line has paused speech for a voice"
    LINE_GOES_ON = "the line has let speech go on"
    CUT = "speech was dropped for another reason"


TABLE: Final[dict[tuple[State, _Input], tuple[State, Decision | None]]] = {
    (State.LISTENING, _Input.SPEAKS): (State.SPEAKING, None),
    (State.SPEAKING, _Input.SILENT): (State.LISTENING, None),
    (State.SPEAKING, _Input.SOUND): (State.HELD, Decision.PAUSE),
    (State.HELD, _Input.NOTHING): (State.SPEAKING, Decision.RESUME),
    (State.HELD, _Input.INTERRUPTION): (State.LISTENING, Decision.CLEAR),
    # What waits behind a pause would wait for ever.
    (State.HELD, _Input.SILENT): (State.LISTENING, Decision.RESUME),
    # Speech may be heard a moment before it is told that it is.
    (State.LISTENING, _Input.LINE_HOLDS): (State.HELD, None),
    (State.SPEAKING, _Input.LINE_HOLDS): (State.HELD, None),
    (State.HELD, _Input.LINE_GOES_ON): (State.SPEAKING, None),
    (State.HELD, _Input.CUT): (State.LISTENING, None),
    (State.SPEAKING, _Input.CUT): (State.LISTENING, None),
}
"""A pair that is not here changes nothing."""


@dataclass(frozen=True, slots=True)
class BargeInRules:
    """`sure_s`: a voice that lasts so long is an interruption, whatever it says. `wait_s`: after a shorter one, words
    are waited for so long. `min_words` that are no backchannel are one at once. `confirm_s`: what the line has paused
    speech for must be a voice to our own ear within so long.

    `local_s`: lines that can are asked to pause speech by themselves when a voice begins, and to go on when they have
    not been told within so long what it was; None: they are not. It should be longer than `sure_s` and `wait_s`
    together: it is for an application that is stuck."""

    sure_s: float = 1.2
    wait_s: float = 0.5
    min_words: int = 1
    confirm_s: float = 0.15
    local_s: float | None = 3.0


class BargeIn:
    """Tell it what happens, do what it returns, ask `decide` at `deadline`."""

    def __init__(self, rules: BargeInRules | None = None) -> None:
        self.rules = rules or BargeInRules()
        self.state = State.LISTENING
        self._voice_since: float | None = None
        self._wait_until: float | None = None
        self._words = ""

    @property
    def deadline(self) -> float | None:
        if self.state is not State.HELD:
            return None
        if self._voice_since is not None:
            return self._voice_since + self.rules.sure_s
        return self._wait_until

    def agent_speaks(self) -> None:
        """The first sound of the agent leaves."""
        self._move(_Input.SPEAKS)

    def agent_silent(self) -> Decision | None:
        """All has been said. A sound that is being judged is then nobody's interruption."""
        return self._move(_Input.SILENT)

    def cut(self) -> None:
        """What was being said has been dropped, and any pause with it."""
        self._move(_Input.CUT)

    def line_held(self, now: float) -> None:
        """The line has paused speech by itself."""
        if self.state is State.HELD:
            return
        self._words = ""
        if self._voice_since is None:
            self._wait_until = now + self.rules.confirm_s
        else:
            self._voice_since = max(self._voice_since, now)
        self._move(_Input.LINE_HOLDS)

    def line_went_on(self) -> None:
        """The line has not waited any longer."""
        self._move(_Input.LINE_GOES_ON)

    def speech_started(self, at: float) -> Decision | None:
        self._voice_since, self._wait_until = at, None
        if self.state is State.SPEAKING:
            self._words = ""
        return self._move(_Input.SOUND)

    def speech_stopped(self, at: float) -> Decision | None:
        self._voice_since, self._wait_until = None, at + self.rules.wait_s
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
