"""The playbacks of one live call: WAV files played to all of its legs, or to one of them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from longline.base.errors import MediaUnavailable
from longline.base.events import EventType
from longline.base.ids import Prefix, encode_id, new_id
from longline.calls.context import CallContext
from longline.calls.leg import Leg
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.events import PlaybackFinished

CALL_ENDED = "call_ended"


@dataclass(slots=True, eq=False)
class Playback:
    """`finished` is set when it has ended; `reason` is then "completed", "stopped" or "call_ended"."""

    path: Path
    source: str
    leg_id: UUID
    stops_on_digit: bool = False
    id: UUID = field(default_factory=new_id)
    duration_ms: int = 0
    reason: str | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class PlayHow:
    """How the API wants a file played. `stops_on_digit`: it ends when the leg presses a key."""

    playback_id: UUID = field(default_factory=new_id)
    stops_on_digit: bool = True


class CallPlaybacks:
    """Every method is called by the call's own task, one at a time."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._playing: dict[str, Playback] = {}

    async def start(
        self,
        path: Path,
        source: str,
        repeat: int = 1,
        leg: Leg | None = None,
        *,
        stops_on_digit: bool = False,
        id: UUID | None = None,
    ) -> Playback:
        """Play a file, to all legs or to one; `source` is how the events name it. `stops_on_digit`: it ends when its
        leg (of one for all: the primary) presses a key. Raise MediaCommandRefused("bad_file") with what is wrong."""
        whose = leg or self._context.call.leg
        playback = Playback(path, source, whose.id, stops_on_digit, id or new_id())
        name = None if leg is None else str(leg.id)
        playback.duration_ms = await self._context.session.start_playback(str(playback.id), path, repeat, name)
        self._playing[str(playback.id)] = playback
        self._tell(EventType.PLAYBACK_STARTED, playback)
        return playback

    async def stop(self, playback: Playback) -> None:
        """End it now; one that has ended stays as it is."""
        if str(playback.id) in self._playing:
            with contextlib.suppress(MediaCommandRefused, MediaUnavailable):
                await self._context.session.stop_playback(str(playback.id))
            self._finish(str(playback.id), "stopped")

    async def pressed(self, leg_id: UUID) -> None:
        """A leg has pressed a key."""
        for playback in list(self._playing.values()):
            if playback.stops_on_digit and playback.leg_id == leg_id:
                await self.stop(playback)

    def failed(self, source: str, why: str, leg_id: UUID, id: UUID | None = None) -> None:
        """Tell of a playback that did not come about."""
        data = {"playback_id": encode_id(Prefix.PLAYBACK, id or new_id()), "media_url": source, "reason": why}
        self._context.counters["playbacks_failed"] += 1
        self._context.publish(EventType.PLAYBACK_FAILED, data, leg_id=leg_id)

    def finished(self, event: PlaybackFinished) -> None:
        self._finish(event.playback, event.reason)

    def end_all(self) -> None:
        for playback_id in list(self._playing):
            self._finish(playback_id, CALL_ENDED)

    def _finish(self, playback_id: str, reason: str) -> None:
        playback = self._playing.pop(playback_id, None)
        if playback is not None:
            playback.reason = reason
            self._tell(EventType.PLAYBACK_FINISHED, playback)
            playback.finished.set()

    def _tell(self, event_type: EventType, playback: Playback) -> None:
        data = {
            "playback_id": encode_id(Prefix.PLAYBACK, playback.id),
            "media_url": playback.source,
            "duration_ms": playback.duration_ms,
        }
        if playback.reason is not None:
            data["reason"] = playback.reason
        self._context.publish(event_type, data, leg_id=playback.leg_id)
