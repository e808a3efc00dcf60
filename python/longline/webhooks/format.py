"""A format of another platform that a webhook may have: which events it tells, what its request is, who signs it. Pure.

Its payload, which is stored, is whatever `request` needs to make the request again. Ours are in `payload.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from longline.base.events import CallFacts, Event


@dataclass(frozen=True, slots=True)
class HookRequest:
    """The request on the wire."""

    method: str
    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Format(Protocol):
    def is_told(self, event: Event, call: CallFacts) -> bool:
        """Whether it tells such an event: to the event's own target if it has one, else to the call's."""
        ...

    def render(self, event: Event, call: CallFacts) -> dict[str, Any]:
        """What is stored as the event's payload."""
        ...

    def request(self, payload: Mapping[str, Any], url: str, secret: str | None, at: datetime) -> HookRequest:
        """`secret` is what signs, if the call has anything that does; `at` is now."""
        ...
