"""What the parts of one live call share: the call, where it is kept, who is told, and its media session."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from longline.base.bus import Bus
from longline.base.clock import Clock
from longline.base.events import CallFacts, Event, EventType
from longline.base.log import get_logger
from longline.calls.activity import count_in
from longline.calls.call import Call
from longline.calls.ports import CallStore, Egress
from longline.calls.stream import Stream, StreamRequest
from longline.media.session import MediaSession
from longline.store.records import CallRecord, RecordingRecord, StreamRecord

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
        EventType.AGENT_TURN,
        EventType.CALL_QUALITY_MEASURED,
    }
)


FindSecret = Callable[[UUID | None], str | None]
"""What signs for a call whose secret has this id, None: what signs when it has none. None when nothing does."""

FindStream = Callable[[Call, StreamRequest], Awaitable[StreamRequest]]
"""The request with the URL of its WebSocket, where it had another. Raises Refused."""


async def as_it_is(_call: Call, request: StreamRequest) -> StreamRequest:
    return request


_OF_DIGITS = frozenset({EventType.DTMF_RECEIVED, EventType.DTMF_SENT})
_TEXTS_OF_TURN = ("caller", "agent", "heard")


@dataclass(slots=True)
class CallContext:
    """`counters` is shared by all calls of the manager. `tells_digits`: events say which digits, not only that there
    was one. `tells_turns`: they say what was said in a turn of an agent, not only how much."""

    call: Call
    session: MediaSession
    store: CallStore
    bus: Bus
    clock: Clock
    egress: Egress
    counters: Counter[str] = field(default_factory=Counter)
    observations: int = 0
    tells_digits: bool = False
    tells_turns: bool = False
    find_secret: FindSecret = lambda secret_id: None
    find_stream: FindStream = field(default=as_it_is)
    base_url: str = ""
    resume_url: str | None = None
    """Where applications may dial in to go on with their streams."""
    _noted: list[Event] = field(default_factory=list)

    def now(self) -> datetime:
        return self.clock.now()

    def secret(self) -> str | None:
        """What signs what the call's application is sent."""
        return self.find_secret(self.call.secret_id)

    async def save_call(self) -> None:
        await self._save(self.call.to_record())

    async def save_end(self, streams: Sequence[Stream]) -> None:
        """The call and the streams that end with it."""
        await self._save(*(self._stream_record(stream) for stream in streams), self.call.to_record())

    async def save_stream(self, stream: Stream) -> None:
        await self._save(self._stream_record(stream))

    def _stream_record(self, stream: Stream) -> StreamRecord:
        record = stream.to_record()
        record.account_id = self.call.account_id
        return record

    async def save_recordings(self, *recordings: RecordingRecord, with_call: bool = False) -> None:
        await self._save(*recordings, *([self.call.to_record()] if with_call else []))

    async def _save(self, *records: CallRecord | StreamRecord | RecordingRecord) -> None:
        """Store these and what is noted, in one transaction; then the bus is told of what was noted.

        A store that fails is logged and counted; it does not cost the caller the call."""
        noted, self._noted = self._noted, []
        try:
            await self.store.save(records, noted)
        except Exception:
            self.counters["store_failures"] += 1
            log.exception("call not stored", call_id=str(self.call.id))
            for event in noted:
                self.bus.publish(event)

    def note(
        self,
        event_type: EventType,
        data: dict[str, Any] | None = None,
        *,
        at: datetime | None = None,
        leg_id: UUID | None = None,
        stream_id: UUID | None = None,
        target_url: str | None = None,
        target_method: str = "POST",
        version: str | None = None,
    ) -> None:
        """This has changed, and is saved next: it is stored with that, so that neither is without the other after a
        crash, and told when that is done."""
        data = self._remember(event_type, data or {}, leg_id)
        if target_url is None and event_type in self.call.manner.targets:
            target_url, target_method = self.call.manner.targets[event_type]
        event = self._event(event_type, data, at, leg_id, stream_id, target_url)
        if target_url is not None:
            event = dataclasses.replace(event, target_method=target_method, version=version or event.version)
        self._noted.append(event)

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
        """Tell the bus now of what is stored nowhere but as an event. `at` is now, unless given."""
        data = self._remember(event_type, data or {}, leg_id)
        if event_type in _OBSERVATIONS:
            self.observations += 1
            if self.observations > MAX_OBSERVATIONS:
                self.counters["observations_dropped"] += 1
                return
        self.bus.publish(self._event(event_type, data, at, leg_id, stream_id, target_url))

    def _remember(self, event_type: EventType, data: dict[str, Any], leg_id: UUID | None) -> dict[str, Any]:
        """Have the call know of what happens to it; returns what is told of it."""
        if event_type in _OF_DIGITS and not self.tells_digits:
            data = {key: value for key, value in data.items() if key != "digit"}
        if event_type is EventType.AGENT_TURN and not self.tells_turns:
            kept = {key: value for key, value in data.items() if key not in _TEXTS_OF_TURN}
            data = kept | {f"{key}_chars": len(data[key]) for key in _TEXTS_OF_TURN if key in data}
        count_in(self.call.properties, event_type, data, is_primary=leg_id in (None, self.call.leg.id))
        return data

    def _event(
        self,
        event_type: EventType,
        data: dict[str, Any],
        at: datetime | None,
        leg_id: UUID | None,
        stream_id: UUID | None,
        target_url: str | None,
    ) -> Event:
        call = self.call
        return Event(
            type=str(event_type),
            account_id=call.account_id,
            call_id=call.id,
            at=at or self.now(),
            sip_trunk_id=call.sip_trunk_id,
            leg_id=leg_id,
            stream_id=stream_id,
            target_url=target_url,
            # Whoever is named in a document of another platform's is told as that platform tells.
            version=call.manner.language if target_url else None,
            data=data,
            call=CallFacts(
                account_id=call.account_id,
                voice_app_id=call.voice_app_id,
                from_number=call.from_number,
                to_number=call.to_number,
                target_url=call.status_callback_url,
                sip_trunk_id=call.sip_trunk_id,
                version=call.webhook_version,
                secret_id=call.secret_id,
                told=call.manner.told,
                target_method=call.manner.told_method,
                base_url=self.base_url,
                echo=call.manner.echo,
                traceparent=call.traceparent,
            ),
        )
