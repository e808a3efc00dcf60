"""What can be asked of Twilio's API, read from a form. Fields that are not known here are left alone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from longline.api.compat.twilio.door import TwilioRefusal
from longline.api.compat.twilio.form import Form
from longline.base.errors import BadRequest
from longline.base.events import EventType
from longline.base.urls import ws_url
from longline.calls.manner import Manner
from longline.calls.originate import OriginateRequest, is_sip_user
from longline.calls.redirection import Redirection
from longline.calls.stream import StreamRequest
from longline.flows.fields import PARAMETERS_MAX, check_parameters
from longline.flows.language import Document
from longline.flows.parse import FlowInvalid
from longline.flows.twiml import TRACKS, Twiml
from longline.store.pages import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, PageRequest
from longline.store.records import CallFilter, CallState

RING_MAX_S: Final = 600
EVENTS: Final[dict[str, frozenset[EventType]]] = {
    "initiated": frozenset({EventType.CALL_INITIATED}),
    "ringing": frozenset({EventType.CALL_RINGING}),
    "answered": frozenset({EventType.CALL_ANSWERED}),
    "completed": frozenset({EventType.CALL_COMPLETED, EventType.CALL_FAILED}),
}
"""StatusCallbackEvent."""
STATES: Final[dict[str, CallState]] = {
    "queued": "initiated",
    "ringing": "ringing",
    "in-progress": "answered",
    "completed": "completed",
    "failed": "failed",
    "busy": "failed",
    "no-answer": "failed",
    "canceled": "failed",
}
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


def call(form: Form, account_id: UUID) -> OriginateRequest:
    """Raise BadRequest."""
    to, caller = form.one("To"), form.one("From")
    if to is None:
        raise TwilioRefusal(21201, "No 'To' number is specified")
    if caller is None:
        raise TwilioRefusal(21213, "No 'From' number is specified")
    user = caller.removeprefix("sip:").partition("@")[0]
    if not is_sip_user(user) or (to.startswith("+") and re.fullmatch(r"\+\d{7,15}", caller) is None):
        raise TwilioRefusal(21212, f"The 'From' number {caller} is not a valid phone number or caller")
    document = twiml(form)
    url = form.url("Url")
    if url is None and document is None:
        raise TwilioRefusal(21205, "Url or Twiml is required")
    return OriginateRequest(
        from_number=user,
        to_number=to,
        flow_url=None if document is not None else url,
        flow=document,
        fallback_url=form.url("FallbackUrl"),
        status_callback_url=form.url("StatusCallback", 21609),
        record=form.flag("Record"),
        account_id=account_id,
        webhook_version="twilio",
        manner=Manner(
            "twilio",
            flow_method=form.method("Method"),
            fallback_method=form.method("FallbackMethod"),
            told=_told(form),
            told_method=form.method("StatusCallbackMethod"),
        ),
        ring_timeout_s=form.number("Timeout", 60, 1, RING_MAX_S),
    )


def twiml(form: Form) -> str | None:
    """A document that is given with the request, and can be carried out."""
    document = form.one("Twiml")
    if document is None:
        return None
    try:
        Twiml().read(Document(document.encode()))
    except FlowInvalid as error:
        raise TwilioRefusal(12100, f"Twiml cannot be carried out: {error}") from None
    return document


def redirection(form: Form) -> Redirection | None:
    """What a live call is to do from now on; None when nothing is said of that."""
    document, url = twiml(form), form.url("Url")
    if document is None and url is None:
        return None
    return Redirection("twilio", flow=document, flow_url=None if document else url, flow_method=form.method("Method"))


def _told(form: Form) -> frozenset[EventType]:
    """The end alone, unless more is asked for."""
    names = [name for given in form.all("StatusCallbackEvent") for name in given.split()] or ["completed"]
    strange = next((name for name in names if name not in EVENTS), None)
    if strange is not None:
        raise BadRequest(f"StatusCallbackEvent {strange} is none of {', '.join(EVENTS)}.")
    return frozenset().union(*(EVENTS[name] for name in names))


def stream(form: Form) -> StreamRequest:
    """A stream that only listens. Raise BadRequest."""
    track = form.one("Track") or "inbound_track"
    if track not in TRACKS:
        raise BadRequest(f"Track must be one of {', '.join(TRACKS)}.")
    numbers = range(1, PARAMETERS_MAX + 1)
    named = ((form.one(f"Parameter{number}.Name"), form.one(f"Parameter{number}.Value")) for number in numbers)
    try:
        return StreamRequest(
            ws_url=ws_url(form.one("Url") or ""),
            dialect="twilio",
            direction="listen",
            tracks=TRACKS[track],
            name=form.one("Name"),
            parameters=check_parameters({name: value or "" for name, value in named if name}),
            status_callback_url=form.url("StatusCallback", 21609),
            status_callback_method=form.method("StatusCallbackMethod"),
            status_callback_version="twilio",
        )
    except ValueError as error:
        raise TwilioRefusal(21205, f"Url or Parameter: {error}") from None


def calls_filter(form: Form) -> CallFilter:
    filters = CallFilter(from_number=form.one("From"), to_number=form.one("To"))
    status = form.one("Status")
    if status is not None:
        if status not in STATES:
            raise BadRequest(f"Status must be one of {', '.join(STATES)}.")
        filters = replace(filters, state=STATES[status])
    on = _day(form, "StartTime")
    if on is not None:
        moment = timedelta(microseconds=1)
        return replace(filters, created_after=on - moment, created_before=on + timedelta(days=1))
    return replace(filters, created_after=_moment(form, "StartTime>"), created_before=_moment(form, "StartTime<"))


def _day(form: Form, name: str) -> datetime | None:
    given = form.one(name)
    return None if given is None or not _DATE.match(given) else _moment(form, name)


def _moment(form: Form, name: str) -> datetime | None:
    given = form.one(name)
    try:
        at = None if given is None else datetime.fromisoformat(given)
        return None if at is None else at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name} must be a date, such as 2026-01-31.") from None


def page(form: Form) -> PageRequest:
    """Raise BadRequest."""
    return PageRequest(form.number("PageSize", PAGE_LIMIT_DEFAULT, 1, PAGE_LIMIT_MAX), form.one("PageToken"))
