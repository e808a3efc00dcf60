"""Something that the agent says, and the order in which such things are said.

Utterances are said in the order in which they were begun. The sound of one that is made while an earlier one is not
complete waits here, so that two that are made at once do not mix.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from longline.agentkit.heard import WordEnd, heard_text

MAX_WAITING_MS: Final = 120_000
"""Of sound that waits for an earlier utterance; what is more is not said, counted."""


class Utterance:
    """`ended` is done when it was heard to its end, or cut. `heard_ms` of `said_ms` were heard, the words of `heard`;
    `fault` is what went wrong in the making of it, if anything did."""

    def __init__(self, id: str, rate_hz: int, text: str = "", *, interruptible: bool = True) -> None:
        self.id = id
        self.text = text
        self.interruptible = interruptible
        self.said_ms = 0.0
        self.heard_ms = 0.0
        self.was_cut = False
        self.has_begun = False
        self.is_cut = False
        """It was interrupted: what is still made of it is not said. It has ended when the line has told how far it
        was heard."""
        self.fault: Exception | None = None
        self.ends: list[WordEnd] = []
        """Where words of `text` end, as far as it is known."""
        self._ended: asyncio.Future[Utterance] = asyncio.get_running_loop().create_future()
        self._rate_hz = rate_hz

    @property
    def is_over(self) -> bool:
        return self._ended.done()

    @property
    def heard(self) -> str:
        """The words of `text` that were heard: while it is being said those so far, by what the line tells of it."""
        if self.is_over and not self.was_cut and self.fault is None:
            return self.text
        return heard_text(self.text, self.said_ms, self.heard_ms, self.ends or None)

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


class Speaker(Protocol):
    """The part of a line that speaks."""

    def say(self, utterance_id: str, pcm: bytes) -> None: ...

    def say_end(self, utterance_id: str) -> None: ...


class _Waiting:
    __slots__ = ("is_whole", "pcm", "utterance")

    def __init__(self, utterance: Utterance) -> None:
        self.utterance = utterance
        self.pcm = bytearray()
        self.is_whole = False


class SpeechOrder:
    """`begin`, `add`, `finish` each utterance; the line hears of them one after the other."""

    def __init__(self, line: Speaker) -> None:
        self._line = line
        self._queue: deque[_Waiting] = deque()
        self.dropped = 0
        """Pieces of sound for which there was no room."""

    def begin(self, utterance: Utterance) -> None:
        self._queue.append(_Waiting(utterance))

    def add(self, utterance: Utterance, pcm: bytes) -> None:
        self._leave()
        waiting = None if utterance.is_cut or utterance.is_over else self._find(utterance)
        if waiting is None:
            return
        if waiting is self._queue[0]:
            utterance.add(pcm)
            self._line.say(utterance.id, pcm)
        elif utterance.said_ms > MAX_WAITING_MS:
            self.dropped += 1
        else:
            utterance.add(pcm)
            waiting.pcm += pcm

    def finish(self, utterance: Utterance) -> None:
        waiting = self._find(utterance)
        if waiting is not None:
            waiting.is_whole = True
            self._leave()

    def _find(self, utterance: Utterance) -> _Waiting | None:
        return next((each for each in self._queue if each.utterance is utterance), None)

    def _leave(self) -> None:
        """All that may be said now is said."""
        while self._queue:
            first = self._queue[0]
            if not first.utterance.is_cut and not first.utterance.is_over:
                if first.pcm:
                    self._line.say(first.utterance.id, bytes(first.pcm))
                    first.pcm.clear()
                if not first.is_whole:
                    return
                if first.utterance.said_ms == 0:
                    first.utterance.end(0.0, was_cut=False)
                else:
                    self._line.say_end(first.utterance.id)
            self._queue.popleft()

    def clear(self) -> None:
        """Nothing of what was begun is said any more. How much of the first was heard is told by the line."""
        for number, waiting in enumerate(self._queue):
            waiting.utterance.is_cut = True
            if number > 0 or waiting.utterance.said_ms == 0:
                waiting.utterance.end(0.0, was_cut=True)
        self._queue.clear()
