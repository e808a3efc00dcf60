"""A dialogue from a file in place of a language model: no key, no network, and the same answer every time.

    brain = ScriptLlm("clinic.yaml")                # one for each call: it knows where the call is
    agent = VoiceAgent(PocketsphinxStt(grammar=brain.grammar), brain, FliteTts(), greeting=brain.greeting, tools=…)

`dialogue/reading.py` says what stands in the file. A tool that the file `calls` is given its slots as arguments, all of
them texts; it returns the outcome as a text, or an object with `outcome` and slots. A state that `ends` wants the tool
`hang_up`. A turn of the caller that is taken back (he went on, or it was a guess) has not happened here either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.dialogue.dialogue import Dialogue, Memory
from longline.agentkit.dialogue.reading import read_dialogue
from longline.agentkit.ports import Tool, ToolCall

MAX_TAKEN_BACK: Final = 8
"""Turns that can be taken back."""


class ScriptLlm:
    """`dialogue` is one, or its file. Raises DialogueError, which names the line."""

    def __init__(self, dialogue: Dialogue | str | Path) -> None:
        self.dialogue = dialogue if isinstance(dialogue, Dialogue) else read_dialogue(dialogue)
        first = self.dialogue.begin()
        self.greeting = first.says
        """What the agent says first, to be its `greeting`."""
        self._first = self._now = first.memory
        self._judged: tuple[str, str, float | None] = ("", "", None)
        self._after: deque[tuple[Turn, str, Memory]] = deque(maxlen=MAX_TAKEN_BACK)
        """Turns of the caller, and what was known after each."""

    @property
    def slots(self) -> dict[str, str]:
        """What is known."""
        return dict(self._now.slots)

    def grammar(self) -> str:
        """What may be said now, in JSGF."""
        return self.dialogue.grammar(self._now)

    def completeness(self, text: str) -> float | None:
        """How finished it is, by what may be said now: the `completeness` of the agent's `TurnRules`."""
        if self._judged[:2] != (self._now.state, text):  # it is asked for with each frame
            self._judged = self._now.state, text, self.dialogue.completeness(self._now, text)
        return self._judged[2]

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        caller, before = _last_two_of_caller(conversation)
        if caller is None:
            return
        last = conversation.turns[-1]
        if last.role == "tool":
            step = self.dialogue.outcome(self._now, last.text)
        else:
            step = self.dialogue.hear(self._known_after(before, caller), caller.text)
        self._go_on(caller, step.memory)
        if step.says:
            yield step.says
        if step.calls is not None:
            number = conversation.forgotten + len(conversation.turns)
            yield ToolCall(f"call_{number}", step.calls.tool, step.calls.arguments)

    def _known_after(self, turn: Turn | None, caller: Turn) -> Memory:
        """What came after that turn may have been taken back. A guess at a turn may be another object than the turn."""
        if turn is None:
            return self._first
        others = [each for each in reversed(self._after) if each[0] is not caller]
        known = next((memory for at, _, memory in others if at is turn), None)
        known = known or next((memory for _, text, memory in others if text == turn.text), None)
        return known or self._now

    def _go_on(self, caller: Turn, memory: Memory) -> None:
        if self._after and self._after[-1][0] is caller:
            self._after.pop()
        self._after.append((caller, caller.text, memory))
        self._now = memory


def _last_two_of_caller(conversation: Conversation) -> tuple[Turn | None, Turn | None]:
    """The last first."""
    turns = (turn for turn in reversed(conversation.turns) if turn.role == "caller")
    return next(turns, None), next(turns, None)
