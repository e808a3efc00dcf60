"""What has changed and what tells of it are stored together, or not at all; nothing is told before it is stored."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from longline.base.events import Event
from longline.base.ids import new_id
from longline.store.committer import CommitFailed
from longline.store.durable import Durable
from longline.store.records import EventRecord
from longline.webhooks import outbox as outbox_module
from longline.webhooks.dispatcher import Dispatcher


async def test_a_change_and_its_events_are_one_transaction_and_then_told(desk: Any, dispatcher: Dispatcher) -> None:
    call, told = desk.call(), list[Event]()
    desk.bus.subscribe(told.append)
    events = [desk.event(call, "call.initiated"), desk.event(call, "call.ringing")]
    await dispatcher.outbox.save([call], events)
    assert desk.store.transactions == [["initiated", "call.initiated", "call.ringing"]]
    assert [event.id for event in told] == [event.id for event in events]
    assert all(isinstance(event, EventRecord) for event in told)
    await desk.settle()
    assert desk.sender.types() == ["call.initiated", "call.ringing"]
    assert len(desk.store.transactions) == 1  # what is stored already is not stored again


async def test_what_the_bus_was_told_before_goes_along_and_is_delivered_first(
    desk: Any, dispatcher: Dispatcher
) -> None:
    call = desk.call()
    desk.publish(call, "leg.answered")
    await dispatcher.outbox.save([call], [desk.event(call, "call.completed")])
    assert desk.store.transactions == [["initiated", "leg.answered", "call.completed"]]
    await desk.settle()
    assert desk.sender.types() == ["leg.answered", "call.completed"]


async def test_a_change_that_cannot_be_stored_is_told_to_nobody_and_raises(desk: Any, dispatcher: Dispatcher) -> None:
    call, told = desk.call(), list[Event]()
    desk.bus.subscribe(told.append)
    desk.store.is_broken = True
    with pytest.raises(OSError, match="disk full"):
        await dispatcher.outbox.save([call], [desk.event(call, "call.answered")])
    await desk.settle()
    assert told == [] and desk.sender.sent == []


async def test_an_event_that_the_store_does_not_take_does_not_hold_back_a_change(
    desk: Any, dispatcher: Dispatcher
) -> None:
    call = desk.call()
    desk.store.refused = {"dtmf.received"}
    desk.publish(call, "dtmf.received")
    await dispatcher.outbox.save([call], [desk.event(call, "call.answered")])
    await desk.settle()
    assert desk.sender.types() == ["call.answered"]


async def test_events_wait_for_a_store_that_fails_for_a_while(desk: Any, dispatcher: Dispatcher) -> None:
    call = desk.call()
    desk.store.is_broken = True
    desk.publish(call, "call.initiated", "call.ringing")
    await desk.settle()
    assert desk.store.events == {} and desk.bus.failures == {}
    desk.publish(call, "call.answered")
    desk.store.is_broken = False
    await desk.clock.advance(1)
    assert desk.sender.types() == ["call.initiated", "call.ringing", "call.answered"]
    assert dispatcher.counters["store_retries"] == 1 and dispatcher.counters["events_not_stored"] == 0


async def test_a_store_that_fails_for_good_costs_the_events_and_is_counted(desk: Any, dispatcher: Dispatcher) -> None:
    desk.store.is_broken = True
    desk.publish(desk.call(), "call.initiated", "call.ringing")
    await desk.clock.advance(60)
    assert dispatcher.counters["events_not_stored"] == 2
    assert dispatcher.counters["store_retries"] == outbox_module.STORE_RETRIES_MAX
    desk.store.is_broken = False
    desk.publish(desk.call(), "call.answered")
    await desk.settle()
    assert desk.sender.types() == ["call.answered"]


async def test_one_event_that_cannot_be_stored_costs_itself_alone(desk: Any, dispatcher: Dispatcher) -> None:
    desk.store.refused = {"dtmf.received"}
    desk.publish(desk.call(), "call.ringing", "dtmf.received", "call.answered")
    await desk.clock.advance(60)
    assert desk.sender.types() == ["call.ringing", "call.answered"]
    assert dispatcher.counters["events_not_stored"] == 1


async def test_a_stop_does_not_wait_for_a_store_that_fails(desk: Any) -> None:
    made = desk.make()
    await made.start()
    desk.store.is_broken = True
    desk.publish(desk.call(), "call.ringing")
    await desk.settle()
    await asyncio.wait_for(made.stop(), 1)
    assert made.counters["events_not_stored"] == 1


async def test_the_database_takes_all_of_it_or_nothing(tmp_path: Path, desk: Any) -> None:
    call = desk.call()
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    good = EventRecord(type="call.answered", at=desk.clock.now(), call_id=call.id)
    bad = EventRecord(type="call.answered", at=desk.clock.now(), call_id=call.id, data={"x": object()})
    committed = []
    with pytest.raises(CommitFailed):
        await durable.save([call], [good, bad], on_commit=lambda: committed.append(1))
    assert await durable.get_call(call.id) is None and await durable.get_event(good.id) is None
    await durable.save([call], [good], on_commit=lambda: committed.append(2))
    assert await durable.get_call(call.id) is not None and await durable.get_event(good.id) is not None
    assert committed == [2]
    await durable.close()


async def test_what_follows_a_commit_happens_though_the_caller_has_gone(tmp_path: Path, desk: Any) -> None:
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    committed = asyncio.Event()
    saving = asyncio.create_task(durable.save([desk.call()], on_commit=committed.set))
    await asyncio.sleep(0)
    saving.cancel()
    await asyncio.wait_for(committed.wait(), 5)
    assert saving.cancelled()
    await durable.close()


async def test_pending_webhooks_of_a_call_are_read_in_the_order_of_their_making(tmp_path: Path, desk: Any) -> None:
    """Not in that of the wall clock, which may have been set back meanwhile."""
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    call, now = desk.call(), desk.clock.now()
    await desk.clock.advance(5)
    later = EventRecord(type="a", at=desk.clock.now(), call_id=call.id, delivery_status="pending")
    earlier = EventRecord(type="b", at=now, call_id=call.id, delivery_status="pending")
    other = EventRecord(type="c", at=now, call_id=new_id(), delivery_status="pending")
    over = EventRecord(type="d", at=now, call_id=call.id, delivery_status="delivered")
    await durable.save([], [earlier, later, other, over], on_commit=lambda: None)
    assert [event.type for event in await durable.pending_events(call.id, 10)] == ["a", "b"]
    assert [event.type for event in await durable.pending_events(call.id, 1)] == ["a"]
    await durable.close()
