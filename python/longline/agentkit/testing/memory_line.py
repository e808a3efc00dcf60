"""A line in memory: a caller who plays a script at one end, an agent at the other, and 20 ms after 20 ms between them.

It tells of speech what longline.v1 tells, from what its own end has really played; it can pause. `frames_lost` and
`jitter_ms` make a bad network of the way from the caller.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from longline.agentkit.heard import heard_text
from longline.agentkit.line import (
    Answered,
    CallInfo,
    Digit,
    Frame,
    HeldBack,
    LineEvent,
    Over,
    SpeechEnded,
    SpeechProgress,
    SpeechStarted,
)
from longline.agentkit.testing.performance import HangUp, Performance, Press, Speak
from longline.agentkit.testing.record import CallRecord
from longline.agentkit.testing.written import FRAME_MS, WordReader, frame_bytes, silence
from longline.agentkit.turns.energy import level_db
from longline.agentkit.utterance import Utterance

VOICED_DB: Final = -50.0
PROGRESS_MS: Final = 200
KEY_FRAMES: Final = 10
"""From one key to the next: 200 ms."""
_TICK_S: Final = FRAME_MS / 1_000


@dataclass(frozen=True, slots=True)
class Network:
    """How bad the way from the caller is: a share of frames lost (silence in their place), and frames late by up to
    `jitter_ms`."""

    loss: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 1


@dataclass(slots=True)
class _Queued:
    id: str
    pcm: bytearray = field(default_factory=bytearray)
    played: int = 0
    is_whole: bool = False
    is_readable: bool = False


class MemoryLine:
    """`say` is the caller's mouth: it makes the frames of a text. `done` is what the agent asked of the line."""

    def __init__(
        self,
        performance: Callable[[float], Performance],
        say: Callable[[str], list[bytes]],
        *,
        info: CallInfo | None = None,
        rate_hz: int = 8_000,
        network: Network | None = None,
        background: Callable[[int], bytes] | None = None,
    ) -> None:
        self.info = info or CallInfo("cs_test", "ms_test", "+15550100", "+15550199")
        self.rate_hz = rate_hz
        self.record = CallRecord()
        self.done: list[str] = []
        self.performance: Performance | None = None
        self.over_at = 0.0
        self.ended_by = ""
        self.gone = asyncio.Event()
        """Set when the call is over."""
        self.utterance: Callable[[str], Utterance | None] = lambda id: None
        """What the agent knows of an utterance: the words of a voice that cannot be read come from there."""
        self.played = bytearray()
        """All that the caller heard, silence included."""
        self._make_performance = performance
        self._say = say
        self._network = network or Network()
        self._random = Random(self._network.seed)
        self._background = background
        self._queue: deque[_Queued] = deque()
        self._is_held = False
        self._told: list[LineEvent] = []
        self._mouth: deque[bytes | str] = deque()
        self._reader = WordReader()
        self._begun = 0.0
        self._wants_to_end = False

    async def events(self) -> AsyncIterator[LineEvent]:
        loop = asyncio.get_running_loop()
        self._begun = begun = loop.time()
        self.performance = self._make_performance(0.0)
        number, late_until = 0, 0.0
        while not self.ended_by:
            number += 1
            late_until = max(late_until, number * _TICK_S + self._random.uniform(0, self._network.jitter_ms) / 1_000)
            await asyncio.sleep(max(0.0, begun + late_until - loop.time()))
            at = (number - 1) * _TICK_S
            self._play(at)
            self._act(at)
            told, self._told = self._told, []
            for event in told:
                yield event
            yield Frame(self._frame(number - 1, at), at * 1_000)
        self.over_at = number * _TICK_S
        self._drop()
        for event in self._told:
            yield event
        self.gone.set()
        yield Over("hung up")

    # The agent's commands.

    def say(self, utterance_id: str, pcm: bytes) -> None:
        if not self._queue or self._queue[-1].id != utterance_id:
            self._queue.append(_Queued(utterance_id))
        self._queue[-1].pcm += pcm

    def say_end(self, utterance_id: str) -> None:
        for queued in self._queue:
            if queued.id == utterance_id:
                queued.is_whole = True

    def clear(self) -> None:
        self.done.append("clear")
        self._drop()

    def _drop(self) -> None:
        for queued in self._queue:
            self._end(queued, was_cut=True)
        self._queue.clear()
        self._is_held = False

    def pause(self) -> None:
        self.done.append("pause")
        if not self._is_held:
            self._is_held = True
            self._told.append(HeldBack(True))

    def resume(self) -> None:
        self.done.append("resume")
        if self._is_held:
            self._is_held = False
            self._told.append(HeldBack(False))

    def send_digits(self, digits: str) -> None:
        self.done.append(f"dtmf {digits}")

    def request(self, request_id: str, action: str, fields: Mapping[str, Any]) -> None:
        """All is granted; a transfer ends the agent's part of the call."""
        self.done.append(" ".join([action, *(str(value) for value in fields.values())]))
        self._told.append(Answered(request_id))
        self._wants_to_end |= action == "transfer"

    def hang_up(self) -> None:
        self.done.append("hang_up")
        self._wants_to_end = True

    def leave(self) -> None:
        """Nobody is there any more who would speak: the call ends."""
        self._wants_to_end = True

    # The caller's ear.

    def _play(self, at: float) -> None:
        wanted = frame_bytes(self.rate_hz)
        heard = bytearray()
        while self._queue and not self._is_held and len(heard) < wanted:
            queued = self._queue[0]
            piece = queued.pcm[queued.played : queued.played + wanted - len(heard)]
            if not piece and not queued.is_whole:
                break
            if piece and not queued.played:
                self._told.append(SpeechStarted(queued.id))
            heard += piece
            words = self._reader.read(bytes(piece))
            before, queued.played = queued.played, queued.played + len(piece)
            queued.is_readable |= bool(words)
            self._hear(at, bytes(piece), words)
            if queued.is_whole and queued.played == len(queued.pcm):
                self._end(queued, was_cut=False)
                self._queue.popleft()
            elif self._ms(before) // PROGRESS_MS != self._ms(queued.played) // PROGRESS_MS:
                self._told.append(SpeechProgress(queued.id, self._ms(queued.played)))
        self.played += heard + bytes(wanted - len(heard))

    def _hear(self, at: float, piece: bytes, words: list[str]) -> None:
        is_voiced = level_db(piece) > VOICED_DB
        if is_voiced:
            self.record.agent_sounds(at, at + _TICK_S)
        self.record.agent_said(words)
        if self.performance is not None:
            self.performance.hear(at, is_voiced=is_voiced, words=words)

    def _end(self, queued: _Queued, *, was_cut: bool) -> None:
        self._told.append(SpeechEnded(queued.id, self._ms(queued.played), was_cut))
        known = self.utterance(queued.id)
        if queued.is_readable or known is None or not queued.played:
            return
        words = heard_text(known.text, self._ms(len(queued.pcm)), self._ms(queued.played)).split()
        self.record.agent_said(words)
        if self.performance is not None:
            self.performance.hear(self._now(), is_voiced=False, words=words)

    # The caller's mouth.

    def _act(self, at: float) -> None:
        if self._wants_to_end and not self.ended_by:
            self.ended_by = "agent"
        performance = self.performance
        assert performance is not None
        action = performance.tick(at, is_busy=bool(self._mouth), is_over=bool(self.ended_by))
        match action:
            case Speak(text, interrupts):
                self._mouth += self._say(text)
                self.record.caller_speaks(at, text, interrupts=interrupts)
            case Press(digits):
                for digit in digits:
                    self._mouth += [digit, *[silence(self.rate_hz)] * (KEY_FRAMES - 1)]
                self.record.caller_speaks(at, f"[pressed {digits}]")
            case HangUp():
                self.ended_by = self.ended_by or "caller"

    def _frame(self, number: int, at: float) -> bytes:
        quiet = self._background(number) if self._background is not None else silence(self.rate_hz)
        given = self._mouth.popleft() if self._mouth else quiet
        if isinstance(given, str):
            self._told.append(Digit(given))
            self.record.caller_sounds(at + _TICK_S)
            return quiet
        if level_db(given) > VOICED_DB and given is not quiet:
            self.record.caller_sounds(at + _TICK_S)
        return quiet if self._random.random() < self._network.loss else given

    def _ms(self, octets: int) -> float:
        return octets * 500 / self.rate_hz

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._begun
