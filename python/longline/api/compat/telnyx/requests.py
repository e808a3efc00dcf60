"""What can be asked of Telnyx's API, read from its fields. Fields that are not known here are left alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from longline.api.compat.values import number, one_of, optional_url, required, spoken, text
from longline.base.errors import BadRequest
from longline.calls.bridge import DialRequest
from longline.calls.manner import Manner
from longline.calls.originate import OriginateRequest, is_target
from longline.calls.stream import StreamRequest
from longline.flows.controls import PlayOrder
from longline.flows.telnyx_calls import client_state, stream_request
from longline.flows.transfer import TransferOrder

LOOP_MAX: Final = 100
RING_DEFAULT_S: Final = 30
RING_MAX_S: Final = 600


def dial(fields: dict[str, Any], account_id: UUID, *, record: bool) -> OriginateRequest:
    """The call that is to be placed. Raise BadRequest."""
    to = fields.get("to")
    if isinstance(to, list) and len(to) == 1:
        to = to[0]
    elif isinstance(to, list):
        raise BadRequest("to must be one number or SIP URI.")
    _checked(fields)
    streaming = {name: value for name, value in fields.items() if name in _OF_STREAMS}
    told = "GET" if one_of(fields, "webhook_url_method", ("POST", "GET"), "POST") == "GET" else "POST"
    return OriginateRequest(
        from_number=required(fields, "from"),
        to_number=required({"to": to}, "to"),
        flow=json.dumps(streaming),
        status_callback_url=optional_url(fields, "webhook_url"),
        record=record if fields.get("record") is None else fields["record"] == "record-from-answer",
        account_id=account_id,
        webhook_version="telnyx",
        manner=Manner("telnyx", told_method="GET" if told == "GET" else "POST", echo=_echo(fields)),
        ring_timeout_s=number(fields, "timeout_secs", RING_DEFAULT_S, 5, RING_MAX_S),
    )


def stream(fields: Mapping[str, Any]) -> StreamRequest | None:
    """Raise BadRequest."""
    return _checked(fields)


def play(fields: dict[str, Any]) -> PlayOrder:
    """Raise BadRequest."""
    url = optional_url(fields, "audio_url")
    if url is None:
        raise BadRequest("audio_url is missing.")
    return PlayOrder(media_url=url, repeat=_loop(fields), stops_on_digit=False)


def speak(fields: dict[str, Any]) -> PlayOrder:
    """Raise BadRequest."""
    if fields.get("payload_type") == "ssml":
        raise BadRequest("payload_type must be text.")
    return PlayOrder("", repeat=_loop(fields), stops_on_digit=False, says=spoken(fields, "payload"))


def _loop(fields: dict[str, Any]) -> int:
    return LOOP_MAX if fields.get("loop") == "infinity" else number(fields, "loop", 1, 1, LOOP_MAX)


def transfer(fields: dict[str, Any]) -> TransferOrder:
    """Raise BadRequest."""
    to = required(fields, "to")
    if not is_target(to):
        raise BadRequest("to must be an E.164 number or a sip: URI.")
    seconds = number(fields, "timeout_secs", RING_DEFAULT_S, 5, RING_MAX_S)
    return TransferOrder(DialRequest(to=to, timeout_s=seconds, role="transfer_target"))


def digits(fields: dict[str, Any]) -> tuple[str, int]:
    """The keys, and for how many milliseconds each is held. Raise BadRequest."""
    given = required(fields, "digits")
    if len(given) > 64 or not set(given) <= set("0123456789*#ABCDwW"):
        raise BadRequest("digits must be at most 64 of 0-9, A-D, *, #, w and W.")
    return given.replace("W", "ww"), number(fields, "duration_millis", 250, 100, 500)


def _echo(fields: Mapping[str, Any]) -> dict[str, str]:
    """What comes back with each event."""
    echo = {name: text(fields, name) for name in ("client_state", "connection_id")}
    return {name: value for name, value in echo.items() if value is not None}


def _checked(fields: Mapping[str, Any]) -> StreamRequest | None:
    try:
        client_state(fields)
        return stream_request(fields)
    except ValueError as error:
        raise BadRequest(f"{error}.") from None


_OF_STREAMS: Final = frozenset(
    {
        "stream_url",
        "stream_track",
        "stream_codec",
        "stream_bidirectional_mode",
        "stream_bidirectional_codec",
        "stream_bidirectional_sampling_rate",
        "stream_auth_token",
        "custom_parameters",
        "client_state",
    }
)
