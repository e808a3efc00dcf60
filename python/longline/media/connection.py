"""One connection to the media server: commands out, their answers and the events in.

Answers may come in any order; each finds its command by number. When the connection ends, every command that waits
fails with MediaUnavailable, and `closed` is set: deciding what then happens is the engine's business.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from longline.base.errors import MediaUnavailable
from longline.base.log import get_logger
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.commands import Command
from longline.media.protocol.events import MediaEvent, parse_event
from longline.media.protocol.framing import FrameReader, ProtocolError, encode_frame

COMMAND_TIMEOUT_S = 5.0
MAX_PENDING_COMMANDS = 10_000
"""Commands that wait for an answer; one more is refused with MediaUnavailable: the server is then not keeping up."""
_READ_BYTES = 1 << 16

log = get_logger(__name__)


class MediaConnection:
    """`request` sends a command and returns its answer; events go to `on_event`, in the order they came."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: Callable[[MediaEvent], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.closed = asyncio.Event()
        self.unknown_events = 0
        self._read_task = asyncio.create_task(self._read(), name="media-connection")

    @classmethod
    async def open(cls, path: Path, on_event: Callable[[MediaEvent], None]) -> MediaConnection:
        """Connect to the server's Unix socket. Raise OSError when nothing listens there."""
        reader, writer = await asyncio.open_unix_connection(str(path))
        return cls(reader, writer, on_event)

    async def request(self, command: Command, timeout_s: float = COMMAND_TIMEOUT_S) -> dict[str, Any]:
        """The `ok` of the answer. Raise MediaCommandRefused for an error, MediaUnavailable when none comes."""
        if self.closed.is_set():
            raise MediaUnavailable("The media server is not connected.")
        if len(self._pending) >= MAX_PENDING_COMMANDS:
            raise MediaUnavailable(f"The media server has {MAX_PENDING_COMMANDS} commands to answer.")
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            self._writer.write(encode_frame(command.to_message(number)))
            async with asyncio.timeout(timeout_s):
                message = await answer
        except TimeoutError as error:
            raise MediaUnavailable(f"The media server did not answer {command.name} in {timeout_s:g} s.") from error
        finally:
            self._pending.pop(number, None)
        return _read_answer(command, message)

    async def close(self) -> None:
        """End the connection. Being cancelled meanwhile is not mistaken for the end of the reading task."""
        self._read_task.cancel()
        await asyncio.wait([self._read_task])

    async def _read(self) -> None:
        frames = FrameReader()
        try:
            while data := await self._reader.read(_READ_BYTES):
                for message in frames.feed(data):
                    self._receive(message)
        except (OSError, ProtocolError) as error:
            log.error("media connection failed", error=str(error))
        finally:
            self._fail_pending()
            self._writer.close()
            self.closed.set()

    def _receive(self, message: dict[str, Any]) -> None:
        if "event" not in message:
            answer = self._pending.get(message.get("re", 0))
            if answer is not None and not answer.done():
                answer.set_result(message)
            return  # no one waits for it any more: its command timed out
        event = parse_event(message)
        if event is None:
            self.unknown_events += 1
            return
        try:
            self._on_event(event)
        except Exception:
            log.exception("media event handler failed", event_name=event.name)

    def _fail_pending(self) -> None:
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(MediaUnavailable("The media server went away."))


def _read_answer(command: Command, message: dict[str, Any]) -> dict[str, Any]:
    error = message.get("error")
    if isinstance(error, dict):
        raise MediaCommandRefused(command.name, str(error.get("code")), str(error.get("message")))
    ok = message.get("ok")
    if not isinstance(ok, dict):
        raise MediaUnavailable(f"The media server's answer to {command.name} is neither ok nor error.")
    return ok
