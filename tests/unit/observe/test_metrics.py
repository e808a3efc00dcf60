"""What a node says of itself to Prometheus."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from longline.base.bus import Bus
from longline.base.events import Event
from longline.base.ids import new_id
from longline.observe import metrics as module
from longline.observe.metrics import Metrics
from longline.observe.sources import add_sources

T0 = datetime(2026, 6, 1, tzinfo=UTC)


class Part:
    def __init__(self, **counters: int) -> None:
        self.counters = Counter(counters)
        self.calls, self.transactions, self.is_available = 3, 7, True
        self.latest_stats: dict[str, Any] = {
            "workers": [{"sessions": 2, "late_ticks": 1}, {"sessions": 3, "late_ticks": 0}],
            "rtp_ports_free": 90,
            "sessions": ["cs_1"],
        }

    def live_by_state(self) -> dict[str, int]:
        return {"answered": 2, "ringing": 1}


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels."""
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def told(metrics: Metrics, call_id: UUID, event_type: str, after_s: float, **data: Any) -> None:
    metrics.on_event(Event(type=event_type, at=T0 + timedelta(seconds=after_s), call_id=call_id, data=data))


def test_the_moments_of_a_call_are_measured_once_each() -> None:
    metrics, call_id = Metrics(), new_id()
    told(metrics, call_id, "call.initiated", 0)
    told(metrics, call_id, "call.answered", 2)
    told(metrics, call_id, "flow.requested", 2)
    told(metrics, call_id, "flow.received", 2.2)
    told(metrics, call_id, "playout.started", 3.5)
    told(metrics, call_id, "playout.started", 9)
    told(metrics, call_id, "call.completed", 62, direction="inbound", duration_seconds=60)
    told(metrics, call_id, "playout.started", 63)
    found = samples(metrics)
    name = "longline_call_moment_seconds_sum"
    assert found[name, "answer"] == pytest.approx(2)
    assert found[name, "flow"] == pytest.approx(0.2)
    assert found[name, "first_audio_to_caller"] == pytest.approx(1.5)
    assert found["longline_call_moment_seconds_count", "first_audio_to_caller"] == 1
    assert found["longline_call_duration_seconds_sum", "inbound"] == 60
    assert not metrics._begun, "nothing is remembered of a call that is over"


def test_turns_of_agents_are_measured_by_steps_that_the_node_names() -> None:
    metrics, call_id = Metrics(), new_id()
    told(metrics, call_id, "agent.turn", 0, total_ms=800, parts_ms={"endpoint": 600, "thinking": 100, "musing": 50})
    told(metrics, call_id, "agent.turn", 1, total_ms=None, parts_ms={"endpoint": 600})
    found, name = samples(metrics), "longline_agent_turn_seconds_sum"
    steps = {labels[0]: value for (each, *labels), value in found.items() if each == name}
    assert steps == {"total": 0.8, "endpoint": 0.6, "other": pytest.approx(0.15)}


def test_calls_that_are_timed_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CALLS_TIMED", 10)
    metrics = Metrics()
    for _ in range(20):
        told(metrics, new_id(), "call.initiated", 0)
    assert len(metrics._begun) == 10


def test_every_part_of_the_node_is_there() -> None:
    metrics, bus = Metrics(), Bus()
    bus.publish(Event(type="call.initiated", at=T0))
    add_sources(
        metrics, bus, Part(ended_busy=2), Part(**{"sip.malformed": 5}), Part(restarts=1), Part(writes=9), Part(x=4)
    )
    found = samples(metrics)
    expected = {
        ("longline_events_total", "call.initiated"): 1,
        ("longline_calls_total", "ended_busy"): 2,
        ("longline_calls_live", "answered"): 2,
        ("longline_sip_total", "malformed"): 5,
        ("longline_sip_transactions",): 7,
        ("longline_sip_dialogs",): 3,
        ("longline_media_total", "restarts"): 1,
        ("longline_media_up",): 1,
        ("longline_media_server", "sessions"): 5,
        ("longline_media_server", "rtp_ports_free"): 90,
        ("longline_store_total", "writes"): 9,
        ("longline_webhooks_total", "x"): 4,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_a_source_that_fails_costs_its_own_lines_only() -> None:
    metrics = Metrics()

    def broken() -> dict[str, int]:
        raise OSError

    metrics.add_counts("broken", "", broken)
    metrics.add_counts("whole", "", lambda: {"a": 1})
    assert samples(metrics)["longline_whole_total", "a"] == 1


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 3)
    metrics = Metrics()
    metrics.add_counts("many", "", lambda: {f"n{i}": 1 for i in range(10)})
    found = {key: value for key, value in samples(metrics).items() if key[0] == "longline_many_total"}
    assert found == {
        ("longline_many_total", name): count for name, count in [("n0", 1), ("n1", 1), ("n2", 1), ("other", 7)]
    }
