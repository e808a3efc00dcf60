"""What was said in a call, by whom, and of the agent's words which were heard: what a language model is told of it.

Bounded by a rule, so that a call of hours is remembered in the memory of one of minutes (`MemoryRules`): the last
`keep_turns` turns stand as they were said, or fewer when they have more than `keep_chars` characters; of the older ones
`keep_notes` notes remain, each what `note` makes of the turn that leaves (nothing, if not told). With a `summary_of`
there is a text in place of them, of at most `keep_summary` characters, into which turns that leave are worked.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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


SummaryOf = Callable[[str, Sequence[Turn]], Awaitable[str]]
"""The summary so far and the turns that leave, made into the next summary. Raises ProviderError."""
LINE: Final = 200
"""Characters of a turn that waits to be summarised."""


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """What a conversation keeps; see above. `summarise_at`: so many turns that have left are summarised together. When
    twice as many wait, since nobody could summarise them, the oldest are notes as without a summary."""

    keep_turns: int = 60
    keep_chars: int = 60_000
    keep_notes: int = 40
    note: Callable[[Turn], str | None] | None = None
    summary_of: SummaryOf | None = None
    summarise_at: int = 10
    keep_summary: int = 2_000

    def __post_init__(self) -> None:
        if self.keep_turns < 1 or self.keep_notes < 0 or self.summarise_at < 1:
            raise ValueError("keep_turns and summarise_at are at least 1, keep_notes at least 0")


class Conversation:
    """`rules`, or some of them by their names."""

    def __init__(self, instructions: str = "", *, rules: MemoryRules | None = None, **some: Any) -> None:
        self.rules = replace(rules or MemoryRules(), **some)
        self.instructions = instructions
        self.turns: deque[Turn] = deque()
        self.notes: deque[str] = deque(maxlen=self.rules.keep_notes)
        self.leaving: deque[Turn] = deque()
        """Turns that are to be summarised."""
        self.summary = ""
        self.forgotten = 0
        self.state: dict[str, Any] = {}
        """A model's own: what it remembers of this call but the words. Plain data, which can be copied and stored."""

    def add(self, turn: Turn) -> Turn:
        """The oldest turn leaves when there are too many; a tool's result never outlives the call for it."""
        turn.text = turn.text[:MAX_TEXT]
        if turn.role == "caller":
            turn.heard = turn.text
        self.turns.append(turn)
        while len(self.turns) > 1 and self._is_too_much():
            self._forget(self.turns.popleft())
            while len(self.turns) > 1 and self.turns[0].role == "tool":
                self._forget(self.turns.popleft())
        return turn

    def _is_too_much(self) -> bool:
        return len(self.turns) > self.rules.keep_turns or (
            sum(len(turn.text) for turn in self.turns) > self.rules.keep_chars
        )

    def heard_by_caller(self, turn: Turn, heard: str, *, was_interrupted: bool) -> None:
        """Playback has told what became of an agent's turn. One that nobody heard a word of is taken back."""
        turn.heard, turn.was_interrupted = heard, was_interrupted
        if was_interrupted and not heard and not turn.more and turn in self.turns:
            self.turns.remove(turn)

    def amend(self, text: str) -> None:
        """What the caller said last is understood better now."""
        for turn in reversed(self.turns):
            if turn.role == "caller":
                turn.text = turn.heard = text[:MAX_TEXT]
                return

    def fork(self) -> Conversation:
        """As it is now, for an answer that may never be given: what is added to it is not added here."""
        other = Conversation(self.instructions, rules=self.rules)
        other.turns.extend(self.turns)
        other.notes.extend(self.notes)
        other.leaving.extend(self.leaving)
        other.summary = self.summary
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

    # What is remembered of the turns that have left.

    @property
    def wants_summary(self) -> bool:
        return self.rules.summary_of is not None and len(self.leaving) >= self.rules.summarise_at

    async def summarise(self) -> None:
        """Work the turns that have left into the summary. Raises what `summary_of` does: then they wait."""
        if self.rules.summary_of is None or not self.leaving:
            return
        turns = list(self.leaving)
        self.summary = (await self.rules.summary_of(self.summary, turns))[: self.rules.keep_summary]
        told = {id(turn) for turn in turns}
        self.leaving = deque(turn for turn in self.leaving if id(turn) not in told)

    def _remembered(self) -> str:
        waiting = [f"{turn.role}: {turn.told()[:LINE]}" for turn in self.leaving if turn.told()]
        lines = [f"- {line}" for line in (*self.notes, *waiting)]
        if self.summary:
            lines.insert(0, self.summary)
        return "Earlier in this call:\n" + "\n".join(lines) if lines else ""

    def _forget(self, turn: Turn) -> None:
        self.forgotten += 1
        if self.rules.summary_of is not None:
            self.leaving.append(turn)
            if len(self.leaving) <= 2 * self.rules.summarise_at:
                return
            turn = self.leaving.popleft()
        line = self.rules.note(turn) if self.rules.note is not None else None
        if line:
            self.notes.append(line[:LINE])

    # To be kept between calls.

    def snapshot(self) -> dict[str, Any]:
        """All that is remembered, as plain data that JSON can write; `state` must be that."""
        return {
            "version": 1,
            "summary": self.summary,
            "notes": list(self.notes),
            "turns": [asdict(turn) for turn in (*self.leaving, *self.turns)],
            "state": self.state,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Remember what a `snapshot` does. Raises ValueError for what is none."""
        try:
            if snapshot["version"] != 1:
                raise ValueError(f"a snapshot of version {snapshot['version']!r}, not 1")
            turns = [Turn(**turn) for turn in snapshot["turns"]]
            summary, notes, state = str(snapshot["summary"]), list(snapshot["notes"]), dict(snapshot["state"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no snapshot of a conversation: {error}") from error
        self.summary, self.state = summary[: self.rules.keep_summary], state
        self.notes.extend(notes)
        for turn in turns:
            self.add(turn)
