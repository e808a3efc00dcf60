"""A second transcriber for when the first fails, refuses or owes a final: it is told what was not understood yet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from longline.agentkit.ports import ProviderError, SpeechToText, Transcript
from longline.agentkit.ranking import REST_S, Ranking
from longline.agentkit.stt.tape import Reader, Tape
from longline.agentkit.voice import closed


class FallbackStt:
    """`FallbackStt(first, second, …)`. A transcriber that gives no final within `wait_s` of a turn's end has failed. A
    call stays with whom it has come to; the next call begins with the first that is well."""

    def __init__(self, *transcribers: SpeechToText, wait_s: float = 2.0, rest_s: float = REST_S) -> None:
        self.ranking = Ranking(transcribers, rest_s)
        self._wait_s = wait_s

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        """`SpeechToText.listen`. Raises the fault of the last when all have failed."""
        now = asyncio.get_running_loop().time
        fault: ProviderError | None = None
        tape = Tape(rate_hz)
        filling = asyncio.create_task(tape.fill(audio))
        try:
            for transcriber in self.ranking.order(now()):
                turn = _Attempt(transcriber, tape, rate_hz, self._wait_s)
                try:
                    async with contextlib.aclosing(turn):
                        while (transcript := await turn.next()) is not None:
                            if transcript.is_final:
                                self.ranking.worked(transcriber)
                            yield transcript
                    return
                except ProviderError as error:
                    self.ranking.failed(transcriber, error, now())
                    fault = error
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
        if fault is not None:
            raise fault


class _Attempt:
    """One transcriber, listening to what is on the tape."""

    def __init__(self, transcriber: SpeechToText, tape: Tape, rate_hz: int, wait_s: float) -> None:
        self._name = type(transcriber).__name__
        self._tape = tape
        self._wait_s = wait_s
        self._reader: Reader = tape.reader()
        self._turns = 0
        """Ends of turns that it was told and has not answered."""
        self._timer: asyncio.TimerHandle | None = None
        self._getting: asyncio.Task[Transcript | None] | None = None
        self._is_overdue = False
        self._heard = transcriber.listen(self._audio(), rate_hz)

    async def next(self) -> Transcript | None:
        """Raises ProviderError, also for a final that is overdue."""
        self._getting = asyncio.create_task(_next(self._heard))
        try:
            transcript = await self._getting
        except asyncio.CancelledError:
            if not self._is_overdue:
                raise
            raise ProviderError(self._name, f"gave no final within {self._wait_s:g} s") from None
        finally:
            self._getting.cancel()
        if transcript is None:
            return None
        end_ms = None if transcript.end_ms is None else transcript.end_ms + self._reader.began_ms
        if transcript.is_final:
            self._forget(end_ms)
        return replace(transcript, end_ms=end_ms)

    async def aclose(self) -> None:
        self._answered()
        await closed(self._heard)

    async def _audio(self) -> AsyncIterator[bytes]:
        while (frame := await self._reader.read()) is not None:
            if not frame:
                self._turns += 1
                self._answered()
                self._timer = asyncio.get_running_loop().call_later(self._wait_s, self._give_up)
            yield frame

    def _forget(self, end_ms: float | None) -> None:
        if self._turns:
            self._turns -= 1
            self._tape.forget_turn()
            if not self._turns:
                self._answered()
        else:
            self._tape.forget(self._tape.end_ms if end_ms is None else end_ms)

    def _answered(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._is_overdue = True
        if self._getting is not None:
            self._getting.cancel()


async def _next(heard: AsyncIterator[Transcript]) -> Transcript | None:
    return await anext(heard, None)
