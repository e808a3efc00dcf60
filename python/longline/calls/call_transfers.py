"""Who takes whose place in a live call: transfers that the API asks for, REFER (RFC 3515) and Replaces (RFC 3891).

Leaves out what leads the call meanwhile (`lead.py`), how somebody is called (`bridge.py`), and the two ways in which a
REFER is carried out (`referral.py`, `splice.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from longline.base.errors import DestinationDenied, InvalidTarget, LegNotFound, RequestError
from longline.base.events import EventType
from longline.base.log import get_logger
from longline.calls.bridge import Bridge, DialOutcome, DialRequest, DialSounds
from longline.calls.call_legs import TargetLeg
from longline.calls.lead import CallLead, Transfer
from longline.calls.leg import LegState
from longline.calls.ports import Signalling
from longline.calls.reason import Reason
from longline.calls.referral import carry_out_referral, refer_status, referral_request
from longline.calls.sip_leg import LegEnd, SipLeg
from longline.calls.splice import carry_out_splice
from longline.sip.events import IncomingCall, Referred

if TYPE_CHECKING:
    from longline.calls.live_call import LiveCall

log = get_logger(__name__)


class CallTransfers:
    """`may_transfer` says whose REFER is carried out, `find_call` whose dialog a handle names."""

    def __init__(
        self,
        live: LiveCall,
        lead: CallLead,
        signalling: Signalling,
        may_transfer: Callable[[SipLeg], bool],
        find_call: Callable[[str], LiveCall | None],
        ring_timeout_s: float,
    ) -> None:
        self._live = live
        self._lead = lead
        self._signalling = signalling
        self._may_transfer = may_transfer
        self._find_call = find_call
        self._ring_timeout_s = ring_timeout_s

    # --- at the wish of the API ------------------------------------------------------------------------------------

    async def start(self, request: DialRequest, carry_out: Callable[[Transfer], Coroutine[Any, Any, None]]) -> Transfer:
        """Begin to give the call to somebody else; `carry_out` is run as a task of the call. Raise CallNotLive,
        TransferInProgress, and what `find_route` raises."""
        live = self._live

        async def start() -> Transfer:
            self._lead.check_free()
            transfer = Transfer(request, live.find_route(live.call.from_number, request.to))
            self._lead.transfer(transfer, carry_out(transfer))
            return transfer

        return await live.ask(lambda: live.when_answered(start))

    async def dial(self, transfer: Transfer, sounds: DialSounds) -> DialOutcome:
        """Call the other; when he answers, whoever leads the call lets go of it. Raise as `Bridge.run`."""
        legs = self._live.legs

        async def take_over() -> None:
            stay = (legs.first, legs.by_id[str(transfer.request.leg_id)])
            watchers = [other.watcher for other in legs.others(stay)]
            self._lead.join(transfer, former=[self._lead.leader, *watchers])

        return await Bridge(self._live, transfer.request, sounds, take_over, transfer.route).run()

    async def failed(self, transfer: Transfer, end: LegEnd) -> None:
        """Tell that the other has not come. Raise CallNotLive."""

        async def fail() -> None:
            self._lead.failed(transfer, end)

        await self._live.ask(fail)

    # --- at the wish of a far end (by the call's own task) ---------------------------------------------------------

    async def referred(self, leg: SipLeg, event: Referred) -> None:
        """RFC 3515: the far end of a leg wants to be replaced by somebody else."""
        try:
            transfer, carry_out = self._transfer_of(leg, event)
        except RequestError as error:
            log.info("refer refused", call_id=str(self._live.call.id), why=error.message)
            self._live.context.counters["referrals_refused"] += 1
            self._signalling.reject_refer(event.referral, refer_status(error))
            return
        self._signalling.accept_refer(event.referral)
        self._lead.transfer(transfer, carry_out)

    def _transfer_of(self, leg: SipLeg, event: Referred) -> tuple[Transfer, Coroutine[Any, Any, None]]:
        """Raise a RequestError that says why not."""
        live = self._live

        def notify(status: int) -> None:
            self._signalling.notify_refer(event.referral, status)

        if not self._may_transfer(leg):
            raise DestinationDenied("The settings do not let this party transfer calls.")
        self._lead.check_free()
        request = referral_request(event, self._ring_timeout_s)
        if event.replaced is None:
            route = live.find_route(live.call.from_number, request.to)
            transfer = Transfer(request, route, referred_by=leg)
            return transfer, carry_out_referral(live, transfer, leg, notify)
        other = self._find_call(event.replaced)
        there = None if other is None else other.legs.find(event.replaced)
        if other is None or there is None or other is live or there.leg.state is not LegState.ANSWERED:
            raise InvalidTarget("There is no other call to join.")
        other.lead.check_free()
        transfer = Transfer(request, None, referred_by=leg)
        expected = Transfer(request, None, referred_by=there)
        other.lead.expect(expected)
        transfer.on_dropped = lambda: other.post(lambda: other.lead.give_up(expected))
        return transfer, carry_out_splice(live, transfer, other, expected, notify)

    async def replace(self, transfer: Transfer, leg: SipLeg) -> None:
        """Whoever asked for the transfer leaves his place to the other."""
        target = self._live.legs.target(leg.leg)
        self._lead.join(transfer, former=[] if target is None else [target.watcher])
        await self._step_in(leg, self._live.legs.by_id[str(transfer.request.leg_id)])

    async def give_place(self, leg: SipLeg, heir: TargetLeg) -> None:
        """A leg leaves its place to another that somebody else has brought."""
        target = self._live.legs.target(leg.leg)
        heir.watcher = self._lead.watch(self._watch(heir))
        self._lead.hand_over(heir.watcher, [] if target is None else [target.watcher])
        await self._step_in(leg, heir.sip)

    async def _watch(self, heir: TargetLeg) -> None:
        await heir.over.wait()
        assert heir.end is not None
        await self._live.finish(heir.end)

    async def _step_in(self, leg: SipLeg, heir: SipLeg) -> None:
        if leg is self._live.legs.first:
            self._live.legs.first = heir
        await self.let_go(leg, LegEnd(Reason.COMPLETED))

    async def let_go(self, leg: SipLeg, end: LegEnd) -> None:
        """This leg leaves the call to others."""
        legs = self._live.legs
        target = legs.target(leg.leg)
        if target is None:
            await legs.end_primary(end)
            return
        if target.watcher is not None:
            target.watcher.cancel()  # it would say that the call is over
        await legs.end(target, end)

    async def change_hands(self, event: IncomingCall) -> None:
        """An INVITE asks to take the place of the far end of a leg (RFC 3891). By any task. Raise CallNotLive,
        LegNotFound, and MediaUnavailable or MediaCommandRefused when the media server cannot do it."""
        live = self._live

        async def change() -> None:
            leg = live.legs.find(event.replaces or "")
            if leg is None or not leg.leg.is_live:
                raise LegNotFound
            news = await leg.change_hands(event)
            if news is None:
                return
            facts = leg.leg.event_data() | {"referred_by": event.referred_by}
            live.context.note(EventType.LEG_REPLACED, facts, leg_id=leg.leg.id)
            await live.context.save_call()
            await live.learn(leg, news)

        await live.ask(change)
