"""Where an outgoing call goes: from what the API asks for to the target and From of an INVITE.

An E.164 number goes to a trunk; a `sip:` URI is called directly. Whatever could break out of a SIP header is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from longline.base.config import Config, Trunk
from longline.base.errors import BadRequest, InvalidTarget

_E164 = re.compile(r"\+\d{7,15}")
_SIP_URI = re.compile(r"sips?:[A-Za-z0-9\-_.!~*'()&=+$,;?/%:@\[\]]{1,250}")
_USER = re.compile(r"[A-Za-z0-9\-_.!~*'()+]{1,64}")


@dataclass(frozen=True, slots=True)
class OriginateRequest:
    """`to_number` is E.164 or a `sip:` URI. Either `flow_url` or the flow itself says what is done when it answers."""

    from_number: str
    to_number: str
    flow_url: str | None = None
    flow: dict[str, Any] | None = None
    status_callback_url: str | None = None
    record: bool = True


@dataclass(frozen=True, slots=True)
class Destination:
    """The request URI and the From URI of the INVITE."""

    target: str
    from_uri: str


def is_target(text: str) -> bool:
    """It is a number or a URI that a call could go to, whether or not anything leads there."""
    return (_SIP_URI if text.startswith(("sip:", "sips:")) else _E164).fullmatch(text) is not None


def is_sip_user(text: str) -> bool:
    """It can be the user part of a From."""
    return _USER.fullmatch(text) is not None


def find_destination(request: OriginateRequest, config: Config, own_host: str) -> Destination:
    """Raise InvalidTarget when nothing leads to `to_number`, BadRequest when `from_number` is none."""
    user = request.from_number.removeprefix("sip:").partition("@")[0]
    if not is_sip_user(user):
        raise BadRequest("from_number must be a telephone number or the user part of a SIP URI.")
    if request.to_number.startswith(("sip:", "sips:")):
        if not _SIP_URI.fullmatch(request.to_number):
            raise InvalidTarget("to_number is not a SIP URI.")
        return Destination(request.to_number, f"sip:{user}@{own_host}")
    if not _E164.fullmatch(request.to_number):
        raise InvalidTarget("to_number must be an E.164 number, such as +14155550100, or a sip: URI.")
    trunk = _trunk(config)
    return Destination(_through(trunk, request.to_number), f"sip:{user}@{trunk.from_host or own_host}")


def _trunk(config: Config) -> Trunk:
    name = config.outbound_trunk
    if name is None:
        wanted = "set default_trunk" if config.trunks else "configure one, [trunks.NAME]"
        raise InvalidTarget(f"No trunk leads to telephone numbers: {wanted}, or call a sip: URI.")
    return config.trunks[name]


def _through(trunk: Trunk, number: str) -> str:
    """The trunk's URI with the number as its user part."""
    scheme, _, rest = trunk.uri.partition(":")
    host = rest.rpartition("@")[2]
    return f"{scheme}:{number}@{host}"
