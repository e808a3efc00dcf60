"""The flow runner: asks what to do with a call, does it, and goes on while there is a next flow.

It runs as a task of its call and is cancelled with it, also while it waits for the application's answer. When a flow
fails and the call has a `fallback_url`, that one is asked, and told what failed; a flow of the fallback that fails ends
the call.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from longline.base.events import EventType
from longline.base.log import get_logger
from longline.calls.live_call import LiveCall
from longline.calls.manner import Method
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows.actions import act
from longline.flows.fetch import FlowFetcher
from longline.flows.language import Document, Languages
from longline.flows.languages import LANGUAGES, language_of
from longline.flows.parse import Flow, FlowInvalid, parse_flow
from longline.flows.place import within
from longline.flows.sounds import Sounds

MAX_FLOWS = 1000
"""Flows that one call may go through; one more ends it with flow_invalid."""
MAX_HASTY = 20
"""Flows in a row each of which was over within `HASTY_S`; one more ends the call: two URLs point at each other."""
HASTY_S = 0.2

_QUERY = re.compile(r"\?[^\s'\"]*")

log = get_logger(__name__)


class FlowRunner:
    """The CallFlow of a node."""

    def __init__(self, fetcher: FlowFetcher, sounds: Sounds, languages: Languages = LANGUAGES) -> None:
        self._fetcher = fetcher
        self._sounds = sounds
        self._languages = languages

    async def run(self, live: LiveCall) -> None:
        """Return when the flow is over. Raise FlowFailed when it cannot go on."""
        await _Run(live, self._fetcher, self._sounds, self._languages).run()


class _Run:
    """One call's way through its flows. `url` is that of the flow being done, `result` what the next one is told."""

    def __init__(self, live: LiveCall, fetcher: FlowFetcher, sounds: Sounds, languages: Languages) -> None:
        self._live = live
        self._fetcher = fetcher
        self._sounds = sounds
        self._languages = languages
        self._method: Method = live.call.manner.flow_method
        self._url: str | None = None
        self._result: Mapping[str, Any] = {}
        self._is_fallback = False
        self._rest = Flow(())

    async def run(self) -> None:
        clock, call = self._live.context.clock, self._live.call
        url, hasty = call.flow_url, 0
        for number in range(MAX_FLOWS):
            began = clock.monotonic()
            try:
                flow = self._given() if number == 0 and call.flow is not None else await self._ask(url)
                url = await self._do(flow)
            except FlowFailed as error:
                url = self._fall_back(error)
            if url is None:
                return
            hasty = hasty + 1 if clock.monotonic() - began < HASTY_S else 0
            if hasty > MAX_HASTY:
                raise self._tell(
                    FlowFailed(Reason.FLOW_INVALID, f"more than {MAX_HASTY} flows in a row did nothing that took time")
                )
        raise self._tell(FlowFailed(Reason.FLOW_INVALID, f"a call goes through at most {MAX_FLOWS} flows"))

    def _given(self) -> Flow:
        flow = self._live.call.flow
        return self._read(Document(flow.encode())) if isinstance(flow, str) else _parse(flow, has_url=False)

    async def _ask(self, url: str | None) -> Flow:
        if url is None:
            raise FlowFailed(Reason.FLOW_INVALID, "the call has neither a flow nor a flow_url")
        self._url = url
        live, result = self._live, self._result
        live.context.publish(EventType.FLOW_REQUESTED, {"flow_url": url})
        answer = await self._fetcher.fetch(url, live.call, result, self._method)
        flow = self._read(answer) if isinstance(answer, Document) else _parse(answer)
        self._result = {}
        self._is_fallback = url == live.call.fallback_url and (self._is_fallback or "flow_error" in result)
        if not flow.actions:
            return self._rest  # nothing new: what is left of the flow before
        data: dict[str, Any] = {"flow_url": url, "action": flow.actions[0].action}
        if flow.is_list:
            data["actions"] = [verb.action for verb in flow.actions]
        if flow.ignored:
            data["ignored"] = list(flow.ignored)
        live.context.publish(EventType.FLOW_RECEIVED, data)
        return flow

    def _read(self, document: Document) -> Flow:
        """From now on the call is spoken to in the language that its application has answered in."""
        call = self._live.call
        name = call.manner.language or language_of(document)
        call.manner = dataclasses.replace(call.manner, language=name)
        try:
            return self._languages[name].read(document)
        except FlowInvalid as error:
            raise FlowFailed(Reason.FLOW_INVALID, str(error)) from error

    async def _do(self, flow: Flow) -> str | None:
        """The URL of the next flow; None when there is none. When a flow that came along with its call would ask
        nobody in particular, there is nobody to ask, and it goes on."""
        for index, verb in enumerate(flow.actions):
            with within(flow.place(index)):
                outcome = await act(self._live, verb, self._sounds, is_last=flow.is_last(index))
            if outcome.result:
                self._result = outcome.result
            if outcome.next == "ask" and (outcome.flow_url or self._url) is not None:
                self._method, self._rest = flow.method(index), flow.after(index)
                return outcome.flow_url or self._url
            if outcome.next == "end":
                return None
        return None

    def _fall_back(self, error: FlowFailed) -> str:
        """Raise the error when there is nothing to fall back to."""
        fallback = self._live.call.fallback_url
        if fallback is None or self._is_fallback or self._url == fallback:
            raise self._tell(error)
        self._tell(error, fallback)
        self._live.context.counters["flow_fallbacks"] += 1
        self._method, self._rest = self._live.call.manner.fallback_method, Flow(())
        self._result = {
            "flow_error": {"flow_url": self._url, "reason": str(error.reason), "detail": error.detail},
        }
        return fallback

    def _tell(self, error: FlowFailed, fallback: str | None = None) -> FlowFailed:
        """In the call's events, and in the log."""
        live = self._live
        # The query of a URL may carry anything: numbers, tokens.
        log.warning(
            "flow failed",
            call_id=str(live.call.id),
            reason=str(error.reason),
            detail=_QUERY.sub("?…", error.detail),
            falls_back=fallback is not None,
        )
        if error.reason is not Reason.STREAM_FAILED:  # the stream has told that itself
            data = error.event_data()
            if self._url is not None:
                data["flow_url"] = self._url
            live.context.publish(EventType.FLOW_FAILED, data | ({"fallback_url": fallback} if fallback else {}))
        return error


def _parse(value: object, *, has_url: bool = True) -> Flow:
    try:
        return parse_flow(value, has_url=has_url)
    except FlowInvalid as error:
        raise FlowFailed(Reason.FLOW_INVALID, str(error)) from error
