"""The steps of flows of other languages: digits toward the caller, streams that go on beside the flow."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from longline.base.errors import LimitReached, MediaUnavailable, StreamNotFound
from longline.base.ids import Prefix, encode_id
from longline.calls.key_presses import press_keys
from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.stream import Stream, StreamState
from longline.flows import steps
from longline.flows.outcome import Outcome, ask_or_go_on

ANSWER_MAX_S: Final = 180.0
"""How long a call rings that waits to be told what to do: as long as RFC 3261 §16.6 gives it (timer C)."""
MAX_FORKS: Final = 4
"""Streams of one call that its flow does not wait for."""


async def send_digits(live: LiveCall, step: steps.SendDigits) -> Outcome:
    await live.answer()
    await press_keys(live, step.digits)
    return Outcome()


async def open_stream(live: LiveCall, step: steps.OpenStream) -> Outcome:
    """Raise FlowFailed (flow_invalid) for a stream too many."""
    if not step.waits and sum(_listens(stream) for stream in live.call.streams.values()) >= MAX_FORKS:
        raise FlowFailed(Reason.FLOW_INVALID, f"$.url: a call has at most {MAX_FORKS} streams beside its flow")
    await live.answer()
    await live.start_recording()
    try:
        opened = await live.open_stream(step.request)
    except LimitReached as error:
        raise FlowFailed(Reason.FLOW_INVALID, f"$.url: {error.message}") from error
    if not step.waits:
        return Outcome()
    try:
        await opened.ended.wait()
    except asyncio.CancelledError:
        live.let_go_of_stream(opened.id)
        raise
    result: dict[str, Any] = {
        "action": "stream",
        "stream_id": encode_id(Prefix.STREAM, opened.id),
        "reason": opened.reason,
        "is_orderly": opened.state is StreamState.CLOSED,
    }
    return ask_or_go_on(step.flow_url, result)


async def stay(live: LiveCall) -> Outcome:
    """It is cancelled with the call. A call that nobody answers is declined after `ANSWER_MAX_S`."""
    await live.context.clock.sleep(ANSWER_MAX_S)
    if live.call.is_answered:
        await asyncio.Event().wait()
    return Outcome("end")


async def close_stream(live: LiveCall, step: steps.CloseStream) -> Outcome:
    """They are closed when it is done: others may take their place, and their name."""
    for stream in list(live.call.streams.values()):
        is_meant = _listens(stream) if step.name is None else stream.request.name == step.name
        if is_meant and not stream.has_ended:
            with contextlib.suppress(StreamNotFound, MediaUnavailable):
                await live.close_stream(stream.id)
    return Outcome()


def _listens(stream: Stream) -> bool:
    return not stream.has_ended and stream.request.direction == "listen"
