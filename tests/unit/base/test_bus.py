"""The bus tells everyone, whatever one subscriber does."""

from datetime import UTC, datetime

import pytest

from longline.base.bus import Bus
from longline.base.events import Event
from longline.base.ids import new_id


def event(kind: str = "call.answered") -> Event:
    return Event(type=kind, call_id=new_id(), at=datetime(2026, 1, 1, tzinfo=UTC))


def test_subscribers_are_told_in_the_order_of_subscription() -> None:
    bus, told = Bus(), []
    bus.subscribe(lambda _: told.append("first"))
    bus.subscribe(lambda _: told.append("second"))
    bus.publish(event())
    assert told == ["first", "second"]


def test_a_failing_subscriber_costs_nobody_else_and_is_counted() -> None:
    bus, told = Bus(), []

    def broken(_: Event) -> None:
        raise RuntimeError("broken")

    bus.subscribe(broken)
    bus.subscribe(told.append)
    published = event()
    bus.publish(published)
    assert told == [published]
    assert bus.failures == {"call.answered": 1}


def test_only_the_types_asked_for_are_told() -> None:
    bus, told = Bus(), []
    bus.subscribe(lambda heard: told.append(heard.type), types=["call.answered"])
    bus.publish(event("call.ringing"))
    bus.publish(event("call.answered"))
    assert told == ["call.answered"]


def test_an_ended_subscription_is_told_nothing_more_and_may_be_ended_twice() -> None:
    bus, told = Bus(), []
    end = bus.subscribe(told.append)
    end()
    end()
    bus.publish(event())
    assert told == []


def test_a_subscriber_may_leave_while_it_is_told() -> None:
    bus, told = Bus(), []

    def once(heard: Event) -> None:
        end()
        told.append(heard)

    end = bus.subscribe(once)
    bus.subscribe(told.append)
    bus.publish(event())
    bus.publish(event())
    assert len(told) == 3


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        event().type = "call.failed"  # type: ignore[misc]
