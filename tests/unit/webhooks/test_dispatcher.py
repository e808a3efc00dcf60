"""Every event is stored; webhooks are delivered in order per call, at least once, and never disturb a call."""

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest

from longline.base.errors import EventNotFound, NotRedeliverable, RedeliveryExpired
from longline.base.events import Event
from longline.base.ids import encode_id, new_id
from longline.webhooks import dispatcher as dispatcher_module
from longline.webhooks import lane as lane_module
from longline.webhooks import outbox as outbox_module
from longline.webhooks.dispatcher import Dispatcher
from longline.webhooks.sender import Outcome

CALL_LIFE = ("call.initiated", "call.ringing", "call.answered", "call.completed")
FAILED = Outcome(500, "answered 500")


async def test_the_life_of_a_call_is_told_in_order_once(desk: Any, dispatcher: Dispatcher) -> None:
    desk.publish(desk.call(), *CALL_LIFE)
    await desk.settle()
    assert desk.sender.types() == list(CALL_LIFE)
    assert desk.store.statuses() == ["delivered"] * 4
    assert dispatcher.counters["webhooks_delivered"] == 4


async def test_an_event_that_is_not_for_webhooks_is_stored_and_not_sent(desk: Any, dispatcher: Dispatcher) -> None:
    desk.publish(desk.call(), "leg.media_started", "playout.cleared", played_ms=40)
    await desk.settle()
    assert desk.sender.sent == []
    assert desk.store.statuses() == ["backfill_skipped"] * 2
    assert [event.data for event in desk.store.events.values()] == [{"played_ms": 40}] * 2


async def test_a_call_whose_trunk_wants_another_version_is_told_in_that(desk: Any, dispatcher: Dispatcher) -> None:
    call = desk.call()
    call.sip_trunk_id, call.webhook_version = new_id(), "2026-06-01"
    desk.publish(call, "call.answered")
    desk.publish(desk.call(), "call.answered")
    await desk.settle()
    told = [(event.api_version, event.payload.get("sip_trunk_id")) for event, _ in desk.sender.sent]
    assert told == [("2026-06-01", encode_id("st", call.sip_trunk_id)), ("2025-08-01", None)]


async def test_an_event_of_a_trunk_is_stored_and_told_to_nobody(desk: Any, dispatcher: Dispatcher) -> None:
    desk.bus.publish(Event(type="trunk.target_down", at=desk.clock.now(), sip_trunk_id=new_id()))
    await desk.settle()
    assert desk.sender.sent == [] and desk.store.statuses() == ["backfill_skipped"]


async def test_a_call_without_a_target_is_told_to_nobody(desk: Any, dispatcher: Dispatcher) -> None:
    desk.publish(desk.call(target=None), *CALL_LIFE)
    await desk.settle()
    assert desk.sender.sent == []
    assert desk.store.statuses() == ["backfill_skipped"] * 4


async def test_a_failure_is_retried_with_growing_gaps_until_it_is_acknowledged(
    desk: Any, dispatcher: Dispatcher
) -> None:
    desk.sender.answers.extend([FAILED, Outcome(None, "ConnectError"), FAILED])
    desk.publish(desk.call(), "call.answered")
    await desk.clock.advance(60)
    times = [at for _, at in desk.sender.sent]
    assert [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)] == [2, 4, 8]
    event = next(iter(desk.store.events.values()))
    assert (event.delivery_status, event.attempt_count, event.last_status_code, event.last_error) == (
        "delivered", 4, 200, None,
    )  # fmt: skip
    assert event.delivered_at == times[-1]


async def test_what_failed_is_stored_after_each_attempt(desk: Any, dispatcher: Dispatcher) -> None:
    desk.sender.answers.append(FAILED)
    desk.publish(desk.call(), "call.answered")
    await desk.settle()
    event = next(iter(desk.store.events.values()))
    assert (event.delivery_status, event.attempt_count, event.last_status_code, event.last_error) == (
        "pending", 1, 500, "answered 500",
    )  # fmt: skip


async def test_after_eight_retries_it_is_given_up(desk: Any, dispatcher: Dispatcher) -> None:
    desk.sender.always = FAILED
    desk.publish(desk.call(), "call.answered")
    await desk.clock.advance(3600)
    assert len(desk.sender.sent) == 9
    assert desk.store.statuses() == ["failed_permanent"]
    assert dispatcher.counters["webhooks_failed"] == 1


async def test_a_retry_holds_back_later_events_of_its_call_and_of_no_other(desk: Any, dispatcher: Dispatcher) -> None:
    desk.sender.answers.append(FAILED)
    slow, quick = desk.call(), desk.call()
    desk.publish(slow, "call.initiated", "call.ringing")
    await desk.settle()
    desk.publish(quick, "call.answered")
    await desk.settle()
    assert desk.sender.types() == ["call.initiated", "call.answered"]
    await desk.clock.advance(2)
    assert desk.sender.types() == ["call.initiated", "call.answered", "call.initiated", "call.ringing"]


async def test_giving_up_lets_the_next_event_of_the_call_go(desk: Any, dispatcher: Dispatcher) -> None:
    desk.sender.answers.extend([FAILED] * 9)
    desk.publish(desk.call(), "call.initiated", "call.ringing")
    await desk.clock.advance(3600)
    assert desk.sender.types()[-1] == "call.ringing"
    assert desk.store.statuses() == ["failed_permanent", "delivered"]


