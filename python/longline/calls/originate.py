"""Where an outgoing call goes: from what the API asks for to its route.

An E.164 number goes to a trunk; a `sip:` URI is called directly. Whatever could break out of a SIP header is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from longline.base.errors import BadRequest, InvalidTarget
from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.calls.manner import Manner
from longline.calls.routes import Route, Routes

_E164 = re.compile(r"\+\d{7,15}")
_SIP_URI = re.compile(r"sips?:[A-Za-z0-9\-_.!~*'()&=+$,;?/%:@\[\]]{1,250}")
_USER = re.compile(r"[A-Za-z0-9\-_.!~*'()+]{1,64}")


@dataclass(frozen=True, slots=True)
class OriginateRequest:
    """`to_number` is E.164 or a `sip:` URI. Either `flow_url` or the flow itself says what is done when it answers."""

    from_number: str
    to_number: str
    flow_url: str | None = None
    flow: dict[str, Any] | list[Any] | str | None = None
    status_callback_url: str | None = None
    record: bool = True
    account_id: UUID = DEFAULT_ACCOUNT_ID
    metadata: dict[str, Any] | None = None
    fallback_url: str | None = None
    webhook_version: str | None = None
    """The format of its webhooks; None: that of its app, or the node's."""
    manner: Manner | None = None
    """How its application is spoken to; None: as the format has it."""
    ring_timeout_s: float | None = None
    """In which it has to be answered; None: as the node is set."""


def is_target(text: str) -> bool:
    """It is a number or a URI that a call could go to, whether or not anything leads there."""
    return (_SIP_URI if text.startswith(("sip:", "sips:")) else _E164).fullmatch(text) is not None


def is_sip_user(text: str) -> bool:
    """It can be the user part of a From."""
    return _USER.fullmatch(text) is not None


def find_route(request: OriginateRequest, routes: Routes, own_host: str) -> Route:
    """The route of a call, with its first way taken: whoever asked closes it. Raise InvalidTarget when nothing leads to
    `to_number`, BadRequest when `from_number` is none, LimitReached when no trunk has room."""
    user = request.from_number.removeprefix("sip:").partition("@")[0]
    if not is_sip_user(user):
        raise BadRequest("from_number must be a telephone number or the user part of a SIP URI.")
    if request.to_number.startswith(("sip:", "sips:")):
        if not _SIP_URI.fullmatch(request.to_number):
            raise InvalidTarget("to_number is not a SIP URI.")
        return routes.to_uri(request.to_number, user, own_host, request.account_id)
    if not _E164.fullmatch(request.to_number):
        raise InvalidTarget("to_number must be an E.164 number, such as +14155550100, or a sip: URI.")
    return routes.to_number(request.to_number, user, own_host, request.account_id)
