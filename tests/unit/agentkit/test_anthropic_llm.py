"""Anthropic's models, through their SDK, against a server that speaks their format."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.anthropic_service import START, AnthropicService, message, text, use
from tests.support.vendor_http import RETRY_AFTER_S, Fault, Part

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.llm.anthropic import CALL_BEGINS, AnthropicLlm
from longline.agentkit.llm.messages import NO_RESULT, whole
from longline.agentkit.ports import ProviderError, Tool, ToolCall

BOOK = Tool(
    "book", "Books an hour.", lambda hour: hour, {"type": "object", "properties": {"hour": {"type": "integer"}}}
)


@pytest.fixture
async def service() -> AsyncIterator[AnthropicService]:
    async with AnthropicService() as service:
        yield service


@pytest.fixture
async def llm(service: AnthropicService) -> AsyncIterator[AnthropicLlm]:
    llm = AnthropicLlm(base_url=service.url, api_key="k", model="m", timeout_s=0.3, stop_sequences=["END"])
    yield llm
    await llm.aclose()


def asked(text: str = "When do you open?") -> Conversation:
    conversation = Conversation("A clinic.")
    conversation.add(Turn("agent", "Hello!"))
    conversation.add(Turn("caller", text))
    return conversation


async def reply(llm: AnthropicLlm, *tools: Tool) -> list[str | ToolCall]:
    return [piece async for piece in llm.reply(asked(), tools)]


async def test_words_come_as_they_are_made_and_calls_when_they_are_whole(
    service: AnthropicService, llm: AnthropicLlm
) -> None:
    go_on = asyncio.Event()
    spoken = text(0, "One ", "moment.")
    call = use(1, "a", "book", '{"ho', 'ur": 9}')
    service.replies.append(message([*spoken[:3], go_on, *spoken[3:]], call, use(2, "b", "now"), stop_reason="tool_use"))
    pieces = llm.reply(asked(), [BOOK])
    assert await anext(pieces) == "One "
    go_on.set()
    rest = [piece async for piece in pieces]
    assert rest == ["moment.", ToolCall("a", "book", {"hour": 9}), ToolCall("b", "now", {})]
    request = service.requests[0].fields
    assert (request["model"], request["system"], request["stop_sequences"]) == ("m", "A clinic.", ["END"])
    assert request["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": CALL_BEGINS}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
        {"role": "user", "content": [{"type": "text", "text": "When do you open?"}]},
    ]
    assert request["tools"] == [{"name": "book", "description": "Books an hour.", "input_schema": BOOK.parameters}]


def interrupted() -> Conversation:
    """A call whose tools were interrupted, and gave one result late and one not at all."""
    conversation = asked()
    calls = [{"id": id, "type": "function", "function": {"name": "book", "arguments": "{}"}} for id in "ab"]
    conversation.add(Turn("agent", "", more={"tool_calls": calls}))
    conversation.add(Turn("caller", "Wait."))
    conversation.add(Turn("tool", "booked", more={"tool_call_id": "a"}))
    conversation.add(Turn("tool", "nobody asked", more={"tool_call_id": "z"}))
    return conversation


async def test_each_call_of_a_tool_has_its_result_behind_it(service: AnthropicService, llm: AnthropicLlm) -> None:
    messages = whole(interrupted().messages())
    assert [message["role"] for message in messages] == [
        "system", "assistant", "user", "assistant", "tool", "tool", "user",
    ]  # fmt: skip
    assert [message["content"] for message in messages[4:]] == ["booked", NO_RESULT, "Wait."]
    assert [piece async for piece in llm.reply(interrupted(), [BOOK])] == ["Yes."]
    *_, uses, results = service.requests[0].fields["messages"]
    assert [part["type"] for part in uses["content"]] == ["tool_use", "tool_use"]
    assert [part["type"] for part in results["content"]] == ["tool_result", "tool_result", "text"]


@pytest.mark.parametrize(
    "parts",
    [
        message(),
        [START, *text(0, "At n")],
        message(use(0, "a", "book", "{9"), stop_reason="tool_use"),
        message(use(0, "a", "book", "[9]"), stop_reason="tool_use"),
    ],
    ids=["empty", "without an end", "arguments that are no JSON", "arguments that are no object"],
)
async def test_an_answer_that_is_none_is_a_fault(
    service: AnthropicService, llm: AnthropicLlm, parts: list[Part]
) -> None:
    service.replies.append(parts)
    with pytest.raises(ProviderError, match=r"is empty|ended before|are no"):
        await reply(llm, BOOK)


@pytest.mark.parametrize("fault", Fault)
async def test_faults_are_provider_errors_and_the_next_answer_comes(
    service: AnthropicService, llm: AnthropicLlm, fault: Fault
) -> None:
    service.fail(fault)
    async with asyncio.timeout(3):
        with pytest.raises(ProviderError) as failed:
            await reply(llm)
    assert failed.value.retry_after_s == (RETRY_AFTER_S if fault is Fault.LIMITED else None)
    assert len(service.requests) == 1, "no retries behind the caller's back"
    assert await reply(llm) == ["Yes."]


async def test_to_close_an_answer_ends_its_request(service: AnthropicService, llm: AnthropicLlm) -> None:
    service.replies.append([START, *text(0, "At ")[:-1], 30.0])
    pieces = llm.reply(asked(), ())
    assert await anext(pieces) == "At "
    await pieces.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(2):
        await service.left.wait()
