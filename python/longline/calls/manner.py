"""How the application of a call is spoken to where that is not our own way: as another platform speaks.

The format of a call's webhooks (`webhook_version`) names it: an app whose format is "twilio" is asked for its flows,
and told what happens, as Twilio does both. Leaves out the words (`flows/languages.py`, `webhooks/payload.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from longline.base.events import EventType

Method = Literal["GET", "POST"]


@dataclass(frozen=True, slots=True)
class Manner:
    """`language` is what flows are asked for and written in; None: ours, in JSON. `told` are the types of events that
    the call's webhooks tell; None: all that its format knows. `targets` are who is told of an event, and how, in the
    place of whoever is told of the call; `echo` is what its application wants back with each. `flow` is done with a
    call that comes in when nobody is to be asked for one."""

    language: str | None = None
    flow_method: Method = "POST"
    fallback_method: Method = "POST"
    told: frozenset[EventType] | None = None
    told_method: Method = "POST"
    targets: Mapping[EventType, tuple[str, Method]] = field(default_factory=dict)
    echo: Mapping[str, str] = field(default_factory=dict)
    flow: str | None = None


OURS: Final = Manner()

MANNERS: Final[Mapping[str, Manner]] = {
    # Of a call that comes in, Twilio tells the end alone.
    "twilio": Manner("twilio", told=frozenset({EventType.CALL_COMPLETED, EventType.CALL_FAILED})),
    "plivo": Manner("plivo"),
    "vonage": Manner("vonage", flow_method="GET", fallback_method="GET"),
    "jambonz": Manner("jambonz"),
    # Nobody is asked: the application tells the call what to do.
    "telnyx": Manner("telnyx", flow="{}"),
}
"""By webhook version; every other version is ours."""


def manner_of(webhook_version: str | None) -> Manner:
    return MANNERS.get(webhook_version or "", OURS)
