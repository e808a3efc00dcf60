"""Metrics in Prometheus' words: what the parts of a node count, and how long the moments of a call take.

Every label has values that the code names (a type of event, a reason, a route), never a number, id or address; what
a source counts under more than MAX_NAMES names is counted together as "other". Leaves out who may read it
(`api/routes/metrics.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from prometheus_client import CollectorRegistry, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from longline.base.events import Event, EventType
from longline.base.log import get_logger

MAX_NAMES: Final = 300
"""Names under which one source may count. Rule when full: the further ones are added up as "other"."""
MAX_CALLS_TIMED: Final = 20_000
"""Calls whose moments are remembered. Rule when full: the oldest is forgotten, its later moments are not measured."""

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_DURATIONS: Final = (1, 5, 15, 30, 60, 180, 600, 1800, 3600, 14400)

log = get_logger(__name__)

Counts = Callable[[], Mapping[str, int]]
Gauges = Callable[[], Mapping[str, float]]

MOMENTS: Final[dict[tuple[str, str], str]] = {
    (EventType.CALL_INITIATED, EventType.CALL_ANSWERED): "answer",
    (EventType.FLOW_REQUESTED, EventType.FLOW_RECEIVED): "flow",
    (EventType.STREAM_INITIATED, EventType.STREAM_CONNECTED): "stream_connect",
    (EventType.CALL_ANSWERED, EventType.STREAM_FIRST_AUDIO_SENT): "first_audio_to_app",
    (EventType.CALL_ANSWERED, EventType.PLAYOUT_STARTED): "first_audio_to_caller",
}
"""From one event of a call to another: the `moment` of `longline_call_moment_seconds`. Each is measured from the last
such beginning, and once for it."""


STEPS: Final = ("received", "endpoint", "transcript", "first_token", "first_sound", "sent", "heard")
"""Of an agent's turn: the `step` of `longline_agent_turn_seconds`, beside `total`. Applications may
have steps of their own: those are measured as "other"."""


class Metrics:
    """`on_event` is a subscriber of the bus. `add_counts` and `add_gauges` before the first `render`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._sources = _Sources()
        self._registry.register(self._sources)
        self._http = Histogram(
            "longline_http_request_seconds",
            "Requests to the API, until their answer was sent.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._moments = Histogram(
            "longline_call_moment_seconds",
            "From one event of a call to another.",
            ("moment",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._durations = Histogram(
            "longline_call_duration_seconds",
            "Calls that were answered, from the answer to the end.",
            ("direction",),
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._turns = Histogram(
            "longline_agent_turn_seconds",
            "What agents say of their turns: from the caller's last sound to the first that he heard, and its steps.",
            ("step",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._begun: OrderedDict[UUID, dict[str, datetime]] = OrderedDict()

    def add_counts(self, name: str, help_text: str, counts: Counts, label: str = "event") -> None:
        """`longline_{name}_total{label=…}`: what grows only."""
        self._sources.counts.append((name, help_text, label, counts))

    def add_gauges(self, name: str, help_text: str, gauges: Gauges, label: str | None = None) -> None:
        """`longline_{name}{label=…}`: what goes up and down; without a label `gauges` has the one key ""."""
        self._sources.gauges.append((name, help_text, label, gauges))

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request to the API has been answered. `route` is its path as the code has it, "(none)" if there is none."""
        self._http.labels(method, route, f"{status // 100}xx").observe(seconds)

    def on_event(self, event: Event) -> None:
        """Measure what ends with this event, and remember what begins with it."""
        if event.call_id is None:
            return
        if event.type == EventType.AGENT_TURN:
            self._measure_turn(event.data)
            return
        begun = self._begun.get(event.call_id)
        if begun is not None:
            for (_, last), moment in MOMENTS.items():
                if last == event.type and moment in begun:
                    self._moments.labels(moment).observe(max(0.0, (event.at - begun.pop(moment)).total_seconds()))
        if event.type in (EventType.CALL_COMPLETED, EventType.CALL_FAILED):
            self._begun.pop(event.call_id, None)
            if event.type == EventType.CALL_COMPLETED:
                seconds = float(event.data.get("duration_seconds") or 0)
                self._durations.labels(str(event.data.get("direction", "unknown"))).observe(seconds)
        elif event.type in _BEGINNINGS:
            self._begin(event)

    def _measure_turn(self, turn: Mapping[str, Any]) -> None:
        if turn.get("total_ms") is None:
            return
        self._turns.labels("total").observe(turn["total_ms"] / 1000)
        for step, part_ms in turn["parts_ms"].items():
            self._turns.labels(step if step in STEPS else "other").observe(part_ms / 1000)

    def _begin(self, event: Event) -> None:
        assert event.call_id is not None
        begun = self._begun.get(event.call_id)
        if begun is None:
            if event.type != EventType.CALL_INITIATED:
                return  # told after its end, or forgotten
            begun = self._begun[event.call_id] = {}
            if len(self._begun) > MAX_CALLS_TIMED:
                self._begun.popitem(last=False)
        begun.update({moment: event.at for (first, _), moment in MOMENTS.items() if first == event.type})

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The page, and its content type, in the form that `accept` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


_BEGINNINGS: Final = frozenset(first for first, _ in MOMENTS)


class _Sources(Collector):
    """Reads what the parts of the node have counted, at the moment that it is asked for."""

    def __init__(self) -> None:
        self.counts: list[tuple[str, str, str, Counts]] = []
        self.gauges: list[tuple[str, str, str | None, Gauges]] = []

    def collect(self) -> Iterator[Metric]:
        for name, help_text, label, counts in self.counts:
            counter = CounterMetricFamily(f"longline_{name}", help_text, labels=[label])
            for key, count in _bounded(_read(name, counts)).items():
                counter.add_metric([key], count)
            yield counter
        for name, help_text, gauge_label, gauges in self.gauges:
            gauge = GaugeMetricFamily(f"longline_{name}", help_text, labels=[gauge_label] if gauge_label else [])
            for key, value in _bounded(_read(name, gauges)).items():
                gauge.add_metric([key] if gauge_label else [], value)
            yield gauge


def _read(name: str, source: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """A source that fails costs the page its own lines only."""
    try:
        return source()
    except Exception:
        log.exception("metrics cannot be read", source=name)
        return {}


def _bounded(values: Mapping[str, Any]) -> dict[str, Any]:
    names = sorted(values)
    kept = {name: values[name] for name in names[:MAX_NAMES]}
    if len(names) > MAX_NAMES:
        kept["other"] = sum(values[name] for name in names[MAX_NAMES:])
    return kept
