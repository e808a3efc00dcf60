"""`CallSession`: one call for the code that talks, whatever line brings it and whatever happens to its sockets.

    async def talk(call: CallSession) -> None:
        hello = call.play(speech)           # starts at once, waits for nothing
        async for event in call:            # Frame, Digit, VoiceStarted, …
            ...
        await hello.ended                   # hello.heard_ms of it were heard

With a voice (`serve(…, tts=…)`) it also says texts: `await call.say("Hello!").ended`. What the caller heard of each
utterance is known whether or not the handler reads its events. Bounds: events that nobody reads (the oldest frames go
first, counted), utterances remembered, sound that waits for an earlier utterance.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Self

from longline.agentkit.heard import WordEnd, word_ends
from longline.agentkit.line import (
    Answered,
    CallInfo,
    Digit,
    Frame,
    Line,
    LineEvent,
    Over,
    SpeechEnded,
    SpeechProgress,
    SpeechStarted,
    TrackAdded,
    TrackRemoved,
)
from longline.agentkit.ports import ProviderError, TextToSpeech
from longline.agentkit.report import KeepsTurns, Report
from longline.agentkit.sentences import split
from longline.agentkit.tasks import Tasks
from longline.agentkit.turns.keys import KeyEntry, KeyRules
from longline.agentkit.utterance import SpeechOrder, Utterance
from longline.agentkit.voice import spoken
from longline.base.errors import LonglineError
from longline.streamkit.resend import BufferFull

MAX_EVENTS: Final = 2_000
"""Forty seconds of frames; of more, the oldest are dropped."""
MAX_UTTERANCES: Final = 200


class RequestRefused(LonglineError):
    """What was asked of the call was not done; the text says why."""


class NoVoice(LonglineError):
    """A text was to be said, and there is nothing that could say it."""


class CallSession:
    """Use it within its handler; `async with` runs what reads the line."""

    def __init__(self, line: Line, *, tts: TextToSpeech | None = None) -> None:
        self._line = line
        self.voice = tts
        """Of `say`; a `VoiceAgent` lends its own."""
        self._order = SpeechOrder(line)
        self._tasks = Tasks()
        self._tracks = dict(line.info.tracks)
        self._events: deque[LineEvent] = deque()
        self._arrived = asyncio.Event()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self.utterances: dict[str, Utterance] = {}
        """By id, in the order in which they were said; the last MAX_UTTERANCES."""
        self._unheard: list[Utterance] = []
        self.counters: Counter[str] = Counter()
        self.over: Over | None = None

    async def __aenter__(self) -> Self:
        self._tasks.begin(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel()
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

    @property
    def tracks(self) -> Mapping[int, str]:
        """Who is in the call: the role of each track's party. 0 is the caller; a line that has no tracks has only him.
        Which of them are heard is asked for by `serve`'s `hello`, or by `subscribe`."""
        return dict(self._tracks)

    @property
    def speaking(self) -> Utterance | None:
        """What the caller hears now, or would if it were not paused."""
        return next((each for each in self._left() if each.has_begun), None)

    @property
    def is_speaking(self) -> bool:
        """Something that was begun is left to be heard."""
        return bool(self._left())

    def _left(self) -> list[Utterance]:
        """What was begun and has not ended, in its order."""
        if any(each.is_over for each in self._unheard):
            self._unheard = [each for each in self._unheard if not each.is_over]
        return self._unheard

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        """Until `Over`, which is the last."""
        while (event := await self.next_event()) is not None:
            yield event

    async def next_event(self, until: float | None = None) -> LineEvent | None:
        """The next one; None after `Over`, or when none has come by `until` of the loop's clock."""
        while not self._events:
            if self.over is not None:
                return None
            self._arrived.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._arrived.wait()
            except TimeoutError:
                return None
        return self._events.popleft()

    async def keys(self, rules: KeyRules | None = None, *, within_s: float = 10.0) -> str:
        """What the caller keys in, whole: "4" of `4#`. Empty when no key comes within `within_s`. Every other event
        that comes meanwhile is dropped, but the end of the call, which ends this as well."""
        loop = asyncio.get_running_loop()
        entry = KeyEntry(rules)
        until = loop.time() + within_s
        while True:
            event = await self.next_event(until if entry.deadline is None else entry.deadline)
            done = None
            if isinstance(event, Digit):
                done = entry.press(event.digit, loop.time())
            elif event is None or isinstance(event, Over):
                if isinstance(event, Over):
                    self._events.append(event)
                return entry.keys
            if done is not None:
                return done.keys

    # Commands.

    def say(self, text: str, *, interruptible: bool = True) -> Utterance:
        """Say a text in the voice that `serve` was given, after all that is being said. Returns at once; its `fault`
        is a ProviderError when the voice failed: then less than all of it was said. Raises NoVoice."""
        if self.voice is None:
            raise NoVoice("say needs a voice: serve(…, tts=…), or play sound that you have")
        utterance = self.begin(text, interruptible=interruptible)
        self._tasks.begin(self._make(self.voice, utterance))
        return utterance

    async def _make(self, tts: TextToSpeech, utterance: Utterance) -> None:
        try:
            at = 0
            for sentence in split(utterance.text):
                at, begin_ms, ends = utterance.text.find(sentence, at), utterance.said_ms, list[WordEnd]()
                async with contextlib.aclosing(spoken(tts, sentence, self.rate_hz)) as sounds:
                    async for sound in sounds:
                        if utterance.is_cut or utterance.is_over:
                            return
                        self.add(utterance, sound.pcm)
                        ends += sound.ends
                ends = ends or word_ends(sentence, utterance.said_ms - begin_ms)
                utterance.ends += [WordEnd(at + end.end, begin_ms + end.at_ms) for end in ends]
        except ProviderError as fault:
            utterance.fault = fault
        finally:
            self.finish(utterance)

    def begin(self, text: str = "", *, interruptible: bool = True) -> Utterance:
        """An utterance to which `add` gives its sound piece by piece, and which `finish` completes: until then nothing
        that was begun after it is said. `interruptible` False: a `VoiceAgent` lets nobody talk over it."""
        utterance = Utterance(f"u{next(self._numbers)}", self.rate_hz, text, interruptible=interruptible)
        self.utterances[utterance.id] = utterance
        while len(self.utterances) > MAX_UTTERANCES:
            self.utterances.pop(next(iter(self.utterances))).end(0.0, was_cut=True)
        if self.over is not None:
            utterance.end(0.0, was_cut=True)
        else:
            self._order.begin(utterance)
            self._unheard.append(utterance)
        return utterance

    def add(self, utterance: Utterance, pcm: bytes) -> None:
        """At `rate_hz`. What is added to an utterance that was cut is not said."""
        if pcm:
            self._order.add(utterance, pcm)

    def finish(self, utterance: Utterance) -> None:
        self._order.finish(utterance)

    def play(self, pcm: bytes, text: str = "", *, interruptible: bool = True) -> Utterance:
        """All of an utterance at once."""
        utterance = self.begin(text, interruptible=interruptible)
        self.add(utterance, pcm)
        self.finish(utterance)
        return utterance

    def interrupt(self) -> None:
        """Nothing that was begun is said any more, interruptible or not."""
        self._order.clear()
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

    def subscribe(self, *tracks: int) -> None:
        """Hear these as well. Raises NotOnThisLine."""
        self._line.request("", "subscribe", {"tracks": list(tracks)})

    def unsubscribe(self, *tracks: int) -> None:
        """Hear these no longer. Raises NotOnThisLine."""
        self._line.request("", "unsubscribe", {"tracks": list(tracks)})

    def keep_turn(self, report: Report) -> None:
        """Have the history of the call keep this turn, where the far end has one."""
        if not isinstance(self._line, KeepsTurns):
            return
        try:
            self._line.keep_turn(report)
        except BufferFull:
            self.counters["turns_not_kept"] += 1

    def hangup(self) -> None:
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
            case TrackAdded(track, role):
                self._tracks[track] = role
            case TrackRemoved(track):
                self._tracks.pop(track, None)
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
