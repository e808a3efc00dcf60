"""What can be asked of Plivo's API, read from its fields. Fields that are not known here are left alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from longline.api.compat.values import number, one_of, optional_url, required, spoken, text
from longline.base.errors import BadRequest
from longline.base.events import EventType
from longline.base.urls import ws_url
from longline.calls.bridge import FOR_EVER
from longline.calls.manner import Manner, Method
from longline.calls.originate import OriginateRequest
from longline.calls.redirection import Redirection
from longline.calls.stream import StreamRequest
from longline.flows.controls import PlayOrder
from longline.flows.plivo_xml import stream_request

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 20
OFFSET_MAX: Final = 10_000
RING_DEFAULT_S: Final = 120
RING_MAX_S: Final = 600
DESTINATIONS_MAX: Final = 20
"""Numbers that one request calls; Plivo's separator is `<`."""


def calls(fields: dict[str, Any], account_id: UUID, *, record: bool) -> list[OriginateRequest]:
    """The calls that are to be placed, one for each number. Raise BadRequest."""
    destinations = required(fields, "to").split("<")
    if len(destinations) > DESTINATIONS_MAX:
        raise BadRequest(f"to has more than {DESTINATIONS_MAX} numbers.")
    hangup, ring = optional_url(fields, "hangup_url"), optional_url(fields, "ring_url")
    answer = optional_url(fields, "answer_url")
    if answer is None:
        raise BadRequest("answer_url is missing.")
    targets: dict[EventType, tuple[str, Method]] = {}
    if ring is not None:
        targets[EventType.CALL_RINGING] = ring, method(fields, "ring_method")
    # Without a hangup_url Plivo tells the end to the answer_url.
    ended = (hangup, method(fields, "hangup_method")) if hangup else (answer, method(fields, "answer_method"))
    targets[EventType.CALL_COMPLETED] = targets[EventType.CALL_FAILED] = ended
    manner = Manner(
        "plivo",
        flow_method=method(fields, "answer_method"),
        fallback_method=method(fields, "fallback_method"),
        targets=targets,
    )
    return [
        OriginateRequest(
            from_number=e164(required(fields, "from")),
            to_number=e164(destination.strip()),
            flow_url=answer,
            fallback_url=optional_url(fields, "fallback_url"),
            record=record,
            account_id=account_id,
            webhook_version="plivo",
            manner=manner,
            ring_timeout_s=number(fields, "ring_timeout", RING_DEFAULT_S, 1, RING_MAX_S),
        )
        for destination in destinations
    ]


def play(fields: dict[str, Any]) -> PlayOrder:
    """Raise BadRequest."""
    url = optional_url(fields, "urls")
    if url is None:
        raise BadRequest("urls is missing.")
    return PlayOrder(url, repeat=FOR_EVER if truth(fields, "loop") else 1, stops_on_digit=False)


def speak(fields: dict[str, Any]) -> PlayOrder:
    """Raise BadRequest."""
    repeat = FOR_EVER if truth(fields, "loop") else 1
    return PlayOrder("", repeat=repeat, stops_on_digit=False, says=spoken(fields, "text"))


def redirection(fields: dict[str, Any]) -> Redirection:
    """What a live call is to do from now on. Raise BadRequest."""
    if one_of(fields, "legs", ("aleg", "bleg", "both"), "aleg") != "aleg":
        raise BadRequest("legs must be aleg: the other party of a call follows no XML of its own.")
    url = optional_url(fields, "aleg_url")
    if url is None:
        raise BadRequest("aleg_url is missing.")
    return Redirection("plivo", flow_url=url, flow_method=method(fields, "aleg_method"))


def stream(fields: dict[str, Any]) -> StreamRequest:
    """Raise BadRequest."""
    try:
        return stream_request(
            ws_url(required(fields, "service_url")),
            bidirectional=truth(fields, "bidirectional"),
            content_type=text(fields, "content_type"),
            audio_track=text(fields, "audio_track") or "inbound",
            extra_headers=_extra_headers(fields),
            status_callback_url=optional_url(fields, "status_callback_url"),
            status_callback_method=method(fields, "status_callback_method"),
        )
    except ValueError as error:
        raise BadRequest(f"{error}.") from None


def _extra_headers(fields: dict[str, Any]) -> str | None:
    """As a text, or as an object of texts."""
    given = fields.get("extra_headers")
    if isinstance(given, dict):
        return ",".join(f"{name}={value}" for name, value in given.items())
    return text(fields, "extra_headers")


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a list."""

    limit: int
    offset: int


def slice_of(fields: dict[str, Any]) -> Slice:
    limit = number(fields, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)
    return Slice(limit, number(fields, "offset", 0, 0, OFFSET_MAX))


def method(fields: dict[str, Any], name: str) -> Method:
    return "GET" if one_of(fields, name, ("GET", "POST"), "POST") == "GET" else "POST"


def truth(fields: dict[str, Any], name: str) -> bool:
    given = fields.get(name)
    return given if isinstance(given, bool) else str(given).lower() == "true"


def e164(given: str) -> str:
    """Plivo writes numbers with or without their +."""
    return f"+{given}" if given.isdecimal() else given
