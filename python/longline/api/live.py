"""The events of a call while it lives, as server-sent events (WHATWG HTML §9.2).

Each message is an event as `GET …/events` lists it, with its id: whoever comes back with it in `Last-Event-ID` goes on
behind it, and misses nothing. A comment now and then keeps the connection open. The stream ends END_GRACE_S after the
call, since its recording is told of later; whoever comes back after that is answered 204, so that a browser gives up.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

from longline.base.clock import Clock
from longline.base.events import EventType
from longline.base.ids import MalformedId, Prefix, decode_id
from longline.store.records import CallRecord, EventRecord

KEEP_ALIVE_S: Final = 15.0
END_GRACE_S: Final = 6.0
"""How long after its end a call may still be told of: longer than its recording is waited for."""
RETRY_MS: Final = 1000
"""After how long a client that lost the connection should come back."""
PAGE: Final = 100
"""Events read at a time, and held for one client at most."""
STORED_WITHIN_S: Final = 0.05
STORED_TRIES: Final = 40
"""An event that the bus has told is looked for in the store so often, with this pause; then it is taken for lost."""

_ENDS: Final = frozenset({EventType.CALL_COMPLETED, EventType.CALL_FAILED})


class Watcher(Protocol):
    latest: UUID | None
    is_closed: bool

    async def wait(self, seconds: float) -> bool: ...


class Watchers(Protocol):
    """Both raise LimitReached."""

    def check_room(self, call_id: UUID) -> None: ...

    def watch(self, call_id: UUID) -> AbstractContextManager[Watcher]: ...


Read = Callable[[UUID | None], Awaitable[list[EventRecord]]]
"""The next PAGE events of the call behind one of them; None: from the first."""


def last_event_id(header: str | None) -> UUID | None:
    """Where a client has stopped. What is none of our ids counts as none: it is told everything."""
    try:
        return None if header is None else decode_id(header, Prefix.EVENT)
    except MalformedId:
        return None


def is_over(call: CallRecord, clock: Clock) -> bool:
    """Nothing more will be told of it."""
    return call.ended_at is not None and clock.now() - call.ended_at > timedelta(seconds=END_GRACE_S)


async def follow(
    watcher: Watcher, read: Read, show: Callable[[EventRecord], str], after: UUID | None, clock: Clock, *, over: bool
) -> AsyncIterator[str]:
    """The stream's text: what there is, then what comes. `over`: only what there is."""
    yield f"retry: {RETRY_MS}\n\n"
    deadline: float | None = clock.monotonic() if over else None
    tries = 0
    while not watcher.is_closed:
        events = await read(after)
        for event in events:
            after = event.id
            if event.type in _ENDS:
                deadline = clock.monotonic() + (0.0 if over else END_GRACE_S)
            yield f"id: {event.id}\ndata: {show(event)}\n\n"
        if len(events) == PAGE:
            continue
        if watcher.latest is not None and (after is None or watcher.latest > after) and tries < STORED_TRIES:
            tries += 1  # the bus knows it already, the store will in a moment
            await clock.sleep(STORED_WITHIN_S)
            continue
        tries = 0
        left = KEEP_ALIVE_S if deadline is None else deadline - clock.monotonic()
        if left <= 0:
            break
        if not await watcher.wait(min(left, KEEP_ALIVE_S)) and deadline is None:
            yield ": keep-alive\n\n"
    yield ": the end\n\n"
