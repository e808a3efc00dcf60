"""An agent made of a speech-to-speech model, against a server that speaks its API and minds its rules."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.openai_realtime import Fault, RealtimeService, Reply
from tests.unit.agentkit import fakes
from tests.unit.agentkit.fakes import FakeLlm, FakeStt, FakeTts

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.answer import Patience
from longline.agentkit.line import Digit, Frame, LineEvent
from longline.agentkit.phrases import Phrases
from longline.agentkit.ports import Tool
from longline.agentkit.realtime import RealtimeAgent
from longline.agentkit.report import Report
from longline.agentkit.session import CallSession
from longline.agentkit.testing import virtual_time
from longline.agentkit.tools import hand_over_to, hang_up
from longline.agentkit.turns.barge_in import BargeInRules
from longline.agentkit.turns.rules import TurnRules


class FakeLine(fakes.FakeLine):
    def __init__(self, *script: tuple[float, float], stays_s: float = 1.0) -> None:
        super().__init__(*script, stays_s=stays_s, together=5)


class Held:
    """A call that was held: what was told of its turns, and which phrases were said."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.phrases: list[str] = []


async def hold(service: RealtimeService, line: FakeLine, **more: object) -> Held:
    held = Held()
    more = {"patience": Patience(first_s=1.0, all_s=3.0), **more}
    agent = RealtimeAgent(base_url=service.base_url, api_key="k", report=held.reports.append, **more)  # type: ignore[arg-type]
    async with CallSession(line) as call:
        play = call.play
        call.play = lambda pcm, text="": (held.phrases.append(text.split(",")[0]), play(pcm, text))[1]  # type: ignore[method-assign]
        async with asyncio.timeout(60):
            await agent(call)
    return held


in_virtual_time = virtual_time(sockets=True)


@in_virtual_time
async def test_a_question_is_heard_and_answered_in_the_lines_own_format() -> None:
    async with RealtimeService() as service:
        service.texts.append("When do you open?")
        service.replies.append(Reply("We open at nine.", 1.0))
        held = await hold(service, FakeLine((0.3, 0.6), stays_s=3.5), instructions="A clinic.")
    session = service.of_type("session.update")[0]["session"]
    assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert (session["instructions"], session["audio"]["output"]["voice"]) == ("A clinic.", "marin")
    assert service.heard_s == pytest.approx(4.4, abs=0.3)
    (report,) = held.reports
    assert (report.caller, report.agent, report.heard) == ("When do you open?", "We open at nine.", "We open at nine.")
    assert not report.was_interrupted and report.failure is None
    assert report.waterfall.total_ms is not None and 250 <= report.waterfall.total_ms < 900
    assert service.errors == [] and held.phrases == []


class WideLine(FakeLine):
    """Of 16 kHz: a tone that is as long as the other's."""

    rate_hz = 16_000

    async def events(self) -> AsyncIterator[LineEvent]:
        async for event in super().events():
            is_voice = isinstance(event, Frame) and any(event.pcm)
            yield Frame((b"\x00\x20" * 8 + b"\x00\xe0" * 8) * 20, event.at_ms) if is_voice else event


@in_virtual_time
async def test_a_line_of_another_rate_is_resampled() -> None:
    async with RealtimeService() as service:
        service.replies.append(Reply("At nine.", 1.0))
        held = await hold(service, WideLine((0.3, 0.6), stays_s=4.0))
    assert service.of_type("session.update")[0]["session"]["audio"]["input"]["format"]["type"] == "audio/pcm"
    assert held.reports[0].heard == "At nine." and service.errors == []


@in_virtual_time
async def test_it_greets_when_it_is_told_to() -> None:
    async with RealtimeService() as service:
        service.replies.append(Reply("Hello!", 0.5))
        line = FakeLine(stays_s=2.0)
        held = await hold(service, line, greeting="Hello!")
    (asked,) = service.of_type("response.create")
    assert "Hello!" in asked["response"]["instructions"]
    assert len(line.heard_at) * 0.02 == pytest.approx(0.5, abs=0.05)
    assert held.reports == [], "a greeting answers nobody"


