"""The headers of event notification (RFC 6665) as far as REFER needs them: Event and Subscription-State.

Leaves out: every event package but `refer`, and subscriptions that are no part of a call's dialog.
"""

from dataclasses import dataclass

from longline.base.errors import RemoteProtocolError
from longline.sip.refused import Refused
from longline.sip.syntax.headers import parse_params
from longline.sip.syntax.message import Request

EVENT = "refer"
MAX_EXPIRES_S = 3600
"""A longer subscription is taken for this long."""


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """`active`, `pending` or `terminated`; `reason` says why it was terminated."""

    state: str
    expires_s: int | None = None
    reason: str | None = None

    def __str__(self) -> str:
        text = self.state
        if self.expires_s is not None:
            text += f";expires={self.expires_s}"
        return text + (f";reason={self.reason}" if self.reason else "")

    @property
    def is_over(self) -> bool:
        return self.state == "terminated"


def event_id(request: Request) -> int | None:
    """RFC 3515 §2.4.6: the CSeq of the REFER that is meant; None when it is not named. 489 for another package."""
    package, _, params_text = (request.headers.get("Event") or "").partition(";")
    if package.strip().lower() != EVENT:
        raise Refused(489, headers=[("Allow-Events", EVENT)])
    number = parse_params(f";{params_text}" if params_text else "").get("id")
    if number is None:
        return None
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 10 else -1


def parse_subscription_state(value: str) -> SubscriptionState:
    """RemoteProtocolError(400) when it has no state."""
    state, _, params_text = value.partition(";")
    params = parse_params(f";{params_text}" if params_text else "")
    expires = params.get("expires")
    seconds = int(expires) if expires and expires.isascii() and expires.isdigit() and len(expires) <= 10 else None
    if not state.strip():
        raise RemoteProtocolError("bad Subscription-State")
    return SubscriptionState(
        state.strip().lower(), None if seconds is None else min(seconds, MAX_EXPIRES_S), params.get("reason")
    )
