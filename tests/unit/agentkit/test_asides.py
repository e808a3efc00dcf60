"""What a listener says while the agent speaks: no turn, unless it was the answer."""

from tests.unit.agentkit.fakes import FakeLine, FakeLlm, FakeStt, FakeTts

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.report import Report
from longline.agentkit.session import CallSession
from longline.agentkit.testing.virtual_time import run
from longline.agentkit.turns.asides import Aside, Asides

ANSWER = "We open at nine in the morning, every day of the week but on Sundays."
SECONDS = len(ANSWER) * 0.04
"""The voice takes forty milliseconds for each letter."""


async def talk(agent: VoiceAgent, line: FakeLine) -> list[Report]:
    reports: list[Report] = []
    agent.report = reports.append
    async with CallSession(line) as call:
        await agent(call)
    return reports


def test_a_backchannel_is_an_aside_only_while_the_agent_speaks() -> None:
    asides = Asides()
    assert asides.takes(Aside("mm-hm", 1.0, 1.5), agent_speaks=True)
    assert not asides.takes(Aside("mm-hm", 1.0, 1.5), agent_speaks=False)
    assert not asides.takes(Aside("no, wait", 1.0, 1.5), agent_speaks=True)


def test_an_aside_is_an_answer_when_the_agent_then_falls_silent_and_only_once() -> None:
    asides, said = Asides(answers_s=1.5), Aside("yes", 1.0, 1.5)
    asides.takes(said, agent_speaks=True)
    assert asides.agent_silent(2.4) == said
    assert asides.agent_silent(2.4) is None
    asides.takes(said, agent_speaks=True)
    assert asides.agent_silent(2.6) is None


def test_a_listener_who_says_mm_hm_hears_the_answer_to_its_end() -> None:
    llm = FakeLlm([ANSWER], ["What?"])
    agent = VoiceAgent(FakeStt("When?", "mm-hm"), llm, FakeTts())
    line = FakeLine((0.2, 0.5), (1.4, 0.3), stays_s=SECONDS + 2)
    (report,) = run(talk(agent, line))
    assert line.done == ["pause", "resume"]
    assert report.heard == ANSWER and len(llm.asked) == 1


def test_a_yes_before_the_end_of_the_question_is_its_answer() -> None:
    llm = FakeLlm([ANSWER], ["Booked."])
    agent = VoiceAgent(FakeStt("When?", "yes"), llm, FakeTts())
    line = FakeLine((0.2, 0.5), (SECONDS - 0.2, 0.3), stays_s=4.0)
    reports = run(talk(agent, line))
    assert [(each.caller, each.agent) for each in reports] == [("When?", ANSWER), ("yes", "Booked.")]
    assert reports[0].heard == ANSWER


def test_a_noise_after_the_agent_has_spoken_does_not_keep_it_from_asking() -> None:
    tts = FakeTts()
    agent = VoiceAgent(FakeStt(), FakeLlm(), tts, greeting="Hi", silence=["Hello?"], silence_s=1.0)
    run(talk(agent, FakeLine((0.6, 0.2), stays_s=3.0)))
    assert tts.said[-1] == "Hello?"
