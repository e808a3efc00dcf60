"""A call's events while it lives, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from longline.api import live
from longline.base.clock import SystemClock
from longline.base.events import Event
from longline.base.ids import new_id
from longline.observe import live as observe
from longline.observe.live import Watchers
from longline.store.records import EventRecord

CALL_ID = new_id()


class Told:
    """A call of which events are told, and stored a moment later, as the outbox does it."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.watchers = Watchers()
        self.stored: list[EventRecord] = []

    def tell(self, event_type: str, *, stores: bool = True) -> EventRecord:
        event = EventRecord(type=event_type, call_id=CALL_ID, at=self.clock.now())
        self.watchers.on_event(event)
        if stores:
            asyncio.get_running_loop().call_later(0.02, self.stored.append, event)
        return event

    async def read(self, after: UUID | None) -> list[EventRecord]:
        return [event for event in self.stored if after is None or event.id > after][: live.PAGE]

    async def follow(self, after: UUID | None = None, *, over: bool = False) -> AsyncIterator[str]:
        with self.watchers.watch(CALL_ID) as watcher:
            async for text in live.follow(watcher, self.read, lambda e: e.type, after, self.clock, over=over):
                yield text


def message(event: EventRecord) -> str:
    return f"id: {event.id}\ndata: {event.type}\n\n"


async def next_of(stream: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(stream), 20)


async def test_what_was_is_told_and_then_what_comes_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "END_GRACE_S", 0.5)
    told = Told()
    first = told.tell("call.initiated")
    await asyncio.sleep(0.05)
    stream = told.follow()
    assert [await next_of(stream) for _ in range(2)] == ["retry: 1000\n\n", message(first)]
    then = [told.tell("call.answered"), told.tell("stream.initiated")]
    assert [await next_of(stream) for _ in then] == [message(event) for event in then]
    ends = [told.tell("call.completed"), told.tell("recording.completed")]
    assert [text async for text in stream] == [*map(message, ends), ": the end\n\n"]
    assert told.watchers.count == 0


async def test_whoever_comes_back_goes_on_behind_what_he_has_received() -> None:
    told = Told()
    events = [told.tell(f"event.{n}") for n in range(3)]
    await asyncio.sleep(0.05)
    stream = told.follow(events[0].id, over=True)
    assert [text async for text in stream] == ["retry: 1000\n\n", *map(message, events[1:]), ": the end\n\n"]


async def test_a_slow_reader_holds_one_page_and_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAGE", 3)
    told = Told()
    events = [told.tell(f"event.{n}") for n in range(20)]
    await asyncio.sleep(0.05)
    texts = [text async for text in told.follow(over=True)]
    assert texts[1:-1] == [message(event) for event in events]


async def test_a_quiet_call_is_kept_open_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEEP_ALIVE_S", 0.05)
    stream = Told().follow()
    assert [await next_of(stream) for _ in range(3)] == ["retry: 1000\n\n", ": keep-alive\n\n", ": keep-alive\n\n"]


async def test_an_event_that_never_gets_stored_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STORED_TRIES", 2)
    told = Told()
    stream = told.follow()
    await next_of(stream)
    told.tell("playout.started", stores=False)
    waiting = asyncio.create_task(next_of(stream))
    await asyncio.sleep(0.2)
    event = told.tell("call.answered")
    assert await waiting == message(event)


async def test_a_node_that_stops_lets_go_of_who_watches() -> None:
    told = Told()
    stream = told.follow()
    await next_of(stream)
    waiting = asyncio.create_task(next_of(stream))
    await asyncio.sleep(0.05)
    told.watchers.close()
    assert await waiting == ": the end\n\n"


def test_watchers_are_bounded_in_all_and_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "MAX_WATCHERS_PER_CALL", 1)
    watchers = Watchers()
    with watchers.watch(CALL_ID), watchers.watch(new_id()):
        with pytest.raises(observe.LimitReached), watchers.watch(CALL_ID):
            pass
        monkeypatch.setattr(observe, "MAX_WATCHERS", 2)
        with pytest.raises(observe.LimitReached):
            watchers.check_room(new_id())
    assert (watchers.count, watchers.refused) == (0, 2)
    watchers.on_event(Event(type="call.answered", at=SystemClock().now(), call_id=CALL_ID))


async def test_the_events_of_a_call_that_is_over_are_told_by_the_api_and_then_the_browser_gives_up(house: Any) -> None:
    call = await house.call(state="completed", ended_at=house.clock.now())
    first, last = [await house.event(call.id, type=kind, id=new_id()) for kind in ("call.answered", "call.completed")]
    other = await house.call()
    await house.event(other.id, id=new_id())
    await house.clock.advance(60)
    path = f"/api/v1/voice/calls/{call.id}/live"
    answer = await house.http.get(path)
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in data] == ["call.answered", "call.completed"]
    listed = (await house.http.get(f"/api/v1/voice/calls/{call.id}/events")).json()["data"]
    assert sorted(data, key=str) == sorted(listed, key=str), "as a list has them"
    behind = await house.http.get(path, headers={"last-event-id": str(first.id)})
    assert f"id: {last.id}" in behind.text and f"id: {first.id}" not in behind.text
    assert (await house.http.get(path, headers={"last-event-id": str(last.id)})).status_code == 204
    assert (await house.http.get(path, headers={"last-event-id": "nonsense"})).text == answer.text
