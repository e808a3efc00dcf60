"""What an action of a flow has come to: what is done next, and what the next flow request tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Next = Literal["go_on", "ask", "end"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`next`: the action that follows, or, when there is none, the end of the flow; another flow, of `flow_url` or,
    without one, of the URL that this one came from; or the end. `result` is told with the next flow request."""

    next: Next = "go_on"
    flow_url: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)


def ask_or_go_on(flow_url: str | None, result: Mapping[str, Any] | None = None) -> Outcome:
    """Another flow if one is named."""
    return Outcome("go_on" if flow_url is None else "ask", flow_url, result or {})
