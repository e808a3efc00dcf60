"""The legs of one live call: the one it began with, and those that were dialled for it.

The state of the first is the call's own (`call.py`). A further leg is stored and told of by events of its own
(`leg.…`); its end is not the call's. Leaves out what a leg is dialled for (`bridge.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from longline.base.errors import LimitReached, LonglineError, MediaUnavailable
from longline.base.events import EventType
from longline.base.log import get_logger
from longline.calls.context import CallContext
from longline.calls.leg import Leg, LegInput, LegState
from longline.calls.reason import Reason
from longline.calls.routes import Route
from longline.calls.sip_leg import LegEnd, LegNews, SipLeg
from longline.media.errors import MediaCommandRefused

MAX_LEGS_PER_CALL = 32
"""Legs that a call may have in its life, those that are over included; one more is refused with LimitReached."""

DEFAULT_TONE_MS, MIN_TONE_MS, MAX_TONE_MS = 100, 40, 1000
"""How long a key is held that one leg has pressed and the others are sent."""

log = get_logger(__name__)


class TargetLeg:
    """A leg that was dialled for a call. `settled` is set when it is answered or over, `over` when it is over: `end`
    then tells why. `on_progress` is called by the call's own task at each provisional response."""

    def __init__(self, sip: SipLeg) -> None:
        self.sip = sip
        self.end: LegEnd | None = None
        self.watcher: asyncio.Task[Any] | None = None
        """The task that dialled it, and lets go of it when it is cancelled."""
        self.settled = asyncio.Event()
        self.over = asyncio.Event()
        self.on_over: Callable[[], None] | None = None
        self.on_progress: Callable[[], Awaitable[None]] | None = None

    @property
    def leg(self) -> Leg:
        return self.sip.leg

    @property
    def is_answered(self) -> bool:
        return self.leg.state is LegState.ANSWERED

    def finish(self, end: LegEnd) -> None:
        self.end = end
        self.settled.set()
        self.over.set()
        if self.on_over is not None:
            self.on_over()


