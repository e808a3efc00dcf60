"""`CallSession`: one call for the code that talks, whatever line brings it and whatever happens to its sockets.

    async def talk(call: CallSession) -> None:
        hello = call.play(speech)           # starts at once, waits for nothing
        async for event in call:            # Frame, Digit, VoiceStarted, …
            ...
        await hello.ended                   # hello.heard_ms of it were heard

What the caller heard of each utterance is known whether or not the handler reads its events. Bounds: events that nobody
reads (the oldest frames go first, counted), utterances remembered.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Self

from longline.agentkit.line import (
    Answered,
    CallInfo,
    Frame,
    Line,
    LineEvent,
    Over,
    SpeechEnded,
    SpeechProgress,
    SpeechStarted,
)
from longline.base.errors import LonglineError

MAX_EVENTS: Final = 2_000
"""Forty seconds of frames; of more, the oldest are dropped."""
MAX_UTTERANCES: Final = 200


class RequestRefused(LonglineError):
    """What was asked of the call was not done; the text says why."""


class Utterance:
    """Something that the agent says. `ended` is done when it was heard to its end, or cut."""

    def __init__(self, id: str, rate_hz: int, text: str = "") -> None:
        self.id = id
        self.text = text
        self.said_ms = 0.0
        self.heard_ms = 0.0
        self.was_cut = False
        self.has_begun = False
        self._ended: asyncio.Future[Utterance] = asyncio.get_running_loop().create_future()
        self._rate_hz = rate_hz

    @property
    def is_over(self) -> bool:
        return self._ended.done()

    @property
    def ended(self) -> asyncio.Future[Utterance]:
        """To be awaited, also by a task that may be cancelled."""
        return asyncio.shield(self._ended)

    def add(self, pcm: bytes) -> None:
        self.said_ms += len(pcm) * 500 / self._rate_hz

    def end(self, heard_ms: float, *, was_cut: bool) -> None:
        if not self._ended.done():
            self.heard_ms, self.was_cut = heard_ms, was_cut
            self._ended.set_result(self)


class CallSession:
    """Use it within its handler; `async with` runs what reads the line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._events: deque[LineEvent] = deque()
        self._arrived = asyncio.Event()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._reader: asyncio.Task[None] | None = None
        self.utterances: dict[str, Utterance] = {}
        """By id, in the order in which they were said; the last MAX_UTTERANCES."""
        self.counters: Counter[str] = Counter()
        self.over: Over | None = None

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self._end(Over("left"))

    @property
    def info(self) -> CallInfo:
        return self._line.info

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._line.info.metadata

    @property
    def rate_hz(self) -> int:
        return self._line.rate_hz

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        """Until `Over`, which is the last."""
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, Over):
                    return
            if self.over is not None:
                return
            self._arrived.clear()
            await self._arrived.wait()

    # Commands.

    def begin(self, text: str = "") -> Utterance:
        """An utterance to which `add` gives its sound piece by piece, and which `finish` completes."""
        utterance = Utterance(f"u{next(self._numbers)}", self.rate_hz, text)
        self.utterances[utterance.id] = utterance
        while len(self.utterances) > MAX_UTTERANCES:
            self.utterances.pop(next(iter(self.utterances))).end(0.0, was_cut=True)
        if self.over is not None:
            utterance.end(0.0, was_cut=True)
        return utterance

    def add(self, utterance: Utterance, pcm: bytes) -> None:
        """At `rate_hz`. What is added to an utterance that has ended is not said."""
        if pcm and not utterance.is_over:
            utterance.add(pcm)
            self._line.say(utterance.id, pcm)

    def finish(self, utterance: Utterance) -> None:
        if utterance.is_over:
            return
        if utterance.said_ms == 0:
            utterance.end(0.0, was_cut=False)
        else:
            self._line.say_end(utterance.id)

    def play(self, pcm: bytes, text: str = "") -> Utterance:
        """All of an utterance at once."""
        utterance = self.begin(text)
        self.add(utterance, pcm)
        self.finish(utterance)
        return utterance

    def interrupt(self) -> None:
        """Nothing that is queued is said any more."""
        self._line.clear()

    def pause(self) -> None:
        self._line.pause()

    def resume(self) -> None:
        self._line.resume()

    def send_dtmf(self, digits: str) -> None:
        """Raises NotOnThisLine."""
        self._line.send_digits(digits)

    async def transfer(self, target: str, **fields: Any) -> None:
        """Hand the call to somebody else. Raises RequestRefused, NotOnThisLine."""
        await self._request("transfer", {"target": target, **fields})

    async def record(self, on: bool = True, **fields: Any) -> None:
        """Raises RequestRefused, NotOnThisLine."""
        await self._request("record.start" if on else "record.stop", fields)

    def hang_up(self) -> None:
        self._line.hang_up()

    async def said(self) -> None:
        """Wait until all that was said has been heard, or cut."""
        await asyncio.gather(*(each.ended for each in self.utterances.values()), return_exceptions=True)

    async def _request(self, action: str, fields: Mapping[str, Any]) -> None:
        request_id = f"r{next(self._numbers)}"
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            self._line.request(request_id, action, fields)
            await answer
        finally:
            self._waiting.pop(request_id, None)

    # What the line tells.

    async def _read(self) -> None:
        async for event in self._line.events():
            self._note(event)
            if isinstance(event, Over):
                self._end(event)
                return
            self._events.append(event)
            if len(self._events) > MAX_EVENTS:
                self._drop_oldest()
            self._arrived.set()
        self._end(Over("closed"))

    def _note(self, event: LineEvent) -> None:
        match event:
            case SpeechStarted(name) if name in self.utterances:
                self.utterances[name].has_begun = True
            case SpeechProgress(name, heard_ms) if name in self.utterances:
                self.utterances[name].heard_ms = heard_ms
            case SpeechEnded(name, heard_ms, was_cut) if name in self.utterances:
                self.utterances[name].end(heard_ms, was_cut=was_cut)
            case Answered(request_id, error) if request_id in self._waiting:
                waiting = self._waiting[request_id]
                if waiting.done():
                    return
                if error is None:
                    waiting.set_result(None)
                else:
                    waiting.set_exception(RequestRefused(error))

    def _drop_oldest(self) -> None:
        at = next((n for n, event in enumerate(self._events) if isinstance(event, Frame)), 0)
        del self._events[at]
        self.counters["events_dropped"] += 1

    def _end(self, over: Over) -> None:
        if self.over is not None:
            return
        self.over = over
        self._events.append(over)
        for utterance in self.utterances.values():
            utterance.end(utterance.heard_ms, was_cut=True)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(RequestRefused("the call is over"))
        self._arrived.set()
