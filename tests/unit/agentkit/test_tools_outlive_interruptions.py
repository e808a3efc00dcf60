"""What becomes of tools: they are answered in the conversation from the first moment, run on or are cancelled when the
caller interrupts, and may end an agent's part of the call."""

import asyncio
from typing import Any, Literal

import pytest

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.conversation import Conversation
from longline.agentkit.ports import Tool, ToolCall
from longline.agentkit.session import CallSession, RequestRefused
from longline.agentkit.testing import Caller, FakeLlm, FakeStt, FakeTts, virtual_time
from longline.agentkit.tools import HandOver, hand_over_to, hang_up, tool, transfer_to

LOOK_UP = ["Let me see.", ToolCall("1", "look_up", {})]


def results(messages: list[dict[str, Any]]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "tool"]


@pytest.mark.parametrize("if_interrupted", ["run on", "cancel"])
@virtual_time
async def test_a_tool_that_is_interrupted(if_interrupted: Literal["run on", "cancel"]) -> None:
    done: list[str] = []

    async def look_up() -> str:
        await asyncio.sleep(4)
        done.append("found")
        return "three slots"

    llm = FakeLlm(LOOK_UP, "Yes?", "Three slots.")
    tools = [Tool("look_up", "", look_up, if_interrupted=if_interrupted)]
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=tools)
    caller = Caller().says("Any slots?").waits(2.0).says("Hello there?").hears("Yes").waits(3.0).says("So what now?")
    await caller.hears("Three").hangs_up().calls(agent)
    runs_on = if_interrupted == "run on"
    assert done == (["found"] if runs_on else [])
    assert results(llm.asked[1]) == ["(still running)" if runs_on else "(cancelled: the caller interrupted)"]
    assert results(llm.asked[2]) == ["three slots" if runs_on else "(cancelled: the caller interrupted)"]


@virtual_time
async def test_a_tool_that_is_kept_ends_though_the_caller_has_hung_up() -> None:
    done: list[str] = []

    async def book() -> str:
        await asyncio.sleep(2)
        done.append("booked")
        return "done"

    llm = FakeLlm([ToolCall("1", "book", {})], "Booked.")
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=[tool(book)])
    await Caller().says("Book it.").waits(1.0).hangs_up().calls(agent)
    assert done == ["booked"] and len(llm.asked) == 1, "nobody is left to be told"


@virtual_time
async def test_what_a_tool_did_is_not_done_again_when_the_caller_goes_on() -> None:
    booked: list[int] = []

    async def book() -> str:
        booked.append(1)
        await asyncio.sleep(3)
        return "done"

    llm = FakeLlm([ToolCall("1", "book", {})], "Booked already.")
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=[tool(book)])
    caller = Caller().says("Monday at nine.").waits(0.8).says("If that is free.").hears("Booked already").hangs_up()
    await caller.calls(agent)
    assert booked == [1]
    assert [each["role"] for each in llm.asked[1]] == ["user", "assistant", "tool", "user"]
    assert llm.asked[1][-1]["content"] == "If that is free."


@virtual_time
async def test_tools_that_fail_or_are_not_there_are_told_to_the_model() -> None:
    def broken() -> str:
        raise ValueError("no such day")

    llm = FakeLlm(
        [ToolCall("1", "broken", {}), ToolCall("2", "missing", {}), ToolCall("3", "broken", {"x": 1})], "Sorry."
    )
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=[tool(broken)])
    await Caller().says("Book it.").hears("Sorry").hangs_up().calls(agent)
    first, second, third = results(llm.asked[1])
    assert "no such day" in first and "no tool missing" in second and "TypeError" in third


@virtual_time
async def test_a_slow_tool_is_no_silence() -> None:
    async def slow() -> str:
        await asyncio.sleep(8)
        return "done"

    llm = FakeLlm([ToolCall("1", "slow", {})], "There it is.")
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=[tool(slow)])
    call = await Caller().says("Look it up.").hears("There it is", within=20).hangs_up().calls(agent)
    call.expect_heard("One moment", "There it is")


@virtual_time
async def test_another_agent_goes_on_with_voice_conversation_and_tools_of_its_own() -> None:
    bills = FakeLlm("Your bill is ten dollars.")
    billing = VoiceAgent(FakeStt(), bills, FakeTts(rate_hz=8_000), instructions="You do bills.")
    desk_llm = FakeLlm([ToolCall("1", "to_billing", {})])
    tools = [hand_over_to(billing, name="to_billing", description="Bills.", says="I hand you over.")]
    desk = VoiceAgent(FakeStt(), desk_llm, FakeTts(), instructions="You are the desk.", tools=tools)
    call = await Caller().says("My bill, please.").hears("ten dollars").hangs_up().calls(desk)
    call.expect_heard("I hand you over", "Your bill is ten dollars")
    (told,) = bills.asked
    assert told[0]["content"] == "You do bills."
    assert [message["role"] for message in told] == ["system", "user", "assistant", "tool", "assistant"]
    assert told[1]["content"] == "My bill, please." and told[3]["content"] == "handed over"