async def test_pending_webhooks_are_delivered_in_order_after_a_restart(desk: Any) -> None:
    first = desk.make()
    await first.start()
    desk.sender.always = FAILED
    calls = [desk.call() for _ in range(3)]
    for call in calls:
        desk.publish(call, *CALL_LIFE)
    await desk.settle()
    await asyncio.wait_for(first.stop(), 1)  # a lane that rests between attempts is not waited for
    assert desk.store.statuses() == ["pending"] * 12

    desk.sender.always = None
    desk.sender.sent.clear()
    second = desk.make()
    await second.start()
    await desk.settle()
    for call in calls:
        assert [event.type for event, _ in desk.sender.sent if event.call_id == call.id] == list(CALL_LIFE)
    assert desk.store.statuses() == ["delivered"] * 12
    await second.stop()


async def test_stopping_stores_what_the_bus_has_told_already(desk: Any) -> None:
    made = desk.make()
    await made.start()
    desk.publish(desk.call(), *CALL_LIFE)
    await made.stop()
    assert len(desk.store.events) == 4
    desk.publish(desk.call(), "call.answered")
    await desk.settle()
    assert len(desk.store.events) == 4


async def test_more_events_than_a_lane_holds_are_delivered_once_and_in_order(
    desk: Any, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "LANE_WAITING_MAX", 3)
    monkeypatch.setattr(dispatcher_module, "LANE_WAITING_MAX", 3)
    desk.sender.answers.append(FAILED)
    call = desk.call()
    for number in range(20):
        desk.publish(call, "call.answered", number=number)
    await desk.settle()
    desk.publish(call, "call.completed", number=20)
    await desk.clock.advance(5)
    await desk.settle()
    assert [event.data["number"] for event, _ in desk.sender.sent] == [0, *range(21)]
    assert desk.store.statuses() == ["delivered"] * 21


async def test_more_calls_than_lanes_wait_in_the_store_and_are_delivered_later(
    desk: Any, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "LANES_MAX", 4)
    desk.sender.answers.extend([FAILED] * 4)
    for _ in range(12):
        desk.publish(desk.call(), "call.initiated", "call.answered")
    await desk.settle()
    assert dispatcher.counters["lanes_refused"] > 0
    await desk.clock.advance(30)
    await desk.settle()
    assert desk.store.statuses() == ["delivered"] * 24
    assert len(desk.sender.sent) == 24 + 4
    order: dict[object, list[str]] = {}
    for event, _ in desk.sender.sent:
        order.setdefault(event.call_id, []).append(event.type)
    assert all(types[-2:] == ["call.initiated", "call.answered"] for types in order.values())


async def test_events_beyond_the_bound_are_dropped_and_counted(
    desk: Any, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "EVENTS_WAITING_MAX", 5)
    desk.publish(desk.call(), *["call.ringing"] * 8)
    await desk.settle()
    assert len(desk.store.events) == 5
    assert dispatcher.counters["events_dropped"] == 3


async def test_redelivery_is_a_new_series_of_attempts_of_the_same_payload(desk: Any, dispatcher: Dispatcher) -> None:
    desk.sender.always = FAILED
    desk.publish(desk.call(), "call.answered")
    await desk.clock.advance(3600)
    (before,) = desk.store.events.values()
    desk.sender.always = None
    assert await dispatcher.redeliver(before.id) == desk.clock.now()
    await desk.settle()
    (after,) = desk.store.events.values()
    assert (after.delivery_status, after.attempt_count) == ("delivered", 1)
    assert after.payload == before.payload
    assert len(desk.sender.sent) == 10


async def test_only_a_stored_event_with_a_target_that_is_not_under_way_is_redelivered(
    desk: Any, dispatcher: Dispatcher
) -> None:
    with pytest.raises(EventNotFound):
        await dispatcher.redeliver(new_id())
    desk.publish(desk.call(target=None), "call.answered")
    await desk.settle()
    (event,) = desk.store.events.values()
    with pytest.raises(NotRedeliverable):
        await dispatcher.redeliver(event.id)
    desk.store.events[event.id] = replace(event, delivery_status="pending", target_url="http://x", payload={})
    with pytest.raises(NotRedeliverable, match="already"):
        await dispatcher.redeliver(event.id)


async def test_an_event_older_than_the_window_is_not_redelivered(desk: Any, dispatcher: Dispatcher) -> None:
    desk.publish(desk.call(), "call.answered")
    await desk.settle()
    (event,) = desk.store.events.values()
    day = 86_400
    await desk.clock.advance(30 * day - 60)
    await dispatcher.redeliver(event.id)
    await desk.settle()
    await desk.clock.advance(120)
    with pytest.raises(RedeliveryExpired):
        await dispatcher.redeliver(event.id)


async def test_what_the_earlier_version_does_not_know_is_told_in_the_later_one_alone(
    desk: Any, dispatcher: Dispatcher
) -> None:
    later, earlier = desk.call(), desk.call()
    later.webhook_version = "2026-06-01"
    for call in (earlier, later):
        desk.publish(call, "playback.started", "leg.joined", "recording.failed", playback_id="pb_1", reason="why")
    await desk.settle()
    assert [event.type for event, _ in desk.sender.sent if event.call_id == earlier.id] == ["recording.failed"]
    told = [event for event, _ in desk.sender.sent if event.call_id == later.id]
    assert [event.type for event in told] == ["playback.started", "leg.joined", "recording.failed"]
    assert told[0].payload["data"]["playback_id"] == "pb_1"
