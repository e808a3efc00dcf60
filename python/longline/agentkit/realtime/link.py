"""The connection of a call with its model: made again when it is lost, and given up when that is of no use.

    run → Up, events…, Down, Up, …, Down(for_good)

What the caller says waits while it is down, and what was sent before and has led to nothing goes with it: that a
connection is dead is known some seconds late. Of both the last seconds are kept. All else that is sent then is dropped,
for a connection that is new knows nothing: whoever hears `Up` tells it what it has to know. Bounds: tries in a row,
sound that waits, messages that wait to be written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from longline.agentkit.ports import ProviderError
from longline.agentkit.vendor import faults, status_of

NAME: Final = "openai realtime"
TRIES: Final = 4
"""Connections that fail in a row; after the last it is given up."""
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 4.0
"""A service that wants to be left alone for longer is given up."""
MAX_SOUND: Final = 500
"""Pieces of the caller's sound that wait for a connection: ten seconds."""
MAX_UNSENT: Final = 2_000
"""Messages that wait to be written: a connection that takes none is lost."""
MAX_MESSAGE: Final = 16 * 1024 * 1024
PING_S: Final = 3.0
"""A connection that is silent is asked so often, and has so long to answer."""
HOPELESS: Final = frozenset({400, 401, 403, 404, 405, 410, 422})
"""Statuses that are the same however often it is asked."""


@dataclass(frozen=True, slots=True)
class Up:
    """`again`: it was up before."""

    again: bool


@dataclass(frozen=True, slots=True)
class Down:
    error: ProviderError
    for_good: bool


Event = Mapping[str, Any]


class Link:
    """`run` is a task; `tell` gets what happens."""

    def __init__(
        self,
        client: Any,
        model: str,
        session: Mapping[str, Any],
        tell: Callable[[Up | Down | Event], None],
        *,
        connect_s: float,
    ) -> None:
        self._client = client
        self._model = model
        self._session = session
        self._tell = tell
        self._connect_s = connect_s
        self._sound: deque[tuple[str, float]] = deque(maxlen=MAX_SOUND)
        self._sent: deque[tuple[str, float]] = deque(maxlen=MAX_SOUND)
        """What may have to be told again."""
        self._unsent: asyncio.Queue[str] = asyncio.Queue(MAX_UNSENT)
        self._failures = 0
        self.is_up = False
        self.number = 0
        """Of the connection, from 1."""
        self.sent_ms = 0.0
        """Of the caller's sound, over this connection: the model's positions begin with it."""
        self.bad_messages = 0

    def send(self, kind: str, **fields: Any) -> None:
        if self.is_up:
            self._write(json.dumps({"type": kind, **fields}))

    def hear(self, audio: str, length_ms: float) -> None:
        """Of the caller, in base64 and the session's format."""
        text = f'{{"type": "input_audio_buffer.append", "audio": "{audio}"}}'
        if self.is_up and not self._sound:
            self._write_sound(text, length_ms)
        else:
            self._sound.append((text, length_ms))

    def hear_what_waited(self) -> None:
        """What the caller has said while it was down."""
        while self._sound:
            self._write_sound(*self._sound.popleft())

    def is_heard(self) -> None:
        """What was sent so far has led to something, or is of no use."""
        self._sent.clear()

    def _write_sound(self, text: str, length_ms: float) -> None:
        self.sent_ms += length_ms
        self._sent.append((text, length_ms))
        self._write(text)

    def _write(self, text: str) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._unsent.put_nowait(text)

    async def run(self) -> None:
        """Until it is cancelled, or given up."""
        while True:
            error, hopeless = await self._converse()
            self.is_up = False
            self._sound = deque([*self._sent, *self._sound], MAX_SOUND)
            self._sent.clear()
            self._failures += 1
            wait_s = min(FIRST_WAIT_S * 2 ** (self._failures - 1), LONGEST_WAIT_S)
            wait_s = max(wait_s, error.retry_after_s or 0.0)
            for_good = hopeless or self._failures >= TRIES or wait_s > LONGEST_WAIT_S
            self._tell(Down(error, for_good))
            if for_good:
                return
            await asyncio.sleep(wait_s)

    async def _converse(self) -> tuple[ProviderError, bool]:
        """One connection, to its end: why it ended, and whether another try is hopeless."""
        try:
            with faults(NAME):
                async with contextlib.AsyncExitStack() as stack:
                    async with asyncio.timeout(self._connect_s):
                        connection = await stack.enter_async_context(
                            self._client.realtime.connect(
                                model=self._model,
                                websocket_connection_options={
                                    "max_size": MAX_MESSAGE,
                                    "ping_interval": PING_S,
                                    "ping_timeout": PING_S,
                                    "close_timeout": 1.0,
                                },
                            )
                        )
                        await self._agree(connection)
                    await self._exchange(connection)
        except ProviderError as error:
            status = None if error.__cause__ is None else status_of(error.__cause__)
            return error, status in HOPELESS or isinstance(error, _Refused)
        return ProviderError(NAME, "the model has closed the connection"), False

    async def _agree(self, connection: Any) -> None:
        await connection.send_raw(json.dumps({"type": "session.update", "session": self._session}))
        while True:
            event = self._read(await connection.recv_bytes())
            if event is None:
                continue
            if event["type"] == "session.updated":
                return
            if event["type"] == "error":
                raise _Refused(NAME, problem_of(event))

    async def _exchange(self, connection: Any) -> None:
        while not self._unsent.empty():
            self._unsent.get_nowait()
        self._failures = 0
        self.sent_ms, self.is_up = 0.0, True
        self.number += 1
        self._tell(Up(self.number > 1))
        writing = asyncio.create_task(self._write_all(connection))
        reading = asyncio.create_task(self._read_all(connection))
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
            for task in (reading, writing):
                if task.done():
                    task.result()
        finally:
            self.is_up = False
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)

    async def _write_all(self, connection: Any) -> None:
        while True:
            await connection.send_raw(await self._unsent.get())
            if self._unsent.full():
                raise ProviderError(NAME, "the connection takes no more")

    async def _read_all(self, connection: Any) -> None:
        while True:
            event = self._read(await connection.recv_bytes())
            if event is not None:
                self._tell(event)

    def _read(self, data: bytes) -> Event | None:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            return event
        self.bad_messages += 1
        return None


class _Refused(ProviderError):
    """The session is not what this model takes: it will not be the next time either."""


def problem_of(event: Event) -> str:
    """What an `error` event says, or a response that failed."""
    error = event.get("error")
    if not isinstance(error, dict):
        return "an error without a word"
    told = (error.get("code") or error.get("type"), error.get("message"))
    return ": ".join(str(part) for part in told if part)[:300] or "an error without a word"
