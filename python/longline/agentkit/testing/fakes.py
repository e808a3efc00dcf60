"""Providers that need no network and no time but what they are told to take: ears, a model and a voice.

`FakeStt` understands what a `Caller` says in memory, word by word; `FakeLlm` answers from a list or by keywords, with
pauses, tools and faults; `FakeTts` takes forty milliseconds for each letter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from longline.agentkit.conversation import Conversation
from longline.agentkit.heard import WordEnd
from longline.agentkit.ports import ProviderError, Sound, Tool, ToolCall, Transcript
from longline.agentkit.testing.written import FRAME_MS, MS_PER_LETTER, WordReader, spoken
from longline.agentkit.turns.words import words_of

Piece = str | ToolCall | float | ProviderError
"""Words, a call of a tool, a pause in seconds, or a fault."""
Reply = str | Sequence[Piece]


class FakeStt:
    """Gives the words that it reads as partials, and what it has when a turn is over as a final, `final_s` later. With
    `texts` it understands the next of these instead, once for each turn (and no partials). `fails` is raised, in turn,
    when a listening begins (None: it does not fail)."""

    def __init__(
        self, *texts: str, final_s: float = 0.0, partials: bool = True, fails: Sequence[ProviderError | None] = ()
    ) -> None:
        self.texts = list(texts)
        self._is_told = bool(texts)
        self._final_s = final_s
        self._partials = partials and not texts
        self._fails = list(fails)

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        fault = self._fails.pop(0) if self._fails else None
        if fault is not None:
            raise fault
        reader, words = WordReader(), list[str]()
        async for frame in audio:
            if not frame:
                text = (self.texts.pop(0) if self.texts else "") if self._is_told else " ".join(words)
                words.clear()
                await asyncio.sleep(self._final_s)
                yield Transcript(text, is_final=True)
                continue
            new = reader.read(frame)
            words += new
            if new and self._partials:
                yield Transcript(" ".join(words), is_final=False)


class FakeLlm:
    """Gives its replies one after the other, then nothing. A reply is a text or a list of pieces. `when` has replies by
    words of the caller's: the first whose words all occur in what he said last is given, whenever he says it. A model
    with a list is not asked on a guess, unless it is told to (`may_be_guessed`), since that would cost it a reply."""

    def __init__(self, *replies: Reply, when: Mapping[str, Reply] | None = None, first_s: float = 0.0) -> None:
        self.replies = list(replies)
        self.when = dict(when or {})
        self.asked: list[list[dict[str, Any]]] = []
        """What it was told each time, as messages."""
        self.cancelled = 0
        """Replies that were not read to their end."""
        self.may_be_guessed = not replies
        self._first_s = first_s

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        self.asked.append(conversation.messages())
        whole = False
        try:
            await asyncio.sleep(self._first_s)
            reply = self._reply_to(conversation)
            for piece in (reply,) if isinstance(reply, str) else reply:
                if isinstance(piece, ProviderError):
                    raise piece
                if isinstance(piece, (int, float)):
                    await asyncio.sleep(piece)
                else:
                    yield piece
            whole = True
        finally:
            self.cancelled += not whole

    def _reply_to(self, conversation: Conversation) -> Reply:
        last = conversation.turns[-1] if conversation.turns else None
        if last is not None and last.role == "caller":
            words = set(words_of(last.text))
            for wanted, reply in self.when.items():
                if words.issuperset(words_of(wanted)):
                    return reply
        return self.replies.pop(0) if self.replies else ()


class FakeTts:
    """Speech that a caller in memory can read. `first_s` is its delay; `tells_ends`: it says where words end. `fails`
    is raised, in turn, when a text is to be said (None: it does not fail); a number is a stall of so many seconds."""

    def __init__(
        self,
        *,
        rate_hz: int = 8_000,
        first_s: float = 0.0,
        ms_per_letter: float = MS_PER_LETTER,
        tells_ends: bool = False,
        fails: Sequence[ProviderError | float | None] = (),
        on_say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.said: list[str] = []
        self._rate_hz = rate_hz
        self._first_s = first_s
        self._ms_per_letter = ms_per_letter
        self._tells_ends = tells_ends
        self._fails = list(fails)
        self._on_say = on_say

    async def say(self, text: str) -> AsyncIterator[Sound]:
        self.said.append(text)
        self._on_say(text)
        fault = self._fails.pop(0) if self._fails else None
        if isinstance(fault, ProviderError):
            raise fault
        await asyncio.sleep(self._first_s + (fault or 0.0))
        ends = self._ends(text) if self._tells_ends else ()
        for number, frame in enumerate(spoken(text, self._rate_hz, self._ms_per_letter)):
            from_ms = number * FRAME_MS
            yield Sound(frame, self._rate_hz, tuple(end for end in ends if from_ms < end.at_ms <= from_ms + FRAME_MS))

    def _ends(self, text: str) -> tuple[WordEnd, ...]:
        ends, at = [], 0
        for word in text.split():
            at = text.index(word, at) + len(word)
            ends.append(WordEnd(at, at * self._ms_per_letter))
        return tuple(ends)
