"""A language model that makes a summary of what leaves an agent's memory.

    VoiceAgent(…, memory=MemoryRules(keep_turns=40, summary_of=Summariser(llm)))

It is asked beside the conversation, when ten turns have left, and nobody waits for it: until it has answered, those
turns are told to the model in short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from longline.agentkit.conversation import MAX_TEXT, Conversation, Turn
from longline.agentkit.ports import LanguageModel
from longline.agentkit.voice import closed

WISH: Final = (
    "You keep the memory of a telephone call. You are given what is remembered so far and what was said since. Write "
    "the new memory: names, numbers, wishes, what was agreed on and what is open. Short sentences, no more than 150 "
    "words, nothing that was not said."
)
MAX_LINE: Final = 600
"""Characters of one turn that it is told."""


class Summariser:
    """`MemoryRules.summary_of`, by any model."""

    def __init__(self, llm: LanguageModel, *, wish: str = WISH) -> None:
        self._llm = llm
        self._wish = wish

    async def __call__(self, summary: str, turns: Sequence[Turn]) -> str:
        """Raises what the model does. One that says nothing leaves the summary as it is."""
        said = "\n".join(f"{turn.role}: {turn.told()[:MAX_LINE]}" for turn in turns if turn.told())
        question = Conversation(self._wish)
        told = f"Remembered so far:\n{summary or 'nothing'}\n\nSaid since:\n{said}"
        question.add(Turn("caller", told[-MAX_TEXT:]))
        reply = self._llm.reply(question, ())
        try:
            pieces = [piece async for piece in reply if isinstance(piece, str)]
        finally:
            await closed(reply)
        return "".join(pieces).strip() or summary
