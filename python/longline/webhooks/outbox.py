"""The outbox: every event is stored before anybody is told, with its webhook payload and `pending` where somebody is.

What tells of a change that is stored is stored with it: `save` makes one transaction of both, so that a crash leaves
both or neither. What only the bus has heard is stored soon after, or along with the next change, whichever is first:
events are stored, and handed over for delivery, in the order in which they were told. Leaves out the delivery.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Final, Protocol
from uuid import UUID

from longline.base.bus import Bus
from longline.base.clock import Clock
from longline.base.events import Event
from longline.base.log import get_logger
from longline.store.records import CallRecord, EventRecord, RecordingRecord, StreamRecord
from longline.webhooks.payload import is_told, render

EVENTS_WAITING_MAX: Final = 10_000
"""Events of the bus that wait to be stored. A further one is dropped and counted as `events_dropped`: a call must not
wait. (Those of `save` wait for the store's room.)"""
STORE_RETRIES_MAX: Final = 8
"""How often in a row a store that fails is tried again with the events that wait (`store_retries`). Then they are
dropped and counted as `events_not_stored`."""
FIRST_PAUSE_S: Final = 0.1
"""Before the first of these; each further one is twice as long."""

Kept = CallRecord | StreamRecord | RecordingRecord

_SHARED: Final = tuple(field.name for field in fields(Event))
"""What a stored event has of the event."""

log = get_logger(__name__)


class EventStore(Protocol):
    async def save(
        self,
        records: Sequence[Kept],
        events: Sequence[EventRecord] = (),
        *,
        on_commit: Callable[[], None] | None = None,
    ) -> None: ...

    async def get_call(self, call_id: UUID) -> CallRecord | None: ...


class Outbox:
    """Where calls are kept, as they see it (`calls/ports.py`), and a subscriber of the bus.

    `on_pending` is told each stored event that is to be delivered. An event that is stored already travels on the bus
    as an `EventRecord`."""

    def __init__(
        self,
        store: EventStore,
        bus: Bus,
        version: str,
        clock: Clock,
        counters: Counter[str],
        on_pending: Callable[[EventRecord], None],
    ) -> None:
        self._store = store
        self._bus = bus
        self._version = version
        self._clock = clock
        self._counters = counters
        self._on_pending = on_pending
        self._waiting: deque[EventRecord] = deque()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="outbox")

    async def stop(self) -> None:
        """Store what waits, then end."""
        self._stopping.set()
        self._wake.set()
        if self._task is not None:
            await self._task

    def on_event(self, event: Event) -> None:
        """Never blocks and never fails."""
        if isinstance(event, EventRecord):
            return
        if len(self._waiting) >= EVENTS_WAITING_MAX:
            self._counters["events_dropped"] += 1
            return
        self._waiting.append(self._record(event))
        self._wake.set()

    async def get_call(self, call_id: UUID) -> CallRecord | None:
        return await self._store.get_call(call_id)

    async def save(self, records: Sequence[Kept], events: Sequence[Event] = ()) -> None:
        """Store what has changed and the events that tell of it, in one transaction; then tell the bus of them.

        Raises CommitFailed: nothing of it is stored, and the bus has not been told."""
        told = [self._record(event) for event in events]
        before = self._take()  # told before these, and so delivered before them
        if before:
            try:
                await self._store.save(records, [*before, *told], on_commit=lambda: self._committed(told, before))
                return
            except Exception:
                self._put_back(before)  # one of them may be what the store does not take
        await self._store.save(records, told, on_commit=lambda: self._committed(told))

    def _committed(self, told: Sequence[EventRecord], before: Sequence[EventRecord] = ()) -> None:
        self._counters["events_stored"] += len(told) + len(before)
        for event in told:
            self._bus.publish(event)
        for event in (*before, *told):
            if event.delivery_status == "pending":
                self._on_pending(event)

    def _record(self, event: Event) -> EventRecord:
        shared = {name: getattr(event, name) for name in _SHARED}
        facts = event.call if event.call_id is not None else None
        version = event.version or (facts and facts.version) or self._version
        target_url = (event.target_url or facts.target_url) if facts and is_told(event, facts, version) else None
        shared["target_url"] = target_url
        if facts is None or target_url is None:
            return EventRecord(**shared)
        return EventRecord(
            **shared,
            api_version=version,
            secret_id=facts.secret_id,
            payload=render(event, facts, version),
            delivery_status="pending",
        )

    # --- what only the bus has heard -------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while self._waiting or not self._stopping.is_set():
            self._wake.clear()
            if not self._waiting:
                await self._wake.wait()
                continue
            failures = 0 if await self._flush() else failures + 1
            if failures > STORE_RETRIES_MAX:
                lost = self._take()
                self._counters["events_not_stored"] += len(lost)
                log.error("events not stored", count=len(lost))
                failures = 0
            elif failures:
                self._counters["store_retries"] += 1
                await self._pause(FIRST_PAUSE_S * 2 ** (failures - 1))

    def _take(self) -> list[EventRecord]:
        events = list(self._waiting)
        self._waiting.clear()
        return events

    def _put_back(self, events: list[EventRecord]) -> None:
        self._waiting.extendleft(reversed(events))
        self._wake.set()

    async def _flush(self) -> bool:
        """Store what waits; False when nothing of it could be, and it waits again."""
        events = self._take()
        if await self._store_waiting(events):
            return True
        # Perhaps one of them is at fault: each alone.
        failed = [event for event in events if not await self._store_waiting([event])] if len(events) > 1 else events
        if len(failed) == len(events):
            self._put_back(failed)
            return False
        self._counters["events_not_stored"] += len(failed)
        log.error("events that cannot be stored", types=sorted({event.type for event in failed}))
        return True

    async def _store_waiting(self, events: list[EventRecord]) -> bool:
        try:
            await self._store.save((), events, on_commit=lambda: self._committed((), events))
        except Exception as error:
            log.warning("events not stored yet", count=len(events), error_type=type(error).__name__)
            return False
        return True

    async def _pause(self, seconds: float) -> None:
        """Before the store is tried again; a stop does not wait for it."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        stopping = asyncio.ensure_future(self._stopping.wait())
        _, pending = await asyncio.wait([sleeping, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
