"""What is told of a turn when it is over: what was said, what of it was heard, and where the time went.

`VoiceAgent.report` gets each; `print_turns` and `metrics.TurnMetrics` are such receivers, `to_all` joins several. The
node that the call runs on is told too, where the line can (`KeepsTurns`): its history of the call has the event
`agent.turn`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TextIO, runtime_checkable

from longline.agentkit.waterfall import Waterfall, head


@dataclass(slots=True)
class Report:
    """`number` counts the turns of a call, from 1. `agent` was said, or was to be; `heard` is what of that the caller
    heard. `failure`: what a provider did, if that spoiled the answer."""

    caller: str
    agent: str
    heard: str
    was_interrupted: bool
    waterfall: Waterfall = field(default_factory=Waterfall)
    number: int = 0
    failure: str | None = None
    call_id: str = ""


Receiver = Callable[[Report], None]


@runtime_checkable
class KeepsTurns(Protocol):
    """A line whose far end keeps the history of the call."""

    def keep_turn(self, report: Report) -> None: ...


def to_all(*receivers: Receiver) -> Receiver:
    """One receiver of several, in this order."""

    def tell(report: Report) -> None:
        for receiver in receivers:
            receiver(report)

    return tell


def print_turns(output: TextIO | None = None) -> Receiver:
    """A receiver that prints a table of the waterfalls: a line for each turn, milliseconds, `total` first."""
    has_head = False

    def tell(report: Report) -> None:
        nonlocal has_head
        stream = output or sys.stdout
        if not has_head:
            stream.write(head() + "\n")
            has_head = True
        stream.write(report.waterfall.row() + ("  cut" if report.was_interrupted else "") + "\n")
        stream.flush()

    return tell
