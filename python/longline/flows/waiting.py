"""Waiting for whichever comes first: something that happens, or a moment of the call's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from longline.base.clock import Clock


async def until_any(clock: Clock, deadline: float | None, *happenings: Awaitable[object]) -> None:
    """Return when one of these is over, or at `deadline` (of `clock.monotonic()`). A task that is given goes on, and an
    error in it is left in it; anything else is let go."""
    waiting = [asyncio.ensure_future(happening) for happening in happenings]
    ours = [task for task, given in zip(waiting, happenings, strict=True) if task is not given]
    if deadline is not None:
        alarm = asyncio.ensure_future(clock.sleep(max(0.0, deadline - clock.monotonic())))
        waiting.append(alarm)
        ours.append(alarm)
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in ours:
            task.cancel()
