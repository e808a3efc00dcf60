"""What was said in a call, by whom, and of the agent's words which were heard: what a language model is told of it.

Bounded by a rule, so that a call of hours is remembered in the memory of one of minutes: the last `keep_turns` turns
stand as they were said; of the older ones `keep_notes` notes remain, each what `note` makes of the turn that leaves
(nothing, if not told).
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Role = Literal["caller", "agent", "tool"]
CUT: Final = "…"
"""Ends what the agent had begun to say and was interrupted in."""
MAX_TEXT: Final = 8_000
"""Characters of one turn; what is longer is cut."""


@dataclass(slots=True)
class Turn:
    """`text` is what was said, or was to be; `heard` what the caller heard of it (of his own turns: all). `at` is when
    it began, in seconds of the session's clock."""

    role: Role
    text: str
    at: float = 0.0
    heard: str = ""
    was_interrupted: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    """What belongs to it by the name that the model's API has for it: a tool call, its result."""

    def told(self) -> str:
        """What the model is told that it was: nobody is told that he said what nobody heard."""
        if self.role != "agent" or not self.was_interrupted:
            return self.text
        return f"{self.heard} {CUT}".strip()


class Conversation:
    """`note` makes one line of a turn that is forgotten, or None."""

    def __init__(
        self,
        instructions: str = "",
        *,
        keep_turns: int = 60,
        keep_notes: int = 40,
        note: Callable[[Turn], str | None] | None = None,
    ) -> None:
        if keep_turns < 1 or keep_notes < 0:
            raise ValueError("keep_turns is at least 1, keep_notes at least 0")
        self.instructions = instructions
        self.turns: deque[Turn] = deque()
        self.notes: deque[str] = deque(maxlen=keep_notes)
        self.forgotten = 0
        self.state: dict[str, Any] = {}
        """A model's own: what it remembers of this call but the words. Plain data, which can be copied and stored."""
        self._keep_turns = keep_turns
        self._note = note

    def add(self, turn: Turn) -> Turn:
        """The oldest turn leaves when there are too many; a tool's result never outlives the call for it."""
        turn.text = turn.text[:MAX_TEXT]
        if turn.role == "caller":
            turn.heard = turn.text
        self.turns.append(turn)
        while len(self.turns) > self._keep_turns:
            self._forget(self.turns.popleft())
            while len(self.turns) > 1 and self.turns[0].role == "tool":
                self._forget(self.turns.popleft())
        return turn

    def heard_by_caller(self, turn: Turn, heard: str, *, was_interrupted: bool) -> None:
        """Playback has told what became of an agent's turn. One that nobody heard a word of is taken back."""
        turn.heard, turn.was_interrupted = heard, was_interrupted
        if was_interrupted and not heard and not turn.more and turn in self.turns:
            self.turns.remove(turn)

    def fork(self) -> Conversation:
        """As it is now, for an answer that may never be given: what is added to it is not added here."""
        other = Conversation(
            self.instructions, keep_turns=self._keep_turns, keep_notes=self.notes.maxlen or 0, note=self._note
        )
        other.turns.extend(self.turns)
        other.notes.extend(self.notes)
        other.state = copy.deepcopy(self.state)
        return other

    def adopt(self, fork: Conversation) -> None:
        """The answer is given after all: what was added to the fork is added here. (Nothing was added here since.)"""
        known = {id(turn) for turn in self.turns}
        for turn in fork.turns:
            if id(turn) not in known:
                self.add(turn)
        self.state = fork.state

    def messages(self) -> list[dict[str, Any]]:
        """As OpenAI's chat format has it; others are made of it by their adapters."""
        told: list[dict[str, Any]] = []
        system = "\n\n".join(part for part in (self.instructions, self._remembered()) if part)
        if system:
            told.append({"role": "system", "content": system})
        for turn in self.turns:
            role = {"caller": "user", "agent": "assistant", "tool": "tool"}[turn.role]
            told.append({"role": role, "content": turn.told(), **turn.more})
        return told

    def _remembered(self) -> str:
        return "Earlier in this call:\n" + "\n".join(f"- {line}" for line in self.notes) if self.notes else ""

    def _forget(self, turn: Turn) -> None:
        self.forgotten += 1
        line = self._note(turn) if self._note is not None else None
        if line:
            self.notes.append(line)
