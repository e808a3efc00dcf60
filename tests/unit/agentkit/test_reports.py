"""What is told of a turn: a table, metrics, and the message that the node's history keeps."""

import io
import json
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.agentkit.fakes import FakeLine, FakeLlm, FakeStt, FakeTts

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.line import Frame, LineEvent, SpeechStarted
from longline.agentkit.lines.native import NativeLine
from longline.agentkit.metrics import TurnMetrics
from longline.agentkit.report import KeepsTurns, Report, print_turns, to_all
from longline.agentkit.session import CallSession
from longline.agentkit.testing import virtual_time
from longline.agentkit.waterfall import Step, Waterfall
from longline.streamkit.app_messages import MAX_TURN_BYTES, Turn
from longline.streamkit.resend import BufferFull


def report(*, number: int = 1, text: str = "At nine.") -> Report:
    steps = (Step.END_OF_SPEECH, Step.ENDPOINT, Step.FIRST_TOKEN, Step.FIRST_SOUND, Step.SENT, Step.HEARD)
    waterfall = Waterfall(dict(zip(steps, (10.0, 10.6, 10.7, 10.75, 10.75, 10.77), strict=True)))
    waterfall.waited(0.03)
    return Report("When?", text, text, False, waterfall, number)


def test_the_wait_in_the_jitter_buffer_is_a_step_of_its_own_and_part_of_the_whole() -> None:
    told = report().waterfall
    assert told.total_ms == 800
    assert told.parts_ms()["received"] == 30 and sum(told.parts_ms().values()) == 800
    told.waited(0.5)
    assert told.total_ms == 800, "it is told once"


def test_turns_are_printed_as_a_table_with_one_head() -> None:
    output = io.StringIO()
    tell = to_all(print_turns(output), lambda _: None)
    tell(report())
    interrupted = report(number=2)
    interrupted.was_interrupted = True
    tell(interrupted)
    head, first, second = output.getvalue().splitlines()
    assert head.split()[:2] == ["ms", "received"] and first.split() == ["800", "30", "600", "–", "100", "50", "0", "20"]
    assert second.endswith("cut")


def test_turns_are_measured_for_prometheus() -> None:
    registry = CollectorRegistry()
    metrics = TurnMetrics(registry)
    metrics(report())
    failed = report(number=2)
    failed.failure, failed.waterfall = "llm: is down", Waterfall()
    metrics(failed)
    get = registry.get_sample_value
    assert get("longline_agent_response_seconds_sum") == 0.8
    assert get("longline_agent_step_seconds_sum", {"step": "endpoint"}) == 0.6
    assert get("longline_agent_turns_total", {"outcome": "heard"}) == 1
    assert get("longline_agent_turns_total", {"outcome": "failed"}) == 1
    assert get("longline_agent_response_seconds_count") == 1, "what was not heard has no time"


class FakeStream:
    def __init__(self) -> None:
        self.turns: list[Turn] = []

    def turn(self, turn: Turn) -> None:
        self.turns.append(turn)


def test_a_native_line_has_the_node_keep_it_however_long_it_is() -> None:
    line = NativeLine.__new__(NativeLine)
    line._stream = stream = FakeStream()  # type: ignore[assignment]
    assert isinstance(line, KeepsTurns)
    long = report(text="\U0001f600" * 5_000)
    long.caller, long.failure = "\U0001f600" * 5_000, "\U0001f600" * 300
    line.keep_turn(long)
    (turn,) = stream.turns
    assert (turn.number, turn.total_ms, turn.parts_ms["endpoint"]) == (1, 800, 600)
    text = turn.to_text()
    assert len(text) <= MAX_TURN_BYTES and json.loads(text)["type"] == "turn"


class KeepingLine(FakeLine):
    """Keeps turns, tells where in the caller's audio speech began, and that what he says waits 30 ms."""

    is_full = False

    def __init__(self, *script: tuple[float, float], stays_s: float = 1.0) -> None:
        super().__init__(*script, stays_s=stays_s)
        self.kept: list[Report] = []

    async def events(self) -> AsyncIterator[LineEvent]:
        end_ms = 0.0
        async for event in super().events():
            if isinstance(event, Frame):
                end_ms = event.at_ms + 20
            elif isinstance(event, SpeechStarted):
                event = SpeechStarted(event.utterance_id, end_ms + 20, 30.0)
            yield event

    def keep_turn(self, report: Report) -> None:
        if self.is_full:
            raise BufferFull("8 MiB wait")
        self.kept.append(report)


@virtual_time
async def test_a_turn_is_kept_where_the_line_keeps_turns_and_its_times_are_the_lines() -> None:
    line, reports = KeepingLine((0.2, 0.6), (1.6, 0.5), stays_s=2.5), list[Report]()
    agent = VoiceAgent(FakeStt("When?", "And then?"), FakeLlm(["At nine."], ["At ten."]), FakeTts(), greeting="Hi")
    agent.report = reports.append
    async with CallSession(line) as call:
        await agent(call)
    assert line.kept == reports
    assert [(each.number, each.caller, each.call_id) for each in reports] == [
        (1, "When?", "cs_1"),
        (2, "And then?", "cs_1"),
    ]
    for each in reports:
        assert each.waterfall.parts_ms()["received"] == 30
        assert each.waterfall.total_ms == pytest.approx(sum(each.waterfall.parts_ms().values()), abs=0.5)
        positions = each.waterfall.at[Step.HEARD] - each.waterfall.at[Step.RECEIVED]
        assert positions * 50 == pytest.approx(round(positions * 50)), "both are frames of the line"


@virtual_time
async def test_a_line_that_cannot_take_a_turn_costs_the_caller_nothing() -> None:
    line = KeepingLine((0.2, 0.6), stays_s=2.5)
    line.is_full = True
    agent = VoiceAgent(FakeStt("When?"), FakeLlm(["At nine."]), FakeTts())
    async with CallSession(line) as call:
        await agent(call)
        assert call.counters["turns_not_kept"] == 1
    assert not line.kept
