"""The calls that a node which was killed has left in the store as if they lived: ended, and told of, at the next start.

So are their recordings, whose files the media server completed when its node died, or left whole up to the last block:
each is told with the duration that its file has. A call's end is the moment at which that is noticed: nobody knows the
real one. Leaves out nodes that share a store.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from longline.base.clock import Clock
from longline.base.events import Event, EventType
from longline.base.ids import Prefix, encode_id, new_id
from longline.calls.reason import Reason
from longline.calls.recording import completed_facts
from longline.media.recording_file import duration_ms, party_files
from longline.media.sealed import MasterKey
from longline.store.pages import PAGE_LIMIT_MAX, Page, PageRequest
from longline.store.records import CallFilter, CallRecord, CallState, RecordingRecord, StreamRecord

LIVE_STATES: tuple[CallState, ...] = ("initiated", "ringing", "answered")


class LeftoverStore(Protocol):
    """The part of the store that is needed here."""

    async def list_calls(
        self, filters: CallFilter | None = None, page: PageRequest | None = None
    ) -> Page[CallRecord]: ...
    async def list_streams(self, call_id: UUID, page: PageRequest | None = None) -> Page[StreamRecord]: ...
    async def get_call(self, call_id: UUID) -> CallRecord | None: ...
    async def unfinished_recordings(self) -> list[RecordingRecord]: ...


class Outbox(Protocol):
    """Where what has ended is stored, and told of."""

    async def save(
        self, records: Sequence[CallRecord | StreamRecord | RecordingRecord], events: Sequence[Event] = ()
    ) -> Any: ...


async def end_leftovers(store: LeftoverStore, outbox: Outbox, clock: Clock) -> int:
    """End every call that the store has as live; how many there were. Call it before the first call of this run."""
    ended = 0
    for state in LIVE_STATES:
        while found := (await store.list_calls(CallFilter(state=state), PageRequest(limit=PAGE_LIMIT_MAX))).items:
            for call in found:
                await _end(store, outbox, clock, call)
            ended += len(found)
    return ended


async def end_recordings(
    store: LeftoverStore, outbox: Outbox, clock: Clock, master_key: MasterKey | None = None
) -> int:
    """Find the files of every recording that the store has as under way; how many recordings there were.

    What cannot be read, or is not there, is a recording that failed. Call it after `end_leftovers`: a call's end is
    told before its recording."""
    found = await store.unfinished_recordings()
    for record in found:
        call = await store.get_call(record.call_id)
        try:
            found_files = party_files(Path(record.path), record.track)
            files = [(track, path, duration_ms(path, master_key)) for track, path in found_files]
            if not files:
                raise FileNotFoundError("there is no file of it")
        except (OSError, ValueError) as error:
            record.state = "failed"
            told = []
            if call is not None:
                data = {"recording_id": encode_id(Prefix.RECORDING, record.id), "reason": str(error)}
                told.append(_event(EventType.RECORDING_FAILED, call, clock, data, leg_id=record.leg_id))
            await outbox.save([record], told)
            continue
        parts = []
        for number, (track, path, length_ms) in enumerate(files):
            part = dataclasses.replace(
                record,
                id=record.id if number == 0 else new_id(),
                path=str(path),
                duration_ms=length_ms,
                track=track,
                state="completed",
            )
            parts.append(part)
        if call is None:
            await outbox.save(parts)
            continue
        for leg in call.legs:
            if leg.id == record.leg_id or record.leg_id is None:
                leg.recordings += [encode_id(Prefix.RECORDING, part.id) for part in parts]
        told = [
            _event(EventType.RECORDING_COMPLETED, call, clock, completed_facts(part), leg_id=record.leg_id)
            for part in parts
        ]
        await outbox.save([*parts, call], told)
    return len(found)


async def _end(store: LeftoverStore, outbox: Outbox, clock: Clock, call: CallRecord) -> None:
    """End a call with its streams, in one transaction."""
    was_answered = call.answered_at is not None
    call.state = "completed" if was_answered else "failed"
    call.ended_at, call.reason = clock.now(), str(Reason.SERVER_SHUTDOWN)
    for leg in call.legs:
        if leg.ended_at is None:
            leg.state = "completed" if leg.answered_at is not None else "failed"
            leg.ended_at, leg.reason = call.ended_at, call.reason
    streams, told = [], []
    for stream in (await store.list_streams(call.id, PageRequest(limit=PAGE_LIMIT_MAX))).items:
        if stream.ended_at is None:
            stream.state, stream.reason, stream.ended_at = "failed", call.reason, call.ended_at
            streams.append(stream)
            lost = {"ws_url": stream.ws_url, "reason": stream.reason}
            told.append(_event(EventType.STREAM_FAILED, call, clock, lost, stream.id))
    data = {
        "from_number": call.from_number,
        "to_number": call.to_number,
        "direction": call.direction,
        "state": call.state,
        "reason": call.reason,
        "ended_by": None,
        "duration_seconds": int((call.ended_at - call.answered_at).total_seconds()) if call.answered_at else 0,
    }
    told.append(_event(EventType.CALL_COMPLETED if was_answered else EventType.CALL_FAILED, call, clock, data))
    await outbox.save([*streams, call], told)


def _event(
    event_type: EventType,
    call: CallRecord,
    clock: Clock,
    data: dict[str, Any],
    stream_id: UUID | None = None,
    leg_id: UUID | None = None,
) -> Event:
    return Event(
        type=str(event_type),
        account_id=call.account_id,
        call_id=call.id,
        sip_trunk_id=call.sip_trunk_id,
        at=clock.now(),
        stream_id=stream_id,
        leg_id=leg_id,
        data=data,
        call=call.facts(),
    )
