"""OpenAI's chat, through its SDK, against a server that speaks its format."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.openai_service import DONE, OpenAIService, call, chunk, words
from tests.support.vendor_http import RETRY_AFTER_S, WITHIN, Fault, Part

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.llm.openai import OpenAILlm
from longline.agentkit.ports import ProviderError, Tool, ToolCall

BOOK = Tool(
    "book", "Books an hour.", lambda hour: hour, {"type": "object", "properties": {"hour": {"type": "integer"}}}
)


@pytest.fixture
async def service() -> AsyncIterator[OpenAIService]:
    async with OpenAIService() as service:
        yield service


@pytest.fixture
async def llm(service: OpenAIService) -> AsyncIterator[OpenAILlm]:
    llm = OpenAILlm(base_url=service.base_url, api_key="k", model="m", timeout_s=0.3, temperature=0.2)
    yield llm
    await llm.aclose()


def asked(text: str = "When do you open?") -> Conversation:
    conversation = Conversation("A clinic.")
    conversation.add(Turn("caller", text))
    return conversation


async def reply(llm: OpenAILlm, *tools: Tool) -> list[str | ToolCall]:
    return [piece async for piece in llm.reply(asked(), tools)]


async def test_words_come_as_they_are_made(service: OpenAIService, llm: OpenAILlm) -> None:
    first, *rest = words("At ", "nine.")
    go_on = asyncio.Event()
    service.replies.append([first, go_on, *rest])
    pieces = llm.reply(asked(), [BOOK])
    assert await anext(pieces) == "At "
    go_on.set()
    assert [piece async for piece in pieces] == ["nine."]
    request = service.requests[0].fields
    assert (request["model"], request["temperature"], request["stream"]) == ("m", 0.2, True)
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert request["tools"][0]["function"] == {
        "name": "book",
        "description": "Books an hour.",
        "parameters": BOOK.parameters,
    }


NINE, TEN = ToolCall("a", "book", {"hour": 9}), ToolCall("b", "book", {"hour": 10})


@pytest.mark.parametrize(
    "deltas",
    [
        [
            call("a", "book", ""),
            call(None, None, '{"ho'),
            call(None, None, 'ur": 9}'),
            call("b", "book", '{"hour": 10}', 1),
        ],
        [call("a", "book", '{"hour": 9}'), call("b", "book", '{"hour": 10}')],
    ],
    ids=["in pieces", "whole, and all with the same index"],
)
async def test_calls_of_tools_are_put_together(
    service: OpenAIService, llm: OpenAILlm, deltas: list[dict[str, object]]
) -> None:
    service.replies.append([chunk({"content": "One moment."}), *map(chunk, deltas), chunk({}, "tool_calls"), DONE])
    assert await reply(llm, BOOK) == ["One moment.", NINE, TEN]


async def test_what_the_model_thinks_is_not_said(service: OpenAIService, llm: OpenAILlm) -> None:
    service.replies.append(words("<th", "ink>Hm", ", nine?</thi", "nk>\n\nAt ", "nine."))
    service.replies.append(words("<", "3"))
    assert await reply(llm) == ["At ", "nine."]
    assert await reply(llm) == ["<3"]


@pytest.mark.parametrize(
    "parts",
    [
        words(),
        [chunk({"content": "At n"})],
        [chunk(call("a", "book", "{9")), chunk({}, "tool_calls"), DONE],
        [chunk(call("a", "book", "[9]")), chunk({}, "tool_calls"), DONE],
    ],
    ids=["empty", "without an end", "arguments that are no JSON", "arguments that are no object"],
)
async def test_an_answer_that_is_none_is_a_fault(service: OpenAIService, llm: OpenAILlm, parts: list[Part]) -> None:
    service.replies.append(parts)
    with pytest.raises(ProviderError, match=r"is empty|ended before|are no"):
        await reply(llm, BOOK)


@pytest.mark.parametrize("fault", Fault)
async def test_faults_are_provider_errors_and_the_next_answer_comes(
    service: OpenAIService, llm: OpenAILlm, fault: Fault
) -> None:
    service.fail(fault)
    service.replies.append(words("At ", "nine."))
    heard: list[str | ToolCall] = []
    async with asyncio.timeout(3):
        with pytest.raises(ProviderError) as failed:
            async for piece in llm.reply(asked(), ()):
                heard.append(piece)  # noqa: PERF401
    assert heard == (["At "] if fault in WITHIN else [])
    assert failed.value.retry_after_s == (RETRY_AFTER_S if fault is Fault.LIMITED else None)
    assert len(service.requests) == 1, "no retries behind the caller's back"
    service.replies = [words("At ten.")]
    assert await reply(llm) == ["At ten."]


async def test_to_close_an_answer_ends_its_request(service: OpenAIService, llm: OpenAILlm) -> None:
    service.replies.append([chunk({"content": "At "}), 30.0])
    pieces = llm.reply(asked(), ())
    assert await anext(pieces) == "At "
    await pieces.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(2):
        await service.left.wait()


async def test_to_cancel_an_answer_ends_its_request(service: OpenAIService, llm: OpenAILlm) -> None:
    service.replies.append([chunk({"content": "At "}), 30.0])
    answering = asyncio.create_task(reply(llm))
    await asyncio.sleep(0.1)
    answering.cancel()
    async with asyncio.timeout(2):
        await service.left.wait()


async def test_a_connection_is_kept_for_the_next_answer(service: OpenAIService, llm: OpenAILlm) -> None:
    await reply(llm)
    assert service.open_now == 1
    await reply(llm)
    assert service.open_now == 1 and len(service.requests) == 2
    await llm.aclose()
    await asyncio.sleep(0.05)
    assert service.open_now == 0
