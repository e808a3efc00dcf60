"""What happened in a call of a test, as it was at the caller's end of the line, and the turns that it is made of.

Times are seconds since the call began.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from longline.agentkit.turns.words import words_of

GAP_S: Final = 0.1
"""A voice that is silent for no longer goes on."""
SAME_TURN_S: Final = 0.4
"""What an agent says so soon after its last sound, while the caller still speaks, is no answer to him: on a network
that loses and delays, speech that is being cut off comes in pieces."""


@dataclass(slots=True)
class CallTurn:
    """What one of the two said until the other did. `text` of the agent is what the caller heard of it; empty when its
    words cannot be read. `answer_ms` is from the caller's last voiced sample (or key) to the agent's first."""

    role: Literal["caller", "agent"]
    begun_at: float
    ended_at: float
    text: str = ""
    answer_ms: float | None = None
    interrupted_at: float | None = None
    """The agent's: when the caller began to speak over it."""

    @property
    def was_interrupted(self) -> bool:
        return self.interrupted_at is not None

    @property
    def silent_after_ms(self) -> float | None:
        """How long an interrupted agent was still heard."""
        if self.interrupted_at is None:
            return None
        return round(1_000 * max(0.0, self.ended_at - self.interrupted_at), 1)


@dataclass(slots=True)
class Voice:
    """One run of voiced sound, or of keys."""

    role: Literal["caller", "agent"]
    begun_at: float
    ended_at: float
    words: list[str] = field(default_factory=list)
    interrupts: bool = False


class CallRecord:
    """Written while the call goes on, read after it."""

    def __init__(self) -> None:
        self.voices: list[Voice] = []
        """In the order in which they began."""
        self._agent: Voice | None = None
        self._caller: Voice | None = None

    def agent_sounds(self, at: float, until: float) -> None:
        if self._agent is not None and at - self._agent.ended_at <= GAP_S:
            self._agent.ended_at = until
            return
        self._agent = Voice("agent", at, until)
        self.voices.append(self._agent)

    def agent_said(self, words: list[str]) -> None:
        """Words of the agent that have just been heard."""
        if self._agent is not None:
            self._agent.words += words

    def caller_speaks(self, at: float, text: str, *, interrupts: bool = False) -> None:
        self._caller = Voice("caller", at, at, [text], interrupts)
        self.voices.append(self._caller)

    def caller_sounds(self, until: float) -> None:
        if self._caller is not None:
            self._caller.ended_at = until

    def turns(self) -> list[CallTurn]:
        turns: list[CallTurn] = []
        for voice in self.voices:
            text = " ".join(voice.words)
            if voice.role == "caller" and voice.interrupts:
                cut = next((turn for turn in reversed(turns) if turn.role == "agent"), None)
                if cut is not None:
                    cut.interrupted_at = voice.begun_at
            turn = _turn_of(voice, turns)
            if turn is not None:
                turn.ended_at = voice.ended_at
                turn.text = f"{turn.text} {text}".strip()
                continue
            turn = CallTurn(voice.role, voice.begun_at, voice.ended_at, text)
            if voice.role == "agent" and turns and voice.begun_at >= turns[-1].ended_at:
                turn.answer_ms = round(1_000 * (voice.begun_at - turns[-1].ended_at), 1)
            turns.append(turn)
        return turns


def _turn_of(voice: Voice, turns: list[CallTurn]) -> CallTurn | None:
    """The turn that it goes on with."""
    if turns and turns[-1].role == voice.role:
        return turns[-1]
    if voice.role != "agent" or len(turns) < 2 or voice.begun_at >= turns[-1].ended_at:
        return None
    return turns[-2] if voice.begun_at - turns[-2].ended_at <= SAME_TURN_S else None


def says(text: str, words: str) -> bool:
    """Whether these words occur in the text in their order and next to each other, whatever their case and marks."""
    return f" {' '.join(words_of(words))} " in f" {' '.join(words_of(text))} "


def table(turns: list[CallTurn]) -> str:
    """A transcript for people."""
    lines = []
    for turn in turns:
        notes = [] if turn.answer_ms is None else [f"after {turn.answer_ms:.0f} ms"]
        if turn.silent_after_ms is not None:
            notes.append(f"interrupted, silent after {turn.silent_after_ms:.0f} ms")
        note = f"  ({'; '.join(notes)})" if notes else ""
        lines.append(f"{turn.begun_at:8.2f}  {turn.role:<6}  {turn.text or '…'}{note}")
    return "\n".join(lines) if lines else "      (nobody said a word)"
