"""What an agent asks of lines that pause by themselves, and what it makes of it when they do."""

from collections.abc import AsyncIterator

from tests.unit.agentkit.fakes import FakeLine, FakeLlm, FakeStt, FakeTts

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.line import Frame, HeldBack, LineEvent
from longline.agentkit.report import Report
from longline.agentkit.session import CallSession
from longline.agentkit.testing import virtual_time
from longline.agentkit.turns.barge_in import BargeInRules
from longline.agentkit.turns.rules import TurnRules


class QuickLine(FakeLine):
    """Pauses by itself at these times of the call, whatever it hears."""

    def __init__(self, *script: tuple[float, float], pauses_at_ms: float, stays_s: float) -> None:
        super().__init__(*script, stays_s=stays_s)
        self._pauses_at_ms = pauses_at_ms

    async def events(self) -> AsyncIterator[LineEvent]:
        async for event in super().events():
            yield event
            if isinstance(event, Frame) and event.at_ms == self._pauses_at_ms:
                self.pause()
                self.done[-1] = "paused by itself"
                self._told[-1] = HeldBack(True, "barge_in")


async def talk(line: FakeLine, *heard: str) -> list[Report]:
    reports: list[Report] = []
    answer = "We open at nine in the morning, every day of the week."
    agent = VoiceAgent(FakeStt(*heard), FakeLlm([answer], ["Yes?"]), FakeTts(), report=reports.append)
    async with CallSession(line) as call:
        await agent(call)
    return reports


@virtual_time
async def test_what_the_line_took_for_a_voice_is_taken_back_at_once() -> None:
    line = QuickLine((0.2, 0.5), pauses_at_ms=2_000, stays_s=4.0)
    (report,) = await talk(line, "When?")
    assert line.done == ["paused by itself", "resume"]
    assert report.heard == report.agent and not report.was_interrupted


@virtual_time
async def test_what_the_line_paused_for_an_interruption_is_dropped() -> None:
    line = QuickLine((0.2, 0.5), (1.3, 1.1), pauses_at_ms=2_020, stays_s=2.5)
    first, second = await talk(line, "When?", "Wait!")
    assert line.done[:3] == ["paused by itself", "pause", "clear"], "the line would go on before the words are known"
    assert first.was_interrupted and second.agent == "Yes?"


def test_lines_are_asked_to_pause_by_themselves_unless_they_are_not_to() -> None:
    agent = VoiceAgent(FakeStt(), FakeLlm(), FakeTts())
    assert agent.hello.barge_in is not None and agent.hello.barge_in.decide_ms == 3_000
    rules = agent.turn.barge_in
    assert rules.local_s is not None and rules.local_s > rules.sure_s + rules.wait_s, (
        "the agent decides before the line"
    )
    agent.turn = TurnRules(barge_in=BargeInRules(local_s=None))
    assert agent.hello.barge_in is None
