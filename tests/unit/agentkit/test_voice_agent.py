"""A whole agent with fakes for its providers: what it says, when, and what becomes of an interruption."""

import pytest
from tests.unit.agentkit.fakes import FakeLine, FakeLlm, FakeStt, FakeTts

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.answer import Patience
from longline.agentkit.ports import ProviderError, Tool, ToolCall
from longline.agentkit.report import Report
from longline.agentkit.session import CallSession
from longline.agentkit.testing import virtual_time

ROLES = ("role", "content")


async def talk(agent: VoiceAgent, line: FakeLine) -> list[Report]:
    reports: list[Report] = []
    agent.report = reports.append
    async with CallSession(line) as call:
        await agent(call)
    return reports


@virtual_time
async def test_a_question_is_answered_and_the_time_of_it_is_known() -> None:
    llm, tts = FakeLlm(["We open ", "at nine."]), FakeTts()
    agent = VoiceAgent(FakeStt("When do you open?"), llm, tts, instructions="A clinic.")
    (report,) = await talk(agent, FakeLine((0.2, 0.6), stays_s=2.5))
    assert (report.caller, report.agent, report.heard) == ("When do you open?", "We open at nine.", "We open at nine.")
    assert not report.was_interrupted
    assert llm.asked == [[{"role": "system", "content": "A clinic."}, {"role": "user", "content": report.caller}]]
    total = report.waterfall.total_ms
    assert total is not None and agent.turn.endpointing.shortest_s * 1_000 <= total
    assert sum(report.waterfall.parts_ms().values()) == pytest.approx(total, abs=0.5), "each is rounded"


@virtual_time
async def test_an_interruption_cuts_the_answer_and_what_the_model_is_told_of_it() -> None:
    long = "We open at nine in the morning and we close at six in the evening on all days."
    llm = FakeLlm([long], ["Yes?"])
    agent = VoiceAgent(FakeStt("When do you open?", "wait"), llm, FakeTts())
    line = FakeLine((0.2, 0.5), (2.0, 1.2), stays_s=2.5)
    first, second = await talk(agent, line)
    assert first.was_interrupted and first.agent == long
    assert first.heard and long.startswith(first.heard) and len(first.heard) < len(long) / 2
    assert line.done[:2] == ["pause", "clear"]
    told = [message["content"] for message in llm.asked[1]]
    assert told == ["When do you open?", f"{first.heard} …", "wait"]
    assert second.agent == "Yes?"


@virtual_time
async def test_a_noise_is_taken_back_and_the_answer_goes_on() -> None:
    answer = "We open at nine in the morning, every day."
    agent = VoiceAgent(FakeStt("When?"), FakeLlm([answer]), FakeTts())
    line = FakeLine((0.2, 0.5), (1.6, 0.1), stays_s=4.0)
    reports = await talk(agent, line)
    assert line.done == ["pause", "resume"]
    assert reports[0].heard == answer and not reports[0].was_interrupted


@virtual_time
async def test_a_tool_is_run_and_the_model_asked_again() -> None:
    llm = FakeLlm([ToolCall("1", "book", {"hour": 9})], ["Booked."])
    booked: list[int] = []

    async def book(hour: int) -> str:
        booked.append(hour)
        return "done"

    agent = VoiceAgent(FakeStt("Nine, please."), llm, FakeTts(), tools=[Tool("book", "Books an hour.", book)])
    (report,) = await talk(agent, FakeLine((0.2, 0.5), stays_s=2.0))
    assert (booked, report.agent) == ([9], "Booked.")
    _, call, result = llm.asked[1]
    assert call["tool_calls"][0]["function"] == {"name": "book", "arguments": '{"hour": 9}'}
    assert (result["role"], result["content"], result["tool_call_id"]) == ("tool", "done", "1")


@pytest.mark.parametrize(
    ("reply", "phrase"),
    [([ProviderError("llm", "is down")], "sorry"), ([1.0, "At nine."], "wait"), ([9.0], "sorry")],
    ids=["fails", "is slow", "stalls"],
)
@virtual_time
async def test_a_provider_in_trouble_is_never_met_with_silence(reply: list[object], phrase: str) -> None:
    agent = VoiceAgent(FakeStt("When?", "Still there?"), FakeLlm(reply, ["Yes."]), FakeTts())  # type: ignore[arg-type]
    agent.patience = Patience(first_s=0.4, all_s=1.2)
    said: list[str] = []
    async with CallSession(FakeLine((0.2, 0.5), stays_s=3.0)) as call:
        begin = call.play
        call.play = lambda pcm, text="": (said.append(text), begin(pcm, text))[1]  # type: ignore[method-assign]
        await agent(call)
    texts = {"sorry": "Sorry, something went wrong", "wait": "One moment"}
    assert any(text.startswith(texts[phrase]) for text in said)


@virtual_time
async def test_a_caller_who_says_nothing_is_asked_and_then_let_go() -> None:
    tts = FakeTts()
    agent = VoiceAgent(FakeStt(), FakeLlm(), tts, greeting="Hi", silence=["Hello?"], silence_s=0.5)
    line = FakeLine(stays_s=20.0)
    await talk(agent, line)
    assert tts.said[-2:] == ["Hi", "Hello?"] and line.done == ["hang_up"]
