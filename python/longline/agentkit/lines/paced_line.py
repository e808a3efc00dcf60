"""A line over a WebSocket of another platform: its codec, and speech that is paced here. An asyncio shell."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from longline.agentkit.line import CallInfo, Digit, Frame, HeldBack, LineEvent, NotOnThisLine, Over
from longline.agentkit.lines.codec import Audio, Codec, Marked, Pressed, Stopped
from longline.agentkit.lines.paced import PacedSpeech

MAX_EVENTS: Final = 4096
"""Events that wait to be read; while there are more, the socket is not read."""


class PacedLine:
    """Runs while `events` is read. Marks are named by the utterance and by how often speech was cleared before: a mark
    that is answered because of a clear is known by that."""

    def __init__(self, socket: ServerConnection, codec: Codec) -> None:
        self._socket = socket
        self._codec = codec
        self._speech = PacedSpeech(codec.rate_hz, confirms=codec.confirms)
        self._events: deque[LineEvent] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._wake = asyncio.Event()
        self._outbox: deque[str] = deque()
        self._heard_bytes = 0
        self._clears = 0
        self._is_over = False

    @property
    def info(self) -> CallInfo:
        return self._codec.info

    @property
    def rate_hz(self) -> int:
        return self._codec.rate_hz

    async def events(self) -> AsyncIterator[LineEvent]:
        tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._send())]
        try:
            while True:
                while self._events:
                    event = self._events.popleft()
                    self._taken.set()
                    yield event
                    if isinstance(event, Over):
                        return
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # What the agent commands.

    def say(self, utterance_id: str, pcm: bytes) -> None:
        self._speech.say(utterance_id, pcm)
        self._wake.set()

    def say_end(self, utterance_id: str) -> None:
        self._speech.say_end(utterance_id)
        self._wake.set()

    def clear(self) -> None:
        self._clear_far_end()
        self._tell(self._speech.clear(self._now()))

    def pause(self) -> None:
        if not self._speech.is_paused:
            self._clear_far_end()
            self._tell([*self._speech.pause(self._now()), HeldBack(True)])

    def resume(self) -> None:
        if self._speech.is_paused:
            self._speech.resume()
            self._tell([HeldBack(False)])
            self._wake.set()

    def send_digits(self, digits: str) -> None:
        raise NotOnThisLine("this protocol cannot send keys: use the platform's REST API")

    def request(self, request_id: str, action: str, fields: Mapping[str, Any]) -> None:
        raise NotOnThisLine(f"this protocol has no {action}: use the platform's REST API")

    def hang_up(self) -> None:
        """Close the stream: the platform then does what comes after it, which is to hang up when that is nothing."""
        self._is_over = True
        self._wake.set()

    # The shell.

    def _clear_far_end(self) -> None:
        self._clears += 1
        self._outbox.append(self._codec.clear())
        self._wake.set()

    async def _receive(self) -> None:
        reason = "closed"
        try:
            async for text in self._socket:
                if isinstance(text, bytes):
                    continue
                if not self._take(text):
                    reason = "stopped"
                    break
                while len(self._events) >= MAX_EVENTS:
                    self._taken.clear()
                    await self._taken.wait()
        except ConnectionClosed:
            reason = "lost"
        self._tell([*self._speech.clear(self._now()), Over(reason)])

    def _take(self, text: str) -> bool:
        match self._codec.read(text):
            case Audio(pcm):
                at_ms = self._heard_bytes * 500 / self.rate_hz
                self._heard_bytes += len(pcm)
                self._tell([Frame(pcm, at_ms)])
            case Pressed(digit):
                self._tell([Digit(digit)])
            case Marked(name):
                clears, _, utterance_id = name.partition(":")
                if clears == str(self._clears):
                    self._tell(self._speech.confirmed(utterance_id, self._now()))
            case Stopped():
                return False
        return True

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._wake.clear()
                while self._outbox:
                    await self._socket.send(self._outbox.popleft())
                self._tell(self._speech.handle_timeout(self._now()))
                while not self._outbox and (chunk := self._speech.poll(self._now())) is not None:
                    await self._socket.send(self._codec.audio(chunk.pcm))
                    mark = self._codec.mark(f"{self._clears}:{chunk.utterance_id}") if chunk.is_last else None
                    if mark is not None and not self._outbox:
                        await self._socket.send(mark)
                if self._is_over:
                    await self._socket.close()
                    return
                due = self._speech.next_timeout(self._now())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                        await self._wake.wait()

    def _tell(self, events: list[LineEvent]) -> None:
        self._events += events
        if events:
            self._arrived.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