class CallLegs:
    """Every method is called by the call's own task, one at a time. `by_id` is by the media server's names."""

    def __init__(self, context: CallContext, make: Callable[[Leg], SipLeg]) -> None:
        self._context = context
        self._make = make
        self.primary = self.first = self._made(context.call.leg)
        """`first` is in the place of the party that the call began with: somebody else after that one's REFER."""
        self.by_id: dict[str, SipLeg] = {str(context.call.leg.id): self.primary}
        self._targets: dict[str, TargetLeg] = {}

    def __iter__(self) -> Iterator[SipLeg]:
        return iter(self.by_id.values())

    def find(self, handle: str) -> SipLeg | None:
        """The leg whose dialog the user agent has under this handle."""
        return next((leg for leg in self.by_id.values() if leg.leg.handle == handle), None)

    def target(self, leg: Leg) -> TargetLeg | None:
        """A leg that was dialled; None for the primary one."""
        return self._targets.get(str(leg.id))

    async def dial(self, leg: Leg, route: Route, headers: tuple[tuple[str, str], ...]) -> TargetLeg:
        """Call one more party; it is kept apart from the call until it joins. What goes wrong once it is stored is told
        by its end. Raise LimitReached, MediaUnavailable."""
        target = await self._add(leg, route)
        sip = target.sip
        try:
            await sip.keep_apart()
            sip.invite(route, headers)
        except (LonglineError, OSError, ValueError) as error:
            log.warning("leg not placed", call_id=str(leg.call_id), error=str(error))
            await self.end(target, LegEnd(Reason.CARRIER_ERROR, detail=str(error)))
        return target

    async def open_link(self, leg: Leg) -> TargetLeg:
        """A leg whose far end is another leg of the media server: it has ports and no dialog. Raise LimitReached,
        MediaUnavailable."""
        return await self._add(leg, None)

    async def answered(self, target: TargetLeg) -> None:
        """A link is one from now on."""
        await self.receive(target, LegInput.ANSWERED)
        self.joined(target.leg)

    async def _add(self, leg: Leg, route: Route | None) -> TargetLeg:
        if len(self.by_id) >= MAX_LEGS_PER_CALL:
            self._context.counters["legs_refused"] += 1
            raise LimitReached(f"A call has at most {MAX_LEGS_PER_CALL} legs in its life.")
        sip = self._made(leg)
        await sip.open(route)
        target = TargetLeg(sip)
        self._context.call.legs.append(leg)
        self.by_id[str(leg.id)] = sip
        self._targets[str(leg.id)] = target
        self._note(EventType.LEG_INITIATED, leg)
        await self._context.save_call()
        return target

    async def receive(self, target: TargetLeg, news: LegNews | None) -> None:
        """What a dialled leg has told."""
        if isinstance(news, LegEnd):
            await self.end(target, news)
        elif news is LegInput.RANG and not target.settled.is_set():
            await self._move(target.leg, LegInput.RANG, EventType.LEG_RINGING)
            if target.on_progress is not None:
                await target.on_progress()
        elif news is LegInput.ANSWERED:
            await self._move(target.leg, LegInput.ANSWERED, EventType.LEG_ANSWERED)
            target.settled.set()

    async def end(self, target: TargetLeg, end: LegEnd) -> None:
        """End one dialled leg; the call goes on."""
        if await self._end(target.sip, end) is not None:
            target.finish(end)

    async def end_primary(self, end: LegEnd) -> None:
        """The party that the call began with leaves it to somebody else; the call goes on."""
        stats = await self._end(self.primary, end)
        if stats:
            self._context.call.properties["media"] = stats

    async def _end(self, sip: SipLeg, end: LegEnd) -> dict[str, Any] | None:
        """What the media server has seen of it; None when it was over before."""
        if not self._close(sip.leg, end):
            return None
        stats = await self._close_media(sip)
        self._note_end(sip.leg, end, stats.get("quality"))
        await self._context.save_call()
        sip.release(end.reason)
        return stats

    def _made(self, leg: Leg) -> SipLeg:
        sip = self._make(leg)
        sip.on_digit = self._relay_digit
        return sip

    async def _relay_digit(self, source: SipLeg, digit: str, duration_ms: int | None) -> None:
        """A key that came beside the sound goes on to whoever is joined: a bridge must not swallow it."""
        if not source.is_joined:
            return
        tone_ms = min(max(duration_ms or DEFAULT_TONE_MS, MIN_TONE_MS), MAX_TONE_MS)
        for sip in self.by_id.values():
            if sip is not source and sip.is_joined:
                try:
                    await self._context.session.send_digits(str(sip.leg.id), digit, tone_ms)
                except (MediaUnavailable, MediaCommandRefused):
                    self._context.counters["digits_not_relayed"] += 1

    def close_all(self, reason: Reason, ended_by: str | None, stats: dict[str, Any]) -> Callable[[], None]:
        """The call ends, and with it each dialled leg that lives: it is noted, and `stats` are the media server's, by
        leg. The caller stores that, and then calls what is returned."""
        ended = []
        for target in self._targets.values():
            # RFC 3261 §9: who was not answered is cancelled, whatever ended the call.
            end = LegEnd(reason if target.is_answered else Reason.CANCELED, ended_by)
            if self._close(target.leg, end):
                ended.append((target, end))
                self._note_end(target.leg, end, stats.get(str(target.leg.id), {}).get("quality"))

        def finish() -> None:
            for target, end in ended:
                target.finish(end)

        return finish

    def release_all(self, reason: Reason) -> None:
        """End each dialog that is left."""
        for sip in self.by_id.values():
            sip.release(reason)

    async def _close_media(self, sip: SipLeg) -> dict[str, Any]:
        with contextlib.suppress(MediaUnavailable, MediaCommandRefused):
            return await sip.media.close()
        return {}

    def _close(self, leg: Leg, end: LegEnd) -> bool:
        if not leg.apply(LegInput.ENDED, self._context.now()):
            return False
        leg.reason, leg.ended_by = str(end.reason), end.ended_by
        return True

    async def _move(self, leg: Leg, given: LegInput, told_by: EventType) -> None:
        if leg.apply(given, self._context.now()):
            self._note(told_by, leg)
            await self._context.save_call()

    def others(self, than: tuple[SipLeg, ...]) -> list[TargetLeg]:
        """The dialled legs that are answered, but for these."""
        return [target for target in self._targets.values() if target.is_answered and target.sip not in than]

    def joined(self, leg: Leg) -> None:
        """It hears the call, and is heard."""
        self._context.publish(EventType.LEG_JOINED, leg.event_data(), leg_id=leg.id, target_url=leg.status_callback_url)

    def _note_end(self, leg: Leg, end: LegEnd, quality: Any) -> None:
        data = {"detail": end.detail} if end.detail else {}
        if quality is not None:
            data["quality"] = quality
        self._note(EventType.LEG_COMPLETED if leg.state is LegState.COMPLETED else EventType.LEG_FAILED, leg, data)

    def _note(self, event_type: EventType, leg: Leg, data: dict[str, Any] | None = None) -> None:
        facts = leg.event_data() | (data or {})
        self._context.note(event_type, facts, leg_id=leg.id, target_url=leg.status_callback_url)
