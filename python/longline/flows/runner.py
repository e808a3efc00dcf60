"""The flow runner: asks what to do with a call, does it, and goes on while there is a next flow.

It runs as a task of its call and is cancelled with it, also while it waits for the application's answer.
"""

from __future__ import annotations

from typing import Any

from longline.base.events import EventType
from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows.actions import act
from longline.flows.fetch import FlowFetcher
from longline.flows.media_files import MediaFiles
from longline.flows.parse import Flow, FlowInvalid, parse_flow

MAX_STEPS = 100
"""Flows that one call may go through; one more ends it with flow_invalid: two URLs may point at each other."""


class FlowRunner:
    """The CallFlow of a node."""

    def __init__(self, fetcher: FlowFetcher, media_files: MediaFiles) -> None:
        self._fetcher = fetcher
        self._media_files = media_files

    async def run(self, live: LiveCall) -> None:
        """Return when the flow is over. Raise FlowFailed when it cannot go on."""
        try:
            await self._run(live)
        except FlowFailed as error:
            if error.reason is not Reason.STREAM_FAILED:  # the stream has told that itself
                live.context.publish(EventType.FLOW_FAILED, {"reason": str(error.reason), "detail": error.detail})
            raise

    async def _run(self, live: LiveCall) -> None:
        flow = await self._first(live)
        for _ in range(MAX_STEPS):
            next_url = await act(live, flow.verb, self._media_files)
            if next_url is None:
                return
            flow = await self._ask(live, next_url)
        raise FlowFailed(Reason.FLOW_INVALID, f"a call goes through at most {MAX_STEPS} flows")

    async def _first(self, live: LiveCall) -> Flow:
        call = live.call
        if call.flow is not None:
            return _parse(call.flow)
        if call.flow_url is None:
            raise FlowFailed(Reason.FLOW_INVALID, "the call has neither a flow nor a flow_url")
        return await self._ask(live, call.flow_url)

    async def _ask(self, live: LiveCall, url: str) -> Flow:
        live.context.publish(EventType.FLOW_REQUESTED, {"flow_url": url})
        flow = _parse(await self._fetcher.fetch(url, live.call))
        data: dict[str, Any] = {"flow_url": url, "action": flow.verb.action}
        if flow.ignored:
            data["ignored"] = list(flow.ignored)
        live.context.publish(EventType.FLOW_RECEIVED, data)
        return flow


def _parse(value: object) -> Flow:
    try:
        return parse_flow(value)
    except FlowInvalid as error:
        raise FlowFailed(Reason.FLOW_INVALID, str(error)) from error