@in_virtual_time
async def test_who_interrupts_is_let_speak_and_the_model_told_what_was_heard() -> None:
    answer = "We open at nine in the morning and we close at six in the evening."
    async with RealtimeService() as service:
        service.texts.extend(["When do you open?", "Wait."])
        service.replies.extend([Reply(answer, 5.0), Reply("Yes?", 0.5)])
        line = FakeLine((0.2, 0.5), (2.0, 0.6), stays_s=3.0)
        held = await hold(service, line)
    first, second = held.reports
    assert line.done == ["clear"]
    assert first.was_interrupted and first.agent == answer
    assert first.heard and answer.startswith(first.heard) and len(first.heard) < len(answer) / 2
    (cut,) = service.of_type("conversation.item.truncate")
    assert 1_000 < cut["audio_end_ms"] < 2_300
    assert (second.caller, second.heard) == ("Wait.", "Yes?")
    assert service.errors == []


@in_virtual_time
async def test_who_goes_on_before_the_answer_does_not_hear_what_was_on_its_way() -> None:
    async with RealtimeService() as service:
        service.texts.extend(["When do you", "When do you close?"])
        service.replies.extend([Reply("At nine.", 1.0, wait_s=5.0, is_late=True), Reply("At six.", 0.5)])
        line = FakeLine((0.2, 0.5), (0.6, 0.5), stays_s=3.0)
        held = await hold(service, line)
    assert [report.heard for report in held.reports] == ["", "At six."]
    assert len(line.heard_at) * 0.02 == pytest.approx(0.5, abs=0.05)


@in_virtual_time
async def test_tools_are_run_and_their_results_told() -> None:
    booked: list[int] = []

    async def book(hour: int) -> str:
        booked.append(hour)
        return "done"

    async with RealtimeService() as service:
        service.texts.append("Nine, please.")
        service.replies.extend([Reply("One moment.", 0.5, {"book": '{"hour": 9}'}), Reply("It is booked.", 0.5)])
        tools = [Tool("book", "Books an hour.", book)]
        held = await hold(service, FakeLine((0.2, 0.5), stays_s=4.0), tools=tools)
    assert booked == [9]
    assert service.of_type("session.update")[0]["session"]["tools"][0]["name"] == "book"
    items = [event["item"] for event in service.of_type("conversation.item.create")]
    assert [(item["type"], item["output"]) for item in items] == [("function_call_output", "done")]
    assert held.reports[0].heard == "One moment. It is booked." and service.errors == []


@in_virtual_time
async def test_a_tool_outlives_the_connection_that_wanted_it() -> None:
    async def book() -> str:
        await service.hang_up()
        await asyncio.sleep(1.5)
        return "done"

    async with RealtimeService() as service:
        service.texts.append("Nine, please.")
        service.replies.extend([Reply(calls={"book": "{}"}), Reply("It is booked.", 0.5)])
        tools = [Tool("book", "Books an hour.", book)]
        held = await hold(service, FakeLine((0.2, 0.5), stays_s=6.0), tools=tools)
    items = [event["item"] for event in service.of_type("conversation.item.create")]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output"]
    assert len(service.of_type("response.create")) == 1 and service.errors == []
    assert held.reports[0].heard == "It is booked."


