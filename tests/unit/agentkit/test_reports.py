"""What is told of a turn: a table, metrics, and the message that the node's history keeps."""

import io
import json

from prometheus_client import CollectorRegistry

from longline.agentkit.lines.native import NativeLine
from longline.agentkit.metrics import TurnMetrics
from longline.agentkit.report import KeepsTurns, Report, print_turns, to_all
from longline.agentkit.waterfall import Step, Waterfall
from longline.streamkit.app_messages import MAX_TURN_BYTES, Turn


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
