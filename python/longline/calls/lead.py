"""Who leads a live call: its flow, and after a transfer whoever was transferred to.

The leader says when the call is over. While a transfer is on its way a leader that is done is not the end: the call
waits for the transfer, and ends as it would have if that fails. Every method is called by the call's own task, one at
a time. Leaves out what a flow does, and how somebody is called (`bridge.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from longline.base.errors import CallNotLive, TransferInProgress
from longline.base.events import EventType
from longline.base.ids import Prefix, encode_id, new_id
from longline.base.log import get_logger
from longline.calls.bridge import DialRequest
from longline.calls.context import CallContext
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.routes import Route
from longline.calls.sip_leg import LegEnd, SipLeg

log = get_logger(__name__)


@dataclass(slots=True, eq=False)
class Transfer:
    """One transfer of a call, in progress until the other is joined or has not come. `mode` is the API's word: the
    caller is not announced."""

    request: DialRequest
    route: Route | None
    """The way to the other; None when he is in another call of ours."""
    mode: Literal["cold"] = "cold"
    id: UUID = field(default_factory=new_id)
    referred_by: SipLeg | None = None
    """The leg that has asked for it by REFER, and leaves its place to the other."""
    on_dropped: Callable[[], None] | None = None

    def drop(self) -> None:
        """Nothing will come of it. Also when what carries it out was cancelled before it began."""
        if self.route is not None:
            self.route.close()
        if self.on_dropped is not None:
            self.on_dropped()

    def event_data(self) -> dict[str, Any]:
        return {
            "operation_id": encode_id(Prefix.OPERATION, self.id),
            "mode": self.mode,
            "target_leg_id": encode_id(Prefix.LEG, self.request.leg_id),
            "target": self.request.to,
            "referred_by": None if self.referred_by is None else encode_id(Prefix.LEG, self.referred_by.leg.id),
        }


class CallLead:
    """`post` puts an action into the call's mailbox, `end` ends the call (by the call's own task), `first` is the leg
    in the place of the party that the call began with."""

    def __init__(
        self,
        context: CallContext,
        post: Callable[[Callable[[], Awaitable[None]]], None],
        end: Callable[[LegEnd], Awaitable[None]],
        first: Callable[[], SipLeg],
    ) -> None:
        self._context = context
        self._post = post
        self._end = end
        self._first = first
        self._leader: asyncio.Task[None] | None = None
        self._transfer: Transfer | None = None
        self._transferring: asyncio.Task[None] | None = None
        self._end_meanwhile: LegEnd | None = None

    def start(self, flow: Coroutine[Any, Any, None]) -> None:
        """The flow leads from now on."""
        self._leader = self._run(flow, f"flow {self._context.call.id}")

    def restart(self, flow: Coroutine[Any, Any, None]) -> None:
        """Another flow leads from now on; whoever led lets go of what he holds."""
        former = self._leader
        self.start(flow)
        self._cancel(former)

    def stop(self) -> None:
        """The call is over: whoever leads, or is about to, stops."""
        self._cancel(self._leader)
        self._cancel(self._transferring)
        if self._transfer is not None:
            self._transfer.drop()

    async def done(self, end: LegEnd) -> None:
        """Whoever leads has nothing more to do."""
        if self._transfer is None or self._transfer.referred_by is self._first():
            await self._end(end)  # also when the other party wants to leave: then nobody is left
        else:
            self._hold(end)

    def is_leaving(self, leg: SipLeg) -> bool:
        """This leg has asked for the transfer that is in progress."""
        return self._transfer is not None and self._transfer.referred_by is leg

    def left(self, end: LegEnd) -> None:
        """Who asked for the transfer has gone already; should it fail, so ends the call."""
        self._hold(end)

    def _hold(self, end: LegEnd) -> None:
        if self._end_meanwhile is None:
            self._end_meanwhile = end

    # --- transfers -------------------------------------------------------------------------------------------------

    def check_free(self) -> None:
        """Raise TransferInProgress."""
        if self._transfer is not None:
            raise TransferInProgress

    def transfer(self, transfer: Transfer, carry_out: Coroutine[Any, Any, None]) -> None:
        """Begin a transfer; `carry_out` calls the other, and `join`, or `fail` and `give_up`."""
        self._transfer = transfer
        self._tell(EventType.CALL_TRANSFER_INITIATED, transfer)
        self._transferring = self._run(carry_out, f"transfer {self._context.call.id}")

    @property
    def leader(self) -> asyncio.Task[None] | None:
        return self._leader

    def join(self, transfer: Transfer, *, former: list[asyncio.Task[Any] | None]) -> None:
        """The other has answered: these let go of what they hold. If one of them led, the transfer leads."""
        heir = self._transferring
        self._transfer = self._transferring = self._end_meanwhile = None
        self._tell(EventType.CALL_TRANSFER_COMPLETED, transfer)
        self.hand_over(heir, former)

    def expect(self, transfer: Transfer) -> None:
        """Somebody else will bring the heir of a leg of this call, and `came` or `give_up` follows."""
        self._transfer = transfer

    def came(self, transfer: Transfer) -> None:
        """The heir is here. Raise CallNotLive when he was not expected any more."""
        if self._transfer is not transfer:
            raise CallNotLive
        self._transfer = self._end_meanwhile = None

    def watch(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what watches over a leg that somebody else has brought."""
        return self._run(work, f"watch {self._context.call.id}")

    def hand_over(self, heir: asyncio.Task[None] | None, former: list[asyncio.Task[Any] | None]) -> None:
        """These let go of what they hold. If one of them led, the heir leads."""
        if self._leader in former:
            self._leader = heir
        for task in former:
            self._cancel(task)

    def failed(self, transfer: Transfer, end: LegEnd) -> None:
        """The other has not come. The transfer is in progress until `give_up`."""
        reason: dict[str, Any] = {"reason": str(end.reason)} | ({"detail": end.detail} if end.detail else {})
        self._tell(EventType.CALL_TRANSFER_FAILED, transfer, reason)

    async def give_up(self, transfer: Transfer) -> None:
        """The call goes on with whoever leads it; if that is nobody any more, it ends."""
        if self._transfer is transfer:
            transfer.drop()
            self._transfer = self._transferring = None
            if self._end_meanwhile is not None:
                await self._end(self._end_meanwhile)

    def _tell(self, event_type: EventType, transfer: Transfer, data: dict[str, Any] | None = None) -> None:
        self._context.publish(event_type, transfer.event_data() | (data or {}))

    # --- tasks -----------------------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, CallNotLive):
            return  # whoever lost his call has nothing to tell
        if isinstance(error, FlowFailed):
            end = LegEnd(error.reason, detail=error.detail)
        elif error is not None:
            log.error("flow failed", call_id=str(self._context.call.id), exc_info=error)
            end = LegEnd(Reason.INTERNAL_ERROR)
        else:
            end = LegEnd(Reason.COMPLETED if self._context.call.is_answered else Reason.REJECTED)
        self._post(lambda: self._task_is_over(task, end, has_failed=error is not None))

    async def _task_is_over(self, task: asyncio.Task[None], end: LegEnd, *, has_failed: bool) -> None:
        if task is self._leader:
            await self.done(end)
        elif task is self._transferring and self._transfer is not None:
            transfer = self._transfer
            if has_failed:
                self.failed(transfer, end)
            await self.give_up(transfer)

    @staticmethod
    def _cancel(task: asyncio.Task[Any] | None) -> None:
        if task is not None and not task.done():
            task.cancel()
