"""A call's transcriber, kept listening: when it fails it is begun again, sooner or later, and at last it is given up.

    hear (a frame) · end_turn → frames → listen → transcripts
                                  ↑ fails: Deaf is told, what waited is dropped, and after a while it listens again

A transcriber that ends by itself, or raises what no transcriber should, has failed as well. Bounds: frames that wait
(the oldest go first, the ends of turns stay), tries in a row, seconds between them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from longline.agentkit.ports import ProviderError, SpeechToText, Transcript
from longline.agentkit.voice import closed, name_of

MAX_FRAMES: Final = 500
"""That wait for the transcriber: ten seconds of them."""
TRIES: Final = 4
"""Failures in a row, without a transcript between them: after the last the agent is deaf for good."""
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 8.0
"""A transcriber that wants to be left alone for longer is given up."""


@dataclass(frozen=True, slots=True)
class Deaf:
    """It has failed. `for_good`: it is not tried again."""

    error: ProviderError
    for_good: bool


class Ears:
    """`run` is a task; `tell` gets what it hears."""

    def __init__(self, stt: SpeechToText, rate_hz: int, tell: Callable[[Transcript | Deaf], None]) -> None:
        self._stt = stt
        self._rate_hz = rate_hz
        self._tell = tell
        self._frames: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._failures = 0
        self.dropped = 0
        """Frames, because there were too many."""

    def hear(self, pcm: bytes) -> None:
        self._frames.append(pcm)
        if len(self._frames) > MAX_FRAMES:
            at = next((n for n, frame in enumerate(self._frames) if frame), 0)
            del self._frames[at]
            self.dropped += 1
        self._arrived.set()

    def end_turn(self) -> None:
        """A final is wanted now."""
        self.hear(b"")

    async def run(self) -> None:
        """Until it is cancelled, or deaf for good."""
        while True:
            error = await self._listen()
            self._failures += 1
            wait_s = min(FIRST_WAIT_S * 2 ** (self._failures - 1), LONGEST_WAIT_S)
            wait_s = max(wait_s, error.retry_after_s or 0.0)
            for_good = self._failures >= TRIES or wait_s > LONGEST_WAIT_S
            self._frames.clear()
            self._tell(Deaf(error, for_good))
            if for_good:
                return
            await asyncio.sleep(wait_s)

    async def _listen(self) -> ProviderError:
        transcripts = self._stt.listen(self._waiting(), self._rate_hz)
        try:
            async for transcript in transcripts:
                self._failures = 0
                self._tell(transcript)
        except ProviderError as error:
            return error
        except Exception as error:
            return ProviderError(name_of(self._stt), f"{type(error).__name__}: {error}")
        finally:
            await closed(transcripts)
        return ProviderError(name_of(self._stt), "has stopped listening")

    async def _waiting(self) -> AsyncIterator[bytes]:
        while True:
            while self._frames:
                yield self._frames.popleft()
            self._arrived.clear()
            await self._arrived.wait()
