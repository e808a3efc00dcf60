"""What a caller has said and nobody has understood yet: kept, to be said again to another connection or provider.

Frames, and empty frames where a turn was over, with their places in the audio. What has become a final is forgotten.
Bound: `keep_s` of audio; of more the oldest goes, counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

KEEP_S: Final = 20.0


class Tape:
    """One caller's. `add` is told what `listen` is given, `reader` gives it from the oldest that is kept."""

    def __init__(self, rate_hz: int, keep_s: float = KEEP_S) -> None:
        self._rate_hz = rate_hz
        self._keep_ms = keep_s * 1_000
        self._frames: deque[tuple[float, bytes]] = deque()
        self._added = asyncio.Event()
        self.first = 0
        """The number of the oldest frame that is kept."""
        self.end_ms = 0.0
        self.is_over = False
        self.dropped = 0

    async def fill(self, audio: AsyncIterator[bytes]) -> None:
        """All of it, until it ends."""
        async for frame in audio:
            self.add(frame)
        self.close()

    def add(self, frame: bytes) -> None:
        self._frames.append((self.end_ms, frame))
        self.end_ms += len(frame) * 500 / self._rate_hz
        while self.end_ms - self._frames[0][0] > self._keep_ms:
            self._forget_oldest()
            self.dropped += 1
        self._added.set()

    def close(self) -> None:
        """Nothing more comes."""
        self.is_over = True
        self._added.set()

    def forget(self, until_ms: float) -> None:
        """What lies before is understood; that a turn was over is not forgotten by this."""
        while self._frames and (frame := self._frames[0])[1] and frame[0] + self._length_ms(frame[1]) <= until_ms:
            self._forget_oldest()

    def forget_turn(self) -> None:
        """All up to the first place where a turn was over."""
        if any(not frame for _, frame in self._frames):
            while self._forget_oldest():
                pass

    def reader(self) -> Reader:
        return Reader(self)

    def at(self, number: int) -> bytes | None:
        """The frame of this number, when it is there already."""
        index = number - self.first
        return self._frames[index][1] if 0 <= index < len(self._frames) else None

    @property
    def begins_ms(self) -> float:
        """The place of the oldest that is kept."""
        return self._frames[0][0] if self._frames else self.end_ms

    async def more(self) -> None:
        """Wait until something is added."""
        self._added.clear()
        await self._added.wait()

    def _forget_oldest(self) -> bytes:
        self.first += 1
        return self._frames.popleft()[1]

    def _length_ms(self, frame: bytes) -> float:
        return len(frame) * 500 / self._rate_hz


class Reader:
    """From where the tape begins now; `began_ms` is that place in the caller's audio. One at a time waits."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._next = tape.first
        self.began_ms = tape.begins_ms

    async def read(self) -> bytes | None:
        """The next frame, empty where a turn was over; None when there is no more. May be cancelled without loss."""
        while True:
            self._next = max(self._next, self._tape.first)
            frame = self._tape.at(self._next)
            if frame is not None:
                self._next += 1
                return frame
            if self._tape.is_over:
                return None
            await self._tape.more()
