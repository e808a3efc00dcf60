"""Webhooks: delivers the events that an application is to be told, at least once, when the outbox has stored them.

Per call the order is kept; between calls there is none. A delivery that fails is retried by the policy and given up
as `failed_permanent`. What is pending when the server stops is delivered after its next start. Nothing here can
disturb a call: the bus is answered at once, and a fault ends in a counter. Leaves out: more than one node delivering
from one database.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from longline.base.bus import Bus
from longline.base.clock import Clock
from longline.base.config import Config
from longline.base.errors import EventNotFound, NotRedeliverable, RedeliveryExpired
from longline.base.log import get_logger
from longline.guard.guard import Guard
from longline.store.durable import Durable
from longline.store.pages import PAGE_LIMIT_MAX, PageRequest
from longline.store.records import EventFilter, EventRecord
from longline.webhooks.lane import LANE_WAITING_MAX, Lane
from longline.webhooks.outbox import Outbox
from longline.webhooks.retry import RetryPolicy
from longline.webhooks.sender import HttpSender, Secrets, Sender

LANES_MAX: Final = 4096
"""Calls with webhooks under way. The events of a further call wait in the store until lanes have ended
(counted as `lanes_refused`)."""
STOP_GRACE_S: Final = 3.0
"""How long `stop` waits for webhooks that are being sent; what is left is sent after the next start."""

_PENDING: Final = EventFilter(delivery_status="pending")

log = get_logger(__name__)


class Dispatcher:
    """Counters: events_stored, events_dropped, events_not_stored, store_retries, webhook_attempts,
    webhooks_delivered, webhooks_failed, lanes_refused, delivery_faults."""

    def __init__(
        self,
        bus: Bus,
        durable: Durable,
        config: Config,
        clock: Clock,
        *,
        secrets: Secrets | None = None,
        guard: Guard | None = None,
        sender: Sender | None = None,
        policy: RetryPolicy | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._bus = bus
        self._durable = durable
        self._clock = clock
        self._sender = sender or HttpSender(
            guard or Guard.of(config),
            config.webhook_secret,
            config.ca_files,
            previous_secret=config.webhook_secret_previous,
            secrets=secrets,
            standard=config.standard_webhooks,
        )
        self._policy = policy or RetryPolicy()
        self._chance = chance
        self._window = timedelta(days=config.redelivery_days)
        self.counters: Counter[str] = Counter()
        self.outbox = Outbox(durable, bus, config.webhook_version, clock, self.counters, self._enqueue)
        self._lanes: dict[UUID, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._resting: set[asyncio.Task[None]] = set()
        self._has_refused = False
        self._is_stopping = False
        self._unsubscribe: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Listen to the bus, and take up what an earlier run left pending."""
        self.outbox.start()
        self._unsubscribe = self._bus.subscribe(self.outbox.on_event)
        await self._sweep()

    async def stop(self) -> None:
        """Store what has been told; give deliveries under way a moment; leave the rest pending."""
        self._unsubscribe()
        await self.outbox.stop()
        self._is_stopping = True
        for task in self._resting:
            task.cancel()
        tasks = {*self._tasks, *([self._sweeping] if self._sweeping else [])}
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=STOP_GRACE_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._sender.close()

    async def redeliver(self, event_id: UUID) -> datetime:
        """Send an event again, with a new series of attempts. Raises EventNotFound, NotRedeliverable,
        RedeliveryExpired."""
        event = await self._durable.get_event(event_id)
        if event is None:
            raise EventNotFound
        if event.target_url is None or event.payload is None:
            raise NotRedeliverable
        if event.delivery_status == "pending":
            raise NotRedeliverable("The event is being delivered already.")
        if self._clock.now() - event.at > self._window:
            raise RedeliveryExpired
        event = replace(event, delivery_status="pending", attempt_count=0, last_error=None, delivered_at=None)
        await self._durable.save_event(event)
        self._enqueue(event)
        return self._clock.now()

    def _enqueue(self, event: EventRecord) -> None:
        lane = None if event.call_id is None else self._lane(event.call_id)
        if lane is not None:
            lane.add(event)

    def _lane(self, call_id: UUID, *, is_behind: bool = False) -> Lane | None:
        """The lane of the call, begun if there is none; None when there are too many."""
        lane = self._lanes.get(call_id)
        if lane is not None:
            return lane
        if len(self._lanes) >= LANES_MAX:
            self.counters["lanes_refused"] += 1
            self._has_refused = True
            return None
        lane = self._lanes[call_id] = Lane(call_id, self._deliver, self._load, is_behind=is_behind)
        task = asyncio.create_task(self._run_lane(lane), name=f"webhooks {call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return lane

    async def _run_lane(self, lane: Lane) -> None:
        try:
            await lane.run()
        except Exception:
            self.counters["delivery_faults"] += 1
            log.exception("webhooks of a call stopped", call_id=str(lane.call_id))
        finally:
            del self._lanes[lane.call_id]
        if self._has_refused and len(self._lanes) < LANES_MAX // 2 and self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep_again(), name="webhook-sweep")

    async def _sweep_again(self) -> None:
        try:
            await self._sweep()
        except Exception:
            self.counters["delivery_faults"] += 1
            log.exception("pending webhooks could not be read")
        finally:
            self._sweeping = None

    async def _sweep(self) -> None:
        """Open a lane for every call that has pending events in the store, as far as there is room."""
        self._has_refused = False
        page = PageRequest(limit=PAGE_LIMIT_MAX)
        while True:
            found = await self._durable.list_events(_PENDING, page, newest_first=False)
            for call_id in {event.call_id for event in found.items if event.call_id is not None}:
                lane = self._lanes.get(call_id)
                if lane is not None:
                    lane.fall_behind()
                elif self._lane(call_id, is_behind=True) is None:
                    return
            if found.next_cursor is None:
                return
            page = PageRequest(limit=PAGE_LIMIT_MAX, after=found.next_cursor)

    async def _load(self, call_id: UUID) -> list[EventRecord]:
        return await self._durable.pending_events(call_id, LANE_WAITING_MAX)

    async def _deliver(self, event: EventRecord) -> None:
        """Attempt until acknowledged or given up; the outcome of each attempt is stored."""
        while True:
            event = await self._attempt(event)
            if event.delivery_status != "pending":
                return
            await self._rest(self._policy.delay_s(event.attempt_count, self._chance) or 0.0)

    async def _rest(self, delay_s: float) -> None:
        """Wait for the next attempt. A lane that rests when the server stops ends at once: its event stays pending."""
        task = asyncio.current_task()
        assert task is not None
        if self._is_stopping:
            raise asyncio.CancelledError
        self._resting.add(task)
        try:
            await self._clock.sleep(delay_s)
        finally:
            self._resting.discard(task)

    async def _attempt(self, event: EventRecord) -> EventRecord:
        self.counters["webhook_attempts"] += 1
        at = self._clock.now()
        outcome = await self._sender.send(event, at)
        event = replace(
            event,
            attempt_count=event.attempt_count + 1,
            last_attempt_at=at,
            last_status_code=outcome.status_code,
            last_error=outcome.error,
        )
        if outcome.error is None:
            self.counters["webhooks_delivered"] += 1
            event = replace(event, delivery_status="delivered", delivered_at=self._clock.now())
        elif self._policy.delay_s(event.attempt_count, self._chance) is None:
            self.counters["webhooks_failed"] += 1
            event = replace(event, delivery_status="failed_permanent")
            log.warning("webhook given up", event_id=str(event.id), event_type=event.type, error=outcome.error)
        await self._durable.save_event(event)
        return event
