"""What the application of a stream asks for over it: handed to whoever carries it out, and answered over the stream.

Each is a task of the call, which ends with it. Leaves out what may be asked for, and how it is done (`StreamRequests`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from longline.base.errors import LonglineError, MediaUnavailable, RequestError
from longline.base.log import get_logger
from longline.calls.context import CallContext
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.events import StreamRequested

MAX_AT_ONCE: Final = 8
"""Requests of one call that are carried out at a time. Rule for one more: it is refused with `limit_reached`."""

log = get_logger(__name__)

CarryOut = Callable[[StreamRequested], Awaitable[Mapping[str, Any]]]
Failure = tuple[str, str]


class StreamAsks:
    """Those of one call."""

    def __init__(self, context: CallContext, carry_out: CarryOut) -> None:
        self._context = context
        self._carry_out = carry_out
        self._tasks: set[asyncio.Task[None]] = set()

    async def receive(self, asked: StreamRequested) -> None:
        """By the call's own task, which does not wait for what comes of it."""
        if len(self._tasks) >= MAX_AT_ONCE:
            self._context.counters["stream_requests_refused"] += 1
            await self._answer(asked, ("limit_reached", f"{MAX_AT_ONCE} requests are being carried out."))
            return
        task = asyncio.create_task(self._do(asked), name=f"{asked.action} {self._context.call.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """The call is over."""
        for task in self._tasks:
            task.cancel()

    async def _do(self, asked: StreamRequested) -> None:
        try:
            fields = await self._carry_out(asked)
        except RequestError as error:
            await self._answer(asked, (error.code or "not_allowed", error.message))
        except LonglineError as error:
            await self._answer(asked, ("unavailable", str(error)))
        except Exception:
            log.exception("request of a stream failed", call_id=str(self._context.call.id), action=asked.action)
            self._context.counters["faults"] += 1
            await self._answer(asked, ("internal", "The request failed by a fault of ours."))
        else:
            if asked.request_id is not None:
                await self._answer(asked, None, fields)

    async def _answer(
        self, asked: StreamRequested, error: Failure | None, fields: Mapping[str, Any] | None = None
    ) -> None:
        with contextlib.suppress(MediaUnavailable, MediaCommandRefused):  # the stream has gone, and with it who asked
            await self._context.session.answer_stream(asked.stream, asked.request_id, error, fields)
