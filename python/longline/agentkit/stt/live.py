"""A transcriber behind a WebSocket, whichever vendor's: connected for a whole call, with a final for each turn.

    connect → send what is on the tape, keep alive → partials, finals → the connection drops → connect, send again

A connection that drops is made again, and is told what was said and not understood yet: no word is lost, and the agent
does not notice. A vendor that refuses, says that it cannot, or owes a final for too long is a ProviderError. A vendor's
adapter is what makes a `LiveSocket`: it neither reconnects nor waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.stt.tape import Reader, Tape
from longline.agentkit.vendor import faults, status_of

TOLD_AHEAD: Final = 200
"""Transcripts that wait for their reader; a vendor that says more waits."""
MAX_BACKOFF_S: Final = 2.0
CLOSE_S: Final = 1.0
"""How long a far end may take to say goodbye."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a vendor tells. `ends_turn`: it is the answer to `finish`, with the last words. `end_ms`: up to where it
    reaches, in the audio of this connection."""

    text: str
    is_final: bool
    ends_turn: bool = False
    confidence: float | None = None
    end_ms: float | None = None


class LiveSocket(Protocol):
    """One connection of one vendor. A fault raises; a vendor's own word that it cannot go on is a ProviderError."""

    async def send(self, pcm: bytes) -> None: ...

    async def finish(self) -> None:
        """The turn is over: ask for its final now."""
        ...

    async def keep_alive(self) -> None:
        """Nothing was sent for a while."""
        ...

    def heard(self) -> AsyncIterator[Heard]:
        """Until the far end closes."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LiveRules:
    """Seconds. A final is given `final_within_s` after the end of a turn, of what is known by then, when the vendor has
    not sent one; a vendor that says nothing at all for `stall_s` after it has failed. `reconnects` tries in a row."""

    connect_s: float = 5.0
    final_within_s: float = 0.5
    stall_s: float = 3.0
    keep_alive_s: float = 4.0
    reconnects: int = 3
    backoff_s: float = 0.1
    chunk_ms: float = 0.0
    """So much is sent at a time at least (but for the end of a turn)."""


async def listen_live(
    provider: str,
    connect: Callable[[int], Awaitable[LiveSocket]],
    audio: AsyncIterator[bytes],
    rate_hz: int,
    rules: LiveRules,
) -> AsyncIterator[Transcript]:
    """`SpeechToText.listen` by connections that `connect` makes. Closing it closes them."""
    listening = _Listening(provider, connect, rate_hz, rules)
    working = asyncio.create_task(listening.run(audio))
    try:
        while isinstance(told := await listening.told.get(), Transcript):
            yield told
        if told is not None:
            raise told
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


class _Listening:
    """One call."""

    def __init__(
        self, provider: str, connect: Callable[[int], Awaitable[LiveSocket]], rate_hz: int, rules: LiveRules
    ) -> None:
        self._provider = provider
        self._connect = connect
        self._rate_hz = rate_hz
        self._rules = rules
        self._tape = Tape(rate_hz)
        self.told: asyncio.Queue[Transcript | ProviderError | None] = asyncio.Queue(TOLD_AHEAD)
        self._asked = asyncio.Event()
        self._forget_connection()

    def _forget_connection(self) -> None:
        self._asked_at: deque[float] = deque()
        """When finals were asked for that have not come: several, where several turns are told again."""
        self._heard_at: float | None = None
        self._is_late = False
        """The answer to the last question may still come, and is not wanted any more."""
        self._held: list[str] = []
        """Finals of a turn whose last words have been asked for."""
        self._partial = ""

    async def run(self, audio: AsyncIterator[bytes]) -> None:
        filling = asyncio.create_task(self._tape.fill(audio))
        end: ProviderError | None = None
        try:
            with faults(self._provider):
                await self._stay_connected()
        except ProviderError as error:
            end = error
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
        await self.told.put(end)

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            if failures > 1:
                await asyncio.sleep(min(self._rules.backoff_s * 3 ** (failures - 2), MAX_BACKOFF_S))
            self._forget_connection()
            try:
                async with asyncio.timeout(self._rules.connect_s):
                    socket = await self._connect(self._rate_hz)
                try:
                    return await self._converse(socket)
                finally:
                    await _close(socket)
            except ProviderError:
                raise
            except Exception as error:
                failures = 1 if self._heard_at is not None else failures + 1
                if failures > self._rules.reconnects or 400 <= (status_of(error) or 0) < 500:
                    raise
                _log.info("%s: connecting again: %s", self._provider, error)

    async def _converse(self, socket: LiveSocket) -> None:
        """Until the audio is over; raises when the connection does not last so long."""
        reader = self._tape.reader()
        sending = asyncio.create_task(self._send(socket, reader))
        heard = socket.heard()
        hearing = asyncio.create_task(_next(heard))
        asking = asyncio.create_task(self._asked.wait())
        try:
            while self._asked_at or not sending.done():
                waiting = {task for task in (sending, hearing, asking) if not task.done()}
                await asyncio.wait(waiting, timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    sending.result()
                if asking.done():
                    self._asked.clear()
                    asking = asyncio.create_task(self._asked.wait())
                if hearing.done():
                    given = hearing.result()
                    if given is None:
                        raise ConnectionError("the connection was closed")
                    await self._take(given, reader.began_ms)
                    hearing = asyncio.create_task(_next(heard))
                await self._lose_patience()
        finally:
            sending.cancel()
            hearing.cancel()
            asking.cancel()
            await asyncio.gather(sending, hearing, asking, return_exceptions=True)

    async def _send(self, socket: LiveSocket, reader: Reader) -> None:
        rules, pending, is_open = self._rules, b"", False
        while True:
            try:
                async with asyncio.timeout(rules.keep_alive_s):
                    frame = await reader.read()
            except TimeoutError:
                await socket.keep_alive()
                continue
            pending += frame or b""
            if pending and (not frame or len(pending) * 500 / self._rate_hz >= rules.chunk_ms):
                await socket.send(pending)
                pending, is_open = b"", True
            if frame == b"" or (frame is None and is_open):
                is_open = False
                await socket.finish()
                self._asked_at.append(self._now())
                self._is_late = False
                self._asked.set()
            if frame is None:
                return

    # What is heard.

    async def _take(self, heard: Heard, began_ms: float) -> None:
        self._heard_at = self._now()
        end_ms = None if heard.end_ms is None else began_ms + heard.end_ms
        if heard.ends_turn and not self._asked_at and self._is_late:
            self._is_late = False
        elif not heard.is_final:
            self._partial = heard.text
            await self._tell(heard, is_final=False, end_ms=end_ms)
        elif heard.ends_turn and self._asked_at:
            await self._end_turn(heard, end_ms)
        else:
            self._partial = ""
            if self._asked_at:
                self._held += [heard.text] if heard.text else []
                return
            if heard.text:
                await self._tell(heard, is_final=True, end_ms=end_ms)
            self._tape.forget(self._tape.end_ms if end_ms is None else end_ms)

    async def _end_turn(self, heard: Heard, end_ms: float | None) -> None:
        await self._tell(heard, is_final=True, end_ms=end_ms)
        self._asked_at.popleft()
        self._held, self._partial = [], ""
        self._tape.forget_turn()

    async def _tell(self, heard: Heard, *, is_final: bool, end_ms: float | None) -> None:
        text = " ".join(part for part in (*self._held, heard.text) if part)
        await self.told.put(Transcript(text, is_final, heard.confidence, end_ms))

    # Patience.

    def _patience(self) -> float | None:
        """Seconds until a final is overdue."""
        if not self._asked_at:
            return None
        is_short = self._is_answerable or self._tape.is_over
        within = self._rules.final_within_s if is_short else self._rules.stall_s
        return max(0.0, self._asked_at[0] + within - self._now())

    @property
    def _is_answerable(self) -> bool:
        """Something is known of the turn, or the vendor lives and has nothing to say."""
        if self._held or self._partial:
            return True
        return self._heard_at is not None and bool(self._asked_at) and self._heard_at >= self._asked_at[0]

    async def _lose_patience(self) -> None:
        if self._patience() != 0.0:
            return
        if not self._is_answerable:
            if self._tape.is_over:
                self._asked_at.clear()
                return
            raise ProviderError(self._provider, f"gave no final within {self._rules.stall_s:g} s")
        await self._end_turn(Heard(self._partial, is_final=True), None)
        self._is_late = True

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _next(heard: AsyncIterator[Heard]) -> Heard | None:
    return await anext(heard, None)


async def _close(socket: LiveSocket) -> None:
    """Politely, but not for long."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await socket.close()
