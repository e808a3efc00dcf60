"""`stream`: answer, and join the call to the application's WebSocket until that ends; when it is lost for good, do what
the flow says for that."""

from __future__ import annotations

import asyncio

from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.stream import Stream, StreamState
from longline.flows import verbs
from longline.flows.actions.dial import play_to_all
from longline.flows.outcome import Outcome
from longline.flows.sounds import Sounds


async def stream(live: LiveCall, verb: verbs.Stream, sounds: Sounds) -> Outcome:
    """Raise FlowFailed (stream_failed) when the WebSocket cannot be reached, or is lost for good, and the verb does not
    say what then."""
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
        if verb.on_lost is not None:
            return await _lost(live, verb.on_lost, opened, sounds)
        detail = f": {opened.detail}" if opened.detail else ""
        raise FlowFailed(Reason.STREAM_FAILED, f"{verb.ws_url}: {opened.reason}{detail}")
    return Outcome()


async def _lost(live: LiveCall, nested: verbs.Nested, lost: Stream, sounds: Sounds) -> Outcome:
    result = {"action": "stream", "reason": lost.reason, "detail": lost.detail}
    if isinstance(nested, verbs.NestedHangup):
        return Outcome("end", result=result)
    await play_to_all(live, nested, sounds, "$.on_lost")
    return Outcome(result=result)
