"""Chat completions as OpenAI has them, and everybody after it: vLLM, Ollama, llama.cpp, Groq and others by `base_url`.

    llm = OpenAILlm(model="gpt-4.1-mini", temperature=0.4)
    llm = OpenAILlm(base_url="http://localhost:11434/v1", api_key="none", model="qwen3")

Leaves out: what a model thinks (`reasoning_content`, and `<think>` at the beginning of an answer): it is not said.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from longline.agentkit.conversation import Conversation
from longline.agentkit.llm.messages import whole
from longline.agentkit.llm.thoughts import Spoken
from longline.agentkit.ports import ProviderError, Tool, ToolCall
from longline.agentkit.vendor import faults, openai_client
from longline.agentkit.warm import warm_http

NAME: Final = "openai chat"
MAX_CALLS: Final = 16
"""Calls of tools in one answer; one with more is a fault."""
MAX_ARGUMENTS: Final = 100_000
"""Characters of one call's arguments."""


class OpenAILlm:
    """`api_key` is that of the environment (`OPENAI_API_KEY`) when it is not given. `timeout_s` without a byte is a
    fault. `options` are fields of the request, as the API names them (`temperature`, `max_completion_tokens`,
    `extra_body`, …). `client` is an `openai.AsyncOpenAI` of your own in place of all that (Azure, proxies).

    Raises ImportError without the SDK, `openai.OpenAIError` without a key.
    """

    def __init__(
        self,
        *,
        model: str = "gpt-4.1-mini",
        api_key: str | None = None,
        base_url: str | None = None,
        timeout_s: float = 10.0,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.model = model
        self.options = options
        self._http: Any = None
        if client is None:
            client, self._http = openai_client(api_key, base_url, timeout_s)
        self._client = client
        self._completions = client.chat.completions  # imported now, and not while a caller waits

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        """Words as they come, then the calls. Raises ProviderError."""
        messages = whole(conversation.messages())
        request = {"model": self.model, "messages": messages, "stream": True, **self.options}
        if tools:
            request["tools"] = [_described(tool) for tool in tools]
        spoken, calls, has_spoken, finish = Spoken(), _Calls(), False, None
        with faults(NAME):
            async with await self._completions.create(**request) as stream:
                async for chunk in stream:
                    for choice in chunk.choices or ():
                        finish = choice.finish_reason or finish
                        if choice.delta is None:
                            continue
                        calls.add(choice.delta.tool_calls or ())
                        if words := spoken.add(choice.delta.content or ""):
                            has_spoken = True
                            yield words
            if words := spoken.rest():
                has_spoken = True
                yield words
            if finish is None:
                raise ProviderError(NAME, "the answer ended before it was finished")
            if not has_spoken and not calls and messages[-1]["role"] != "tool":
                raise ProviderError(NAME, f"the answer is empty ({finish})")
        for call in calls.whole():
            yield call

    async def warm(self) -> None:
        """Have a connection before the first question."""
        await warm_http(self._http, str(self._client.base_url))

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._client.close()


@dataclass(slots=True)
class _Begun:
    id: str
    name: str
    arguments: str = ""


class _Calls:
    """Put together from their pieces. Servers differ: some number the calls, some tell them apart by their ids only,
    some send each of them whole."""

    def __init__(self) -> None:
        self._begun: list[_Begun] = []
        self._at: dict[int, _Begun] = {}

    def __bool__(self) -> bool:
        return bool(self._begun)

    def add(self, pieces: Sequence[Any]) -> None:
        for piece in pieces:
            call = self._at.get(piece.index)
            if call is None or (piece.id and piece.id != call.id):
                if len(self._begun) == MAX_CALLS:
                    raise ProviderError(NAME, f"more than {MAX_CALLS} calls of tools")
                call = _Begun(piece.id or f"call_{len(self._begun) + 1}", "")
                self._begun.append(call)
                self._at[piece.index] = call
            if piece.function is not None:
                call.name = call.name or piece.function.name or ""
                call.arguments += piece.function.arguments or ""
                if len(call.arguments) > MAX_ARGUMENTS:
                    raise ProviderError(NAME, f"the arguments of {call.name} are too long")

    def whole(self) -> list[ToolCall]:
        return [ToolCall(call.id, call.name, arguments_of(NAME, call.name, call.arguments)) for call in self._begun]


def arguments_of(provider: str, tool: str, text: str) -> dict[str, Any]:
    """What a model has written as the arguments of a call. Raises ProviderError when they are none."""
    try:
        arguments = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ProviderError(provider, f"the arguments of {tool} are no JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ProviderError(provider, f"the arguments of {tool} are no object")
    return arguments


def _described(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
