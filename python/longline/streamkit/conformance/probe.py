"""`Probe`: one connection of a server under test, raw: everything that came, when it came, and what is to be said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

from websockets.asyncio.connection import Connection as Socket
from websockets.exceptions import ConnectionClosed

from longline.streamkit import server_messages as told
from longline.streamkit.audio import Audio, BadAudio, from_binary, from_fields
from longline.streamkit.conformance.report import Report
from longline.streamkit.format import Format
from longline.streamkit.message import BadMessage, object_of, read


class Probe:
    """Looks at each message as it comes; `messages` and `audio` keep them all."""

    def __init__(self, socket: Socket, report: Report) -> None:
        self.socket = socket
        self.report = report
        self.messages: list[dict[str, Any]] = []
        self.audio: list[Audio] = []
        self.arrived_at: list[float] = []
        self.format = Format()
        self.number = 0
        """Of the next numbered message."""
        self.closed = asyncio.Event()
        self._news = asyncio.Event()
        self._is_first = True
        self._reader = asyncio.create_task(self._read())

    @property
    def start(self) -> dict[str, Any]:
        return self.first("start") or {}

    def first(self, kind: str, after: int = 0) -> dict[str, Any] | None:
        """The first message of this type, from index `after` on."""
        return next((each for each in self.messages[after:] if each["type"] == kind), None)

    def all(self, kind: str, after: int = 0) -> list[dict[str, Any]]:
        return [each for each in self.messages[after:] if each["type"] == kind]

    async def until(self, kind: str, seconds: float = 3.0, *, after: int = 0, **fields: Any) -> dict[str, Any] | None:
        """Wait for a message of this type with these fields; None when it did not come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    for each in self.messages[after:]:
                        if each["type"] == kind and all(each.get(name) == value for name, value in fields.items()):
                            return each
                    if self.closed.is_set():
                        return None
                    self._news.clear()
                    await self._news.wait()
        return None

    async def say(self, kind: str, **fields: Any) -> None:
        """A message without a number."""
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(json.dumps({"type": kind} | fields))

    async def say_numbered(self, kind: str, **fields: Any) -> int:
        number, self.number = self.number, self.number + 1
        await self.say(kind, sequence=number, **fields)
        return number

    async def speak(self, payload: bytes, *, number: int | None = None, generation: int = 0, flags: int = 0) -> int:
        """Audio for all; a number that is given is not counted."""
        if number is None:
            number, self.number = self.number, self.number + 1
        audio = Audio(0, number, payload, 0, flags | (generation & 0xFF) << 8)
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(audio.to_binary() if self.format.mode == "binary" else audio.to_text())
        return number

    async def say_hello(self, **fields: Any) -> dict[str, Any] | None:
        """`ready`, or None."""
        await self.say("hello", **fields)
        ready = await self.until("ready", 3)
        if ready is not None:
            self.format = Format.model_validate(ready["audio"])
            self.number = ready["received"] + 1
        return ready

    async def close_code(self, seconds: float = 3.0) -> int | None:
        """The code with which the server closed; None when it did not, or without one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.closed.wait()
        return self.socket.close_code if self.closed.is_set() else None

    async def drop(self) -> None:
        """Break the socket."""
        self.socket.transport.abort()
        await self.closed.wait()

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                self._look_at(data)
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()
            self._news.set()

    def _look_at(self, data: str | bytes) -> None:
        report = self.report
        try:
            if isinstance(data, bytes):
                self._look_at_audio(from_binary(data), "binary")
                return
            fields = object_of(data)
            message = read(fields, told.BY_TYPE)
            report.check("messages_are_valid", message is not None, f"there is no type {fields['type']!r}")
            if fields["type"] == "audio":
                self._look_at_audio(from_fields(fields), "json")
                return
        except BadAudio as error:
            report.check("audio_has_a_header", False, str(error))
            return
        except BadMessage as error:
            report.check("messages_are_valid", False, str(error))
            return
        if self._is_first:
            report.check("start_first", fields["type"] == "start", f"{fields['type']} came first")
            self._is_first = False
        self.messages.append(fields)
        if fields["type"] == "ping":
            task = asyncio.ensure_future(self.say("pong", id=fields["id"]))
            task.add_done_callback(lambda _: None)
        if fields["type"] == "ready":
            self.format = Format.model_validate(fields["audio"])

    def _look_at_audio(self, audio: Audio, mode: str) -> None:
        report, wanted = self.report, self.format
        has_ready = self.first("ready") is not None
        if not report.check("audio_after_ready", has_ready, "audio came before `ready`"):
            return
        report.check("audio_has_a_header", mode == wanted.mode, f"it came as {mode}, {wanted.mode} was agreed on")
        report.check("unknown_flags_are_zero", not audio.flags & ~3, f"flags {audio.flags:#06x}")
        if wanted.frame_bytes:
            why = f"{len(audio.payload)} bytes, a frame has {wanted.frame_bytes}"
            report.check("audio_is_whole_frames", len(audio.payload) == wanted.frame_bytes, why)
        self.audio.append(audio)
        self.arrived_at.append(time.monotonic())
