"""A bridge: one more party is called and, when it answers, joined to the call.

Both are legs of one media session. Until it joins, the new leg is kept apart: it hears only what is played to it alone,
and is heard only while its network plays early media to a caller who is to hear that. What the first party hears
meanwhile:

| ringback | music | the first party hears |
|---|---|---|
| passthrough | none | the other's early media; without any, its network's ringing or, once answered, a ringback tone |
| either | given | the music; it is answered first |
| suppress | none | nothing of the other; it is answered first |

Leaves out who asked for it (`flows/actions/dial.py`, `transfer.py`) and what is done when nobody answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from longline.base.errors import MediaUnavailable
from longline.base.ids import new_id
from longline.base.log import get_logger
from longline.calls.call_legs import TargetLeg
from longline.calls.call_playbacks import Playback
from longline.calls.key_presses import press_keys
from longline.calls.leg import Leg
from longline.calls.reason import Reason
from longline.calls.recording import Recording
from longline.calls.routes import Route
from longline.calls.sip_leg import LegEnd
from longline.calls.tones import ringback_file
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.commands import RecordingLayout
from longline.sip.sdp.description import SdpError
from longline.sip.sdp.offer_answer import OfferRefused
from longline.store.records import LegRole

if TYPE_CHECKING:
    from longline.calls.live_call import LiveCall

FOR_EVER = 100_000
"""How often a sound is played that goes on until something else happens; the media server takes a number."""

Ringback = Literal["passthrough", "suppress"]
DialRecord = Literal["default", "stereo", "mono", "per_leg"]

LAYOUTS: dict[DialRecord, RecordingLayout | None] = {
    "default": None,
    "stereo": "stereo",
    "mono": "mono",
    "per_leg": "parties",
}

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sound:
    """A WAV file; `source` is how events name it."""

    path: Path
    source: str
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class DialRequest:
    """Whom to call, E.164 or a `sip:` URI, and how. `headers` go into the INVITE. `record` is of the time in which the
    two are joined; "default" is the layout of the settings."""

    to: str
    timeout_s: float = 30
    role: LegRole = "dial_target"
    headers: tuple[tuple[str, str], ...] = ()
    record: DialRecord | None = None
    ringback: Ringback = "passthrough"
    status_callback_url: str | None = None
    leg_id: UUID = field(default_factory=new_id)
    keys: str = ""
    """Pressed toward the other when he has answered (`key_presses.py`)."""
    time_limit_s: float | None = None
    """How long the two may talk."""
    from_number: str | None = None
    """Who the other is told is calling; None: whoever the call says."""


@dataclass(frozen=True, slots=True)
class DialSounds:
    """What is played: to the first party while the other is called, and to the other before it is joined."""

    music: Sound | None = None
    confirm: Sound | None = None


@dataclass(frozen=True, slots=True)
class DialOutcome:
    """How it ended. `was_joined`: the two have talked, for `duration_s` seconds. `leg_id`: somebody was called."""

    end: LegEnd
    was_joined: bool
    leg_id: UUID | None = None
    duration_s: int = 0


class Bridge:
    """One dialled party. `run` it in any task; what it does to the call is done by the call's own. `before_join` is
    done when the other has answered, just before it is joined."""

    def __init__(
        self,
        live: LiveCall,
        request: DialRequest,
        sounds: DialSounds,
        before_join: Callable[[], Awaitable[None]] | None = None,
        route: Route | None = None,
        meanwhile: Leg | None = None,
        on_ringing: Callable[[], None] = lambda: None,
    ) -> None:
        """`route` is the way to the other, if it was found already; `meanwhile` the leg that hears what is played
        while the other is called, the first one if not told."""
        self._live = live
        self._request = request
        self._sounds = sounds
        self._before_join = before_join
        self._route = route
        self._meanwhile = meanwhile
        self._on_ringing = on_ringing
        self._target: TargetLeg | None = None
        self._heard_meanwhile: Playback | None = None
        self._recording: Recording | None = None
        self._has_rung_with_media = False

    async def run(self) -> DialOutcome:
        """Return when the other is gone, or never came. Cancelled, the other is let go. Raise InvalidTarget,
        LimitReached, MediaUnavailable, CallNotLive."""
        if self._request.ringback == "suppress" or self._sounds.music is not None:
            await self._live.answer()
        try:
            self._target = target = await self._live.ask(self._begin)
            target.watcher = asyncio.current_task()
            await target.settled.wait()
            if target.end is not None:
                return DialOutcome(target.end, was_joined=False, leg_id=target.leg.id)
            await self._confirm(target)
            if target.end is None:
                await self._live.ask(self._join)
            was_joined, began = target.end is None, self._live.context.clock.monotonic()
            if was_joined and self._request.keys:
                await press_keys(self._live, self._request.keys, target.leg.id)
            await target.over.wait()
            assert target.end is not None
            talked_s = int(self._live.context.clock.monotonic() - began)
            return DialOutcome(target.end, was_joined, target.leg.id, talked_s if was_joined else 0)
        finally:
            self._live.post(self._leave)

    async def _begin(self) -> TargetLeg:
        live, request, call = self._live, self._request, self._live.call
        from_number = request.from_number or call.from_number
        leg = Leg(
            call.id,
            "outbound",
            from_number,
            request.to,
            live.context.now(),
            id=request.leg_id,
            role=request.role,
            parent_leg_id=call.leg.id,
            status_callback_url=request.status_callback_url,
        )
        route = self._route or live.find_route(from_number, request.to)
        try:
            if self._sounds.music is not None:
                await self._play_meanwhile(self._sounds.music)
            self._target = target = await live.legs.dial(leg, route, request.headers)
        except BaseException:
            route.close()
            raise
        target.on_progress = self._progressed
        live.start_timer(request.timeout_s, lambda: self._no_answer(target))
        return target

    async def _no_answer(self, target: TargetLeg) -> None:
        if not target.settled.is_set():
            await self._live.legs.end(target, LegEnd(Reason.NO_ANSWER))

    async def _progressed(self) -> None:
        """The other rings, or its network plays something."""
        assert self._target is not None
        self._on_ringing()
        if self._request.ringback == "suppress" or self._sounds.music is not None:
            return
        try:
            if self._target.sip.has_early_media:
                await self._hear_early_media(self._target)
            elif self._live.call.is_answered and self._heard_meanwhile is None:
                tone = await asyncio.to_thread(ringback_file, self._live.tones_dir)
                await self._play_meanwhile(Sound(tone, "ringback", FOR_EVER))
        except (MediaUnavailable, MediaCommandRefused, OfferRefused, SdpError, OSError) as error:
            # Whoever waits in silence still waits for an answer.
            self._live.context.counters["ringback_failed"] += 1
            log.warning("no ringback", call_id=str(self._live.call.id), error=str(error))

    async def _hear_early_media(self, target: TargetLeg) -> None:
        await target.sip.connect_early()
        await target.sip.keep_apart(is_heard=True)
        await self._stop_meanwhile()
        if not self._live.call.is_answered and not self._has_rung_with_media:
            self._has_rung_with_media = True  # what comes later, be it of another fork, comes the same way
            await self._live.legs.primary.ring_with_media()

    async def _confirm(self, target: TargetLeg) -> None:
        """Play the confirming sound to whoever has answered, to its end."""
        sound = self._sounds.confirm
        if sound is None:
            return

        async def play() -> Playback:
            await target.sip.keep_apart()
            return await self._live.playbacks.start(sound.path, sound.source, sound.repeat, target.leg)

        try:
            playback = await self._live.ask(play)
        except (MediaUnavailable, MediaCommandRefused) as error:
            # Two people who wait for each other are worth more than the sound between them.
            self._live.playbacks.failed(sound.source, str(error), target.leg.id)
            return
        waiting = [asyncio.ensure_future(event.wait()) for event in (playback.finished, target.over)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waiting:
                wait.cancel()

    async def _join(self) -> None:
        target, live = self._target, self._live
        assert target is not None
        if target.end is not None:
            return
        if self._before_join is not None:
            await self._before_join()
        await self._stop_meanwhile()
        await live.answer_now()
        await target.sip.join()
        if self._request.record is not None:
            self._recording = await live.recording.start_part(LAYOUTS[self._request.record])
        live.legs.joined(target.leg)
        if self._request.time_limit_s is not None:
            live.start_timer(self._request.time_limit_s, lambda: live.legs.end(target, LegEnd(Reason.COMPLETED)))

    async def _leave(self) -> None:
        """Nothing of it stays, however it ended."""
        await self._stop_meanwhile()
        if self._recording is not None:
            await self._live.recording.stop(self._recording)
        if self._target is not None:
            reason = Reason.COMPLETED if self._target.is_answered else Reason.CANCELED
            await self._live.legs.end(self._target, LegEnd(reason))

    async def _play_meanwhile(self, sound: Sound) -> None:
        leg = self._meanwhile or self._live.legs.first.leg
        playback = await self._live.playbacks.start(sound.path, sound.source, sound.repeat, leg)
        self._heard_meanwhile = playback

    async def _stop_meanwhile(self) -> None:
        if self._heard_meanwhile is not None:
            await self._live.playbacks.stop(self._heard_meanwhile)
            self._heard_meanwhile = None
