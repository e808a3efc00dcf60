"""The virtual clock wakes sleepers at their own moments, in order."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

from longline.base.clock import SystemClock, VirtualClock, rfc3339, settle


async def test_sleepers_wake_in_the_order_of_their_deadlines_and_see_their_own_time() -> None:
    clock = VirtualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(name, s)) for name, s in (("late", 3.0), ("early", 1.0), ("middle", 2.0))]
    await clock.advance(2.5)
    assert woken == [("early", 1.0), ("middle", 2.0)]
    await clock.advance(0.5)
    assert woken[-1] == ("late", 3.0)
    assert all(task.done() for task in tasks)


async def test_a_sleeper_that_sleeps_again_is_woken_again_within_one_advance() -> None:
    clock = VirtualClock()
    beats: list[float] = []

    async def beat() -> None:
        for _ in range(3):
            await clock.sleep(1)
            beats.append(clock.monotonic())

    task = asyncio.create_task(beat())
    await clock.advance(10)
    assert beats == [1, 2, 3]
    await task


async def test_a_cancelled_sleeper_leaves_no_deadline() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(clock.sleep(5))
    await settle()
    assert clock.next_deadline() == 5
    task.cancel()
    await settle()
    assert clock.next_deadline() is None


def test_wall_time_moves_with_the_virtual_clock() -> None:
    clock = VirtualClock()
    before = clock.now()
    asyncio.run(clock.advance(61))
    assert clock.now() - before == timedelta(seconds=61)


def test_times_are_shown_in_utc_with_milliseconds() -> None:
    at = datetime(2026, 6, 1, 14, 0, 0, 1999, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(at) == "2026-06-01T12:00:00.001Z"


def test_the_system_clock_is_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC
