"""The playbacks of one live call: WAV files played to its leg."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from longline.base.events import EventType
from longline.base.ids import Prefix, encode_id, new_id
from longline.calls.context import CallContext
from longline.media.protocol import PlaybackFinished

CALL_ENDED = "call_ended"


@dataclass(slots=True, eq=False)
class Playback:
    """`finished` is set when it has ended; `reason` is then "completed", "stopped" or "call_ended"."""

    path: Path
    source: str
    id: UUID = field(default_factory=new_id)
    duration_ms: int = 0
    reason: str | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class CallPlaybacks:
    """Every method is called by the call's own task, one at a time."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._playing: dict[str, Playback] = {}

    async def start(self, path: Path, source: str, repeat: int = 1) -> Playback:
        """Play a file; `source` is how the events name it. Raise MediaCommandRefused("bad_file") with what is wrong."""
        playback = Playback(path, source)
        playback.duration_ms = await self._context.session.start_playback(str(playback.id), path, repeat)
        self._playing[str(playback.id)] = playback
        self._tell(EventType.PLAYBACK_STARTED, playback)
        return playback

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
        self._context.publish(event_type, data, leg_id=self._context.call.leg.id)
