"""The tools that a model may have run."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Sequence
from typing import Any

from longline.agentkit.ports import Tool, ToolCall
from longline.agentkit.session import CallSession

_log = logging.getLogger(__name__)


class Toolbox:
    """Of one call. A tool that fails, or takes longer than `within_s`, gives the model an error to read."""

    def __init__(self, tools: Sequence[Tool], call: CallSession, within_s: float) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._call = call
        self._within_s = within_s

    async def run(self, calls: Sequence[ToolCall]) -> list[tuple[ToolCall, Any]]:
        """All at once; each call with what came of it."""
        results = await asyncio.gather(*(self._run(call) for call in calls))
        return list(zip(calls, results, strict=True))

    async def _run(self, call: ToolCall) -> Any:
        tool = self._tools.get(call.name)
        try:
            if tool is None:
                return {"error": f"there is no tool {call.name}"}
            more = {"call": self._call} if tool.wants_call else {}
            async with asyncio.timeout(self._within_s):
                result = tool.run(**call.arguments, **more)
                return await result if inspect.isawaitable(result) else result
        except Exception as error:
            _log.exception("the tool %s failed", call.name)
            return {"error": f"{type(error).__name__}: {error}"}
