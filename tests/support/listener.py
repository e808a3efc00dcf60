"""A whole agent that speaks without end while a scene is played to it, in virtual time: what makes it pause or stop.

The scene may have an echo: what the agent says comes back to it. A transcriber tells its words `PARTIAL_AFTER_S` after
they began, and the final `FINAL_AFTER_S` after it was asked for it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.conversation import Conversation
from longline.agentkit.line import CallInfo, Frame, HeldBack, LineEvent, Over
from longline.agentkit.lines.paced import PacedSpeech
from longline.agentkit.ports import Sound, Tool, ToolCall, Transcript
from longline.agentkit.session import CallSession
from longline.agentkit.testing.virtual_time import run
from longline.agentkit.turns.rules import TurnRules
from tests.support import sounds
from tests.support.scenes import Scene
from tests.support.tone import RATE_HZ, Samples

FRAME = RATE_HZ // 50
PARTIAL_AFTER_S, FINAL_AFTER_S = 0.35, 0.1
CALLER_S = 8.0
"""The caller has spoken before anything else, for three seconds, and is being answered."""


@dataclass(frozen=True)
class Echo:
    """Of what the agent says; a line has it when nobody cancels it."""

    loss_db: float
    delay_ms: int = 120


@dataclass
class Outcome:
    """Since the caller's first words. `heard_s`: for how long the agent was heard, of `lasted_s`."""

    pauses: list[float] = field(default_factory=list)
    interruptions: list[float] = field(default_factory=list)
    heard_s: float = 0.0
    lasted_s: float = 0.0

    @property
    def heard_share(self) -> float:
        return self.heard_s / self.lasted_s


def listen(
    scene: Scene, rules: TurnRules | None = None, *, echo: Echo | None = None, level_db: float = -22.0
) -> Outcome:
    """The caller talks for `CALLER_S` at `level_db`, then the scene is played."""
    hello = sounds.mixed(sounds.talk(3.0, 7, level_db), sounds.silence(CALLER_S))
    later = ((begins + CALLER_S, ends + CALLER_S, text) for begins, ends, text in scene.words)
    words = ((0.0, 3.0, "I have a question about my bill"), *later)
    line = SceneLine(np.concatenate([hello, scene.audio]), echo)

    async def call() -> None:
        agent = VoiceAgent(
            _Told(words), _Endless(), _Endless(), silence=["and"] * 1_000, silence_s=0.5, turn=rules or TurnRules()
        )
        async with CallSession(line) as session:
            await agent(session)

    run(call())
    return line.outcome


class SceneLine:
    """Its caller does not know that he is played."""

    rate_hz = RATE_HZ

    def __init__(self, audio: Samples, echo: Echo | None) -> None:
        self.info = CallInfo("cs_1", "ms_1")
        self.outcome = Outcome()
        self._audio, self._echo = audio, echo
        self._speech = PacedSpeech(RATE_HZ, chunk_ms=20, ahead_ms=0, progress_ms=1_000)
        self._told: list[LineEvent] = []
        delay = echo.delay_ms // 20 if echo is not None else 1
        self._coming_back = deque([np.zeros(FRAME)] * delay, maxlen=delay)

    async def events(self) -> AsyncIterator[LineEvent]:
        begun = asyncio.get_running_loop().time()
        for number in range(len(self._audio) // FRAME):
            await asyncio.sleep(max(0.0, begun + (number + 1) * 0.02 - self._now()))
            self._at = number * 0.02
            frame = self._audio[number * FRAME : (number + 1) * FRAME]
            said = self._play()
            if self._echo is not None:
                back = self._coming_back[0] * 10 ** (-self._echo.loss_db / 20)
                self._coming_back.append(said)
                frame = np.clip(frame + back, -32_767, 32_767).astype(np.int16)
            for event in (*self._told, *self._speech.handle_timeout(self._now())):
                yield event
            self._told = []
            yield Frame(frame.tobytes(), number * 20.0)
        for event in self._speech.clear(self._now()):
            yield event
        yield Over("hung up")

    def _play(self) -> sounds.Signal:
        chunk = self._speech.poll(self._now())
        if self._at >= CALLER_S:
            self.outcome.lasted_s += 0.02
            self.outcome.heard_s += 0.02 * (chunk is not None)
        pcm = b"" if chunk is None else chunk.pcm
        return np.frombuffer(pcm.ljust(2 * FRAME, b"\0"), "<i2").astype(float)

    def say(self, utterance_id: str, pcm: bytes) -> None:
        self._speech.say(utterance_id, pcm)

    def say_end(self, utterance_id: str) -> None:
        self._speech.say_end(utterance_id)

    def clear(self) -> None:
        self._note(self.outcome.interruptions)
        self._told += self._speech.clear(self._now())

    def pause(self) -> None:
        self._note(self.outcome.pauses)
        self._told += [*self._speech.pause(self._now()), HeldBack(True)]

    def resume(self) -> None:
        self._speech.resume()
        self._told.append(HeldBack(False))

    def send_digits(self, digits: str) -> None: ...

    def request(self, request_id: str, action: str, fields: Mapping[str, Any]) -> None: ...

    def hang_up(self) -> None: ...

    def _note(self, times: list[float]) -> None:
        if self._at >= CALLER_S:
            times.append(round(self._at - CALLER_S, 2))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class _Told:
    """Understands what stands in the scene."""

    def __init__(self, words: Sequence[tuple[float, float, str]]) -> None:
        self._words = deque(words)

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        at, said = 0.0, ""
        async for frame in audio:
            at += len(frame) / 2 / rate_hz
            if not frame:
                await asyncio.sleep(FINAL_AFTER_S)
                said, final = "", said
                yield Transcript(final, is_final=True)
            while self._words and self._words[0][0] + PARTIAL_AFTER_S <= at:
                said = f"{said} {self._words.popleft()[2]}".strip()
                yield Transcript(said, is_final=False)


class _Endless:
    """A model that has one thing to say, and a voice that takes eight seconds for it."""

    def __init__(self) -> None:
        self._pcm = sounds.talk(8.0, 99, -16.0).tobytes()

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        yield "And so on."

    async def say(self, text: str) -> AsyncIterator[Sound]:
        for at in range(0, len(self._pcm), 2 * FRAME):
            yield Sound(self._pcm[at : at + 2 * FRAME], RATE_HZ)
