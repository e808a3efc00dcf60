"""One turn of a call: what the caller said, and the model's answer to it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.realtime.spoken import Item
from longline.agentkit.report import Report
from longline.agentkit.waterfall import Waterfall


@dataclass(slots=True)
class Exchange:
    """`item_id` is the caller's in the model's conversation, once it is known. `is_asked`: else the agent speaks by
    itself, and there is nothing to report."""

    caller: Turn
    item_id: str = ""
    waterfall: Waterfall = field(default_factory=Waterfall)
    items: list[Item] = field(default_factory=list)
    is_asked: bool = False
    was_interrupted: bool = False
    is_reported: bool = False
    written: asyncio.Event = field(default_factory=asyncio.Event)
    """What the caller said is known."""
    failure: str | None = None
    plays_until: float = 0.0
    """When what has come of the answer will have been said, at the earliest."""

    @property
    def is_open(self) -> bool:
        """The model is in the middle of something."""
        return any(not item.is_whole for item in self.items)

    def plays(self, seconds: float, now: float) -> None:
        self.plays_until = max(self.plays_until, now) + seconds

    def write(self, text: str) -> None:
        self.caller.text = self.caller.heard = " ".join(text.split())
        self.written.set()

    async def ended(self, written_within_s: float) -> None:
        """Until all of it has been heard or cut, and the caller's part is written down, if that does not take long."""
        for item in list(self.items):
            await item.utterance.ended
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(written_within_s):
                await self.written.wait()

    def settle(self, conversation: Conversation) -> None:
        """Tell the conversation what was heard."""
        for item in self.items:
            item.turn.text = item.text
            cut = item.utterance.was_cut or not item.utterance.is_over
            conversation.heard_by_caller(item.turn, item.heard, was_interrupted=cut)

    def report(self, number: int, call_id: str) -> Report:
        said = " ".join(item.text for item in self.items if item.text)
        heard = " ".join(heard for item in self.items if (heard := item.heard))
        was_cut = self.was_interrupted
        return Report(self.caller.text, said, heard, was_cut, self.waterfall, number, self.failure, call_id)
