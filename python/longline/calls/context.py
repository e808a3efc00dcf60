"""What the parts of one live call share: the call, where it is kept, who is told, and its media session."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from longline.base.bus import Bus
from longline.base.clock import Clock
from longline.base.events import CallFacts, Event, EventType
from longline.base.log import get_logger
from longline.calls.call import Call
from longline.calls.ports import CallStore
from longline.calls.stream import Stream
from longline.media.session import MediaSession

log = get_logger(__name__)

MAX_OBSERVATIONS = 2_000
"""Events of one call that only observe its audio. Rule when full: further ones are counted (`observations_dropped`)
and not told; what begins or ends the call, its streams and recordings is always told."""

_OBSERVATIONS = frozenset(
    {
        EventType.PLAYOUT_STARTED,
        EventType.PLAYOUT_DRAINED,
        EventType.PLAYOUT_CLEARED,
        EventType.PLAYOUT_INTERRUPTED,
        EventType.PLAYOUT_OVERFLOW,
        EventType.STREAM_REFUSED_MESSAGE,
        EventType.DTMF_RECEIVED,
        EventType.DTMF_SENT,
        EventType.SPEECH_STARTED,
        EventType.SPEECH_STOPPED,
        EventType.CALL_QUALITY_MEASURED,
    }
)


@dataclass(slots=True)
class CallContext:
    """`counters` is shared by all calls of the manager."""

    call: Call
    session: MediaSession
    store: CallStore
    bus: Bus
    clock: Clock
    counters: Counter[str] = field(default_factory=Counter)
    observations: int = 0

    def now(self) -> datetime:
        return self.clock.now()

    async def save_call(self) -> None:
        await self.keep(self.store.save_call(self.call.to_record()))

    async def save_end(self, streams: Sequence[Stream]) -> None:
        """The call and the streams that end with it, which go into one transaction."""
        if streams:
            await asyncio.gather(*(self.save_stream(stream) for stream in streams), self.save_call())
        else:
            await self.save_call()

    async def save_stream(self, stream: Stream) -> None:
        record = stream.to_record()
        record.account_id = self.call.account_id
        await self.keep(self.store.save_stream(record))

    async def keep(self, saving: Coroutine[Any, Any, Any]) -> None:
        """Await a write. A store that fails is logged and counted; it does not cost the caller the call."""
        try:
            await saving
        except Exception:
            self.counters["store_failures"] += 1
            log.exception("call not stored", call_id=str(self.call.id))

    def publish(
        self,
        event_type: EventType,
        data: dict[str, Any] | None = None,
        *,
        at: datetime | None = None,
        leg_id: UUID | None = None,
        stream_id: UUID | None = None,
        target_url: str | None = None,
    ) -> None:
        """Tell the bus. `at` is now, unless given."""
        if event_type in _OBSERVATIONS:
            self.observations += 1
            if self.observations > MAX_OBSERVATIONS:
                self.counters["observations_dropped"] += 1
                return
        call = self.call
        event = Event(
            type=str(event_type),
            account_id=call.account_id,
            call_id=call.id,
            at=at or self.now(),
            sip_trunk_id=call.sip_trunk_id,
            leg_id=leg_id,
            stream_id=stream_id,
            target_url=target_url,
            data=data or {},
            call=CallFacts(
                account_id=call.account_id,
                voice_app_id=call.voice_app_id,
                from_number=call.from_number,
                to_number=call.to_number,
                target_url=call.status_callback_url,
                sip_trunk_id=call.sip_trunk_id,
                version=call.webhook_version,
            ),
        )
        self.bus.publish(event)
