"""A REFER of a far end (RFC 3515), carried out as a transfer: who asked for it leaves his place to somebody else.

Whoever he talked to stays: the application, or the other party of a bridge. He is told by NOTIFY how the new call goes,
and let go when it is answered; most phones hang up before. Leaves out two calls of ours that are to become one
(`splice.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from longline.base.errors import (
    DestinationDenied,
    FeatureNotEnabled,
    InvalidTarget,
    LimitReached,
    MediaUnavailable,
    RequestError,
    TransferInProgress,
)
from longline.calls.bridge import Bridge, DialOutcome, DialRequest, DialSounds
from longline.calls.reason import FACTS, Reason
from longline.calls.sip_leg import LegEnd, SipLeg
from longline.media.errors import MediaCommandRefused
from longline.sip.events import Referred

if TYPE_CHECKING:
    from longline.calls.lead import Transfer
    from longline.calls.live_call import LiveCall

_STATUSES: dict[type[RequestError], int] = {
    DestinationDenied: 403,
    InvalidTarget: 404,
    TransferInProgress: 491,
    FeatureNotEnabled: 501,
    LimitReached: 503,
}


def refer_status(error: RequestError) -> int:
    """The answer to a REFER that is not carried out."""
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 400)


def referral_request(event: Referred, timeout_s: float) -> DialRequest:
    """Whom a REFER wants called, and how. A tel: URI (RFC 3966) is a number without its punctuation."""
    to = event.refer_to
    if to.startswith("tel:"):
        number = to.removeprefix("tel:").partition(";")[0]
        to = "".join(char for char in number if char not in "-.()")
    return DialRequest(to, timeout_s, role="transfer_target", headers=tuple(event.invite_headers))


async def carry_out_referral(live: LiveCall, transfer: Transfer, leg: SipLeg, notify: Callable[[int], None]) -> None:
    """`notify` tells the far end of `leg` the status of the new call. Return when that is over."""

    async def take_the_place() -> None:
        notify(200)
        await live.transfers.replace(transfer, leg)

    outcome = await _call(live, transfer, leg, take_the_place, notify)
    if outcome.was_joined:
        await live.finish(outcome.end)
        return
    notify(FACTS[outcome.end.reason].status)
    await live.transfers.failed(transfer, outcome.end)


async def _call(
    live: LiveCall,
    transfer: Transfer,
    leg: SipLeg,
    before_join: Callable[[], Awaitable[None]],
    notify: Callable[[int], None],
) -> DialOutcome:
    first = live.legs.first
    waiting = [first] if leg is not first else [other.sip for other in live.legs.others((leg,))]
    bridge = Bridge(
        live,
        transfer.request,
        DialSounds(),
        before_join,
        transfer.route,
        waiting[0].leg if waiting else leg.leg,
        lambda: notify(180),
    )
    try:
        return await bridge.run()
    except (LimitReached, MediaUnavailable, MediaCommandRefused) as error:
        return DialOutcome(LegEnd(Reason.CARRIER_ERROR, detail=str(error)), was_joined=False)
