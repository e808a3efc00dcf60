"""What is old is deleted with what belongs to it, and nothing else is."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from longline.base.clock import VirtualClock
from longline.base.ids import first_id_at, new_id
from longline.store import retention as retention_module
from longline.store.durable import Durable
from longline.store.pages import PageRequest
from longline.store.records import CallRecord, EventRecord, LegRecord, StreamRecord

CLOCK = VirtualClock()


def id_at(days_ago: float) -> UUID:
    return UUID(int=first_id_at(CLOCK.now() - timedelta(days=days_ago)).int + secrets.randbits(60))


async def a_call(store: Durable, days_ago: float, *, has_ended: bool = True, delivery: Any = "delivered") -> CallRecord:
    at = CLOCK.now() - timedelta(days=days_ago)
    call = CallRecord(id=id_at(days_ago), direction="inbound", created_at=at, ended_at=at if has_ended else None)
    call.legs.append(LegRecord(id=id_at(days_ago), call_session_id=call.id, direction="inbound", created_at=at))
    stream = StreamRecord(id=id_at(days_ago), call_id=call.id, ws_url="ws://app/", created_at=at)
    events = [
        EventRecord(id=id_at(days_ago), type="call.initiated", at=at, call_id=call.id, delivery_status=delivery),
        EventRecord(id=id_at(days_ago), type="leg.media_started", at=at, call_id=call.id),
    ]
    await store.save([call, stream], events)
    return call


async def kept(store: Durable, call: CallRecord) -> tuple[bool, int, int, int]:
    """Whether there is the call, and how many of its legs, streams and events."""
    events = await store.list_events(page=PageRequest(limit=100))
    return (
        await store.get_call(call.id) is not None,
        len((await store.list_legs(call.id)).items),
        len((await store.list_streams(call.id)).items),
        sum(event.call_id == call.id for event in events.items),
    )


async def test_an_old_call_goes_with_all_that_is_its_own(durable: Durable) -> None:
    old, young, live = await a_call(durable, 31), await a_call(durable, 29), await a_call(durable, 99, has_ended=False)
    waiting = await a_call(durable, 40, delivery="pending")
    retention = durable.retention(CLOCK, events_days=0, calls_days=30)
    await retention.delete_old()
    assert await kept(durable, old) == (False, 0, 0, 0)
    for call in (young, live, waiting):
        assert await kept(durable, call) == (True, 1, 1, 2)
    assert retention.counters == {"calls_deleted": 1}


async def test_old_events_go_and_their_calls_stay_but_what_is_to_be_delivered_stays_too(durable: Durable) -> None:
    old, young = await a_call(durable, 10, delivery="pending"), await a_call(durable, 2)
    failed = await a_call(durable, 10, delivery="failed_permanent")
    await durable.retention(CLOCK, events_days=7, calls_days=0).delete_old()
    assert await kept(durable, old) == (True, 1, 1, 1)
    assert await kept(durable, failed) == (True, 1, 1, 0)
    assert await kept(durable, young) == (True, 1, 1, 2)


async def test_more_than_a_batch_goes_in_several_with_pauses(durable: Durable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "BATCH", 3)
    monkeypatch.setattr(retention_module, "PAUSE_S", 0.0)
    for _ in range(8):
        await a_call(durable, 50)
    retention = durable.retention(CLOCK, events_days=0, calls_days=30)
    await retention.delete_old()
    assert (await durable.list_calls()).items == []
    assert retention.counters == {"calls_deleted": 8}


async def test_nothing_is_deleted_where_all_is_kept(durable: Durable) -> None:
    old = await a_call(durable, 5000)
    await durable.retention(CLOCK, events_days=0, calls_days=0).delete_old()
    assert await kept(durable, old) == (True, 1, 1, 2)


def test_the_first_id_of_a_time_parts_earlier_from_later_ones() -> None:
    now = datetime.now(UTC)
    assert first_id_at(now - timedelta(seconds=1)) < new_id() < first_id_at(now + timedelta(seconds=5))
