"""A language model asked whether a sentence is finished: the end of a turn by its meaning.

    TurnRules(judge=AskedCompleteness(llm))

It is asked beside the rule of small words (`turns/completeness`), and what it says counts if it comes in time: while
the caller is still silent and the words are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import Final

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.ports import LanguageModel, ProviderError
from longline.agentkit.voice import closed

QUESTION: Final = (
    "You are told what a caller has said so far on the telephone, as a speech recogniser has understood it. Has he "
    "finished what he wants to say, so that it is your turn? Answer with one word: yes or no."
)
MAX_REMEMBERED: Final = 256


class AskedCompleteness:
    """`within_s` is how long it is worth waiting: longer than the longest wait for the end of a turn it never is."""

    def __init__(self, llm: LanguageModel, *, question: str = QUESTION, within_s: float = 0.8) -> None:
        self._llm = llm
        self._question = question
        self._within_s = within_s
        self._known: OrderedDict[str, float | None] = OrderedDict()
        self.late = 0
        """How often it did not answer in time, or not at all."""

    async def __call__(self, text: str) -> float | None:
        """0.95 for yes, 0.05 for no, None when it is late or says something else."""
        if text in self._known:
            return self._known[text]
        said = ""
        conversation = Conversation(self._question)
        conversation.add(Turn("caller", text))
        reply = self._llm.reply(conversation, ())
        try:
            async with asyncio.timeout(self._within_s):
                async for piece in reply:
                    if isinstance(piece, str):
                        said += piece
                    if len(said) >= 20:
                        break
        except (ProviderError, TimeoutError):
            self.late += 1
            return None
        finally:
            with contextlib.suppress(ProviderError):
                await closed(reply)
        word = said.strip().lower()
        finished = 0.95 if word.startswith("yes") else 0.05 if word.startswith("no") else None
        self._known[text] = finished
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return finished
