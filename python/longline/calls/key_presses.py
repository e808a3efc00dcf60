"""Keys that are pressed toward a far end one after the other, with pauses between them, as people write them down:
`ww1234#`, where a `w` is half a second."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from longline.base.errors import CallNotControllable, LegNotFound, LimitReached

if TYPE_CHECKING:
    from longline.calls.live_call import LiveCall

WAIT_S: Final = 0.5
"""What a `w` stands for."""
KEY_S: Final = 0.15
"""How long a key and the silence behind it take, about: what follows waits for so long."""


async def press_keys(live: LiveCall, keys: str, leg_id: UUID | None = None) -> None:
    """Toward the primary leg if not told. Returns when they have been pressed. A far end that hears no digits misses
    them (counted as `digits_not_sent`). Raise CallNotLive."""
    for part in re.findall(r"[wW]+|[^wW]{1,64}", keys):
        if part[0] in "wW":
            await live.context.clock.sleep(WAIT_S * len(part))
            continue
        try:
            await live.send_digits(part, leg_id=leg_id)
        except (CallNotControllable, LimitReached, LegNotFound):
            live.context.counters["digits_not_sent"] += len(part)
        await live.context.clock.sleep(KEY_S * len(part))
