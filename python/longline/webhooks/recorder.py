"""Every event of the bus, stored: with its webhook payload and `pending` where somebody is to be told.

Storing comes first, so a webhook that was not delivered before a crash is still known after it.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import fields
from typing import Final, Protocol
from uuid import UUID

from longline.base.events import CallFacts, Event
from longline.base.log import get_logger
from longline.store.records import CallRecord, EventRecord
from longline.webhooks.payload import WEBHOOK_TYPES, render

EVENTS_WAITING_MAX: Final = 10_000
"""Events that wait to be stored. A further one is dropped and counted as `events_dropped`: a call must not wait."""
CALLS_KNOWN_MAX: Final = 4096
"""Calls whose facts are kept in memory; the one used longest ago is forgotten and read again when needed."""

_SHARED: Final = tuple(field.name for field in fields(Event) if field.name != "call")
"""What a stored event has of the event."""

log = get_logger(__name__)


class EventStore(Protocol):
    async def get_call(self, call_id: UUID) -> CallRecord | None: ...

    async def save_events(self, events: list[EventRecord]) -> None: ...


class Recorder:
    """`on_event` never blocks and never fails; `on_pending` is told each stored event that is to be delivered."""

    def __init__(
        self, store: EventStore, version: str, counters: Counter[str], on_pending: Callable[[EventRecord], None]
    ) -> None:
        self._store = store
        self._version = version
        self._counters = counters
        self._on_pending = on_pending
        self._waiting: deque[Event] = deque()
        self._known: OrderedDict[UUID, CallFacts] = OrderedDict()
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="event-recorder")

    async def stop(self) -> None:
        """Store what waits, then end."""
        self._is_stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def on_event(self, event: Event) -> None:
        if len(self._waiting) >= EVENTS_WAITING_MAX:
            self._counters["events_dropped"] += 1
            return
        self._waiting.append(event)
        self._wake.set()

    async def _run(self) -> None:
        while self._waiting or not self._is_stopping:
            self._wake.clear()
            if not self._waiting:
                await self._wake.wait()
                continue
            events = list(self._waiting)
            self._waiting.clear()
            try:
                await self._store_all(events)
            except Exception:
                self._counters["events_not_stored"] += len(events)
                log.exception("events not stored", count=len(events))

    async def _store_all(self, events: list[Event]) -> None:
        records = [await self._record(event) for event in events]
        await self._store.save_events(records)
        self._counters["events_stored"] += len(records)
        for record in records:
            if record.delivery_status == "pending":
                self._on_pending(record)

    async def _record(self, event: Event) -> EventRecord:
        shared = {name: getattr(event, name) for name in _SHARED}
        facts = None
        if event.type in WEBHOOK_TYPES and event.call_id is not None:
            facts = event.call or await self._facts(event.call_id)
        shared["target_url"] = target_url = None if facts is None else event.target_url or facts.target_url
        if facts is None or target_url is None:
            return EventRecord(**shared)
        version = facts.version or self._version
        return EventRecord(
            **shared,
            api_version=version,
            payload=render(event, facts, version),
            delivery_status="pending",
        )

    async def _facts(self, call_id: UUID) -> CallFacts | None:
        known = self._known.get(call_id)
        if known is not None:
            self._known.move_to_end(call_id)
            return known
        call = await self._store.get_call(call_id)
        if call is None:
            self._counters["events_of_unknown_calls"] += 1
            return None
        facts = CallFacts(
            account_id=call.account_id,
            voice_app_id=call.voice_app_id,
            from_number=call.from_number,
            to_number=call.to_number,
            target_url=call.status_callback_url,
            sip_trunk_id=call.sip_trunk_id,
            version=call.webhook_version,
        )
        self._known[call_id] = facts
        if len(self._known) > CALLS_KNOWN_MAX:
            self._known.popitem(last=False)
        return facts
