"""A dispatcher in virtual time, between a store in memory and a far side that a test scripts."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from longline.base.bus import Bus
from longline.base.clock import VirtualClock, settle
from longline.base.config import Config
from longline.base.events import Event
from longline.base.ids import new_id
from longline.store.pages import Page, PageRequest
from longline.store.records import CallRecord, EventFilter, EventRecord
from longline.webhooks.dispatcher import Dispatcher
from longline.webhooks.sender import Outcome


class MemoryStore:
    """The part of the durable store that webhooks use."""

    def __init__(self) -> None:
        self.calls: dict[UUID, CallRecord] = {}
        self.events: dict[UUID, EventRecord] = {}
        self.transactions: list[list[str]] = []
        self.refused: set[str] = set()
        self.is_broken = False

    async def get_call(self, call_id: UUID) -> CallRecord | None:
        return self.calls.get(call_id)

    async def get_event(self, event_id: UUID) -> EventRecord | None:
        return self.events.get(event_id)

    async def save_event(self, event: EventRecord) -> None:
        self.events[event.id] = event

    async def save(self, records: Sequence[Any], events: Sequence[EventRecord] = (), *, on_commit: Any = None) -> None:
        await asyncio.sleep(0)
        if self.is_broken or any(event.type in self.refused for event in events):
            raise OSError("disk full")
        self.transactions.append([*(record.state for record in records), *(event.type for event in events)])
        self.calls |= {record.id: record for record in records}
        self.events |= {event.id: event for event in events}
        on_commit()

    async def pending_events(self, call_id: UUID, limit: int) -> list[EventRecord]:
        filters = EventFilter(call_id=call_id, delivery_status="pending")
        return (await self.list_events(filters, PageRequest(limit=limit), newest_first=False)).items

    async def list_events(
        self, filters: EventFilter, page: PageRequest, *, newest_first: bool = True
    ) -> Page[EventRecord]:
        assert not newest_first
        found = sorted(
            (
                event
                for event in self.events.values()
                if event.delivery_status == filters.delivery_status
                and filters.call_id in (None, event.call_id)
                and (page.after is None or str(event.id) > page.after)
            ),
            key=lambda event: event.id,
        )
        items = found[: page.limit]
        return Page(items, str(items[-1].id) if len(found) > page.limit else None)

    def statuses(self) -> list[str]:
        return [event.delivery_status for event in sorted(self.events.values(), key=lambda event: event.id)]


class ScriptedSender:
    """Answers with `answers` in turn, then 200; with `always`, only that."""

    def __init__(self) -> None:
        self.sent: list[tuple[EventRecord, datetime]] = []
        self.answers: deque[Outcome] = deque()
        self.always: Outcome | None = None

    async def send(self, event: EventRecord, at: datetime) -> Outcome:
        self.sent.append((event, at))
        if self.always is not None:
            return self.always
        return self.answers.popleft() if self.answers else Outcome(200, None)

    async def close(self) -> None:
        pass

    def types(self) -> list[str]:
        return [event.type for event, _ in self.sent]


@dataclass
class Desk:
    """`publish` tells the bus of an event of a call; the rest is what came of it."""

    store: MemoryStore = field(default_factory=MemoryStore)
    sender: ScriptedSender = field(default_factory=ScriptedSender)
    clock: VirtualClock = field(default_factory=VirtualClock)
    bus: Bus = field(default_factory=Bus)
    version: str = "2025-08-01"

    def make(self) -> Dispatcher:
        config = Config(webhook_version=self.version)  # type: ignore[arg-type]
        store: Any = self.store
        return Dispatcher(self.bus, store, config, self.clock, sender=self.sender, chance=lambda: 1.0)

    def call(self, target: str | None = "http://app/status") -> CallRecord:
        call = CallRecord(
            id=new_id(), direction="outbound", created_at=self.clock.now(), voice_app_id=new_id(),
            from_number="+14155550100", to_number="+14155550101", status_callback_url=target,
        )  # fmt: skip
        self.store.calls[call.id] = call
        return call

    def publish(self, call: CallRecord, *types: str, **data: Any) -> None:
        for kind in types:
            self.bus.publish(self.event(call, kind, **data))

    def event(self, call: CallRecord, kind: str, **data: Any) -> Event:
        return Event(type=kind, call_id=call.id, at=self.clock.now(), data=data, call=call.facts())

    async def settle(self) -> None:
        await settle(400)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def dispatcher(desk: Desk) -> AsyncIterator[Dispatcher]:
    made = desk.make()
    await made.start()
    yield made
    await made.stop()