@in_virtual_time
async def test_keys_are_told_as_a_whole() -> None:
    class Pressing(FakeLine):
        async def events(self) -> AsyncIterator[LineEvent]:
            number = 0
            async for event in super().events():
                yield event
                number += 1
                if number in (10, 20, 30):
                    yield Digit("42#"[number // 10 - 1])

    async with RealtimeService() as service:
        service.replies.append(Reply("Forty-two.", 0.5))
        held = await hold(service, Pressing(stays_s=3.0))
    (item,) = (event["item"] for event in service.of_type("conversation.item.create"))
    assert item["content"] == [{"type": "input_text", "text": "[pressed 42]"}]
    assert [(report.caller, report.heard) for report in held.reports] == [("[pressed 42]", "Forty-two.")]


FAULTS = {
    Fault.FAILS: (["Sorry"], 0),
    Fault.STALLS: (["One moment", "Sorry"], 0),
    Fault.STALLS_WITHIN: (["Sorry"], 0),
    Fault.CUT: (["One moment"], 1),
    Fault.GARBAGE: ([], 0),
}
"""What is said, and how often it is asked again."""


@in_virtual_time
async def test_a_fault_is_told_and_the_next_turn_works() -> None:
    async def meet(fault: Fault) -> None:
        phrases, asked_again = FAULTS[fault]
        async with RealtimeService() as service:
            service.texts.extend(["When?", "Still there?"])
            service.replies.append(Reply("At nine.", 0.5, fault=fault))
            service.replies.extend([Reply("Again: at nine.", 0.5)] * asked_again)
            service.replies.append(Reply("Yes.", 0.5))
            held = await hold(service, FakeLine((0.2, 0.5), (6.0, 0.5), stays_s=3.0))
        assert held.phrases == phrases, fault
        assert len(service.of_type("response.create")) == asked_again
        assert held.reports[-1].caller == "Still there?" and held.reports[-1].heard == "Yes."
        assert (held.reports[0].failure is not None) == ("Sorry" in phrases)
        assert service.errors == []

    await asyncio.gather(*(meet(fault) for fault in Fault))


@in_virtual_time
async def test_a_new_connection_knows_what_was_said() -> None:
    async with RealtimeService() as service:
        service.texts.extend(["When do you open?", "And on Sunday?"])
        service.replies.extend([Reply("At nine.", 0.5), Reply("We are closed.", 0.5)])
        asyncio.get_running_loop().call_later(3.0, lambda: asyncio.ensure_future(service.hang_up()))
        held = await hold(service, FakeLine((0.2, 0.5), (4.0, 0.5), stays_s=3.0))
    assert service.connections == 2 and held.phrases == [], "mended without a word"
    items = [event["item"] for event in service.of_type("conversation.item.create")]
    assert [(item["role"], item["content"][0]["text"]) for item in items] == [
        ("user", "When do you open?"),
        ("assistant", "At nine."),
    ]
    assert [report.heard for report in held.reports] == ["At nine.", "We are closed."]


@in_virtual_time
async def test_what_is_said_while_the_model_is_gone_is_heard_when_it_is_back() -> None:
    async with RealtimeService() as service:
        service.texts.append("When do you open?")
        service.replies.append(Reply("At nine.", 0.5))
        service.refusals.extend([500, 429])
        held = await hold(service, FakeLine((0.2, 0.6), stays_s=6.0))
    assert [report.heard for report in held.reports] == ["At nine."]


@in_virtual_time
async def test_a_model_that_will_not_come_ends_the_call_with_a_goodbye() -> None:
    async def miss(statuses: list[int], tries: int) -> None:
        async with RealtimeService() as service:
            service.refusals.extend(statuses)
            line = FakeLine((0.2, 0.6), stays_s=30.0)
            held = await hold(service, line)
        assert held.phrases == ["I am sorry"] and line.done == ["hang_up"]
        assert len(service.refusals) == len(statuses) - tries
        assert len(line.heard_at) > 100, "the recording was said, for there was no other voice"

    await asyncio.gather(miss([401] * 9, 1), miss([500] * 9, 4))


@in_virtual_time
async def test_a_model_that_goes_for_good_in_mid_call_is_told_and_reported() -> None:
    async with RealtimeService() as service:
        service.texts.extend(["When do you open?", "Hello?"])
        service.replies.extend([Reply("At nine.", 0.5), Reply("Yes?", 0.5, fault=Fault.CUT)])
        asyncio.get_running_loop().call_later(2.5, lambda: service.refusals.extend([401]))
        line = FakeLine((0.2, 0.6), (3.0, 0.6), stays_s=30.0)
        held = await hold(service, line)
    assert held.phrases == ["One moment", "I am sorry"] and line.done == ["hang_up"]
    assert [report.failure is None for report in held.reports] == [True, False]
    assert "401" in str(held.reports[1].failure)


@in_virtual_time
async def test_a_session_that_is_not_taken_ends_the_call_with_a_goodbye() -> None:
    async def miss(session_error: str, connections: int) -> None:
        async with RealtimeService() as service:
            service.never_agrees, service.session_error = True, session_error
            line = FakeLine(stays_s=60.0)
            held = await hold(service, line, connect_s=1.0, phrases=Phrases(goodbye="Bye."))
        assert held.phrases == ["Bye."] and line.done == ["hang_up"]
        assert service.connections == connections

    await asyncio.gather(miss("no such voice", 1), miss("", 4))


@in_virtual_time
async def test_a_call_that_is_over_leaves_nothing_behind() -> None:
    async with RealtimeService() as service:
        service.replies.append(Reply("At nine.", 60.0))
        before = asyncio.all_tasks()
        await hold(service, FakeLine((0.2, 0.5), stays_s=2.0))
        await asyncio.sleep(2.0)
        assert service.live == set()
        assert asyncio.all_tasks() == before


@in_virtual_time
async def test_it_can_hang_up_when_its_goodbye_has_been_heard() -> None:
    async with RealtimeService() as service:
        service.replies.append(Reply("Goodbye!", 1.0, {"hang_up": "{}"}))
        line = FakeLine((0.2, 0.5), stays_s=20.0)
        held = await hold(service, line, tools=[hang_up()])
    assert line.done == ["hang_up"] and held.reports[0].heard == "Goodbye!"
    assert len(line.heard_at) * 0.02 == pytest.approx(1.0, abs=0.05)


@in_virtual_time
async def test_another_agent_takes_over_and_knows_what_was_said() -> None:
    llm = FakeLlm(["You owe nothing."])
    billing = VoiceAgent(FakeStt("What do I owe?"), llm, FakeTts(), instructions="Billing.")
    async with RealtimeService() as service:
        service.texts.append("I have a question about a bill.")
        service.replies.append(Reply("One moment.", 0.5, {"to_billing": "{}"}))
        tools = [hand_over_to(billing, name="to_billing", description="Bills.", greets="Billing here.")]
        await hold(service, FakeLine((0.2, 0.5), (5.0, 0.6), stays_s=4.0), tools=tools)
    told = [message["content"] for message in llm.asked[0]]
    assert "I have a question about a bill." in told and "What do I owe?" in told


@in_virtual_time
async def test_turns_may_be_cut_out_by_us() -> None:
    """What is no turn is not told to the model: neither silence, nor a sound that was too short to interrupt."""
    answer = "We open at nine in the morning and we close at six in the evening."
    async with RealtimeService() as service:
        service.texts.extend(["When do you open?", "Wait a moment."])
        service.replies.extend([Reply(answer, 6.0), Reply("Yes?", 0.5)])
        line = FakeLine((2.0, 0.6), (2.5, 0.2), (1.5, 1.0), stays_s=4.0)
        turn = TurnRules(barge_in=BargeInRules(sure_s=0.5, wait_s=0.3))
        held = await hold(service, line, turn=turn)
    assert service.of_type("session.update")[0]["session"]["audio"]["input"]["turn_detection"] is None
    assert line.done == ["pause", "resume", "pause", "clear"]
    assert [report.caller for report in held.reports] == ["When do you open?", "Wait a moment."]
    first, second = held.reports
    assert first.was_interrupted and 0 < len(first.heard) < len(answer) and second.heard == "Yes?"
    assert first.waterfall.total_ms is not None
    assert len(service.of_type("input_audio_buffer.clear")) == 1
    first_ms, second_ms = service.committed_ms
    assert 1_300 < first_ms < 1_600 and 1_700 < second_ms < 2_000, "300 ms before it, and the wait for its end"
    assert service.errors == []


@pytest.mark.parametrize("turn", [None, TurnRules()], ids=["the model's turns", "our turns"])
@in_virtual_time
async def test_a_connection_that_is_dead_and_does_not_say_so_loses_no_words(turn: TurnRules | None) -> None:
    async with RealtimeService() as service:
        service.texts.append("When do you open?")
        service.replies.append(Reply("At nine.", 0.5))
        asyncio.get_running_loop().call_later(1.0, service.freeze)
        held = await hold(service, FakeLine((1.5, 0.6), stays_s=12.0), turn=turn, patience=Patience(1.0, 12.0))
    assert service.connections == 2
    assert [(report.caller, report.heard) for report in held.reports] == [("When do you open?", "At nine.")]
