"""`stream`: answer, and join the call to the application's WebSocket until that ends."""

from __future__ import annotations

import asyncio

from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.stream import StreamState
from longline.flows import verbs
from longline.flows.outcome import Outcome


async def stream(live: LiveCall, verb: verbs.Stream) -> Outcome:
    """Raise FlowFailed (stream_failed) when the WebSocket cannot be reached, or is lost."""
    await live.answer()
    if verb.record is not False:
        await live.start_recording()
    opened = await live.open_stream(verb.to_request())
    try:
        await opened.ended.wait()
    except asyncio.CancelledError:
        live.let_go_of_stream(opened.id)  # the flow is stopped, the call may go on without it
        raise
    if opened.state is StreamState.FAILED:
        detail = f": {opened.detail}" if opened.detail else ""
        raise FlowFailed(Reason.STREAM_FAILED, f"{verb.ws_url}: {opened.reason}{detail}")
    return Outcome()
