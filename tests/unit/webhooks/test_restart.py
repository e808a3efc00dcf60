"""Over the real store: what was pending when a server stopped is delivered by the next one, in order."""

import asyncio
from datetime import datetime
from pathlib import Path

from longline.base.bus import Bus
from longline.base.clock import SystemClock
from longline.base.config import Config
from longline.base.events import Event
from longline.base.ids import new_id
from longline.store.durable import Durable
from longline.store.records import CallRecord, EventFilter, EventRecord
from longline.webhooks.dispatcher import Dispatcher
from longline.webhooks.sender import Outcome

LIFE = ("call.initiated", "call.ringing", "call.answered", "call.completed")
CALLS = 40  # 160 pending events: more than one page of the sweep


class CountingSender:
    """`reached` is set at the `wanted`-th webhook."""

    def __init__(self, outcome: Outcome, wanted: int) -> None:
        self.sent: list[EventRecord] = []
        self.reached = asyncio.Event()
        self._outcome = outcome
        self._wanted = wanted

    async def send(self, event: EventRecord, at: datetime) -> Outcome:
        self.sent.append(event)
        if len(self.sent) == self._wanted:
            self.reached.set()
        return self._outcome

    async def close(self) -> None:
        pass


async def test_what_was_pending_is_delivered_in_order_after_a_restart(tmp_path: Path) -> None:
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    bus, clock = Bus(), SystemClock()
    down = CountingSender(Outcome(503, "answered 503"), CALLS)
    first = Dispatcher(bus, durable, Config(), clock, sender=down)
    await first.start()
    for _ in range(CALLS):
        call = CallRecord(
            id=new_id(), direction="inbound", created_at=clock.now(), status_callback_url="http://app/status"
        )
        for kind in LIFE:
            event = Event(type=kind, call_id=call.id, at=clock.now(), call=call.facts())
            await first.outbox.save([call], [event])
    await asyncio.wait_for(down.reached.wait(), 20)
    await first.stop()

    up = CountingSender(Outcome(200, None), CALLS * len(LIFE))
    second = Dispatcher(bus, durable, Config(), clock, sender=up)
    await second.start()
    await asyncio.wait_for(up.reached.wait(), 20)
    await second.stop()

    told: dict[object, list[str]] = {}
    for event in up.sent:
        told.setdefault(event.call_id, []).append(event.type)
    assert list(told.values()) == [list(LIFE)] * CALLS
    assert (await durable.list_events(EventFilter(delivery_status="pending"))).items == []
    await durable.close()
