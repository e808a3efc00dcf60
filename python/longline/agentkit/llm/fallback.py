"""A second model for when the first fails, refuses or takes too long to begin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from longline.agentkit.conversation import Conversation
from longline.agentkit.ports import LanguageModel, ProviderError, Tool, ToolCall
from longline.agentkit.ranking import REST_S, Ranking, within
from longline.agentkit.voice import closing
from longline.agentkit.warm import warm


class FallbackLlm:
    """`FallbackLlm(first, second, …)`. A model that gives nothing for `wait_s` seconds has failed.

    What has been begun is not begun again by another, who would say something else: a fault in the midst of an answer
    is raised, and the next answer is the other's."""

    def __init__(self, *models: LanguageModel, wait_s: float = 4.0, rest_s: float = REST_S) -> None:
        self.ranking = Ranking(models, rest_s)
        self._wait_s = wait_s

    async def warm(self) -> None:
        """Have a connection to whom is asked first."""
        await warm(self.ranking.order(asyncio.get_running_loop().time())[0])

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        """`LanguageModel.reply`. Raises the fault of the last when all have failed."""
        now = asyncio.get_running_loop().time
        fault: ProviderError | None = None
        for model in self.ranking.order(now()):
            has_begun = False
            try:
                async with closing(model.reply(conversation, tools)) as stream:
                    while (piece := await within(self._wait_s, stream, model)) is not None:
                        has_begun = True
                        yield piece
                self.ranking.worked(model)
                return
            except ProviderError as error:
                self.ranking.failed(model, error, now())
                if has_begun:
                    raise
                fault = error
        if fault is not None:
            raise fault
