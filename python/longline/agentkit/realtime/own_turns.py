"""Turn-taking of ours for a model that is told when a turn is over: what is voice, whether it interrupts, when it ends.

What `turns/` decides for a `VoiceAgent` is decided here without words, for the model tells them only of a turn that is
over. So a voice is an interruption when it lasts (`BargeInRules.sure_s`), and what was shorter, while the agent spoke,
lets it go on and is not told to the model. Times are handed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from longline.agentkit.turns.barge_in import BargeIn, Decision, State
from longline.agentkit.turns.endpointing import Endpointer, TurnOver
from longline.agentkit.turns.rules import TurnRules

BEFORE_MS: Final = 300.0
"""Of sound before the voice is told to the model: first consonants are quiet."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The caller begins: these frames, and what follows, are for the model."""

    frames: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """He has said it. `is_meant`: it is a turn of his, and not a sound during the agent's."""

    over: TurnOver
    is_meant: bool


Did = Opened | Closed | Decision


class OwnTurns:
    """Tell it what happens, do what it returns, ask `decide` at `deadline`."""

    def __init__(self, rules: TurnRules) -> None:
        self._vad = rules.vad()
        self._endpointer = Endpointer(rules.endpointing)
        self.barge_in = BargeIn(rules.barge_in)
        self._before: deque[bytes] = deque()
        self._before_ms = 0.0
        self.is_open = False
        """What the caller says is for the model."""

    @property
    def deadline(self) -> float | None:
        dues = (self._endpointer.deadline, self.barge_in.deadline)
        return min((due for due in dues if due is not None), default=None)

    def hear(self, pcm: bytes, rate_hz: int, at_ms: float, when: Callable[[float], float], now: float) -> list[Did]:
        """`when` is the time of a position in the caller's audio."""
        if not self.is_open:
            self._keep(pcm, len(pcm) * 500 / rate_hz)
        change = self._vad.hear(pcm, rate_hz, at_ms)
        if change is None:
            return []
        kind, position_ms = change
        if kind == "stopped":
            self._endpointer.speech_stopped(when(position_ms))
            return _some(self.barge_in.speech_stopped(now))
        self._endpointer.speech_started(when(position_ms))
        did = _some(self.barge_in.speech_started(now))
        if not self.is_open:
            self.is_open = True
            did.append(Opened(tuple(self._before)))
            self._before.clear()
            self._before_ms = 0.0
        return did

    def decide(self, now: float) -> list[Did]:
        did = _some(self.barge_in.decide(now))
        over = self._endpointer.decide(now)
        if over is not None:
            self.is_open = False
            is_meant = self.barge_in.state is State.LISTENING
            if not is_meant:
                self._endpointer.answered()  # no turn: nothing is to be learned of what comes after it
            did.append(Closed(over, is_meant))
        return did

    def agent_speaks(self) -> None:
        self.barge_in.agent_speaks()
        self._endpointer.answered()

    def _keep(self, pcm: bytes, length_ms: float) -> None:
        """The voice is known some frames late: those count for the sound before it."""
        self._before.append(pcm)
        self._before_ms += length_ms
        while self._before_ms > BEFORE_MS + length_ms:
            self._before_ms -= length_ms
            self._before.popleft()


def _some(decision: Decision | None) -> list[Did]:
    return [] if decision is None else [decision]
