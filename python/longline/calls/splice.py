"""A splice: two calls of this node are made one, when a phone that has both transfers the one to the other (RFC 3515
with Replaces, RFC 5359 §2.5): the usual attended transfer, since a phone has all its calls at one server.

Each call keeps its session, its flow and its record. In both, a link takes the place of the phone: a leg without a
dialog, whose RTP goes to the link of the other call within the media server (G.711 µ-law; telephone-events for keys).
When one of the two calls ends so does its link, the other link with it, and by that the other call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from longline.base.errors import CallNotLive, LimitReached, MediaUnavailable
from longline.base.ids import new_id
from longline.calls.call_legs import TargetLeg
from longline.calls.leg import Leg
from longline.calls.reason import FACTS, Reason
from longline.calls.sip_leg import LegEnd, SipLeg
from longline.media.errors import MediaCommandRefused

if TYPE_CHECKING:
    from longline.calls.lead import Transfer
    from longline.calls.live_call import LiveCall


async def carry_out_splice(
    live: LiveCall, transfer: Transfer, other: LiveCall, expected: Transfer, notify: Callable[[int], None]
) -> None:
    """The two transfers name the phone's legs in the two calls. Return when the others have parted."""
    try:
        link = await _join(live, transfer, other, expected, notify)
    except (CallNotLive, LimitReached, MediaUnavailable, MediaCommandRefused) as error:
        end = LegEnd(Reason.CARRIER_ERROR, detail=str(error))
        notify(FACTS[end.reason].status)
        await live.transfers.failed(transfer, end)
        return
    await link.over.wait()
    assert link.end is not None
    await live.finish(link.end)


async def _join(
    live: LiveCall, transfer: Transfer, other: LiveCall, expected: Transfer, notify: Callable[[int], None]
) -> TargetLeg:
    here, there = transfer.referred_by, expected.referred_by
    assert here is not None and there is not None
    theirs, ours = _party(other, there), _party(live, here)
    link = await live.ask(lambda: live.legs.open_link(_link_leg(live, transfer.request.leg_id, ours, theirs)))
    try:
        far_link = await other.ask(lambda: other.legs.open_link(_link_leg(other, new_id(), theirs, ours)))
        _end_together(live, link, other, far_link)
        await link.sip.media.link(far_link.sip.media.address)
        await far_link.sip.media.link(link.sip.media.address)
        await other.ask(lambda: _step_in(other, expected, there, far_link))
    except BaseException:
        live.post(lambda: live.legs.end(link, LegEnd(Reason.CARRIER_ERROR)))
        raise
    notify(200)
    await live.ask(lambda: live.legs.answered(link))
    await live.ask(lambda: live.transfers.replace(transfer, here))
    return link


async def _step_in(other: LiveCall, expected: Transfer, there: SipLeg, far_link: TargetLeg) -> None:
    if other.call.has_ended:
        raise CallNotLive("The other call is over.")
    other.lead.came(expected)
    await other.legs.answered(far_link)
    await other.transfers.give_place(there, far_link)


def _link_leg(live: LiveCall, leg_id: UUID, from_number: str, to_number: str) -> Leg:
    return Leg(
        live.call.id,
        "outbound",
        from_number,
        to_number,
        live.context.now(),
        id=leg_id,
        role="transfer_target",
        parent_leg_id=live.call.leg.id,
    )


def _party(live: LiveCall, leaving: SipLeg) -> str:
    """Who stays in a call when this leg leaves it, as the records of the other call name him."""
    if leaving is not live.legs.first:
        first = live.legs.first.leg
        return first.from_number if first.direction == "inbound" else first.to_number
    others = live.legs.others((leaving,))
    return others[0].leg.to_number if others else live.call.to_number


def _end_together(live: LiveCall, link: TargetLeg, other: LiveCall, far_link: TargetLeg) -> None:
    def end(of: LiveCall, which: TargetLeg) -> Callable[[], None]:
        return lambda: of.post(lambda: of.legs.end(which, LegEnd(Reason.NORMAL_CLEARING, "callee")))

    link.on_over, far_link.on_over = end(other, far_link), end(live, link)