@virtual_time
async def test_another_agent_may_greet_and_is_then_talked_with() -> None:
    sales = VoiceAgent(FakeStt(), FakeLlm("Two left."), FakeTts())

    @tool
    def to_sales() -> HandOver:
        return HandOver(sales, greets="Sales, hello?")

    desk = VoiceAgent(FakeStt(), FakeLlm([ToolCall("1", "to_sales", {})]), FakeTts(), tools=[to_sales])
    caller = Caller().says("Something to buy.").hears("Sales").says("How many are there?").hears("Two").hangs_up()
    call = await caller.calls(desk)
    call.expect_heard("Sales, hello", "Two left")


@virtual_time
async def test_who_interrupts_a_hand_over_is_answered_by_the_other_agent() -> None:
    bills = FakeLlm("Ten dollars.")
    billing = VoiceAgent(FakeStt(), bills, FakeTts(), instructions="You do bills.")
    says = "I will now hand you over to my colleague who does all of the bills here."
    tools = [hand_over_to(billing, name="to_billing", description="Bills.", says=says)]
    desk_llm = FakeLlm([ToolCall("1", "to_billing", {})])
    desk = VoiceAgent(FakeStt(), desk_llm, FakeTts(), tools=tools)
    caller = Caller().says("My bill, please.").interrupts("How much was it?", after=1.0).hears("Ten dollars").hangs_up()
    call = await caller.calls(desk)
    call.expect_not_heard("bills here")
    assert len(desk_llm.asked) == 1 and bills.asked[0][-1]["content"] == "How much was it?"


@virtual_time
async def test_who_interrupts_a_goodbye_is_not_hung_up_on() -> None:
    says = "Thank you very much for your call, and have a very nice day."
    llm = FakeLlm([ToolCall("1", "hang_up", {})], "Of course.")
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=[hang_up(says=says)])
    caller = Caller().says("Bye.").interrupts("Wait, one more thing.", after=1.0).hears("Of course").hangs_up()
    (await caller.calls(agent)).expect_ended_by("caller")


@virtual_time
async def test_a_human_is_told_why_and_the_caller_that_he_is_put_through() -> None:
    llm = FakeLlm([ToolCall("1", "transfer_to_human", {"reason": "He wants his money back."})])
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=[transfer_to("sip:desk@example.com", timeout=20)])
    call = await Caller().says("A human, please.").is_hung_up(within=10).calls(agent)
    call.expect_heard("I will put you through")
    (done,) = [each for each in call.done if each.startswith("transfer")]
    assert "sip:desk@example.com" in done and "20" in done and "He wants his money back." in done


@virtual_time
async def test_a_transfer_that_is_refused_leaves_the_caller_with_the_agent() -> None:
    async def refuse(target: str, **fields: Any) -> None:
        raise RequestRefused("nobody is there")

    llm = FakeLlm([ToolCall("1", "transfer_to_human", {})], "Nobody is there, sorry.")
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=[transfer_to("sip:desk@example.com")])

    async def talk(call: CallSession) -> None:
        call.transfer = refuse  # type: ignore[method-assign]
        await agent(call)

    call = await Caller().says("A human, please.").hears("Nobody is there").hangs_up().calls(talk)
    assert "nobody is there" in results(llm.asked[1])[0]
    call.expect_ended_by("caller")


@virtual_time
async def test_an_agent_that_hangs_up_says_goodbye_first() -> None:
    llm = FakeLlm(["Goodbye and thank you.", ToolCall("1", "hang_up", {})])
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), tools=[hang_up()])
    conversation = Conversation()
    call = await Caller().says("Bye.").is_hung_up(within=10).calls(lambda call: agent(call, conversation))
    call.expect_heard("Goodbye and thank you").expect_ended_by("agent")
    assert conversation.turns[-1].text == "the call ends" and len(llm.asked) == 1


def test_a_tool_is_made_of_a_function() -> None:
    async def book(
        call: CallSession,
        day: Literal["monday", "tuesday"],
        hours: list[int],
        note: str | None = None,
        soon: bool = False,
    ) -> str:
        """Books it."""
        return ""

    made = tool(book)
    assert (made.name, made.description, made.wants_call) == ("book", "Books it.", True)
    assert made.parameters == {
        "type": "object",
        "properties": {
            "day": {"type": "string", "enum": ["monday", "tuesday"]},
            "hours": {"type": "array", "items": {"type": "integer"}},
            "note": {"type": "string"},
            "soon": {"type": "boolean"},
        },
        "required": ["day", "hours"],
    }

    def odd(*days: str) -> None: ...

    with pytest.raises(TypeError, match="by name"):
        tool(odd)

    def odder(day: complex) -> None: ...

    with pytest.raises(TypeError, match="no JSON Schema"):
        tool(odder)
