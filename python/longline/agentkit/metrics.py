"""Turns as Prometheus histograms, for who has `prometheus-client`: `VoiceAgent(report=TurnMetrics())`.

    longline_agent_response_seconds            from the caller's last sound to the first of the answer that he heard
    longline_agent_step_seconds{step=…}        each step of that, after the one before
    longline_agent_turns_total{outcome=…}      heard, interrupted, failed

Labels have values that the code names. Leaves out how they are fetched: `prometheus_client.start_http_server`.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from longline.agentkit.report import Report

SECONDS: Final = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


class TurnMetrics:
    """A receiver of reports, of all calls of a process. Make one for each registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._response = Histogram(
            "longline_agent_response_seconds",
            "From the caller's last sound to the first of the answer that he heard.",
            buckets=SECONDS,
            registry=registry,
        )
        self._steps = Histogram(
            "longline_agent_step_seconds",
            "Each step of an answer, after the one before.",
            ("step",),
            buckets=SECONDS,
            registry=registry,
        )
        self._turns = Counter("longline_agent_turns", "Turns of agents that are over.", ("outcome",), registry=registry)

    def __call__(self, report: Report) -> None:
        outcome = "failed" if report.failure else "interrupted" if report.was_interrupted else "heard"
        self._turns.labels(outcome).inc()
        if (total_ms := report.waterfall.total_ms) is None:
            return
        self._response.observe(total_ms / 1000)
        for step, part_ms in report.waterfall.parts_ms().items():
            self._steps.labels(step).observe(part_ms / 1000)
