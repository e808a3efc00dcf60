"""`Stream`: one stream for the code that talks, whatever happens to its sockets. An asyncio shell of `Connection`.

    async for event in stream:      # Audio, and every message of Longline
        stream.say(...)             # at any time, also while there is no socket

Commands are those of `Connection`, at once and without waiting; `drained` waits until Longline has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from websockets.asyncio.connection import Connection as Socket
from websockets.exceptions import ConnectionClosed

from longline.streamkit.app_messages import AppMessage, Turn
from longline.streamkit.connection import Connection, Dropped, Event, Stalled, State
from longline.streamkit.dial import delays, dial
from longline.streamkit.format import Format
from longline.streamkit.server_messages import Start

MAX_EVENTS: Final = 4096
"""Events that wait to be read; while there are more, the socket is not read."""
NEWER_SOCKET: Final = 4409
DIAL_IN_AFTER_S: Final = 0.5
"""Longline dials again at once: an application dials in when that has not helped."""


class Stream:
    """Made by the server; given to the handler."""

    def __init__(
        self,
        connection: Connection,
        *,
        dial_in_after_s: float | None = DIAL_IN_AFTER_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.connection = connection
        self._dial_in_after_s = dial_in_after_s
        self._tls = tls
        self._socket: Socket | None = None
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._changed = asyncio.Event()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._dialling: asyncio.Task[None] | None = None

    # For the code that talks.

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._read()

    async def _read(self) -> AsyncIterator[Event]:
        while True:
            while self._events:
                event = self._events.popleft()
                self._taken.set()
                yield event
            if self.is_over:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def say(self, payload: bytes, track: int = 0) -> int:
        """Speech in `format`; see `Connection.say`. Raises BufferFull when too much is not acknowledged."""
        number = self.connection.say(payload, track)
        self._wake.set()
        return number

    def speak(self, utterance_id: str, track: int = 0) -> None:
        self.connection.speak(utterance_id, track)
        self._wake.set()

    def speak_end(self, track: int = 0) -> None:
        self.connection.speak_end(track)
        self._wake.set()

    def mark(self, name: str, track: int = 0) -> None:
        self.connection.mark(name, track)
        self._wake.set()

    def clear(self, track: int | None = None) -> None:
        self.connection.clear(track)
        self._wake.set()

    def interrupt(self, utterance_id: str) -> None:
        self.connection.interrupt(utterance_id)
        self._wake.set()

    def pause(self) -> None:
        self.connection.pause()
        self._wake.set()

    def resume(self) -> None:
        self.connection.resume()
        self._wake.set()

    def send_dtmf(self, digits: str, *, tone_ms: int | None = None, track: int | None = None) -> None:
        self.connection.send_dtmf(digits, tone_ms=tone_ms, track=track)
        self._wake.set()

    def turn(self, turn: Turn) -> None:
        """Have the call's history keep it."""
        self.connection.turn(turn)
        self._wake.set()

    def subscribe(self, *tracks: int) -> None:
        self.connection.subscribe(*tracks)
        self._wake.set()

    def unsubscribe(self, *tracks: int) -> None:
        self.connection.unsubscribe(*tracks)
        self._wake.set()

    def hangup(self, reason: str | None = None) -> None:
        self.connection.hangup(reason)
        self._wake.set()

    def stop(self) -> None:
        self.connection.stop()
        self._wake.set()

    def request(self, message: AppMessage) -> None:
        """A transfer, a recording, a ping."""
        self.connection.request(message)
        self._wake.set()

    @property
    def format(self) -> Format:
        """What is spoken; agreed on once `Ready` has come."""
        return self.connection.format

    @property
    def start(self) -> Start:
        """Who calls, and the rest of the last `start`."""
        assert self.connection.start is not None, "a handler runs after the first start"
        return self.connection.start

    async def drained(self) -> None:
        """Wait until Longline has all that was said, or the stream is over."""
        while self.connection.unacknowledged and self.connection.state is not State.OVER:
            self._changed.clear()
            await self._changed.wait()

    async def ready(self) -> None:
        """Wait until the format is agreed on, or the stream is over."""
        while self.connection.state is not State.READY and not self.is_over:
            self._changed.clear()
            await self._changed.wait()

    @property
    def is_over(self) -> bool:
        return self.connection.state is State.OVER

    # For the server.

    async def started(self) -> None:
        """Wait for the first `start`."""
        while self.connection.start is None and not self.is_over:
            self._changed.clear()
            await self._changed.wait()

    async def attach(self, socket: Socket, first: str | bytes | None = None) -> None:
        """Carry the stream on this socket until it is lost or closed; `first` was read from it already."""
        older, self._socket = self._socket, socket
        self.connection.socket_opened(self._now())
        if older is not None:
            older.transport.abort()
        writer = asyncio.create_task(self._write(socket))
        try:
            if first is not None:
                self._receive(first)
            async for data in socket:
                if self._socket is not socket:
                    break
                self._receive(data)
                while len(self._events) >= MAX_EVENTS:
                    self._taken.clear()
                    await self._taken.wait()
        except ConnectionClosed:
            pass
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            if self._socket is socket:
                self._socket = None
                self.connection.socket_closed(self._now(), socket.close_code)
                self._settle()

    def drop(self) -> None:
        """Break the socket, to take the stream up again on another."""
        if self._socket is not None:
            self._socket.transport.abort()

    def abandon(self) -> None:
        """The process ends: no socket is closed in order, and none opened, so that the stream goes on elsewhere."""
        self._dial_in_after_s = None
        if self._timer is not None:
            self._timer.cancel()
        if self._dialling is not None:
            self._dialling.cancel()
        self.drop()

    def _receive(self, data: str | bytes) -> None:
        self.connection.receive(self._now(), data)
        self._settle()

    def _settle(self) -> None:
        """After each input: events out, the writer woken, the timer armed."""
        while (event := self.connection.poll_event()) is not None:
            self._events.append(event)
            self._arrived.set()
            if isinstance(event, Stalled):
                self.drop()
                if self._dial_in_after_s is not None:
                    self._dial_in(0.0)
            elif isinstance(event, Dropped) and self._dial_in_after_s is not None:
                self._dial_in(self._dial_in_after_s)
        self._changed.set()
        if self.connection.has_to_write:
            self._wake.set()
        due = self.connection.next_timeout()
        if self._timer is not None:
            # Each message moves the time-out on: a timer that fires early looks again, and costs less than a new one.
            if due is not None and self._timer.when() <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.connection.handle_timeout(self._now())
        self._settle()

    async def _write(self, socket: Socket) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                while self._socket is socket and (data := self.connection.poll_transmit()) is not None:
                    await socket.send(data)
                if self.connection.closing is not None:
                    await socket.close(self.connection.closing)
                    return
                self._wake.clear()
                await self._wake.wait()

    def _dial_in(self, after_s: float) -> None:
        offer = self.connection.start.resume if self.connection.start else None
        if offer is None or offer.url is None or (self._dialling is not None and not self._dialling.done()):
            return
        self._dialling = asyncio.create_task(self._keep_dialling(after_s))

    async def _keep_dialling(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        for delay_s in delays():
            await asyncio.sleep(delay_s)
            offer = self.connection.start.resume if self.connection.start else None
            if self.connection.state is not State.OFFLINE or offer is None:
                return
            socket = await dial(offer, tls=self._tls)
            if socket is None:
                continue
            if self.connection.state is not State.OFFLINE:  # Longline was there first.
                await socket.close(NEWER_SOCKET)
                return
            await self.attach(socket)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
