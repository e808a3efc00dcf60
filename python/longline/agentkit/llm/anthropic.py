"""Anthropic's messages API, streamed, with tools.

    llm = AnthropicLlm(model="claude-haiku-5-5", max_tokens=500)

The conversation is told as that API wants it: the system prompt apart, a caller's turn first (a greeting is preceded by
a word that the call has begun), results of tools as parts of a caller's turn. Leaves out what a model thinks.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from longline.agentkit.conversation import Conversation
from longline.agentkit.llm.messages import whole
from longline.agentkit.llm.openai import MAX_ARGUMENTS, MAX_CALLS, arguments_of
from longline.agentkit.ports import ProviderError, Tool, ToolCall
from longline.agentkit.vendor import faults, http_client, load
from longline.agentkit.warm import warm_http

NAME: Final = "anthropic"
CALL_BEGINS: Final = "[The call begins.]"


class AnthropicLlm:
    """`api_key` is that of the environment (`ANTHROPIC_API_KEY`) when it is not given. `timeout_s` without a byte is a
    fault. `options` are fields of the request, as the SDK names them (`stop_sequences`, `thinking`, `extra_body`, …).
    `client` is an `anthropic.AsyncAnthropic` of your own in place of all that (Bedrock, Vertex, proxies).

    Raises ImportError without the SDK.
    """

    def __init__(
        self,
        *,
        model: str = "claude-haiku-5-5",
        api_key: str | None = None,
        base_url: str | None = None,
        max_tokens: int = 1_024,
        timeout_s: float = 10.0,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.model = model
        self.max_tokens = max_tokens
        self.options = options
        self._http: Any = None
        if client is None:
            sdk = load("anthropic", extra="anthropic")
            self._http = http_client(sdk, timeout_s)
            client = sdk.AsyncAnthropic(api_key=api_key, base_url=base_url, max_retries=0, http_client=self._http)
        self._client = client
        self._messages = client.messages  # imported now, and not while a caller waits

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        """Words as they come, then the calls. Raises ProviderError."""
        system, messages = told(whole(conversation.messages()))
        request = {"model": self.model, "max_tokens": self.max_tokens, "messages": messages, "stream": True}
        if system:
            request["system"] = system
        if tools:
            request["tools"] = [_described(tool) for tool in tools]
        calls: dict[int, _Begun] = {}
        has_spoken, finish = False, None
        with faults(NAME):
            async with await self._messages.create(**request, **self.options) as stream:
                async for event in stream:
                    match event.type:
                        case "content_block_start" if event.content_block.type == "tool_use":
                            if len(calls) == MAX_CALLS:
                                raise ProviderError(NAME, f"more than {MAX_CALLS} calls of tools")
                            calls[event.index] = _Begun(event.content_block)
                        case "content_block_delta" if event.delta.type == "input_json_delta":
                            calls[event.index].add(event.delta.partial_json)
                        case "content_block_delta" if event.delta.type == "text_delta" and event.delta.text:
                            has_spoken = True
                            yield event.delta.text
                        case "message_delta":
                            finish = event.delta.stop_reason or finish
            if finish is None:
                raise ProviderError(NAME, "the answer ended before it was finished")
            if not has_spoken and not calls and not _is_result(messages[-1]):
                raise ProviderError(NAME, f"the answer is empty ({finish})")
            found = [call.whole() for call in calls.values()]
        for call in found:
            yield call

    async def warm(self) -> None:
        """Have a connection before the first question."""
        await warm_http(self._http, str(self._client.base_url))

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._client.close()


class _Begun:
    def __init__(self, block: Any) -> None:
        self._id, self._name, self._given = block.id, block.name, block.input
        self._arguments = ""

    def add(self, piece: str) -> None:
        self._arguments += piece
        if len(self._arguments) > MAX_ARGUMENTS:
            raise ProviderError(NAME, f"the arguments of {self._name} are too long")

    def whole(self) -> ToolCall:
        text = self._arguments or json.dumps(self._given or {})
        return ToolCall(self._id, self._name, arguments_of(NAME, self._name, text))


def told(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Messages of OpenAI's chat format, whole, as the system prompt and the messages of this API. Turns of one side
    that follow each other are one."""
    system: list[str] = []
    turns: list[dict[str, Any]] = []

    def add(role: str, *parts: dict[str, Any]) -> None:
        if not turns or turns[-1]["role"] != role:
            turns.append({"role": role, "content": []})
        turns[-1]["content"] += parts

    for message in messages:
        text = message.get("content") or ""
        match message["role"]:
            case "system":
                system.append(text)
            case "tool":
                add("user", {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": text})
            case "assistant":
                if not turns:
                    add("user", _text(CALL_BEGINS))
                calls = message.get("tool_calls") or ()
                add("assistant", *([_text(text)] if text.strip() else ()), *(_use(call) for call in calls))
            case _:
                add("user", _text(text))
    if not turns:
        add("user", _text(CALL_BEGINS))
    return "\n\n".join(system), turns


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": json.loads(function["arguments"])}


def _is_result(message: Mapping[str, Any]) -> bool:
    return any(part["type"] == "tool_result" for part in message["content"])


def _described(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
