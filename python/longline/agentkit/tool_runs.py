"""The tools that one round of an answer asks for: run at once, and each call answered in the conversation.

Every call has its result from the first moment, since a model that finds a call without one refuses the whole
conversation: it says that the tool is running until it is known what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.ports import ProviderError, Tool, ToolCall
from longline.agentkit.session import CallSession
from longline.agentkit.speech import Speech
from longline.agentkit.tools import Outcome

MAX_TOOL_RESULT: Final = 4_000
"""Characters of a result; what is longer is cut."""
MAX_CALLS: Final = 16
"""In one round; of more none is run."""
RUNNING: Final = "(still running)"
CANCELLED: Final = "(cancelled: the caller interrupted)"
_log = logging.getLogger(__name__)

Keep = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class ToolRuns:
    """`keep` makes a task that outlives the answer."""

    def __init__(
        self, tools: Sequence[Tool], call: CallSession, speech: Speech, *, within_s: float, keep: Keep
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._call = call
        self._speech = speech
        self._within_s = within_s
        self._keep = keep
        self.outcome: Outcome | None = None

    async def run(self, calls: Sequence[ToolCall], conversation: Conversation) -> None:
        """Until all have ended. When this is cancelled, those that may run on do."""
        now = asyncio.get_running_loop().time()
        running: list[tuple[ToolCall, Turn, asyncio.Task[None]]] = []
        for number, call in enumerate(calls):
            turn = conversation.add(Turn("tool", RUNNING, now, more={"tool_call_id": call.id}))
            if number >= MAX_CALLS:
                turn.text = _text({"error": f"more than {MAX_CALLS} tools at once"})
            else:
                running.append((call, turn, self._keep(self._run(call, turn))))
        try:
            if running:
                await asyncio.wait([task for _, _, task in running])
        except asyncio.CancelledError:
            for call, turn, task in running:
                tool = self._tools.get(call.name)
                if tool is not None and tool.if_interrupted == "cancel" and not task.done():
                    task.cancel()
                    turn.text = CANCELLED
            raise

    async def _run(self, call: ToolCall, turn: Turn) -> None:
        tool = self._tools.get(call.name)
        try:
            if tool is None:
                result: Any = {"error": f"there is no tool {call.name}"}
            else:
                result = await self._result(tool, call)
        except Exception as error:
            _log.exception("the tool %s failed", call.name)
            result = {"error": f"{type(error).__name__}: {error}"}
        if isinstance(result, Outcome):
            self.outcome = result
            result = result.told
        turn.text = _text(result)

    async def _result(self, tool: Tool, call: ToolCall) -> Any:
        speaking = asyncio.create_task(self._speak(tool.speaks)) if tool.speaks else None
        try:
            if speaking is not None:
                await asyncio.sleep(0)  # it is begun before what the tool itself has said
            more = {"call": self._call} if tool.wants_call else {}
            async with asyncio.timeout(self._within_s):
                result = tool.run(**call.arguments, **more)
                return await result if inspect.isawaitable(result) else result
        finally:
            if speaking is not None:
                await speaking

    async def _speak(self, text: str) -> None:
        with contextlib.suppress(ProviderError):  # the next thing that is said will tell
            await self._speech.say(text)


def _text(result: Any) -> str:
    return (result if isinstance(result, str) else json.dumps(result, default=str))[:MAX_TOOL_RESULT]
